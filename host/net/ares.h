/* SPDX-License-Identifier: Apache-2.0 */
/*
 * c-ares, loaded when the first name is asked for: who names its targets by
 * number needs none of it. Once per process, from any thread; it is never
 * unloaded.
 */
#ifndef NET_ARES_H
#define NET_ARES_H

#include <ares.h>

#include "core/err.h"

/* What is used of it, without the prefix. */
#define ARES_FUNCTIONS(X)                                                      \
	X(destroy)                                                             \
	X(free_data)                                                           \
	X(freeaddrinfo)                                                        \
	X(get_servers_ports)                                                   \
	X(getaddrinfo)                                                         \
	X(init_options)                                                        \
	X(library_init)                                                        \
	X(process_fd)                                                          \
	X(strerror)                                                            \
	X(timeout)

struct ares {
#define X(name) __typeof__(ares_##name) *name;
	ARES_FUNCTIONS(X)
#undef X
};

/* NULL and ERR_IO when it is not installed or is too old. */
const struct ares *ares_load(struct err *err);

#endif
