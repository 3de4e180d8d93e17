#include "worker/tokenizers.h"

#include "worker/cli/cli_file.h"

#include <unistd.h>

static const char usual_folder[] = "/usr/local/share/flow-worker";

enum {
	OPENAI = 1 << PROVIDER_OPENAI,
	ANTHROPIC = 1 << PROVIDER_ANTHROPIC,
	GOOGLE = 1 << PROVIDER_GOOGLE,
	COMPATIBLE = 1 << PROVIDER_OPENAI_COMPATIBLE
};

/* Each takes some megabytes: only what may be asked is loaded. */
static const struct {
	const char *name;
	enum split_rules rules;
	unsigned providers; /* 0: any */
} files[] = {
	{"o200k_base.tiktoken",  SPLIT_O200K,    0                  },
	{"cl100k_base.tiktoken", SPLIT_CL100K,   OPENAI | COMPATIBLE},
	{"claude.tiktoken",      SPLIT_CLAUDE,   ANTHROPIC          },
	{"gemma3.tiktoken",      SPLIT_GEMMA,    GOOGLE | COMPATIBLE},
	{"llama3.tiktoken",      SPLIT_LLAMA3,   COMPATIBLE         },
	{"qwen.tiktoken",        SPLIT_QWEN,     COMPATIBLE         },
	{"deepseek.tiktoken",    SPLIT_DEEPSEEK, COMPATIBLE         },
	{"mistral.tiktoken",     SPLIT_MISTRAL,  COMPATIBLE         },
};

static unsigned providers_of(const struct config *c)
{
	unsigned providers = 0;

	for (size_t i = 0; i < c->provider_count; i++)
		if (c->providers[i].enabled)
			providers |= 1U << c->providers[i].kind;
	return providers;
}

const char *tokenizers_folder(const struct config *c)
{
	return c->ai_tokenizer_dir ? c->ai_tokenizer_dir : usual_folder;
}

static bool load(struct models *m, const char *path, enum split_rules rules, struct error *err)
{
	struct arena *a = arena_new();
	struct str file;
	struct error why;
	bool done = cli_file_read(a, path, &file, &why);

	/* what could not be read names the file itself */
	if (!done)
		(void)fail(err, ERR_INVALID_PAYLOAD, "%s", why.text);
	else if (!(done = models_load_ranks(m, rules, file, &why)))
		(void)fail(err, ERR_INVALID_PAYLOAD, "%s: %s", path, why.text);
	arena_free(a);
	return done;
}

bool tokenizers_load(struct models *m, const struct config *c, bool all, unsigned *count,
		     struct error *err)
{
	unsigned providers = all ? ~0U : providers_of(c);
	const char *folder = tokenizers_folder(c);
	struct arena *a = arena_new();
	bool good = true, there = false;

	*count = 0;
	for (size_t i = 0; good && i < ARRAY_LEN(files); i++) {
		const char *path = arena_printf(a, "%s/%s", folder, files[i].name);

		if (access(path, F_OK) != 0)
			continue;
		there = true;
		if (files[i].providers && !(files[i].providers & providers))
			continue;
		good = load(m, path, files[i].rules, err);
		*count += good;
	}
	arena_free(a);
	if (good && !there && c->ai_tokenizer_dir)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "AI_TOKENIZER_DIR '%s': expected %s or another tokenizer's file there; "
			    "deploy/tokenizer installs them",
			    folder, files[0].name);
	return good;
}
