/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task: waiting and structured concurrency, on vm/task.h and the loop's timers.
 *
 * One join per call of each, all or timeout owns the children of that call: its
 * userdata lies in a to-be-closed slot of the parent's frame, so whichever way
 * the frame ends (an error included), no child is left. A child that ends while
 * the parent waits only moves into the list of finished ones; the parent's
 * continuation, which may raise, collects it.
 *
 * Lua does not promise to call __close or __gc when memory or its stack have
 * run out, so the join itself is not in the userdata: it is freed by the last
 * of its owner and its live children. Its bytes are taken from Lua's allocator
 * and count against the state's limit.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "net/loop.h"
#include "vm/state.h"
#include "vm/task.h"

#define NAP "task.sleep"
#define JOIN "task.join"

int luaopen_task(lua_State *L);

/* ---- sleep -------------------------------------------------------------- */

struct nap {
	struct op op;
	struct timer timer;
	bool open;
};

static struct nap *nap_of_op(struct op *op)
{
	return (struct nap *)(void *)((char *)op - offsetof(struct nap, op));
}

static void on_nap_cancel(struct op *op)
{
	struct nap *nap = nap_of_op(op);

	nap->open = false;
	timer_release(&nap->timer);
}

static void on_nap_over(struct timer *timer)
{
	struct nap *nap = (struct nap *)(void *)((char *)timer -
						 offsetof(struct nap, timer));

	task_wake(&nap->op);
}

static int k_sleep(lua_State *L, int status, lua_KContext ctx)
{
	struct nap *nap = lua_touserdata(L, 2);

	(void)status;
	(void)ctx;
	nap->open = false;
	timer_release(&nap->timer);
	return 0;
}

/* task.sleep(seconds) */
static int l_sleep(lua_State *L)
{
	double seconds = check_seconds(L, 1);
	struct nap *nap;

	task_check(L);
	lua_settop(L, 1);
	nap = push_object(L, sizeof *nap, NAP, 0);
	nap->op.cancel = on_nap_cancel;
	timer_init(vm_loop(vm_of(L)), &nap->timer, on_nap_over);
	nap->open = true;
	if (seconds > 0)
		timer_start(&nap->timer, seconds);
	else
		task_wake(&nap->op); /* once round the loop */
	return task_await(L, &nap->op, 0, k_sleep);
}

static int l_nap_gc(lua_State *L)
{
	struct nap *nap = luaL_checkudata(L, 1, NAP);

	if (nap->open)
		timer_release(&nap->timer);
	nap->open = false;
	return 0;
}

/* ---- the children of one call ------------------------------------------- */

enum state { FREE, LIVE, FINISHED };

struct child {
	struct join *join;
	struct task *task; /* while LIVE */
	lua_State *co;	   /* anchored by the parent's frame */
	struct child *next;
	lua_Integer index; /* of the item, from 1 */
	int results;	   /* on top of co */
	bool failed;
	enum state state;
};

struct join {
	struct op op;
	struct vm *vm;
	size_t size;
	bool owned;	  /* the userdata points here */
	lua_Integer next; /* the item to begin with next */
	lua_Integer total;
	unsigned live;
	unsigned room;		     /* children at a time */
	unsigned busy;		     /* no child before it is free */
	struct child *first, **last; /* finished, in that order */
	struct err err;		     /* of the child that failed first */
	struct child children[];
};

static void release(struct join *join)
{
	void *arg;
	lua_Alloc allocate;

	if (join->owned || join->live > 0)
		return;
	allocate = lua_getallocf(vm_main(join->vm), &arg);
	allocate(arg, join, join->size, 0);
}

static void on_child_done(struct task *task, lua_State *co, int results,
			  const struct err *err, void *arg)
{
	struct child *child = arg;
	struct join *join = child->join;

	(void)task;
	(void)co;
	child->state = FINISHED;
	child->results = results;
	child->failed = err;
	child->next = NULL;
	if (err && join->err.code == ERR_NONE)
		join->err = *err;
	*join->last = child;
	join->last = &child->next;
	join->live--;
	task_wake(&join->op);
	release(join);
}

static struct child *take_finished(struct join *join)
{
	struct child *child = join->first;

	if (!child)
		return NULL;
	join->first = child->next;
	if (!join->first)
		join->last = &join->first;
	child->state = FREE;
	if (child < join->children + join->busy)
		join->busy = (unsigned)(child - join->children);
	return child;
}

static struct child *find_free(struct join *join)
{
	struct child *child = join->children + join->busy;

	while (child->state != FREE)
		child++;
	join->busy = (unsigned)(child - join->children);
	return child;
}

