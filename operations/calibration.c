#include "operations/calibration.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { INPUT_FROM = 5, OUTPUT_FROM = 20, TEXT_MAX = 256, NUMBERS = 11 };

/* ---- rows ---- */

const char *past_call_print(struct arena *a, const struct past_call *p)
{
	const struct token_count *c = &p->count;

	return arena_printf(a,
			    "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
			    " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
			    c->tokens, c->bytes, c->other, c->words, c->signs, c->lines, c->digits,
			    p->estimate, p->input, p->expected, p->output);
}

static bool read_numbers(struct str text, uint64_t numbers[NUMBERS])
{
	char copy[TEXT_MAX] = "";
	char *at = copy;

	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	for (size_t i = 0; i < NUMBERS; i++) {
		char *end;

		if (*at == ' ' && i > 0)
			at++;
		if (*at < '0' || *at > '9')
			return false;
		numbers[i] = strtoull(at, &end, 10);
		if (numbers[i] > UINT32_MAX)
			return false;
		at = end;
	}
	return at == copy + text.len;
}

bool past_call_parse(struct str text, struct past_call *p)
{
	uint64_t n[NUMBERS];

	if (!read_numbers(text, n) || n[0] == 0 || n[8] == 0)
		return false;
	*p = (struct past_call){
		.count = {.tokens = n[0],
			  .bytes = n[1],
			  .other = n[2],
			  .words = n[3],
			  .signs = n[4],
			  .lines = n[5],
			  .digits = n[6]},
		.estimate = n[7],
		.input = n[8],
		.expected = n[9],
		.output = n[10]
        };
	return true;
}

/* ---- the question ---- */

/* What the error per token of the estimate is fitted over: each per token, and so that all are about 1. The
 * first is what is the same in all calls. */
enum { FEATURES = 7 };

struct features {
	double is[FEATURES];
};

/* So little that 50 calls outweigh it, and texts that are all alike say no more than they do. */
static const double pull_to_mean = 0.005;

/* Beyond that distance a call counts half or less. */
static const double near = 0.1;

/* Far off the texts that it was fitted to a sum may lead anywhere. */
static const double least = 0.2, most_times = 5;

static struct features features_of(const struct token_count *c)
{
	double tokens = (double)c->tokens;

	return (struct features){
		{50 / tokens, (double)c->bytes / 5 / tokens, (double)c->other / 5 / tokens,
		 (double)c->words / tokens, (double)c->signs / tokens, (double)c->lines / tokens,
		 (double)c->digits / tokens}
        };
}

static double weight_of(const struct features *a, const struct features *b)
{
	double distance = 0;

	for (size_t i = 1; i < FEATURES; i++) /* by its kind, not by its length */
		distance += (a->is[i] - b->is[i]) * (a->is[i] - b->is[i]);
	return 1 / (1 + distance / (near * near));
}

/* Weighted sums over the calls, of the distances from the question in question: x' x and x' y. */
struct sums {
	double weight, y;
	double x[FEATURES];
	double xx[FEATURES][FEATURES], xy[FEATURES];
};

static void add(struct sums *s, const struct features *f, double y, double weight)
{
	s->weight += weight;
	s->y += weight * y;
	for (size_t i = 0; i < FEATURES; i++) {
		s->x[i] += weight * f->is[i];
		s->xy[i] += weight * f->is[i] * y;
		for (size_t j = 0; j <= i; j++)
			s->xx[i][j] += weight * f->is[i] * f->is[j];
	}
}

/* About the means, so that the mean itself is not drawn to 0. */
static void centre(struct sums *s)
{
	for (size_t i = 0; i < FEATURES; i++) {
		s->xy[i] -= s->x[i] * s->y / s->weight;
		for (size_t j = 0; j <= i; j++)
			s->xx[i][j] -= s->x[i] * s->x[j] / s->weight;
		s->xx[i][i] += pull_to_mean;
	}
}

/* xx = L L' in place, below the diagonal; what is added to that keeps it positive. */
static void decompose(double xx[FEATURES][FEATURES])
{
	for (size_t i = 0; i < FEATURES; i++)
		for (size_t j = 0; j <= i; j++) {
			double sum = xx[i][j];

			for (size_t k = 0; k < j; k++)
				sum -= xx[i][k] * xx[j][k];
			xx[i][j] = i == j ? sqrt(fmax(sum, pull_to_mean / 2)) : sum / xx[j][j];
		}
}

/* xy becomes the factors. */
static void solve(struct sums *s)
{
	decompose(s->xx);
	for (size_t i = 0; i < FEATURES; i++) {
		for (size_t k = 0; k < i; k++)
			s->xy[i] -= s->xx[i][k] * s->xy[k];
		s->xy[i] /= s->xx[i][i];
	}
	for (size_t i = FEATURES; i-- > 0;) {
		for (size_t k = i + 1; k < FEATURES; k++)
			s->xy[i] -= s->xx[k][i] * s->xy[k];
		s->xy[i] /= s->xx[i][i];
	}
}

static uint64_t fit(const struct past_call *calls, size_t count, const struct token_count *question)
{
	struct features here = features_of(question);
	struct sums s = {.weight = 0};
	double ratio;

	for (size_t i = 0; i < count; i++) {
		struct features f = features_of(&calls[i].count);

		add(&s, &f, (double)calls[i].input / (double)calls[i].count.tokens,
		    weight_of(&f, &here));
	}
	centre(&s);
	solve(&s);
	ratio = s.y / s.weight;
	for (size_t i = 0; i < FEATURES; i++)
		ratio += s.xy[i] * (here.is[i] - s.x[i] / s.weight);
	ratio = fmin(fmax(ratio, least), most_times);
	return (uint64_t)llround(ratio * (double)question->tokens);
}

/* ---- the answer ---- */

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The next one is as likely to be between any two of them, below or above them all. */
static uint64_t output_of(const struct past_call *calls, size_t count)
{
	uint64_t outputs[PAST_CALLS] = {0};
	size_t rank = ((count + 1) * 95 + 50) / 100;

	for (size_t i = 0; i < count; i++)
		outputs[i] = calls[i].output;
	qsort(outputs, count, sizeof(outputs[0]), by_size);
	return outputs[(rank < count ? rank : count) - 1];
}

/* ---- all of it ---- */

static double share_within(const struct past_call *calls, size_t count)
{
	size_t within = 0;

	for (size_t i = 0; i < count; i++)
		within += fabs((double)calls[i].estimate - (double)calls[i].input) <=
			  0.05 * (double)calls[i].input;
	return count ? (double)within / (double)count : 0;
}

struct calibration calibration_of(const struct past_call *calls, size_t count,
				  const struct token_count *question)
{
	struct calibration c = {.calls = (uint32_t)count};

	count = count < PAST_CALLS ? count : PAST_CALLS;
	if (count >= INPUT_FROM && question->tokens > 0)
		c.input = fit(calls, count, question);
	if (count >= OUTPUT_FROM)
		c.output = output_of(calls, count);
	c.within = share_within(calls, count);
	return c;
}

uint64_t calibration_output(const struct calibration *c, uint64_t most)
{
	return c->output > 0 && c->output < most ? c->output : most;
}
