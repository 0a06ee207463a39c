/* SPDX-License-Identifier: Apache-2.0 */
#include "run/declaration.h"

#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/l_metric.h"
#include "bind/metric_declare.h"
#include "bind/metric_registry.h"
#include "core/duration.h"
#include "core/escape.h"
#include "core/mem.h"
#include "net/seen.h"
#include "run/declared_config.h"
#include "run/declared_routes.h"
#include "run/limits.h"
#include "run/mistake.h"
#include "run/source.h"

/* What a declaration may hold. Types is a set of 1 << LUA_T... */
static const struct key {
	const char *name;
	unsigned types;
	const char *expected;
} keys[] = {
	{ "name", 1 << LUA_TSTRING, "a string" },
	{ "listen", 1 << LUA_TSTRING, "a string such as \":8000\"" },
	{ "landing", 1 << LUA_TSTRING, "a string" },
	{ "interval", 1 << LUA_TNUMBER | 1 << LUA_TSTRING,
	  "seconds, or a string such as \"15s\"" },
	{ "timeout", 1 << LUA_TNUMBER | 1 << LUA_TSTRING,
	  "seconds, or a string such as \"15s\"" },
	{ "config", 1 << LUA_TTABLE, "a table" },
	{ "metrics", 1 << LUA_TTABLE | 1 << LUA_TFUNCTION,
	  "a table, or a function of the configuration that returns one" },
	{ "collect", 1 << LUA_TFUNCTION | 1 << LUA_TTABLE,
	  "a function, or a table of named functions" },
	{ "start", 1 << LUA_TFUNCTION, "a function" },
	{ "probe", 1 << LUA_TFUNCTION, "a function" },
	{ "routes", 1 << LUA_TTABLE,
	  "a table such as { [\"GET /path\"] = function }" },
	{ "labels", 1 << LUA_TTABLE, "a table of strings" },
	{ "sandbox", 1 << LUA_TBOOLEAN, "true or false" },
	{ "allow", 1 << LUA_TTABLE,
	  "a list of strings such as \"api.example.com:443\"" },
	{ "limits", 1 << LUA_TTABLE, "a table" },
	{ "aliases", 1 << LUA_TTABLE, "a list of strings" },
	{ "flags", 1 << LUA_TTABLE, "a table of strings" },
};

enum { NKEYS = sizeof keys / sizeof *keys };

static const char *const flag_keys[] = { "listen",    "telemetry_path",
					 "interval",  "timeout",
					 "log_level", NULL };

/* ---- reading fields ---- */

static void check_keys(lua_State *L, const struct declaration *d, int table)
{
	const char *known[NKEYS + 1] = { NULL };

	for (int i = 0; i < NKEYS; i++)
		known[i] = keys[i].name;
	lua_pushnil(L);
	while (lua_next(L, table)) {
		const char *key = check_declared_key(L, d, NULL, known);

		for (int i = 0; i < NKEYS; i++)
			if (strcmp(keys[i].name, key) == 0 &&
			    !(keys[i].types & 1u << lua_type(L, -1)))
				mistake_type(L, d, NULL, key, keys[i].expected);
		lua_pop(L, 1);
	}
}

static char *take_string(lua_State *L, const struct declaration *d, int table,
			 const char *key)
{
	char *s;

	lua_getfield(L, table, key);
	s = copy_text(L, d, NULL, key);
	lua_pop(L, 1);
	return s;
}

static double check_duration(lua_State *L, const struct declaration *d,
			     int table, const char *key)
{
	double seconds = 0;
	const char *s;
	size_t len;

	if (lua_getfield(L, table, key) == LUA_TNUMBER) {
		seconds = lua_tonumber(L, -1);
	} else if ((s = lua_tolstring(L, -1, &len)) != NULL &&
		   !duration_parse(s, len, &seconds)) {
		seconds = -1;
	}
	if (!isfinite(seconds) || seconds < 0 ||
	    (!lua_isnil(L, -1) && seconds <= 0))
		luaL_error(L,
			   "%s'%s': expected seconds above 0, or a string "
			   "such as \"15s\"",
			   push_place(L, d, NULL, key), key);
	lua_pop(L, 1);
	return seconds;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the parts, sorted; a single function is the part "collect". */
static void read_parts(lua_State *L, struct declaration *d, int table)
{
	int type = lua_getfield(L, table, "collect");

	if (type == LUA_TFUNCTION) {
		d->parts = mem_array(1, sizeof *d->parts);
		d->parts[d->nparts++] = mem_string("collect");
	} else if (type == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, -2)) {
			const char *key =
				check_declared_key(L, d, "collect", NULL);

			if (!lua_isfunction(L, -1))
				mistake_type(L, d, "collect", key,
					     "a function");
			if (d->nparts == REGISTRY_PARTS_MAX)
				luaL_error(L, "%smore than %d parts",
					   push_place(L, d, NULL, "collect"),
					   REGISTRY_PARTS_MAX);
			d->parts = mem_realloc(
				d->parts, (d->nparts + 1) * sizeof *d->parts);
			d->parts[d->nparts++] = mem_string(key);
			lua_pop(L, 1);
		}
		if (d->nparts == 0)
			luaL_error(L, "%s'collect': the table has no parts",
				   push_place(L, d, NULL, "collect"));
		qsort(d->parts, d->nparts, sizeof *d->parts, by_name);
	}
	lua_pop(L, 1);
}