/* Also __gc. */
static int l_join_close(lua_State *L)
{
	struct join **owner = luaL_checkudata(L, 1, JOIN);
	struct join *join = *owner;

	*owner = NULL;
	if (!join)
		return 0;
	for (unsigned i = 0; i < join->room; i++)
		if (join->children[i].state == LIVE)
			task_cancel(join->children[i].task, "cancelled");
	join->owned = false;
	release(join);
	return 0;
}

static struct join *new_join(lua_State *L, lua_Integer total, unsigned room)
{
	size_t size = sizeof(struct join) + room * sizeof(struct child);
	void *arg;
	lua_Alloc allocate = lua_getallocf(L, &arg);
	struct join *join = allocate(arg, NULL, 0, size);

	if (!join)
		return NULL;
	memset(join, 0, size);
	join->vm = vm_of(L);
	join->size = size;
	join->owned = true;
	join->next = 1;
	join->total = total;
	join->room = room;
	join->last = &join->first;
	for (unsigned i = 0; i < room; i++)
		join->children[i].join = join;
	return join;
}

/* The caller marks its slot as to be closed before there is a child. */
static struct join *push_join(lua_State *L, lua_Integer total, unsigned room)
{
	struct join **owner = push_object(L, sizeof *owner, JOIN, 0);

	*owner = new_join(L, total, room);
	if (*owner)
		return *owner;
	lua_gc(L, LUA_GCCOLLECT);
	*owner = new_join(L, total, room);
	if (!*owner) { /* Lua's own error for what is not there */
		lua_newuserdatauv(
			L, sizeof(struct join) + room * sizeof(struct child),
			0);
		luaL_error(L, "not enough memory");
	}
	return *owner;
}

static struct join *to_join(lua_State *L, int index)
{
	struct join **owner = lua_touserdata(L, index);

	return *owner;
}

/*
 * Starts the function and the NARGS arguments on top of L, which it pops, as a
 * child whose coroutine the table at ANCHORS keeps.
 */
static void start_child(lua_State *L, struct join *join, int nargs,
			double deadline, int anchors)
{
	struct child *child = find_free(join);

	child->task =
		task_start_child(L, nargs, deadline, on_child_done, child);
	child->state = LIVE;
	child->co = task_thread(child->task);
	child->index = join->next++;
	join->live++;
	/* A coroutine that has not begun has room for one value more. */
	lua_pushthread(child->co);
	lua_xmove(child->co, L, 1);
	lua_rawseti(L, anchors, (lua_Integer)(child - join->children) + 1);
}

/* Raises what the child raised, unchanged. */
static int raise_child(lua_State *L, struct join *join, struct child *child)
{
	if (child->results > 0)
		lua_xmove(child->co, L, 1);
	else
		lua_pushstring(L, join->err.text);
	return lua_error(L);
}

/* ---- each and all ------------------------------------------------------- */

/* The frame of both. `each` has a list and a function, `all` a list of
 * functions and nil. */
enum { LIST = 1, FN, JOINED, RESULTS, ANCHORS };

static void store_first_result(lua_State *L, struct child *child)
{
	if (child->results > 0) {
		lua_pop(child->co, child->results - 1);
		lua_xmove(child->co, L, 1);
		lua_rawseti(L, RESULTS, child->index);
	}
	lua_pushboolean(L, 0); /* the key stays, so nothing is allocated */
	lua_rawseti(L, ANCHORS,
		    (lua_Integer)(child - child->join->children) + 1);
}

static void start_next(lua_State *L, struct join *join)
{
	bool each = !lua_isnil(L, FN);

	if (each)
		lua_pushvalue(L, FN);
	lua_geti(L, LIST, join->next);
	if (each)
		lua_pushinteger(L, join->next);
	start_child(L, join, each ? 2 : 0, 0, ANCHORS);
}

static int push_results(lua_State *L, struct join *join)
{
	int n;

	lua_settop(L, ANCHORS);
	if (!lua_isnil(L, FN)) {
		lua_pushvalue(L, RESULTS);
		return 1;
	}
	n = (int)join->total;
	luaL_checkstack(L, n, "too many functions");
	for (int i = 1; i <= n; i++)
		lua_rawgeti(L, RESULTS, i);
	return n;
}

static int k_join(lua_State *L, int status, lua_KContext ctx)
{
	struct join *join = to_join(L, JOINED);
	struct child *child;

	(void)status;
	(void)ctx;
	lua_settop(L, ANCHORS);
	while ((child = take_finished(join)) != NULL) {
		if (child->failed)
			return raise_child(L, join, child);
		store_first_result(L, child);
	}
	while (join->live < join->room && join->next <= join->total)
		start_next(L, join);
	if (join->live == 0)
		return push_results(L, join);
	join->op.woken = false;
	return task_await(L, &join->op, 0, k_join);
}

