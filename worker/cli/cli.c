#include "worker/cli/cli.h"

#include "common/arena.h"
#include "common/error.h"
#include "common/nearest.h"
#include "common/secrets.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cli_command *const commands[] = {
#define X(name) &cli_##name,
	CLI_COMMANDS(X)
#undef X
};

/* What `flow-worker` without a command is. */
#define DEFAULT_COMMAND "run"

enum { HELP, JSON, ENV_FILE, VERSION };

/* clang-format off */
static const struct cli_option shared_options[] = {
	[HELP] = {"help", NULL, "show this"},
	[JSON] = {"json", NULL, "print JSON instead of a table"},
	[ENV_FILE] = {"env-file", "FILE", "read variables from FILE instead of ./.env"},
	[VERSION] = {"version", NULL, "print the version"},
	{0},
};
/* clang-format on */

/* ---- help ---- */

static void print_options(const struct cli_option *options)
{
	char left[64];

	for (; options && options->name; options++) {
		(void)snprintf(left, sizeof(left), "--%s%s%s", options->name,
			       options->value_name ? " " : "",
			       options->value_name ? options->value_name : "");
		printf("  %-24s %s\n", left, options->help);
	}
}

static void print_program_help(void)
{
	puts("Usage: flow-worker [COMMAND] [OPTIONS]\n\n"
	     "Runs the AI operations of Directus Flows, and whole flows, outside Directus.\n"
	     "Without a command it is `flow-worker " DEFAULT_COMMAND "`.\n\nCommands:");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->help);
	puts("\nOptions of every command:");
	print_options(shared_options);
	puts("\nExit status: 0 good, 1 the work failed, 2 wrong use.\n"
	     "`flow-worker COMMAND --help` tells more, `flow-worker config` lists all variables.");
}

static void print_command_help(const struct cli_command *command)
{
	printf("Usage: flow-worker %s%s%s%s\n\n%s\n", command->name,
	       command->arguments[0] ? " " : "", command->arguments,
	       command->options && command->options->name ? " [OPTIONS]" : "", command->help);
	if (command->options && command->options->name) {
		puts("\nOptions:");
		print_options(command->options);
	}
	puts("\nOptions of every command:");
	print_options(shared_options);
	if (command->more)
		printf("\n%s\n", command->more);
}

int cli_wrong_use(const struct cli *cli, const char *format, ...)
{
	va_list args;

	fputs("flow-worker: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry `flow-worker%s%s --help`.\n", cli->command ? " " : "",
		cli->command ? cli->command->name : "");
	return CLI_WRONG;
}

int cli_failed(const struct cli *cli, const struct error *err)
{
	struct error shown = *err;

	(void)cli;
	secrets_mask_error(&shown);
	fprintf(stderr, "flow-worker: %s: %s\n", error_name(&shown), shown.text);
	return CLI_FAILED;
}

/* ---- reading ---- */

/* What is being read: the words, and what was found so far. */
struct reader {
	struct cli *cli;
	char **words; /* ends with NULL */
	bool help, version;
};

static const struct cli_option *find_option(const struct cli_option *options, struct str name)
{
	for (; options && options->name; options++)
		if (str_is(name, options->name))
			return options;
	return NULL;
}

static void try_options(struct nearest *near, const struct cli_option *options)
{
	for (; options && options->name; options++)
		nearest_try(near, options->name);
}

static bool unknown_option(const struct cli *cli, struct str name)
{
	char word[81];
	struct nearest near = {.word = word};

	(void)snprintf(word, sizeof(word), "%.80s", name.ptr);
	word[size_min(name.len, sizeof(word) - 1)] = '\0';
	try_options(&near, shared_options);
	try_options(&near, cli->command ? cli->command->options : NULL);
	if (near.best)
		(void)cli_wrong_use(cli, "no option '--%s', did you mean '--%s'?", word, near.best);
	else
		(void)cli_wrong_use(cli, "no option '--%s'", word);
	return false;
}

static void keep_shared(struct reader *r, size_t option, const char *value)
{
	if (option == HELP)
		r->help = true;
	else if (option == VERSION)
		r->version = true;
	else if (option == JSON)
		r->cli->json = true;
	else
		r->cli->env_file = value;
}

/* The value of an option: behind "=", else the next word; "" if it takes none. NULL: it is missing, or
 * not wanted, which has been told. */
static const char *read_value(struct reader *r, const struct cli_option *option, const char *equals)
{
	if (!option->value_name) {
		if (!equals)
			return "";
		(void)cli_wrong_use(r->cli, "option '--%s' takes no value", option->name);
		return NULL;
	}
	if (equals)
		return equals + 1;
	if (*r->words)
		return *r->words++;
	(void)cli_wrong_use(r->cli, "option '--%s' needs a value (%s)", option->name,
			    option->value_name);
	return NULL;
}

