/* What models there are: OpenAI's and Anthropic's lists, Gemini's, and Ollama's /api/tags and /api/show. */
#include "simulator.h"

static const char default_models[] = "gpt-5.6-terra,claude-sonnet-5-5,gemini-3.6-flash,simulated";

typedef void add_model(struct buf *out, const char *name);

static void add_openai(struct buf *out, const char *name)
{
	buf_printf(out,
		   "{\"id\":\"%s\",\"object\":\"model\",\"created\":1763632800,\"owned_by\":"
		   "\"SIMULATED\",\"type\":\"model\",\"display_name\":\"SIMULATED "
		   "%s\",\"max_input_tokens\":200000,\"max_tokens\":64000}",
		   name, name);
}

static void add_gemini(struct buf *out, const char *name)
{
	buf_printf(
		out,
		"{\"name\":\"models/%s\",\"displayName\":\"SIMULATED "
		"%s\",\"inputTokenLimit\":200000,"
		"\"outputTokenLimit\":64000,\"supportedGenerationMethods\":[\"generateContent\"]}",
		name, name);
}

static void add_ollama(struct buf *out, const char *name)
{
	buf_printf(out, "{\"name\":\"%s\",\"model\":\"%s\",\"details\":{\"family\":\"SIMULATED\"}}",
		   name, name);
}

static void add_list(struct arena *a, struct buf *out, const char *before, add_model *add,
		     const char *after)
{
	const char *list = options.models ? options.models : default_models;

	buf_add_text(out, before);
	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
		if (at != list)
			buf_add_char(out, ',');
		add(out, arena_strndup(a, at, strcspn(at, ",")));
	}
	buf_add_text(out, after);
}

/* Ollama tells here how much of a prompt a model really takes. */
static void add_show(struct buf *out)
{
	buf_add_text(out,
		     "{\"details\":{\"family\":\"SIMULATED\"},\"parameters\":\"num_ctx 8192\","
		     "\"model_info\":{\"general.architecture\":\"simulated\","
		     "\"simulated.context_length\":131072},\"capabilities\":[\"completion\"]}");
}

static bool add_one(struct buf *out, const char *path, add_model *add)
{
	const char *name = strrchr(path, '/') + 1;

	if (!list_has(options.models, name))
		return false;
	add(out, name);
	return true;
}

bool models_handle(struct exchange *x, struct reply *reply)
{
	struct buf *out = buf_in(x->arena);
	const char *path = x->request.path;
	bool found = true;

	if (strcmp(path, "/v1/models") == 0)
		add_list(x->arena, out, "{\"object\":\"list\",\"has_more\":false,\"data\":[",
			 add_openai, "]}");
	else if (strcmp(path, "/v1beta/models") == 0)
		add_list(x->arena, out, "{\"models\":[", add_gemini, "]}");
	else if (strcmp(path, "/api/tags") == 0)
		add_list(x->arena, out, "{\"models\":[", add_ollama, "]}");
	else if (strcmp(path, "/api/show") == 0)
		add_show(out);
	else if (strncmp(path, "/v1/models/", 11) == 0)
		found = add_one(out, path, add_openai);
	else if (strncmp(path, "/v1beta/models/", 15) == 0)
		found = add_one(out, path, add_gemini);
	else
		found = false;
	if (found)
		reply_json(reply, 200, out);
	return found;
}
