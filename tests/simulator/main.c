/* The simulated provider: README.md says what it does. */
#include "simulator.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static void handle(struct exchange *x)
{
	struct reply *reply = reply_new(x->arena);

	if (strncmp(x->request.path, "/__sim", 6) == 0) {
		control_handle(x, reply);
		deliver(&x->script, reply, NULL);
	} else {
		provider_handle(x, reply);
	}
}

static const struct http_handler handler = {handle, provider_ended};

/* --name value, --name=value, and flags without a value. */
static bool read_arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i];
		char *value = strchr(argv[i], '=');
		if (value)
			*value++ = '\0';
		else if (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0)
			value = argv[++i];
		if (strncmp(name, "--", 2) == 0 && option_set(name + 2, value))
			continue;
		(void)fprintf(stderr, "simulator: bad option %s %s; see its README.md\n", name,
			      value ? value : "");
		return false;
	}
	return true;
}

/* Thousands of requests at once are thousands of descriptors. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void on_signal(uv_signal_t *signal, int number)
{
	uv_stop(signal->loop);
}

int main(int argc, char **argv)
{
	static uv_signal_t terminated, interrupted;
	uv_loop_t *loop = uv_default_loop();
	pid_t parent = getppid();
	const struct http_server *server;

	if (!read_arguments(argc, argv))
		return 2;
	if (options.dies_with_parent &&
	    (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent))
		return 1;
	(void)signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	ledger_open();
	server = http_server_new(loop, options.port, &handler);
	if (!server) {
		(void)fprintf(stderr, "simulator: port %d is taken\n", options.port);
		return 1;
	}
	uv_signal_init(loop, &terminated);
	uv_signal_init(loop, &interrupted);
	uv_signal_start(&terminated, on_signal, SIGTERM);
	uv_signal_start(&interrupted, on_signal, SIGINT);
	printf("{\"port\":%d,\"pid\":%d,\"what\":\"SIMULATED provider\"}\n",
	       http_server_port(server), (int)getpid());
	(void)fflush(stdout);
	uv_run(loop, UV_RUN_DEFAULT);
	return 0;
}
