/* flow-worker connect: from an existing Directus to a worker that may do just what it needs there.
 *
 *	read the options ─► ask for the token ─► connect.c makes user and rights ─► look whether they
 *	hold, as the worker ─► look for the extension ─► print or write what to set on both sides */
#include "common/config.h"
#include "common/digest.h"
#include "common/directus.h"
#include "common/secrets.h"
#include "common/utf8.h"
#include "worker/admin/connect.h"
#include "worker/admin/env_file.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum {
	COLLECTIONS,
	FIELDS,
	CREATE,
	DELETE,
	FILES,
	NOTIFICATIONS,
	NAME,
	TOKEN_FILE,
	NEW_TOKEN,
	WRITE,
	DRY_RUN
};

/* clang-format off */
static const struct cli_option options[] = {
	[COLLECTIONS] = {"collections", "a,b", "what the worker reads and updates"},
	[FIELDS] = {"fields", "a:x,y;b:z",
		"update these fields only (Directus 11, or 12 with a licence)"},
	[CREATE] = {"create", NULL, "also create items there"},
	[DELETE] = {"delete", NULL, "also delete items there"},
	[FILES] = {"files", NULL, "read files, for attachments and images"},
	[NOTIFICATIONS] = {"notifications", NULL, "create notifications"},
	[NAME] = {"name", "NAME", "of policy, role and user; default flow-worker"},
	[TOKEN_FILE] = {"token-file", "FILE",
		"holds an administrator's token; - is standard input"},
	[NEW_TOKEN] = {"new-token", NULL, "replace the worker's token"},
	[WRITE] = {"write", "FILE", "put the variables into FILE, such as .env"},
	[DRY_RUN] = {"dry-run", NULL, "say what would be done, change nothing"},
	{0},
};
/* clang-format on */

enum { TOKEN_MAX = 4096, ENV_LINES = 4 };

struct view {
	struct cli *cli;
	struct setup setup;
	struct arena *a;
	struct connect c;
	const char *job_secret;
	bool has_file;         /* the file of --write is there, and was read */
	cJSON *troubles;       /* texts: what does not work yet */
	const char *extension; /* for people */
	bool has_extension;
};

static void trouble(struct view *v, const char *text)
{
	json_push(v->troubles, json_text(v->a, text));
	fprintf(stderr, "  ! %s\n", text);
}

/* ---- the administrator's token ---- */

/* Asked without echo; NULL: there is nobody to ask. The terminal is quiet before it asks: what comes in answer to the
 * question, however fast, is neither shown nor dropped. */
static const char *ask_token(struct arena *a)
{
	char text[TOKEN_MAX];
	struct termios old, quiet;
	bool told;

	if (isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &old) != 0)
		return NULL;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	fputs("Token of an administrator (not shown, not kept): ", stderr);
	told = fgets(text, sizeof(text), stdin) != NULL;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputs("\n", stderr);
	return told ? arena_strdup(a, text) : NULL;
}

static const char *find_token(struct view *v, struct error *err)
{
	const char *file = cli_option(v->cli, TOKEN_FILE), *token;
	struct str text = str_of(v->setup.config->directus_admin_token);

	if (file && !cli_file_read(v->a, file, &text, err))
		return NULL;
	if (!file && !text.len)
		text = str_of(ask_token(v->a));
	text = utf8_trim(text);
	token = arena_strndup(v->a, text.ptr ? text.ptr : "", text.len);
	if (text.len && text.len < TOKEN_MAX && !strpbrk(token, "\r\n")) {
		secrets_add(text);
		return token;
	}
	(void)fail(err, ERR_INVALID_PAYLOAD,
		   "an administrator's token is needed, in one line: --token-file FILE, "
		   "DIRECTUS_ADMIN_TOKEN, or a terminal to ask on");
	return NULL;
}

/* ---- options ---- */

/* The next piece of a list, without blanks around it. */
static struct str next_piece(struct str *list, char between)
{
	const char *at = list->len ? memchr(list->ptr, between, list->len) : NULL;
	size_t len = at ? (size_t)(at - list->ptr) : list->len;
	struct str piece = {list->ptr, len};

	len += at ? 1 : 0;
	*list = (struct str){list->ptr + len, list->len - len};
	return utf8_trim(piece);
}

/* "articles:title,summary;products:name": the fields of a collection; NULL: all. */
static const cJSON *fields_of(struct arena *a, const char *text, const char *collection)
{
	struct str rest = str_of(text);

	while (rest.len) {
		struct str entry = next_piece(&rest, ';'), name = next_piece(&entry, ':');
		cJSON *list = json_array(a);

		while (entry.len) {
			struct str field = next_piece(&entry, ',');

			if (field.len)
				json_push(list, json_str(a, field));
		}
		if (str_is(name, collection) && json_count(list))
			return list;
	}
	return NULL;
}

