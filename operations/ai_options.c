#include "operations/ai_options.h"

#include "common/config.h"
#include "common/digest.h"
#include "common/secrets.h"
#include "common/template_filter.h"
#include "common/utf8.h"
#include "operations/schema.h"
#include "operations/services.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

enum { MAX_RETRIES = 5, FALLBACKS_MAX = 8, RESIZE_DEFAULT = 1024 };

/* ---- single options ---- */

struct reader {
	struct op_call *op;
	struct arena *arena;
	struct ai_request *r;
	cJSON *warnings;
};

/* The first of the names that is set; null and "" are as good as not set. */
static const cJSON *find(const struct reader *o, const char *name, const char *const *aliases)
{
	const cJSON *value = json_get(o->op->options, name);

	for (; aliases && *aliases; aliases++) {
		bool set = value && !cJSON_IsNull(value) &&
			   !(cJSON_IsString(value) && !value->valuestring[0]);

		if (set)
			break;
		value = json_get(o->op->options, *aliases);
	}
	if (!value || cJSON_IsNull(value))
		return NULL;
	return cJSON_IsString(value) && !value->valuestring[0] ? NULL : value;
}

#define ALIASES(...)              \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static const char *text_option(const struct reader *o, const char *name, const char *const *aliases)
{
	const cJSON *value = find(o, name, aliases);
	struct str text;

	if (!value)
		return NULL;
	if (cJSON_IsString(value))
		return value->valuestring;
	text = value_text(o->arena, value);
	return arena_strndup(o->arena, text.ptr, text.len);
}

static const struct option *entry_of(const char *name)
{
	const struct option *entry = ai_common_options;

	while (strcmp(entry->name, name) != 0)
		entry++;
	return entry;
}

/* A number, or a text that is one. */
static bool number_option(const struct reader *o, const char *name, const char *const *aliases,
			  struct maybe *number, struct error *err)
{
	const cJSON *value = find(o, name, aliases);
	const struct option *entry = entry_of(name);
	char *end = NULL;

	*number = (struct maybe){.set = false};
	if (!value || cJSON_IsFalse(value))
		return true;
	number->value = value->valuedouble;
	if (cJSON_IsString(value)) {
		number->value = strtod(value->valuestring, &end);
		if (*end)
			return fail(err, ERR_INVALID_PAYLOAD,
				    "option '%s' is '%.40s', expected a number", name,
				    value->valuestring);
	} else if (!cJSON_IsNumber(value)) {
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option '%s' is of type %s, expected a number", name,
			    json_type_name(value));
	}
	if (entry->max > entry->min &&
	    !(number->value >= entry->min && number->value <= entry->max))
		return fail(err, ERR_INVALID_PAYLOAD, "option '%s' is %g, expected %g to %g", name,
			    number->value, entry->min, entry->max);
	number->set = true;
	return true;
}

static bool count_option(const struct reader *o, const char *name, const char *const *aliases,
			 uint32_t *count, struct error *err)
{
	struct maybe number;

	if (!number_option(o, name, aliases, &number, err))
		return false;
	if (number.set && floor(number.value) != number.value)
		return fail(err, ERR_INVALID_PAYLOAD, "option '%s' is %g, expected a whole number",
			    name, number.value);
	if (number.set)
		*count = (uint32_t)number.value;
	return true;
}

static bool bool_option(const struct reader *o, const char *name, bool otherwise)
{
	const cJSON *value = find(o, name, NULL);

	if (!value)
		return otherwise;
	if (cJSON_IsString(value))
		return strcasecmp(value->valuestring, "true") == 0 ||
		       strcmp(value->valuestring, "1") == 0;
	return cJSON_IsTrue(value);
}

/* An object or array, or a text that is the JSON of one. */
static bool json_option(const struct reader *o, const char *name, const cJSON **value,
			struct error *err)
{
	struct error why;

	*value = find(o, name, NULL);
	if (!cJSON_IsString(*value))
		return true;
	*value = json_parse(o->arena, str_of((*value)->valuestring), &why);
	if (!*value)
		return fail(err, ERR_INVALID_PAYLOAD, "option '%s' is a text, and no JSON: %s",
			    name, why.text);
	return cJSON_IsObject(*value) || fail(err, ERR_INVALID_PAYLOAD,
					      "option '%s' is the JSON text of a value of type %s, "
					      "expected that of an object",
					      name, json_type_name(*value));
}

/* ---- groups of them ---- */

