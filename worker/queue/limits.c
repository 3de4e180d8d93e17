#include "worker/queue/limits.h"

#include "common/json.h"
#include "worker/schedule/cron.h"

#include <inttypes.h>
#include <math.h>

static const struct {
	const char *name, *word;
} kinds[] = {
#define X(constant, name, in_script) [LIMIT_##constant] = {name, in_script},
	LIMIT_KINDS(X)
#undef X
};

static const struct {
	const char *name;
	const char *cron; /* when it ends; NULL: never */
} periods[] = {
	{"day",   "0 0 * * *"}, /* the default */
	{"hour",  "0 * * * *"},
	{"month", "0 0 1 * *"},
	{"total", NULL       },
};

struct limit {
	const char *scope; /* as written */
	enum limit_kind kind;
	uint64_t limit;
	size_t period; /* in periods */
	struct cron ends;
	const char *zone;
	bool or_fail;
	const struct limit *next;
};

struct limits {
	struct str text;
	const struct limit *first;
};

static bool is_money(enum limit_kind kind)
{
	return kind == LIMIT_BUDGET || kind == LIMIT_SOFT;
}

const char *limit_kind_name(enum limit_kind kind)
{
	return kinds[kind].name;
}

const char *limit_kind_word(enum limit_kind kind)
{
	return kinds[kind].word;
}

/* ---- reading ---- */

enum { NANO = 1000000000, MONEY_MAX = 9000000, SCOPE_MAX = 256 };

static const char *const other_members[] = {"scope", "period", "timeZone", "onBudget"};

static bool is_member(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(name, kinds[i].name) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_LEN(other_members); i++)
		if (strcmp(name, other_members[i]) == 0)
			return true;
	return false;
}

static bool check_text(const cJSON *entry, const char *name, size_t n, struct error *err)
{
	const cJSON *value = json_get(entry, name);

	return !value || cJSON_IsString(value) ||
	       fail(err, ERR_CONFIG, "AI_LIMITS[%zu].%s: found a value of type %s, expected a text",
		    n, name, json_type_name(value));
}

static bool check_scope(const char *scope, size_t n, struct error *err)
{
	if (!scope || !scope[0] || strlen(scope) > SCOPE_MAX || strpbrk(scope, " \t\r\n"))
		return fail(err, ERR_CONFIG,
			    "AI_LIMITS[%zu].scope: found '%.60s', expected a provider, "
			    "provider/model, flow:<id>, tenant:, collection:, user: or *",
			    n, scope ? scope : "");
	return true;
}

static bool check_members(const cJSON *entry, size_t n, struct error *err)
{
	const cJSON *member;

	if (!cJSON_IsObject(entry))
		return fail(err, ERR_CONFIG,
			    "AI_LIMITS[%zu]: found a value of type %s, expected an object", n,
			    json_type_name(entry));
	json_each(member, entry) {
		if (!is_member(member->string))
			return fail(err, ERR_CONFIG, "AI_LIMITS[%zu]: there is no member '%.40s'",
				    n, member->string);
	}
	for (size_t i = 0; i < ARRAY_LEN(other_members); i++)
		if (!check_text(entry, other_members[i], n, err))
			return false;
	return check_scope(json_get_text(entry, "scope"), n, err);
}

