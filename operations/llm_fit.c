/* operations/llm_fit.c: what a model can take: a question is made to fit it before it is sent, and
 * refused where that is not possible, before it costs anything. */
#include "operations/llm_own.h"
#include "operations/services.h"
#include "operations/tokens.h"

#include <stdarg.h>
#include <stdio.h>

enum { MAX_TOKENS_DEFAULT = 1024, MAX_TOKENS_REASONING = 16000, STREAM_ABOVE = 8192 };

void llm_warn(struct llm_call *c, const char *format, ...)
{
	char text[256];
	const cJSON *there;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_each(there, c->warnings) {
		if (strcmp(there->valuestring, text) == 0)
			return;
	}
	json_push(c->warnings, json_text(c->op->arena, text));
}

/* ---- fields that may be left out ---- */

enum llm_field { TEMPERATURE, TOP_P, FREQUENCY_PENALTY, PRESENCE_PENALTY, STOP, EFFORT };

static const struct {
	const char *name;    /* the option */
	const char *wire[3]; /* its names on the wires */
} fields[] = {
	[TEMPERATURE] = {"temperature",      {"temperature"}                                     },
	[TOP_P] = {"topP",             {"top_p", "topP"}                                   },
	[FREQUENCY_PENALTY] = {"frequencyPenalty", {"frequency_penalty", "frequencyPenalty"}           },
	[PRESENCE_PENALTY] = {"presencePenalty",  {"presence_penalty", "presencePenalty"}             },
	[STOP] = {"stop",             {"stop_sequences", "stopSequences", "'stop'"}       },
	[EFFORT] = {"reasoningEffort",  {"reasoning_effort", "reasoning.effort", "thinking"}},
};

static struct maybe *number_of(struct llm_question *q, enum llm_field f)
{
	switch (f) {
	case TEMPERATURE:
		return &q->temperature;
	case TOP_P:
		return &q->top_p;
	case FREQUENCY_PENALTY:
		return &q->frequency_penalty;
	case PRESENCE_PENALTY:
		return &q->presence_penalty;
	case STOP:
	case EFFORT:
		break;
	}
	return NULL;
}

static bool is_sent(struct llm_question *q, enum llm_field f)
{
	const struct maybe *number = number_of(q, f);

	if (f == STOP)
		return q->stop != NULL;
	if (f == EFFORT)
		return q->effort != EFFORT_UNSET;
	return number && number->set;
}

static void leave_out(struct llm_call *c, enum llm_field f, const char *why)
{
	struct maybe *number = number_of(&c->question, f);

	if (!is_sent(&c->question, f))
		return;
	if (f == STOP)
		c->question.stop = NULL;
	else if (number)
		number->set = false;
	else
		c->question.effort = EFFORT_UNSET;
	llm_warn(c, "option '%s' was left out: %s", fields[f].name, why);
}

static bool contains(struct str text, const char *word)
{
	return memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

bool llm_can_mend(struct llm_call *c)
{
	for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
		if (!is_sent(&c->question, (enum llm_field)f) || (c->refused & (1U << f)))
			continue;
		for (size_t i = 0; i < ARRAY_LEN(fields[f].wire) && fields[f].wire[i]; i++)
			if (contains(c->http.body, fields[f].wire[i])) {
				c->refused |= 1U << f;
				return true;
			}
	}
	return false;
}

/* ---- fitting ---- */

/* Whether thinking takes a budget out of max_tokens: such calls take no sampling values. */
static bool thinks_by_budget(const struct llm_question *q)
{
	return q->model->thinking == THINKING_BUDGET && q->effort > EFFORT_MINIMAL;
}

