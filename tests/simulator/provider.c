/* A request at the provider's door: who may come in, and what is answered. */
#include "simulator.h"

#include <math.h>

static const struct {
	const char *end; /* of the path */
	const struct format *format;
} routes[] = {
	{"/chat/completions",      &format_chat     },
	{"/responses",             &format_responses},
	{"/messages",              &format_messages },
	{":generateContent",       &format_gemini   },
	{":streamGenerateContent", &format_gemini   },
};

const struct format *format_find(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		size_t end = strlen(routes[i].end);
		if (len >= end && strcmp(path + len - end, routes[i].end) == 0)
			return routes[i].format;
	}
	return NULL;
}

/* ---- errors ---- */

int refusal_status(const struct refusal *r, const struct format *f)
{
	const struct error_kind *kind = error_kind_find(r->kind);

	if (r->status)
		return r->status;
	if (f == &format_messages)
		return kind->anthropic_status;
	return f == &format_gemini ? kind->google_status : kind->status;
}

void reply_refusal(struct reply *reply, const struct format *f, const struct refusal *r)
{
	struct buf *body = buf_in(reply->arena);
	int status = refusal_status(r, f);

	f->error(body, r, status);
	reply_json(reply, status, body);
	if (r->retry_after_ms <= 0 || f == &format_gemini) /* Gemini says it in the body */
		return;
	buf_printf(reply->headers, "retry-after: %.0f\r\n", ceil(r->retry_after_ms / 1000));
	if (f != &format_messages)
		buf_printf(reply->headers, "retry-after-ms: %.0f\r\n", ceil(r->retry_after_ms));
}

/* ---- the door ---- */

bool list_has(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == len && strncmp(at, name, len) == 0)
			return true;
	return !list;
}

static bool key_is_good(const struct request *r)
{
	static const char *const names[] = {"x-api-key", "x-goog-api-key", "api-key"};
	const char *bearer = request_header(r, "authorization");

	if (!options.keys)
		return true;
	if (bearer && strncmp(bearer, "Bearer ", 7) == 0 && list_has(options.keys, bearer + 7))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *key = request_header(r, names[i]);
		if (key && list_has(options.keys, key))
			return true;
	}
	return false;
}

/* The model is named in the body, or in the path: …/models/<model>:generateContent. */
static const char *model_of(struct arena *a, const struct request *r, const cJSON *body)
{
	static const char before[] = "/models/";
	const char *at = strstr(r->path, before);

	if (!at)
		return field_text(body, "model") ? field_text(body, "model") : "";
	at += sizeof before - 1;
	return arena_strndup(a, at, strcspn(at, ":"));
}

static const struct refusal bad_key = {"invalid_key", "SIMULATED: Incorrect API key provided.",
				       NULL, 0, 0};

static const struct refusal *read_question(struct question *q, const struct format *f,
					   const struct request *r)
{
	static const struct refusal bad_json = {
		"bad_request", "SIMULATED: We could not parse the JSON body of your request.", NULL,
		0, 0};
	static const struct refusal no_model = {
		"bad_request", "SIMULATED: you must provide a model parameter", "model", 0, 0};
	static const struct refusal unknown_model = {
		"not_found", "SIMULATED: The model does not exist or you do not have access to it.",
		"model", 0, 0};

	if (!key_is_good(r))
		return &bad_key;
	if (!cJSON_IsObject(q->body))
		return &bad_json;
	if (!*q->model)
		return &no_model;
	if (!list_has(options.models, q->model))
		return &unknown_model;
	return f->read(q, r);
}

/* ---- answers ---- */

/* Log-normal, with 98 % between the two ends and the rest at them. */
static double random_delay(void)
{
	static const double two_pi = 6.283185307179586, z98 = 2.326;
	double from = options.delay_from, to = options.delay_to, middle, spread, normal;

	if (to <= from || from <= 0)
		return from;
	middle = (log(from) + log(to)) / 2;
	spread = (log(to) - log(from)) / (2 * z98);
	normal = sqrt(-2 * log(random_unit())) * cos(two_pi * random_unit());
	return fmin(to, fmax(from, exp(middle + spread * normal)));
}