/* KEY = value at the top of the stack is a constant label. */
static void read_label(lua_State *L, struct declaration *d, const char *key)
{
	char *value;

	if (!label_name_valid(key))
		luaL_error(L,
			   "%s'labels.%s' is not the name of a label "
			   "(UTF-8, not empty, and not beginning with __)",
			   push_place(L, d, "labels", key), key);
	if (d->nlabels == LABELS_MAX)
		luaL_error(L, "%s'labels': more than %d",
			   push_place(L, d, NULL, "labels"), LABELS_MAX);
	if (lua_type(L, -1) != LUA_TSTRING)
		mistake_type(L, d, "labels", key, "a string");
	value = copy_text(L, d, "labels", key);
	d->labels =
		mem_realloc(d->labels, (d->nlabels + 1) * sizeof *d->labels);
	d->labels[d->nlabels].name = mem_string(key);
	d->labels[d->nlabels++].value = value;
}

static void read_labels(lua_State *L, struct declaration *d, int table)
{
	if (lua_getfield(L, table, "labels") == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, -2)) {
			read_label(L, d,
				   check_declared_key(L, d, "labels", NULL));
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

static void read_limits(lua_State *L, struct declaration *d, int table)
{
	if (lua_getfield(L, table, "limits") == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, -2)) {
			const char *key =
				check_declared_key(L, d, "limits", limits_keys);

			if (!limits_read(L, -1, key, &d->limits))
				mistake_type(L, d, "limits", key,
					     limits_expected(key));
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

static void take_allow(lua_State *L, struct declaration *d)
{
	size_t n = (size_t)lua_rawlen(L, -1);

	/* a list with holes may say that it is larger than all memory */
	if (n > ALLOW_ENTRIES_MAX)
		luaL_error(L, "%s'allow': more than %d entries",
			   push_place(L, d, NULL, "allow"), ALLOW_ENTRIES_MAX);
	d->allow = mem_array(n + 1, sizeof *d->allow);
	for (size_t i = 0; i < n; i++) {
		if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TSTRING)
			mistake_type(L, d, NULL, "allow",
				     "a list of strings such as "
				     "\"api.example.com:443\"");
		d->allow[i] = mem_string(lua_tostring(L, -1));
		lua_pop(L, 1);
	}
}

/* The promise of a script: a sandbox, and where it goes from there. */
static void read_sandbox(lua_State *L, struct declaration *d, int table)
{
	struct allow *allow;
	struct err err;

	lua_getfield(L, table, "sandbox");
	d->sandbox = lua_toboolean(L, -1);
	if (lua_getfield(L, table, "allow") == LUA_TTABLE) {
		if (!d->sandbox)
			luaL_error(L,
				   "%s'allow' is for a script with sandbox = "
				   "true",
				   push_place(L, d, NULL, "allow"));
		take_allow(L, d);
		allow = allow_new((const char *const *)d->allow, &err);
		allow_free(allow);
		if (!allow)
			luaL_error(L, "%s'allow': %s",
				   push_place(L, d, NULL, "allow"), err.text);
	}
	lua_pop(L, 2);
}

/* Other names of the host's flags: what looks like one after "--". */
static void check_flags(lua_State *L, const struct declaration *d, int table)
{
	if (lua_getfield(L, table, "flags") == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, -2)) {
			const char *key =
				check_declared_key(L, d, "flags", flag_keys);

			if (!flag_name_valid(L, -1))
				mistake_type(L, d, "flags", key,
					     "the name of a flag, such as "
					     "\"endpoint\"");
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

/* "my-exporter.lua" is named my_exporter unless it says otherwise. */
static char *name_from_path(const char *path)
{
	const char *base = strrchr(path, '/');
	char *name = mem_string(base ? base + 1 : path);
	char *dot = strrchr(name, '.');

	if (dot)
		*dot = '\0';
	for (char *p = name; *p; p++)
		if (*p == '-' || *p == '.')
			*p = '_';
	return name;
}

static void read_name(lua_State *L, struct declaration *d, int table)
{
	d->name = take_string(L, d, table, "name");
	if (!d->name)
		d->name = name_from_path(d->path);
	if (strlen(d->name) > DECLARATION_NAME_MAX)
		luaL_error(L, "%s'name': longer than %d bytes",
			   push_place(L, d, NULL, "name"),
			   DECLARATION_NAME_MAX);
	if (!label_name_valid(d->name) ||
	    !name_is_legacy_label((struct str){ d->name, strlen(d->name) }))
		luaL_error(L,
			   "%s'name': '%s' cannot begin the name of a metric "
			   "([a-zA-Z_][a-zA-Z0-9_]*)",
			   push_place(L, d, NULL, "name"), d->name);
}

static bool has_function(lua_State *L, int table, const char *key)
{
	bool is = lua_getfield(L, table, key) == LUA_TFUNCTION;

	lua_pop(L, 1);
	return is;
}

static void read_table(lua_State *L, struct declaration *d, int table)
{
	check_keys(L, d, table);
	read_name(L, d, table);
	d->listen = take_string(L, d, table, "listen");
	d->landing = take_string(L, d, table, "landing");
	d->interval = check_duration(L, d, table, "interval");
	d->timeout = check_duration(L, d, table, "timeout");
	d->asks_metrics = has_function(L, table, "metrics");
	d->has_start = has_function(L, table, "start");
	d->has_probe = has_function(L, table, "probe");
	read_parts(L, d, table);
	read_labels(L, d, table);
	read_limits(L, d, table);
	read_sandbox(L, d, table);
	check_flags(L, d, table);
	check_declared_config(L, d, table);
	read_declared_routes(L, d, table);
	if (!d->nparts && !d->has_start && !d->has_probe && !d->nroutes)
		luaL_error(L,
			   "%s: none of 'collect', 'start', 'probe' and "
			   "'routes' is there",
			   d->path);
}

/* ---- loading ---- */

struct loading {
	struct declaration *d;
	size_t len;
};

/* Bytes before the program: a byte order mark and a line for the kernel, whose
 * end stays so that lines keep their numbers. */
static size_t preamble(const char *source)
{
	size_t n = strncmp(source, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

	return source[n] == '#' ? n + strcspn(source + n, "\n") : n;
}

static void load(lua_State *L, void *arg)
{
	struct loading *loading = arg;
	struct declaration *d = loading->d;
	const char *chunk = lua_pushfstring(L, "@%s", d->path);
	size_t skip = preamble(d->source);

	if (memchr(d->source, '\0', loading->len) || d->source[0] == '\033')
		luaL_error(L, "%s: this is no Lua text", d->path);
	if (luaL_loadbufferx(L, d->source + skip, loading->len - skip, chunk,
			     "t"))
		lua_error(L);
	lua_call(L, 0, 1);
	if (!lua_istable(L, -1))
		luaL_error(L,
			   "%s: a script returns a table, its declaration; "
			   "this one returns %s",
			   d->path,
			   lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
	/* What a metatable answers may be something else at each look. */
	if (lua_getmetatable(L, -1))
		luaL_error(L, "%s: the declaration cannot have a metatable",
			   d->path);
	read_table(L, d, lua_gettop(L));
	vm_set_limits(vm_of(L), &d->limits);
	metric_registry_limit(L, vm_limits(vm_of(L))->series);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &d->anchors[DECLARATION_TABLE]);
}

struct declaration *declaration_load(struct vm *vm, const char *path,
				     struct err *err)
{
	struct declaration *d = mem_alloc(sizeof *d);
	struct loading loading = { .d = d };

	d->path = mem_string(path);
	d->source = source_read(path, &loading.len, err);
	if (vm_seen(vm))
		seen_add_file(vm_seen(vm), path, d->source, loading.len);
	if (d->source && vm_call(vm, load, &loading, err))
		return d;
	declaration_free(d);
	return NULL;
}

void declaration_free(struct declaration *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->nparts; i++)
		free(d->parts[i]);
	for (unsigned i = 0; i < d->nlabels; i++) {
		free((char *)(uintptr_t)d->labels[i].name);
		free((char *)(uintptr_t)d->labels[i].value);
	}
	for (unsigned i = 0; i < d->nroutes; i++) {
		free(d->routes[i].key);
		free(d->routes[i].place);
	}
	for (char **text = d->allow; text && *text; text++)
		free(*text);
	free(d->allow);
	secrets_release(&d->secrets);
	free(d->parts);
	free(d->routes);
	free(d->labels);
	free(d->path);
	free(d->source);
	free(d->name);
	free(d->listen);
	free(d->landing);
	free(d);
}

void declaration_push(lua_State *L, const struct declaration *d)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &d->anchors[DECLARATION_TABLE]);
}

