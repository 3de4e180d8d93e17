/* Anthropic Messages. */
#include "simulator.h"

static void read_text(struct question *q, const char *text, bool is_user)
{
	q->text_bytes += strlen(text);
	if (is_user)
		q->user_text = str_of(text);
}

/* A string, or an array of blocks. */
static void read_content(struct question *q, const cJSON *content, bool is_user)
{
	const cJSON *block;

	if (cJSON_IsString(content)) {
		read_text(q, content->valuestring, is_user);
		return;
	}
	cJSON_ArrayForEach(block, content) {
		const char *text = field_text(block, "text");
		if (text)
			read_text(q, text, is_user);
		else
			q->attachments++;
	}
}

static const struct refusal *read_thread(struct question *q)
{
	static const struct refusal missing = {"bad_request", "messages: Field required", NULL, 0,
					       0};
	static const struct refusal bad_first = {
		"bad_request", "messages: first message must use the \"user\" role", NULL, 0, 0};
	static const struct refusal bad_role = {
		"bad_request", "messages: Unexpected role. Allowed roles: user, assistant", NULL, 0,
		0};
	const cJSON *messages = cJSON_GetObjectItemCaseSensitive(q->body, "messages"), *message;

	if (!cJSON_IsArray(messages) || !messages->child)
		return &missing;
	cJSON_ArrayForEach(message, messages) {
		const char *role = field_text(message, "role");
		bool is_user = role && strcmp(role, "user") == 0;
		if (!role || (!is_user && strcmp(role, "assistant") != 0))
			return &bad_role;
		if (message == messages->child && !is_user)
			return &bad_first;
		read_content(q, cJSON_GetObjectItemCaseSensitive(message, "content"), is_user);
	}
	return NULL;
}

static const struct refusal *read_messages(struct question *q, const struct request *r)
{
	static const struct refusal no_version = {
		"bad_request", "anthropic-version: header is required", NULL, 0, 0};
	static const struct refusal no_maximum = {"bad_request", "max_tokens: Field required", NULL,
						  0, 0};
	const cJSON *config = cJSON_GetObjectItemCaseSensitive(q->body, "output_config");
	const cJSON *format = cJSON_GetObjectItemCaseSensitive(config, "format");

	if (!request_header(r, "anthropic-version"))
		return &no_version;
	q->max_tokens = (long)field_number(q->body, "max_tokens", 0);
	if (q->max_tokens < 1)
		return &no_maximum;
	read_content(q, cJSON_GetObjectItemCaseSensitive(q->body, "system"), false);
	q->schema = cJSON_GetObjectItemCaseSensitive(format, "schema");
	q->is_stream = field_bool(q->body, "stream");
	return read_thread(q);
}

static const char *stop_reason(enum finish finish)
{
	static const char *const texts[] = {[FINISH_STOP] = "end_turn",
					    [FINISH_LENGTH] = "max_tokens",
					    [FINISH_FILTER] = "refusal",
					    [FINISH_REFUSAL] = "refusal"};

	return texts[finish];
}

static void add_start(struct buf *out, const struct question *q, const struct answer *a)
{
	buf_printf(
		out,
		"{\"id\":\"msg_sim_%llu\",\"type\":\"message\",\"role\":\"assistant\",\"model\":",
		(unsigned long long)a->number);
	add_quoted(out, str_of(q->model));
}

/* input_tokens is only what did not come out of the cache, unlike everywhere else. */
static void add_input_usage(struct buf *out, const struct usage *u)
{
	buf_printf(out,
		   "\"input_tokens\":%ld,\"cache_creation_input_tokens\":0,"
		   "\"cache_read_input_tokens\":%ld",
		   u->input - u->cached, u->cached);
}