static bool read_preset(const struct reader *o, struct error *err)
{
	const char *name = text_option(o, "preset", ALIASES("promptKey"));
	bool migrated = !find(o, "preset", NULL);

	if (!name || (migrated && strcmp(name, "custom") == 0))
		return true;
	o->r->preset = ai_preset_find(name);
	if (!o->r->preset)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option '%s' is '%.40s', expected one of %.*s",
			    migrated ? "promptKey" : "preset", name,
			    STR_ARGS(option_choices(entry_of("preset"))));
	o->r->max_length = o->r->preset->max_length;
	/* AI Writer keeps a hidden system text of an earlier choice in its options. */
	if (migrated)
		o->r->system = NULL;
	return true;
}

static bool read_choices(const struct reader *o, struct error *err)
{
	const cJSON *list = find(o, "fallback", NULL), *item;
	struct ai_request *r = o->r;

	r->choices[0] = (struct llm_choice){
		.provider = text_option(o, "provider", ALIASES("aiProvider")),
		.model = text_option(o, "model", NULL),
		.credential = text_option(o, "credential", NULL),
	};
	r->wish.choices = r->choices;
	r->wish.choice_count = 1;
	json_each(item, list) {
		const char *model = json_get_text(item, "model");

		if (!model)
			return fail(err, ERR_INVALID_PAYLOAD,
				    "option 'fallback': expected {provider, model}, found %s",
				    json_type_name(item));
		if (r->wish.choice_count > FALLBACKS_MAX)
			return fail(err, ERR_INVALID_PAYLOAD,
				    "option 'fallback' has more than %d models", FALLBACKS_MAX);
		r->choices[r->wish.choice_count++] = (struct llm_choice){
			.provider = json_get_text(item, "provider"),
			.model = model,
			.credential = json_get_text(item, "credential"),
		};
	}
	return true;
}

static bool read_format(const struct reader *o, struct error *err)
{
	static const char *const names[] = {[OUTPUT_TEXT] = "text",
					    [OUTPUT_JSON] = "json",
					    [OUTPUT_MARKDOWN] = "markdown",
					    [OUTPUT_HTML] = "html"};
	const char *name = text_option(o, "outputFormat", NULL);
	cJSON *unknown = NULL;
	const cJSON *place;
	struct error why;

	for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			o->r->format = (enum output_format)i;
	if (bool_option(o, "json_mode", false))
		o->r->format = OUTPUT_JSON;
	if (!json_option(o, "outputSchema", &o->r->schema, err))
		return false;
	if (!o->r->schema)
		return true;
	o->r->format = OUTPUT_JSON;
	if (!schema_check(o->arena, o->r->schema, &unknown, &why))
		return fail(err, ERR_INVALID_PAYLOAD, "option 'outputSchema': %s", why.text);
	json_each(place, unknown) {
		json_push(o->warnings,
			  json_text(o->arena,
				    arena_printf(o->arena,
						 "option 'outputSchema': %.80s is not known "
						 "and not checked",
						 place->valuestring)));
	}
	return true;
}

static bool read_stop(const struct reader *o, struct error *err)
{
	const cJSON *value = find(o, "stop", NULL), *item;
	const char **list = arena_array(o->arena, const char *, json_count(value) + 2);
	size_t count = 0;

	if (cJSON_IsString(value))
		list[count++] = value->valuestring;
	if (cJSON_IsArray(value))
		json_each(item, value) {
			if (!cJSON_IsString(item) || !item->valuestring[0])
				return fail(err, ERR_INVALID_PAYLOAD,
					    "option 'stop' holds %s, expected texts",
					    json_type_name(item));
			list[count++] = item->valuestring;
		}
	o->r->stop = count ? list : NULL;
	return true;
}

static bool read_limits(const struct reader *o, struct error *err)
{
	struct ai_request *r = o->r;
	struct maybe cache;

	r->wish.max_retries = MAX_RETRIES;
	r->resize = RESIZE_DEFAULT;
	if (find(o, "resize", NULL) && cJSON_IsFalse(find(o, "resize", NULL)))
		r->resize = 0;
	if (!number_option(o, "cache", NULL, &cache, err))
		return false;
	r->cache_ms = cache.set ? (uint32_t)fmin(cache.value * 1000, UINT32_MAX) : 0;
	return count_option(o, "maxTokens", ALIASES("maxToken", "maxOutputTokens", "max_tokens"),
			    &r->wish.max_tokens, err) &&
	       count_option(o, "minLength", NULL, &r->min_length, err) &&
	       count_option(o, "maxLength", NULL, &r->max_length, err) &&
	       count_option(o, "timeout", NULL, &r->wish.timeout_ms, err) &&
	       count_option(o, "maxRetries", NULL, &r->wish.max_retries, err) &&
	       count_option(o, "resize", NULL, &r->resize, err);
}