/* period, timeZone and onBudget hold for all money of an entry. */
static bool read_period(const cJSON *entry, size_t n, struct limit *out, struct error *err)
{
	const char *name = json_get_text(entry, "period");
	const char *zone = json_get_text(entry, "timeZone");
	const char *on_budget = json_get_text(entry, "onBudget");
	struct error why;

	while (name && out->period < ARRAY_LEN(periods) &&
	       strcmp(name, periods[out->period].name) != 0)
		out->period++;
	if (out->period == ARRAY_LEN(periods))
		return fail(
			err, ERR_CONFIG,
			"AI_LIMITS[%zu].period: found '%.40s', expected hour, day, month or total",
			n, name);
	if (on_budget && strcmp(on_budget, "park") != 0 && strcmp(on_budget, "fail") != 0)
		return fail(err, ERR_CONFIG,
			    "AI_LIMITS[%zu].onBudget: found '%.40s', expected park or fail", n,
			    on_budget);
	out->or_fail = on_budget && strcmp(on_budget, "fail") == 0;
	out->zone = zone ? zone : "UTC";
	if (periods[out->period].cron &&
	    !cron_parse(&out->ends, periods[out->period].cron, zone, &why))
		return fail(err, ERR_CONFIG, "AI_LIMITS[%zu].timeZone: %s", n, why.text);
	return true;
}

static bool read_number(const cJSON *value, enum limit_kind kind, size_t n, uint64_t *limit,
			struct error *err)
{
	double most = is_money(kind) ? MONEY_MAX : 1e12;
	double number = cJSON_IsNumber(value) ? value->valuedouble : -1;
	char text[JSON_NUMBER_MAX];
	bool is_whole = number >= 0 && floor(number) <= number && floor(number) >= number;

	if (number < 0 || number > most || (!is_money(kind) && (!is_whole || number < 1)))
		return fail(err, ERR_CONFIG, "AI_LIMITS[%zu].%s: found %s, expected %s", n,
			    kinds[kind].name,
			    cJSON_IsNumber(value) ? json_number_text(number, text)
						  : json_type_name(value),
			    is_money(kind) ? "dollars from 0 to 9000000"
					   : "a whole number of 1 or more");
	*limit = is_money(kind) ? (uint64_t)llround(number * NANO) : (uint64_t)number;
	return true;
}

static bool read_entry(struct arena *a, struct limits *l, const cJSON *entry, size_t n,
		       struct error *err)
{
	struct limit common = {.scope = json_get_text(entry, "scope")};
	size_t rules = 0;

	if (!check_members(entry, n, err) || !read_period(entry, n, &common, err))
		return false;
	for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++) {
		const cJSON *value = json_get(entry, kinds[kind].name);
		struct limit *rule;

		if (!value || cJSON_IsNull(value))
			continue;
		rule = arena_make(a, struct limit);
		*rule = common;
		rule->kind = (enum limit_kind)kind;
		if (!read_number(value, rule->kind, n, &rule->limit, err))
			return false;
		rule->next = l->first;
		l->first = rule;
		rules++;
	}
	return rules > 0 ||
	       fail(err, ERR_CONFIG,
		    "AI_LIMITS[%zu] ('%.60s') limits nothing, expected one of rpm, rpd, "
		    "tpm, itpm, otpm, concurrency, budgetUsd, softUsd",
		    n, common.scope);
}

const struct limits *limits_parse(struct arena *a, struct str json, struct error *err)
{
	struct limits *l = arena_make(a, struct limits);
	const cJSON *entries, *entry;
	size_t n = 0;

	l->text = STR("");
	if (json.len == 0)
		return l;
	entries = json_parse(a, json, err);
	if (!entries) {
		err->code = ERR_CONFIG;
		return NULL;
	}
	if (!cJSON_IsArray(entries)) {
		(void)fail(err, ERR_CONFIG,
			   "AI_LIMITS: found a value of type %s, expected an array",
			   json_type_name(entries));
		return NULL;
	}
	json_each(entry, entries) {
		if (!read_entry(a, l, entry, n++, err))
			return NULL;
	}
	if (l->first)
		l->text = json_print(a, entries);
	return l;
}

const struct limits *limits_join(struct arena *a, const struct limits *one,
				 const struct limits *other)
{
	struct limits *l = arena_make(a, struct limits);

	l->text = STR("");
	l->first = one ? one->first : NULL;
	for (const struct limit *from = other ? other->first : NULL; from; from = from->next) {
		struct limit *rule = arena_make(a, struct limit);

		*rule = *from;
		rule->next = l->first;
		l->first = rule;
	}
	return l;
}