static bool is_chosen(const char *collections, struct str name)
{
	struct str rest = str_of(collections);

	while (rest.len)
		if (str_equal(next_piece(&rest, ','), name))
			return true;
	return false;
}

static int check_options(struct view *v)
{
	const char *collections = cli_option(v->cli, COLLECTIONS);
	struct str rest = str_of(cli_option(v->cli, FIELDS));
	const char *url = cli_argument(v->cli, 0);

	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return cli_wrong_use(v->cli, "'%.100s' is no address, expected https://…", url);
	if (!collections || !*collections)
		return cli_wrong_use(v->cli,
				     "--collections is missing: which collections is the "
				     "worker to write to? (--collections articles,products)");
	while (rest.len) {
		struct str entry = next_piece(&rest, ';'), name = next_piece(&entry, ':');

		if (!entry.len || !is_chosen(collections, name))
			return cli_wrong_use(
				v->cli,
				"--fields '%.*s' names no collection of --collections, "
				"expected collection:field,field;…",
				STR_ARGS(name));
	}
	return CLI_OK;
}

static void want_all(struct view *v)
{
	const struct config *config = v->setup.config;
	struct str rest = str_of(cli_option(v->cli, COLLECTIONS));
	struct connect *c = &v->c;

	while (rest.len) {
		struct str piece = next_piece(&rest, ',');
		const char *name = arena_strndup(v->a, piece.ptr, piece.len);
		const cJSON *fields = fields_of(v->a, cli_option(v->cli, FIELDS), name);

		if (!piece.len)
			continue;
		connect_want(c, name, "read", NULL);
		connect_want(c, name, "update", fields);
		if (cli_option(v->cli, CREATE))
			connect_want(c, name, "create", fields);
		if (cli_option(v->cli, DELETE))
			connect_want(c, name, "delete", NULL);
	}
	connect_want(c, "directus_flows", "read", NULL);
	connect_want(c, "directus_operations", "read", NULL);
	if (cli_option(v->cli, FILES))
		connect_want(c, "directus_files", "read", NULL);
	if (cli_option(v->cli, NOTIFICATIONS))
		connect_want(c, "directus_notifications", "create", NULL);
	if (config->worker_run_log_collection)
		connect_want(c, config->worker_run_log_collection, "create", NULL);
	if (config->ai_settings_import)
		connect_want(c, "directus_settings", "read", NULL);
}

/* ---- looking whether it holds ---- */

/* What the worker may, as Directus sees it: {"articles":{"read":{"access","fields"}}}. */
static void check_rights(struct view *v, const struct rest *worker)
{
	struct rest_reply reply;
	const cJSON *right;

	if (!rest_ask(worker, "GET", "/permissions/me", NULL, &reply)) {
		trouble(v, arena_printf(v->a, "the worker's rights can not be read: %s",
					reply.reason));
		return;
	}
	json_each(right, v->c.rights) {
		const char *collection = json_get_text(right, "collection");
		const char *action = json_get_text(right, "action");
		const cJSON *may = json_path(reply.data, collection, action, NULL);
		const char *access = json_get_text(may, "access");
		bool all = v->c.fields_refused ||
			   connect_covers(json_get(may, "fields"), json_get(right, "fields"));

		if (!access || strcmp(access, "none") == 0 || !all)
			trouble(v,
				arena_printf(v->a, "the worker may not %s %s: look at policy '%s'",
					     action, collection, v->c.name));
	}
}

static void check_reading(struct view *v, const struct rest *worker)
{
	struct rest_reply reply;
	struct error err;
	const cJSON *right;
	const char *path;

	json_each(right, v->c.rights) {
		const char *collection = json_get_text(right, "collection");

		if (strcmp(json_get_text(right, "action"), "read") != 0)
			continue;
		if (!directus_collection_path(v->a, collection, &path, &err))
			trouble(v, err.text);
		else if (!rest_ask(worker, "GET", arena_printf(v->a, "%s?limit=1", path), NULL,
				   &reply))
			trouble(v, arena_printf(v->a, "reading %s as the worker: %s %s", collection,
						reply.code, reply.reason));
	}
}

static void check_extension(struct view *v, const struct rest *worker)
{
	struct rest_reply reply;

	v->has_extension = rest_ask(worker, "GET", "/flow-worker", NULL, &reply);
	if (v->has_extension)
		v->extension = arena_printf(v->a, "loaded, version %s",
					    json_get_text(reply.data, "version")
						    ? json_get_text(reply.data, "version")
						    : "?");
	else if (reply.status == 403)
		v->extension = "loaded, but it does not know this user yet: set FLOW_WORKER_USER";
	else if (reply.status == 404)
		v->extension = "not loaded";
	else
		v->extension = arena_printf(v->a, "unknown: %s", reply.reason);
	fprintf(stderr, "  extension: %s\n", v->extension);
}

