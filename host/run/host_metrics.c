/* SPDX-License-Identifier: Apache-2.0 */
#include "run/host_metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/registry.h"
#include "run/process.h"

static const double max_age = 0.1;
static const double stalled_after = 1;

/* One line a family; the name on the wire is the name here. */
enum {
	BUILD_INFO,
	EXPORTER_INFO,
	RELOAD_SUCCESS,
	COLLECTIONS,
	LAST_SUCCESS,
	MEMORY,
	CPU,
	SERIES,
	STALLED,
	REQUESTS,
	REQUEST_DURATION,
	PROCESS_CPU,
	PROCESS_OPEN_FDS,
	PROCESS_MAX_FDS,
	PROCESS_VIRTUAL,
	PROCESS_RESIDENT,
	PROCESS_START,
	PROCESS_THREADS,
	FAMILIES,
};

static const struct {
	enum metric_type type;
	const char *name;
	const char *help;
	const char *labels[3];
} declared[FAMILIES] = {
	[BUILD_INFO] = { METRIC_INFO,
			 "lunex_build_info",
			 "The version of lunex, always 1.",
			 { "version" } },
	[EXPORTER_INFO] = { METRIC_INFO,
			    "lunex_exporter_info",
			    "The exporters of this process, always 1.",
			    { "exporter", "script" } },
	[RELOAD_SUCCESS] = { METRIC_GAUGE,
			     "lunex_exporter_reload_success",
			     "1 when the last load of the script succeeded, "
			     "else 0.",
			     { "exporter" } },
	[COLLECTIONS] = { METRIC_COUNTER,
			  "lunex_exporter_collections_total",
			  "Collections that ended, by result.",
			  { "exporter", "result" } },
	[LAST_SUCCESS] = { METRIC_GAUGE,
			   "lunex_exporter_last_success_timestamp_seconds",
			   "When a collection last succeeded, seconds since "
			   "the epoch.",
			   { "exporter" } },
	[MEMORY] = { METRIC_GAUGE,
		     "lunex_exporter_memory_bytes",
		     "Size of the Lua heap.",
		     { "exporter" } },
	[CPU] = { METRIC_COUNTER,
		  "lunex_exporter_cpu_seconds_total",
		  "Processor time spent inside the script.",
		  { "exporter" } },
	[SERIES] = { METRIC_GAUGE,
		     "lunex_exporter_series",
		     "Series that the exporter shows.",
		     { "exporter" } },
	[STALLED] = { METRIC_GAUGE,
		      "lunex_exporter_stalled",
		      "1 while the script has not come back to the host for "
		      "more than a second, else 0.",
		      { "exporter" } },
	[REQUESTS] = { METRIC_COUNTER,
		       "lunex_http_requests_total",
		       "HTTP requests answered, by handler and status code.",
		       { "handler", "code" } },
	[REQUEST_DURATION] = { METRIC_HISTOGRAM,
			       "lunex_http_request_duration_seconds",
			       "Time from the headers of a request to the end "
			       "of its answer.",
			       { "handler" } },
	[PROCESS_CPU] = { METRIC_COUNTER,
			  "process_cpu_seconds_total",
			  "Total user and system CPU time spent in seconds.",
			  { NULL } },
	[PROCESS_OPEN_FDS] = { METRIC_GAUGE,
			       "process_open_fds",
			       "Number of open file descriptors.",
			       { NULL } },
	[PROCESS_MAX_FDS] = { METRIC_GAUGE,
			      "process_max_fds",
			      "Maximum number of open file descriptors.",
			      { NULL } },
	[PROCESS_VIRTUAL] = { METRIC_GAUGE,
			      "process_virtual_memory_bytes",
			      "Virtual memory size in bytes.",
			      { NULL } },
	[PROCESS_RESIDENT] = { METRIC_GAUGE,
			       "process_resident_memory_bytes",
			       "Resident memory size in bytes.",
			       { NULL } },
	[PROCESS_START] = { METRIC_GAUGE,
			    "process_start_time_seconds",
			    "Start time of the process since unix epoch in "
			    "seconds.",
			    { NULL } },
	[PROCESS_THREADS] = { METRIC_GAUGE,
			      "process_threads",
			      "Number of OS threads in the process.",
			      { NULL } },
};

static const double duration_bounds[] = { 0.001, 0.005, 0.01, 0.05, 0.1,
					  0.5,	 1,	5,    10 };

struct host_metrics {
	struct exporter *const *exporters;
	size_t n;
	struct registry *registry;
	struct family *families[FAMILIES];
	double updated;
	struct page *page;
};

/* ---- setting ---- */

static bool row_of(struct host_metrics *m, int which, const char *a,
		   const char *b, uint32_t *row)
{
	struct str values[2] = { { a, a ? strlen(a) : 0 },
				 { b, b ? strlen(b) : 0 } };
	struct err err;

	if (family_row(m->families[which], values, row, &err))
		return true;
	log_warn("a metric of the host is lost", "error", err.text);
	return false;
}

