/* OpenAI Chat Completions, as every compatible server speaks it. */
#include "simulator.h"

/* Adds what a message says to the question; content is a string or an array of parts. */
static void read_content(struct question *q, const cJSON *content, bool is_user)
{
	const cJSON *part;
	const char *text = cJSON_GetStringValue(content);

	if (text) {
		q->text_bytes += strlen(text);
		if (is_user)
			q->user_text = str_of(text);
		return;
	}
	cJSON_ArrayForEach(part, content) {
		const char *type = field_text(part, "type");
		if (type && strcmp(type, "text") == 0)
			read_content(q, cJSON_GetObjectItemCaseSensitive(part, "text"), is_user);
		else
			q->attachments++;
	}
}

static const struct refusal *read_messages(struct question *q)
{
	static const struct refusal missing = {
		"bad_request", "Missing required parameter: 'messages'.", "messages", 0, 0};
	static const struct refusal bad_role = {
		"bad_request", "Invalid value for 'role' in a message.", "messages", 0, 0};
	const cJSON *messages = cJSON_GetObjectItemCaseSensitive(q->body, "messages"), *message;

	if (!cJSON_IsArray(messages) || !messages->child)
		return &missing;
	cJSON_ArrayForEach(message, messages) {
		const char *role = field_text(message, "role");
		if (!role)
			return &bad_role;
		read_content(q, cJSON_GetObjectItemCaseSensitive(message, "content"),
			     strcmp(role, "user") == 0);
	}
	return NULL;
}

/* o1, o3, o4-mini, gpt-5 and later: hidden reasoning, max_completion_tokens only. */
bool model_reasons(const char *model)
{
	if (model[0] == 'o' && model[1] >= '1' && model[1] <= '9')
		return true;
	return strncmp(model, "gpt-", 4) == 0 && model[4] >= '5' && model[4] <= '9' &&
	       !strstr(model, "chat");
}

static const struct refusal *read_limits(struct question *q)
{
	static const struct refusal unsupported = {
		"unsupported_parameter",
		"Unsupported parameter: 'max_tokens' is not supported with this model. Use "
		"'max_completion_tokens' instead.",
		"max_tokens", 0, 0};
	long old = (long)field_number(q->body, "max_tokens", 0);

	if (old && model_reasons(q->model))
		return &unsupported;
	q->max_tokens = (long)field_number(q->body, "max_completion_tokens", (double)old);
	return NULL;
}

static const struct refusal *read_chat(struct question *q, const struct request *r)
{
	const cJSON *format = cJSON_GetObjectItemCaseSensitive(q->body, "response_format");
	const cJSON *named = cJSON_GetObjectItemCaseSensitive(format, "json_schema");
	const cJSON *stream_options = cJSON_GetObjectItemCaseSensitive(q->body, "stream_options");
	const struct refusal *bad = read_messages(q);

	q->schema = cJSON_GetObjectItemCaseSensitive(named, "schema");
	q->wants_json =
		format &&
		strcmp(field_text(format, "type") ? field_text(format, "type") : "", "text") != 0;
	q->is_stream = field_bool(q->body, "stream");
	q->wants_usage = field_bool(stream_options, "include_usage");
	return bad ? bad : read_limits(q);
}

static const char *finish_text(enum finish finish)
{
	static const char *const texts[] = {[FINISH_STOP] = "stop",
					    [FINISH_LENGTH] = "length",
					    [FINISH_FILTER] = "content_filter",
					    [FINISH_REFUSAL] = "stop"};

	return texts[finish];
}

static void add_start(struct buf *out, const struct question *q, const struct answer *a,
		      const char *object)
{
	buf_printf(out,
		   "{\"id\":\"chatcmpl-sim-%llu\",\"object\":\"%s\",\"created\":%ld,\"model\":",
		   (unsigned long long)a->number, object, a->created);
	add_quoted(out, str_of(q->model));
}

static void add_usage(struct buf *out, const struct usage *u)
{
	buf_printf(
		out,
		",\"usage\":{\"prompt_tokens\":%ld,\"completion_tokens\":%ld,\"total_tokens\":%ld,"
		"\"prompt_tokens_details\":{\"cached_tokens\":%ld,\"audio_tokens\":0},"
		"\"completion_tokens_details\":{\"reasoning_tokens\":%ld,\"audio_tokens\":0}}",
		u->input, u->output, u->input + u->output, u->cached, u->reasoning);
}