static void check_as_worker(struct view *v)
{
	struct rest worker = {&v->setup, v->c.admin.url, v->c.token};

	v->extension = "unknown";
	if (v->c.dry_run)
		return;
	if (!v->c.token) {
		trouble(v,
			"the user has a token that nobody can read any more: use the one you have "
			"(DIRECTUS_TOKEN), or replace it with --new-token");
		return;
	}
	check_rights(v, &worker);
	check_reading(v, &worker);
	check_extension(v, &worker);
}

/* ---- what to set ---- */

static const char *redis_address(const struct view *v)
{
	const struct config *c = v->setup.config;
	const char *host = c->redis_host ? c->redis_host : "127.0.0.1";
	const char *user = c->redis_username ? c->redis_username : "", *login = "", *db = "";
	unsigned port = c->redis_port ? (unsigned)c->redis_port : 6379;

	if (c->redis)
		return c->redis;
	if (c->redis_password)
		login = arena_printf(v->a, "%s:%s@", directus_encode(v->a, str_of(user)),
				     directus_encode(v->a, str_of(c->redis_password)));
	if (c->redis_db)
		db = arena_printf(v->a, "/%d", (int)c->redis_db);
	return arena_printf(v->a, "redis://%s%s:%u%s", login, host, port, db);
}

/* What the file has already stays as it is: it may be DIRECTUS_TOKEN_FILE there. */
static size_t worker_lines(const struct view *v, struct env_line lines[ENV_LINES])
{
	bool has_token = v->has_file && v->c.token == v->c.known_token;
	bool has_secret = v->has_file && v->setup.config->worker_job_secret;
	size_t n = 0;

	lines[n++] = (struct env_line){"DIRECTUS_URL", v->c.admin.url};
	if (v->c.token && !has_token)
		lines[n++] = (struct env_line){"DIRECTUS_TOKEN", v->c.token};
	if (!has_secret)
		lines[n++] = (struct env_line){"WORKER_JOB_SECRET", v->job_secret};
	return n;
}

static size_t directus_lines(const struct view *v, struct env_line lines[ENV_LINES])
{
	const char *prefix = v->setup.config->queue_prefix;
	size_t n = 0;

	lines[n++] = (struct env_line){"FLOW_WORKER_REDIS", redis_address(v)};
	if (v->c.user)
		lines[n++] = (struct env_line){"FLOW_WORKER_USER", v->c.user};
	lines[n++] = (struct env_line){"FLOW_WORKER_JOB_SECRET", v->job_secret};
	if (strcmp(prefix, "{flow-worker}:") != 0)
		lines[n++] = (struct env_line){"FLOW_WORKER_PREFIX", prefix};
	return n;
}

static cJSON *lines_json(struct arena *a, const struct env_line *lines, size_t count)
{
	cJSON *json = json_object(a);

	for (size_t i = 0; i < count; i++)
		json_set_text(a, json, lines[i].name, lines[i].value);
	return json;
}

static void print_lines(const char *title, const struct env_line *lines, size_t count)
{
	printf("# %s\n", title);
	for (size_t i = 0; i < count; i++)
		printf("%s=%s\n", lines[i].name, lines[i].value);
}

static bool has_provider(const struct config *c)
{
	for (size_t i = 0; i < c->provider_count; i++)
		if (c->providers[i].enabled)
			return true;
	return false;
}

static bool has_redis(const struct config *c)
{
	return c->redis || c->redis_host || c->redis_sentinels;
}

static void print_next(const struct view *v)
{
	const char *file = cli_option(v->cli, WRITE);
	const struct config *c = v->setup.config;

	fprintf(stderr, "\nNext:\n");
	if (!file)
		fprintf(stderr,
			"  - put the worker's lines into its .env (or again with --write .env)\n");
	if (!v->has_extension)
		fprintf(stderr,
			"  - put Directus' lines into its environment, and the extension "
			"directus-extension-flow-worker into its extensions\n    folder; start it "
			"again, with EXTENSIONS_MUST_LOAD=true so that it says what is missing\n");
	if (!has_redis(c))
		fprintf(stderr, "  - set REDIS=redis://… for the worker: without it, it is %s\n",
			redis_address(v));
	fprintf(stderr, "  - the Redis address must be one that both sides reach\n");
	if (!has_provider(c))
		fprintf(stderr, "  - set a provider's key: AI_OPENAI_API_KEY=… (or AI_ANTHROPIC_, "
				"AI_GOOGLE_)\n");
	fprintf(stderr,
		"  - `flow-worker doctor` looks at everything, `flow-worker` starts the worker\n");
}

