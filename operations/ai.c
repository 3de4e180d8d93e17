#include "operations/ai.h"

#include "common/config.h"
#include "operations/services.h"

#include <math.h>

static task_step read_files, ask, answered, repaired;

/* ---- the envelope ---- */

static double dollars(uint64_t nano)
{
	return (double)nano / 1e9;
}

static cJSON *usage_json(const struct op_call *op)
{
	const struct op_usage *u = &op->usage;
	struct arena *a = op->arena;
	cJSON *usage = json_object(a);

	json_set_number(a, usage, "inputTokens", (double)u->input_tokens);
	json_set_number(a, usage, "outputTokens", (double)u->output_tokens);
	json_set_number(a, usage, "reasoningTokens", (double)u->reasoning_tokens);
	json_set_number(a, usage, "cachedInputTokens", (double)u->cached_tokens);
	json_set_number(a, usage, "totalTokens", (double)(u->input_tokens + u->output_tokens));
	return usage;
}

static cJSON *cost_json(const struct op_call *op, const struct ai_state *s)
{
	struct arena *a = op->arena;
	cJSON *cost = json_object(a);
	uint64_t input = s->first.cost.input_nano + s->second.cost.input_nano;
	uint64_t output = s->first.cost.output_nano + s->second.cost.output_nano;
	bool known = op->usage.calls == 0 || !op->usage.cost_unknown;

	json_set_number(a, cost, "input", dollars(input));
	json_set_number(a, cost, "output", dollars(output));
	json_set_number(a, cost, "total", dollars(input + output));
	json_set_text(a, cost, "currency", "USD");
	json_set_bool(a, cost, "known", known);
	return cost;
}

/* No call was made for it. */
static bool is_from_cache(const struct ai_state *s)
{
	return s->first.cached && (s->llm == &s->first || s->second.cached);
}

static cJSON *envelope(const struct op_call *op, const struct ai_state *s, const char *content,
		       const char *finish)
{
	struct arena *a = op->arena;
	cJSON *result = json_object(a);
	const struct llm_call *llm = s->llm;
	const struct llm_choice *choice = &s->request.choices[0];

	json_set_text(a, result, "content", content);
	json_set(a, result, "data", s->output.data ? s->output.data : json_null(a));
	json_set_text(a, result, "reasoning", s->output.reasoning);
	json_set_text(a, result, "finishReason", finish);
	json_set_text(a, result, "provider", llm ? llm->target.config->id : choice->provider);
	json_set_text(a, result, "model", llm ? llm->target.model_id : choice->model);
	json_set(a, result, "usage", usage_json(op));
	json_set(a, result, "cost", cost_json(op, s));
	json_set_number(a, result, "latencyMs",
			(double)(s->first.latency_ms + s->second.latency_ms));
	json_set_number(a, result, "attempts", s->first.attempts + s->second.attempts);
	json_set_bool(a, result, "cached", is_from_cache(s));
	json_set_text(a, result, "requestId", llm ? llm->answer.request_id : NULL);
	json_set_text(a, result, "inputHash", s->hash);
	json_set(a, result, "warnings", s->warnings);
	return result;
}

static void warn(const struct op_call *op, struct ai_state *s, const char *text)
{
	json_push(s->warnings, json_text(op->arena, text));
}

static enum task_next finish(struct op_call *op, const char *content, const char *reason)
{
	struct ai_state *s = op->state;

	op->result = s->request.content_only ? json_text(op->arena, content)
					     : envelope(op, s, content, reason);
	return task_end(&op->task);
}

static enum task_next skip(struct op_call *op, const char *why)
{
	warn(op, op->state, why);
	return finish(op, NULL, "skipped");
}

/* ---- the steps ---- */

enum task_next ai_begin(struct task *t, const struct ai_kind *kind)
{
	struct op_call *op = op_of(t);
	struct ai_state *s = op->state;
	struct error err;

	s->warnings = json_array(op->arena);
	if (!op->use->config->ai_enabled)
		return task_fail(t, ERR_AI_DISABLED, "AI is switched off: AI_ENABLED is false");
	if (!ai_options_read(op, kind, s->warnings, &s->request, &err))
		return task_fail_as(t, &err);
	s->hash = ai_options_hash(&s->request, op->arena);
	op->question = s->hash;
	if (s->request.skip_if_empty && ai_options_empty(&s->request))
		return skip(op, "empty");
	op->unchanged = s->request.skip_if_hash && strcmp(s->request.skip_if_hash, s->hash) == 0;
	if (op->unchanged)
		return skip(op, "unchanged");
	return task_go(t, read_files);
}

