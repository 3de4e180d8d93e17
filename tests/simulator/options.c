/* The options, from the command line or over HTTP. */
#include "simulator.h"

#include <stdlib.h>

struct options options = {.seed = 1};

static bool read_long(const char *text, long *number)
{
	char *end = NULL;
	long read = text && *text ? strtol(text, &end, 10) : -1;

	if (read < 0 || *end != '\0')
		return false;
	*number = read;
	return true;
}

static bool set_port(const char *value)
{
	long port = 0;

	if (!read_long(value, &port) || port > 65535)
		return false;
	options.port = (int)port;
	return true;
}

/* "20" or "20-400" */
static bool set_delay(const char *value)
{
	char *end = NULL;
	double from, to;

	if (!value || !*value)
		return false;
	from = to = strtod(value, &end);
	if (*end == '-')
		to = strtod(end + 1, &end);
	if (*end != '\0' || from < 0 || to < from)
		return false;
	options.delay_from = from;
	options.delay_to = to;
	return true;
}

static bool set_word(struct limits *l, const char *name, const char *value)
{
	if (strcmp(name, "charge") == 0) {
		l->charge_usage = strcmp(value, "usage") == 0;
		return l->charge_usage || strcmp(value, "arrival") == 0;
	}
	if (strcmp(name, "per") != 0)
		return false;
	l->per = strcmp(value, "model") == 0 ? PER_MODEL
		 : strcmp(value, "key") == 0 ? PER_KEY
					     : PER_ALL;
	return l->per != PER_ALL || strcmp(value, "all") == 0;
}

static bool set_limit(struct limits *l, const char *name, const char *value)
{
	const struct {
		const char *name;
		long *limit;
	} table[] = {
		{"rpm",         &l->rpm        },
                {"rpd",         &l->rpd        },
                {"tpm",         &l->tpm        },
		{"itpm",        &l->itpm       },
                {"otpm",        &l->otpm       },
                {"concurrency", &l->concurrency},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return read_long(value, table[i].limit);
	return set_word(l, name, value);
}

/* "rpm=60,tpm=1000,per=model"; "" takes all limits away */
static bool set_limits(const char *value)
{
	struct limits l = {0};
	char name[32], word[32];
	int used = 0;

	for (const char *at = value ? value : ""; *at; at += used, at += *at == ',') {
		used = 0;
		if (sscanf(at, "%31[a-z]=%31[a-z0-9]%n", name, word, &used) != 2 ||
		    !set_limit(&l, name, word) || (at[used] && at[used] != ','))
			return false;
	}
	options.limits = l;
	return value != NULL;
}

static bool set_text(char **text, const char *value)
{
	if (!value)
		return false;
	free(*text);
	*text = *value ? xstrdup(value) : NULL;
	return true;
}

static bool set_ledger(const char *value)
{
	return set_text(&options.ledger_file, value);
}

static bool set_models(const char *value)
{
	return set_text(&options.models, value);
}

static bool set_keys(const char *value)
{
	return set_text(&options.keys, value);
}

static bool set_answer_bytes(const char *value)
{
	long bytes = 0;

	if (!read_long(value, &bytes))
		return false;
	options.answer_bytes = size_min((size_t)bytes, REPLY_MAX / 4);
	return true;
}

static bool set_seed(const char *value)
{
	long seed = 0;

	if (!read_long(value, &seed))
		return false;
	options.seed = (unsigned long)seed;
	return true;
}

/* A flag: no value, or "true"/"false". */
static bool set_flag(bool *flag, const char *value)
{
	*flag = !value || strcmp(value, "true") == 0;
	return *flag || strcmp(value, "false") == 0;
}

static bool set_ledger_bodies(const char *value)
{
	return set_flag(&options.ledger_bodies, value);
}

static bool set_numbered(const char *value)
{
	return set_flag(&options.numbered, value);
}

static bool set_die_with_parent(const char *value)
{
	return set_flag(&options.dies_with_parent, value);
}

static const struct {
	const char *name;
	bool (*set)(const char *value);
} table[] = {
	{"port",            set_port           },
	{"delay",           set_delay          },
	{"limits",          set_limits         },
	{"ledger",          set_ledger         },
	{"ledger-bodies",   set_ledger_bodies  },
	{"answer-bytes",    set_answer_bytes   },
	{"numbered",        set_numbered       },
	{"models",          set_models         },
	{"keys",            set_keys           },
	{"seed",            set_seed           },
	{"die-with-parent", set_die_with_parent},
};

bool option_set(const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].set(value);
	return false;
}
