/* cJSON does the parsing and knows the tree; what it allocates comes from `current`, the arena of the
 * function that is running. Printing is our own: cJSON's numbers are not JavaScript's. */
#include "common/json.h"

#include "common/buf.h"
#include "common/json_scan.h"
#include "common/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- cJSON's memory ---- */

static struct arena *current;

static void *allocate(size_t size)
{
	assert(current); /* somebody called cJSON past this file */
	return arena_alloc(current, size);
}

static void forget(void *ptr)
{
	(void)ptr;
}

static void enter(struct arena *a)
{
	static bool is_set;
	cJSON_Hooks hooks = {allocate, forget};

	if (!is_set)
		cJSON_InitHooks(&hooks);
	is_set = true;
	current = a;
}

static cJSON *leave(cJSON *made)
{
	current = NULL;
	return made;
}

/* ---- members of objects ---- */

static void take_content(cJSON *to, const cJSON *from)
{
	to->type = from->type;
	to->valuestring = from->valuestring;
	to->valueint = from->valueint;
	to->valuedouble = from->valuedouble;
	to->child = from->child;
}

struct member {
	const char *key;
	size_t place;
	cJSON *node;
};

static int by_key(const void *left, const void *right)
{
	const struct member *a = left, *b = right;
	int order = strcmp(a->key, b->key);

	return order ? order : (a->place > b->place) - (a->place < b->place);
}

/* In a list that the caller frees: looking up each key of a large object would be quadratic. */
static struct member *sorted_members(const cJSON *object, size_t count)
{
	struct member *members = xmalloc(count * sizeof(*members));
	size_t i = 0;
	cJSON *item;

	json_each(item, object) {
		members[i] = (struct member){item->string, i, item};
		i++;
	}
	qsort(members, count, sizeof(*members), by_key);
	return members;
}

/* Of members with the same key the first gets the last one's value, and the others go. */
static void merge_duplicates(cJSON *object)
{
	size_t count = json_count(object);
	struct member *members;

	if (count < 2)
		return;
	members = sorted_members(object, count);
	for (size_t i = 0, first = 0; i < count; i++) {
		if (i == first || strcmp(members[i].key, members[first].key) != 0) {
			first = i;
			continue;
		}
		take_content(members[first].node, members[i].node);
		(void)cJSON_DetachItemViaPointer(object, members[i].node);
	}
	free(members);
}

static bool may_have_duplicates(const cJSON *object)
{
	enum { SMALL = 12 };
	size_t count = 0;

	for (const cJSON *item = object->child; item; item = item->next) {
		if (++count > SMALL)
			return true;
		for (const cJSON *other = object->child; other != item; other = other->next)
			if (strcmp(item->string, other->string) == 0)
				return true;
	}
	return false;
}

static void merge_all_duplicates(cJSON *value)
{
	cJSON *item;

	if (cJSON_IsObject(value) && may_have_duplicates(value))
		merge_duplicates(value);
	json_each(item, value)
		merge_all_duplicates(item);
}

/* ---- parsing ---- */

static cJSON *parse(struct arena *a, struct str text, bool rounding, struct error *err)
{
	struct str ready;
	cJSON *value;

	if (!json_scan(a, text, rounding, &ready, NULL, err))
		return NULL;
	enter(a);
	value = leave(cJSON_ParseWithLength(ready.ptr, ready.len));
	assert(value); /* the scan lets nothing through that cJSON refuses */
	merge_all_duplicates(value);
	return value;
}

cJSON *json_parse(struct arena *a, struct str text, struct error *err)
{
	return parse(a, text, false, err);
}

cJSON *json_parse_rounding(struct arena *a, struct str text, struct error *err)
{
	return parse(a, text, true, err);
}

/* ---- making ---- */

cJSON *json_null(struct arena *a)
{
	enter(a);
	return leave(cJSON_CreateNull());
}

cJSON *json_bool(struct arena *a, bool value)
{
	enter(a);
	return leave(cJSON_CreateBool(value));
}

cJSON *json_number(struct arena *a, double value)
{
	if (!isfinite(value))
		return json_null(a);
	enter(a);
	return leave(cJSON_CreateNumber(value));
}

cJSON *json_text(struct arena *a, const char *text)
{
	if (!text)
		return json_null(a);
	enter(a);
	return leave(cJSON_CreateString(text));
}

cJSON *json_str(struct arena *a, struct str text)
{
	cJSON *made = arena_make(a, cJSON);
	const char *nul = text.len ? memchr(text.ptr, '\0', text.len) : NULL;

	made->type = cJSON_String;
	made->valuestring = arena_strndup(a, text.ptr, nul ? (size_t)(nul - text.ptr) : text.len);
	return made;
}

cJSON *json_object(struct arena *a)
{
	enter(a);
	return leave(cJSON_CreateObject());
}

cJSON *json_array(struct arena *a)
{
	enter(a);
	return leave(cJSON_CreateArray());
}

cJSON *json_share(struct arena *a, const cJSON *value)
{
	cJSON *made = arena_make(a, cJSON);

	take_content(made, value);
	return made;
}

