/*	check_admin ─► check_wishes ─► make: policy ─► its rights ─► role ─► user ─► token */
#include "worker/admin/connect.h"

#include "common/digest.h"
#include "common/directus.h"
#include "common/nearest.h"
#include "common/secrets.h"
#include "worker/setup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAJOR_MIN = 11 };

static struct arena *arena_of(const struct connect *c)
{
	return c->admin.setup->arena;
}

static bool refused(const struct rest_reply *reply, const char *what, struct error *err)
{
	if (reply->err.code != ERR_OK) {
		*err = reply->err;
		return false;
	}
	(void)fail(err, ERR_NAMED, "can not %s: %s%s%.200s", what, reply->code,
		   *reply->code ? ": " : "", reply->reason);
	(void)snprintf(err->name, sizeof(err->name), "%s",
		       *reply->code ? reply->code : "INTERNAL_SERVER_ERROR");
	return false;
}

PRINTF(2, 3) static void note(struct connect *c, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_push(c->steps, json_text(arena_of(c), text));
	fprintf(stderr, "  %s\n", text);
}

/* A change that is told, and made unless this is a dry run; reply->data is NULL then. */
static bool change(struct connect *c, const char *what, const char *method, const char *path,
		   const cJSON *body, struct rest_reply *reply)
{
	*reply = (struct rest_reply){.code = "", .reason = ""};
	if (c->dry_run) {
		note(c, "would %s", what);
		return true;
	}
	if (!rest_ask(&c->admin, method, path, body, reply))
		return false;
	note(c, "%s: done", what);
	return true;
}

/* ---- who asks ---- */

bool connect_check_admin(struct connect *c, struct error *err)
{
	struct rest_reply reply;

	if (!rest_ask(&c->admin, "GET", "/server/ping", NULL, &reply) ||
	    !str_is(reply.http->body, "pong"))
		return reply.err.code != ERR_OK
			       ? refused(&reply, "reach Directus", err)
			       : fail(err, ERR_INVALID_PAYLOAD,
				      "'%.100s' is no Directus: %s/server/ping answers status %d "
				      "and not 'pong'",
				      c->admin.url, c->admin.url, reply.status);
	if (!rest_ask(&c->admin, "GET", "/policies/me/globals", NULL, &reply))
		return refused(&reply,
			       "use this token (of an administrator, from the user's page "
			       "in the Studio, field Token)",
			       err);
	if (!json_get_bool(reply.data, "admin_access", false))
		return fail(err, ERR_FORBIDDEN,
			    "the token is of a user who is no administrator, expected one with "
			    "admin access");
	if (!rest_ask(&c->admin, "GET", "/server/info", NULL, &reply))
		return refused(&reply, "read /server/info", err);
	c->version = json_get_text(reply.data, "version");
	c->version = c->version ? c->version : "";
	if (*c->version && strtol(c->version, NULL, 10) < MAJOR_MIN)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "this is Directus %.20s, expected %d or later: policies are new there",
			    c->version, MAJOR_MIN);
	return true;
}

/* ---- what is wished ---- */

void connect_want(struct connect *c, const char *collection, const char *action,
		  const cJSON *fields)
{
	struct arena *a = arena_of(c);
	cJSON *right = json_object(a), *all = json_array(a);

	json_push(all, json_text(a, "*"));
	json_set_text(a, right, "collection", collection);
	json_set_text(a, right, "action", action);
	json_set(a, right, "fields", fields ? json_share(a, fields) : all);
	json_push(c->rights, right);
}

static bool holds(const cJSON *list, const char *text)
{
	const cJSON *item;

	json_each(item, list)
		if (cJSON_IsString(item) && strcmp(item->valuestring, text) == 0)
			return true;
	return false;
}

bool connect_covers(const cJSON *fields, const cJSON *wanted)
{
	const cJSON *field;

	if (holds(fields, "*"))
		return true;
	json_each(field, wanted)
		if (!holds(fields, field->valuestring))
			return false;
	return true;
}

/* Whether one of the objects has `word` under `name`. */
static bool find_name(const cJSON *objects, const char *name, const char *word, const char *what,
		      struct error *err)
{
	struct nearest near = {.word = word};
	const cJSON *object;

