/* worker/cli/cli_file.h: files that are named on the command line; "-" is standard input. */
#ifndef WORKER_CLI_CLI_FILE_H
#define WORKER_CLI_CLI_FILE_H

#include "common/json.h"

enum { CLI_FILE_MAX = 64 * 1024 * 1024 };

/* ERR_INVALID_PAYLOAD names the file and what is wrong. */
bool cli_file_read(struct arena *a, const char *path, struct str *text,
		   struct error *err) NODISCARD;
cJSON *cli_file_json(struct arena *a, const char *path, struct error *err) NODISCARD;

/* A value and a line feed on standard output; for people (indented) on a terminal. */
void cli_print_json(struct arena *a, const cJSON *value);

#endif
