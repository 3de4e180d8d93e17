/* operations/items.h: what item-read, item-create, item-update and item-delete share.
 *
 * Options are Directus' own, in every form that users write them: keys as "15", "a,b", [1,2],
 * ["{{…}}"] that became [[1,2]], or the text of a JSON array; query and payload as objects or as
 * their JSON text. Directus takes neither of the last two forms of keys and fails there.
 *
 * The worker writes with the rights of its own token. An operation whose `permissions` name another
 * identity is refused, unless the operator says that this is meant (WORKER_TRUST_PERMISSIONS).
 * `emitEvents: false` can not be honoured: REST always emits events. What stops loops is the user
 * agent, in which every write names its job, chain and depth.
 *
 * Both can be done where Directus has our extension and the flow is stored there: then it carries
 * the operation out, as whom the stored operation says, never the job. "$trigger" there means the
 * user whom a signed job names; a job that is not signed keeps the rights of the worker's own user, also
 * where its writes go through the extension since they are to emit no events. */
#ifndef OPERATIONS_ITEMS_H
#define OPERATIONS_ITEMS_H

#include "common/directus_key.h"
#include "operations/operation.h"

/* The first member of each operation's state. */
struct items {
	struct op_call *op;
	const char *collection; /* set before items_prepare(), or read from the options */
	const char *key_option; /* the same; NULL: "key" */
	const char *path;       /* "/items/articles", "/files" */
	const char *user_agent;
	const cJSON *keys; /* a flat array of texts and numbers, maybe empty */
	size_t key_count;
	bool key_given;       /* the option is there, though it may hold no key */
	const cJSON *query;   /* an object with members; or NULL */
	const cJSON *payload; /* an object, or an array of objects; NULL: none */
	bool by_extension;    /* after items_prepare(): end with items_delegate() */
	bool as_worker;       /* ... with the rights of the worker's own user */
	bool may_be_new;      /* the run began with an event: its rows may not be visible yet */
	struct directus_call ask;
	struct directus_key_call key;
};

/* The options that all four have in common. */
#define ITEMS_OPTIONS                                                                          \
	{.name = "collection",                                                                 \
	 .types = OPTION_TEXT,                                                                 \
	 .required = true,                                                                     \
	 .help = "name of the collection; directus_files and the like work, too"},             \
		{.name = "permissions",                                                        \
		 .types = OPTION_TEXT,                                                         \
		 .help = "$trigger: the rights of the worker's own user; anything else needs " \
			 "the extension in Directus, or WORKER_TRUST_PERMISSIONS=true"},       \
	{                                                                                      \
		.name = "emitEvents", .types = OPTION_ANY,                                     \
		.help = "false needs the extension in Directus: REST always emits events"      \
	}

/* Reads the options; ERR_INVALID_PAYLOAD, ERR_FORBIDDEN. */
bool items_prepare(struct op_call *c, struct items *it, struct error *err) NODISCARD;

/* Starts it->ask, with the user agent; then returns what task_await_either() says. */
enum task_next items_ask(struct items *it, const char *method, const char *path, const char *query,
			 const cJSON *body, task_step *then);
/* The same for it->key. */
enum task_next items_ask_key(struct items *it, task_step *then);
/* it->ask has failed: so does the operation, with what Directus said. */
enum task_next items_fail(struct items *it);
/* The extension carries the operation out, with this payload (or NULL): it->ask.data is the result.
 * `then` is the operation's own step, or NULL: ends with it. `repeatable`: twice is harmless. */
enum task_next items_delegate(struct items *it, const cJSON *payload, bool repeatable,
			      task_step *then);
/* The operation fails with INVALID_PAYLOAD, status 400, as Directus' own checks do. */
enum task_next items_refuse(struct items *it, const char *why);

static inline bool items_failed(const struct items *it)
{
	return it->ask.task.call.err.code != ERR_OK;
}

/* {"keys": […], "query": …, "data": …}: whichever is not NULL. */
cJSON *items_body(const struct items *it, const cJSON *keys, const cJSON *query, const cJSON *data);
/* The path of one item; false and ERR_INVALID_PAYLOAD if the key can not be one. */
bool items_key_path(struct items *it, const cJSON *key, const char **path,
		    struct error *err) NODISCARD;

/* A key as text: "15". */
const char *items_key_text(struct arena *a, const cJSON *key);
/* The member `name` of each row: a new array. */
cJSON *items_pluck(struct arena *a, const cJSON *rows, const char *name);
/* As JavaScript sorts: by text. A new array. */
cJSON *items_sorted(struct arena *a, const cJSON *keys);

#endif
