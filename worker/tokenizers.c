#include "worker/tokenizers.h"

#include "worker/cli/cli_file.h"

#include <unistd.h>

static const char usual_folder[] = "/usr/local/share/flow-worker";

static const struct {
	const char *name;
	enum split_rules rules;
} files[] = {
	{"o200k_base.tiktoken",  SPLIT_O200K },
	{"cl100k_base.tiktoken", SPLIT_CL100K},
};

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

bool tokenizers_load(struct models *m, const struct config *c, unsigned *count, struct error *err)
{
	const char *folder = tokenizers_folder(c);
	struct arena *a = arena_new();
	bool good = true;

	*count = 0;
	for (size_t i = 0; good && i < ARRAY_LEN(files); i++) {
		const char *path = arena_printf(a, "%s/%s", folder, files[i].name);

		if (access(path, F_OK) != 0)
			continue;
		good = load(m, path, files[i].rules, err);
		*count += good;
	}
	arena_free(a);
	if (good && *count == 0 && c->ai_tokenizer_dir)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "AI_TOKENIZER_DIR '%s': expected %s or %s there; deploy/tokenizer "
			    "installs them",
			    folder, files[0].name, files[1].name);
	return good;
}
