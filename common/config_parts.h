/* common/config_parts.h: what the files of config share. Nobody else includes it.
 *
 *	config_env.c        variables as they were given: the environment, the .env file
 *	config_value.c      texts to values, and what is wrong with them
 *	config_number.c     times and sizes with units
 *	config_cast.c       values for $env, with Directus' types
 *	config_json.c       the shapes of JSON values: models, limits, headers
 *	config_table.c      the variables of the process
 *	config_providers.c  the families of variables: providers, credentials
 *	config_print.c      the table for people, as JSON, for the README
 *	config.c            puts them together */
#ifndef COMMON_CONFIG_PARTS_H
#define COMMON_CONFIG_PARTS_H

#include "common/config.h"

/* ---- what was given ---- */

struct env_variable {
	const char *name, *value;
	unsigned line; /* of the .env file; 0: from the environment */
	bool used;     /* somebody has asked for it */
};

struct env {
	struct env_variable *items;
	size_t count, size;
	const char *file; /* the path of the .env file, for texts */
};

struct text_list {
	const char **items;
	size_t count, size;
};

struct config_reader {
	struct arena *a;
	struct env env;
	struct text_list errors, warnings;
	struct config_sources *sources;
};

PRINTF(2, 3) void config_error(struct config_reader *r, const char *format, ...);
PRINTF(2, 3) void config_warning(struct config_reader *r, const char *format, ...);

/* Adds the environment's variables ("NAME=value", ends with NULL). */
void env_add_environment(struct config_reader *r, const char *const *environment);
/* Adds those of a .env text that are not there yet: quotes, comments, `export`, values over several
 * lines, as the dotenv package of Node reads them. Lines that say nothing are warned of. */
void env_add_text(struct config_reader *r, struct str text);
/* Reads a whole file of at most max bytes. NULL: *why says what is wrong. */
const char *env_read_file(struct arena *a, const char *path, size_t max, size_t *len,
			  const char **why);

struct env_variable *env_find(struct env *env, const char *name);

/* ---- the tables ---- */

enum config_type {
	CONFIG_BOOL,     /* bool */
	CONFIG_TEXT,     /* const char *, as all down to CONFIG_NAME */
	CONFIG_LINE,     /* ... in one line, as a header's value must be */
	CONFIG_WEBHOOK,  /* http or https; or directus:<user id> */
	CONFIG_BASE_URL, /* http or https, without a query; slashes at its end are taken away */
	CONFIG_REDIS,    /* redis://, rediss://, unix: */
	CONFIG_ADDRESS,  /* host:port */
	CONFIG_NAME,     /* one word */
	CONFIG_CHOICE,   /* an enum: the place in `choices` */
	CONFIG_LIST,     /* struct config_list */
	CONFIG_NUMBER,   /* uint64_t */
	CONFIG_DURATION, /* uint64_t, milliseconds */
	CONFIG_SIZE,     /* uint64_t, bytes */
	CONFIG_JSON,     /* const cJSON *; `shape` checks it */
	CONFIG_HEADERS,  /* const struct http_header * */
	CONFIG_MODELS    /* const cJSON *; also a comma list of ids */
};

/* A variable: a line of a table. */
struct config_variable {
	const char *name; /* of a family: what follows the family's prefix */
	enum config_type type;
	size_t offset;          /* in struct config, provider_config or credential_config */
	const char *by_default; /* as somebody would write it; NULL: none */
	uint64_t min, max;      /* of numbers, times and sizes */
	const char *choices;    /* "retry|hold"; of a text: what it may be */
	/* Says what is wrong with a JSON value; NULL: nothing. */
	const char *(*shape)(struct arena *a, const cJSON *value);
	bool secret;     /* never shown; may come from NAME_FILE */
	bool empty_says; /* that it was given empty means something */
	unsigned kinds;  /* providers: 1 << enum provider_kind for which there is such a variable */
	const char *unset; /* for people: what happens without it, where by_default does not say */
	const char *help;
};

/* The variables of the process, in the order of the documentation; sections have a NULL field. */
struct config_section {
	const char *title;
	const struct config_variable *variables; /* ends with {NULL} */
};
extern const struct config_section config_sections[]; /* ends with {NULL} */
extern const struct config_variable provider_variables[];
extern const struct config_variable credential_variables[];

/* Reads one variable into its field of *base. false: it was not given, or it is wrong, which has
 * been told; the field has its default then. */
bool config_read(struct config_reader *r, const struct config_variable *v, const char *name,
		 void *base);

/* All providers and credentials. */
void config_read_providers(struct config_reader *r, struct config *c);
/* Warns of names in our families that nobody asked for. */
void config_warn_unknown(struct config_reader *r);

/* ---- values ---- */

/* Text to value, into *field by the variable's type. NULL: done; else what was expected. */
const char *config_parse(struct arena *a, const struct config_variable *v, const char *text,
			 void *field);
/* What a value of this variable looks like: "a time such as 500ms, 15s, 5m or 24h, from 1s to 1h". */
const char *config_expected(struct arena *a, const struct config_variable *v);
/* Numbers, times and sizes, with the units of the type. */
bool config_parse_number(enum config_type type, const char *text, uint64_t *number);
const char *config_number_text(struct arena *a, enum config_type type, uint64_t number);
/* A $env value with the type that Directus' environment gives it. */
cJSON *config_cast(struct arena *a, const char *text);
/* "array:a,b" is "a,b" for a list: the text behind the prefix that fits the type. */
const char *config_skip_prefix(enum config_type type, const char *text);

/* NULL: well; else what is wrong and where. */
const char *config_shape_limits(struct arena *a, const cJSON *value);
const char *config_shape_models(struct arena *a, const cJSON *value);
const char *config_shape_own_models(struct arena *a, const cJSON *value);
const char *config_parse_headers(struct arena *a, const cJSON *value,
				 const struct http_header **headers);

/* ---- what is shown ---- */

struct config_shown {
	const char *name;
	const struct config_variable *variable;
	const char *value;  /* as given, secrets masked; NULL: not given */
	const char *source; /* "default", "environment", ".env line 3", "file /run/secrets/key" */
};

struct config_sources {
	struct config_shown *items;
	size_t count, size;
};

#endif