/* Reads "--name", "--name=value" or "--name" "value". */
static bool read_option(struct reader *r)
{
	const char *word = *r->words++ + 2, *equals = strchr(word, '='), *value;
	struct str name = {word, equals ? (size_t)(equals - word) : strlen(word)};
	const struct cli_option *own = r->cli->command ? r->cli->command->options : NULL;
	const struct cli_option *option = find_option(own, name);
	const struct cli_option *shared = option ? NULL : find_option(shared_options, name);

	if (!option && !shared)
		return unknown_option(r->cli, name);
	value = read_value(r, option ? option : shared, equals);
	if (!value)
		return false;
	if (option)
		r->cli->values[option - own] = value;
	else
		keep_shared(r, (size_t)(shared - shared_options), value);
	return true;
}

/* A word that begins with a dash; "-" alone and numbers are arguments. */
static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0' && (word[1] < '0' || word[1] > '9');
}

static bool read_dashed(struct reader *r)
{
	if (strcmp(*r->words, "-h") == 0) {
		r->help = true;
		r->words++;
		return true;
	}
	if ((*r->words)[1] == '-')
		return read_option(r);
	(void)cli_wrong_use(r->cli, "no option '%.80s'", *r->words);
	return false;
}

static bool read_command_words(struct reader *r)
{
	struct cli *cli = r->cli;
	bool options_over = false;

	while (*r->words) {
		if (!options_over && strcmp(*r->words, "--") == 0) {
			options_over = true;
			r->words++;
		} else if (!options_over && is_option(*r->words)) {
			if (!read_dashed(r))
				return false;
		} else {
			cli->arguments[cli->argument_count++] = *r->words++;
		}
	}
	return true;
}

static bool check_arguments(const struct cli *cli)
{
	const struct cli_command *c = cli->command;

	if (cli->argument_count < c->arguments_min)
		(void)cli_wrong_use(cli, "'%s' needs %s", c->name, c->arguments);
	else if (cli->argument_count > c->arguments_max)
		(void)cli_wrong_use(cli, "'%s' has no use for '%.100s'", c->name,
				    cli->arguments[c->arguments_max]);
	else
		return true;
	return false;
}

static const struct cli_command *find_command(const struct cli *cli, const char *name)
{
	struct nearest near = {.word = name};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
		nearest_try(&near, commands[i]->name);
	}
	if (near.best)
		(void)cli_wrong_use(cli, "no command '%.100s', did you mean '%s'?", name,
				    near.best);
	else
		(void)cli_wrong_use(cli, "no command '%.100s'", name);
	return NULL;
}

static size_t option_count(const struct cli_option *options)
{
	size_t count = 0;

	while (options && options[count].name)
		count++;
	return count;
}

static int run_command(struct reader *r, struct arena *a, size_t word_count)
{
	struct cli *cli = r->cli;
	const char *name = *r->words ? *r->words++ : DEFAULT_COMMAND;
	int status;

	cli->command = find_command(cli, name);
	if (!cli->command)
		return CLI_WRONG;
	cli->arguments = arena_array(a, const char *, word_count + 1);
	cli->values = arena_array(a, const char *, option_count(cli->command->options) + 1);
	if (!read_command_words(r))
		return CLI_WRONG;
	if (r->version) {
		puts(FLOW_WORKER_VERSION);
		return CLI_OK;
	}
	if (r->help) {
		print_command_help(cli->command);
		return CLI_OK;
	}
	if (!check_arguments(cli))
		return CLI_WRONG;
	status = cli->command->run(cli);
	if (fflush(stdout) != 0 && status == CLI_OK) {
		perror("flow-worker: standard output");
		return CLI_FAILED;
	}
	return status;
}

int cli_main(int argc, char **argv)
{
	struct cli cli = {0};
	struct reader r = {.cli = &cli, .words = argc > 0 ? argv + 1 : argv};
	struct arena *a = arena_new();
	int status = CLI_OK;

	while (*r.words && is_option(*r.words))
		if (!read_dashed(&r)) {
			arena_free(a);
			return CLI_WRONG;
		}
	if (r.version)
		puts(FLOW_WORKER_VERSION);
	else if (r.help && !*r.words)
		print_program_help();
	else
		status = run_command(&r, a, (size_t)argc);
	arena_free(a);
	return status;
}

/* ---- for commands ---- */

const char *cli_option(const struct cli *cli, size_t option)
{
	return cli->values[option];
}

const char *cli_argument(const struct cli *cli, size_t n)
{
	return n < cli->argument_count ? cli->arguments[n] : NULL;
}

bool cli_option_number(const struct cli *cli, size_t option, uint64_t min, uint64_t max,
		       uint64_t *number)
{
	const char *value = cli->values[option];
	char *end = NULL;
	uint64_t found;

	if (!value)
		return true;
	errno = 0;
	found = strtoull(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end || errno || found < min || found > max) {
		(void)cli_wrong_use(
			cli, "option '--%s' is '%.40s', expected a whole number from %ju to %ju",
			cli->command->options[option].name, value, (uintmax_t)min, (uintmax_t)max);
		return false;
	}
	*number = found;
	return true;
}
