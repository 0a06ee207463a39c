/* SPDX-License-Identifier: Apache-2.0 */
#include "run/declaration.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/l_metric.h"
#include "bind/metric_declare.h"
#include "core/mem.h"
#include "core/nearest.h"
#include "run/duration.h"
#include "run/source.h"

enum { TABLE, CONFIG, METRICS }; /* anchors */

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
	{ "labels", 1 << LUA_TTABLE, "a table of strings" },
	{ "limits", 1 << LUA_TTABLE, "a table" },
	{ "aliases", 1 << LUA_TTABLE, "a list of strings" },
};

enum { NKEYS = sizeof keys / sizeof *keys };

static const char *const config_keys[] = { "env",  "flag",     "position",
					   "help", "required", "secret",
					   "type", "choices",  NULL };
static const char *const config_types[] = { "string",  "integer", "number",
					    "boolean", "list",	  "port",
					    NULL };
static const char *const limit_keys[] = { "memory", "cpu", "series", NULL };

/* Limits of limits: seconds become nanoseconds, the others a size_t. */
static const double CPU_MAX = 1e9, COUNT_MAX = 1e15;

/* ---- errors with a line ---- */

/* "file:line: " of KEY inside PARENT (NULL: at the top) is pushed. */
static const char *push_where(lua_State *L, const struct declaration *d,
			      const char *parent, const char *key)
{
	int line = source_line(d->source, parent, key);

	if (line)
		return lua_pushfstring(L, "%s:%d: ", d->path, line);
	return lua_pushfstring(L, "%s: ", d->path);
}

static void unknown_key(lua_State *L, const struct declaration *d,
			const char *parent, const char *key,
			const char *const *known)
{
	const char *near = nearest(key, known);

	luaL_error(L, "%sunknown key '%s'%s%s%s%s%s%s",
		   push_where(L, d, parent, key), key, parent ? " in '" : "",
		   parent ? parent : "", parent ? "'" : "",
		   near ? "; did you mean '" : "", near ? near : "",
		   near ? "'?" : "");
}

/* KEY = value at the top of the stack has the wrong type. */
static void wrong_type(lua_State *L, const struct declaration *d,
		       const char *parent, const char *key,
		       const char *expected)
{
	const char *type = luaL_typename(L, -1);

	luaL_error(L, "%s'%s%s%s': expected %s, got %s",
		   push_where(L, d, parent, key), parent ? parent : "",
		   parent ? "." : "", key, expected, type);
}

/* The key below the top must be a string that KNOWN lists (NULL: any). */
static const char *check_key(lua_State *L, const struct declaration *d,
			     const char *parent, const char *const *known)
{
	const char *key;

	if (lua_type(L, -2) != LUA_TSTRING)
		luaL_error(L,
			   "%s: the table%s%s has the key %s; keys are names",
			   d->path, parent ? " " : "", parent ? parent : "",
			   luaL_tolstring(L, -2, NULL));
	key = lua_tostring(L, -2);
	for (int i = 0; known && known[i]; i++)
		if (strcmp(known[i], key) == 0)
			return key;
	if (known)
		unknown_key(L, d, parent, key, known);
	return key;
}

/* ---- reading fields ---- */

static void check_keys(lua_State *L, const struct declaration *d, int table)
{
	const char *known[NKEYS + 1] = { NULL };

	for (int i = 0; i < NKEYS; i++)
		known[i] = keys[i].name;
	lua_pushnil(L);
	while (lua_next(L, table)) {
		const char *key = check_key(L, d, NULL, known);

		for (int i = 0; i < NKEYS; i++)
			if (strcmp(keys[i].name, key) == 0 &&
			    !(keys[i].types & 1u << lua_type(L, -1)))
				wrong_type(L, d, NULL, key, keys[i].expected);
		lua_pop(L, 1);
	}
}

/* The string at the top of the stack as C keeps it: without a zero byte. */
static char *copy_text(lua_State *L, const struct declaration *d,
		       const char *parent, const char *key)
{
	size_t len;
	const char *s = lua_tolstring(L, -1, &len);

	if (s && strlen(s) != len)
		wrong_type(L, d, parent, key, "text without a zero byte");
	return mem_string(s);
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
			   push_where(L, d, NULL, key), key);
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
			const char *key = check_key(L, d, "collect", NULL);

			if (!lua_isfunction(L, -1))
				wrong_type(L, d, "collect", key, "a function");
			if (d->nparts == REGISTRY_PARTS_MAX)
				luaL_error(L, "%smore than %d parts",
					   push_where(L, d, NULL, "collect"),
					   REGISTRY_PARTS_MAX);
			d->parts = mem_realloc(
				d->parts, (d->nparts + 1) * sizeof *d->parts);
			d->parts[d->nparts++] = mem_string(key);
			lua_pop(L, 1);
		}
		if (d->nparts == 0)
			luaL_error(L, "%s'collect': the table has no parts",
				   push_where(L, d, NULL, "collect"));
		qsort(d->parts, d->nparts, sizeof *d->parts, by_name);
	}
	lua_pop(L, 1);
}

