/* Files that are written beside the loop. */
#include "common/arena.h"
#include "common/loop.h"
#include "common/loop_file.h"

#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/fw-file-XXXXXX";

static const char *in_folder(const char *name)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	(void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

static void assert_content(const char *path, struct str expected)
{
	FILE *f = fopen(path, "rb");
	char *text = xmalloc(expected.len + 2);

	assert_non_null(f);
	assert_int_equal(fread(text, 1, expected.len + 1, f), expected.len);
	assert_memory_equal(text, expected.ptr, expected.len);
	(void)fclose(f);
	free(text);
}

static void ended(struct call *c)
{
	loop_stop(c->loop);
}

static void write_it(struct loop *l, struct file_call *c, const char *path, struct str bytes)
{
	c->call.done = ended;
	file_write_start(l, c, path, bytes);
	loop_run(l);
}

TEST(a_file_is_whole_and_takes_the_place_of_the_old_one)
{
	struct loop *l = loop_new();
	struct file_call c = {0};
	char *many = xmalloc(3000000);
	struct stat st;

	(void)state;
	memset(many, 'x', 3000000);
	write_it(l, &c, in_folder("answer"), STR("old"));
	assert_int_equal(c.call.err.code, ERR_OK);
	write_it(l, &c, in_folder("answer"), (struct str){many, 3000000});
	assert_int_equal(c.call.err.code, ERR_OK);
	assert_content(in_folder("answer"), (struct str){many, 3000000});
	assert_int_equal(stat(in_folder("answer"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(access(in_folder("answer.draft"), F_OK), -1);
	write_it(l, &c, in_folder("empty"), STR(""));
	assert_int_equal(c.call.err.code, ERR_OK);
	assert_content(in_folder("empty"), STR(""));
	loop_free(l);
	free(many);
}

TEST(what_can_not_be_written_is_told_and_leaves_the_old_one)
{
	struct loop *l = loop_new();
	struct file_call c = {0};

	(void)state;
	write_it(l, &c, in_folder("none/answer"), STR("text"));
	assert_int_equal(c.call.err.code, ERR_CONFIG);
	assert_non_null(strstr(c.call.err.text, "no such file or directory"));
	write_it(l, &c, in_folder("kept"), STR("old"));
	assert_int_equal(mkdir(in_folder("kept.draft"), 0700), 0);
	write_it(l, &c, in_folder("kept"), STR("new"));
	assert_int_equal(c.call.err.code, ERR_CONFIG);
	assert_content(in_folder("kept"), STR("old"));
	loop_free(l);
}

/* The disk that does not answer is a pipe that nobody reads: opening it for writing waits. */
TEST(the_loop_goes_on_while_the_disk_does_not_answer)
{
	struct loop *l = loop_new();
	struct file_call c = {.call.done = ended};
	struct sleep_call nap = {.call.done = ended};
	int reader;

	(void)state;
	assert_int_equal(mkfifo(in_folder("slow.draft"), 0600), 0);
	file_write_start(l, &c, in_folder("slow"), STR("text"));
	sleep_start(l, &nap, 20);
	loop_run(l);
	assert_true(nap.call.ended);
	assert_false(c.call.ended);
	reader = open(in_folder("slow.draft"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	loop_run(l);
	assert_true(c.call.ended); /* a pipe can not be synced: it failed, and was closed */
	assert_int_equal(c.call.err.code, ERR_CONFIG);
	assert_non_null(strstr(c.call.err.text, "fsync"));
	(void)close(reader);
	loop_free(l);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"answer", "empty", "kept", "slow.draft"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(in_folder(names[i]));
	(void)rmdir(in_folder("kept.draft"));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_file_is_whole_and_takes_the_place_of_the_old_one),
		ENTRY(what_can_not_be_written_is_told_and_leaves_the_old_one),
		ENTRY(the_loop_goes_on_while_the_disk_does_not_answer),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
