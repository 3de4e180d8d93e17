/* worker/cli.h: the command line: the table of commands, and what every command shares.
 *
 * A command is one file worker/cli_<name>.c with `int cli_<name>(struct cli *cli)`, and one line of
 * the table in cli.c. It returns its exit status:
 *
 *	CLI_OK      0  it went well
 *	CLI_FAILED  1  the work failed
 *	CLI_WRONG   2  wrong use: return cli_wrong_use(cli, "no job '%s'", name)
 *
 * Results go to standard output, everything else to standard error. --help, --json and --env-file
 * are known everywhere, before and behind the command's name, and are not seen by the command.
 *
 *	static const struct cli_option options[] = {
 *		{"flow", true, "FILE", "run the flow in FILE"},
 *		{"dry-run", false, NULL, "call no provider and write nothing"},
 *		{0},
 *	};                                      (named in the command's line of the table)
 *	while ((option = cli_next_option(cli)) >= 0)
 *		switch (option) {
 *		case 0: flow = cli->value; break;
 *		case 1: dry_run = true; break;
 *		}
 *	if (option == CLI_BAD_OPTION)
 *		return CLI_WRONG;               (it has been told)
 *	job = cli_next_argument(cli);           (NULL: no more) */
#ifndef WORKER_CLI_H
#define WORKER_CLI_H

#include "common/base.h"

enum cli_status { CLI_OK = 0, CLI_FAILED = 1, CLI_WRONG = 2 };

struct cli_option {
	const char *name; /* without the dashes */
	bool has_value;
	const char *value_name; /* for the help: "FILE" */
	const char *help;       /* one line */
};

struct cli;

struct cli_command {
	const char *name;
	const char *help;  /* one line */
	const char *usage; /* what stands behind the name: "JOB|- [--flow FILE]"; "" for nothing */
	const struct cli_option *options; /* ends with {0}; or NULL: none */
	int (*run)(struct cli *cli);
};

struct cli {
	int argc; /* of the command: argv[0] is its name */
	char **argv;
	const char *env_file; /* NULL: .env of the working directory, if there is one */
	bool json;            /* print JSON instead of a table */
	const struct cli_command *command;
	const char *value; /* of the option that cli_next_option() has found */
	int at;            /* the next word of argv; cli.c's own */
	bool options_over; /* "--" has been seen; cli.c's own */
};

/* Finds the command and runs it. */
int cli_main(int argc, char **argv);

enum { CLI_NO_MORE = -1, CLI_BAD_OPTION = -2 };

/* The index in command->options of the next option, CLI_NO_MORE, or CLI_BAD_OPTION (unknown, or its
 * value is missing or not wanted; told on standard error, with the nearest name). */
int cli_next_option(struct cli *cli);

/* The words that are no options, in their order; NULL: no more. Options and arguments may be mixed:
 * read the options first, then the arguments. */
const char *cli_next_argument(struct cli *cli);

/* Says what is wrong and how to get help; returns CLI_WRONG. */
int cli_wrong_use(struct cli *cli, const char *format, ...) PRINTF(2, 3);

/* The work failed: says why; returns CLI_FAILED. */
struct error;
int cli_failed(struct cli *cli, const struct error *err);

/* The help of a command on standard output; of the program with command NULL. */
void cli_usage(const struct cli_command *command);

/* The configuration, read and checked; complaints and warnings have been logged. NULL: return
 * CLI_FAILED. Sets the log up and protects the process. */
struct arena;
struct config;
const struct config *cli_config_load(struct cli *cli, struct arena *a);

#endif
