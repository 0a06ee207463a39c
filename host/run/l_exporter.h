/* SPDX-License-Identifier: Apache-2.0 */
/* The module `exporter` of specs: runs a real exporter, in a thread of its own,
 * from inside a spec. */
#ifndef RUN_L_EXPORTER_H
#define RUN_L_EXPORTER_H

#include <lua.h>

int luaopen_exporter(lua_State *L);

#endif
