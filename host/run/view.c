/* SPDX-License-Identifier: Apache-2.0 */
#include "run/view.h"

#include <math.h>

static const double stalled_after = 1;

static uint64_t load_count(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

static double load_number(const _Atomic double *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

/* In whole ones: what is behind them is noise, and long to read. */
static double nanoseconds(double seconds)
{
	return round(seconds * 1e9) / 1e9;
}

bool view_stalled(const struct exporter *exporter)
{
	return exporter_busy_seconds(exporter) > stalled_after;
}

bool view_starting(const struct exporter *exporter)
{
	return !exporter_on_scrape(exporter) &&
	       !atomic_load_explicit(&exporter_status(exporter)->ready,
				     memory_order_acquire);
}

static enum view_state state_of(const struct exporter *exporter)
{
	if (view_stalled(exporter))
		return VIEW_STALLED;
	if (view_starting(exporter))
		return VIEW_STARTING;
	return atomic_load_explicit(&exporter_status(exporter)->failing,
				    memory_order_relaxed)
		       ? VIEW_FAILING
		       : VIEW_RUNNING;
}

struct view view_of(const struct roster_entry *entry)
{
	const struct exporter_status *s;

	if (!entry->exporter)
		return (struct view){ .state = VIEW_BROKEN,
				      .error = entry->error };
	s = exporter_status(entry->exporter);
	return (struct view){
		.state = state_of(entry->exporter),
		.last_run = load_number(&s->last_run),
		.last_success = load_number(&s->last_success),
		.last_seconds = nanoseconds(load_number(&s->last_seconds)),
		.error = board_error(exporter_board(entry->exporter)),
		.series = load_count(&s->series),
		.memory = load_count(&s->memory),
		.succeeded = load_count(&s->collections_ok),
		.failed = load_count(&s->collections_failed),
		.cpu = load_number(&s->cpu_seconds),
	};
}

const char *view_word(enum view_state state)
{
	static const char *const words[VIEW_STATES] = {
		[VIEW_RUNNING] = "running",   [VIEW_STARTING] = "starting",
		[VIEW_FAILING] = "failing",   [VIEW_STALLED] = "stalled",
		[VIEW_BROKEN] = "cannot run",
	};

	return words[state];
}
