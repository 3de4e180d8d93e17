#include "worker/door/metrics.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/utf8.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LABEL_MAX_BYTES = 120 };

/* Upper ends in seconds: from a wake-up to a long call. */
static const double bounds[] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
				1,     2.5,   5,    10,    30,   60,  120,  300};
enum { BUCKETS = ARRAY_LEN(bounds) + 1 };

static const struct {
	enum metric_type type;
	const char *name, *labels, *help;
} table[] = {
#define X(constant, type, name, labels, help) \
	[METRIC_##constant] = {METRIC_##type, name, labels, help},
	METRICS(X)
#undef X
};

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
};

/* One combination of label values. */
struct series {
	struct series *next;
	char *labels[METRIC_LABELS_MAX];
	double value; /* of a histogram: the sum */
	uint64_t buckets[BUCKETS];
};

struct metrics {
	struct series *first[ARRAY_LEN(table)];
	size_t count[ARRAY_LEN(table)];
	uint64_t start_ms;
};

static size_t label_count(enum metric which)
{
	size_t count = table[which].labels[0] != '\0';

	for (const char *c = table[which].labels; *c; c++)
		count += *c == ',';
	return count;
}

/* A label's value may come from a job: whole characters, not too many. */
static char *label_value(const char *text)
{
	struct str cut = utf8_cut(str_of(text ? text : ""), LABEL_MAX_BYTES);
	char *copy = xmalloc(cut.len * 3 + 1);
	size_t at = 0, len = 0;

	while (at < cut.len)
		len += utf8_write(utf8_next(cut, &at), copy + len);
	return copy;
}

static struct series *series_add(struct metrics *m, enum metric which, char *const *labels)
{
	struct series *s = xmalloc(sizeof(*s)), **place = &m->first[which];

	for (size_t i = 0; labels && i < label_count(which); i++)
		s->labels[i] = xstrdup(labels[i]);
	while (*place)
		place = &(*place)->next;
	*place = s;
	m->count[which]++;
	return s;
}

static struct series *series_find(struct metrics *m, enum metric which, const char *const *labels)
{
	size_t count = label_count(which), same;

	for (struct series *s = m->first[which]; s; s = s->next) {
		for (same = 0; same < count; same++)
			if (strcmp(s->labels[same], labels[same] ? labels[same] : "") != 0)
				break;
		if (same == count)
			return s;
	}
	return NULL;
}

/* The series of these labels, which is made if there is none yet. */
static struct series *series_of(struct metrics *m, enum metric which, const char *const *labels)
{
	static char other_text[] = "other";
	char *const other[METRIC_LABELS_MAX] = {other_text, other_text, other_text};
	char *clean[METRIC_LABELS_MAX] = {NULL};
	struct series *s = series_find(m, which, labels);

	if (s)
		return s;
	for (size_t i = 0; i < label_count(which); i++)
		clean[i] = label_value(labels[i]);
	s = series_find(m, which, (const char *const *)clean);
	if (!s && m->count[which] < METRIC_SERIES_MAX)
		s = series_add(m, which, clean);
	for (size_t i = 0; i < METRIC_LABELS_MAX; i++)
		free(clean[i]);
	if (!s)
		s = series_find(m, which, (const char *const *)other);
	return s ? s : series_add(m, which, other);
}

struct metrics *metrics_new(void)
{
	struct metrics *m = xmalloc(sizeof(*m));

	m->start_ms = wall_ms();
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (label_count((enum metric)i) == 0) /* they are there from the beginning, as 0 */
			(void)series_add(m, (enum metric)i, NULL);
	return m;
}

void metrics_free(struct metrics *m)
{
	for (size_t i = 0; m && i < ARRAY_LEN(table); i++)
		while (m->first[i]) {
			struct series *s = m->first[i];

			m->first[i] = s->next;
			for (size_t k = 0; k < METRIC_LABELS_MAX; k++)
				free(s->labels[k]);
			free(s);
		}
	free(m);
}

void metric_add(struct metrics *m, enum metric which, double amount, const char *const *labels)
{
	struct series *s;
	size_t bucket = 0;

	if (!m || !isfinite(amount) || (table[which].type != METRIC_GAUGE && amount < 0))
		return;
	s = series_of(m, which, labels);
	s->value += amount;
	if (table[which].type != METRIC_HISTOGRAM)
		return;
	while (bucket < ARRAY_LEN(bounds) && amount > bounds[bucket])
		bucket++;
	s->buckets[bucket]++;
}

