/* A TCP proxy that makes faults on request, see README.md. */
#include "proxy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool read_port(const char *text, uint16_t *port)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* "port" of 127.0.0.1, or "a.b.c.d:port" */
static bool read_address(const char *text, struct sockaddr_in *address)
{
	const char *colon = strrchr(text, ':');
	char host[64] = "127.0.0.1";
	uint16_t port;

	if (colon && (size_t)(colon - text) < sizeof(host)) {
		memcpy(host, text, (size_t)(colon - text));
		host[colon - text] = '\0';
	}
	return read_port(colon ? colon + 1 : text, &port) && uv_ip4_addr(host, port, address) == 0;
}

static bool read_arguments(int argc, char **argv, struct proxy *p, uint16_t *control)
{
	bool has_target = false;
	uint16_t port = 0;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--to=", 5) == 0 && read_address(argv[i] + 5, &p->target))
			has_target = true;
		else if (strncmp(argv[i], "--control=", 10) != 0 ||
			 !read_port(argv[i] + 10, control))
			if (strncmp(argv[i], "--port=", 7) != 0 || !read_port(argv[i] + 7, &port))
				return false;
	}
	return uv_ip4_addr("127.0.0.1", port, &p->own) == 0 && has_target;
}

static void on_signal(uv_signal_t *signal, int number)
{
	(void)number;
	uv_stop(signal->loop);
}

int main(int argc, char **argv)
{
	static struct proxy proxy = {.cut = -1};
	static uv_signal_t terminated;
	uint16_t control = 0;
	pid_t parent = getppid();
	int failed;

	if (!read_arguments(argc, argv, &proxy, &control)) {
		(void)fputs("usage: proxy --to=[HOST:]PORT [--port=PORT] [--control=PORT]\n",
			    stderr);
		return 2;
	}
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
		return 1;
	(void)signal(SIGPIPE, SIG_IGN);
	proxy.loop = uv_default_loop();
	failed = proxy_listen(&proxy);
	if (!failed)
		failed = control_listen(&proxy, &control);
	if (failed) {
		(void)fprintf(stderr, "proxy: cannot listen: %s\n", uv_strerror(failed));
		return 1;
	}
	(void)uv_signal_init(proxy.loop, &terminated);
	(void)uv_signal_start(&terminated, on_signal, SIGTERM);
	printf("{\"port\":%u,\"control\":%u,\"pid\":%d}\n", ntohs(proxy.own.sin_port), control,
	       (int)getpid());
	(void)fflush(stdout);
	(void)uv_run(proxy.loop, UV_RUN_DEFAULT);
	return 0;
}
