/* Faults and scripted answers: queued over HTTP, taken by the first request that each fits. */
#include "simulator.h"

#include <stdlib.h>

static const struct {
	const char *name;
	enum fault_kind kind;
} kinds[] = {
	{"answer",       FAULT_ANSWER      },
	{"error",        FAULT_ERROR       },
	{"cut",          FAULT_CUT         },
	{"reset",        FAULT_RESET       },
	{"hang",         FAULT_HANG        },
	{"slow",         FAULT_SLOW        },
	{"garbage",      FAULT_GARBAGE     },
	{"html",         FAULT_HTML        },
	{"length",       FAULT_LENGTH      },
	{"huge",         FAULT_HUGE        },
	{"stream_error", FAULT_STREAM_ERROR},
	{"stream_cut",   FAULT_STREAM_CUT  },
	{"empty",        FAULT_EMPTY       },
};

static const char *const fields[] = {
	"do",       "name",  "path",        "format",   "model",  "contains",     "call",
	"nth",      "times", "probability", "delay_ms", "gap_ms", "status",       "headers",
	"body",     "text",  "reasoning",   "finish",   "usage",  "after",        "bytes",
	"every_ms", "kind",  "message",     "param",    "length", "content_type", "retry_after_ms",
};

static struct fault *first, **last = &first, *cleared;

static const char *check_fields(struct arena *a, const cJSON *json)
{
	const cJSON *field;

	cJSON_ArrayForEach(field, json) {
		size_t i = 0;
		while (i < ARRAY_LEN(fields) && strcmp(fields[i], field->string) != 0)
			i++;
		if (i == ARRAY_LEN(fields))
			return arena_printf(a, "a fault has no field '%s'", field->string);
	}
	return NULL;
}

static const char *check(struct arena *a, const cJSON *json, enum fault_kind *kind)
{
	const char *name = field_text(json, "do") ? field_text(json, "do") : "answer";
	const char *error = field_text(json, "kind");
	const char *bad = check_fields(a, json);
	size_t i = 0;

	if (bad)
		return bad;
	while (i < ARRAY_LEN(kinds) && strcmp(kinds[i].name, name) != 0)
		i++;
	if (i == ARRAY_LEN(kinds))
		return arena_printf(a, "there is no fault '%s'", name);
	*kind = kinds[i].kind;
	if ((*kind == FAULT_ERROR || *kind == FAULT_STREAM_ERROR || error) &&
	    !error_kind_find(error))
		return arena_printf(a, "there is no kind of error '%s'", error ? error : "");
	return NULL;
}

static const char *add(struct arena *a, const cJSON *json)
{
	enum fault_kind kind = FAULT_ANSWER;
	const char *bad =
		cJSON_IsObject(json) ? check(a, json, &kind) : "a fault must be an object";
	struct fault *f;

	if (bad)
		return bad;
	f = xmalloc(sizeof *f);
	f->json = cJSON_Duplicate(json, true);
	f->kind = kind;
	f->name = field_text(f->json, "name");
	if (!f->name)
		f->name = field_text(f->json, "do") ? field_text(f->json, "do") : "answer";
	f->skip = (long)field_number(json, "nth", 1) - 1;
	f->left = (long)field_number(json, "times", 1);
	*last = f;
	last = &f->next;
	return NULL;
}

const char *faults_add(struct arena *a, struct str body)
{
	const cJSON *json = parse_json(a, body), *item;
	const char *bad = json ? NULL : "the body is not JSON";

	if (!cJSON_IsArray(json))
		return bad ? bad : add(a, json);
	cJSON_ArrayForEach(item, json) {
		bad = add(a, item);
		if (bad)
			return bad;
	}
	return NULL;
}

static bool text_fits(const struct fault *f, const char *field, struct str in)
{
	const char *wanted = field_text(f->json, field);

	return !wanted || (in.len && memmem(in.ptr, in.len, wanted, strlen(wanted)) != NULL);
}

static bool fits(const struct fault *f, const struct exchange *x, const char *format,
		 const struct question *q)
{
	const char *wanted_format = field_text(f->json, "format");
	const char *wanted_call = field_text(f->json, "call");
	const char *call = request_header(&x->request, "x-client-request-id");

	if (f->left == 0 || (wanted_format && strcmp(wanted_format, format) != 0))
		return false;
	if (wanted_call && (!call || strncmp(call, wanted_call, strlen(wanted_call)) != 0))
		return false;
	return text_fits(f, "path", str_of(x->request.path)) &&
	       text_fits(f, "model", str_of(q->model)) && text_fits(f, "contains", x->request.body);
}

struct fault *faults_match(const struct exchange *x, const char *format, const struct question *q)
{
	for (struct fault *f = first; f; f = f->next) {
		if (!fits(f, x, format, q))
			continue;
		if (f->skip > 0) {
			f->skip--;
			continue;
		}
		if (random_unit() > field_number(f->json, "probability", 1))
			continue;
		if (f->left > 0)
			f->left--;
		f->hits++;
		return f;
	}
	return NULL;
}

