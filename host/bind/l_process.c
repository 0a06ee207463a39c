/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: commands, on net/spawn.h. A run lies on the stack of the task that
 * waits for it. The words of its command, which net/spawn borrows, are strings
 * in a table that the run keeps; their addresses are in another userdata there.
 * The spawner, of which a state has one, is older than all runs, so that it is
 * finalized after them.
 */
#include "bind/l_process.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "bind/scope.h"
#include "net/spawn.h"
#include "vm/state.h"
#include "vm/task.h"

#define SPAWNER "process.spawner"
#define RUN "process.run"

/* Seconds, unless told otherwise. */
#define TIMEOUT 10

int luaopen_process(lua_State *L);

/* Where things lie on the stack of the function that waits. WORDS has the words
 * of the command, and "NAME=value" of its environment behind them. */
enum { TABLE = 1, OPTIONS, WORDS, RUN_AT };

struct run {
	struct op op;
	struct spawn *spawn; /* NULL: over */
	bool failed;
	struct err err;
	struct spawn_result result;
};

/* ---- the spawner of a state ---- */

struct holder {
	struct spawner *spawner;
};

static const char key;

static int l_holder_gc(lua_State *L)
{
	struct holder *holder = luaL_checkudata(L, 1, SPAWNER);

	spawner_free(holder->spawner);
	holder->spawner = NULL;
	return 0;
}

static struct spawner *push_spawner(lua_State *L)
{
	struct holder *holder;

	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
		lua_pop(L, 1);
		holder = push_object(L, sizeof *holder, SPAWNER, 0);
		holder->spawner = spawner_new(vm_loop(vm_of(L)));
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
	}
	holder = lua_touserdata(L, -1);
	return holder->spawner;
}

void process_release(lua_State *L)
{
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

/* ---- the words of a command ---- */

/* Pops a string or an integer and adds it to WORDS. */
static void add_word(lua_State *L, const char *what, lua_Integer number)
{
	size_t len;
	const char *text;

	if (lua_type(L, -1) != LUA_TSTRING && !lua_isinteger(L, -1))
		luaL_error(L, "%s %I: expected a string, got %s", what,
			   (LUAI_UACINT)number, luaL_typename(L, -1));
	text = lua_tolstring(L, -1, &len);
	if (strlen(text) != len)
		luaL_error(L, "%s %I contains a NUL", what,
			   (LUAI_UACINT)number);
	lua_rawseti(L, WORDS, (lua_Integer)lua_rawlen(L, WORDS) + 1);
}

/* Words of the list at LIST, from FIRST on. One with a gap may end anywhere,
 * and a command must not run without half of its arguments. */
static void add_words(lua_State *L, int list, lua_Integer first)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, list), found = 0;

	for (lua_pushnil(L); lua_next(L, list); lua_pop(L, 1))
		found += lua_isinteger(L, -2);
	if (found != n)
		luaL_error(L, "the list of arguments has a gap");
	for (lua_Integer i = first; i <= n; i++) {
		lua_rawgeti(L, list, i);
		add_word(L, "argument", i - first + 1);
	}
}

/* Mostly a whole command line, as for a shell. The rest of it is not told: it
 * may be a secret. */
static void check_command(lua_State *L, struct str command)
{
	size_t len = strcspn(command.data, " \t\r\n");

	if (command.len == 0)
		luaL_error(L, "the command is empty");
	if (!command.data[len] || memchr(command.data, '/', len))
		return;
	lua_pushlstring(L, command.data, len);
	luaL_error(
		L,
		"the command '%s ...' has spaces, and no shell takes it "
		"apart; pass each argument as a string of its own: { \"%s\", "
		"\"...\" }",
		lua_tostring(L, -1), lua_tostring(L, -1));
}

static void read_words(lua_State *L)
{
	bool named = opt_str(L, OPTIONS, "cmd").data;
	bool listed = lua_rawlen(L, TABLE) > 0;

	if (named == listed)
		luaL_error(L, "expected a command: { \"df\", \"-k\" } or "
			      "{ cmd = \"df\", args = { \"-k\" } }");
	if (listed) {
		lua_rawgeti(L, TABLE, 1);
		luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 1,
			      "the command is not a string");
	} else {
		lua_getfield(L, OPTIONS, "cmd");
	}
	check_command(L, check_str(L, -1));
	add_word(L, "command", 1);
	if (listed)
		add_words(L, TABLE, 2);
	if (lua_getfield(L, OPTIONS, "args") != LUA_TNIL) {
		if (listed || !lua_istable(L, -1))
			luaL_error(L, "option 'args': %s",
				   listed ? "the arguments follow the command"
					  : "expected a list");
		add_words(L, lua_gettop(L), 1);
	}
	lua_pop(L, 1);
}

/* ---- its environment ---- */

