/* Google Gemini generateContent and streamGenerateContent. Field names in camelCase or snake_case. */
#include "simulator.h"

static const cJSON *either(const cJSON *object, const char *camel, const char *snake)
{
	const cJSON *field = cJSON_GetObjectItemCaseSensitive(object, camel);

	return field ? field : cJSON_GetObjectItemCaseSensitive(object, snake);
}

static void read_parts(struct question *q, const cJSON *content, bool is_user)
{
	const cJSON *part;

	cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(content, "parts")) {
		const char *text = field_text(part, "text");
		if (!text) {
			q->attachments++;
			continue;
		}
		q->text_bytes += strlen(text);
		if (is_user)
			q->user_text = str_of(text);
	}
}

static const struct refusal *read_contents(struct question *q)
{
	static const struct refusal missing = {
		"bad_request", "* GenerateContentRequest.contents: contents is not specified", NULL,
		0, 0};
	static const struct refusal bad_role = {
		"bad_request", "Please use a valid role: user, model.", NULL, 0, 0};
	const cJSON *contents = cJSON_GetObjectItemCaseSensitive(q->body, "contents"), *content;

	if (!cJSON_IsArray(contents) || !contents->child)
		return &missing;
	cJSON_ArrayForEach(content, contents) {
		const char *role = field_text(content, "role");
		bool is_user = !role || strcmp(role, "user") == 0;
		if (!is_user && strcmp(role, "model") != 0)
			return &bad_role;
		read_parts(q, content, is_user);
	}
	return NULL;
}

static const struct refusal *read_gemini(struct question *q, const struct request *r)
{
	const cJSON *config = either(q->body, "generationConfig", "generation_config");
	const cJSON *type = either(config, "responseMimeType", "response_mime_type");
	const cJSON *most = either(config, "maxOutputTokens", "max_output_tokens");

	q->max_tokens = cJSON_IsNumber(most) ? (long)most->valuedouble : 0;
	q->schema = either(config, "responseJsonSchema", "response_json_schema");
	if (!q->schema)
		q->schema = either(config, "responseSchema", "response_schema");
	q->wants_json = cJSON_IsString(type) && strcmp(type->valuestring, "application/json") == 0;
	q->is_stream = strstr(r->path, ":streamGenerateContent") != NULL;
	q->is_array = q->is_stream && !strstr(r->query, "alt=sse");
	read_parts(q, either(q->body, "systemInstruction", "system_instruction"), false);
	return read_contents(q);
}

static const char *finish_reason(enum finish finish)
{
	static const char *const texts[] = {[FINISH_STOP] = "STOP",
					    [FINISH_LENGTH] = "MAX_TOKENS",
					    [FINISH_FILTER] = "SAFETY",
					    [FINISH_REFUSAL] = "PROHIBITED_CONTENT"};

	return texts[finish];
}

/* Zeros are left out, as Google does. */
static void add_usage(struct buf *out, const struct usage *u, long text_tokens)
{
	buf_printf(out, "\"usageMetadata\":{\"promptTokenCount\":%ld", u->input);
	if (u->cached)
		buf_printf(out, ",\"cachedContentTokenCount\":%ld", u->cached);
	if (text_tokens)
		buf_printf(out, ",\"candidatesTokenCount\":%ld", text_tokens);
	if (u->reasoning)
		buf_printf(out, ",\"thoughtsTokenCount\":%ld", u->reasoning);
	buf_printf(out, ",\"totalTokenCount\":%ld}", u->input + text_tokens + u->reasoning);
}

static void add_part(struct buf *out, struct str text, bool is_thought)
{
	buf_add_text(out, "{\"text\":");
	add_quoted(out, text);
	buf_add_text(out, is_thought ? ",\"thought\":true}" : "}");
}

/* What both an answer and a chunk are: parts, maybe the end, the usage. */
struct part_of_answer {
	struct str thought, text;
	bool is_last;
	long text_tokens; /* so far */
};

static void add_response(struct buf *out, const struct question *q, const struct answer *a,
			 const struct part_of_answer *p)
{
	buf_add_text(out, "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[");
	if (p->thought.len)
		add_part(out, p->thought, true);
	if (p->thought.len && p->text.len)
		buf_add_char(out, ',');
	if (p->text.len)
		add_part(out, p->text, false);
	buf_add_text(out, "]},\"index\":0");
	if (p->is_last)
		buf_printf(out, ",\"finishReason\":\"%s\"", finish_reason(a->finish));
	buf_add_text(out, "}],");
	add_usage(out, &a->usage, p->text_tokens);
	buf_add_text(out, ",\"modelVersion\":");
	add_quoted(out, str_of(q->model));
	buf_printf(out, ",\"responseId\":\"sim-%llu\"}", (unsigned long long)a->number);
}

