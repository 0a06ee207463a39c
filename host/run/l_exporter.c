/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exporter.load() starts an exporter as the program does, but collected only
 * when asked: e:collect() is one collection, e:page() the text that it shows.
 * It may be served, too, by a web thread as in the program. Stands on
 * run/exporter.h. Messages from the exporter's thread come through the loop of
 * the spec; each is an allocation of its own that survives a spec that was
 * cancelled meanwhile.
 */
#include "run/l_exporter.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"
#include "bind/metric_form.h"
#include "core/buf.h"
#include "core/exposition.h"
#include "core/mem.h"
#include "run/config.h"
#include "run/exporter.h"
#include "run/routes.h"
#include "run/web.h"
#include "vm/state.h"
#include "vm/task.h"

#define CLASS "lunex.exporter"

/* What the exporter's thread writes: read only when a message has come. */
struct link {
	struct ticket *loading;
	bool failed; /* the last collection */
	struct err err;
};

struct object {
	struct op op; /* first: loading or a question is under way */
	struct link *link;
	struct exporter *exporter;
	struct config *config;
	struct ticket *ticket; /* what will wake op */
	char *temporary;       /* a file to be removed, or NULL */
	char *lua_path;	       /* the exporter's thread reads it */
	struct exporter_profile *profiles;
	size_t nprofiles;
	bool serve;
	struct web *web; /* NULL: it is not served */
	bool failed;
	struct err err;
};

/* Finds the object when something is over; `object` is cleared by a cancel. */
struct ticket {
	struct exporter_question question;
	struct message loaded;
	struct object *object;
	struct loop *loop;
	bool failed;
	struct err err;
};

static struct object *check_exporter(lua_State *L)
{
	struct object *object = luaL_checkudata(L, 1, CLASS);

	luaL_argcheck(L, object->exporter, 1, "the exporter is closed");
	return object;
}

static void on_cancel(struct op *op)
{
	struct object *object = (void *)op;

	if (object->ticket)
		object->ticket->object = NULL;
	object->ticket = NULL;
}

static void arrive(struct ticket *ticket)
{
	struct object *object = ticket->object;

	if (object) {
		object->ticket = NULL;
		object->failed = ticket->failed;
		object->err = ticket->err;
		task_wake(&object->op);
	}
	free(ticket);
}

static struct ticket *new_ticket(lua_State *L, struct object *object)
{
	struct ticket *ticket = mem_alloc(sizeof *ticket);

	ticket->object = object;
	ticket->loop = vm_loop(vm_of(L));
	object->ticket = ticket;
	object->op = (struct op){ .cancel = on_cancel };
	return ticket;
}

/* ---- loading ---- */

static void remove_temporary(struct object *object)
{
	if (object->temporary)
		unlink(object->temporary);
	free(object->temporary);
	object->temporary = NULL;
}

static void deliver_loaded(struct message *message)
{
	arrive((void *)((char *)message - offsetof(struct ticket, loaded)));
}

/* In the exporter's thread. */
static void on_loaded(void *arg, const struct err *err)
{
	struct link *link = arg;
	struct ticket *ticket = link->loading;

	ticket->failed = err != NULL;
	if (err)
		ticket->err = *err;
	ticket->loaded.deliver = deliver_loaded;
	loop_post(ticket->loop, &ticket->loaded);
}

/* In the exporter's thread. */
static void on_collected(void *arg, const struct err *err)
{
	struct link *link = arg;

	link->failed = err != NULL;
	if (err)
		link->err = *err;
}

/* Serves it as the program does. */
static bool open_web(struct object *object)
{
	static const char *const addresses[] = { "127.0.0.1:0", NULL };
	struct web_options options = { .addresses = addresses,
				       .telemetry_path = "/metrics" };

	if (!routes_check(&object->exporter, 1, options.telemetry_path,
			  &object->err))
		return false;
	options.roster = roster_of(&object->exporter, 1);
	object->web = web_new(&options, &object->err);
	roster_unref(options.roster);
	if (object->web)
		web_start(object->web);
	return object->web != NULL;
}

