/* SPDX-License-Identifier: Apache-2.0 */
#include "run/command.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/modules.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/loop.h"
#include "run/command_host.h"
#include "run/config.h"
#include "run/specs.h"
#include "run/supervisor.h"
#include "vm/state.h"

enum { SUCCESS = 0, FAILURE = 1, USAGE = 2 };

/* What cli.main returned, copied out of its state. */
struct plan {
	char *command;
	char *script;
	struct config *config;
	char **listen; /* NULL: none given */
	char *telemetry_path;
	char *log_level;
	char *lua_path, *lua_cpath;
	double interval, timeout; /* < 0: none given */
	char **files;
	char *text;
	char **errors;
	int status;
};

static void free_list(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

static void release_plan(struct plan *plan)
{
	free(plan->command);
	free(plan->script);
	config_free(plan->config);
	free_list(plan->listen);
	free(plan->telemetry_path);
	free(plan->log_level);
	free(plan->lua_path);
	free(plan->lua_cpath);
	free_list(plan->files);
	free(plan->text);
	free_list(plan->errors);
}

/* ---- from Lua: the plan is on top of the stack, and what is taken from it is
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

static void take_plan(lua_State *L, struct plan *plan)
{
	plan->command = take_string(L, "command");
	plan->script = take_string(L, "script");
	take_list(L, "listen", &plan->listen);
	plan->telemetry_path = take_string(L, "telemetry_path");
	plan->log_level = take_string(L, "log_level");
	plan->lua_path = take_string(L, "lua_path");
	plan->lua_cpath = take_string(L, "lua_cpath");
	plan->interval = take_number(L, "interval", -1);
	plan->timeout = take_number(L, "timeout", -1);
	take_list(L, "files", &plan->files);
	plan->text = take_string(L, "text");
	take_list(L, "errors", &plan->errors);
	plan->status = (int)take_number(L, "status", SUCCESS);
	if (lua_getfield(L, -1, "config") == LUA_TTABLE)
		plan->config = config_from_lua(L, -1);
	lua_pop(L, 1);
}

/* A refusal, nil, message, status, is a plan too: to print the message. */
static void take_refusal(lua_State *L, struct plan *plan)
{
	plan->command = mem_string("print");
	plan->errors = mem_array(2, sizeof *plan->errors);
	plan->errors[0] = mem_string(lua_tostring(L, -2));
	plan->status = (int)lua_tointeger(L, -1);
}

struct asking {
	int argc;
	char **argv;
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
static bool make_plan(struct asking *asking, struct err *err)
{
	struct vm_options options = { .loop = loop_new(),
				      .open = modules_open };
	struct vm *vm = vm_new(&options, err);
	bool done = vm && vm_call(vm, ask, asking, err);

	vm_free(vm);
	loop_free(options.loop);
	malloc_trim(0);
	return done;
}

/* ---- carrying it out ---- */

/* One line, whatever is in TEXT. The list of places where Lua looked for a
 * module is left out. */
static void print_error(const char *text)
{
	const char *places = strstr(text, " not found:\n");
	size_t len = places ? (size_t)(places - text) + strlen(" not found")
			    : strlen(text);
	char *line = mem_copy(text, len);

	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	fprintf(stderr, "lunex: %s\n", line);
	free(line);
}

static int print(const struct plan *plan)
{
	for (char **error = plan->errors; error && *error; error++)
		print_error(*error);
	if (plan->text)
		fputs(plan->text, stdout);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		print_error("cannot write to standard output");
		return FAILURE;
	}
	return plan->status;
}

static int test(const struct plan *plan)
{
	const struct vm_options options = { .slice = 30 };

	return specs_run(&options, (const char *const *)plan->files) ? SUCCESS
								     : FAILURE;
}

static int run_script(const struct plan *plan)
{
	const struct supervisor_options options = {
		.script = plan->script,
		.config = plan->config,
		.listen = (const char *const *)plan->listen,
		.telemetry_path = plan->telemetry_path,
		.interval = plan->interval,
		.timeout = plan->timeout,
		.lua_path = plan->lua_path,
		.lua_cpath = plan->lua_cpath,
	};
	bool once = strcmp(plan->command, "once") == 0;
	struct err err;

	if (once ? supervisor_once(&options, &err)
		 : supervisor_run(&options, &err))
		return SUCCESS;
	print_error(err.text);
	return FAILURE;
}

/* A peer that goes away is an error of a write, not the end of the program. */
static void ignore_pipe_signal(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &ignore, NULL);
}

/* The supervisor reads these from a descriptor. Blocked while there is one
 * thread, so that none of the later ones gets them. */
static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int carry_out(const struct plan *plan)
{
	enum log_level level;

	if (plan->log_level && log_level_parse(plan->log_level, &level))
		log_set_level(level);
	if (strcmp(plan->command, "print") == 0)
		return print(plan);
	if (strcmp(plan->command, "test") == 0)
		return test(plan);
	if (strcmp(plan->command, "run") == 0)
		block_signals(); /* "once" just ends */
	return run_script(plan);
}

/*
 * A page is rendered into memory that is given back when it was sent and wanted
 * again at the next scrape. By default glibc returns it to the system each
 * time, and the page faults cost as much as rendering: it may keep some.
 */
static void keep_some_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 2 << 20);
}

int command_run(int argc, char **argv)
{
	struct plan plan = { .status = SUCCESS };
	struct asking asking = { argc, argv, &plan };
	struct err err;
	int status = FAILURE;

	ignore_pipe_signal();
	keep_some_memory();
	if (make_plan(&asking, &err))
		status = carry_out(&plan);
	else
		print_error(err.text);
	release_plan(&plan);
	return status;
}