void metric_set(struct metrics *m, enum metric which, double value, const char *const *labels)
{
	assert(table[which].type == METRIC_GAUGE);
	if (m && isfinite(value))
		series_of(m, which, labels)->value = value;
}

/* ---- text ---- */

/* Prometheus, text format 0.0.4: in a label's value \, " and line feed are escaped. */
static void add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++)
		if (*text == '\n')
			(void)buf_add_text(out, "\\n");
		else if (*text == '"' || *text == '\\')
			(void)buf_printf(out, "\\%c", *text);
		else
			(void)buf_add_char(out, *text);
}

/* {provider="openai",le="0.5"}; nothing if there are no labels. */
static void add_labels(struct buf *out, enum metric which, const struct series *s, const char *le)
{
	const char *name = table[which].labels, *before = "{";

	for (size_t i = 0; *name; i++) {
		size_t len = strcspn(name, ",");

		(void)buf_printf(out, "%s%.*s=\"", before, (int)len, name);
		add_escaped(out, s->labels[i]);
		(void)buf_add_char(out, '"');
		name += len + (name[len] == ',');
		before = ",";
	}
	if (le) {
		(void)buf_printf(out, "%sle=\"%s\"", before, le);
		before = ",";
	}
	if (before[0] == ',')
		(void)buf_add_char(out, '}');
}

static void add_sample(struct buf *out, double value)
{
	char text[JSON_NUMBER_MAX];

	(void)buf_printf(out, " %s\n", json_number_text(value, text));
}

static void add_histogram(struct buf *out, enum metric which, const struct series *s)
{
	char text[JSON_NUMBER_MAX];
	uint64_t count = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		count += s->buckets[i];
		(void)buf_printf(out, "%s_bucket", table[which].name);
		add_labels(out, which, s,
			   i < ARRAY_LEN(bounds) ? json_number_text(bounds[i], text) : "+Inf");
		add_sample(out, (double)count);
	}
	(void)buf_printf(out, "%s_sum", table[which].name);
	add_labels(out, which, s, NULL);
	add_sample(out, s->value);
	(void)buf_printf(out, "%s_count", table[which].name);
	add_labels(out, which, s, NULL);
	add_sample(out, (double)count);
}

static void add_head(struct buf *out, const char *name, const char *help, enum metric_type type)
{
	(void)buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_names[type]);
}

static void add_metric(struct buf *out, const struct metrics *m, enum metric which)
{
	add_head(out, table[which].name, table[which].help, table[which].type);
	for (const struct series *s = m->first[which]; s; s = s->next) {
		if (table[which].type == METRIC_HISTOGRAM) {
			add_histogram(out, which, s);
			continue;
		}
		(void)buf_add_text(out, table[which].name);
		add_labels(out, which, s, NULL);
		add_sample(out, s->value);
	}
}

/* ---- the process, under the names that all of Prometheus' clients use ---- */

static void add_process(struct buf *out, const char *name, const char *help, enum metric_type type,
			double value)
{
	if (value < 0)
		return;
	add_head(out, name, help, type);
	(void)buf_add_text(out, name);
	add_sample(out, value);
}

static double cpu_seconds(void)
{
	struct rusage used;

	if (getrusage(RUSAGE_SELF, &used) != 0)
		return -1;
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* The second number of /proc/self/statm is the resident pages. */
static double resident_bytes(void)
{
	char text[128] = "";
	char *rest;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	if (got <= 0)
		return -1;
	(void)strtoull(text, &rest, 10);
	return (double)strtoull(rest, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

static double open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	double count = -3; /* ".", ".." and the directory itself */

	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

void metrics_print(const struct metrics *m, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		add_metric(out, m, (enum metric)i);
	add_head(out, "flow_worker_build_info", "The release", METRIC_GAUGE);
	(void)buf_add_text(out, "flow_worker_build_info{version=\"" FLOW_WORKER_VERSION "\"} 1\n");
	add_process(out, "process_start_time_seconds", "When the process began, since 1970",
		    METRIC_GAUGE, (double)m->start_ms / 1000);
	add_process(out, "process_cpu_seconds_total", "Processor time, user and system",
		    METRIC_COUNTER, cpu_seconds());
	add_process(out, "process_resident_memory_bytes", "Resident memory", METRIC_GAUGE,
		    resident_bytes());
	add_process(out, "process_open_fds", "Open file descriptors", METRIC_GAUGE,
		    open_descriptors());
}