static void fit_sampling(struct llm_call *c)
{
	struct llm_question *q = &c->question;
	enum sampling rule = q->model->sampling;
	bool never = rule == SAMPLING_NEVER ||
		     (rule == SAMPLING_WITHOUT_REASONING && q->effort != EFFORT_NONE) ||
		     (rule == SAMPLING_ONE && thinks_by_budget(q));

	for (enum llm_field f = TEMPERATURE; f <= TOP_P && never; f++)
		leave_out(c, f, "the model does not take it");
	if (rule == SAMPLING_ONE && q->temperature.set)
		leave_out(c, TOP_P, "the model takes it or 'temperature', not both");
	for (enum llm_field f = FREQUENCY_PENALTY; f <= PRESENCE_PENALTY && !q->model->penalties;
	     f++)
		leave_out(c, f, "the model does not take it");
	if (q->temperature.set && q->temperature.value > c->wire->temperature_max) {
		q->temperature.value = c->wire->temperature_max;
		llm_warn(c, "option 'temperature' was lowered to %g, the most that %s takes",
			 c->wire->temperature_max, c->target.config->id);
	}
}

static void fit_stop(struct llm_call *c)
{
	struct llm_question *q = &c->question;
	const char **list;
	size_t count = 0;

	if (!q->model->stop || c->wire->stop_max == 0)
		leave_out(c, STOP, "the model does not take it");
	while (q->stop && q->stop[count])
		count++;
	if (count <= c->wire->stop_max)
		return;
	list = arena_array(c->op->arena, const char *, (size_t)c->wire->stop_max + 1);
	memcpy(list, q->stop, c->wire->stop_max * sizeof(*list));
	q->stop = list;
	llm_warn(c, "option 'stop': only the first %u were sent", c->wire->stop_max);
}

static bool fit_effort(struct llm_call *c, struct error *err)
{
	const struct model *m = c->target.model;

	if (c->wish->reason && !m->reasoning && c->candidate == 0)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "model '%s' does not reason: leave out 'enableReasoning', or choose "
			    "another model",
			    m->id);
	if (c->wish->reason && !m->reasoning)
		llm_warn(c, "model '%s' does not reason", m->id);
	c->question.effort = model_effort(m, c->wish->reason && m->reasoning, c->wish->effort);
	return true;
}

static bool fit_max_tokens(struct llm_call *c, struct error *err)
{
	const struct model *m = c->target.model;
	uint32_t wanted = c->wish->max_tokens;

	if (!wanted)
		wanted = c->wish->reason ? MAX_TOKENS_REASONING : MAX_TOKENS_DEFAULT;
	if (c->wish->max_tokens > m->output && m->listed && c->candidate == 0)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'maxTokens' is %u, and model '%s' writes %u at most",
			    c->wish->max_tokens, m->id, m->output);
	c->question.max_tokens = wanted > m->output && m->listed ? m->output : wanted;
	return true;
}

static bool check_part(const struct llm_call *c, const struct llm_part *part, struct error *err)
{
	const struct preset *preset = c->target.endpoint.preset;

	if (part->kind == PART_TEXT)
		return true;
	if (!c->target.model->attachment)
		return fail(err, ERR_ATTACHMENT_UNSUPPORTED,
			    "model '%s' takes no attachments: choose another model, or leave out "
			    "option 'attachments'",
			    c->target.model->id);
	if (part->kind == PART_DOCUMENT && !preset->pdf_file && !preset->pdf_url)
		return fail(err, ERR_ATTACHMENT_UNSUPPORTED,
			    "provider '%s' takes no documents (%s)", c->target.config->id,
			    part->media_type);
	if (part->kind == PART_IMAGE &&
	    strlen(part->base64) / 4 * 3 > c->target.provider->image_max)
		return fail(
			err, ERR_ATTACHMENT_TOO_LARGE,
			"a picture has %zu bytes, and provider '%s' takes %u: set option 'resize'",
			strlen(part->base64) / 4 * 3, c->target.config->id,
			c->target.provider->image_max);
	return true;
}

static bool check_parts(const struct llm_call *c, struct error *err)
{
	const struct llm_question *q = &c->question;

	for (size_t i = 0; i < q->count; i++)
		for (size_t j = 0; j < q->messages[i].count; j++)
			if (!check_part(c, &q->messages[i].parts[j], err))
				return false;
	return true;
}

