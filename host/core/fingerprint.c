/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fingerprint.h"

#include <endian.h>
#include <string.h>

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], unsigned n)
{
	while (n--) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t load(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof word);
	return le64toh(word);
}

static void take(struct fingerprinter *making, const unsigned char *p)
{
	uint64_t word = load(p);

	making->v[3] ^= word;
	rounds(making->v, 2);
	making->v[0] ^= word;
}

void fingerprint_init(struct fingerprinter *making)
{
	/* The key of the published vectors, so that they can be tested. */
	static const uint64_t k0 = 0x0706050403020100, k1 = 0x0f0e0d0c0b0a0908;

	*making =
		(struct fingerprinter){ .v = {
						0x736f6d6570736575 ^ k0,
						0x646f72616e646f6d ^ k1 ^ 0xee,
						0x6c7967656e657261 ^ k0,
						0x7465646279746573 ^ k1,
					} };
}

void fingerprint_add(struct fingerprinter *making, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t at = making->len % 8, more = len;

	making->len += len;
	if (at && more) {
		size_t n = more < 8 - at ? more : 8 - at;

		memcpy(making->tail + at, p, n);
		if (at + n < 8)
			return;
		take(making, making->tail);
		p += n;
		more -= n;
	}
	for (; more >= 8; more -= 8, p += 8)
		take(making, p);
	if (more)
		memcpy(making->tail, p, more);
}

struct fingerprint fingerprint_end(struct fingerprinter *making)
{
	struct fingerprint print;
	uint64_t *v = making->v;
	size_t n = making->len % 8;

	memset(making->tail + n, 0, 8 - n);
	making->tail[7] = (unsigned char)making->len;
	take(making, making->tail);
	v[2] ^= 0xee;
	rounds(v, 4);
	print.low = v[0] ^ v[1] ^ v[2] ^ v[3];
	v[1] ^= 0xdd;
	rounds(v, 4);
	print.high = v[0] ^ v[1] ^ v[2] ^ v[3];
	return print;
}

struct fingerprint fingerprint_of(const void *data, size_t len)
{
	struct fingerprinter making;

	fingerprint_init(&making);
	fingerprint_add(&making, data, len);
	return fingerprint_end(&making);
}
