/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libraries a script may use, by an allow-list: base (load, loadfile and
 * dofile take text only, print goes to the log), coroutine, table, string
 * (without dump), math, utf8, and parts of os, io, debug and package. Globals
 * are strict: reading an undefined one and assigning a new one raise.
 *
 * In a sandbox (vm_options.sandbox) there is less: nothing of io, of os what
 * tells the time, no files and no C modules, and of what can be required the
 * modules that vm/sandbox.c lists.
 */
#ifndef VM_LIBRARY_H
#define VM_LIBRARY_H

#include <lua.h>

#include "vm/state.h"

/* Opens everything, embedded modules and OPTIONS->open included. May raise. */
void library_open(lua_State *L, const struct vm_options *options);

#endif
