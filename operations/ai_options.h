/* operations/ai_options.h: what the ai-* operations have in common: their options, read and checked.
 *
 * Options come in three dialects: ours, Directus' own words, and those of the AI Writer operation
 * whose flows people bring along. They are read into one struct; what is wrong ends here, with the
 * option's name, before anything is sent. */
#ifndef OPERATIONS_AI_OPTIONS_H
#define OPERATIONS_AI_OPTIONS_H

#include "operations/llm.h"

/* How the operations differ. */
struct ai_kind {
	const char *name;   /* goes into the hash of the input */
	const char *system; /* where the flow gives none */
	const char *prompt; /* where the flow gives none; NULL: it must */
	bool skip_if_empty; /* the default of that option */
	bool needs_image;   /* at least one attachment */
};

struct ai_preset {
	const char *name, *alias; /* ours, AI Writer's; or NULL */
	uint32_t max_length;      /* characters; 0: none */
	const char *instruction;
};

struct ai_request {
	const struct ai_kind *kind;
	struct llm_choice choices[9]; /* the first is the operation's own */
	struct llm_wish wish;
	const struct ai_preset *preset;
	const char *system, *prompt; /* or NULL */
	const cJSON *messages;       /* an array of {role, content}; or NULL */
	const cJSON *data;           /* or NULL: not given */
	const cJSON *attachments;    /* an array; or NULL */
	enum output_format format;
	const cJSON *schema; /* or NULL */
	const cJSON *provider_options;
	const char *const *stop;
	struct maybe temperature, top_p, frequency_penalty, presence_penalty;
	uint32_t min_length, max_length; /* characters of the answer; 0: none */
	uint32_t resize;                 /* side of the box that pictures are made to fit in */
	uint32_t cache_ms;
	const char *skip_if_hash;
	bool strip_html, skip_if_empty, content_only;
};

/* For an operation's option table: the ones they all have. */
extern const struct option ai_common_options[];

/* By its name or its alias; NULL: there is none. */
const struct ai_preset *ai_preset_find(const char *name);

#define AI_TEXT   OPTION_TEXT
#define AI_NUMBER (OPTION_NUMBER | OPTION_TEXT) /* a template may make a text of a number */
#define AI_BOOL   (OPTION_BOOL | OPTION_TEXT)

bool ai_options_read(struct op_call *op, const struct ai_kind *kind, cJSON *warnings,
		     struct ai_request *r, struct error *err) NODISCARD;

/* "sha256:…" of all that decides about the answer. */
const char *ai_options_hash(const struct ai_request *r, struct arena *a);

/* There is nothing to work on. */
bool ai_options_empty(const struct ai_request *r);

#endif
