/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages: what the push thread's Lua (lua/pusher.lua) has of the host: its
 * streams, the pages of their exporters, and a place to say what became of
 * them. Stands on run/pusher.h, run/push_stream.h and run/ticket.h: an exporter
 * that is stuck answers after its asker gave up, so at most one question to it
 * is open for each stream.
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
#include "run/push_stream.h"
#include "run/pusher.h"
#include "run/ticket.h"
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

/* A stream is known by its number. */
static struct push_stream *check_stream(lua_State *L)
{
	struct push_stream *stream =
		pusher_find(vm_owner(vm_of(L)), luaL_checkinteger(L, 1));

	luaL_argcheck(L, stream, 1, "there is no such stream");
	return stream;
}

/* pages.stream(i) -> { exporter =, target =, interval =, options = } */
static int l_stream(lua_State *L)
{
	const struct push_stream *stream = check_stream(L);

	lua_createtable(L, 0, 4);
	lua_pushstring(L, push_stream_exporter_name(stream));
	lua_setfield(L, -2, "exporter");
	lua_pushstring(L, push_stream_target(stream));
	lua_setfield(L, -2, "target");
	lua_pushnumber(L, push_stream_interval(stream));
	lua_setfield(L, -2, "interval");
	push_config(L, push_stream_config(stream));
	lua_setfield(L, -2, "options");
	return 1;
}

/* ---- asking ---- */

/* The exporter may be gone when the task goes on; its board is not. */
struct asking {
	struct op op; /* first */
	struct timer patience;
	struct ticket *ticket; /* NULL: answered */
	struct board *board;   /* a reference */
	bool on_scrape;
	double until; /* patience */
	bool open;
};

/* Gives up; the answer will find nobody. */
static void let_go(struct asking *asking)
{
	if (asking->ticket)
		ticket_give_up(asking->ticket);
	asking->ticket = NULL;
	if (asking->open)
		timer_release(&asking->patience);
	asking->open = false;
	board_unref(asking->board);
	asking->board = NULL;
}

static void on_cancel(struct op *op)
{
	let_go((struct asking *)(void *)op);
}

static void on_answered(void *arg)
{
	struct asking *asking = arg;

	asking->ticket = NULL;
	task_wake(&asking->op);
}

static void on_patience_over(struct timer *timer)
{
	struct asking *asking =
		(void *)((char *)timer - offsetof(struct asking, patience));

	task_wake(&asking->op);
}

static int fail(lua_State *L, const char *message)
{
	lua_pushnil(L);
	lua_pushstring(L, message);
	return 2;
}

/* The page as it stands, unless that would be a lie: one that is collected when
 * asked has only the values of an earlier time. */
static int finish(lua_State *L, struct board *board, bool lies)
{
	struct page **page;

	if (lies)
		return fail(L, "the exporter does not answer in time");
	page = push_page(L);
	*page = page_slot_get(&board->slot);
	return *page ? 1 : fail(L, "the exporter has no page yet");
}

static int k_ask(lua_State *L, int status, lua_KContext ctx)
{
	struct asking *asking = lua_touserdata(L, 3);
	int results;

	(void)status;
	(void)ctx;
	results = finish(L, asking->board, asking->ticket && asking->on_scrape);
	let_go(asking);
	return results;
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

static void wait_at_most(lua_State *L, struct asking *asking, double seconds)
{
	asking->until = loop_now(vm_loop(vm_of(L))) + seconds;
	timer_start(&asking->patience, seconds);
}

static void begin_asking(lua_State *L, struct asking *asking,
			 struct push_stream *stream, double seconds)
{
	const struct ticket_options ticket = {
		.place = push_stream_ticket(stream),
		.roster = pusher_roster(vm_owner(vm_of(L))),
		.exporter = push_stream_exporter(stream),
		.asker = vm_loop(vm_of(L)),
		.seconds = default_seconds,
		.answered = on_answered,
		.arg = asking,
	};

	asking->op.cancel = on_cancel;
	asking->board = board_ref(exporter_board(ticket.exporter));
	asking->on_scrape = exporter_on_scrape(ticket.exporter);
	timer_init(vm_loop(vm_of(L)), &asking->patience, on_patience_over);
	asking->open = true;
	wait_at_most(L, asking, patience_with(ticket.exporter, seconds));
	asking->ticket = ticket_new(&ticket);
}

/* pages.ask(i, seconds) -> page | nil, message: the page of the exporter of
 * stream I, brought up to date as for a scrape; waits so long at most, which
 * does not cut a collection short */
static int l_ask(lua_State *L)
{
	struct push_stream *stream = check_stream(L);
	double seconds = check_seconds(L, 2);
	struct exporter *exporter = push_stream_exporter(stream);
	struct ticket **place = push_stream_ticket(stream);

	task_check(L);
	lua_settop(L, 2);
	if (!exporter)
		return fail(L, "the exporter is not pushed any more");
	/* A former version may never answer. */
	if (*place && !ticket_is_for(*place, exporter))
		ticket_leave(*place);
	if (*place || !exporter_wants_asking(exporter))
		return finish(L, exporter_board(exporter),
			      *place && exporter_on_scrape(exporter));
	begin_asking(L, push_object(L, sizeof(struct asking), ASKING, 0),
		     stream, seconds);
	return task_await(L, lua_touserdata(L, 3), 0, k_ask);
}

/* pages.hurry(i, seconds): who asks about stream I waits no longer than so */
static int l_hurry(lua_State *L)
{
	struct push_stream *stream = check_stream(L);
	double seconds = check_seconds(L, 2);
	struct ticket *ticket = *push_stream_ticket(stream);
	struct asking *asking = ticket ? ticket_asker(ticket) : NULL;

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

static void render(struct rendering *rendering, struct page *page,
		   enum format format)
{
	struct form form = form_plain;

	form.format = format;
	rendering->exposition = exposition_new(&page, 1, form, NULL);
	for (size_t i = 0; i < exposition_blocks(rendering->exposition); i++) {
		struct bytes *bytes = exposition_text(rendering->exposition, i);

		buf_add(&rendering->text, bytes->data, bytes->len);
		bytes_unref(bytes);
	}
}

/* page:text([format]) -> its text in the format 0.0.4, or "protobuf": those
 * bytes */
static int l_text(lua_State *L)
{
	static const char *const names[] = { "text", "protobuf", NULL };
	static const enum format formats[] = { FORMAT_TEXT, FORMAT_PROTOBUF };
	struct page *page = check_page(L, 1);
	enum format format = formats[luaL_checkoption(L, 2, "text", names)];
	struct rendering *rendering;

	lua_settop(L, 1);
	rendering = push_object(L, sizeof *rendering, RENDERING, 0);
	buf_init(&rendering->text, TEXT_MAX);
	lua_toclose(L, 2);
	render(rendering, page, format);
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
	struct push_stream *stream = check_stream(L);

	push_stream_tell(stream, luaL_checkstring(L, 2));
	return 0;
}

/* pages.count(i, family, by [, extra]) */
static int l_count(lua_State *L)
{
	struct push_stream *stream = check_stream(L);

	luaL_argcheck(L,
		      push_stream_count(stream, luaL_checkstring(L, 2),
					luaL_optstring(L, 4, NULL),
					luaL_checknumber(L, 3)),
		      2, "there is no such family");
	return 0;
}

/* pages.state(i, family, value [, extra]) */
static int l_state(lua_State *L)
{
	struct push_stream *stream = check_stream(L);

	luaL_argcheck(L,
		      push_stream_state(stream, luaL_checkstring(L, 2),
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
	{ "stream", l_stream },
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