static bool is_blocked(const struct answer *a)
{
	return a->finish == FINISH_FILTER || a->finish == FINISH_REFUSAL;
}

static void answer_gemini(struct reply *reply, const struct question *q, const struct answer *a)
{
	struct buf *out = buf_in(reply->arena);
	struct part_of_answer whole = {a->reasoning, a->text, true,
				       a->usage.output - a->usage.reasoning};

	if (is_blocked(a))
		whole.text.len = 0;
	add_response(out, q, a, &whole);
	reply_json(reply, 200, out);
}

static void chunk(struct reply *reply, const struct question *q, const struct answer *a,
		  const struct part_of_answer *p)
{
	struct buf *out = buf_in(reply->arena);

	if (q->is_array)
		buf_add_text(out, reply->piece_count ? ",\r\n" : "[");
	else
		buf_add_text(out, "data: ");
	add_response(out, q, a, p);
	buf_add_text(out, q->is_array ? (p->is_last ? "]" : "") : "\r\n\r\n");
	reply_piece(reply, buf_str(out));
}

static void stream_gemini(struct reply *reply, const struct question *q, const struct answer *a)
{
	struct part_of_answer p = {.thought = a->reasoning};
	struct str rest = a->text;
	size_t sent = 0;

	if (is_blocked(a))
		rest.len = 0;
	if (q->is_array)
		reply->content_type = "application/json; charset=UTF-8";
	if (p.thought.len)
		chunk(reply, q, a, &p);
	p.thought.len = 0;
	do {
		p.text = next_word(&rest);
		sent += p.text.len;
		p.is_last = rest.len == 0;
		p.text_tokens = p.is_last ? a->usage.output - a->usage.reasoning : tokens_of(sent);
		chunk(reply, q, a, &p);
	} while (!p.is_last);
}

/* ---- errors ---- */

static void add_details(struct buf *out, const struct refusal *r, const struct error_kind *kind)
{
	if (kind->google_reason && strncmp(kind->google_reason, "Per", 3) == 0)
		buf_printf(out,
			   ",{\"@type\":\"type.googleapis.com/"
			   "google.rpc.QuotaFailure\",\"violations\":"
			   "[{\"quotaId\":\"GenerateRequests%sPerProjectPerModel\",\"quotaValue\":"
			   "\"5\"}]}",
			   kind->google_reason);
	else if (kind->google_reason)
		buf_printf(out,
			   ",{\"@type\":\"type.googleapis.com/"
			   "google.rpc.ErrorInfo\",\"reason\":\"%s\","
			   "\"domain\":\"googleapis.com\"}",
			   kind->google_reason);
	if (r->retry_after_ms > 0)
		buf_printf(out,
			   ",{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
			   "\"retryDelay\":\"%.9gs\"}",
			   r->retry_after_ms / 1000);
}

static void error_gemini(struct buf *out, const struct refusal *r, int status)
{
	const struct error_kind *kind = error_kind_find(r->kind);

	buf_printf(out, "{\"error\":{\"code\":%d,\"message\":", status);
	add_quoted(out, str_of(r->message ? r->message : kind->message));
	buf_printf(out,
		   ",\"status\":\"%s\",\"details\":[{\"@type\":\"type.googleapis.com/"
		   "google.rpc.Help\",\"links\":[]}",
		   kind->google_name);
	add_details(out, r, kind);
	buf_add_text(out, "]}}");
}

static struct str error_event_gemini(struct arena *a, const struct refusal *r, int status)
{
	struct buf *out = buf_in(a);

	buf_add_text(out, "data: ");
	error_gemini(out, r, status);
	buf_add_text(out, "\r\n\r\n");
	return buf_str(out);
}

const struct format format_gemini = {
	.name = "gemini",
	.read = read_gemini,
	.answer = answer_gemini,
	.stream = stream_gemini,
	.error = error_gemini,
	.error_event = error_event_gemini,
	.request_id_header = "x-sim-request-id",
};