static bool is_replaced(lua_State *L, int env, const char *variable)
{
	bool replaced;

	lua_pushlstring(L, variable, strcspn(variable, "="));
	replaced = lua_rawget(L, env) != LUA_TNIL;
	lua_pop(L, 1);
	return replaced;
}

/* A name and a value, or false, on top. */
static void check_variable(lua_State *L)
{
	struct str name = { NULL, 0 }, value = { NULL, 0 };

	if (lua_type(L, -2) == LUA_TSTRING)
		name.data = lua_tolstring(L, -2, &name.len);
	if (name.len == 0 || memchr(name.data, '=', name.len) ||
	    strlen(name.data) != name.len)
		luaL_error(L, "option 'env': expected names and values, "
			      "{ LC_ALL = \"C\" }");
	if (lua_isboolean(L, -1) && !lua_toboolean(L, -1))
		return;
	value.data = lua_tolstring(L, -1, &value.len);
	if (value.data && strlen(value.data) == value.len)
		return;
	luaL_error(L,
		   "option 'env': %s: expected a string without a NUL, or "
		   "false to leave it out",
		   name.data);
}

/* The variables of the table at ENV behind the words. */
static void add_variables(lua_State *L, int env)
{
	lua_Integer n = 0;

	for (lua_pushnil(L); lua_next(L, env); lua_pop(L, 1)) {
		check_variable(L);
		if (lua_isboolean(L, -1))
			continue;
		lua_pushfstring(L, "%s=%s", lua_tostring(L, -2),
				lua_tostring(L, -1));
		add_word(L, "variable", ++n);
	}
}

/* The table of option 'env', an empty one when it is absent; on the stack. */
static void push_env(lua_State *L)
{
	if (lua_getfield(L, OPTIONS, "env") == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
	} else if (!lua_istable(L, -1)) {
		luaL_error(L, "option 'env': expected a table, got %s",
			   luaL_typename(L, -1));
	}
}

static size_t count_inherited(bool inherit)
{
	size_t n = 0;

	while (inherit && environ[n])
		n++;
	return n;
}

/* Addresses of all words, with a NULL behind each of the two lists. Nobody in
 * lunex changes its environment, so that it can be borrowed as it is. */
static void read_lists(lua_State *L, struct spawn_request *request)
{
	bool inherit = opt_boolean(L, OPTIONS, "inherit", true);
	size_t nargs = lua_rawlen(L, WORDS), ninherited, n = 0;
	const char **list;
	int env;

	push_env(L);
	env = lua_gettop(L);
	add_variables(L, env);
	ninherited = count_inherited(inherit);
	list = lua_newuserdatauv(
		L, (lua_rawlen(L, WORDS) + ninherited + 2) * sizeof *list, 0);
	request->command.argv = list;
	for (size_t i = 1; i <= lua_rawlen(L, WORDS); i++) {
		if (i == nargs + 1)
			list[n++] = NULL;
		lua_rawgeti(L, WORDS, (lua_Integer)i);
		list[n++] = lua_tostring(L, -1);
		lua_pop(L, 1);
	}
	if (lua_rawlen(L, WORDS) == nargs)
		list[n++] = NULL;
	request->command.envp = list + nargs + 1;
	for (size_t i = 0; i < ninherited; i++)
		if (!is_replaced(L, env, environ[i]))
			list[n++] = environ[i];
	list[n] = NULL;
	lua_setfield(L, WORDS, "list");
	lua_pop(L, 1);
}

/* ---- runs ---- */

/* Copies the string of an option to where the script cannot reach it. */
static struct str keep_str(lua_State *L, const char *name)
{
	struct str str = opt_str(L, OPTIONS, name);

	lua_getfield(L, OPTIONS, name);
	lua_setfield(L, WORDS, name);
	return str;
}

static void read_request(lua_State *L, struct spawn_request *request)
{
	struct str dir;

	read_words(L);
	read_lists(L, request);
	dir = keep_str(L, "dir");
	if (dir.data && strlen(dir.data) != dir.len)
		luaL_error(L, "option 'dir' contains a NUL");
	request->command.dir = dir.data;
	request->command.input = keep_str(L, "stdin");
	request->max = (size_t)opt_integer(L, OPTIONS, "max", SPAWN_OUTPUT, 0,
					   SPAWN_OUTPUT_MAX);
	request->timeout =
		within_deadline(L, opt_seconds(L, OPTIONS, "timeout", TIMEOUT));
}

static void on_done(void *arg, struct spawn_result *result,
		    const struct err *err)
{
	struct run *run = arg;

	run->spawn = NULL;
	run->failed = err;
	if (err) {
		run->err = *err;
	} else {
		run->result = *result;
		buf_init(&result->out, 0);
		buf_init(&result->err, 0);
	}
	task_wake(&run->op);
}

