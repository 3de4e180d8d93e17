/* worker/tokenizers.h: the files with which tokens are counted as providers count them.
 *
 * They are not part of the program: deploy/tokenizer installs them in AI_TOKENIZER_DIR. Models whose file is
 * missing are counted without (operations/tokens.h). */
#ifndef WORKER_TOKENIZERS_H
#define WORKER_TOKENIZERS_H

#include "common/config.h"
#include "common/error.h"
#include "operations/models.h"

const char *tokenizers_folder(const struct config *c);

/* How many files were loaded: those that a provider that is set up may need, or `all`. A file that is there and cannot be read, or a folder that was named and has
 * none, is false and ERR_INVALID_PAYLOAD. */
bool tokenizers_load(struct models *m, const struct config *c, bool all, unsigned *count,
		     struct error *err) NODISCARD;

#endif