static bool read_sampling(const struct reader *o, struct error *err)
{
	struct ai_request *r = o->r;

	return number_option(o, "temperature", NULL, &r->temperature, err) &&
	       number_option(o, "topP", NULL, &r->top_p, err) &&
	       number_option(o, "frequencyPenalty", NULL, &r->frequency_penalty, err) &&
	       number_option(o, "presencePenalty", NULL, &r->presence_penalty, err) &&
	       read_stop(o, err);
}

/* A member of `budget`; null is as good as not set. */
static bool read_amount(const cJSON *member, double most, double *amount, struct error *err)
{
	double number = member->valuedouble;

	if (cJSON_IsNull(member))
		return true;
	if (!cJSON_IsNumber(member))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'budget': '%s' is of type %s, expected a number from 0 to %g",
			    member->string, json_type_name(member), most);
	if (!(number >= 0 && number <= most))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'budget': '%s' is %g, expected a number from 0 to %g",
			    member->string, number, most);
	*amount = number;
	return true;
}

static bool read_budget(const struct reader *o, struct error *err)
{
	double usd = 0, tokens = 0;
	const cJSON *member;

	json_each(member, find(o, "budget", NULL)) {
		bool is_usd = strcmp(member->string, "maxCostUsd") == 0;

		if (!is_usd && strcmp(member->string, "maxTokens") != 0)
			return fail(err, ERR_INVALID_PAYLOAD,
				    "option 'budget': there is no '%.40s' in it, expected "
				    "maxCostUsd, maxTokens",
				    member->string);
		if (!read_amount(member, is_usd ? 1e9 : 1e15, is_usd ? &usd : &tokens, err))
			return false;
	}
	o->r->wish.max_cost_nano = (uint64_t)llround(usd * 1e9);
	o->r->wish.max_tokens_total = (uint64_t)tokens;
	return true;
}

static bool read_policies(const struct reader *o, struct error *err)
{
	static const char *const policies[] = {[AMBIGUOUS_RETRY] = "retry",
					       [AMBIGUOUS_HOLD] = "hold",
					       [AMBIGUOUS_RESUME] = "resume"};
	const char *tier = text_option(o, "serviceTier", NULL);
	const char *ambiguous = text_option(o, "onAmbiguous", NULL);

	if (tier && strcmp(tier, "batch") == 0)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'serviceTier' is 'batch', and the providers' batch endpoints "
			    "are not used: leave it out, or give 'sync'");
	o->r->wish.on_ambiguous = o->op->use->config->worker_on_ambiguous;
	for (size_t i = 0; ambiguous && i < ARRAY_LEN(policies); i++)
		if (strcmp(ambiguous, policies[i]) == 0)
			o->r->wish.on_ambiguous = (enum on_ambiguous)i;
	return true;
}

/* One attachment may stand alone: an object, or the id of a file. */
static void read_attachments(const struct reader *o)
{
	const cJSON *value = find(o, "attachments", ALIASES("url"));
	cJSON *list;

	if (!value || cJSON_IsArray(value)) {
		o->r->attachments = value;
		return;
	}
	list = json_array(o->arena);
	json_push(list, json_share(o->arena, value));
	o->r->attachments = list;
}

/* Keys that AI Writer and others keep in a flow. */
static const struct {
	const char *option, *provider; /* NULL: whichever is asked */
} key_options[] = {
	{"apiKeyOpenAi",    "openai"   },
        {"apiKeyAnthropic", "anthropic"},
	{"apiKeyGoogle",    "google"   },
        {"apiKeyReplicate", ""         },
	{"apiKey",          NULL       },
        {"api_key",         NULL       },
};

static void read_keys(const struct reader *o)
{
	struct llm_choice *choice = &o->r->choices[0];

	for (size_t i = 0; i < ARRAY_LEN(key_options); i++) {
		const char *key = json_get_text(o->op->options, key_options[i].option);
		const char *for_provider = key_options[i].provider;

		if (!key || !*key)
			continue;
		secrets_add(str_of(key));
		if (!o->op->use->config->ai_allow_inline_keys)
			json_push(o->warnings,
				  json_text(o->arena,
					    arena_printf(o->arena,
							 "option '%s' is ignored: keys are set in "
							 "the worker's environment, see option "
							 "'credential'",
							 key_options[i].option)));
		else if (!for_provider ||
			 (choice->provider && strcasecmp(choice->provider, for_provider) == 0))
			choice->key = key;
	}
}

static bool check_messages(const struct ai_request *r, struct error *err)
{
	static const char *const roles[] = {"system", "developer", "user", "assistant"};
	const cJSON *message;

	json_each(message, r->messages) {
		const char *role = json_get_text(message, "role");
		size_t i = 0;

		while (role && i < ARRAY_LEN(roles) && strcasecmp(roles[i], role) != 0)
			i++;
		if (!role || i == ARRAY_LEN(roles) || !json_get(message, "content"))
			return fail(err, ERR_INVALID_PAYLOAD,
				    "option 'messages': expected {role: system, user or assistant, "
				    "content}, found %s%.40s",
				    role ? "role " : json_type_name(message), role ? role : "");
	}
	return true;
}