/* The order is web.h's: the server, the exporter, what its answers go to. */
static void close_all(struct object *object)
{
	struct exporter *exporter = object->exporter;

	object->exporter = NULL;
	if (object->web)
		web_stop(object->web);
	if (exporter) {
		exporter_stop(exporter);
		if (!exporter_free(exporter, 10)) {
			fprintf(stderr, "an exporter does not stop\n");
			abort();
		}
	}
	web_free(object->web);
	object->web = NULL;
}

static int k_load(lua_State *L, int status, lua_KContext ctx)
{
	struct object *object = luaL_checkudata(L, -1, CLASS);

	(void)status;
	(void)ctx;
	remove_temporary(object);
	if (!object->failed && (!object->serve || open_web(object)))
		return 1;
	close_all(object);
	return push_failure(L, &object->err);
}

/* A script that is given as text becomes a file for as long as it takes to
 * start. */
static const char *path_of(lua_State *L, int arg, struct object *object)
{
	const char *text = luaL_checkstring(L, arg);
	char path[] = "/tmp/lunex-spec-XXXXXX";
	FILE *file;
	int fd;

	if (!strchr(text, '\n'))
		return text;
	fd = mkstemp(path);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file)
		luaL_error(L, "cannot make a temporary file");
	fputs(text, file);
	fclose(file);
	object->temporary = mem_string(path);
	return object->temporary;
}

/* Where modules beside the script are found, as the command line has it. The
 * caller's. */
static char *lua_path_of(const char *path)
{
	char *full = realpath(path, NULL);
	char *slash = full ? strrchr(full, '/') : NULL;
	struct buf text;

	buf_init(&text, 1 << 16);
	if (slash) {
		*slash = '\0';
		buf_addf(&text, "%s/?.lua;%s/?/init.lua", full, full);
	}
	buf_addstr(&text, ";;");
	free(full);
	return buf_take(&text, NULL);
}

/* The pair on top of the stack is a name and its values. */
static void take_profile(lua_State *L, struct object *object)
{
	struct exporter_profile *profile;

	object->profiles = mem_realloc(
		object->profiles, (object->nprofiles + 1) * sizeof *profile);
	profile = &object->profiles[object->nprofiles++];
	profile->config = NULL;
	profile->name = NULL;
	profile->name = mem_string(luaL_checkstring(L, -2));
	profile->config = config_from_lua(L, -1);
}