	json_each(object, objects) {
		const char *text = json_get_text(object, name);

		if (text && strcmp(text, word) == 0)
			return true;
		if (text)
			nearest_try(&near, text);
	}
	return near.best ? fail(err, ERR_INVALID_PAYLOAD,
				"there is no %s '%.80s', do you mean '%s'?", what, word, near.best)
			 : fail(err, ERR_INVALID_PAYLOAD, "there is no %s '%.80s'", what, word);
}

static bool check_fields(struct connect *c, const char *collection, const cJSON *fields,
			 struct error *err)
{
	struct arena *a = arena_of(c);
	const char *path = arena_printf(a, "/fields/%s", directus_encode(a, str_of(collection)));
	struct rest_reply reply;
	const cJSON *field;

	if (holds(fields, "*"))
		return true;
	if (!rest_ask(&c->admin, "GET", path, NULL, &reply))
		return refused(&reply, arena_printf(a, "read the fields of '%s'", collection), err);
	json_each(field, fields)
		if (!find_name(reply.data, "field", field->valuestring,
			       arena_printf(a, "field of collection '%s' named", collection), err))
			return false;
	return true;
}

bool connect_check_wishes(struct connect *c, struct error *err)
{
	struct rest_reply reply;
	const cJSON *right;

	if (!rest_ask(&c->admin, "GET", "/collections", NULL, &reply))
		return refused(&reply, "read the list of collections", err);
	json_each(right, c->rights) {
		const char *collection = json_get_text(right, "collection");

		if (!find_name(reply.data, "collection", collection, "collection", err) ||
		    !check_fields(c, collection, json_get(right, "fields"), err))
			return false;
	}
	return true;
}

/* ---- making ---- */

/* The one object of /<what> with our name, NULL if there is none; false: failed, or two. */
static bool find_ours(struct connect *c, const char *what, const char *filter, const char *fields,
		      const cJSON **found, struct error *err)
{
	struct arena *a = arena_of(c);
	struct rest_reply reply;
	const char *path = arena_printf(a, "/%s?filter[%s][_eq]=%s&limit=2&fields=%s", what, filter,
					directus_encode(a, str_of(c->name)), fields);

	if (!rest_ask(&c->admin, "GET", path, NULL, &reply))
		return refused(&reply, arena_printf(a, "read /%s", what), err);
	if (json_count(reply.data) > 1)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "two of /%s are named '%.60s': rename one, or give another --name",
			    what, c->name);
	*found = json_first(reply.data);
	return true;
}

static bool make_policy(struct connect *c, struct error *err)
{
	struct arena *a = arena_of(c);
	const char *what =
		arena_printf(a, "create policy '%s' (no Studio, no administrator)", c->name);
	const cJSON *found;
	cJSON *body = json_object(a);
	struct rest_reply reply;

	if (!find_ours(c, "policies", "name",
		       "id,admin_access,app_access,permissions.id,permissions.collection,"
		       "permissions.action,permissions.fields&deep[permissions][_limit]=-1",
		       &found, err))
		return false;
	if (found && json_get_bool(found, "admin_access", false))
		return fail(err, ERR_FORBIDDEN,
			    "policy '%.60s' is there already and gives administrators' rights: "
			    "give another --name",
			    c->name);
	c->policy = json_get_text(found, "id");
	c->existing = json_get(found, "permissions");
	if (found) {
		note(c, "policy '%s' is there already", c->name);
		return true;
	}
	json_set_text(a, body, "name", c->name);
	json_set_text(a, body, "icon", "smart_toy");
	json_set_text(a, body, "description", "The rights of flow-worker's own user");
	json_set_bool(a, body, "admin_access", false);
	json_set_bool(a, body, "app_access", false);
	if (!change(c, what, "POST", "/policies", body, &reply))
		return refused(&reply, what, err);
	c->policy = json_get_text(reply.data, "id");
	return true;
}

static const cJSON *find_right(const cJSON *rights, const cJSON *right)
{
	const cJSON *r;

	json_each(r, rights)
		if (json_equal(json_get(r, "collection"), json_get(right, "collection")) &&
		    json_equal(json_get(r, "action"), json_get(right, "action")))
			return r;
	return NULL;
}

