/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 128 bits that stand for bytes: SipHash-2-4-128 with a fixed key. Equal bytes
 * have equal fingerprints in every process; that other bytes have the same by
 * chance need not be thought of. It is no proof against somebody who makes
 * such bytes on purpose. Any thread.
 */
#ifndef CORE_FINGERPRINT_H
#define CORE_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fingerprint {
	uint64_t low, high;
};

/* One in the making, piece by piece. */
struct fingerprinter {
	uint64_t v[4]; /* private, all of it */
	unsigned char tail[8];
	uint64_t len;
};

void fingerprint_init(struct fingerprinter *making);
void fingerprint_add(struct fingerprinter *making, const void *data,
		     size_t len);
struct fingerprint fingerprint_end(struct fingerprinter *making);

/* That of LEN bytes which are all there. */
struct fingerprint fingerprint_of(const void *data, size_t len);

static inline bool fingerprint_equal(struct fingerprint a, struct fingerprint b)
{
	return a.low == b.low && a.high == b.high;
}

#endif
