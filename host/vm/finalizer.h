/* SPDX-License-Identifier: Apache-2.0 */
/* `setmetatable` for scripts, whose finalizers obey the slice. */
#ifndef VM_FINALIZER_H
#define VM_FINALIZER_H

#include <lua.h>

/* setmetatable(table, metatable) -> table */
int l_setmetatable(lua_State *L);

#endif
