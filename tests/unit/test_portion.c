/* worker/queue/portion.h: how many bodies are asked for at once. */
#include "worker/queue/portion.h"

#include "tests/unit/test.h"

enum { MOST = 500, KB = 1024 };

static void grow(struct portion *p, size_t bytes_each)
{
	for (int i = 0; i < 20; i++) {
		size_t count = portion_next(p, MOST);

		portion_came(p, count, count * bytes_each);
	}
}

TEST(small_bodies_come_in_as_great_numbers_as_there_is_room_for)
{
	struct portion p = {0};

	(void)state;
	assert_int_equal(portion_next(&p, MOST), PORTION_FIRST);
	assert_int_equal(portion_next(&p, 3), 3);
	grow(&p, 300);
	assert_int_equal(portion_next(&p, MOST), MOST);
	grow(&p, 0);
	assert_int_equal(portion_next(&p, MOST), MOST);
}

TEST(large_bodies_come_a_few_at_a_time)
{
	struct portion p = {0};

	(void)state;
	grow(&p, 300);
	portion_came(&p, 10, 10 * 200 * KB);
	assert_int_equal(portion_next(&p, MOST), 5);
	portion_came(&p, 1, 100 * 1024 * KB);
	assert_int_equal(portion_next(&p, MOST), 1);
}

TEST(the_number_grows_to_twice_at_most)
{
	struct portion p = {0};

	(void)state;
	portion_came(&p, 1, 512 * KB);
	assert_int_equal(portion_next(&p, MOST), 2);
	portion_came(&p, 2, 2 * 100);
	assert_int_equal(portion_next(&p, MOST), 4);
}

TEST(a_reply_without_bodies_says_nothing)
{
	struct portion p = {7};

	(void)state;
	portion_came(&p, 0, 0);
	assert_int_equal(portion_next(&p, MOST), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(small_bodies_come_in_as_great_numbers_as_there_is_room_for),
		ENTRY(large_bodies_come_a_few_at_a_time),
		ENTRY(the_number_grows_to_twice_at_most),
		ENTRY(a_reply_without_bodies_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