static bool check_prompt(const struct ai_request *r, struct error *err)
{
	if (r->kind->needs_image && !json_count(r->attachments))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'attachments' is missing: which picture is it to look at?");
	if (r->min_length && r->max_length && r->min_length > r->max_length)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'minLength' is %u, expected no more than 'maxLength', which is "
			    "%u",
			    r->min_length, r->max_length);
	if (!r->prompt && !json_count(r->messages) && !r->skip_if_empty)
		return fail(err, ERR_INVALID_PAYLOAD, "option 'prompt' is missing");
	return check_messages(r, err);
}

bool ai_options_read(struct op_call *op, const struct ai_kind *kind, cJSON *warnings,
		     struct ai_request *r, struct error *err)
{
	struct reader o = {op, op->arena, r, warnings};
	const char *effort, *shape;

	*r = (struct ai_request){.kind = kind};
	r->system = text_option(&o, "system", NULL);
	r->prompt = text_option(&o, "prompt", ALIASES("text"));
	r->messages = find(&o, "messages", ALIASES("thread"));
	r->data = json_get(op->options, "data");
	r->provider_options = find(&o, "providerOptions", NULL);
	r->skip_if_hash = text_option(&o, "skipIfHash", NULL);
	r->skip_if_empty = bool_option(&o, "skipIfEmpty", kind->skip_if_empty);
	r->strip_html = bool_option(&o, "stripHtml", false);
	effort = text_option(&o, "reasoningEffort", NULL);
	r->wish.effort = effort_find(effort);
	r->wish.reason = bool_option(&o, "enableReasoning", r->wish.effort > EFFORT_MINIMAL);
	shape = text_option(&o, "resultShape", NULL);
	r->content_only = shape && strcmp(shape, "content") == 0;
	read_attachments(&o);
	if (!r->prompt && kind->prompt)
		r->prompt = kind->prompt;
	if (!read_choices(&o, err))
		return false;
	read_keys(&o);
	return read_preset(&o, err) && read_format(&o, err) && read_limits(&o, err) &&
	       read_sampling(&o, err) && read_budget(&o, err) && read_policies(&o, err) &&
	       check_prompt(r, err);
}

/* ---- what is asked, in short ---- */

static void set_if(struct arena *a, cJSON *object, const char *name, const cJSON *value)
{
	if (value)
		json_set(a, object, name, json_share(a, value));
}

const char *ai_options_hash(const struct ai_request *r, struct arena *a)
{
	struct arena *own = arena_new(); /* a prompt can be long: nothing of this stays */
	cJSON *all = json_object(own);
	char hex[DIGEST_HEX_SIZE];

	json_set_text(own, all, "operation", r->kind->name);
	json_set_text(own, all, "provider", r->choices[0].provider);
	json_set_text(own, all, "model", r->choices[0].model);
	json_set_text(own, all, "preset", r->preset ? r->preset->name : NULL);
	json_set_text(own, all, "system", r->system);
	json_set_text(own, all, "prompt", r->prompt);
	set_if(own, all, "messages", r->messages);
	set_if(own, all, "data", r->data);
	set_if(own, all, "attachments", r->attachments);
	set_if(own, all, "schema", r->schema);
	set_if(own, all, "providerOptions", r->provider_options);
	json_set_number(own, all, "format", r->format);
	json_set_number(own, all, "maxTokens", r->wish.max_tokens);
	json_set_number(own, all, "minLength", r->min_length);
	json_set_number(own, all, "maxLength", r->max_length);
	json_set_bool(own, all, "reason", r->wish.reason);
	if (r->temperature.set)
		json_set_number(own, all, "temperature", r->temperature.value);
	sha256_hex(json_print(own, all), hex);
	arena_free(own);
	return arena_printf(a, "sha256:%s", hex);
}

static bool is_blank(const cJSON *value)
{
	if (!value || cJSON_IsNull(value))
		return true;
	if (cJSON_IsString(value))
		return utf8_trim(str_of(value->valuestring)).len == 0;
	return (cJSON_IsArray(value) || cJSON_IsObject(value)) && !json_count(value);
}

bool ai_options_empty(const struct ai_request *r)
{
	bool no_prompt = !r->prompt || utf8_trim(str_of(r->prompt)).len == 0;

	if (r->data)
		return is_blank(r->data);
	return no_prompt && !json_count(r->messages) && !json_count(r->attachments);
}
