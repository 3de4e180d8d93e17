/* Replies, copied out of hiredis' memory, and error replies. */
#include "common/redis_private.h"

#include "common/redis.h"

#include <ctype.h>
#include <hiredis/hiredis.h>

bool redis_copy_reply(struct redis_value *v, const redisReply *reply, struct arena *a,
		      struct str *error)
{
	struct redis_value *items;

	switch (reply->type) {
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		v->type = reply->type == REDIS_REPLY_STRING ? REDIS_TEXT : REDIS_STATUS;
		v->text = arena_str(a, (struct str){reply->str, reply->len});
		return true;
	case REDIS_REPLY_INTEGER:
		v->type = REDIS_INTEGER;
		v->integer = reply->integer;
		return true;
	case REDIS_REPLY_ARRAY:
		v->type = REDIS_ARRAY;
		v->count = reply->elements;
		v->items = items = arena_array(a, struct redis_value, v->count);
		for (size_t i = 0; i < v->count; i++)
			if (!redis_copy_reply(&items[i], reply->element[i], a, error))
				return false;
		return true;
	case REDIS_REPLY_ERROR:
		*error = (struct str){reply->str, reply->len};
		return false;
	default:
		v->type = REDIS_NIL;
		return true;
	}
}

/* The kind of an error. Before Redis 7, a script's error wraps that of the command inside:
 * "ERR Error running script (call to f_...): @user_script:1: @user_script: 1: -READONLY You ..." */
static struct str kind_of_error(struct str text)
{
	const char *inner = NULL;
	size_t len = 0;

	if (str_starts(text, STR("ERR Error running script")))
		inner = memmem(text.ptr, text.len, ": -", 3);
	if (inner)
		text = (struct str){inner + 3, text.len - (size_t)(inner + 3 - text.ptr)};
	while (len < text.len && (isupper((unsigned char)text.ptr[len]) || text.ptr[len] == '_'))
		len++;
	return (struct str){text.ptr, len};
}

bool redis_fail_by_reply(struct error *err, const char *command, struct str text)
{
	struct str kind = kind_of_error(text);
	/* Redis repeats the words of a command that it does not know: they are not for the log. */
	const char *words = memmem(text.ptr, text.len, ", with args beginning", 21);

	if (words)
		text.len = (size_t)(words - text.ptr);
	(void)fail(err, ERR_REDIS, "redis answered %s with: %.*s", command,
		   (int)size_min(text.len, 200), text.ptr);
	memcpy(err->detail, kind.ptr, size_min(kind.len, sizeof(err->detail) - 1));
	return false;
}
