/* SPDX-License-Identifier: Apache-2.0 */
#include "run/declared_routes.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "run/mistake.h"
#include "web/path.h"
#include "web/server.h"

/* Paths of the host, now and to come; the telemetry path is the operator's and
 * looked at where it is known. One that ends in a slash stands for all below.
 */
static const char *const reserved[] = {
	"/", "/healthz", "/probe", "/-/", "/api/v1/", NULL,
};

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return len > 1 && folder[len - 1] == '/' &&
	       (strncmp(path, folder, len) == 0 ||
		(strncmp(path, folder, len - 1) == 0 && !path[len - 1]));
}

static bool is_reserved(const char *path)
{
	for (int i = 0; reserved[i]; i++)
		if (strcmp(path, reserved[i]) == 0 ||
		    is_below(path, reserved[i]))
			return true;
	return false;
}

/* The method at the start of KEY; PATH is behind it. 0: there is none. */
static unsigned split_key(const char *key, const char **path)
{
	size_t len = strcspn(key, " ");
	unsigned method = server_method(key, len);

	*path = key + len + (key[len] == ' ');
	/* HEAD comes with GET. */
	return !key[len] || strncmp(key, "HEAD", 4) == 0 ? 0 : method;
}

static unsigned check_route_key(lua_State *L, const struct declaration *d,
				const char *key, const char **path)
{
	unsigned method = split_key(key, path);
	struct err err;

	if (!method || lua_rawlen(L, -2) != strlen(key))
		luaL_error(
			L,
			"%s'routes': '%s' is not a method and a path, such "
			"as \"GET /v1/devices/:id\" (GET, POST, PUT, DELETE)",
			push_place(L, d, "routes", key), key);
	if (!path_check(*path, &err))
		luaL_error(L, "%s'routes': %s", push_place(L, d, "routes", key),
			   err.text);
	if (is_reserved(*path))
		luaL_error(L, "%s'routes': %s is a path of the host",
			   push_place(L, d, "routes", key), *path);
	return method;
}

bool declared_routes_meet(const struct declared_route *a,
			  const struct declared_route *b)
{
	return a->method == b->method && path_equal(a->path, b->path);
}

/* KEY is that of the function on top of the stack. */
static void read_route(lua_State *L, struct declaration *d, const char *key)
{
	struct declared_route *route;
	unsigned method;
	const char *path;
	char *text;

	if (!lua_isfunction(L, -1))
		mistake_type(L, d, "routes", key, "a function");
	method = check_route_key(L, d, key, &path);
	if (d->nroutes == DECLARATION_ROUTES_MAX)
		luaL_error(L, "%smore than %d routes",
			   push_place(L, d, NULL, "routes"),
			   DECLARATION_ROUTES_MAX);
	text = mem_string(push_place(L, d, "routes", key));
	lua_pop(L, 1);
	text[strlen(text) - 2] = '\0'; /* ": " */
	d->routes =
		mem_realloc(d->routes, (d->nroutes + 1) * sizeof *d->routes);
	route = &d->routes[d->nroutes++];
	route->key = mem_string(key);
	route->path = route->key + (path - key);
	route->method = method;
	route->place = text;
}

static int by_key(const void *a, const void *b)
{
	const struct declared_route *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static void check_same(lua_State *L, const struct declaration *d)
{
	for (unsigned i = 0; i < d->nroutes; i++)
		for (unsigned j = 0; j < i; j++)
			if (declared_routes_meet(&d->routes[i], &d->routes[j]))
				luaL_error(L,
					   "%s: 'routes': '%s' is the same "
					   "route as '%s'",
					   d->routes[i].place, d->routes[i].key,
					   d->routes[j].key);
}

void read_declared_routes(lua_State *L, struct declaration *d, int table)
{
	if (lua_getfield(L, table, "routes") == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, -2)) {
			read_route(L, d,
				   check_declared_key(L, d, "routes", NULL));
			lua_pop(L, 1);
		}
		if (d->nroutes == 0)
			luaL_error(L, "%s'routes': the table has no routes",
				   push_place(L, d, NULL, "routes"));
		qsort(d->routes, d->nroutes, sizeof *d->routes, by_key);
		check_same(L, d);
	}
	lua_pop(L, 1);
}
