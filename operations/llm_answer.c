#include "operations/llm_answer.h"

static void set_count(struct arena *a, cJSON *object, const char *name, uint64_t count)
{
	json_set_number(a, object, name, (double)count);
}

static uint64_t get_count(const cJSON *object, const char *name)
{
	double number = json_get_number(object, name, 0);

	return number > 0 ? (uint64_t)number : 0;
}

struct str llm_answer_print(const struct llm_stored *stored, struct arena *a)
{
	const struct llm_answer *answer = &stored->answer;
	cJSON *object = json_object(a), *usage = json_object(a);

	json_set_str(a, object, "text", answer->text);
	if (answer->reasoning.len)
		json_set_str(a, object, "reasoning", answer->reasoning);
	set_count(a, object, "finish", answer->finish);
	json_set_text(a, object, "detail", answer->detail);
	json_set_text(a, object, "requestId", answer->request_id);
	json_set_text(a, object, "model", answer->model);
	set_count(a, object, "candidate", stored->candidate);
	set_count(a, object, "ms", stored->latency_ms);
	if (answer->usage.known) {
		set_count(a, usage, "input", answer->usage.input);
		set_count(a, usage, "output", answer->usage.output);
		set_count(a, usage, "reasoning", answer->usage.reasoning);
		set_count(a, usage, "cached", answer->usage.cached);
		set_count(a, usage, "cacheWrite", answer->usage.cache_write);
		json_set(a, object, "usage", usage);
	}
	return json_print(a, object);
}

bool llm_answer_parse(struct str text, struct arena *a, struct llm_stored *stored)
{
	struct error err;
	const cJSON *object = json_parse(a, text, &err), *usage = json_get(object, "usage");
	uint64_t finish = get_count(object, "finish");

	if (!json_get_text(object, "text") || finish > FINISH_BROKEN)
		return false;
	*stored = (struct llm_stored){
		.answer = {.text = str_of(json_get_text(object, "text")),
			   .reasoning = str_of(json_get_text(object, "reasoning")),
			   .finish = (enum llm_finish)finish,
			   .detail = json_get_text(object, "detail"),
			   .request_id = json_get_text(object, "requestId"),
			   .model = json_get_text(object, "model")},
		.candidate = (uint32_t)get_count(object, "candidate"),
		.latency_ms = get_count(object, "ms"),
	};
	stored->answer.usage = (struct llm_usage){
		.known = usage,
		.input = get_count(usage, "input"),
		.output = get_count(usage, "output"),
		.reasoning = get_count(usage, "reasoning"),
		.cached = get_count(usage, "cached"),
		.cache_write = get_count(usage, "cacheWrite"),
	};
	return true;
}
