/* SPDX-License-Identifier: Apache-2.0 */
#include "run/board.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct board *board_new(void)
{
	struct board *board = mem_alloc(sizeof *board);

	atomic_init(&board->refs, 1);
	return board;
}

struct board *board_ref(struct board *board)
{
	atomic_fetch_add_explicit(&board->refs, 1, memory_order_relaxed);
	return board;
}

void board_unref(struct board *board)
{
	if (!board || atomic_fetch_sub_explicit(&board->refs, 1,
						memory_order_acq_rel) > 1)
		return;
	page_slot_set(&board->slot, NULL);
	free(board->error);
	free(board);
}

/* ---- numbers ---- */

static void add(_Atomic uint64_t *count, const _Atomic uint64_t *more)
{
	atomic_fetch_add_explicit(
		count, atomic_load_explicit(more, memory_order_relaxed),
		memory_order_relaxed);
}

void board_go_on(struct board *board, const struct board *former)
{
	struct exporter_status *to = &board->status;
	const struct exporter_status *from = &former->status;

	add(&to->collections_ok, &from->collections_ok);
	add(&to->collections_failed, &from->collections_failed);
	add(&to->starts_failed, &from->starts_failed);
	add(&to->log_dropped, &from->log_dropped);
	for (int i = 0; i < VM_LIMITS; i++)
		add(&to->exceeded[i], &from->exceeded[i]);
	atomic_store_explicit(
		&to->cpu_seconds,
		atomic_load_explicit(&to->cpu_seconds, memory_order_relaxed) +
			atomic_load_explicit(&from->cpu_seconds,
					     memory_order_relaxed),
		memory_order_relaxed);
}

/* ---- the error ---- */

/* A text on its way to the web thread. */
struct telling {
	struct message message;
	struct board *board;
	char *error;
};

static void deliver(struct message *message)
{
	struct telling *telling = (void *)message;

	free(telling->board->error);
	telling->board->error = telling->error;
	board_unref(telling->board);
	free(telling);
}

void board_tell(struct board *board, struct loop *web, const char *error)
{
	struct telling *telling = mem_alloc(sizeof *telling);

	telling->message.deliver = deliver;
	telling->board = board_ref(board);
	telling->error = mem_string(error);
	loop_post(web, &telling->message);
}

const char *board_error(const struct board *board)
{
	return board->error ? board->error : "";
}
