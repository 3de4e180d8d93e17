/* Writing variables into a .env file changes their lines and no other. */
#include "common/arena.h"
#include "worker/admin/env_file.h"
#include "worker/cli/cli_file.h"

#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
	struct arena *arena;
	char path[64], file[80];
};

static int fresh(void **state)
{
	struct folder *f = xmalloc(sizeof(*f));

	f->arena = arena_new();
	(void)snprintf(f->path, sizeof(f->path), "/tmp/env_file.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	(void)snprintf(f->file, sizeof(f->file), "%s/.env", f->path);
	*state = f;
	return 0;
}

static int done(void **state)
{
	struct folder *f = *state;

	(void)unlink(f->file);
	assert_int_equal(rmdir(f->path), 0); /* and nothing else was left there */
	arena_free(f->arena);
	free(f);
	return 0;
}

static const struct env_line lines[] = {
	{"URL",   "http://x"},
        {"TOKEN", "a b#c"   }
};

static void put(const struct folder *f, const char *text)
{
	FILE *file = fopen(f->file, "w");

	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

TEST(lines_are_replaced_where_they_are_and_others_stay)
{
	static const struct {
		const char *before, *after;
	} cases[] = {
		{"",			       "URL=http://x\nTOKEN='a b#c'\n"             },
		{"# mine\nA=1\n",                  "# mine\nA=1\nURL=http://x\nTOKEN='a b#c'\n"},
		{"A=1",			    "A=1\nURL=http://x\nTOKEN='a b#c'\n"        },
		{"TOKEN=old\nA=1\nURL=y\n",        "TOKEN='a b#c'\nA=1\nURL=http://x\n"        },
		{"export URL = y\n TOKEN: z\n",    "URL=http://x\nTOKEN='a b#c'\n"             },
		{"URL=1\nURL=2\nTOKEN=3\n",        "URL=http://x\nTOKEN='a b#c'\n"             },
		{"URLS=1\nMY_TOKEN=2\n#TOKEN=3\n",
		 "URLS=1\nMY_TOKEN=2\n#TOKEN=3\nURL=http://x\nTOKEN='a b#c'\n"                 },
	};
	struct folder *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err;
		struct str text;
		struct stat st;

		put(f, cases[i].before);
		assert_true(env_file_write(f->arena, f->file, lines, ARRAY_LEN(lines), &err));
		assert_true(cli_file_read(f->arena, f->file, &text, &err));
		assert_str(text, cases[i].after);
		assert_int_equal(stat(f->file, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

TEST(a_file_that_is_not_there_is_made)
{
	struct folder *f = *state;
	struct error err;
	struct str text;

	assert_true(env_file_write(f->arena, f->file, lines, 1, &err));
	assert_true(cli_file_read(f->arena, f->file, &text, &err));
	assert_str(text, "URL=http://x\n");
}

TEST(a_folder_that_is_not_there_is_an_error)
{
	struct folder *f = *state;
	struct error err;

	assert_false(env_file_write(f->arena, "/nonexistent/.env", lines, 1, &err));
	assert_non_null(strstr(err.text, "/nonexistent/.env"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_are_replaced_where_they_are_and_others_stay,
						fresh, done),
		cmocka_unit_test_setup_teardown(a_file_that_is_not_there_is_made, fresh, done),
		cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_an_error, fresh,
						done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
