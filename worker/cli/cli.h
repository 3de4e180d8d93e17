/* worker/cli/cli.h: the command line: the table of commands, and what every command shares.
 *
 * A command is one file worker/cli_<name>.c that ends in a `const struct cli_command`, and one line
 * of CLI_COMMANDS below. Its run() gets options and arguments that have been read and checked
 * against that entry, and returns the exit status:
 *
 *	CLI_OK      0  it went well
 *	CLI_FAILED  1  the work failed
 *	CLI_WRONG   2  wrong use: return cli_wrong_use(cli, "no job '%s'", name)
 *
 * Results go to standard output, everything else to standard error. --help, --json and --env-file
 * are known everywhere, before and behind the command's name, and are not seen by the command.
 *
 *	enum { FLOW, DRY_RUN };
 *	static const struct cli_option options[] = {
 *		[FLOW] = {"flow", "FILE", "run the flow in FILE"},
 *		[DRY_RUN] = {"dry-run", NULL, "call no provider and write nothing"},
 *		{0},
 *	};
 *	...
 *	const char *flow = cli_option(cli, FLOW);       NULL: not given; "" where it has no value
 *	bool dry_run = cli_option(cli, DRY_RUN) != NULL;
 *	const char *job = cli_argument(cli, 0);         NULL: not given */
#ifndef WORKER_CLI_CLI_H
#define WORKER_CLI_CLI_H

#include "common/base.h"

struct arena;
struct config;
struct error;

enum cli_status { CLI_OK = 0, CLI_FAILED = 1, CLI_WRONG = 2 };

enum { CLI_ANY_NUMBER = 1000000 };

struct cli_option {
	const char *name;       /* without the dashes */
	const char *value_name; /* for the help: "FILE"; NULL: it has no value */
	const char *help;       /* one line */
};

struct cli;

struct cli_command {
	const char *name;
	const char *help;      /* one line */
	const char *arguments; /* for the help: "JOB|-", "list|show|retry ID…", "" for none */
	size_t arguments_min, arguments_max;
	const struct cli_option *options; /* ends with {0}; or NULL: none */
	const char *more;                 /* further lines of the help; or NULL */
	int (*run)(struct cli *cli);
};

struct cli {
	const struct cli_command *command;
	const char *env_file; /* NULL: .env of the working directory, if there is one */
	bool json;            /* print JSON instead of a table */
	size_t argument_count;
	const char **arguments;
	const char **values; /* one for each of command->options; cli_option() reads it */
};

/* In the order of the help. */
#define CLI_COMMANDS(X) \
	X(run)          \
	X(enqueue)      \
	X(exec)         \
	X(render)       \
	X(check)        \
	X(batch)        \
	X(cron)         \
	X(flow)         \
	X(jobs)         \
	X(status)       \
	X(limits)       \
	X(models)       \
	X(tokens)       \
	X(config)       \
	X(connect)      \
	X(doctor)       \
	X(version)

#define X(name) extern const struct cli_command cli_##name;
CLI_COMMANDS(X)
#undef X

/* Finds the command and runs it; what main() returns. */
int cli_main(int argc, char **argv);

/* The value of an option, the last one if it was given twice. "" for one without a value. */
const char *cli_option(const struct cli *cli, size_t option);
const char *cli_argument(const struct cli *cli, size_t n);

/* A whole number from min to max; a bad one has been told: return CLI_WRONG. Not given: *number
 * stays as it is. */
bool cli_option_number(const struct cli *cli, size_t option, uint64_t min, uint64_t max,
		       uint64_t *number) NODISCARD;

/* Says what is wrong and how to get help; returns CLI_WRONG. */
int cli_wrong_use(const struct cli *cli, const char *format, ...) PRINTF(2, 3);

/* The work failed: says why, secrets masked; returns CLI_FAILED. */
int cli_failed(const struct cli *cli, const struct error *err);

/* The configuration, read and checked, in the arena; the log is set up and the process protected.
 * NULL: everything that is wrong has been told: return CLI_FAILED. */
const struct config *cli_config_load(const struct cli *cli, struct arena *a);

#endif
