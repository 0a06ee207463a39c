/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of a script's `config`, as flags, environment and files gave them:
 * plain C, so that they can go from the thread that read the command line to
 * the exporter's. Immutable once handed over.
 */
#ifndef RUN_CONFIG_H
#define RUN_CONFIG_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

enum config_type {
	CONFIG_STRING,
	CONFIG_INTEGER,
	CONFIG_NUMBER,
	CONFIG_BOOLEAN,
	CONFIG_LIST, /* of strings */
};

struct config_value {
	char *key;
	enum config_type type;
	char *string; /* CONFIG_STRING */
	long long integer;
	double number;
	bool boolean;
	char **list; /* CONFIG_LIST, NULL-terminated */
};

struct config {
	struct config_value *values;
	size_t count;
};

/* Reads a table of key = string | number | boolean | list of strings at INDEX.
 * Raises for anything else. Call it from vm_call(). */
struct config *config_from_lua(lua_State *L, int index);

/* Leaves the table on the stack; may raise. */
void push_config(lua_State *L, const struct config *config);

/* The same values under the same keys, whatever their order. NULL is like an
 * empty one. */
bool config_equal(const struct config *a, const struct config *b);

/* The string under KEY, or NULL. */
const char *config_string(const struct config *config, const char *key);

/* Is the value under KEY the same in both, or missing in both? */
bool config_same(const struct config *a, const struct config *b,
		 const char *key);

void config_free(struct config *config);

#endif
