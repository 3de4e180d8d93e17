/* json_print() and json_number_text(): what JSON.stringify() and String(number) give. */
#include "common/json.h"

#include "common/buf.h"
#include "common/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- numbers ---- */

/* The shortest digits that read back as the same double, as "d.ddde[+-]dd". */
static void shortest(double number, char text[JSON_NUMBER_MAX])
{
	/* 15 digits are always exact for a normal number; those below have fewer */
	int precision = fabs(number) < 2.2250738585072014e-308 ? 1 : 15;

	for (; precision <= 17; precision++) {
		(void)snprintf(text, JSON_NUMBER_MAX, "%.*e", precision - 1, number);
		if (strtod(text, NULL) == number)
			return;
	}
}

/* At a power of two the next double below is nearer than the one above: the shortest digits may
 * then be one more than the nearest ones. */
static void shortest_of_16(double number, char text[JSON_NUMBER_MAX])
{
	char other[JSON_NUMBER_MAX];

	shortest(number, text);
	if (strcspn(text, "e") < 18)
		return;
	(void)snprintf(other, sizeof(other), "%.15e", number);
	other[16]++;
	if (other[16] <= '9' && strtod(other, NULL) == number)
		memcpy(text, other, sizeof(other));
}

/* The significant digits of a positive number, and where the decimal point stands behind the first. */
static int digits_of(double number, char digits[JSON_NUMBER_MAX], int *point)
{
	char scientific[JSON_NUMBER_MAX];
	int count = 0;

	shortest_of_16(number, scientific);
	*point = (int)strtol(strchr(scientific, 'e') + 1, NULL, 10) + 1;
	for (const char *c = scientific; *c != 'e'; c++)
		if (*c != '.')
			digits[count++] = *c;
	while (count > 1 && digits[count - 1] == '0')
		count--;
	digits[count] = '\0';
	return count;
}

/* Fixed notation or scientific: by where the decimal point would stand. */
static void arrange(double number, const char *sign, char text[JSON_NUMBER_MAX])
{
	static const char zeros[] = "000000000000000000000"; /* as many as the longest needs */
	char d[JSON_NUMBER_MAX], whole[JSON_NUMBER_MAX] = "";
	int point, count = digits_of(number, d, &point);

	if (count <= point && point <= 21)
		(void)snprintf(text, JSON_NUMBER_MAX, "%s%.17s%.*s", sign, d, point - count, zeros);
	else if (point > 0 && point <= 21)
		(void)snprintf(text, JSON_NUMBER_MAX, "%s%.17s.%.17s", sign,
			       (char *)memcpy(whole, d, (size_t)point), d + point);
	else if (point > -6 && point <= 0)
		(void)snprintf(text, JSON_NUMBER_MAX, "%s0.%.*s%.17s", sign, -point, zeros, d);
	else
		(void)snprintf(text, JSON_NUMBER_MAX, "%s%c%s%.16se%+d", sign, d[0],
			       count > 1 ? "." : "", d + 1, point - 1);
}

const char *json_number_text(double number, char text[JSON_NUMBER_MAX])
{
	const char *sign = number < 0 ? "-" : "";

	if (isnan(number))
		(void)snprintf(text, JSON_NUMBER_MAX, "NaN");
	else if (isinf(number))
		(void)snprintf(text, JSON_NUMBER_MAX, "%sInfinity", sign);
	else if (fabs(number) < 1e15 && trunc(number) == number) /* the usual case, made fast */
		(void)snprintf(text, JSON_NUMBER_MAX, "%lld", (long long)number);
	else
		arrange(fabs(number), sign, text);
	return text;
}

/* ---- values ---- */

struct printer {
	struct buf out;
	struct arena *arena;
	bool pretty;
	int depth;
};

static void print_value(struct printer *p, const cJSON *value);

static void add(struct printer *p, const char *text, size_t len)
{
	buf_add(&p->out, text, len);
}

static bool is_surrogate(uint32_t c, uint32_t from)
{
	return c >= from && c < from + 0x400;
}

/* A surrogate: two halves that have come together are a character again. */
static void print_surrogate(struct printer *p, uint32_t c, struct str s, size_t *at)
{
	size_t next = *at;
	uint32_t low = next < s.len ? utf8_next(s, &next) : 0;
	char bytes[UTF8_MAX];

	if (is_surrogate(c, 0xD800) && is_surrogate(low, 0xDC00)) {
		add(p, bytes, utf8_write(0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00), bytes));
		*at = next;
		return;
	}
	buf_printf(&p->out, "\\u%04x", c);
}