/* L: list fn */
static int join_all(lua_State *L, lua_Integer total, lua_Integer limit)
{
	lua_Integer room = total < limit ? total : limit;

	luaL_argcheck(L, room < INT32_MAX / (lua_Integer)sizeof(struct child),
		      1, "the list is too long");
	task_check(L);
	push_join(L, total, (unsigned)room);
	lua_toclose(L, JOINED);
	lua_createtable(L, (int)total, 0);
	lua_createtable(L, (int)room, 0);
	return k_join(L, LUA_OK, 0);
}

static lua_Integer check_limit(lua_State *L, int arg)
{
	static const char *const known[] = { "limit", NULL };
	lua_Integer limit;

	if (lua_isnoneornil(L, arg))
		return LUA_MAXINTEGER;
	if (lua_istable(L, arg)) {
		check_options(L, arg, known);
		return opt_integer(L, arg, "limit", LUA_MAXINTEGER, 1,
				   LUA_MAXINTEGER);
	}
	limit = luaL_checkinteger(L, arg);
	luaL_argcheck(L, limit > 0, arg, "expected a limit of at least 1");
	return limit;
}

/* task.each(list, fn [, limit]) -> results */
static int l_each(lua_State *L)
{
	lua_Integer limit, total;

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	limit = check_limit(L, 3);
	total = luaL_len(L, 1);
	luaL_argcheck(L, total <= INT32_MAX, 1, "the list is too long");
	lua_settop(L, 2);
	return join_all(L, total, limit);
}

/* task.all(fn...) -> result... */
static int l_all(lua_State *L)
{
	int n = lua_gettop(L);

	for (int i = 1; i <= n; i++)
		luaL_checktype(L, i, LUA_TFUNCTION);
	lua_createtable(L, n, 0);
	lua_insert(L, 1);
	for (int i = n; i > 0; i--)
		lua_rawseti(L, 1, i);
	lua_pushnil(L);
	return join_all(L, n, n);
}

/* ---- timeout ------------------------------------------------------------ */

/* The frame: seconds join anchors. */
enum { SECONDS = 1, TIMED, TIMED_ANCHORS };

static int k_timeout(lua_State *L, int status, lua_KContext ctx)
{
	struct join *join = to_join(L, TIMED);
	struct child *child;
	char text[64];
	int n;

	(void)status;
	(void)ctx;
	lua_settop(L, TIMED_ANCHORS);
	child = take_finished(join);
	if (!child)
		return task_await(L, &join->op, 0, k_timeout);
	if (!child->failed) {
		n = child->results;
		luaL_checkstack(L, n, "too many results");
		lua_xmove(child->co, L, n);
		return n;
	}
	if (join->err.code != ERR_TIMEOUT)
		return raise_child(L, join, child);
	snprintf(text, sizeof text, "timed out after %.4g s",
		 lua_tonumber(L, SECONDS));
	lua_pushnil(L);
	lua_pushstring(L, text);
	return 2;
}

/* task.timeout(seconds, fn, ...) -> result... | nil, message */
static int l_timeout(lua_State *L)
{
	double seconds = check_seconds(L, 1);
	double deadline = loop_now(vm_loop(vm_of(L))) + seconds;
	struct join *join;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	task_check(L);
	join = push_join(L, 1, 1);
	lua_insert(L, TIMED);
	lua_createtable(L, 1, 0);
	lua_insert(L, TIMED_ANCHORS); /* seconds join anchors fn args... */
	lua_toclose(L, TIMED);
	start_child(L, join, lua_gettop(L) - TIMED_ANCHORS - 1, deadline,
		    TIMED_ANCHORS);
	return k_timeout(L, LUA_OK, 0);
}

/* task.deadline() -> seconds | nil: how long the running task still has */
static int l_deadline(lua_State *L)
{
	struct task *task = task_current(L);
	double deadline = task ? task_deadline(task) : 0;
	double left;

	if (deadline <= 0)
		return 0;
	left = deadline - loop_now(vm_loop(vm_of(L)));
	lua_pushnumber(L, left > 0 ? left : 0);
	return 1;
}

static const luaL_Reg functions[] = {
	{ "all", l_all },     { "deadline", l_deadline }, { "each", l_each },
	{ "sleep", l_sleep }, { "timeout", l_timeout },	  { NULL, NULL },
};

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg nap_metas[] = {
	{ "__gc", l_nap_gc },
	{ "__close", l_nap_gc },
	{ NULL, NULL },
};

static const luaL_Reg join_metas[] = {
	{ "__gc", l_join_close },
	{ "__close", l_join_close },
	{ NULL, NULL },
};

int luaopen_task(lua_State *L)
{
	bind_class(L, NAP, no_methods, nap_metas);
	bind_class(L, JOIN, no_methods, join_metas);
	luaL_newlib(L, functions);
	return 1;
}