/* A stream starts after half of the delay and spends the rest between its pieces. */
static void set_delays(struct reply *reply)
{
	double delay = random_delay();

	reply->delay_ms = reply->is_stream ? delay / 2 : delay;
	if (reply->is_stream && reply->piece_count > 1)
		reply->gap_ms = delay / 2 / (double)(reply->piece_count - 1);
}

static void make_answer(struct reply *reply, const struct format *f, const struct question *q,
			const struct fault *fault, struct record *record)
{
	struct answer answer = answer_make(q, fault, record->number);

	if (q->is_background)
		reply->delay_ms = random_delay();
	record->usage = answer.usage;
	if (q->is_stream) {
		reply->is_stream = true;
		reply->content_type = "text/event-stream; charset=utf-8";
		f->stream(reply, q, &answer);
	} else {
		f->answer(reply, q, &answer);
	}
}

static struct fault *make_reply(struct reply *reply, const struct format *f, struct question *q,
				struct exchange *x, const struct refusal *bad)
{
	struct record *record = x->owner_data;
	struct refusal refusal;
	struct fault *fault = NULL;

	if (!limits_admit(record, q, f, reply, &refusal))
		bad = &refusal;
	else
		fault = faults_match(x, f->name, q);
	if (bad && !fault)
		reply_refusal(reply, f, bad);
	else if (!fault || !fault_replaces(fault, reply, f, &refusal))
		make_answer(reply, f, q, fault, record);
	if (!q->is_background)
		set_delays(reply);
	if (fault)
		fault_change(fault, reply, f);
	return fault;
}

/* Lists of models: keys count here too, and so do faults that name the path. */
static void handle_models(struct exchange *x, struct reply *reply, struct question *q)
{
	const struct request *r = &x->request;
	const struct format *f = strncmp(r->path, "/v1beta/", 8) == 0     ? &format_gemini
				 : request_header(r, "anthropic-version") ? &format_messages
									  : &format_chat;
	static const struct refusal no_route = {"not_found", "SIMULATED: no such route", NULL, 0,
						0};
	struct refusal refusal;
	struct fault *fault;

	q->model = "";
	fault = faults_match(x, "models", q);
	if (!key_is_good(r))
		reply_refusal(reply, f, &bad_key);
	else if (!background_handle(x, reply) && !models_handle(x, reply))
		reply_refusal(reply, &format_chat, &no_route);
	else if (fault)
		(void)fault_replaces(fault, reply, f, &refusal);
	if (fault)
		fault_change(fault, reply, f);
	deliver(&x->script, reply, fault);
}

void provider_handle(struct exchange *x, struct reply *reply)
{
	const struct format *f = format_find(x->request.path);
	struct question q = {.arena = x->arena, .body = parse_json(x->arena, x->request.body)};
	const struct refusal *bad;
	struct record *record;
	struct fault *fault;

	if (!f || strcmp(x->request.method, "POST") != 0) {
		handle_models(x, reply, &q);
		return;
	}
	q.model = model_of(x->arena, &x->request, q.body);
	bad = read_question(&q, f, &x->request);
	record = x->owner_data = ledger_add(x, f->name, &q);
	reply_header(reply, f->request_id_header,
		     arena_printf(x->arena, "req_sim_%llu", (unsigned long long)record->number));
	fault = make_reply(reply, f, &q, x, bad);
	record->fault = fault ? fault->name : NULL;
	record->status = reply->status;
	if (reply->status != 200)
		record->usage = (struct usage){0};
	deliver(&x->script, reply, fault);
}

void provider_ended(struct exchange *x)
{
	if (x->owner_data)
		ledger_end(x->owner_data, x);
}