/* KEY = value at the top of the stack is a constant label. */
static void read_label(lua_State *L, struct declaration *d, const char *key)
{
	char *value;

	if (!label_name_valid(key) || strncmp(key, "__", 2) == 0)
		luaL_error(L,
			   "%s'labels.%s' is not the name of a label "
			   "([a-zA-Z_][a-zA-Z0-9_]*, and not beginning with "
			   "__)",
			   push_where(L, d, "labels", key), key);
	if (d->nlabels == LABELS_MAX)
		luaL_error(L, "%s'labels': more than %d",
			   push_where(L, d, NULL, "labels"), LABELS_MAX);
	if (lua_type(L, -1) != LUA_TSTRING)
		wrong_type(L, d, "labels", key, "a string");
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
			read_label(L, d, check_key(L, d, "labels", NULL));
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
			const char *key = check_key(L, d, "limits", limit_keys);
			double value = lua_tonumber(L, -1);
			bool cpu = strcmp(key, "cpu") == 0;

			if (lua_type(L, -1) != LUA_TNUMBER || !(value > 0) ||
			    value > (cpu ? CPU_MAX : COUNT_MAX))
				wrong_type(L, d, "limits", key,
					   cpu ? "seconds above 0, below 1e9"
					       : "a number above 0");
			if (strcmp(key, "memory") == 0)
				d->memory = (size_t)value;
			else if (strcmp(key, "series") == 0)
				d->series = (size_t)value;
			else
				d->cpu = value;
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

/* One entry of `config` is at the top, its key below. */
static void check_config_entry(lua_State *L, const struct declaration *d,
			       const char *key)
{
	int entry = lua_gettop(L);
	const char *type;
	bool known = false;

	if (!lua_istable(L, entry))
		wrong_type(L, d, "config", key,
			   "a table such as { default, help = \"...\" }");
	lua_pushnil(L);
	while (lua_next(L, entry)) {
		if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != 1)
			check_key(L, d, key, config_keys);
		lua_pop(L, 1);
	}
	if (lua_getfield(L, entry, "type") != LUA_TNIL) {
		type = lua_tostring(L, -1);
		for (int i = 0; type && config_types[i]; i++)
			known |= strcmp(config_types[i], type) == 0;
		if (!known)
			luaL_error(L,
				   "%s'config.%s': type is one of string, "
				   "integer, number, boolean, list, port",
				   push_where(L, d, "config", key), key);
	}
	lua_pop(L, 1);
}

static void check_config(lua_State *L, const struct declaration *d, int table)
{
	if (lua_getfield(L, table, "config") == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, -2)) {
			check_config_entry(L, d,
					   check_key(L, d, "config", NULL));
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
			   push_where(L, d, NULL, "name"),
			   DECLARATION_NAME_MAX);
	if (!label_name_valid(d->name))
		luaL_error(L,
			   "%s'name': '%s' cannot begin the name of a metric "
			   "([a-zA-Z_][a-zA-Z0-9_]*)",
			   push_where(L, d, NULL, "name"), d->name);
}

