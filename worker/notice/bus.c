#include "worker/notice/bus.h"

#include "common/config.h"
#include "common/log.h"
#include "worker/flow/flows.h"

/* Any message on the channel says `reload`; channel NULL: some may have been missed. */
static void heard(void *arg, const char *channel, struct str text)
{
	struct bus *b = arg;

	(void)text;
	log_write(LOG_DEBUG, "flows have changed in Directus", LOG_TEXT("channel", channel),
		  LOG_END);
	flows_forget(b->flows);
}

static void close_now(struct timeout *t)
{
	struct bus *b = container_of(t, struct bus, closing);

	redis_free(b->redis);
	b->redis = NULL;
}

/* Who may not listen never may: that is no reason to connect again and again. */
static void changed(void *arg, const struct error *err)
{
	struct bus *b = arg;

	if (!err) {
		log_write(LOG_DEBUG, "listening to Directus' bus", LOG_TEXT("channel", b->channel),
			  LOG_END);
	} else if (strcmp(err->detail, "NOPERM") == 0) {
		log_write(
			LOG_WARN,
			"Directus' bus can not be listened to: changes of flows are seen within a "
			"minute",
			LOG_TEXT("channel", b->channel), LOG_FAILURE(err), LOG_END);
		timeout_start(b->loop, &b->closing, 0, close_now);
	} else {
		log_write(LOG_DEBUG, "Directus' bus is lost", LOG_FAILURE(err), LOG_END);
	}
}

void bus_open(struct bus *b, struct loop *l, struct flows *flows, const struct config *config,
	      const struct redis_options *own, struct arena *a)
{
	struct error err;

	*b = (struct bus){.loop = l, .flows = flows, .options = *own};
	if (!flows)
		return;
	if (config->directus_bus_redis)
		b->options = (struct redis_options){.url = config->directus_bus_redis,
						    .ca_file = config->redis_tls_ca_file};
	b->options.client_name = "flow-worker-bus";
	if (!redis_check_options(&b->options, &err)) {
		log_write(LOG_WARN, "DIRECTUS_BUS_REDIS", LOG_FAILURE(&err), LOG_END);
		return;
	}
	b->channel = arena_printf(a, "%s:flows", config->directus_bus_namespace);
	b->redis = redis_new(l, &b->options);
	redis_on_change(b->redis, changed, b);
	redis_subscribe(b->redis, &b->channel, 1, heard, b);
}

void bus_close(struct bus *b)
{
	if (!b->loop)
		return;
	timeout_stop(b->loop, &b->closing);
	redis_free(b->redis);
	b->redis = NULL;
}
