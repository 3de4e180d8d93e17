/* Templates: all that Directus was seen to do (tests/vectors/template-vectors.json), and what is
 * added to it: << >>, filters, aliases, what becomes of a tag that leads to nothing. */
#include "tests/unit/test.h"

#include "common/template.h"
#include "tests/unit/vectors.h"

struct fixture {
	struct arena *arena;
	cJSON *own; /* tests/vectors/template-own.json */
	struct error err;
};

static int begin(void **state)
{
	static struct fixture f;

	f.arena = arena_new();
	f.own = read_vectors(f.arena, "template-own.json");
	*state = &f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	return 0;
}

/* ---- Directus' own ---- */

/* Those that are different on purpose: aliases, filters, members that are not an object's own. */
static bool is_ours(const cJSON *vector)
{
	static const char *const names[] = {"seed-item-update-as-written", "missing-nested"};
	const char *name = json_get_text(vector, "name");

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, "filter-", 7) == 0 ||
	       strcmp(json_get_text(vector, "class"), "unsafe-quirk") == 0;
}

static void check_vector(struct fixture *f, const cJSON *vector)
{
	struct template_options o = {.chain = json_get(vector, "data")};
	const cJSON *error = json_get(vector, "error");
	const char *name = json_get_text(vector, "name");
	cJSON *value;

	value = template_resolve(f->arena, json_get(vector, "template"), &o, &f->err);
	if (error && value)
		FAIL("%s: no error", name);
	if (error && (strcmp(f->err.name, json_get_text(error, "name")) != 0 ||
		      strcmp(f->err.text, json_get_text(error, "message")) != 0))
		FAIL("%s: %s: %s", name, f->err.name, f->err.text);
	if (!error && !value)
		FAIL("%s: %s", name, f->err.text);
	if (!error && !str_equal(json_print(f->arena, value),
				 json_print(f->arena, json_get(vector, "expected"))))
		FAIL("%s: %s", name, json_print(f->arena, value).ptr);
}

TEST(templates_resolve_as_in_directus)
{
	struct fixture *f = *state;
	const cJSON *vectors = read_vectors(f->arena, "template-vectors.json"), *vector;
	size_t checked = 0;

	json_each(vector, vectors) {
		if (is_ours(vector))
			continue;
		check_vector(f, vector);
		checked++;
	}
	assert_true(checked > 90);
}

/* ---- our own ---- */

static cJSON *resolve_with(struct fixture *f, const char *template, struct template_options o)
{
	static const char *const keys[] = {"write", "read"};

	o.chain = json_get(f->own, "chain");
	o.operation_keys = keys;
	o.key_count = ARRAY_LEN(keys);
	return template_resolve(f->arena, json_text(f->arena, template), &o, &f->err);
}

static void check_rows(struct fixture *f, const char *name)
{
	const cJSON *rows = json_get(f->own, name), *row;

	assert_non_null(rows);
	json_each(row, rows) {
		const char *template = row->child->valuestring;
		cJSON *value = resolve_with(f, template, (struct template_options){0});

		if (!value)
			FAIL("%s: %s", template, f->err.text);
		if (!json_equal(value, row->child->next))
			FAIL("%s: %s", template, json_print(f->arena, value).ptr);
	}
}

TEST(filters_change_values)
{
	check_rows(*state, "filters");
}

TEST(angle_brackets_are_tags_only_around_a_path_that_is_ours)
{
	check_rows(*state, "angles");
}

TEST(aliases_help_where_the_path_leads_nowhere)
{
	struct fixture *f = *state;
	struct template_options o = {0};
	struct error err;

	check_rows(f, "aliases");
	o.chain = json_parse(
		f->arena,
		STR("{\"$trigger\":{\"event\":\"x\",\"keys\":[7],\"payload\":{\"id\":1}}}"), &err);
	assert_true(template_resolve(f->arena, json_text(f->arena, "{{$trigger.id}}"), &o, &err)
			    ->valuedouble == 7);
	o.chain =
		json_parse(f->arena, STR("{\"$trigger\":{\"key\":7,\"payload\":{\"a\":1}}}"), &err);
	assert_string_equal(template_resolve(f->arena,
					     json_text(f->arena, "{{$trigger.id}}{{$trigger.a}}"),
					     &o, &err)
				    ->valuestring,
			    "undefinedundefined");
}

