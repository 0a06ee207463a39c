/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_write: writers and spools, on core/remote_write.h and net/spool.h. A
 * request goes from the writer into the spool without being a Lua string; it
 * becomes one when it is sent.
 */
#include "run/l_remote_write.h"

#include <stdint.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "core/remote_write.h"
#include "net/spool.h"
#include "run/l_page.h"

#define WRITER "remote_write.writer"
#define SPOOL "remote_write.spool"

static struct spool *check_spool(lua_State *L, int arg)
{
	struct spool **spool = luaL_checkudata(L, arg, SPOOL);

	luaL_argcheck(L, *spool, arg, "the spool is closed");
	return *spool;
}

/* ---- writers ---- */

/* A text of the table of labels at INDEX, borrowed from it. */
static const char *label_text(lua_State *L, int index, const char *what)
{
	size_t len;
	const char *text;

	if (lua_type(L, index) != LUA_TSTRING)
		luaL_error(L, "labels: a %s is a string, got a %s", what,
			   luaL_typename(L, index));
	text = lua_tolstring(L, index, &len);
	if (strlen(text) != len)
		luaL_error(L, "labels: a %s has a zero byte", what);
	return text;
}

/* The pairs of the table at argument ARG, borrowed from it. */
static unsigned check_labels(lua_State *L, int arg,
			     struct label_pair labels[LABELS_MAX])
{
	unsigned n = 0;

	luaL_checktype(L, arg, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
		if (n == LABELS_MAX)
			luaL_error(L, "more than %d labels", LABELS_MAX);
		labels[n].name = label_text(L, -2, "name");
		labels[n++].value = label_text(L, -1, "value");
	}
	return n;
}

/* remote.writer(labels [, { native_histograms =, exemplars = }]) -> writer */
static int l_writer(lua_State *L)
{
	static const char *const known[] = { "exemplars", "native_histograms",
					     NULL };
	struct label_pair labels[LABELS_MAX];
	struct remote_write_options options = { .labels = labels };
	struct remote_write **writer;
	struct err err;

	lua_settop(L, 2);
	options.nlabels = check_labels(L, 1, labels);
	check_options(L, 2, known);
	options.native_histograms =
		opt_boolean(L, 2, "native_histograms", false);
	options.exemplars = opt_boolean(L, 2, "exemplars", false);
	writer = push_object(L, sizeof *writer, WRITER, 0);
	*writer = remote_write_new(&options, &err);
	if (!*writer)
		return luaL_error(L, "%s", err.text);
	return 1;
}

struct spooling {
	struct spool *spool;
	size_t samples;
	bool failed;
	struct err err; /* of the first that failed */
};

static void on_request(void *arg, struct str body, size_t samples,
		       enum remote_content content)
{
	struct spooling *spooling = arg;
	struct err *err = spooling->failed ? NULL : &spooling->err;
	struct spool_tag tag = { .samples = (uint32_t)samples,
				 .kind = (uint8_t)content };

	if (spool_put(spooling->spool, body, tag, err))
		spooling->samples += samples;
	else
		spooling->failed = true;
}

/* writer:write(page | nil, milliseconds, spool) -> samples | nil, message.
 * What is too large for the spool is counted there as dropped. */
static int l_write(lua_State *L)
{
	struct remote_write **writer = luaL_checkudata(L, 1, WRITER);
	struct page *page = lua_isnil(L, 2) ? NULL : check_page(L, 2);
	lua_Integer time = luaL_checkinteger(L, 3);
	struct spooling spooling = { .spool = check_spool(L, 4) };

	if (!remote_write_page(*writer, page, time, on_request, &spooling,
			       &spooling.err) ||
	    spooling.failed)
		return push_failure(L, &spooling.err);
	lua_pushinteger(L, (lua_Integer)spooling.samples);
	return 1;
}

static int l_writer_gc(lua_State *L)
{
	struct remote_write **writer = luaL_checkudata(L, 1, WRITER);

	remote_write_free(*writer);
	*writer = NULL;
	return 0;
}

