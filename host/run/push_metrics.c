/* SPDX-License-Identifier: Apache-2.0 */
#include "run/push_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/registry.h"

/* One line a family; the name on the wire is the name here. */
static const struct {
	enum metric_type type;
	const char *name;
	const char *help;
	const char *extra;
} declared[] = {
	{ METRIC_COUNTER, "lunex_pushes_total", "Pushes that ended, by result.",
	  "result" },
	{ METRIC_GAUGE, "lunex_push_last_success_timestamp_seconds",
	  "When a push last succeeded, seconds since the epoch.", NULL },
	{ METRIC_GAUGE, "lunex_push_duration_seconds",
	  "How long the latest push took.", NULL },
	{ METRIC_GAUGE, "lunex_push_queue_samples",
	  "Samples that wait to be sent.", NULL },
	{ METRIC_GAUGE, "lunex_push_queue_bytes",
	  "Size of the requests that wait to be sent.", NULL },
	{ METRIC_COUNTER, "lunex_push_samples_total",
	  "Samples that the receiver has taken.", NULL },
	{ METRIC_COUNTER, "lunex_push_samples_dropped_total",
	  "Samples that were given up, by reason.", "reason" },
};

enum { FAMILIES = sizeof declared / sizeof *declared };

struct push_metrics {
	struct registry *registry;
	struct family *families[FAMILIES];
};

static struct str text(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static int find(const struct push_series *series)
{
	for (int i = 0; i < FAMILIES; i++)
		if (strcmp(declared[i].name, series->family) == 0 &&
		    !declared[i].extra == !series->extra)
			return i;
	return -1;
}

/* The family, and its row; NULL without one. */
static struct family *row_of(struct push_metrics *m,
			     const struct push_series *series, uint32_t *row)
{
	struct str values[3] = { text(series->exporter), text(series->target),
				 text(series->extra ? series->extra : "") };
	int i = find(series);
	struct err err;

	if (i < 0)
		return NULL;
	if (family_row(m->families[i], values, row, &err))
		return m->families[i];
	log_warn("a metric of the host is lost", "error", err.text);
	return NULL;
}

bool push_metrics_add(struct push_metrics *m, const struct push_series *series,
		      double by)
{
	uint32_t row;
	struct family *family = row_of(m, series, &row);

	if (family)
		family_inc(family, row, by);
	return family || find(series) >= 0;
}

bool push_metrics_set(struct push_metrics *m, const struct push_series *series,
		      double value)
{
	uint32_t row;
	struct family *family = row_of(m, series, &row);

	if (family)
		family_set(family, row, REGISTRY_LIVE, value, 0);
	return family || find(series) >= 0;
}

struct page *push_metrics_publish(struct push_metrics *m, double now)
{
	return registry_publish(m->registry, now);
}

static void declare(struct push_metrics *m, int which)
{
	const char *const labels[] = { "exporter", "target",
				       declared[which].extra };
	struct family_options options = {
		.metadata = { .type = declared[which].type,
			      .name = declared[which].name,
			      .help = declared[which].help },
		.labels = labels,
		.nlabels = declared[which].extra ? 3 : 2,
	};
	struct err err;

	m->families[which] = registry_add(m->registry, &options, &err);
	if (!m->families[which]) {
		log_error("a metric of the host is not valid", "error",
			  err.text);
		abort();
	}
}

struct push_metrics *push_metrics_new(void)
{
	static const struct registry_options options = { .labels = NULL };
	struct push_metrics *m = mem_alloc(sizeof *m);

	m->registry = registry_new(&options);
	for (int i = 0; i < FAMILIES; i++)
		declare(m, i);
	return m;
}

void push_metrics_free(struct push_metrics *metrics)
{
	if (!metrics)
		return;
	registry_free(metrics->registry);
	free(metrics);
}