TEST(a_tag_that_leads_to_nothing_can_be_an_error)
{
	struct fixture *f = *state;
	struct template_options o = {.on_missing = ON_MISSING_ERROR, .where = "prompt"};
	const cJSON *row;

	json_each(row, json_get(f->own, "errors")) {
		assert_null(resolve_with(f, row->child->valuestring, o));
		assert_int_equal(f->err.code, ERR_TEMPLATE_UNRESOLVED);
		assert_string_equal(f->err.text, row->child->next->valuestring);
	}
	assert_non_null(resolve_with(f, "{{ $trigger.payload.nil }}{{ nope | default('x') }}", o));
}

TEST(the_error_says_where_in_the_option_it_is)
{
	struct fixture *f = *state;
	struct template_options o = {.on_missing = ON_MISSING_ERROR, .where = "messages"};
	struct error err;

	o.chain = json_object(f->arena);
	assert_null(template_resolve(
		f->arena, json_parse(f->arena, STR("[1,{\"content\":[\"\",\"{{a}}\"]}]"), &err), &o,
		&f->err));
	assert_non_null(strstr(f->err.text, "'{{a}}' in messages[1].content[1] leads to nothing"));
}

TEST(a_tag_that_leads_to_nothing_can_be_empty)
{
	struct fixture *f = *state;
	struct template_options o = {.on_missing = ON_MISSING_EMPTY};

	assert_string_equal(resolve_with(f, "{{ nope }}", o)->valuestring, "");
	assert_string_equal(resolve_with(f, "a{{ nope }}b<< $nope >>", o)->valuestring, "ab");
}

TEST(inherited_members_are_not_there)
{
	check_rows(*state, "aliases");
}

TEST(what_is_filled_in_has_a_limit)
{
	struct fixture *f = *state;
	struct template_options o = {.max_bytes = 40, .where = "data"};

	assert_non_null(resolve_with(f, "{{ $last.usage }}", o));
	assert_null(resolve_with(f, "{{ $trigger }}", o));
	assert_int_equal(f->err.code, ERR_INVALID_PAYLOAD);
	assert_non_null(strstr(f->err.text, "'data' is longer than 40 bytes"));
	assert_null(resolve_with(f, "text {{ $trigger }}", o));
	assert_int_equal(f->err.code, ERR_INVALID_PAYLOAD);
}

/* Quadratic work on any of these would take minutes. */
TEST(hostile_texts_take_linear_time)
{
	enum { LENGTH = 1 << 18 };
	static const char *const pieces[] = {"<",  "<< x >>", "<<$",  "<< $trigger.a[",
					     ">>", "x | ",    "{{x}}"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		char *text = arena_alloc(f->arena, LENGTH + 16);
		size_t piece = strlen(pieces[i]);

		for (size_t at = 0; at < LENGTH; at += piece)
			memcpy(text + at, pieces[i], piece);
		assert_non_null(resolve_with(f, text, (struct template_options){0}));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(templates_resolve_as_in_directus),
		ENTRY(filters_change_values),
		ENTRY(angle_brackets_are_tags_only_around_a_path_that_is_ours),
		ENTRY(aliases_help_where_the_path_leads_nowhere),
		ENTRY(a_tag_that_leads_to_nothing_can_be_an_error),
		ENTRY(the_error_says_where_in_the_option_it_is),
		ENTRY(a_tag_that_leads_to_nothing_can_be_empty),
		ENTRY(inherited_members_are_not_there),
		ENTRY(what_is_filled_in_has_a_limit),
		ENTRY(hostile_texts_take_linear_time),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