static void end_run(struct run *run)
{
	if (run->spawn)
		spawn_cancel(run->spawn);
	run->spawn = NULL;
	buf_release(&run->result.out);
	buf_release(&run->result.err);
}

static void on_cancel(struct op *op)
{
	end_run((struct run *)(void *)op);
}

static int l_run_gc(lua_State *L)
{
	end_run(luaL_checkudata(L, 1, RUN));
	return 0;
}

static void push_signal(lua_State *L, int signal)
{
	const char *name = sigabbrev_np(signal);

	if (name)
		lua_pushfstring(L, "SIG%s", name);
	else
		lua_pushfstring(L, "SIG%d", signal);
}

static void push_bytes(lua_State *L, const struct buf *buf)
{
	lua_pushlstring(L, buf_text(buf), buf->len);
}

static int push_result(lua_State *L, struct run *run)
{
	const struct spawn_result *result = &run->result;

	lua_createtable(L, 0, 5);
	if (result->signal) {
		push_signal(L, result->signal);
		lua_setfield(L, -2, "signal");
	} else {
		lua_pushinteger(L, result->status);
		lua_setfield(L, -2, "status");
	}
	lua_pushnumber(L, result->seconds);
	lua_setfield(L, -2, "seconds");
	push_bytes(L, &result->out);
	lua_setfield(L, -2, "stdout");
	push_bytes(L, &result->err);
	lua_setfield(L, -2, "stderr");
	end_run(run);
	return 1;
}

static int push_reason(lua_State *L, const struct err *err)
{
	static const char *const reasons[] = {
		[ERR_USAGE] = "not found", [ERR_DENIED] = "denied",
		[ERR_TIMEOUT] = "timeout", [ERR_LIMIT] = "output",
		[ERR_IO] = "failed",
	};

	push_failure(L, err);
	lua_pushstring(L, reasons[err->code]);
	return 3;
}

static void trace_run(lua_State *L, const struct run *run)
{
	const struct spawn_result *result = &run->result;
	const char *command;

	if (run->failed) {
		trace_line(scope_trace(L), "process %s", run->err.text);
		return;
	}
	lua_rawgeti(L, WORDS, 1);
	command = lua_tostring(L, -1);
	trace_line(scope_trace(L),
		   "process %.*s: %s %d after %.3f s, %zu bytes to stdout, "
		   "%zu to stderr",
		   (int)strcspn(command, " \t\r\n"), command,
		   result->signal ? "signal" : "status",
		   result->signal ? result->signal : result->status,
		   result->seconds, result->out.len, result->err.len);
	lua_pop(L, 1);
}

static int k_run(lua_State *L, int status, lua_KContext ctx)
{
	struct run *run = lua_touserdata(L, RUN_AT);

	(void)status;
	(void)ctx;
	trace_run(L, run);
	return run->failed ? push_reason(L, &run->err) : push_result(L, run);
}

/* The options are what has a name; the words of the command have numbers. */
static void push_options(lua_State *L)
{
	static const char *const known[] = { "args",  "cmd",	 "dir",
					     "env",   "inherit", "max",
					     "stdin", "timeout", NULL };

	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, TABLE); lua_pop(L, 1)) {
		if (lua_isinteger(L, -2))
			continue;
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, OPTIONS);
	}
	check_options(L, OPTIONS, known);
}

/* process.run { command, arguments ..., options ... }
 *   -> result | nil, message, reason */
static int l_run(lua_State *L)
{
	struct spawn_request request = { 0 };
	struct spawner *spawner;
	struct run *run;

	luaL_checktype(L, TABLE, LUA_TTABLE);
	task_check(L);
	lua_settop(L, TABLE);
	push_options(L);
	lua_newtable(L);
	read_request(L, &request);
	spawner = push_spawner(L);
	run = push_object(L, sizeof *run, RUN, 2);
	lua_insert(L, RUN_AT);
	lua_setiuservalue(L, RUN_AT, 2);
	lua_pushvalue(L, WORDS);
	lua_setiuservalue(L, RUN_AT, 1);
	run->op.cancel = on_cancel;
	run->spawn = spawn_start(spawner, &request, on_done, run);
	return task_await(L, &run->op, 0, k_run);
}

static const luaL_Reg module[] = {
	{ "run", l_run },
	{ NULL, NULL },
};

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg spawner_metas[] = {
	{ "__gc", l_holder_gc },
	{ NULL, NULL },
};

static const luaL_Reg run_metas[] = {
	{ "__gc", l_run_gc },
	{ NULL, NULL },
};

int luaopen_process(lua_State *L)
{
	bind_class(L, SPAWNER, no_methods, spawner_metas);
	bind_class(L, RUN, no_methods, run_metas);
	luaL_newlib(L, module);
	return 1;
}
