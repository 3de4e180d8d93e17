/* OpenAI Responses. */
#include "simulator.h"

static void read_text(struct question *q, const char *text, bool is_user)
{
	q->text_bytes += strlen(text);
	if (is_user)
		q->user_text = str_of(text);
}

static const struct refusal *read_part(struct question *q, const cJSON *part, bool is_user)
{
	static const struct refusal bad_type = {
		"bad_request", "Invalid value for 'type' of a content part.", "input", 0, 0};
	const char *type = field_text(part, "type"), *text = field_text(part, "text");

	if (!type || strncmp(type, is_user ? "input_" : "output_", is_user ? 6 : 7) != 0)
		return &bad_type;
	if (text)
		read_text(q, text, is_user);
	else
		q->attachments++;
	return NULL;
}

/* A message, or an item of another type, which counts as nothing. */
static const struct refusal *read_item(struct question *q, const cJSON *item)
{
	const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content"), *part;
	const char *role = field_text(item, "role");
	bool is_user = role && strcmp(role, "assistant") != 0;
	const struct refusal *bad = NULL;

	if (!role)
		return NULL;
	if (cJSON_IsString(content)) {
		read_text(q, content->valuestring, strcmp(role, "user") == 0);
		return NULL;
	}
	cJSON_ArrayForEach(part, content)
		bad = bad ? bad : read_part(q, part, is_user);
	return bad;
}

static const struct refusal *read_input(struct question *q)
{
	static const struct refusal missing = {
		"bad_request", "Missing required parameter: 'input'.", "input", 0, 0};
	const cJSON *input = cJSON_GetObjectItemCaseSensitive(q->body, "input"), *item;
	const struct refusal *bad = NULL;

	if (cJSON_IsString(input)) {
		read_text(q, input->valuestring, true);
		return NULL;
	}
	if (!cJSON_IsArray(input) || !input->child)
		return &missing;
	cJSON_ArrayForEach(item, input)
		bad = bad ? bad : read_item(q, item);
	return bad;
}

static const struct refusal *read_responses(struct question *q, const struct request *r)
{
	static const struct refusal unknown = {"unsupported_parameter",
					       "Unknown parameter: 'messages'.", "messages", 0, 0};
	static const struct refusal not_stored = {
		"bad_request", "Background mode requires the response to be stored.", "store", 0,
		0};
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(q->body, "text");
	const cJSON *format = cJSON_GetObjectItemCaseSensitive(text, "format");
	const char *type = field_text(format, "type"),
		   *system = field_text(q->body, "instructions");

	if (cJSON_HasObjectItem(q->body, "messages"))
		return &unknown;
	if (system)
		read_text(q, system, false);
	q->max_tokens = (long)field_number(q->body, "max_output_tokens", 0);
	q->schema = cJSON_GetObjectItemCaseSensitive(format, "schema");
	q->wants_json = type && strcmp(type, "text") != 0;
	q->is_stream = field_bool(q->body, "stream");
	q->is_background = field_bool(q->body, "background");
	if (q->is_background && !field_bool(q->body, "store"))
		return &not_stored;
	return read_input(q);
}

static bool is_refused(const struct answer *a)
{
	return a->finish == FINISH_REFUSAL;
}

static const char *status_of(const struct answer *a)
{
	return a->finish == FINISH_LENGTH || a->finish == FINISH_FILTER ? "incomplete"
									: "completed";
}

static void add_part(struct buf *out, const struct answer *a, struct str text)
{
	buf_add_text(out, is_refused(a) ? "{\"type\":\"refusal\",\"refusal\":"
					: "{\"type\":\"output_text\",\"annotations\":[],\"text\":");
	add_quoted(out, text);
	buf_add_char(out, '}');
}

static void add_output(struct buf *out, const struct answer *a)
{
	if (a->reasoning.len) {
		buf_printf(out,
			   "{\"type\":\"reasoning\",\"id\":\"rs_sim_%llu\",\"summary\":"
			   "[{\"type\":\"summary_text\",\"text\":",
			   (unsigned long long)a->number);
		add_quoted(out, a->reasoning);
		buf_add_text(out, "}]},");
	}
	buf_printf(out,
		   "{\"type\":\"message\",\"id\":\"msg_sim_%llu\",\"role\":\"assistant\","
		   "\"status\":\"%s\",\"content\":[",
		   (unsigned long long)a->number, status_of(a));
	add_part(out, a, a->text);
	buf_add_text(out, "]}");
}

/* The response object, as it is before (status in_progress) and after the answer. */
static void add_response(struct buf *out, const struct question *q, const struct answer *a,
			 const char *status)
{
	bool is_over = strcmp(status, "in_progress") != 0;
	const struct usage *u = &a->usage;

	buf_printf(out,
		   "{\"id\":\"resp_sim_%llu\",\"object\":\"response\",\"created_at\":%ld,"
		   "\"status\":\"%s\",\"error\":null,\"incomplete_details\":",
		   (unsigned long long)a->number, a->created, status);
	if (is_over && strcmp(status, "incomplete") == 0)
		buf_printf(out, "{\"reason\":\"%s\"}",
			   a->finish == FINISH_LENGTH ? "max_output_tokens" : "content_filter");
	else
		buf_add_text(out, "null");
	buf_add_text(out, ",\"model\":");
	add_quoted(out, str_of(q->model));
	buf_add_text(out, ",\"output\":[");
	if (is_over)
		add_output(out, a);
	buf_add_text(out, "],\"usage\":");
	if (is_over)
		buf_printf(
			out,
			"{\"input_tokens\":%ld,\"input_tokens_details\":{\"cached_tokens\":%ld,"
			"\"cache_write_tokens\":0},\"output_tokens\":%ld,\"output_tokens_details\":"
			"{\"reasoning_tokens\":%ld},\"total_tokens\":%ld}}",
			u->input, u->cached, u->output, u->reasoning, u->input + u->output);
	else
		buf_add_text(out, "null}");
}

