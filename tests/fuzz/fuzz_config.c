/* Covers config_env.c, config_value.c, config_number.c, config_cast.c, config_json.c and
 * config_providers.c: any .env text is read, its variables become a configuration or complaints, and
 * a value that was read is read again when it is written in quotes. */
#include "common/config_parts.h"

#include "common/buf.h"
#include "common/secrets.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { OUTPUT_MAX = 16 * 1024 * 1024 };

static void check_again(struct arena *a, const struct env_variable *v)
{
	struct config_reader r = {.a = a, .env = {.file = ".env"}};
	const struct env_variable *again;

	if (strpbrk(v->value, "'\\\r"))
		return;
	env_add_text(&r, str_of(arena_printf(a, "%s='%s' # comment\n", v->name, v->value)));
	again = env_find(&r.env, v->name);
	if (!again || strcmp(again->value, v->value) != 0)
		abort();
}

/* "NAME=value" of each variable; not NAME_FILE, which would read files of this machine. */
static const char *const *environment_of(struct arena *a, const struct env *env)
{
	const char **list = arena_array(a, const char *, env->count + 2);
	size_t count = 0;

	for (size_t i = 0; i < env->count; i++) {
		const char *name = env->items[i].name;
		size_t len = strlen(name);

		if (len < 5 || strcmp(name + len - 5, "_FILE") != 0)
			list[count++] = arena_printf(a, "%s=%s", name, env->items[i].value);
	}
	list[count] = "FLOWS_ENV_ALLOW_LIST=A,B,C";
	return list;
}

static void load(struct arena *a, const struct env *env)
{
	const struct config_options options = {.environment = environment_of(a, env),
					       .no_env_file = true};
	struct config_report report;
	const struct config *c = config_load(a, &options, &report);
	struct buf out;

	if (!c && report.error_count == 0)
		abort();
	if (!c)
		return;
	buf_init(&out, OUTPUT_MAX);
	config_print_table(c, &out);
	(void)json_print(a, config_print_json(c, a));
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena *a = arena_new();
	struct config_reader r = {.a = a, .env = {.file = ".env"}};

	env_add_text(&r, (struct str){(const char *)bytes, size});
	for (size_t i = 0; i < r.env.count; i++)
		check_again(a, &r.env.items[i]);
	load(a, &r.env);
	arena_free(a);
	secrets_clear();
	return 0;
}
