#include "worker/flow/failure.h"

#include "common/secrets.h"

/* Codes that are for us, and what a user is told. */
static const struct {
	enum error_code code;
	const char *shown;
} inside[] = {
	{ERR_CONNECTION,      "SERVICE_UNAVAILABLE"},
	{ERR_REDIS,           "SERVICE_UNAVAILABLE"},
	{ERR_TEMPLATE_SYNTAX, "INVALID_PAYLOAD"    },
	{ERR_PARKED,          "TIMEOUT"            },
	{ERR_LEASE_LOST,      "STALLED"            },
	{ERR_SHUTDOWN,        "CANCELLED"          },
	{ERR_CONFIG,          "INVALID_PAYLOAD"    },
};

const char *failure_code(const struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(inside); i++)
		if (err->code == inside[i].code)
			return inside[i].shown;
	return error_name(err);
}

static const char *failure_name(const struct error *err)
{
	if (err->code == ERR_TEMPLATE_SYNTAX && err->name[0])
		return err
			->name; /* SyntaxError, ReferenceError: as Directus' template engine says */
	return err->code == ERR_NAMED ? "DirectusError" : "Error";
}

cJSON *failure_json(struct arena *a, const struct error *err, const cJSON *extra)
{
	cJSON *json = json_object(a);
	const cJSON *item;

	json_set_text(a, json, "name", failure_name(err));
	json_set_text(a, json, "message", secrets_mask_text(a, err->text));
	json_set_text(a, json, "code", failure_code(err));
	json_set(a, json, "status", err->status ? json_number(a, err->status) : json_null(a));
	json_set(a, json, "extensions", json_object(a));
	json_set_bool(a, json, "retryable", error_is_retryable(err));
	if (err->retry_after_ms)
		json_set_number(a, json, "retryAfterMs", err->retry_after_ms);
	if (err->detail[0])
		json_set_text(a, json, "providerCode", err->detail);
	json_each(item, extra)
		json_set(a, json, item->string, json_share(a, item));
	return json;
}
