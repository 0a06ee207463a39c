/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module `tcp` of lunex-spec: byte streams on the loop, for stand-ins that
 * must be able to misbehave.
 *
 *   tcp.listen([path])   -> server on a free port of 127.0.0.1, or on a socket
 *                           file
 *   server:port()        -> integer
 *   server:accept()      -> connection, or nil once the server is closed
 *   server:close()       closes its connections as well
 *   connection:read()    -> what has arrived, or nil at the end
 *   connection:write(text)
 *   connection:close()   after what was written
 *   connection:reset()   at once
 */
#ifndef BIND_TCP_H
#define BIND_TCP_H

#include <lua.h>

int luaopen_tcp(lua_State *L);

#endif
