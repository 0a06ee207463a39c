/* SPDX-License-Identifier: Apache-2.0 */
#include "run/host_metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/registry.h"
#include "run/moment.h"
#include "run/process.h"
#include "run/view.h"

static const double max_age = 0.1;

/* One line a family; the name on the wire is the name here. */
enum {
	BUILD_INFO,
	EXPORTER_INFO,
	RELOADS,
	RELOAD_SUCCESS,
	LAST_RELOAD,
	COLLECTIONS,
	LAST_SUCCESS,
	MEMORY,
	CPU,
	SERIES,
	STALLED,
	EXCEEDED,
	LOG_DROPPED,
	LIMIT,
	OPERATIONS,
	LEFT_BEHIND,
	CONFIG_SUCCESS,
	CONFIG_TIME,
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
	[RELOADS] = { METRIC_COUNTER,
		      "lunex_exporter_reloads_total",
		      "Reloads of the exporter, by result; its first load is "
		      "none.",
		      { "exporter", "result" } },
	[RELOAD_SUCCESS] = { METRIC_GAUGE,
			     "lunex_exporter_reload_success",
			     "1 when the last load of the script succeeded, "
			     "else 0.",
			     { "exporter" } },
	[LAST_RELOAD] = { METRIC_GAUGE,
			  "lunex_exporter_last_reload_timestamp_seconds",
			  "When the script was last loaded, or failed to be, "
			  "seconds since the epoch.",
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
	[EXCEEDED] = { METRIC_COUNTER,
		       "lunex_exporter_limits_exceeded_total",
		       "How often the script met a limit.",
		       { "exporter", "limit" } },
	[LOG_DROPPED] = { METRIC_COUNTER,
			  "lunex_exporter_log_dropped_total",
			  "Lines of the log that were left out, because there "
			  "were too many.",
			  { "exporter" } },
	[LIMIT] = { METRIC_GAUGE,
		    "lunex_exporter_limit",
		    "The limits in force: seconds, bytes or a number.",
		    { "exporter", "limit" } },
	[OPERATIONS] = { METRIC_GAUGE,
			 "lunex_exporter_operations",
			 "Operations that the script waits for now.",
			 { "exporter" } },
	[LEFT_BEHIND] = { METRIC_GAUGE,
			  "lunex_threads_left_behind",
			  "Threads of scripts that did not come back and were "
			  "replaced by a reload.",
			  { NULL } },
	[CONFIG_SUCCESS] = { METRIC_GAUGE,
			     "lunex_config_last_reload_successful",
			     "1 when the configuration was last read without "
			     "a mistake, else 0.",
			     { NULL } },
	[CONFIG_TIME] = { METRIC_GAUGE,
			  "lunex_config_last_reload_timestamp_seconds",
			  "When the configuration was last read, seconds since "
			  "the epoch.",
			  { NULL } },
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
	struct roster *roster;
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

static void update_limits(struct host_metrics *m, const char *name,
			  const struct exporter *exporter)
{
	const struct exporter_status *s = exporter_status(exporter);

	for (int i = 0; i < VM_LIMITS; i++) {
		const char *limit = vm_limit_name(i);

		set(m, EXCEEDED, name, limit, load_count(&s->exceeded[i]));
		set(m, LIMIT, name, limit, exporter_limit(exporter, i));
	}
	set(m, LOG_DROPPED, name, NULL, load_count(&s->log_dropped));
	set(m, OPERATIONS, name, NULL, exporter_operations(exporter));
}

static void update_exporter(struct host_metrics *m,
			    const struct roster_entry *entry)
{
	const struct exporter_status *s = exporter_status(entry->exporter);
	const char *name = entry->name;
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
	set(m, STALLED, name, NULL, view_stalled(entry->exporter));
	update_limits(m, name, entry->exporter);
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

/* ---- the roster ---- */

static void forget(struct host_metrics *m, int which, const char *a,
		   const char *b)
{
	const struct str values[2] = { { a, strlen(a) },
				       { b, b ? strlen(b) : 0 } };

	family_remove(m->families[which], values);
}

/* What only an exporter that runs has. */
static void forget_running(struct host_metrics *m, const char *name)
{
	static const int single[] = { LAST_SUCCESS, MEMORY,  CPU,
				      SERIES,	    STALLED, OPERATIONS,
				      LOG_DROPPED };

	forget(m, COLLECTIONS, name, "success");
	forget(m, COLLECTIONS, name, "failure");
	for (int i = 0; i < VM_LIMITS; i++) {
		forget(m, EXCEEDED, name, vm_limit_name(i));
		forget(m, LIMIT, name, vm_limit_name(i));
	}
	for (size_t i = 0; i < sizeof single / sizeof *single; i++)
		forget(m, single[i], name, NULL);
}

static void forget_entry(struct host_metrics *m,
			 const struct roster_entry *entry)
{
	forget_running(m, entry->name);
	forget(m, EXPORTER_INFO, entry->name, entry->script);
	forget(m, RELOADS, entry->name, "success");
	forget(m, RELOADS, entry->name, "failure");
	forget(m, RELOAD_SUCCESS, entry->name, NULL);
	forget(m, LAST_RELOAD, entry->name, NULL);
}

static bool shows_the_same(const struct roster_entry *a,
			   const struct roster_entry *b)
{
	return strcmp(a->script, b->script) == 0 && a->loaded == b->loaded &&
	       a->loads_ok == b->loads_ok && a->loads_bad == b->loads_bad &&
	       a->changed == b->changed && !a->exporter == !b->exporter;
}

/* FORMER (NULL: it is new) is what stood there before. */
static void set_entry(struct host_metrics *m, const struct roster_entry *entry,
		      const struct roster_entry *former)
{
	const char *name = entry->name;

	if (former && shows_the_same(former, entry))
		return;
	if (former && strcmp(former->script, entry->script) != 0)
		forget(m, EXPORTER_INFO, name, former->script);
	if (former && former->exporter && !entry->exporter)
		forget_running(m, name);
	set(m, EXPORTER_INFO, name, entry->script, 1);
	set(m, RELOADS, name, "success", (double)entry->loads_ok);
	set(m, RELOADS, name, "failure", (double)entry->loads_bad);
	set(m, RELOAD_SUCCESS, name, NULL, entry->loaded);
	if (entry->changed > 0)
		set(m, LAST_RELOAD, name, NULL, entry->changed);
}

/* The entry of NAME; mostly it is number *AT, which moves behind it. */
static const struct roster_entry *find_near(const struct roster *roster,
					    const char *name, size_t *at)
{
	const struct roster_entry *found = NULL;

	if (*at < roster->n && strcmp(roster->entries[*at].name, name) == 0)
		found = &roster->entries[*at];
	else
		found = roster_find(roster, name);
	if (found)
		*at = (size_t)(found - roster->entries) + 1;
	return found;
}

static void set_process(struct host_metrics *m, const struct roster *roster)
{
	set(m, LEFT_BEHIND, NULL, NULL, roster->left_behind);
	set(m, CONFIG_SUCCESS, NULL, NULL, roster->config_loaded);
	if (roster->config_changed > 0)
		set(m, CONFIG_TIME, NULL, NULL, roster->config_changed);
}

void host_metrics_set_roster(struct host_metrics *m, struct roster *roster)
{
	struct roster *former = m->roster;
	size_t at = 0;

	for (size_t i = 0; former && i < former->n; i++)
		if (!find_near(roster, former->entries[i].name, &at))
			forget_entry(m, &former->entries[i]);
	at = 0;
	for (size_t i = 0; i < roster->n; i++)
		set_entry(
			m, &roster->entries[i],
			former ? find_near(former, roster->entries[i].name, &at)
			       : NULL);
	set_process(m, roster);
	m->roster = roster_ref(roster);
	m->updated = 0;
	roster_unref(former);
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
		family_observe(m->families[REQUEST_DURATION], row,
			       REGISTRY_LIVE, seconds, 0);
}

struct page *host_metrics_page(struct host_metrics *m, double now)
{
	if (m->page && now - m->updated < max_age)
		return page_ref(m->page);
	m->updated = now;
	for (size_t i = 0; i < m->roster->n; i++)
		if (m->roster->entries[i].exporter)
			update_exporter(m, &m->roster->entries[i]);
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

struct host_metrics *host_metrics_new(struct roster *roster)
{
	struct host_metrics *m = mem_alloc(sizeof *m);
	struct registry_options options = { .clock = moment_now };

	m->registry = registry_new(&options);
	for (int i = 0; i < FAMILIES; i++)
		declare(m, i);
	set(m, BUILD_INFO, LUNEX_VERSION, NULL, 1);
	host_metrics_set_roster(m, roster);
	return m;
}

void host_metrics_free(struct host_metrics *metrics)
{
	if (!metrics)
		return;
	page_unref(metrics->page);
	registry_free(metrics->registry);
	roster_unref(metrics->roster);
	free(metrics);
}
