/* SPDX-License-Identifier: Apache-2.0 */
#include "core/snappy.h"

#include <dlfcn.h>
#include <snappy-c.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/mem.h"

#define SNAPPY_FUNCTIONS(X)                                                    \
	X(snappy_compress)                                                     \
	X(snappy_max_compressed_length)

struct snappy {
#define MEMBER(name) __typeof__(name) *name;
	SNAPPY_FUNCTIONS(MEMBER)
#undef MEMBER
};

static bool find_functions(struct snappy *snappy, void *library,
			   struct err *err)
{
#define FIND(name)                                                             \
	snappy->name =                                                         \
		(__typeof__(snappy->name))(uintptr_t)dlsym(library, #name);    \
	if (!snappy->name)                                                     \
		return err_set(err, ERR_IO, "remote write: %s has no " #name,  \
			       LUNEX_SNAPPY);
	SNAPPY_FUNCTIONS(FIND)
#undef FIND
	return true;
}

/* Threads that come at the same time each make a table; one of them stays. */
const struct snappy *snappy_get(struct err *err)
{
	static struct snappy *_Atomic loaded;
	struct snappy *snappy = atomic_load(&loaded), *other = NULL;
	void *library;

	if (snappy)
		return snappy;
	library = dlopen(LUNEX_SNAPPY, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		err_set(err, ERR_IO, "remote write needs libsnappy: %s",
			dlerror());
		return NULL;
	}
	snappy = mem_alloc(sizeof *snappy);
	if (!find_functions(snappy, library, err)) {
		free(snappy);
		dlclose(library);
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