/* The old ones are kept, since requests under way and the ledger look at them. */
void faults_clear(void)
{
	*last = cleared;
	cleared = first;
	first = NULL;
	last = &first;
}

void faults_print(struct buf *out)
{
	buf_add_char(out, '[');
	for (const struct fault *f = first; f; f = f->next) {
		buf_add_text(out, "{\"name\":");
		add_quoted(out, str_of(f->name));
		buf_printf(out, ",\"hits\":%llu,\"left\":%ld}%s", (unsigned long long)f->hits,
			   f->left, f->next ? "," : "");
	}
	buf_add_char(out, ']');
}

/* ---- what they do to a reply ---- */

/* The status, headers, content type and body that the fault gives, where it gives them. */
static void overlay(const struct fault *f, struct reply *reply)
{
	const cJSON *headers = cJSON_GetObjectItemCaseSensitive(f->json, "headers"), *h;
	const cJSON *body = cJSON_GetObjectItemCaseSensitive(f->json, "body");
	const char *type = field_text(f->json, "content_type");

	reply->status = (int)field_number(f->json, "status", reply->status);
	reply->delay_ms = field_number(f->json, "delay_ms", reply->delay_ms);
	reply->gap_ms = field_number(f->json, "gap_ms", reply->gap_ms);
	cJSON_ArrayForEach(h, headers)
		if (cJSON_IsString(h))
			reply_header(reply, h->string, h->valuestring);
	if (body) {
		char *text = cJSON_IsString(body) ? NULL : cJSON_PrintUnformatted(body);
		reply->is_stream = false;
		reply->content_type = "application/json";
		reply->piece_count = 0;
		reply_piece(reply,
			    str_of(arena_strdup(reply->arena, text ? text : body->valuestring)));
		cJSON_free(text);
	}
	if (type)
		reply->content_type = type;
}

static void only_piece(struct reply *reply, int status, const char *type, struct str piece)
{
	reply->status = status;
	reply->content_type = type;
	reply->is_stream = false;
	reply->piece_count = 0;
	reply_piece(reply, piece);
}

bool fault_replaces(const struct fault *f, struct reply *reply, const struct format *format,
		    struct refusal *refusal)
{
	if (f->kind != FAULT_ERROR)
		return false;
	*refusal = (struct refusal){
		.kind = field_text(f->json, "kind"),
		.message = field_text(f->json, "message"),
		.param = field_text(f->json, "param"),
		.status = (int)field_number(f->json, "status", 0),
		.retry_after_ms = field_number(f->json, "retry_after_ms", 0),
	};
	reply_refusal(reply, format, refusal);
	return true;
}

/* Keeps the first pieces of a stream; the rest, with its proper end, never comes. */
static void break_stream(const struct fault *f, struct reply *reply, const struct format *format)
{
	size_t after = (size_t)field_number(f->json, "after", 2);
	struct refusal refusal = {.kind = field_text(f->json, "kind"),
				  .message = field_text(f->json, "message")};

	if (!reply->is_stream)
		return;
	reply->piece_count = size_min(after, reply->piece_count);
	if (f->kind == FAULT_STREAM_ERROR)
		reply_piece(reply, format->error_event(reply->arena, &refusal,
						       refusal_status(&refusal, format)));
}

static void change(const struct fault *f, struct reply *reply, const struct format *format)
{
	switch (f->kind) {
	case FAULT_GARBAGE:
		only_piece(reply, 200, "application/json",
			   STR("{\"id\":\"SIMULATED\",\"choices\":[{\"\x01\xff"));
		break;
	case FAULT_HTML:
		only_piece(reply, 502, "text/html; charset=UTF-8",
			   STR("<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>"
			       "<body><h1>502 Bad Gateway</h1><p>SIMULATED</p></body></html>\n"));
		break;
	case FAULT_EMPTY:
		only_piece(reply, 200, "application/json", STR(""));
		break;
	case FAULT_LENGTH:
		reply->content_length = (long)field_number(f->json, "length", 100000);
		reply->is_stream = false;
		break;
	case FAULT_STREAM_ERROR:
	case FAULT_STREAM_CUT:
		break_stream(f, reply, format);
		break;
	case FAULT_ANSWER:
	case FAULT_ERROR:
	case FAULT_CUT:
	case FAULT_RESET:
	case FAULT_HANG:
	case FAULT_SLOW:
	case FAULT_HUGE:
		break;
	}
}

void fault_change(const struct fault *f, struct reply *reply, const struct format *format)
{
	if (f->kind == FAULT_HUGE)
		reply->is_stream = false;
	change(f, reply, format);
	overlay(f, reply);
}