static enum task_next read_files(struct task *t)
{
	struct op_call *op = op_of(t);
	struct ai_state *s = op->state;
	struct llm_target target;
	struct error err;

	if (!json_count(s->request.attachments))
		return task_go(t, ask);
	/* What is wrong with the model should not cost a download. */
	if (s->request.wish.choice_count == 1) {
		if (!llm_target(op->use, &s->request.choices[0], op->arena, &target, &err))
			return task_fail_as(t, &err);
		if (!target.model->attachment)
			return task_fail(t, ERR_ATTACHMENT_UNSUPPORTED,
					 "model '%s' takes no attachments: choose another model, "
					 "or leave out option 'attachments'",
					 target.model->id);
	}
	attachments_start(&s->files, op, s->request.attachments, s->request.resize);
	return task_await(t, &s->files.task.call, ask);
}

static bool write_question(void *arg, const struct llm_target *target, struct llm_question *q,
			   struct error *err)
{
	return ai_prompt_write(arg, target, q, err);
}

static enum task_next ask(struct task *t)
{
	struct op_call *op = op_of(t);
	struct ai_state *s = op->state;

	s->prompt = (struct ai_prompt){.request = &s->request,
				       .files = s->files.parts,
				       .file_count = s->files.count,
				       .system_default = op->use->config->ai_system_prompt,
				       .arena = op->arena};
	s->request.wish.ask = write_question;
	s->request.wish.arg = &s->prompt;
	s->request.wish.stream = op->piece != NULL;
	s->request.wish.cache_ms = s->request.cache_ms;
	if (s->request.cache_ms && !op->journal->has_cache && !op->use->dry_run)
		warn(op, s, "option 'cache': there is no cache without Redis");
	s->llm = &s->first;
	llm_start(&s->first, op, &s->request.wish, s->warnings, 0);
	return task_await_either(t, &s->first.task.call, answered);
}

static enum task_next failed(struct op_call *op, const struct error *err)
{
	struct ai_state *s = op->state;

	op->error_extra = llm_error_extra(s->llm, op->arena);
	return task_fail_as(&op->task, err);
}

static enum task_next done(struct op_call *op)
{
	struct ai_state *s = op->state;

	if (s->output.truncated)
		warn(op, s, "the answer was cut off at maxTokens");
	if (s->output.cut)
		warn(op, s, "the answer was cut to maxLength");
	return finish(op, s->output.content, finish_name(s->llm->answer.finish));
}

static enum task_next ask_again(struct op_call *op)
{
	struct ai_state *s = op->state;

	s->llm = &s->second;
	llm_start(&s->second, op, &s->request.wish, s->warnings, s->first.last_n);
	return task_await_either(&op->task, &s->second.task.call, repaired);
}

static enum task_next repair(struct op_call *op, const struct error *err)
{
	struct ai_state *s = op->state;
	const struct llm_answer *answer = &s->first.answer;

	s->prompt.repair = (struct ai_repair){
		arena_strndup(op->arena, answer->text.ptr, answer->text.len),
		arena_printf(op->arena,
			     "That will not do: %s. Give the whole answer again, put right, "
			     "and nothing else.",
			     err->text)};
	return ask_again(op);
}

static enum task_next answered(struct task *t)
{
	struct op_call *op = op_of(t);
	struct ai_state *s = op->state;
	struct error err;

	if (s->first.task.call.err.code != ERR_OK)
		return failed(op, &s->first.task.call.err);
	if (op->use->dry_run)
		return finish(op, "", "stop");
	if (ai_output_read(&s->request, &s->first, false, &s->output, &err))
		return done(op);
	return err.code == ERR_INVALID_OUTPUT ? repair(op, &err) : failed(op, &err);
}

static enum task_next repaired(struct task *t)
{
	struct op_call *op = op_of(t);
	struct ai_state *s = op->state;
	struct error err;

	if (s->second.task.call.err.code != ERR_OK)
		return failed(op, &s->second.task.call.err);
	if (ai_output_read(&s->request, &s->second, true, &s->output, &err))
		return done(op);
	if (!s->second.cached)
		return failed(op, &err);
	s->request.wish.cache_renew = true; /* what another job was given is no better */
	return ask_again(op);
}