static void read_table(lua_State *L, struct declaration *d, int table)
{
	check_keys(L, d, table);
	read_name(L, d, table);
	d->listen = take_string(L, d, table, "listen");
	d->landing = take_string(L, d, table, "landing");
	d->interval = check_duration(L, d, table, "interval");
	d->timeout = check_duration(L, d, table, "timeout");
	d->has_start = lua_getfield(L, table, "start") == LUA_TFUNCTION;
	lua_pop(L, 1);
	read_parts(L, d, table);
	read_labels(L, d, table);
	read_limits(L, d, table);
	check_config(L, d, table);
	if (!d->nparts && !d->has_start)
		luaL_error(L, "%s: neither 'collect' nor 'start' is there",
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
	lua_rawsetp(L, LUA_REGISTRYINDEX, &d->anchors[TABLE]);
}

struct declaration *declaration_load(struct vm *vm, const char *path,
				     struct err *err)
{
	struct declaration *d = mem_alloc(sizeof *d);
	struct loading loading = { .d = d };

	d->path = mem_string(path);
	d->source = source_read(path, &loading.len, err);
	if (d->source && vm_call(vm, load, &loading, err)) {
		vm_set_limits(vm, d->memory, d->cpu);
		return d;
	}
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
	free(d->parts);
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
	lua_rawgetp(L, LUA_REGISTRYINDEX, &d->anchors[TABLE]);
}

/* ---- configuration ---- */

struct configuring {
	struct declaration *d;
	const struct config *config;
};

/* __index of the configuration: a nil value is fine, an unknown key is not.
 * Upvalue: the script's `config`. */
static int l_config_index(lua_State *L)
{
	const char *names[128] = { NULL }, *key, *near;
	int n = 0;

	lua_settop(L, 2);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushnil(L);
	while (n < 127 && lua_next(L, lua_upvalueindex(1))) {
		lua_pop(L, 1);
		names[n++] = lua_tostring(L, -1);
	}
	key = luaL_tolstring(L, 2, NULL);
	near = nearest(key, names);
	return luaL_error(L, "no configuration key '%s'%s%s%s", key,
			  near ? "; did you mean '" : "", near ? near : "",
			  near ? "'?" : "");
}

static int l_config_newindex(lua_State *L)
{
	return luaL_error(L, "the configuration cannot be changed");
}

/* Puts the default of each entry of the script's config at ENTRIES into
 * VALUES, where there is no value yet. */
static void add_defaults(lua_State *L, const struct declaration *d, int entries,
			 int values)
{
	lua_pushnil(L);
	while (lua_next(L, entries)) { /* key entry */
		const char *key = lua_tostring(L, -2);
		bool required;

		lua_getfield(L, -1, "required");
		required = lua_toboolean(L, -1);
		lua_rawgeti(L, -2, 1); /* key entry required default */
		if (lua_getfield(L, values, key) == LUA_TNIL) {
			if (required && lua_isnil(L, -2))
				luaL_error(L, "%s: '%s' must be given", d->name,
					   key);
			lua_pushvalue(L, -2);
			lua_setfield(L, values, key);
		}
		lua_pop(L, 4);
	}
}

static void check_given(lua_State *L, const struct declaration *d, int entries,
			int values)
{
	lua_pushnil(L);
	while (lua_next(L, values)) {
		lua_pushvalue(L, -2);
		if (lua_rawget(L, entries) == LUA_TNIL)
			luaL_error(L, "%s: no configuration key '%s'", d->name,
				   lua_tostring(L, -3));
		lua_pop(L, 2);
	}
}

static void configure(lua_State *L, void *arg)
{
	struct configuring *c = arg;
	int entries, values;

	declaration_push(L, c->d);
	if (lua_getfield(L, -1, "config") == LUA_TNIL)
		lua_newtable(L);
	entries = lua_gettop(L);
	if (c->config)
		push_config(L, c->config);
	else
		lua_newtable(L);
	values = lua_gettop(L);
	check_given(L, c->d, entries, values);
	add_defaults(L, c->d, entries, values);
	lua_pushvalue(L, entries);
	lua_pushcclosure(L, l_config_index, 1);
	lua_pushcfunction(L, l_config_newindex);
	push_strict(L, values);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &c->d->anchors[CONFIG]);
}

bool declaration_configure(struct declaration *d, struct vm *vm,
			   const struct config *config, struct err *err)
{
	struct configuring c = { d, config };

	return vm_call(vm, configure, &c, err);
}

/* ---- metrics ---- */

struct registering {
	struct declaration *d;
	struct registry *registry;
};

/* The script's `metrics` as a table; a function is asked for it. */
static void push_declared(lua_State *L, const struct declaration *d)
{
	int type;

	declaration_push(L, d);
	type = lua_getfield(L, -1, "metrics");
	if (type == LUA_TFUNCTION) {
		lua_rawgetp(L, LUA_REGISTRYINDEX, &d->anchors[CONFIG]);
		lua_call(L, 1, 1);
		if (!lua_istable(L, -1))
			wrong_type(L, d, NULL, "metrics",
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
		const char *key = check_key(L, d, "metrics", NULL);

		if (!metric_is_declaration(L, -1))
			wrong_type(L, d, "metrics", key,
				   "a declaration such as metric.gauge "
				   "{ \"help\" }");
		lua_pop(L, 1);
	}
}

static void register_families(lua_State *L, void *arg)
{
	struct registering *r = arg;

	push_declared(L, r->d);
	check_declared(L, r->d, lua_gettop(L));
	push_metrics(L, -1, r->registry, &r->d->has_ttl);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &r->d->anchors[METRICS]);
}

bool declaration_register(struct declaration *d, struct vm *vm,
			  struct registry *registry, struct err *err)
{
	struct registering r = { d, registry };

	return vm_call(vm, register_families, &r, err);
}

/* ---- running ---- */

static void push_arguments(lua_State *L, const struct declaration *d)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &d->anchors[METRICS]);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &d->anchors[CONFIG]);
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
	push_arguments(L, d);
}

void declaration_push_start(lua_State *L, const struct declaration *d)
{
	declaration_push(L, d);
	lua_getfield(L, -1, "start");
	lua_remove(L, -2);
	push_arguments(L, d);
}
