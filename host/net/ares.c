/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ares.h"

#include <pthread.h>
#include <stddef.h>

#include "core/opened.h"

static struct ares functions;
static struct err failure;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct opened_symbol symbols[] = {
#define X(name) { "ares_" #name, offsetof(struct ares, name) },
	ARES_FUNCTIONS(X)
#undef X
};

static void load(void)
{
	if (opened_fill(&functions, LUNEX_CARES, "names need libc-ares",
			symbols, sizeof symbols / sizeof *symbols, &failure) &&
	    functions.library_init(ARES_LIB_INIT_ALL))
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
