/* SPDX-License-Identifier: Apache-2.0 */
#include "core/xml2.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/mem.h"

static bool find_functions(struct xml2 *xml2, void *library, struct err *err)
{
#define FIND(name)                                                             \
	xml2->name = (__typeof__(xml2->name))(uintptr_t)dlsym(library, #name); \
	if (!xml2->name)                                                       \
		return err_set(err, ERR_IO, "xml: %s has no " #name,           \
			       LUNEX_XML2);
	XML2_FUNCTIONS(FIND)
#undef FIND
	return true;
}

/* Threads that come at the same time each make a table; one of them stays. The
 * library is opened once all the same, and guards its initialisation. */
const struct xml2 *xml2_get(struct err *err)
{
	static struct xml2 *_Atomic loaded;
	struct xml2 *xml2 = atomic_load(&loaded), *other = NULL;
	void *library;

	if (xml2)
		return xml2;
	library = dlopen(LUNEX_XML2, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		err_set(err, ERR_IO, "xml: %s", dlerror());
		return NULL;
	}
	xml2 = mem_alloc(sizeof *xml2);
	if (!find_functions(xml2, library, err)) {
		free(xml2);
		dlclose(library);
		return NULL;
	}
	xml2->xmlInitParser();
	if (atomic_compare_exchange_strong(&loaded, &other, xml2))
		return xml2;
	free(xml2);
	return other;
}