static void print_control(struct printer *p, unsigned char c)
{
	static const char letters[] = "btn?fr"; /* from U+0008 on */

	if (c == '"' || c == '\\')
		buf_printf(&p->out, "\\%c", c);
	else if (c >= '\b' && c <= '\r' && c != '\v')
		buf_printf(&p->out, "\\%c", letters[c - '\b']);
	else
		buf_printf(&p->out, "\\u%04x", c);
}

static void print_string(struct printer *p, const char *text)
{
	struct str s = str_of(text);
	size_t from = 0, at = 0;

	add(p, "\"", 1);
	while (at < s.len) {
		unsigned char c = (unsigned char)s.ptr[at];
		bool surrogate =
			c == 0xED && at + 2 < s.len && (unsigned char)s.ptr[at + 1] >= 0xA0;

		if (c >= 0x20 && c != '"' && c != '\\' && !surrogate) {
			at++;
			continue;
		}
		add(p, s.ptr + from, at - from);
		if (surrogate) {
			uint32_t half = utf8_next(s, &at);

			print_surrogate(p, half, s, &at);
		} else {
			print_control(p, c);
			at++;
		}
		from = at;
	}
	add(p, s.ptr + from, s.len - from);
	add(p, "\"", 1);
}

static void new_line(struct printer *p)
{
	if (!p->pretty)
		return;
	add(p, "\n", 1);
	for (int i = 0; i < p->depth; i++)
		add(p, "  ", 2);
}

static void print_item(struct printer *p, const cJSON *item, bool first)
{
	if (!first)
		add(p, ",", 1);
	new_line(p);
	if (item->string) {
		print_string(p, item->string);
		add(p, ": ", p->pretty ? 2 : 1);
	}
	print_value(p, item);
}

/* What JavaScript calls an array index: "0", "7", "4294967294", and not "07". */
static bool is_index(const char *key, uint64_t *index)
{
	size_t len = strspn(key, "0123456789");

	if (len == 0 || len > 10 || key[len] || (len > 1 && key[0] == '0'))
		return false;
	*index = strtoull(key, NULL, 10);
	return *index < UINT32_MAX;
}

struct indexed {
	uint64_t index;
	const cJSON *item;
};

static int by_index(const void *left, const void *right)
{
	const struct indexed *a = left, *b = right;

	return (a->index > b->index) - (a->index < b->index);
}

/* The members whose keys are indices come first, ascending. Returns how many there are. */
static size_t print_indexed(struct printer *p, const cJSON *object)
{
	struct indexed *found = NULL;
	size_t count = 0;
	uint64_t index;
	const cJSON *item;

	json_each(item, object) {
		if (!is_index(item->string, &index))
			continue;
		if (!found)
			found = arena_array(p->arena, struct indexed, json_count(object));
		found[count++] = (struct indexed){index, item};
	}
	if (count > 1)
		qsort(found, count, sizeof(*found), by_index);
	for (size_t i = 0; i < count; i++)
		print_item(p, found[i].item, i == 0);
	return count;
}

static void print_container(struct printer *p, const cJSON *value)
{
	bool is_object = cJSON_IsObject(value), first;
	size_t indexed;
	uint64_t index;
	const cJSON *item;

	add(p, is_object ? "{" : "[", 1);
	p->depth++;
	indexed = is_object ? print_indexed(p, value) : 0;
	first = indexed == 0;
	json_each(item, value) {
		if (indexed && is_index(item->string, &index))
			continue;
		print_item(p, item, first);
		first = false;
	}
	p->depth--;
	if (value->child)
		new_line(p);
	add(p, is_object ? "}" : "]", 1);
}

static void print_value(struct printer *p, const cJSON *value)
{
	char number[JSON_NUMBER_MAX];

	if (cJSON_IsString(value))
		print_string(p, value->valuestring);
	else if (cJSON_IsNumber(value))
		buf_add_text(&p->out, json_number_text(value->valuedouble, number));
	else if (cJSON_IsBool(value))
		buf_add_text(&p->out, cJSON_IsTrue(value) ? "true" : "false");
	else if (cJSON_IsArray(value) || cJSON_IsObject(value))
		print_container(p, value);
	else
		add(p, "null", 4);
}

static struct str print(struct arena *a, const cJSON *value, bool pretty)
{
	struct printer p = {.arena = a, .pretty = pretty};

	buf_init(&p.out, SIZE_MAX / 2 - 1);
	print_value(&p, value);
	return buf_give(&p.out, a);
}

struct str json_print(struct arena *a, const cJSON *value)
{
	return print(a, value, false);
}

struct str json_print_pretty(struct arena *a, const cJSON *value)
{
	return print(a, value, true);
}