static void answer_messages(struct reply *reply, const struct question *q, const struct answer *a)
{
	struct buf *out = buf_in(reply->arena);
	bool refused = a->finish == FINISH_REFUSAL || a->finish == FINISH_FILTER;

	add_start(out, q, a);
	buf_add_text(out, ",\"content\":[");
	if (a->reasoning.len) {
		buf_add_text(out, "{\"type\":\"thinking\",\"thinking\":");
		add_quoted(out, a->reasoning);
		buf_add_text(out, ",\"signature\":\"U0lNVUxBVEVE\"}");
	}
	if (!refused && a->text.len) {
		buf_add_text(out, a->reasoning.len ? ",{\"type\":\"text\",\"text\":"
						   : "{\"type\":\"text\",\"text\":");
		add_quoted(out, a->text);
		buf_add_char(out, '}');
	}
	buf_printf(out, "],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"stop_details\":",
		   stop_reason(a->finish));
	if (refused) {
		buf_add_text(out,
			     "{\"type\":\"refusal\",\"category\":\"simulated\",\"explanation\":");
		add_quoted(out, a->text);
		buf_add_char(out, '}');
	} else {
		buf_add_text(out, "null");
	}
	buf_add_text(out, ",\"usage\":{");
	add_input_usage(out, &a->usage);
	buf_printf(out,
		   ",\"output_tokens\":%ld,\"output_tokens_details\":{\"thinking_tokens\":%ld},"
		   "\"service_tier\":\"standard\"}}",
		   a->usage.output, a->usage.reasoning);
	reply_json(reply, 200, out);
}

/* ---- streams ---- */

static void event(struct reply *reply, const char *type, struct str data)
{
	struct buf *out = buf_in(reply->arena);

	buf_printf(out, "event: %s\ndata: {\"type\":\"%s\"", type, type);
	buf_add_str(out, data);
	buf_add_text(out, "}\n\n");
	reply_piece(reply, buf_str(out));
}

static void delta(struct reply *reply, int index, const char *kind, struct str text)
{
	static const char *const fields[][2] = {
		{"text_delta",      "text"     },
		{"thinking_delta",  "thinking" },
		{"signature_delta", "signature"}
        };
	struct buf *out = buf_in(reply->arena);
	size_t i = 0;

	while (strcmp(fields[i][0], kind) != 0)
		i++;
	buf_printf(out, ",\"index\":%d,\"delta\":{\"type\":\"%s\",\"%s\":", index, kind,
		   fields[i][1]);
	add_quoted(out, text);
	buf_add_char(out, '}');
	event(reply, "content_block_delta", buf_str(out));
}

static void block(struct reply *reply, int index, bool is_thinking, struct str text)
{
	event(reply, "content_block_start",
	      str_of(arena_printf(
		      reply->arena, ",\"index\":%d,\"content_block\":{%s}", index,
		      is_thinking ? "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\""
				  : "\"type\":\"text\",\"text\":\"\"")));
	event(reply, "ping", STR(""));
	while (text.len)
		delta(reply, index, is_thinking ? "thinking_delta" : "text_delta",
		      next_word(&text));
	if (is_thinking)
		delta(reply, index, "signature_delta", STR("U0lNVUxBVEVE"));
	event(reply, "content_block_stop",
	      str_of(arena_printf(reply->arena, ",\"index\":%d", index)));
}

static void stream_messages(struct reply *reply, const struct question *q, const struct answer *a)
{
	struct buf *start = buf_in(reply->arena);
	bool refused = a->finish == FINISH_REFUSAL || a->finish == FINISH_FILTER;

	buf_add_text(start, ",\"message\":");
	add_start(start, q, a);
	buf_add_text(start,
		     ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{");
	add_input_usage(start, &a->usage);
	buf_add_text(start, ",\"output_tokens\":1}}");
	event(reply, "message_start", buf_str(start));
	if (a->reasoning.len)
		block(reply, 0, true, a->reasoning);
	if (!refused)
		block(reply, a->reasoning.len ? 1 : 0, false, a->text);
	event(reply, "message_delta",
	      str_of(arena_printf(reply->arena,
				  ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},"
				  "\"usage\":{\"output_tokens\":%ld}",
				  stop_reason(a->finish), a->usage.output)));
	event(reply, "message_stop", STR(""));
}

/* ---- errors ---- */

static void error_messages(struct buf *out, const struct refusal *r, int status)
{
	const struct error_kind *kind = error_kind_find(r->kind);

	buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":",
		   kind->anthropic_type);
	add_quoted(out, str_of(r->message ? r->message : kind->message));
	buf_add_text(out, "},\"request_id\":\"req_simulated\"}");
}

static struct str error_event_messages(struct arena *a, const struct refusal *r, int status)
{
	struct buf *out = buf_in(a);

	buf_add_text(out, "event: error\ndata: ");
	error_messages(out, r, status);
	buf_add_text(out, "\n\n");
	return buf_str(out);
}

const struct format format_messages = {
	.name = "messages",
	.read = read_messages,
	.answer = answer_messages,
	.stream = stream_messages,
	.error = error_messages,
	.error_event = error_event_messages,
	.request_id_header = "request-id",
};
