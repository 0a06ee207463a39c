/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages: what the push thread's Lua (lua/pusher.lua) has of the host: its
 * streams, the pages of their exporters, and a place to say what became of
 * them. Stands on run/pusher.h and run/exporter.h. A question is an allocation
 * of its own, because an exporter that is stuck answers after its asker gave
 * up: at most one such is open for each stream.
 */
#include "run/l_pages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "core/buf.h"
#include "core/exposition.h"
#include "core/mem.h"
#include "run/exporter.h"
#include "run/l_page.h"
#include "run/pusher.h"
#include "vm/state.h"
#include "vm/task.h"

#define ASKING "pages.asking"
#define RENDERING "pages.rendering"

/* As a scrape has it (run/scrape.c): how long one that is scheduled is waited
 * for, and one that is collected, behind its own timeout. */
static const double scheduled_wait = 0.05, stuck_after = 1;

/* A collection has its own timeout, which is mostly less. */
static const double default_seconds = 120;

enum { TEXT_MAX = 256 << 20, HOST_NAME = 256 };

/* Stream number I of Lua, from 1. */
static size_t check_stream(lua_State *L, struct pusher **pusher)
{
	lua_Integer i = luaL_checkinteger(L, 1);

	*pusher = vm_owner(vm_of(L));
	luaL_argcheck(L, i >= 1 && (size_t)i <= pusher_streams(*pusher), 1,
		      "there is no such stream");
	return (size_t)i - 1;
}

/* ---- the streams ---- */

/* What its exporter has, or 0. */
static double interval_of(const struct exporter *exporter)
{
	return exporter_declaration(exporter)->nparts
		       ? exporter_interval(exporter)
		       : 0;
}

/* pages.streams() -> { { exporter =, target =, interval =, options = }, ... }
 */