static cJSON *joined(struct arena *a, const cJSON *fields, const cJSON *more)
{
	cJSON *all = json_array(a);
	const cJSON *field;

	json_each(field, fields)
		json_push(all, json_share(a, field));
	json_each(field, more)
		if (!holds(fields, field->valuestring))
			json_push(all, json_share(a, field));
	return all;
}

static cJSON *all_fields(struct arena *a)
{
	cJSON *all = json_array(a);

	json_push(all, json_text(a, "*"));
	return all;
}

/* Tries with the fields that are wanted; where Directus 12 has no licence for that, with all. */
static bool send_right(struct connect *c, const cJSON *right, const cJSON *there, struct error *err)
{
	struct arena *a = arena_of(c);
	const cJSON *wanted = json_get(right, "fields");
	cJSON *fields = joined(a, json_get(there, "fields"), wanted), *body = json_object(a);
	const char *what =
		arena_printf(a, "allow %s on %s, fields %s", json_get_text(right, "action"),
			     json_get_text(right, "collection"), json_print(a, fields).ptr);
	const char *path =
		there ? arena_printf(a, "/permissions/%.0f", json_get_number(there, "id", 0))
		      : "/permissions";
	const char *method = there ? "PATCH" : "POST";
	struct rest_reply reply;

	json_set(a, body, "fields", fields);
	if (!there) {
		json_set_text(a, body, "policy", c->policy);
		json_set(a, body, "collection", json_share(a, json_get(right, "collection")));
		json_set(a, body, "action", json_share(a, json_get(right, "action")));
		json_set(a, body, "permissions", json_object(a));
	}
	if (change(c, what, method, path, body, &reply))
		return true;
	if (strcmp(reply.code, "RESOURCE_RESTRICTED") != 0 || holds(wanted, "*"))
		return refused(&reply, what, err);
	c->fields_refused = true;
	json_set(a, body, "fields", all_fields(a));
	what = arena_printf(a,
			    "allow %s on %s, all fields (RESOURCE_RESTRICTED: this Directus takes "
			    "rights on single fields only with a licence)",
			    json_get_text(right, "action"), json_get_text(right, "collection"));
	return change(c, what, method, path, body, &reply) || refused(&reply, what, err);
}

static bool make_rights(struct connect *c, struct error *err)
{
	const cJSON *right;

	json_each(right, c->rights) {
		const cJSON *there = find_right(c->existing, right);

		if (!there ||
		    !connect_covers(json_get(there, "fields"), json_get(right, "fields"))) {
			if (!send_right(c, right, there, err))
				return false;
		} else if (holds(json_get(there, "fields"), "*") &&
			   !holds(json_get(right, "fields"), "*")) {
			note(c, "%s on %s is allowed already, for all fields: kept",
			     json_get_text(right, "action"), json_get_text(right, "collection"));
		}
	}
	json_each(right, c->existing)
		if (!find_right(c->rights, right))
			note(c, "kept from before: %s on %s", json_get_text(right, "action"),
			     json_get_text(right, "collection"));
	return true;
}

static bool has_policy(const struct connect *c, const cJSON *role)
{
	const cJSON *entry;

	json_each(entry, json_get(role, "policies")) {
		const char *policy = json_get_text(entry, "policy");

		if (policy && c->policy && strcmp(policy, c->policy) == 0)
			return true;
	}
	return false;
}

static cJSON *policy_link(struct connect *c)
{
	struct arena *a = arena_of(c);
	cJSON *policy = json_object(a), *entry = json_object(a), *list = json_array(a);
	cJSON *changes = json_object(a);

	json_set_text(a, policy, "id", c->policy);
	json_set(a, entry, "policy", policy);
	json_push(list, entry);
	json_set(a, changes, "create", list);
	json_set(a, changes, "update", json_array(a));
	json_set(a, changes, "delete", json_array(a));
	return changes;
}