/* ---- configuration ---- */

struct configuring {
	struct declaration *d;
	const struct config *config;
};

static void configure(lua_State *L, void *arg)
{
	struct configuring *c = arg;

	push_declared_config(L, c->d, c->config);
	read_declared_secrets(L, c->d, lua_gettop(L), &c->d->secrets);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &c->d->anchors[DECLARATION_CONFIG]);
}

bool declaration_configure(struct declaration *d, struct vm *vm,
			   const struct config *config, struct err *err)
{
	struct configuring c = { d, config };

	return vm_call(vm, configure, &c, err);
}

void declaration_mask(const struct declaration *declaration, struct err *err)
{
	char *text = secrets_mask(&declaration->secrets, err->text);

	err_set(err, err->code, "%s", text);
	free(text);
}

/* ---- metrics ---- */

/* The script's `metrics` as a table; a function is asked for it. */
static void push_declared(lua_State *L, const struct declaration *d, int config)
{
	int type;

	declaration_push(L, d);
	type = lua_getfield(L, -1, "metrics");
	if (type == LUA_TFUNCTION) {
		lua_pushvalue(L, config);
		lua_call(L, 1, 1);
		if (!lua_istable(L, -1))
			mistake_type(L, d, NULL, "metrics",
				     "the function to return a table");
	} else if (type == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
	}
	lua_remove(L, -2);
}

