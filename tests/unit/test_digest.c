/* Digests, with the published test vectors (FIPS 180-2, RFC 4231). */
#include "common/digest.h"

#include "tests/unit/test.h"

TEST(sha256_of_abc_is_the_published_one)
{
	char hex[DIGEST_HEX_SIZE];

	(void)state;
	sha256_hex(STR("abc"), hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(hmac_is_that_of_rfc_4231_case_2)
{
	char hex[DIGEST_HEX_SIZE];

	(void)state;
	hmac_sha256_hex(STR("Jefe"), STR("what do ya want for nothing?"), hex);
	assert_string_equal(hex,
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(a_uuid_of_a_name_is_always_the_same_and_of_version_8)
{
	char one[UUID_SIZE], two[UUID_SIZE], random[UUID_SIZE];

	(void)state;
	uuid_of(STR("job#step"), one);
	uuid_of(STR("job#step"), two);
	uuid_random(random);
	assert_string_equal(one, two);
	assert_int_equal(one[14], '8');
	assert_int_equal(random[14], '4');
	assert_string_not_equal(one, random);
	assert_int_equal(strlen(random), 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(sha256_of_abc_is_the_published_one),
		ENTRY(hmac_is_that_of_rfc_4231_case_2),
		ENTRY(a_uuid_of_a_name_is_always_the_same_and_of_version_8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
