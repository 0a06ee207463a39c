/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Lua modules inside the binary. cmake/embed.lua writes the one definition
 * of the list; vm_new() puts each entry into package.preload under its name.
 * Immutable, any thread.
 */
#ifndef VM_EMBEDDED_H
#define VM_EMBEDDED_H

#include <stddef.h>

/* A precompiled chunk of our own; SIZE bytes at DATA. */
struct embedded {
	const char *name;
	const unsigned char *data;
	size_t size;
};

/* Ended by an entry whose name is NULL. */
extern const struct embedded embedded_files[];

#endif