static void add_message(struct buf *out, const struct answer *a)
{
	bool refused = a->finish == FINISH_REFUSAL;

	buf_add_text(out, "\"message\":{\"role\":\"assistant\",\"content\":");
	if (refused)
		buf_add_text(out, "null");
	else
		add_quoted(out, a->text);
	if (a->reasoning.len) {
		buf_add_text(out, ",\"reasoning_content\":");
		add_quoted(out, a->reasoning);
	}
	buf_add_text(out, ",\"refusal\":");
	if (refused)
		add_quoted(out, a->text);
	else
		buf_add_text(out, "null");
	buf_add_char(out, '}');
}

static void answer_chat(struct reply *reply, const struct question *q, const struct answer *a)
{
	struct buf *out = buf_in(reply->arena);

	add_start(out, q, a, "chat.completion");
	buf_add_text(out, ",\"choices\":[{\"index\":0,");
	add_message(out, a);
	buf_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}]", finish_text(a->finish));
	add_usage(out, &a->usage);
	buf_add_text(out, ",\"service_tier\":\"default\",\"system_fingerprint\":\"SIMULATED\"}");
	reply_json(reply, 200, out);
}

/* One event: a choice with this delta, or only the usage. */
static void stream_chunk(struct reply *reply, const struct question *q, const struct answer *a,
			 const char *choices)
{
	struct buf *out = buf_in(reply->arena);

	buf_add_text(out, "data: ");
	add_start(out, q, a, "chat.completion.chunk");
	buf_printf(out, ",\"system_fingerprint\":\"SIMULATED\",\"choices\":[%s]", choices);
	if (q->wants_usage && *choices)
		buf_add_text(out, ",\"usage\":null");
	else if (q->wants_usage)
		add_usage(out, &a->usage);
	buf_add_text(out, "}\n\n");
	reply_piece(reply, buf_str(out));
}

static void stream_delta(struct reply *reply, const struct question *q, const struct answer *a,
			 const char *field, struct str text)
{
	struct buf *choice = buf_in(reply->arena);

	buf_printf(choice, "{\"index\":0,\"delta\":{\"%s\":", field);
	add_quoted(choice, text);
	buf_add_text(choice, "},\"finish_reason\":null}");
	stream_chunk(reply, q, a, buf_str(choice).ptr);
}

static void stream_chat(struct reply *reply, const struct question *q, const struct answer *a)
{
	const char *field = a->finish == FINISH_REFUSAL ? "refusal" : "content";
	struct str rest = a->text;

	stream_chunk(
		reply, q, a,
		"{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
		"\"finish_reason\":null}");
	if (a->reasoning.len)
		stream_delta(reply, q, a, "reasoning_content", a->reasoning);
	while (rest.len)
		stream_delta(reply, q, a, field, next_word(&rest));
	stream_chunk(reply, q, a,
		     arena_printf(reply->arena,
				  "{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}",
				  finish_text(a->finish)));
	if (q->wants_usage)
		stream_chunk(reply, q, a, "");
	reply_piece(reply, STR("data: [DONE]\n\n"));
}

void openai_error(struct buf *out, const struct refusal *r, int status)
{
	const struct error_kind *kind = error_kind_find(r->kind);

	buf_add_text(out, "{\"error\":{\"message\":");
	add_quoted(out, str_of(r->message ? r->message : kind->message));
	buf_printf(out, ",\"type\":\"%s\",\"param\":", kind->openai_type);
	if (r->param)
		add_quoted(out, str_of(r->param));
	else
		buf_add_text(out, "null");
	buf_add_text(out, ",\"code\":");
	if (kind->openai_code)
		add_quoted(out, str_of(kind->openai_code));
	else
		buf_add_text(out, "null");
	buf_add_text(out, "}}");
}

static struct str chat_error_event(struct arena *a, const struct refusal *r, int status)
{
	struct buf *out = buf_in(a);

	buf_add_text(out, "data: ");
	openai_error(out, r, status);
	buf_add_text(out, "\n\n");
	return buf_str(out);
}

const struct format format_chat = {
	.name = "chat",
	.read = read_chat,
	.answer = answer_chat,
	.stream = stream_chat,
	.error = openai_error,
	.error_event = chat_error_event,
	.request_id_header = "x-request-id",
};
