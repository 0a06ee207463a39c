/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `host`, what the command line in Lua (lua/cli.lua, which says what is in it)
 * sees of the outside: files, environment, scripts.
 */
#ifndef RUN_COMMAND_HOST_H
#define RUN_COMMAND_HOST_H

#include <lua.h>

/* Leaves the table on the stack; may raise. */
void push_command_host(lua_State *L);

#endif
