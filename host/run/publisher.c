/* SPDX-License-Identifier: Apache-2.0 */
#include "run/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "run/moment.h"

struct publisher {
	struct loop *web;
	struct vm *vm;
	struct registry *registry;
	struct board *own;
	struct board *taken;	      /* from an older version; NULL */
	struct board *lent;	      /* the main thread's; NULL */
	_Atomic(struct board *) seen; /* by others; NULL: its own */
	struct board *board;	      /* that it writes to: one of these */
	struct page *shown;	      /* borrowed from the registry */
	char error[512];	      /* that the web thread was told */
	double cpu_before;	      /* seconds of older versions */
	uint64_t exceeded[VM_LIMITS]; /* of the state, told already */
	uint64_t log_dropped;	      /* the same */
	bool closed;
};

/* ---- numbers ---- */

static void set_count(_Atomic uint64_t *count, uint64_t value)
{
	atomic_store_explicit(count, value, memory_order_relaxed);
}

static void set_number(_Atomic double *number, double value)
{
	atomic_store_explicit(number, value, memory_order_relaxed);
}

static void count_one(_Atomic uint64_t *count)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

/* A state counts its own; the board goes on over versions. */
static void tell_limits(struct publisher *p)
{
	uint64_t dropped = vm_log_dropped(p->vm);

	atomic_fetch_add_explicit(&p->board->status.log_dropped,
				  dropped - p->log_dropped,
				  memory_order_relaxed);
	p->log_dropped = dropped;
	for (int i = 0; i < VM_LIMITS; i++) {
		uint64_t n = vm_limits_exceeded(p->vm, i);

		atomic_fetch_add_explicit(&p->board->status.exceeded[i],
					  n - p->exceeded[i],
					  memory_order_relaxed);
		p->exceeded[i] = n;
	}
}

static void update(struct publisher *p, const struct page *page)
{
	struct exporter_status *status = &p->board->status;

	set_count(&status->series, page->series);
	set_count(&status->memory, vm_memory(p->vm));
	tell_limits(p);
	set_number(&status->cpu_seconds, p->cpu_before + vm_cpu_seconds(p->vm));
}

/* ---- the page ---- */

void publisher_publish(struct publisher *p)
{
	struct page *page;

	if (p->closed)
		return;
	page = registry_publish(p->registry, loop_now(vm_loop(p->vm)));
	update(p, page);
	if (page == p->shown) {
		page_unref(page);
		return;
	}
	p->shown = page;
	page_slot_set(&p->board->slot, page);
}

/* ---- runs ---- */

/* Said again only when it is something else. */
static void tell(struct publisher *p, const struct err *err)
{
	const char *text = err ? err->text : "";

	atomic_store_explicit(&p->board->status.failing, err != NULL,
			      memory_order_relaxed);
	if (!p->web || strncmp(p->error, text, sizeof p->error - 1) == 0)
		return;
	snprintf(p->error, sizeof p->error, "%s", text);
	board_tell(p->board, p->web, text);
}

void publisher_set_ready(struct publisher *p)
{
	atomic_store_explicit(&p->board->status.ready, true,
			      memory_order_release);
}

/* One that ends behind the swap counts, and says nothing about the exporter. */
void publisher_collected(struct publisher *p, const struct err *err,
			 double seconds)
{
	struct exporter_status *status = &p->board->status;

	count_one(err ? &status->collections_failed : &status->collections_ok);
	if (p->closed)
		return;
	set_number(&status->last_run, moment_now());
	set_number(&status->last_seconds, seconds);
	if (!err)
		set_number(&status->last_success, moment_now());
	tell(p, err);
	publisher_set_ready(p);
}

void publisher_started(struct publisher *p, const struct err *err, bool alone)
{
	if (err)
		count_one(&p->board->status.starts_failed);
	if (alone && !p->closed)
		tell(p, err);
}

/* ---- from one version to the next ---- */

struct page *publisher_close(struct publisher *p)
{
	publisher_publish(p);
	p->closed = true;
	return page_slot_get(&p->board->slot);
}

static void copy_number(_Atomic double *to, const _Atomic double *from)
{
	set_number(to, atomic_load_explicit(from, memory_order_relaxed));
}

/* What the trial said is newer than what is there. */
static void move_status(struct exporter_status *to,
			const struct exporter_status *from)
{
	if (atomic_load(&from->last_run) > 0) {
		copy_number(&to->last_run, &from->last_run);
		copy_number(&to->last_seconds, &from->last_seconds);
	}
	if (atomic_load(&from->last_success) > 0)
		copy_number(&to->last_success, &from->last_success);
	atomic_store_explicit(&to->failing, atomic_load(&from->failing),
			      memory_order_relaxed);
	if (atomic_load(&from->ready))
		atomic_store_explicit(&to->ready, true, memory_order_release);
}

void publisher_take_over(struct publisher *p, struct board *board, bool stuck)
{
	struct board *own = p->own;

	p->cpu_before = atomic_load_explicit(&board->status.cpu_seconds,
					     memory_order_relaxed);
	if (stuck) {
		board_go_on(own, board);
	} else {
		board_go_on(board, own);
		move_status(&board->status, &own->status);
		p->board = p->taken = board_ref(board);
		p->shown = NULL;
		page_slot_set(&own->slot, NULL);
	}
	publisher_publish(p);
	atomic_store(&p->seen, p->board);
	if (p->web)
		board_tell(p->board, p->web, p->error);
}

void publisher_lend(struct publisher *p, struct board *board)
{
	struct board *none = NULL;

	p->lent = board_ref(board);
	atomic_compare_exchange_strong(&p->seen, &none, board);
}

/* ---- life ---- */

struct publisher *publisher_new(struct loop *web)
{
	struct publisher *p = mem_alloc(sizeof *p);

	p->web = web;
	p->own = p->board = board_new();
	return p;
}

void publisher_open(struct publisher *p, struct vm *vm,
		    struct registry *registry)
{
	p->vm = vm;
	p->registry = registry;
}

struct board *publisher_board(const struct publisher *p)
{
	struct board *seen = atomic_load(&p->seen);

	return seen ? seen : p->own;
}

void publisher_free(struct publisher *p)
{
	if (!p)
		return;
	board_unref(p->own);
	board_unref(p->taken);
	board_unref(p->lent);
	free(p);
}