struct str limits_text(const struct limits *l)
{
	return l ? l->text : STR("");
}

/* ---- finding ---- */

/* The scope in Redis of a rule for a subject, or NULL if the rule is not about it. */
static const char *scope_for(const struct limit *rule, const struct limit_subject *s,
			     struct arena *a)
{
	const struct {
		const char *prefix, *name;
	} named[] = {
		{"flow:",       s->flow      },
		{"tenant:",     s->tenant    },
		{"collection:", s->collection},
		{"user:",       s->user      },
	};

	if (strcmp(rule->scope, "*") == 0)
		return "*";
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		size_t len = strlen(named[i].prefix);
		const char *which = rule->scope + len;

		if (strncmp(rule->scope, named[i].prefix, len) != 0)
			continue;
		if (!named[i].name || !named[i].name[0] ||
		    (strcmp(which, "*") != 0 && strcmp(which, named[i].name) != 0))
			return NULL;
		return arena_printf(a, "%s%s", named[i].prefix, named[i].name);
	}
	if (s->provider && strcmp(rule->scope, s->provider) == 0)
		return rule->scope;
	if (s->provider && s->model &&
	    strcmp(rule->scope, arena_printf(a, "%s/%s", s->provider, s->model)) == 0)
		return rule->scope;
	return NULL;
}

static void set_period(const struct limit *from, uint64_t now_ms, struct arena *a,
		       struct limit_rule *rule)
{
	rule->period = "";
	rule->ends_ms = 0;
	if (!is_money(from->kind))
		return;
	if (periods[from->period].cron)
		rule->ends_ms = cron_next(&from->ends, now_ms);
	rule->period = rule->ends_ms ? arena_printf(a, "%s-%" PRIu64, periods[from->period].name,
						    rule->ends_ms)
				     : "total";
}

static struct limit_rule *find_rule(struct limit_rule *rules, size_t count,
				    const struct limit_rule *like)
{
	for (size_t i = 0; i < count; i++)
		if (rules[i].kind == like->kind && strcmp(rules[i].scope, like->scope) == 0 &&
		    strcmp(rules[i].period, like->period) == 0)
			return &rules[i];
	return NULL;
}

static size_t count_rules(const struct limits *l)
{
	size_t count = 0;

	for (const struct limit *rule = l ? l->first : NULL; rule; rule = rule->next)
		count++;
	return count;
}

size_t limits_find(const struct limits *l, const struct limit_subject *subject, uint64_t now_ms,
		   struct arena *a, struct limit_rule **rules)
{
	size_t count = 0;

	*rules = arena_array(a, struct limit_rule, count_rules(l));
	for (const struct limit *from = l ? l->first : NULL; from; from = from->next) {
		struct limit_rule rule = {.kind = from->kind,
					  .limit = from->limit,
					  .or_fail = from->or_fail,
					  .scope = scope_for(from, subject, a)};
		struct limit_rule *same;

		if (!rule.scope)
			continue;
		set_period(from, now_ms, a, &rule);
		same = find_rule(*rules, count, &rule);
		if (!same) {
			(*rules)[count++] = rule;
			continue;
		}
		same->limit = u64_min(same->limit, rule.limit);
		same->or_fail = same->or_fail || rule.or_fail;
	}
	return count;
}

size_t limits_list(const struct limits *l, uint64_t now_ms, struct arena *a,
		   struct limit_rule **rules)
{
	size_t count = 0;

	*rules = arena_array(a, struct limit_rule, count_rules(l));
	for (const struct limit *from = l ? l->first : NULL; from; from = from->next) {
		struct limit_rule *rule = &(*rules)[count++];

		*rule = (struct limit_rule){.kind = from->kind,
					    .limit = from->limit,
					    .or_fail = from->or_fail,
					    .scope = from->scope};
		set_period(from, now_ms, a, rule);
	}
	return count;
}
