/* operations/model.c: one model: what its entry says, which effort it takes, what a call costs. */
#include "operations/model_own.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

/* ---- reading an entry ---- */

static const char *const sampling_names[] = {[SAMPLING_ANY] = "any",
					     [SAMPLING_ONE] = "one",
					     [SAMPLING_WITHOUT_REASONING] = "without-reasoning",
					     [SAMPLING_NEVER] = "never"};
static const char *const thinking_names[] = {[THINKING_EFFORT] = "effort",
					     [THINKING_ADAPTIVE] = "adaptive",
					     [THINKING_ALWAYS] = "always",
					     [THINKING_BUDGET] = "budget",
					     [THINKING_LEVEL] = "level"};
static const char *const image_names[] = {
	[IMAGE_UNKNOWN] = "unknown",           [IMAGE_TILES] = "tiles",
	[IMAGE_PATCHES] = "patches",           [IMAGE_CLAUDE] = "claude",
	[IMAGE_CLAUDE_LARGE] = "claude-large", [IMAGE_GEMINI_TILES] = "gemini-tiles",
	[IMAGE_GEMINI_FLAT] = "gemini-flat"};
static const char *const tokenizer_names[] = {
	[TOKENIZER_O200K] = "o200k",    [TOKENIZER_CL100K] = "cl100k",
	[TOKENIZER_CLAUDE] = "claude",  [TOKENIZER_CLAUDE_NEW] = "claude-new",
	[TOKENIZER_GEMMA] = "gemma",    [TOKENIZER_LLAMA3] = "llama3",
	[TOKENIZER_QWEN] = "qwen",      [TOKENIZER_DEEPSEEK] = "deepseek",
	[TOKENIZER_MISTRAL] = "mistral"};

/* The place of a member's text in a list of names, or what it was before. */
static unsigned choice(const cJSON *entry, const char *member, const char *const *names,
		       size_t count, unsigned before)
{
	const char *text = json_get_text(entry, member);

	for (unsigned i = 0; text && i < count; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	return before;
}
#define CHOICE(entry, member, names, before) \
	choice((entry), (member), (names), ARRAY_LEN(names), (unsigned)(before))

static uint32_t count_of(const cJSON *entry, const char *member, uint32_t before)
{
	double number = json_get_number(entry, member, before);

	return number >= 0 && number <= UINT32_MAX ? (uint32_t)number : before;
}

static unsigned read_efforts(const cJSON *list, unsigned before)
{
	const cJSON *item;
	unsigned efforts = 0;

	if (!cJSON_IsArray(list))
		return before;
	json_each(item, list) {
		if (cJSON_IsString(item) && effort_find(item->valuestring) != EFFORT_UNSET)
			efforts |= 1U << effort_find(item->valuestring);
	}
	return efforts;
}

static void read_rules(struct model *m, const cJSON *entry)
{
	m->efforts = read_efforts(json_get(entry, "efforts"), m->efforts);
	m->responses = json_get_bool(entry, "responses", m->responses);
	m->penalties = json_get_bool(entry, "penalties", m->penalties);
	m->stop = json_get_bool(entry, "stop", m->stop);
	m->no_system = json_get_bool(entry, "noSystem", m->no_system);
	m->schema = json_get_bool(entry, "schema", m->schema);
	m->sampling = (enum sampling)CHOICE(entry, "sampling", sampling_names, m->sampling);
	m->thinking = (enum thinking)CHOICE(entry, "thinking", thinking_names, m->thinking);
	m->image_rule = (enum image_rule)CHOICE(entry, "image", image_names, m->image_rule);
	m->tokenizer = (enum tokenizer)CHOICE(entry, "tokenizer", tokenizer_names, m->tokenizer);
	m->tokenizer_known = m->tokenizer_known || json_get_text(entry, "tokenizer") != NULL;
	m->budget_min = count_of(entry, "budgetMin", m->budget_min);
	m->budget_max = count_of(entry, "budgetMax", m->budget_max);
	m->image_base = count_of(entry, "imageBase", m->image_base);
	m->image_tile = count_of(entry, "imageTile", m->image_tile);
}

static uint64_t price_of(const cJSON *cost, const char *member, uint64_t before)
{
	const cJSON *price = json_get(cost, member);

	/* Dollars per million tokens are micro-dollars per token: times 1e6, pico-dollars. */
	if (!cJSON_IsNumber(price) || price->valuedouble < 0 || price->valuedouble > 1e6)
		return before;
	return (uint64_t)llround(price->valuedouble * 1e6);
}

static void read_prices(struct model *m, const cJSON *entry)
{
	const cJSON *cost = json_get(entry, "cost");

	if (cJSON_IsObject(cost)) {
		m->price_input = price_of(cost, "input", m->price_input);
		m->price_output = price_of(cost, "output", m->price_output);
		m->price_cached = price_of(cost, "cachedInput", m->price_input);
		m->price_cache_write = price_of(cost, "cacheWrite", m->price_input);
		m->price_known = true;
	}
}

void model_read(struct model *m, const cJSON *entry)
{
	const cJSON *limit = json_get(entry, "limit");
	const char *name = json_get_text(entry, "name");
	const char *retires = json_get_text(entry, "retires");

	if (!cJSON_IsObject(limit))
		limit = entry;
	m->name = name ? name : m->name;
	m->retires = retires ? retires : m->retires;
	m->context = count_of(limit, "context", m->context);
	m->output = count_of(limit, "output", m->output);
	m->attachment = json_get_bool(entry, "attachment", m->attachment);
	m->reasoning = json_get_bool(entry, "reasoning", m->reasoning);
	if (cJSON_IsObject(json_get(entry, "providerOptions")))
		m->options = json_get(entry, "providerOptions");
	read_rules(m, entry);
	read_prices(m, entry);
}

/* ---- until when ---- */

void model_today(uint64_t wall_ms, char today[11])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(today, 11, "%Y-%m-%d", &tm);
}

bool model_is_retired(const struct model *m, const char *today)
{
	return m->retires && strcmp(m->retires, today) <= 0;
}

/* ---- rules and money ---- */

static bool takes(const struct model *m, enum effort e)
{
	return (m->efforts & (1U << e)) != 0;
}

enum effort model_effort(const struct model *m, bool reason, enum effort wanted)
{
	enum effort best = EFFORT_UNSET;
	int target = reason ? (int)(wanted ? wanted : EFFORT_MEDIUM) : (int)EFFORT_NONE;

	if (!m->reasoning && !reason)
		return EFFORT_UNSET;
	for (int e = EFFORT_NONE; e <= (int)EFFORT_MAX; e++) {
		if (!takes(m, (enum effort)e) || (reason && e == (int)EFFORT_NONE))
			continue;
		if (best == EFFORT_UNSET || abs(e - target) < abs((int)best - target))
			best = (enum effort)e;
	}
	return best;
}

static uint64_t nano(uint64_t tokens, uint64_t pico_per_token)
{
	return (tokens * pico_per_token + 500) / 1000;
}

struct cost model_cost(const struct model *m, const struct llm_usage *u)
{
	uint64_t special = u64_min(u->cached + u->cache_write, u->input);
	uint64_t input = (u->input - special) * m->price_input + u->cached * m->price_cached +
			 u->cache_write * m->price_cache_write;

	if (!m->price_known || !u->known)
		return (struct cost){.known = false};
	/* Reasoning tokens are output tokens, and are in that count. */
	return (struct cost){true, nano(1, input), nano(u->output, m->price_output)};
}