/* ---- spools ---- */

/* remote.spool { folder = path | nil, bytes = n } -> spool | nil, message */
static int l_spool(lua_State *L)
{
	static const char *const known[] = { "bytes", "folder", NULL };
	struct spool_options options = { 0 };
	struct spool **spool;
	struct str folder;
	struct err err;

	check_options(L, 1, known);
	folder = opt_str(L, 1, "folder");
	if (folder.data && strlen(folder.data) != folder.len)
		return luaL_error(L, "option 'folder': it has a zero byte");
	options.folder = folder.data;
	options.bytes_max =
		(size_t)opt_integer(L, 1, "bytes", 0, 0, INT64_C(1) << 50);
	spool = push_object(L, sizeof *spool, SPOOL, 0);
	*spool = spool_open(&options, &err);
	return *spool ? 1 : push_failure(L, &err);
}

/* spool:peek() -> body, samples, content | nil: a word of remote_content; what
 * else a newer lunex may have written is nil */
static int l_peek(lua_State *L)
{
	static const char *const contents[REMOTE_CONTENTS] = {
		[REMOTE_SAMPLES] = "samples",
		[REMOTE_HISTOGRAMS] = "native histograms",
		[REMOTE_EXEMPLARS] = "exemplars",
	};
	struct spool *spool = check_spool(L, 1);
	struct spool_tag tag;
	struct str body;

	if (!spool_peek(spool, &body, &tag)) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushlstring(L, body.data, body.len);
	lua_pushinteger(L, tag.samples);
	lua_pushstring(L,
		       tag.kind < REMOTE_CONTENTS ? contents[tag.kind] : NULL);
	return 3;
}

/* spool:take() */
static int l_take(lua_State *L)
{
	spool_take(check_spool(L, 1));
	return 0;
}

/* spool:trouble() -> message | nil: why it is in memory, having a folder */
static int l_trouble(lua_State *L)
{
	lua_pushstring(L, spool_trouble(check_spool(L, 1)));
	return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t count)
{
	lua_pushinteger(L, (lua_Integer)count);
	lua_setfield(L, -2, name);
}

/* spool:counts() -> { records =, bytes =, samples =, in_memory =,
 * dropped_samples =, damaged = } */
static int l_counts(lua_State *L)
{
	struct spool_counts counts = spool_counts(check_spool(L, 1));

	lua_createtable(L, 0, 6);
	set_count(L, "records", counts.records);
	set_count(L, "bytes", counts.bytes);
	set_count(L, "samples", counts.samples);
	set_count(L, "in_memory", counts.in_memory);
	set_count(L, "dropped_samples", counts.dropped_samples);
	set_count(L, "damaged", counts.damaged);
	return 1;
}

/* spool:close(), also __gc and __close */
static int l_close(lua_State *L)
{
	struct spool **spool = luaL_checkudata(L, 1, SPOOL);

	spool_close(*spool);
	*spool = NULL;
	return 0;
}

static const luaL_Reg writer_methods[] = {
	{ "write", l_write },
	{ NULL, NULL },
};

static const luaL_Reg writer_metas[] = {
	{ "__gc", l_writer_gc },
	{ NULL, NULL },
};

static const luaL_Reg spool_methods[] = {
	{ "close", l_close }, { "counts", l_counts },	{ "peek", l_peek },
	{ "take", l_take },   { "trouble", l_trouble }, { NULL, NULL },
};

static const luaL_Reg spool_metas[] = {
	{ "__close", l_close },
	{ "__gc", l_close },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "spool", l_spool },
	{ "writer", l_writer },
	{ NULL, NULL },
};

int luaopen_remote_write(lua_State *L)
{
	bind_class(L, WRITER, writer_methods, writer_metas);
	bind_class(L, SPOOL, spool_methods, spool_metas);
	luaL_newlib(L, functions);
	return 1;
}
