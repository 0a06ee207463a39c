/* SPDX-License-Identifier: Apache-2.0 */
#include "core/opened.h"

#include <dlfcn.h>

bool opened_fill(void *table, const char *object, const char *need,
		 const struct opened_symbol *symbols, size_t n, struct err *err)
{
	void *library = dlopen(object, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return err_set(err, ERR_IO, "%s: %s", need, dlerror());
	for (size_t i = 0; i < n; i++) {
		void *symbol = dlsym(library, symbols[i].name);

		if (!symbol)
			return err_set(err, ERR_IO, "%s: %s has no %s", need,
				       object, symbols[i].name);
		*(void **)((char *)table + symbols[i].offset) = symbol;
	}
	return true;
}
