/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ares.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

static struct ares functions;
static struct err failure;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
	const char *name;
	size_t offset;
} symbols[] = {
#define X(name) { "ares_" #name, offsetof(struct ares, name) },
	ARES_FUNCTIONS(X)
#undef X
};

static void load(void)
{
	void *library = dlopen(LUNEX_CARES, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		err_set(&failure, ERR_IO, "names need libc-ares: %s",
			dlerror());
		return;
	}
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *symbol = dlsym(library, symbols[i].name);

		if (!symbol) {
			err_set(&failure, ERR_IO,
				"names need a newer libc-ares: %s has no %s",
				LUNEX_CARES, symbols[i].name);
			return;
		}
		*(void **)((char *)&functions + symbols[i].offset) = symbol;
	}
	if (functions.library_init(ARES_LIB_INIT_ALL))
		err_set(&failure, ERR_IO, "%s cannot be initialised",
			LUNEX_CARES);
}

const struct ares *ares_load(struct err *err)
{
	pthread_once(&once, load);
	if (!failure.code)
		return &functions;
	if (err)
		*err = failure;
	return NULL;
}
