/* SPDX-License-Identifier: Apache-2.0 */
#include "run/plan.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/modules.h"
#include "core/escape.h"
#include "core/mem.h"
#include "net/loop.h"
#include "run/command_host.h"
#include "run/config.h"
#include "run/limits.h"
#include "vm/state.h"

/* ---- releasing ---- */

static void free_list(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

void plan_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->nexporters; i++)
		entry_unref(plan->exporters[i]);
	free(plan->exporters);
	free(plan->command);
	free(plan->configuration);
	free_list(plan->listen);
	free(plan->telemetry_path);
	free(plan->log_level);
	free_list(plan->files);
	free(plan->text);
	free(plan->good);
	free_list(plan->secrets);
	free_list(plan->errors);
	seen_list_release(&plan->seen);
}

/* ---- from Lua: the table is on top of the stack, and what is taken from it is
 * in the struct before anything can raise ---- */

static char *take_string(lua_State *L, const char *key)
{
	char *s;

	lua_getfield(L, -1, key);
	s = mem_string(lua_tostring(L, -1));
	lua_pop(L, 1);
	return s;
}

static void take_list(lua_State *L, const char *key, char ***list)
{
	size_t n;

	if (lua_getfield(L, -1, key) == LUA_TTABLE) {
		n = (size_t)lua_rawlen(L, -1);
		*list = mem_array(n + 1, sizeof **list);
		for (size_t i = 0; i < n; i++) {
			lua_rawgeti(L, -1, (lua_Integer)i + 1);
			(*list)[i] = mem_string(lua_tostring(L, -1));
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

static double take_number(lua_State *L, const char *key, double fallback)
{
	double number = fallback;

	if (lua_getfield(L, -1, key) == LUA_TNUMBER)
		number = lua_tonumber(L, -1);
	lua_pop(L, 1);
	return number;
}

static bool take_boolean(lua_State *L, const char *key)
{
	bool value;

	lua_getfield(L, -1, key);
	value = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return value;
}

/* A word that was checked in Lua. */
static enum plan_watch take_watch(lua_State *L)
{
	enum plan_watch watch = PLAN_WATCH_AUTO;

	if (lua_getfield(L, -1, "watch") == LUA_TSTRING) {
		const char *word = lua_tostring(L, -1);

		if (strcmp(word, "poll") == 0)
			watch = PLAN_WATCH_POLL;
		else if (strcmp(word, "off") == 0)
			watch = PLAN_WATCH_OFF;
	}
	lua_pop(L, 1);
	return watch;
}

/* Both words were checked in Lua. */
static struct form take_form(lua_State *L, const struct plan *plan)
{
	struct form form = form_plain;
	size_t len;

	if (lua_getfield(L, -1, "format") == LUA_TSTRING)
		format_parse(lua_tostring(L, -1), &form.format);
	if (lua_getfield(L, -2, "escaping") == LUA_TSTRING) {
		const char *word = lua_tolstring(L, -1, &len);

		escaping_parse((struct str){ word, len }, &form.escaping);
	}
	lua_pop(L, 2);
	form.created =
		form.format == FORMAT_OPENMETRICS && !plan->without_created;
	return form;
}

static size_t count_keys(lua_State *L)
{
	size_t n = 0;

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		n++;
	return n;
}

/* A table of strings: checked in Lua. */
static void take_labels(lua_State *L, struct entry *entry)
{
	if (lua_getfield(L, -1, "labels") == LUA_TTABLE) {
		entry->labels = mem_array(count_keys(L), sizeof *entry->labels);
		for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
			struct label_pair *label =
				&entry->labels[entry->nlabels++];

			label->name = mem_string(lua_tostring(L, -2));
			label->value = mem_string(lua_tostring(L, -1));
		}
	}
	lua_pop(L, 1);
}

static void take_profiles(lua_State *L, struct entry *entry)
{
	if (lua_getfield(L, -1, "profiles") == LUA_TTABLE) {
		entry->profiles =
			mem_array(count_keys(L), sizeof *entry->profiles);
		for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
			struct exporter_profile *profile =
				&entry->profiles[entry->nprofiles++];

			profile->name = mem_string(lua_tostring(L, -2));
			profile->config = config_from_lua(L, -1);
		}
	}
	lua_pop(L, 1);
}

/* Checked in Lua, too. */
static void take_limits(lua_State *L, struct entry *entry)
{
	if (lua_getfield(L, -1, "limits") == LUA_TTABLE)
		for (const char *const *key = limits_keys; *key; key++) {
			lua_getfield(L, -1, *key);
			if (!lua_isnil(L, -1) &&
			    !limits_read(L, -1, *key, &entry->limits))
				luaL_error(L, "limits.%s: expected %s", *key,
					   limits_expected(*key));
			lua_pop(L, 1);
		}
	lua_pop(L, 1);
}

/* A list of targets. */
static void take_push(lua_State *L, struct entry *entry)
{
	size_t n;

	if (lua_getfield(L, -1, "push") == LUA_TTABLE) {
		n = (size_t)lua_rawlen(L, -1);
		entry->push = mem_array(n, sizeof *entry->push);
		while (entry->npush < n) {
			lua_rawgeti(L, -1, (lua_Integer)entry->npush + 1);
			entry->push[entry->npush] = config_from_lua(L, -1);
			entry->npush++;
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

static void take_entry(lua_State *L, struct entry *entry)
{
	entry->script = take_string(L, "script");
	entry->name = take_string(L, "name");
	entry->where = take_string(L, "where");
	entry->lua_path = take_string(L, "lua_path");
	entry->lua_cpath = take_string(L, "lua_cpath");
	entry->mistake = take_string(L, "mistake");
	lua_getfield(L, -1, "sandbox");
	entry->sandbox = lua_toboolean(L, -1);
	lua_pop(L, 1);
	take_list(L, "allow", &entry->allow);
	entry->interval = take_number(L, "interval", -1);
	entry->timeout = take_number(L, "timeout", -1);
	take_limits(L, entry);
	take_labels(L, entry);
	take_profiles(L, entry);
	take_push(L, entry);
	if (lua_getfield(L, -1, "config") == LUA_TTABLE)
		entry->config = config_from_lua(L, -1);
	lua_pop(L, 1);
}

/* The list of exporters; a plan for one script is itself its entry. */
static void take_exporters(lua_State *L, struct plan *plan)
{
	size_t n = 1;

	if (lua_getfield(L, -1, "exporters") == LUA_TTABLE)
		n = (size_t)lua_rawlen(L, -1);
	plan->exporters = mem_array(n, sizeof *plan->exporters);
	if (lua_istable(L, -1)) {
		while (plan->nexporters < n) {
			size_t i = plan->nexporters++;

			lua_rawgeti(L, -1, (lua_Integer)i + 1);
			plan->exporters[i] = entry_new();
			take_entry(L, plan->exporters[i]);
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
		return;
	}
	lua_pop(L, 1);
	if (lua_getfield(L, -1, "script") == LUA_TSTRING) {
		plan->exporters[0] = entry_new();
		plan->nexporters = 1;
		lua_pop(L, 1);
		take_entry(L, plan->exporters[0]);
		return;
	}
	lua_pop(L, 1);
}

/* For one collection: without their intervals they collect when asked. */
static void forget_intervals(struct plan *plan)
{
	for (size_t i = 0; i < plan->nexporters; i++)
		plan->exporters[i]->interval = 0;
}

static void take_plan(lua_State *L, struct plan *plan)
{
	plan->command = take_string(L, "command");
	plan->configuration = take_string(L, "configuration");
	plan->open = take_boolean(L, "open");
	take_list(L, "listen", &plan->listen);
	plan->telemetry_path = take_string(L, "telemetry_path");
	plan->log_level = take_string(L, "log_level");
	plan->lifecycle = take_boolean(L, "lifecycle");
	plan->without_created = take_boolean(L, "without_created");
	plan->watch = take_watch(L);
	plan->form = take_form(L, plan);
	take_list(L, "files", &plan->files);
	plan->text = take_string(L, "text");
	plan->good = take_string(L, "good");
	take_list(L, "secrets", &plan->secrets);
	take_list(L, "errors", &plan->errors);
	plan->status = (int)take_number(L, "status", 0);
	take_exporters(L, plan);
	if (plan->command && strcmp(plan->command, "once") == 0)
		forget_intervals(plan);
}

/* A refusal, nil, message, status, is a plan too: to print the message. */
static void take_refusal(lua_State *L, struct plan *plan)
{
	plan->command = mem_string("print");
	plan->errors = mem_array(2, sizeof *plan->errors);
	plan->errors[0] = mem_string(lua_tostring(L, -2));
	plan->status = (int)lua_tointeger(L, -1);
}

/* ---- asking ---- */

struct asking {
	int argc;
	char *const *argv;
	struct plan *plan;
};

static void ask(lua_State *L, void *arg)
{
	struct asking *asking = arg;

	lua_getglobal(L, "require");
	lua_pushliteral(L, "cli");
	lua_call(L, 1, 1);
	lua_getfield(L, -1, "main");
	lua_pushstring(L, asking->argc > 0 ? asking->argv[0] : "lunex");
	lua_newtable(L);
	for (int i = 1; i < asking->argc; i++) {
		lua_pushstring(L, asking->argv[i]);
		lua_rawseti(L, -2, i);
	}
	push_command_host(L);
	lua_call(L, 3, 3); /* plan|nil message status */
	if (lua_isnil(L, -3)) {
		take_refusal(L, asking->plan);
	} else {
		lua_pop(L, 2);
		take_plan(L, asking->plan);
	}
}

/* The state is gone when this returns, and its memory with it. */
static bool make(struct asking *asking, struct loop *loop,
		 const struct plan_teller *teller, struct err *err)
{
	/* A script's limits are made for it, not for the command line. */
	struct vm_options options = {
		.loop = loop,
		.open = modules_open,
		.owner = (void *)teller,
		.seen = &asking->plan->seen,
		.limits.memory = vm_limits_default.memory,
		.limits.cpu = vm_limits_default.cpu,
	};
	struct vm *vm = vm_new(&options, err);
	bool done = vm && vm_call(vm, ask, asking, err);

	vm_free(vm);
	return done;
}

bool plan_make(struct plan *plan, int argc, char *const *argv,
	       const struct plan_teller *teller, struct err *err)
{
	struct asking asking = { argc, argv, plan };
	struct loop *loop = loop_try(err);
	bool done;

	memset(plan, 0, sizeof *plan);
	done = loop && make(&asking, loop, teller, err);
	loop_free(loop);
	return done;
}

bool plan_refused(const struct plan *plan)
{
	return strcmp(plan->command, "print") == 0 && plan->errors &&
	       plan->errors[0];
}
