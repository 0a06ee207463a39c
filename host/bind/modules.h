/* SPDX-License-Identifier: Apache-2.0 */
/* The modules that scripts can require. */
#ifndef BIND_MODULES_H
#define BIND_MODULES_H

#include <lua.h>

/* Puts every module into package.preload; none is opened before a script asks
 * for it. For vm_options.open. */
void modules_open(lua_State *L);

#endif
