/* SPDX-License-Identifier: Apache-2.0 */
#include "core/snappy.h"

#include <snappy-c.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/opened.h"

#define SNAPPY_FUNCTIONS(X)                                                    \
	X(snappy_compress)                                                     \
	X(snappy_max_compressed_length)

struct snappy {
#define MEMBER(name) __typeof__(name) *name;
	SNAPPY_FUNCTIONS(MEMBER)
#undef MEMBER
};

static const struct opened_symbol symbols[] = {
#define SYMBOL(name) { #name, offsetof(struct snappy, name) },
	SNAPPY_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

/* Threads that come at the same time each make a table; one of them stays. */
const struct snappy *snappy_get(struct err *err)
{
	static struct snappy *_Atomic loaded;
	struct snappy *snappy = atomic_load(&loaded), *other = NULL;

	if (snappy)
		return snappy;
	snappy = mem_alloc(sizeof *snappy);
	if (!opened_fill(snappy, LUNEX_SNAPPY, "remote write needs libsnappy",
			 symbols, sizeof symbols / sizeof *symbols, err)) {
		free(snappy);
		return NULL;
	}
	if (atomic_compare_exchange_strong(&loaded, &other, snappy))
		return snappy;
	free(snappy);
	return other;
}

void snappy_pack(const struct snappy *snappy, struct buf *out, struct str bytes)
{
	size_t len = snappy->snappy_max_compressed_length(bytes.len);

	if (!buf_reserve(out, len))
		return;
	/* It refuses only what has less room than this. */
	if (snappy->snappy_compress(bytes.data, bytes.len, out->data + out->len,
				    &len) != SNAPPY_OK)
		abort();
	out->len += len;
	out->data[out->len] = '\0';
}