/* The option `profiles`: configurations by name. */
static void take_profiles(lua_State *L, struct object *object)
{
	if (!lua_istable(L, 3))
		return;
	lua_getfield(L, 3, "profiles");
	luaL_argcheck(L, lua_istable(L, -1) || lua_isnil(L, -1), 3,
		      "option 'profiles': expected a table");
	if (lua_istable(L, -1)) {
		lua_pushnil(L);
		while (lua_next(L, -2)) {
			take_profile(L, object);
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

static void free_profiles(struct object *object)
{
	for (size_t i = 0; i < object->nprofiles; i++) {
		free((char *)(uintptr_t)object->profiles[i].name);
		config_free(
			(struct config *)(uintptr_t)object->profiles[i].config);
	}
	free(object->profiles);
	object->profiles = NULL;
	object->nprofiles = 0;
}

/* exporter.load(path or text [, config [, options]]) -> exporter | nil, message
 */
static int l_load(lua_State *L)
{
	static const char *const known[] = { "interval", "profiles", "serve",
					     "timeout", NULL };
	struct exporter_options options = { .loaded = on_loaded,
					    .collected = on_collected };
	struct object *object;

	task_check(L);
	check_options(L, 3, known);
	options.interval = opt_seconds(L, 3, "interval", 0);
	options.timeout = opt_seconds(L, 3, "timeout", -1);
	lua_settop(L, 3);
	object = push_object(L, sizeof *object, CLASS, 0);
	object->serve = opt_boolean(L, 3, "serve", false);
	options.path = path_of(L, 1, object);
	object->lua_path = lua_path_of(options.path);
	options.lua_path = object->lua_path;
	if (!lua_isnil(L, 2))
		object->config = config_from_lua(L, 2);
	options.config = object->config;
	take_profiles(L, object);
	options.profiles = object->profiles;
	options.nprofiles = object->nprofiles;
	object->link = mem_alloc(sizeof *object->link);
	object->link->loading = new_ticket(L, object);
	options.arg = object->link;
	object->exporter = exporter_new(&options);
	return task_await(L, &object->op, 0, k_load);
}

/* ---- collecting ---- */

static void on_answered(struct exporter_question *question)
{
	arrive((void *)question);
}

static int k_collect(lua_State *L, int status, lua_KContext ctx)
{
	struct object *object = check_exporter(L);

	(void)status;
	(void)ctx;
	lua_pushboolean(L, !object->link->failed);
	if (!object->link->failed)
		return 1;
	lua_pushstring(L, object->link->err.text);
	return 2;
}

/* e:collect([seconds]) -> true | false, the first failure */
static int l_collect(lua_State *L)
{
	struct object *object = check_exporter(L);
	double seconds = lua_isnoneornil(L, 2) ? 60 : check_seconds(L, 2);
	struct ticket *ticket;

	task_check(L);
	luaL_argcheck(L, !object->ticket, 1, "it is collecting already");
	ticket = new_ticket(L, object);
	ticket->question.exporter = object->exporter;
	ticket->question.asker = ticket->loop;
	ticket->question.seconds = seconds;
	ticket->question.answered = on_answered;
	exporter_ask(&ticket->question);
	return task_await(L, &object->op, 0, k_collect);
}

/* e:page([format [, escaping]]) -> text */
static int l_page(lua_State *L)
{
	struct object *object = check_exporter(L);
	struct form form = opt_metric_form(L, 2);
	struct page *page = exporter_page(object->exporter);
	struct exposition *exposition =
		exposition_new(&page, page ? 1 : 0, form, NULL);
	struct buf text;

	buf_init(&text, 1 << 26);
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		struct bytes *bytes = exposition_text(exposition, i);

		buf_add(&text, bytes->data, bytes->len);
		bytes_unref(bytes);
	}
	exposition_unref(exposition);
	page_unref(page);
	lua_pushlstring(L, buf_text(&text), text.len);
	buf_release(&text);
	return 1;
}

/* e:url() -> "http://127.0.0.1:PORT" */
static int l_url(lua_State *L)
{
	struct object *object = check_exporter(L);

	if (!object->web)
		return luaL_error(L, "it is not served: exporter.load(..., "
				     "config, { serve = true })");
	lua_pushfstring(L, "http://%s", web_address(object->web, 0));
	return 1;
}

static int l_close(lua_State *L)
{
	struct object *object = luaL_checkudata(L, 1, CLASS);

	close_all(object);
	config_free(object->config);
	object->config = NULL;
	free_profiles(object);
	free(object->link);
	free(object->lua_path);
	object->link = NULL;
	object->lua_path = NULL;
	remove_temporary(object);
	return 0;
}

static const luaL_Reg methods[] = {
	{ "collect", l_collect }, { "page", l_page }, { "url", l_url },
	{ "close", l_close },	  { NULL, NULL },
};

static const luaL_Reg metas[] = {
	{ "__gc", l_close },
	{ "__close", l_close },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "load", l_load },
	{ NULL, NULL },
};

int luaopen_exporter(lua_State *L)
{
	bind_class(L, CLASS, methods, metas);
	luaL_newlib(L, functions);
	return 1;
}
