#include "common/nearest.h"

enum { WORD_MAX = 80 };

static size_t least(size_t a, size_t b, size_t c)
{
	return size_min(size_min(a, b), c);
}

/* Edits between two words, where swapping two letters is one edit. Three rows of the table are
 * enough: this one and the two before it. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3],
		       *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t other = a[i - 1] != b[j - 1];

			row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + other);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = size_min(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

void nearest_try(struct nearest *n, const char *name)
{
	size_t word_len = strlen(n->word), name_len = strlen(name), d;
	size_t limit = word_len / 3 > 2 ? word_len / 3 : 2;

	if (word_len > WORD_MAX || name_len > WORD_MAX)
		return;
	d = distance(n->word, word_len, name, name_len);
	if (d > limit || d >= name_len || (n->best && d >= n->distance))
		return;
	n->best = name;
	n->distance = d;
}
