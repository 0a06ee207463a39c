/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an exporter may use, and how often it met such a limit. A struct
 * vm_limits travels from a script or a configuration to a state; 0 in a field
 * says nothing there.
 */
#ifndef VM_LIMITS_H
#define VM_LIMITS_H

#include <stddef.h>

/* TIME is that of a whole run, which the one who starts a task states as its
 * deadline. */
enum vm_limit {
	VM_LIMIT_MEMORY,
	VM_LIMIT_CPU,
	VM_LIMIT_TIME,
	VM_LIMIT_SERIES,
	VM_LIMIT_BODY,
	VM_LIMIT_OPERATIONS,
	VM_LIMITS
};

struct vm_limits {
	size_t memory;	   /* ceiling of the Lua heap, bytes */
	double cpu;	   /* CPU seconds without a wait: the slice */
	size_t series;	   /* of the page, and of all other registries */
	size_t body;	   /* bytes of one HTTP answer */
	size_t operations; /* waits at the same time */
};

/* Behind the sentence about a limit, whose KEY is a literal. */
#define VM_LIMIT_HINT(key) " (limits = { " key " = ... } raises it)"

extern const struct vm_limits vm_limits_default;

/* Its name in a script, and as a label: "memory". */
const char *vm_limit_name(enum vm_limit limit);

/* Each field of OVER that says something replaces that of LIMITS. */
void vm_limits_lay(struct vm_limits *limits, const struct vm_limits *over);

/* LIMITS without the fields that are not lower than those of MOST. */
struct vm_limits vm_limits_lower(const struct vm_limits *limits,
				 const struct vm_limits *most);

/* LIMITS without the fields that KEPT has. */
struct vm_limits vm_limits_without(const struct vm_limits *limits,
				   const struct vm_limits *kept);

#endif
