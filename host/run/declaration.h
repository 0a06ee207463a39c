/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table that a script returns, checked and in C: everything that the host
 * needs to know without asking Lua. The functions stay in Lua, anchored in the
 * registry of the state under addresses inside the declaration, and go with the
 * state.
 *
 * Every mistake is one sentence with file and line. Where Lua keeps no line
 * (a key of a table), the line is looked up in the source text.
 */
#ifndef RUN_DECLARATION_H
#define RUN_DECLARATION_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "bind/metric_set.h"
#include "core/err.h"
#include "core/registry.h"
#include "run/config.h"
#include "run/secrets.h"
#include "vm/state.h"

enum { DECLARATION_NAME_MAX = 200, DECLARATION_ROUTES_MAX = 200 };

/* What is anchored in the registry of the state. */
enum {
	DECLARATION_TABLE,
	DECLARATION_CONFIG,
	DECLARATION_METRICS,
	DECLARATION_ANCHORS
};

struct declared_route {
	char *key;	  /* "GET /v1/devices/:id" */
	const char *path; /* inside of key; see web/path.h */
	unsigned method;  /* SERVER_GET and its sisters */
	char *place;	  /* "file:line" */
};

struct declaration {
	char *path;
	char *source; /* the script's text */
	char *name;
	char *listen;	 /* NULL: none given */
	char *landing;	 /* what "/" says to a client that is no browser */
	double interval; /* 0: collected on scrape */
	double timeout;	 /* 0: none given */
	struct vm_limits limits; /* 0 where it says nothing */
	char **parts; /* names in order; nparts 0: there is no collect */
	unsigned nparts;
	bool sandbox;	   /* its promise: nothing of the outside but what */
	char **allow;	   /* ... says, texts of net/allow.h; NULL: none */
	bool asks_metrics; /* `metrics` is a function */
	bool has_start;
	bool has_probe;
	struct declared_route *routes; /* in order of their keys */
	unsigned nroutes;
	bool ages; /* some values change by time alone; known after
		    * declaration_register */
	struct label_pair *labels;
	unsigned nlabels;
	struct secrets secrets; /* values of `config`, since it is known */
	char anchors[DECLARATION_ANCHORS]; /* private: keys of the registry */
};

/*
 * Loads the script at PATH into VM and checks what it returns. NULL and ERR.
 * Good as long as the state is. Its text is noted in vm_seen(), also when it
 * does not load.
 */
struct declaration *declaration_load(struct vm *vm, const char *path,
				     struct err *err);
void declaration_free(struct declaration *declaration);

/* Leaves the script's table on the stack. */
void declaration_push(lua_State *L, const struct declaration *declaration);

/*
 * Makes the strict table of configuration values: CONFIG's (NULL: none), and
 * the defaults for the rest. An unknown key, a wrong type and a missing
 * required value are errors.
 */
bool declaration_configure(struct declaration *declaration, struct vm *vm,
			   const struct config *config, struct err *err);

/* Puts stars into ERR where it says what is secret in the configuration: what a
 * script raises goes to the log and to pages. */
void declaration_mask(const struct declaration *declaration, struct err *err);

/* Declares the script's families in REGISTRY (a `metrics` function is called
 * with the configuration, so that comes first) and makes the table `m`. */
bool declaration_register(struct declaration *declaration, struct vm *vm,
			  struct registry *registry, struct err *err);

/* Leave the function of part I, or `start`, and m and config on the stack: for
 * task_start() with two arguments. May raise (memory). */
void declaration_push_part(lua_State *L, const struct declaration *declaration,
			   unsigned part);
void declaration_push_start(lua_State *L,
			    const struct declaration *declaration);

/* Leaves a table of its own, `m`, of the script's families, which are declared
 * in the registry of SET, for the configuration at CONFIG. Raises. */
void declaration_push_metrics(lua_State *L,
			      const struct declaration *declaration, int config,
			      struct metric_set *set, bool *ages);

/* Leaves the function `probe`. */
void declaration_push_probe(lua_State *L,
			    const struct declaration *declaration);

/* Leave the function of ROUTE; and m and config. */
void declaration_push_route(lua_State *L, const struct declaration *declaration,
			    const struct declared_route *route);
void declaration_push_arguments(lua_State *L,
				const struct declaration *declaration);

#endif