static bool make_role(struct connect *c, struct error *err)
{
	struct arena *a = arena_of(c);
	const cJSON *found;
	cJSON *body = json_object(a);
	struct rest_reply reply;
	const char *what, *path;

	if (!find_ours(c, "roles", "name", "id,policies.policy", &found, err))
		return false;
	c->role = json_get_text(found, "id");
	if (has_policy(c, found)) {
		note(c, "role '%s' is there already", c->name);
		return true;
	}
	json_set(a, body, "policies", policy_link(c));
	if (!found)
		json_set_text(a, body, "name", c->name);
	what = arena_printf(a, found ? "give role '%s' its policy" : "create role '%s'", c->name);
	path = found ? arena_printf(a, "/roles/%s", c->role) : "/roles";
	if (!change(c, what, found ? "PATCH" : "POST", path, body, &reply))
		return refused(&reply, what, err);
	c->role = found ? c->role : json_get_text(reply.data, "id");
	return true;
}

/* 64 hexadecimal digits. */
static const char *new_token(struct arena *a)
{
	char uuid[2][UUID_SIZE], hex[DIGEST_HEX_SIZE];

	uuid_random(uuid[0]);
	uuid_random(uuid[1]);
	sha256_hex(str_of(arena_printf(a, "%s%s", uuid[0], uuid[1])), hex);
	secrets_add(str_of(hex));
	return arena_strdup(a, hex);
}

/* Whether the token of an earlier time is this user's. */
static bool is_token_of(const struct connect *c, const char *user)
{
	struct rest worker = {c->admin.setup, c->admin.url, c->known_token};
	struct rest_reply reply;
	const char *id;

	if (!c->known_token || !rest_ask(&worker, "GET", "/users/me?fields=id", NULL, &reply))
		return false;
	id = json_get_text(reply.data, "id");
	return id && strcmp(id, user) == 0;
}

static bool update_user(struct connect *c, const cJSON *user, struct error *err)
{
	struct arena *a = arena_of(c);
	cJSON *body = json_object(a);
	const char *status = json_get_text(user, "status"), *what;
	bool is_active = status && strcmp(status, "active") == 0;
	bool has_token = json_get_text(user, "token") != NULL;
	struct rest_reply reply;

	c->user = json_get_text(user, "id");
	note(c, "user '%s' is there already", c->name);
	if (is_active && has_token && !c->new_token) {
		c->token = is_token_of(c, c->user) ? c->known_token : NULL;
		return true;
	}
	if (!is_active)
		json_set_text(a, body, "status", "active");
	if (c->new_token || !has_token) {
		c->token = new_token(a);
		json_set_text(a, body, "token", c->token);
	} else if (is_token_of(c, c->user)) {
		c->token = c->known_token;
	}
	what = arena_printf(a, "update user '%s': %s%s", c->name, is_active ? "" : "active ",
			    c->token ? "with a new token" : "");
	return change(c, what, "PATCH", arena_printf(a, "/users/%s", c->user), body, &reply) ||
	       refused(&reply, what, err);
}

static bool make_user(struct connect *c, struct error *err)
{
	struct arena *a = arena_of(c);
	const char *what = arena_printf(a, "create user '%s' with a static token", c->name);
	const char *more = c->role ? arena_printf(a, "&filter[role][_eq]=%s", c->role) : "";
	cJSON *body = json_object(a);
	const cJSON *found = NULL;
	struct rest_reply reply;

	if (c->role && !find_ours(c, "users", "first_name",
				  arena_printf(a, "id,status,token%s", more), &found, err))
		return false;
	if (found)
		return update_user(c, found, err);
	c->token = new_token(a);
	json_set_text(a, body, "first_name", c->name);
	json_set_text(a, body, "description", "Writes what flows of flow-worker write");
	json_set_text(a, body, "status", "active");
	json_set_text(a, body, "role", c->role);
	json_set_text(a, body, "token", c->token);
	if (!change(c, what, "POST", "/users", body, &reply))
		return refused(&reply, what, err);
	c->user = json_get_text(reply.data, "id");
	return true;
}

bool connect_make(struct connect *c, struct error *err)
{
	return make_policy(c, err) && make_rights(c, err) && make_role(c, err) && make_user(c, err);
}
