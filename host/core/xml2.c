/* SPDX-License-Identifier: Apache-2.0 */
#include "core/xml2.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/opened.h"

static const struct opened_symbol symbols[] = {
#define SYMBOL(name) { #name, offsetof(struct xml2, name) },
	XML2_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

/* Threads that come at the same time each make a table; one of them stays. The
 * library is opened once all the same, and guards its initialisation. */
const struct xml2 *xml2_get(struct err *err)
{
	static struct xml2 *_Atomic loaded;
	struct xml2 *xml2 = atomic_load(&loaded), *other = NULL;

	if (xml2)
		return xml2;
	xml2 = mem_alloc(sizeof *xml2);
	if (!opened_fill(xml2, LUNEX_XML2, "xml needs libxml2", symbols,
			 sizeof symbols / sizeof *symbols, err)) {
		free(xml2);
		return NULL;
	}
	xml2->xmlInitParser();
	if (atomic_compare_exchange_strong(&loaded, &other, xml2))
		return xml2;
	free(xml2);
	return other;
}
