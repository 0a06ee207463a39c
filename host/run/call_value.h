/* SPDX-License-Identifier: Apache-2.0 */
/* A call as the function of its route sees it: the table of the request, and
 * what the function may return. */
#ifndef RUN_CALL_VALUE_H
#define RUN_CALL_VALUE_H

#include <lua.h>

#include "run/call.h"

/* Leaves the table of the request on the stack. May raise (memory). */
void push_call_request(lua_State *L, const struct call *call);

/* Makes the answer of CALL from the two values on top of the stack, the answer
 * and a message. Raises a sentence with the place of the route for what is
 * none: the message, as for nil, message from a module. */
void check_call_answer(lua_State *L, struct call *call);

#endif
