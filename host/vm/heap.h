/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a state: what Lua asks for, up to a ceiling, and who is told
 * when it was refused. Part of struct vm; for vm/state.c. One thread: the
 * state's.
 */
#ifndef VM_HEAP_H
#define VM_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "vm/place.h"
#include "vm/pool.h"

struct vm;

/* A request for memory: the same again is Lua asking once more. */
struct heap_request {
	void *p;
	size_t old, size;
};

/* Private, but where it says otherwise. */
struct heap {
	struct vm *vm;
	struct pool pool;
	size_t ceiling;	    /* everybody's to set: bytes */
	unsigned closing;   /* the same: depth of what may use the reserve */
	bool granted;	    /* the same: the next request is not refused */
	atomic_size_t used; /* bytes; any thread may read it */
	size_t requests;    /* counted only when fail_at is set */
	size_t fail_at;	    /* 0: never */
	bool pressed;	    /* the last request was refused: */
	struct heap_request refused;
	char refused_at[PLACE_MAX]; /* for the sentence about it; may be read */
};

/* FAIL_AT: see vm_options. HEAP, which is zeroed, must not move; it wants a
 * ceiling before anything is asked for. */
void heap_init(struct heap *heap, struct vm *vm, size_t fail_at);

/* When Lua has given everything back. */
void heap_release(struct heap *heap);

/* A lua_Alloc; ARG is the heap. It counts (vm_limit_met) what it refuses, when
 * Lua asked once more in vain. */
void *heap_allocate(void *arg, void *p, size_t old, size_t size);

/* The last request, if it was refused, was so for good: nobody asked again. It
 * is counted. */
void heap_settle(struct heap *heap);

#endif
