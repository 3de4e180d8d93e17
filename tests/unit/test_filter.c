/* Filters: all that Directus was seen to do (tests/vectors/condition-vectors.json), and what it may
 * not do to us. */
#include "tests/unit/fixture.h"

#include "operations/filter.h"
#include "tests/unit/vectors.h"

static const uint64_t NOW = 1795169157429; /* 20 November 2026, 10:05:57.429 UTC */

static cJSON *checked(struct fixture *f, const cJSON *filter, const cJSON *data)
{
	struct filter_input in = {.filter = filter, .data = data, .now_ms = NOW};

	return filter_check(f->arena, &in);
}

/* Our errors have a status, too, and where Directus has no code there is null. */
static bool is_same_error(const cJSON *ours, const cJSON *theirs)
{
	const cJSON *item;

	json_each(item, theirs)
		if (!json_equal(json_get(ours, item->string), item))
			return false;
	return true;
}

static void check_vector(struct fixture *f, const cJSON *vector)
{
	struct filter_input in = {
		.filter = json_get(vector, "filter"),
		.data = json_get(vector, "data"),
		.accountability = json_get(vector, "accountability"),
		.now_ms = NOW,
	};
	const cJSON *rejection = filter_check(f->arena, &in), *ours, *theirs;
	const char *name = json_get_text(vector, "name");

	if (json_get_bool(vector, "pass", false) != !rejection)
		FAIL("%s: %s", name, rejection ? json_print(f->arena, rejection).ptr : "passes");
	if (!rejection || strstr(json_get_text(vector, "note"), "VOLATILE"))
		return;
	ours = cJSON_IsArray(rejection) ? rejection->child : rejection;
	json_each(theirs, json_get(vector, "errors")) {
		if (!ours || !is_same_error(ours, theirs))
			FAIL("%s: %s", name, json_print(f->arena, rejection).ptr);
		ours = ours->next;
	}
	if (ours)
		FAIL("%s: too many errors: %s", name, json_print(f->arena, rejection).ptr);
}

TEST(filters_judge_as_in_directus)
{
	struct fixture *f = *state;
	const cJSON *vectors = read_vectors(f->arena, "condition-vectors.json"), *vector;

	assert_true(json_count(vectors) > 70);
	json_each(vector, vectors)
		check_vector(f, vector);
}

/* [filter, data, errors or true]: made by the packages that Directus uses, from random filters. */
static void check_random(struct fixture *f, const cJSON *row)
{
	const cJSON *expected = row->child->next->next;
	const cJSON *rejection = checked(f, row->child, row->child->next), *ours, *theirs;

	if (cJSON_IsTrue(expected) != !rejection)
		FAIL("%s: %s", json_print(f->arena, row).ptr,
		     rejection ? json_print(f->arena, rejection).ptr : "passes");
	ours = rejection && cJSON_IsArray(rejection) ? rejection->child : rejection;
	json_each(theirs, cJSON_IsArray(expected) ? expected : NULL) {
		if (!ours || !is_same_error(ours, theirs))
			FAIL("%s: %s", json_print(f->arena, row).ptr,
			     json_print(f->arena, rejection).ptr);
		ours = ours->next;
	}
	assert_null(ours);
}

TEST(random_filters_end_as_in_directus)
{
	struct fixture *f = *state;
	const cJSON *row;

	json_each(row, read_vectors(f->arena, "condition-random.json"))
		check_random(f, row);
}

TEST(a_hostile_pattern_ends_in_an_error)
{
	struct fixture *f = *state;
	cJSON *filter = json_parse(f->arena, STR("{\"a\":{\"_regex\":\"^(a+)+$\"}}"), &f->err);
	cJSON *data = json_parse(f->arena,
				 STR("{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"}"),
				 &f->err);
	cJSON *rejection = checked(f, filter, data);

	assert_non_null(strstr(json_get_text(rejection, "message"), "too much work"));
}

TEST(a_filter_with_too_many_rules_ends_in_an_error)
{
	enum { RULES = 300000 };
	struct fixture *f = *state;
	cJSON *filter = json_object(f->arena), *rules = json_array(f->arena);

	for (int i = 0; i < RULES; i++)
		json_push(rules, json_object(f->arena));
	json_set(f->arena, filter, "_and", rules);
	assert_string_equal(json_get_text(checked(f, filter, json_object(f->arena)), "message"),
			    "the filter has too many rules");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(filters_judge_as_in_directus),
		ENTRY(random_filters_end_as_in_directus),
		ENTRY(a_hostile_pattern_ends_in_an_error),
		ENTRY(a_filter_with_too_many_rules_ends_in_an_error),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
