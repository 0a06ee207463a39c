/* SPDX-License-Identifier: Apache-2.0 */
/* How much the calling thread gets of processors that others want, too. */
#ifndef VM_PRIORITY_H
#define VM_PRIORITY_H

#include <stdbool.h>

/* From now on only what nobody else wants. May be called by a signal handler,
 * and says whether the system did it. */
bool priority_lower(void);

/* As before. The system may want a privilege for that. */
bool priority_raise(void);

/* Will it be possible? */
bool priority_can_raise(void);

#endif