cJSON *json_copy(struct arena *a, const cJSON *value)
{
	cJSON *made = json_share(a, value), *item;

	if (made->valuestring)
		made->valuestring = arena_strdup(a, made->valuestring);
	made->child = NULL;
	json_each(item, value) {
		if (item->string)
			json_append(a, made, item->string, json_copy(a, item));
		else
			json_push(made, json_copy(a, item));
	}
	return made;
}

/* A node's place in its container goes to another one. */
static void put_in_place(cJSON *container, cJSON *old, cJSON *value)
{
	value->string = old->string;
	value->next = old->next;
	value->prev = old->prev == old ? value : old->prev;
	if (old->next)
		old->next->prev = value;
	else
		container->child->prev = value; /* the first one's prev is the last one */
	if (container->child == old)
		container->child = value;
	else
		value->prev->next = value;
}

void json_set(struct arena *a, cJSON *object, const char *key, cJSON *value)
{
	cJSON *old = object->child;

	while (old && strcmp(old->string, key) != 0)
		old = old->next;
	if (old)
		put_in_place(object, old, value);
	else
		json_append(a, object, key, value);
}

void json_append(struct arena *a, cJSON *object, const char *key, cJSON *value)
{
	value->string = arena_strdup(a, key);
	(void)cJSON_AddItemToArray(object, value);
}

void json_remove(cJSON *object, const char *key)
{
	cJSON *old = object->child;

	while (old && strcmp(old->string, key) != 0)
		old = old->next;
	if (old)
		(void)cJSON_DetachItemViaPointer(object, old);
}

void json_push(cJSON *array, cJSON *value)
{
	value->string = NULL; /* it may have been a member */
	(void)cJSON_AddItemToArray(array, value);
}

void json_set_text(struct arena *a, cJSON *object, const char *key, const char *text)
{
	json_set(a, object, key, json_text(a, text));
}

void json_set_str(struct arena *a, cJSON *object, const char *key, struct str text)
{
	json_set(a, object, key, json_str(a, text));
}

void json_set_number(struct arena *a, cJSON *object, const char *key, double number)
{
	json_set(a, object, key, json_number(a, number));
}

void json_set_bool(struct arena *a, cJSON *object, const char *key, bool value)
{
	json_set(a, object, key, json_bool(a, value));
}

/* ---- reading ---- */

const cJSON *json_get(const cJSON *object, const char *key)
{
	return json_get_str(object, str_of(key));
}

const cJSON *json_get_str(const cJSON *object, struct str key)
{
	const cJSON *item;

	if (!cJSON_IsObject(object))
		return NULL;
	json_each(item, object)
		if (strncmp(item->string, key.ptr ? key.ptr : "", key.len) == 0 &&
		    item->string[key.len] == '\0')
			return item;
	return NULL;
}

const cJSON *json_path(const cJSON *object, ...)
{
	const char *key;
	va_list keys;

	va_start(keys, object);
	while (object && (key = va_arg(keys, const char *)))
		object = json_get(object, key);
	va_end(keys);
	return object;
}

const char *json_get_text(const cJSON *object, const char *key)
{
	const cJSON *value = json_get(object, key);

	return cJSON_IsString(value) ? value->valuestring : NULL;
}

double json_get_number(const cJSON *object, const char *key, double otherwise)
{
	const cJSON *value = json_get(object, key);

	return cJSON_IsNumber(value) ? value->valuedouble : otherwise;
}

bool json_get_bool(const cJSON *object, const char *key, bool otherwise)
{
	const cJSON *value = json_get(object, key);

	return cJSON_IsBool(value) ? cJSON_IsTrue(value) : otherwise;
}

size_t json_count(const cJSON *container)
{
	size_t count = 0;
	const cJSON *item;

	json_each(item, container)
		count++;
	return count;
}

static bool equal_items(const cJSON *a, const cJSON *b)
{
	const cJSON *x = a->child, *y = b->child;

	for (; x && y; x = x->next, y = y->next)
		if (!json_equal(x, y))
			return false;
	return !x && !y;
}

static bool equal_members(const cJSON *a, const cJSON *b)
{
	size_t count = json_count(a);
	struct member *x, *y;
	bool equal = true;

	if (json_count(b) != count)
		return false;
	x = sorted_members(a, count);
	y = sorted_members(b, count);
	for (size_t i = 0; i < count && equal; i++)
		equal = strcmp(x[i].key, y[i].key) == 0 && json_equal(x[i].node, y[i].node);
	free(x);
	free(y);
	return equal;
}

bool json_equal(const cJSON *a, const cJSON *b)
{
	if (!a || !b)
		return a == b;
	if ((a->type & 0xFF) != (b->type & 0xFF))
		return false;
	switch (a->type & 0xFF) {
	case cJSON_Number:
		return !(a->valuedouble < b->valuedouble) && !(a->valuedouble > b->valuedouble);
	case cJSON_String:
		return strcmp(a->valuestring, b->valuestring) == 0;
	case cJSON_Array:
		return equal_items(a, b);
	case cJSON_Object:
		return equal_members(a, b);
	default:
		return true;
	}
}

const char *json_type_name(const cJSON *value)
{
	if (cJSON_IsBool(value))
		return "boolean";
	if (cJSON_IsNumber(value))
		return "number";
	if (cJSON_IsString(value))
		return "string";
	if (cJSON_IsArray(value))
		return "array";
	return cJSON_IsObject(value) ? "object" : "null";
}
