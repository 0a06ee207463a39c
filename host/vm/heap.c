/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/heap.h"

#include <lua.h>

#include "vm/slice.h"
#include "vm/state.h"

enum {
	RESERVE = 64 << 10, /* bytes above the ceiling */
	ROOM = 32,	    /* a part of the ceiling */
};

void heap_init(struct heap *heap, struct vm *vm, size_t fail_at)
{
	heap->vm = vm;
	heap->fail_at = fail_at;
	pool_init(&heap->pool);
}

void heap_release(struct heap *heap)
{
	pool_release(&heap->pool);
}

/* Lua answers no question about the collector while it runs a finalizer. */
static bool in_finalizer(const struct heap *heap)
{
	lua_State *L = vm_main(heap->vm);

	return L && lua_gc(L, LUA_GCCOUNT) < 0;
}

void heap_settle(struct heap *heap)
{
	if (heap->pressed)
		vm_limit_met(heap->vm, VM_LIMIT_MEMORY);
	heap->pressed = false;
}

static bool is_again(const struct heap *heap,
		     const struct heap_request *request)
{
	return heap->pressed && heap->refused.p == request->p &&
	       heap->refused.old == request->old &&
	       heap->refused.size == request->size;
}

/* Does a spec want this request to be refused? */
static bool is_to_fail(struct heap *heap, bool again)
{
	bool once = heap->fail_at & VM_FAIL_ONCE;

	if (!heap->fail_at)
		return false;
	if (once && again)
		return true;
	heap->requests++;
	return once ? (heap->requests | VM_FAIL_ONCE) == heap->fail_at
		    : heap->requests >= heap->fail_at;
}

/* Lua tells no place with a memory error, so it is noted here. */
static bool refuse(struct heap *heap, const struct heap_request *request,
		   bool again)
{
	if (again)
		vm_limit_met(heap->vm, VM_LIMIT_MEMORY);
	heap->pressed = !again;
	heap->refused = *request;
	place_find(slice_running(vm_slice(heap->vm)), heap->refused_at);
	return true;
}

/*
 * A finalizer whose call has no memory is skipped by Lua for ever, and with it
 * the resource, so finalizers and closing tasks may use a reserve.
 *
 * A refusal makes Lua collect everything and ask once more. That second request
 * must find some room, or a script at its limit would go on for a long time,
 * collecting the whole heap for every few bytes.
 */
static bool refused(struct heap *heap, size_t used,
		    const struct heap_request *request)
{
	size_t ceiling = heap->ceiling, more = request->size - request->old;
	bool again = is_again(heap, request);
	bool fail = is_to_fail(heap, again);

	if (heap->pressed)
		ceiling -= ceiling / ROOM;
	if (!again)
		heap_settle(heap);
	heap->pressed = false;
	if (!fail && more <= ceiling && used <= ceiling - more)
		return false;
	if (!in_finalizer(heap) && (fail || heap->closing == 0))
		return refuse(heap, request, again);
	ceiling = heap->ceiling + RESERVE;
	if (more <= ceiling && used <= ceiling - more)
		return false;
	return refuse(heap, request, true);
}

/* May the heap grow? */
static bool may_grow(struct heap *heap, size_t used,
		     const struct heap_request *request)
{
	bool granted = heap->granted;

	heap->granted = false;
	return granted || !refused(heap, used, request);
}

/* Frees and shrinks never fail, as Lua requires. */
void *heap_allocate(void *arg, void *p, size_t old, size_t size)
{
	struct heap *heap = arg;
	size_t used = atomic_load_explicit(&heap->used, memory_order_relaxed);
	struct heap_request request = { p, p ? old : 0, size };
	void *result;

	old = request.old; /* without P it was the type of the new object */
	if (size > old && !may_grow(heap, used, &request))
		return NULL;
	result = pool_resize(&heap->pool, p, old, size);
	if (!result && size)
		return NULL;
	atomic_store_explicit(&heap->used, used - old + size,
			      memory_order_relaxed);
	return result;
}
