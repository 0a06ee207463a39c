/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snappy's block format, by libsnappy, which is opened when it is first asked
 * for: only remote write needs it. It stays until the process ends. Any thread.
 */
#ifndef CORE_SNAPPY_H
#define CORE_SNAPPY_H

#include "core/buf.h"
#include "core/err.h"

struct snappy;

/* The library, or NULL with ERR when it is not there. */
const struct snappy *snappy_get(struct err *err);

/* Adds BYTES, compressed, to OUT; OUT is `full` when its ceiling is below the
 * most that they can take, a sixth more than they are. */
void snappy_pack(const struct snappy *snappy, struct buf *out,
		 struct str bytes);

#endif
