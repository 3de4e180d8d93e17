/* HTML made harmless, by a table of attacks and of honest pieces: tests/vectors/html.json. */
#include "tests/unit/fixture.h"

#include "common/html_text.h"
#include "operations/html.h"
#include "tests/unit/vectors.h"

TEST(only_what_is_on_the_list_is_left)
{
	struct fixture *f = *state;
	const cJSON *row;

	json_each(row, read_vectors(f->arena, "html.json")) {
		struct str clean, again;

		assert_true(
			html_sanitize(f->arena, str_of(row->child->valuestring), &clean, &f->err));
		if (!str_is(clean, row->child->next->valuestring))
			FAIL("%s: %s", row->child->valuestring, clean.ptr);
		assert_true(html_sanitize(f->arena, clean, &again, &f->err));
		if (!str_equal(clean, again))
			FAIL("not the same the second time: %s: %s", clean.ptr, again.ptr);
	}
}

static struct str repeated(struct arena *a, const char *piece, size_t count)
{
	char *text = arena_alloc(a, strlen(piece) * count + 1), *at = text;

	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, piece);
	return (struct str){text, (size_t)(at - text)};
}

TEST(deep_html_is_refused_before_it_costs_time)
{
	static const char *const pieces[] = {"<div>",  "<b>",      "<b><div></b>", "<table><td>",
					     "<p><i>", "<ul><li>", "<svg><a>",     "<x></y>"};
	struct fixture *f = *state;
	struct str clean;

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		assert_false(html_sanitize(f->arena, repeated(f->arena, pieces[i], 100000), &clean,
					   &f->err));
		assert_non_null(strstr(f->err.text, "nested deeper than 200"));
	}
}

TEST(long_flat_html_is_taken)
{
	static const char *const pieces[] = {
		"<p>a",      "<li>a",  "a<br>",       "<p>a <b>b</b></p>\n",
		"<tr><td>x", "&amp;<", "<img src=a>", "</p>"};
	struct fixture *f = *state;
	struct str clean;

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
		assert_true(html_sanitize(f->arena, repeated(f->arena, pieces[i], 4000), &clean,
					  &f->err));
	assert_false(html_sanitize(f->arena, repeated(f->arena, "a", HTML_BYTES_MAX + 1), &clean,
				   &f->err));
}

TEST(the_text_of_html_is_what_a_reader_sees)
{
	static const char *const rows[][2] = {
		{"a &amp; b",				  "a & b"        },
		{"<p>One</p><p>two</p>",                       "One\ntwo"     },
		{"<p>One</p>\n\n\n<p>two</p>",                 "One\n\ntwo"   },
		{"x<br>y<br/>z",                               "x\ny\nz"      },
		{"<ul><li>a</li><li>b</li></ul>",              "a\nb"         },
		{"a<!-- <b>c</b> -->d",                        "ad"           },
		{"a<script>if (1 < 2) x('</p>')</script >b",   "ab"           },
		{"<style>p > a {}</style>c",                   "c"            },
		{"<a title=\"x > y\">t</a>",                   "t"            },
		{"1 < 2 & 3 > 2",                              "1 < 2 & 3 > 2"},
		{"&eacute;&#233;&#xE9;&nbsp;&euro;&unknown;&",
		 "\xC3\xA9\xC3\xA9\xC3\xA9 \xE2\x82\xAC&unknown;&"            },
		{"<td>a</td><td>b</td>",                       "a\tb"         },
		{"plain\ntext",				"plain\ntext"  },
		{"<p>never ended",                             "never ended"  },
		{"<p title='",				 ""             },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_str(html_text(f->arena, str_of(rows[i][0])), rows[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(only_what_is_on_the_list_is_left),
		ENTRY(deep_html_is_refused_before_it_costs_time),
		ENTRY(long_flat_html_is_taken),
		ENTRY(the_text_of_html_is_what_a_reader_sees),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
