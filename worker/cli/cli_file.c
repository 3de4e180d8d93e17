#include "worker/cli/cli_file.h"

#include "common/buf.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

bool cli_file_read(struct arena *a, const char *path, struct str *text, struct error *err)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	char piece[65536];
	struct buf b;
	size_t got;
	bool fits = true, failed;

	if (!file)
		return fail(err, ERR_INVALID_PAYLOAD, "%s: %s", path, strerror(errno));
	buf_init(&b, CLI_FILE_MAX);
	while (fits && (got = fread(piece, 1, sizeof(piece), file)) > 0)
		fits = buf_add(&b, piece, got);
	failed = ferror(file) != 0;
	if (file != stdin)
		(void)fclose(file);
	*text = arena_str(a, buf_str(&b));
	buf_clear(&b);
	if (!fits)
		return fail(err, ERR_INVALID_PAYLOAD, "%s: longer than %d bytes", path,
			    CLI_FILE_MAX);
	return failed ? fail(err, ERR_INVALID_PAYLOAD, "%s: could not be read", path) : true;
}

cJSON *cli_file_json(struct arena *a, const char *path, struct error *err)
{
	struct error why;
	struct str text;
	cJSON *json;

	if (!cli_file_read(a, path, &text, err))
		return NULL;
	json = json_parse(a, text, &why);
	if (!json)
		(void)fail(err, ERR_INVALID_PAYLOAD, "%s: %s", path, why.text);
	return json;
}

void cli_print_json(struct arena *a, const cJSON *value)
{
	struct str text =
		isatty(STDOUT_FILENO) ? json_print_pretty(a, value) : json_print(a, value);

	(void)fwrite(text.ptr, 1, text.len, stdout);
	(void)putchar('\n');
}