/* By what the step has shown; where it has shown nothing yet, by what the model has. */
static void estimate(struct llm_call *c)
{
	struct journal *j = c->op->journal;
	const struct llm_target *t = &c->target;

	c->count = tokens_of_question(&c->question, c->op->arena);
	c->known = j->methods->calibration(j, &(struct journal_entry){.step = c->op->step,
								      .provider = t->config->id,
								      .model = t->model_id,
								      .count = c->count});
	c->estimate = c->known.input ? c->known.input
				     : (uint64_t)((double)c->count.guess *
						  models_factor(c->op->use->models, t->config->id,
								t->model->id));
}

/* Estimates are up to 20 % off: only what is too long even then is refused. */
static bool check_context(struct llm_call *c, struct error *err)
{
	const struct model *m = c->target.model;
	uint64_t least, room = m->context;

	estimate(c);
	/* One that cuts without a word will not tell: there the estimate itself counts. */
	least = c->target.endpoint.preset->cuts_silently ? c->estimate : c->estimate * 10 / 12;
	if (!c->wish->max_tokens && least < room && least + c->question.max_tokens > room)
		c->question.max_tokens = (uint32_t)(room - least); /* the default was too much */
	if (least + c->question.max_tokens <= room)
		return true;
	return fail(err, ERR_CONTEXT_LENGTH,
		    "the question is about %llu tokens and the answer up to %u (maxTokens), "
		    "together more than the %u tokens of model '%s'",
		    (unsigned long long)c->estimate, c->question.max_tokens, m->context, m->id);
}

static bool check_budget(const struct llm_call *c, struct error *err)
{
	struct llm_usage most = {
		.known = true, .input = c->estimate, .output = c->question.max_tokens};
	struct cost cost = model_cost(c->target.model, &most);
	const struct op_usage *used = &c->op->usage;
	uint64_t nano = used->cost_nano + cost.input_nano + cost.output_nano;
	uint64_t tokens = used->input_tokens + used->output_tokens + most.input + most.output;

	if (c->wish->max_cost_nano && cost.known && nano > c->wish->max_cost_nano)
		return fail(err, ERR_BUDGET,
			    "the call may cost %.6f USD, and option 'budget' allows %.6f",
			    (double)nano / 1e9, (double)c->wish->max_cost_nano / 1e9);
	if (c->wish->max_tokens_total && tokens > c->wish->max_tokens_total)
		return fail(err, ERR_BUDGET,
			    "the call may take %llu tokens, and option 'budget' allows %llu",
			    (unsigned long long)tokens,
			    (unsigned long long)c->wish->max_tokens_total);
	return true;
}

static void warn_of_retirement(struct llm_call *c)
{
	char today[11];

	model_today(wall_ms(), today);
	if (model_is_retired(c->target.model, today))
		llm_warn(c, "model '%s' was to be shut down on %s", c->target.model->id,
			 c->target.model->retires);
}

/* Wanted, or so asked by an earlier run. */
static bool in_background(const struct llm_call *c)
{
	return c->wish->on_ambiguous == AMBIGUOUS_RESUME || c->handle;
}

static const struct provider *wire_of(const struct llm_call *c)
{
	const struct llm_target *t = &c->target;

	if (in_background(c) && t->provider == &provider_openai && t->endpoint.preset->responses)
		return &provider_openai_responses;
	/* Chat Completions does not know this effort. */
	if (t->provider == &provider_openai && c->question.effort == EFFORT_MAX)
		return &provider_openai_responses;
	return provider_for(t->provider, &t->endpoint, t->model);
}

bool llm_fit(struct llm_call *c, struct error *err)
{
	struct llm_question *q = &c->question;

	if (!fit_effort(c, err) || !fit_max_tokens(c, err) || !check_parts(c, err))
		return false;
	c->wire = wire_of(c);
	fit_sampling(c);
	fit_stop(c);
	for (size_t f = 0; f < ARRAY_LEN(fields); f++)
		if (c->refused & (1U << f))
			leave_out(c, (enum llm_field)f, "the provider refused it");
	q->background = in_background(c) && c->wire->background;
	q->stream = !q->background && (c->wish->stream || q->max_tokens > STREAM_ABOVE);
	warn_of_retirement(c);
	return check_context(c, err) && check_budget(c, err);
}