static void check_declared(lua_State *L, const struct declaration *d, int table)
{
	lua_pushnil(L);
	while (lua_next(L, table)) {
		const char *key = check_declared_key(L, d, "metrics", NULL);

		if (!metric_is_declaration(L, -1))
			mistake_type(L, d, "metrics", key,
				     "a declaration such as metric.gauge "
				     "{ \"help\" }");
		lua_pop(L, 1);
	}
}

void declaration_push_metrics(lua_State *L, const struct declaration *d,
			      int config, struct metric_set *set, bool *ages)
{
	push_declared(L, d, config);
	check_declared(L, d, lua_gettop(L));
	push_metrics(L, -1, set, ages);
	lua_remove(L, -2);
}

struct registering {
	struct declaration *d;
	struct metric_set *set;
};

static void register_families(lua_State *L, void *arg)
{
	struct registering *r = arg;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &r->d->anchors[DECLARATION_CONFIG]);
	declaration_push_metrics(L, r->d, lua_gettop(L), r->set, &r->d->ages);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &r->d->anchors[DECLARATION_METRICS]);
}

bool declaration_register(struct declaration *d, struct vm *vm,
			  struct registry *registry, struct err *err)
{
	struct registering r = { d, metric_set_new(registry) };
	bool ok = vm_call(vm, register_families, &r, err);

	metric_set_unref(r.set); /* `m` has references of its own */
	return ok;
}

/* ---- running ---- */

void declaration_push_arguments(lua_State *L, const struct declaration *d)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &d->anchors[DECLARATION_METRICS]);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &d->anchors[DECLARATION_CONFIG]);
}

void declaration_push_part(lua_State *L, const struct declaration *d,
			   unsigned part)
{
	declaration_push(L, d);
	if (lua_getfield(L, -1, "collect") == LUA_TTABLE) {
		lua_getfield(L, -1, d->parts[part]);
		lua_remove(L, -2);
	}
	lua_remove(L, -2);
	declaration_push_arguments(L, d);
}

void declaration_push_start(lua_State *L, const struct declaration *d)
{
	declaration_push(L, d);
	lua_getfield(L, -1, "start");
	lua_remove(L, -2);
	declaration_push_arguments(L, d);
}

void declaration_push_route(lua_State *L, const struct declaration *d,
			    const struct declared_route *route)
{
	declaration_push(L, d);
	lua_getfield(L, -1, "routes");
	lua_getfield(L, -1, route->key);
	lua_replace(L, -3);
	lua_pop(L, 1);
}

void declaration_push_probe(lua_State *L, const struct declaration *d)
{
	declaration_push(L, d);
	lua_getfield(L, -1, "probe");
	lua_remove(L, -2);
}
