/* SPDX-License-Identifier: Apache-2.0 */
#include "run/push_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/registry.h"
#include "run/moment.h"

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

/* A series that an account has. */
struct used {
	int family;
	char *extra; /* "" where the family has none */
};

struct push_account {
	struct push_metrics *metrics;
	char *exporter, *target;
	struct used *used;
	size_t n;
};

/* ---- the series of an account ---- */

static struct str text(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static int find(const char *family, const char *extra)
{
	for (int i = 0; i < FAMILIES; i++)
		if (strcmp(declared[i].name, family) == 0 &&
		    !declared[i].extra == !extra)
			return i;
	return -1;
}

static void note_use(struct push_account *account, int family,
		     const char *extra)
{
	for (size_t i = 0; i < account->n; i++)
		if (account->used[i].family == family &&
		    strcmp(account->used[i].extra, extra) == 0)
			return;
	account->used = mem_realloc(account->used,
				    (account->n + 1) * sizeof(struct used));
	account->used[account->n++] =
		(struct used){ family, mem_string(extra) };
}

/* The family number I, and its row; NULL without one. */
static struct family *row_of(struct push_account *account, int i,
			     const char *extra, uint32_t *row)
{
	struct str values[3] = { text(account->exporter), text(account->target),
				 text(extra) };
	struct family *family = account->metrics->families[i];
	struct err err;

	if (!family_row(family, values, row, &err)) {
		log_warn("a metric of the host is lost", "error", err.text);
		return NULL;
	}
	note_use(account, i, extra);
	return family;
}

/* False: there is no such family. FAMILY is NULL when the row is lost. */
static bool find_row(struct push_account *account, const char *name,
		     const char *extra, struct family **family, uint32_t *row)
{
	int i = find(name, extra);

	if (i < 0)
		return false;
	*family = row_of(account, i, extra ? extra : "", row);
	return true;
}

bool push_metrics_add(struct push_account *account, const char *name,
		      const char *extra, double by)
{
	struct family *family;
	uint32_t row;

	if (!find_row(account, name, extra, &family, &row))
		return false;
	if (family)
		family_inc(family, row, by);
	return true;
}

bool push_metrics_set(struct push_account *account, const char *name,
		      const char *extra, double value)
{
	struct family *family;
	uint32_t row;

	if (!find_row(account, name, extra, &family, &row))
		return false;
	if (family)
		family_set(family, row, REGISTRY_LIVE, value, 0);
	return true;
}

struct push_account *push_metrics_open(struct push_metrics *metrics,
				       const char *exporter, const char *target)
{
	struct push_account *account = mem_alloc(sizeof *account);

	account->metrics = metrics;
	account->exporter = mem_string(exporter);
	account->target = mem_string(target);
	return account;
}

void push_metrics_close(struct push_account *account)
{
	struct str values[3] = { text(account->exporter), text(account->target),
				 text("") };

	for (size_t i = 0; i < account->n; i++) {
		struct used *used = &account->used[i];

		values[2] = text(used->extra);
		family_remove(account->metrics->families[used->family], values);
		free(used->extra);
	}
	free(account->used);
	free(account->exporter);
	free(account->target);
	free(account);
}

/* ---- all of them ---- */

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
	static const struct registry_options options = { .clock = moment_now };
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
