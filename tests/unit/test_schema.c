/* JSON Schema by a table: tests/vectors/schema.json holds [schema, value, faults]. */
#include "tests/unit/test.h"

#include "operations/schema.h"
#include "tests/unit/vectors.h"

struct fixture {
	struct arena *arena;
	cJSON *vectors;
	struct error err;
};

static int begin(void **state)
{
	static struct fixture f;

	f.arena = arena_new();
	f.vectors = read_vectors(f.arena, "schema.json");
	*state = &f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	return 0;
}

TEST(a_value_fits_or_its_faults_are_told)
{
	struct fixture *f = *state;
	const cJSON *row;

	json_each(row, json_get(f->vectors, "valid")) {
		const cJSON *schema = row->child, *value = schema->next;
		const char *expected = value->next->valuestring;
		struct str faults;

		if (!schema_check(f->arena, schema, NULL, &f->err))
			FAIL("%s: %s", json_print(f->arena, schema).ptr, f->err.text);
		faults = schema_validate(f->arena, schema, value);
		if (!str_is(faults, expected))
			FAIL("%s: %s: %s", json_print(f->arena, schema).ptr,
			     json_print(f->arena, value).ptr, faults.ptr);
	}
}

TEST(a_bad_schema_is_refused_with_its_place)
{
	struct fixture *f = *state;
	const cJSON *row;

	json_each(row, json_get(f->vectors, "bad")) {
		assert_false(schema_check(f->arena, row->child, NULL, &f->err));
		assert_int_equal(f->err.code, ERR_INVALID_PAYLOAD);
		assert_string_equal(f->err.text, row->child->next->valuestring);
	}
}

TEST(unknown_keywords_are_listed)
{
	struct fixture *f = *state;
	const cJSON *row;
	cJSON *found;

	json_each(row, json_get(f->vectors, "unsupported")) {
		assert_true(schema_check(f->arena, row->child, &found, &f->err));
		assert_true(json_equal(found, row->child->next));
	}
}

TEST(alternatives_without_end_are_given_up)
{
	static const char schema[] =
		"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"items\":{\"$ref\":\"#/"
		"$defs/a\"},"
		"\"minItems\":1},{\"items\":{\"$ref\":\"#/$defs/a\"},\"minItems\":1},{\"items\":{"
		"\"$ref\":\"#/$defs/a\"},\"maxItems\":0,\"type\":\"string\"}]}}}";
	struct fixture *f = *state;
	cJSON *rule = json_parse(f->arena, STR(schema), &f->err);
	cJSON *value = json_parse(
		f->arena, STR("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
		&f->err);

	assert_non_null(rule);
	assert_non_null(value);
	assert_true(schema_validate(f->arena, rule, value).len > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_value_fits_or_its_faults_are_told),
		ENTRY(a_bad_schema_is_refused_with_its_place),
		ENTRY(unknown_keywords_are_listed),
		ENTRY(alternatives_without_end_are_given_up),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