static void answer_responses(struct reply *reply, const struct question *q, const struct answer *a)
{
	struct buf *out = buf_in(reply->arena), *before = buf_in(reply->arena);

	add_response(out, q, a, status_of(a));
	add_response(before, q, a, "in_progress");
	if (q->is_background) {
		background_keep(a->number, now_ms() + reply->delay_ms,
				arena_str(reply->arena, buf_str(before)).ptr,
				arena_str(reply->arena, buf_str(out)).ptr);
		reply->delay_ms = 0;
	}
	reply_json(reply, 200, q->is_background ? before : out);
}

/* ---- streams ---- */

static void event(struct reply *reply, const char *type, struct str data)
{
	struct buf *out = buf_in(reply->arena);

	buf_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%zu", type, type,
		   reply->piece_count);
	buf_add_str(out, data);
	buf_add_text(out, "}\n\n");
	reply_piece(reply, buf_str(out));
}

static void response_event(struct reply *reply, const struct question *q, const struct answer *a,
			   const char *status)
{
	bool is_over = strcmp(status, "in_progress") != 0;
	struct buf *out = buf_in(reply->arena);

	buf_add_text(out, ",\"response\":");
	add_response(out, q, a, status);
	if (!is_over)
		event(reply, "response.created", buf_str(out));
	event(reply, arena_printf(reply->arena, "response.%s", status), buf_str(out));
}

static void text_event(struct reply *reply, const struct answer *a, const char *what,
		       struct str text)
{
	struct buf *out = buf_in(reply->arena);
	const char *kind = is_refused(a) ? "refusal" : "output_text";
	const char *field = strcmp(what, "delta") == 0 ? "delta"
			    : is_refused(a)            ? "refusal"
						       : "text";

	buf_printf(out,
		   ",\"item_id\":\"msg_sim_%llu\",\"output_index\":%d,\"content_index\":0,\"%s\":",
		   (unsigned long long)a->number, a->reasoning.len ? 1 : 0, field);
	add_quoted(out, text);
	event(reply, arena_printf(reply->arena, "response.%s.%s", kind, what), buf_str(out));
}

static void item_event(struct reply *reply, const char *what, int index, const char *item)
{
	event(reply, what,
	      str_of(arena_printf(reply->arena, ",\"output_index\":%d,\"item\":{%s}", index,
				  item)));
}

static void stream_reasoning(struct reply *reply, const struct answer *a)
{
	struct buf *out = buf_in(reply->arena);

	item_event(reply, "response.output_item.added", 0, "\"type\":\"reasoning\",\"summary\":[]");
	buf_add_text(out, ",\"output_index\":0,\"summary_index\":0,\"delta\":");
	add_quoted(out, a->reasoning);
	event(reply, "response.reasoning_summary_text.delta", buf_str(out));
	item_event(reply, "response.output_item.done", 0, "\"type\":\"reasoning\",\"summary\":[]");
}

static void stream_responses(struct reply *reply, const struct question *q, const struct answer *a)
{
	int index = a->reasoning.len ? 1 : 0;
	struct buf *part = buf_in(reply->arena);
	struct str rest = a->text;

	response_event(reply, q, a, "in_progress");
	if (a->reasoning.len)
		stream_reasoning(reply, a);
	item_event(reply, "response.output_item.added", index,
		   "\"type\":\"message\",\"role\":\"assistant\",\"content\":[]");
	buf_printf(part, ",\"output_index\":%d,\"content_index\":0,\"part\":", index);
	add_part(part, a, STR(""));
	event(reply, "response.content_part.added", buf_str(part));
	while (rest.len)
		text_event(reply, a, "delta", next_word(&rest));
	text_event(reply, a, "done", a->text);
	item_event(reply, "response.output_item.done", index,
		   "\"type\":\"message\",\"role\":\"assistant\"");
	response_event(reply, q, a, status_of(a));
}

static struct str error_event_responses(struct arena *a, const struct refusal *r, int status)
{
	const struct error_kind *kind = error_kind_find(r->kind);
	struct buf *out = buf_in(a);

	buf_add_text(out, "event: error\ndata: {\"type\":\"error\",\"code\":");
	add_quoted(out, str_of(kind->openai_code ? kind->openai_code : kind->openai_type));
	buf_add_text(out, ",\"message\":");
	add_quoted(out, str_of(r->message ? r->message : kind->message));
	buf_add_text(out, ",\"param\":null,\"sequence_number\":3}\n\n");
	return buf_str(out);
}

const struct format format_responses = {
	.name = "responses",
	.read = read_responses,
	.answer = answer_responses,
	.stream = stream_responses,
	.error = openai_error,
	.error_event = error_event_responses,
	.request_id_header = "x-request-id",
};
