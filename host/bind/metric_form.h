/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words by which a script says in which form a page is rendered.
 */
#ifndef BIND_METRIC_FORM_H
#define BIND_METRIC_FORM_H

#include <lua.h>

#include "core/form.h"

/* Argument ARG, a format, and the one behind it, an escaping; each may be
 * absent: text, underscores. Raises for other words, and names the nearest. */
struct form opt_metric_form(lua_State *L, int arg);

/* Leaves the Content-Type of FORM. */
void push_metric_form_type(lua_State *L, struct form form);

#endif