static void print_json(const struct view *v, const struct env_line *ours, size_t our_count,
		       const struct env_line *theirs, size_t their_count)
{
	cJSON *json = json_object(v->a);

	json_set_text(v->a, json, "url", v->c.admin.url);
	json_set_text(v->a, json, "version", v->c.version);
	json_set_text(v->a, json, "policy", v->c.policy);
	json_set_text(v->a, json, "role", v->c.role);
	json_set_text(v->a, json, "user", v->c.user);
	json_set_bool(v->a, json, "fieldsRefused", v->c.fields_refused);
	json_set_text(v->a, json, "extension", v->extension);
	json_set(v->a, json, "steps", v->c.steps);
	json_set(v->a, json, "troubles", v->troubles);
	json_set(v->a, json, "worker", lines_json(v->a, ours, our_count));
	json_set(v->a, json, "directus", lines_json(v->a, theirs, their_count));
	cli_print_json(v->a, json);
}

static bool give_lines(struct view *v, struct error *err)
{
	struct env_line ours[ENV_LINES], theirs[ENV_LINES];
	size_t our_count = worker_lines(v, ours), their_count = directus_lines(v, theirs);
	const char *file = cli_option(v->cli, WRITE);

	if (v->c.dry_run) {
		our_count = 0;
		their_count = 0;
		fprintf(stderr, "Nothing was changed.\n");
	} else if (file) {
		if (!env_file_write(v->a, file, ours, our_count, err))
			return false;
		fprintf(stderr, "  the worker's variables are in '%s'\n", file);
	}
	if (v->cli->json) {
		print_json(v, ours, file ? 0 : our_count, theirs, their_count);
	} else if (!v->c.dry_run) {
		if (!file)
			print_lines("the worker's .env", ours, our_count);
		print_lines("in Directus' own environment", theirs, their_count);
		print_next(v);
	}
	return true;
}

/* ---- */

static const char *without_slash(struct arena *a, const char *url)
{
	size_t len = strlen(url);

	while (len && url[len - 1] == '/')
		len--;
	return arena_strndup(a, url, len);
}

/* What an earlier connect has left in the worker's own configuration. */
static void take_known(struct view *v)
{
	const struct config *c = v->setup.config;
	char uuid[UUID_SIZE], hex[DIGEST_HEX_SIZE];

	if (c->directus_url && strcmp(c->directus_url, v->c.admin.url) == 0)
		v->c.known_token = c->directus_token;
	uuid_random(uuid);
	sha256_hex(str_of(uuid), hex);
	v->job_secret = c->worker_job_secret ? c->worker_job_secret : arena_strdup(v->a, hex);
}

static bool connect_all(struct view *v, struct error *err)
{
	struct connect *c = &v->c;

	c->admin.setup = &v->setup;
	c->admin.url = without_slash(v->a, cli_argument(v->cli, 0));
	c->name = cli_option(v->cli, NAME) ? cli_option(v->cli, NAME) : "flow-worker";
	c->dry_run = cli_option(v->cli, DRY_RUN) != NULL;
	c->new_token = cli_option(v->cli, NEW_TOKEN) != NULL;
	c->rights = json_array(v->a);
	c->steps = json_array(v->a);
	v->troubles = json_array(v->a);
	c->admin.token = find_token(v, err);
	if (!c->admin.token)
		return false;
	take_known(v);
	want_all(v);
	if (!connect_check_admin(c, err) || !connect_check_wishes(c, err))
		return false;
	fprintf(stderr, "Directus %s at %s\n", c->version, c->admin.url);
	if (!connect_make(c, err))
		return false;
	check_as_worker(v);
	return give_lines(v, err);
}

static int run(struct cli *cli)
{
	struct view v = {.cli = cli};
	const char *file = cli_option(cli, WRITE);
	struct error err;
	int status = check_options(&v);

	if (status != CLI_OK)
		return status;
	if (file && !cli->env_file && access(file, R_OK) == 0) {
		cli->env_file = file; /* what is there already counts */
		v.has_file = true;
	}
	if (!setup_open(&v.setup, cli))
		return CLI_FAILED;
	v.a = v.setup.arena;
	if (!connect_all(&v, &err))
		status = cli_failed(cli, &err);
	else if (json_count(v.troubles))
		status = CLI_FAILED;
	setup_close(&v.setup);
	return status;
}

const struct cli_command cli_connect = {
	.name = "connect",
	.help = "make the worker's user and rights in an existing Directus",
	.arguments = "URL",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = options,
	.more = "Policy, role and user have one name and are found again by it: running this "
		"twice\n"
		"changes nothing, further --collections are added. The administrator's token comes "
		"from\n"
		"--token-file, DIRECTUS_ADMIN_TOKEN, or is asked for; it is kept nowhere.\n\n"
		"  flow-worker connect https://cms.example.com --collections articles --files "
		"--write .env",
	.run = run,
};