static int l_streams(lua_State *L)
{
	const struct pusher *pusher = vm_owner(vm_of(L));
	size_t n = pusher_streams(pusher);

	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		const struct pusher_stream *stream = pusher_stream(pusher, i);

		lua_createtable(L, 0, 4);
		lua_pushstring(L, exporter_name(stream->exporter));
		lua_setfield(L, -2, "exporter");
		lua_pushstring(L, pusher_target(pusher, i));
		lua_setfield(L, -2, "target");
		lua_pushnumber(L, interval_of(stream->exporter));
		lua_setfield(L, -2, "interval");
		push_config(L, stream->target);
		lua_setfield(L, -2, "options");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* ---- asking ---- */

struct ticket {
	struct exporter_question question;
	struct asking *asking; /* NULL: gave up */
	struct ticket **place; /* of the stream; it points here until then */
};

struct asking {
	struct op op; /* first */
	struct timer patience;
	struct ticket *ticket; /* NULL: answered */
	struct exporter *exporter;
	double until; /* patience */
	bool open;
};

/* Gives up; the answer will find nobody. */
static void let_go(struct asking *asking)
{
	if (asking->ticket)
		asking->ticket->asking = NULL;
	asking->ticket = NULL;
	if (asking->open)
		timer_release(&asking->patience);
	asking->open = false;
}

static void on_cancel(struct op *op)
{
	let_go((struct asking *)(void *)op);
}

static void on_answered(struct exporter_question *question)
{
	struct ticket *ticket = (void *)question;
	struct asking *asking = ticket->asking;

	*ticket->place = NULL;
	if (asking) {
		asking->ticket = NULL;
		task_wake(&asking->op);
	}
	free(ticket);
}

static void on_patience_over(struct timer *timer)
{
	struct asking *asking =
		(void *)((char *)timer - offsetof(struct asking, patience));

	task_wake(&asking->op);
}

/* The page as it stands, unless that would be a lie: one that is collected when
 * asked has only the values of an earlier time. */
static int finish(lua_State *L, struct exporter *exporter, bool answered)
{
	struct page **page;

	if (!answered && exporter_on_scrape(exporter)) {
		lua_pushnil(L);
		lua_pushliteral(L, "the exporter does not answer in time");
		return 2;
	}
	page = push_page(L);
	*page = exporter_page(exporter);
	if (*page)
		return 1;
	lua_pushnil(L);
	lua_pushliteral(L, "the exporter has no page yet");
	return 2;
}

static int k_ask(lua_State *L, int status, lua_KContext ctx)
{
	struct asking *asking = lua_touserdata(L, 3);
	bool answered = !asking->ticket;

	(void)status;
	(void)ctx;
	let_go(asking);
	return finish(L, asking->exporter, answered);
}

static double patience_with(const struct exporter *exporter, double seconds)
{
	double longest = exporter_timeout(exporter) + stuck_after;
	bool ready = atomic_load_explicit(&exporter_status(exporter)->ready,
					  memory_order_relaxed);

	if (!exporter_on_scrape(exporter) && ready)
		return scheduled_wait;
	return longest < seconds ? longest : seconds;
}

static struct ticket *new_ticket(lua_State *L, struct asking *asking,
				 struct ticket **place)
{
	struct ticket *ticket = mem_alloc(sizeof *ticket);

	ticket->asking = asking;
	ticket->place = place;
	ticket->question.exporter = asking->exporter;
	ticket->question.asker = vm_loop(vm_of(L));
	ticket->question.seconds = default_seconds;
	ticket->question.answered = on_answered;
	return ticket;
}

static void wait_at_most(lua_State *L, struct asking *asking, double seconds)
{
	asking->until = loop_now(vm_loop(vm_of(L))) + seconds;
	timer_start(&asking->patience, seconds);
}

/* pages.ask(i, seconds) -> page | nil, message: the page of the exporter of
 * stream I, brought up to date as for a scrape; waits so long at most, which
 * does not cut a collection short */
static int l_ask(lua_State *L)
{
	struct pusher *pusher;
	size_t i = check_stream(L, &pusher);
	double seconds = check_seconds(L, 2);
	struct exporter *exporter = pusher_stream(pusher, i)->exporter;
	struct ticket **place = pusher_ticket(pusher, i);
	struct asking *asking;

	task_check(L);
	lua_settop(L, 2);
	if (*place || !exporter_wants_asking(exporter))
		return finish(L, exporter, !*place);
	asking = push_object(L, sizeof *asking, ASKING, 0);
	asking->op.cancel = on_cancel;
	asking->exporter = exporter;
	timer_init(vm_loop(vm_of(L)), &asking->patience, on_patience_over);
	asking->open = true;
	wait_at_most(L, asking, patience_with(exporter, seconds));
	*place = asking->ticket = new_ticket(L, asking, place);
	exporter_ask(&asking->ticket->question);
	return task_await(L, &asking->op, 0, k_ask);
}

/* pages.hurry(i, seconds): who asks about stream I waits no longer than so */
static int l_hurry(lua_State *L)
{
	struct pusher *pusher;
	size_t i = check_stream(L, &pusher);
	double seconds = check_seconds(L, 2);
	struct ticket *ticket = *pusher_ticket(pusher, i);
	struct asking *asking = ticket ? ticket->asking : NULL;

	if (asking && loop_now(vm_loop(vm_of(L))) + seconds < asking->until)
		wait_at_most(L, asking, seconds);
	return 0;
}

static int l_asking_gc(lua_State *L)
{
	let_go(luaL_checkudata(L, 1, ASKING));
	return 0;
}

/* ---- pages ---- */

/* Owns what is in use while a page becomes text. */
struct rendering {
	struct exposition *exposition;
	struct buf text;
};

static int l_rendering_gc(lua_State *L)
{
	struct rendering *rendering = luaL_checkudata(L, 1, RENDERING);

	exposition_unref(rendering->exposition);
	rendering->exposition = NULL;
	buf_release(&rendering->text);
	return 0;
}

static void render(struct rendering *rendering, struct page *page)
{
	rendering->exposition = exposition_new(&page, 1, NULL);
	for (size_t i = 0; i < exposition_blocks(rendering->exposition); i++) {
		struct bytes *bytes = exposition_text(rendering->exposition, i);

		buf_add(&rendering->text, bytes->data, bytes->len);
		bytes_unref(bytes);
	}
}

/* page:text() -> its text in the format 0.0.4 */
static int l_text(lua_State *L)
{
	struct page *page = check_page(L, 1);
	struct rendering *rendering;

	lua_settop(L, 1);
	rendering = push_object(L, sizeof *rendering, RENDERING, 0);
	buf_init(&rendering->text, TEXT_MAX);
	lua_toclose(L, 2);
	render(rendering, page);
	if (rendering->text.full)
		return luaL_error(L, "the page is larger than %d MiB",
				  TEXT_MAX >> 20);
	lua_pushlstring(L, buf_text(&rendering->text), rendering->text.len);
	return 1;
}

/* ---- saying what happened ---- */

/* pages.tell(i, text): of the latest push; "": it was well */
static int l_tell(lua_State *L)
{
	struct pusher *pusher;
	size_t i = check_stream(L, &pusher);

	pusher_tell(pusher, i, luaL_checkstring(L, 2));
	return 0;
}

/* pages.count(i, family, by [, extra]) */
static int l_count(lua_State *L)
{
	struct pusher *pusher;
	size_t i = check_stream(L, &pusher);

	luaL_argcheck(L,
		      pusher_count(pusher, i, luaL_checkstring(L, 2),
				   luaL_optstring(L, 4, NULL),
				   luaL_checknumber(L, 3)),
		      2, "there is no such family");
	return 0;
}

/* pages.state(i, family, value [, extra]) */
static int l_state(lua_State *L)
{
	struct pusher *pusher;
	size_t i = check_stream(L, &pusher);

	luaL_argcheck(L,
		      pusher_state(pusher, i, luaL_checkstring(L, 2),
				   luaL_optstring(L, 4, NULL),
				   luaL_checknumber(L, 3)),
		      2, "there is no such family");
	return 0;
}

/* pages.host_name() -> text */
static int l_host_name(lua_State *L)
{
	char name[HOST_NAME] = "";

	if (gethostname(name, sizeof name - 1) != 0 || !name[0])
		lua_pushliteral(L, "localhost");
	else
		lua_pushstring(L, name);
	return 1;
}

static const luaL_Reg functions[] = {
	{ "ask", l_ask },
	{ "count", l_count },
	{ "host_name", l_host_name },
	{ "hurry", l_hurry },
	{ "state", l_state },
	{ "streams", l_streams },
	{ "tell", l_tell },
	{ NULL, NULL },
};

static const luaL_Reg none[] = { { NULL, NULL } };

static const luaL_Reg asking_metas[] = {
	{ "__gc", l_asking_gc },
	{ "__close", l_asking_gc },
	{ NULL, NULL },
};

static const luaL_Reg rendering_metas[] = {
	{ "__gc", l_rendering_gc },
	{ "__close", l_rendering_gc },
	{ NULL, NULL },
};

static const luaL_Reg page_methods[] = {
	{ "text", l_text },
	{ NULL, NULL },
};

int luaopen_pages(lua_State *L)
{
	bind_class(L, ASKING, none, asking_metas);
	bind_class(L, RENDERING, none, rendering_metas);
	page_class(L, page_methods);
	luaL_newlib(L, functions);
	return 1;
}