static void set(struct host_metrics *m, int which, const char *a, const char *b,
		double value)
{
	uint32_t row;

	if (row_of(m, which, a, b, &row))
		family_set(m->families[which], row, REGISTRY_LIVE, value, 0);
}

static double load_count(const _Atomic uint64_t *count)
{
	return (double)atomic_load_explicit(count, memory_order_relaxed);
}

static void update_exporter(struct host_metrics *m, struct exporter *exporter)
{
	const struct exporter_status *s = exporter_status(exporter);
	const char *name = exporter_name(exporter);
	double busy = exporter_busy_seconds(exporter);
	double success =
		atomic_load_explicit(&s->last_success, memory_order_relaxed);

	set(m, COLLECTIONS, name, "success", load_count(&s->collections_ok));
	set(m, COLLECTIONS, name, "failure",
	    load_count(&s->collections_failed));
	if (success > 0)
		set(m, LAST_SUCCESS, name, NULL, success);
	set(m, MEMORY, name, NULL, load_count(&s->memory));
	set(m, CPU, name, NULL,
	    atomic_load_explicit(&s->cpu_seconds, memory_order_relaxed));
	set(m, SERIES, name, NULL, load_count(&s->series));
	set(m, STALLED, name, NULL, busy > stalled_after);
}

static void update_process(struct host_metrics *m)
{
	struct process_numbers p;

	if (!process_read(&p))
		return;
	set(m, PROCESS_CPU, NULL, NULL, p.cpu_seconds);
	set(m, PROCESS_OPEN_FDS, NULL, NULL, p.open_fds);
	set(m, PROCESS_MAX_FDS, NULL, NULL, p.max_fds);
	set(m, PROCESS_VIRTUAL, NULL, NULL, p.virtual_bytes);
	set(m, PROCESS_RESIDENT, NULL, NULL, p.resident_bytes);
	set(m, PROCESS_START, NULL, NULL, p.start_time);
	set(m, PROCESS_THREADS, NULL, NULL, p.threads);
}

/* ---- for the web thread ---- */

void host_metrics_request(struct host_metrics *m, const char *handler,
			  unsigned code, double seconds)
{
	char text[16];
	uint32_t row;

	snprintf(text, sizeof text, "%u", code);
	if (row_of(m, REQUESTS, handler, text, &row))
		family_inc(m->families[REQUESTS], row, 1);
	if (row_of(m, REQUEST_DURATION, handler, NULL, &row))
		family_observe(m->families[REQUEST_DURATION], row, seconds);
}

struct page *host_metrics_page(struct host_metrics *m, double now)
{
	if (m->page && now - m->updated < max_age)
		return page_ref(m->page);
	m->updated = now;
	for (size_t i = 0; i < m->n; i++)
		update_exporter(m, m->exporters[i]);
	update_process(m);
	page_unref(m->page);
	m->page = registry_publish(m->registry, now);
	return page_ref(m->page);
}

/* ---- life ---- */

static unsigned count_labels(const char *const *labels)
{
	unsigned n = 0;

	while (labels[n])
		n++;
	return n;
}

static void declare(struct host_metrics *m, int which)
{
	struct family_options options = {
		.metadata = { .type = declared[which].type,
			      .name = declared[which].name,
			      .help = declared[which].help,
			      .bounds = duration_bounds,
			      .nbounds = sizeof duration_bounds /
					 sizeof *duration_bounds },
		.labels = declared[which].labels,
		.nlabels = count_labels(declared[which].labels),
	};
	struct err err;

	m->families[which] = registry_add(m->registry, &options, &err);
	if (!m->families[which]) {
		log_error("a metric of the host is not valid", "error",
			  err.text);
		abort();
	}
}

static void add_exporter(struct host_metrics *m, const char *name,
			 const char *script, bool loaded)
{
	set(m, EXPORTER_INFO, name, script, 1);
	set(m, RELOAD_SUCCESS, name, NULL, loaded);
}

struct host_metrics *host_metrics_new(struct exporter *const *exporters,
				      size_t n)
{
	struct host_metrics *m = mem_alloc(sizeof *m);
	struct registry_options options = { 0 };

	m->exporters = exporters;
	m->n = n;
	m->registry = registry_new(&options);
	for (int i = 0; i < FAMILIES; i++)
		declare(m, i);
	set(m, BUILD_INFO, LUNEX_VERSION, NULL, 1);
	for (size_t i = 0; i < n; i++)
		add_exporter(m, exporter_name(exporters[i]),
			     exporter_declaration(exporters[i])->path, true);
	return m;
}

void host_metrics_failed(struct host_metrics *m, const char *name,
			 const char *script)
{
	add_exporter(m, name, script, false);
}

void host_metrics_free(struct host_metrics *metrics)
{
	if (!metrics)
		return;
	page_unref(metrics->page);
	registry_free(metrics->registry);
	free(metrics);
}
