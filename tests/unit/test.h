/* tests/unit/test.h: cmocka with what it needs before it, and a main() of one line. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#ifdef __clang_analyzer__ /* it can not see that cmocka's assertions do not return */
#undef assert_true
#undef assert_non_null
#define assert_true(c)     ((c) ? (void)0 : abort())
#define assert_non_null(p) ((p) ? (void)0 : abort())
#endif

#undef fail /* cmocka's; this is the one of common/error.h */
#define fail(...) ((void)error_set(__VA_ARGS__), false)

/* In place of cmocka's fail_msg(), which calls its fail(). abort() is for analyzers: _fail() does not return. */
#define FAIL(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__), abort())

#define TEST(name)  static void name(void **state)
#define ENTRY(name) cmocka_unit_test(name)

#define assert_str(s, expected) assert_str_is((s), (expected), __FILE__, __LINE__)
#define assert_str_is(s, expected, file, line)                        \
	do {                                                          \
		const char *expected_text = (expected);               \
		assert_int_equal((s).len, strlen(expected_text));     \
		assert_memory_equal((s).ptr, expected_text, (s).len); \
	} while (0)

#endif
