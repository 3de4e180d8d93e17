#include "worker/cli/cli_ready.h"

#include "common/config.h"
#include "worker/admin/rest.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/door/door.h"
#include "worker/setup.h"

#include <stdio.h>

static void print_answer(const struct cli *cli, struct arena *a, bool ready, const char *reason)
{
	cJSON *json = json_object(a);

	if (cli->json) {
		json_set_bool(a, json, "ready", ready);
		if (!ready)
			json_set_text(a, json, "reason", reason);
		cli_print_json(a, json);
	} else if (ready)
		puts("ready");
	else
		fprintf(stderr, "not ready: %s\n", reason);
}

int cli_ready(struct cli *cli)
{
	const char *address;
	struct rest_reply reply;
	struct setup s;
	bool ready;

	if (!setup_open(&s, cli))
		return CLI_FAILED;
	address = s.config->worker_http_address;
	if (!address) {
		setup_close(&s);
		return cli_wrong_use(
			cli, "--ready asks the worker at WORKER_HTTP_ADDRESS, which is not set");
	}
	ready = rest_get(&s, door_url(s.arena, address, "/ready"), NULL, &reply);
	print_answer(cli, s.arena, ready, reply.reason);
	setup_close(&s);
	return ready ? CLI_OK : CLI_FAILED;
}
