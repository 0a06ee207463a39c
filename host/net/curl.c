/* SPDX-License-Identifier: Apache-2.0 */
#include "net/curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

static struct curl functions;
static struct err failure;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
	const char *name;
	size_t offset;
} symbols[] = {
#define X(name) { "curl_" #name, offsetof(struct curl, name) },
	CURL_FUNCTIONS(X)
#undef X
};

static void load(void)
{
	void *library = dlopen(LUNEX_CURL, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		err_set(&failure, ERR_IO, "http needs libcurl: %s", dlerror());
		return;
	}
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *symbol = dlsym(library, symbols[i].name);

		if (!symbol) {
			err_set(&failure, ERR_IO,
				"http needs a newer libcurl: %s has no %s",
				LUNEX_CURL, symbols[i].name);
			return;
		}
		*(void **)((char *)&functions + symbols[i].offset) = symbol;
	}
	if (functions.global_init(CURL_GLOBAL_DEFAULT))
		err_set(&failure, ERR_IO, "%s cannot be initialised",
			LUNEX_CURL);
}

const struct curl *curl_load(struct err *err)
{
	pthread_once(&once, load);
	if (!failure.code)
		return &functions;
	if (err)
		*err = failure;
	return NULL;
}

char *curl_url_text(const struct curl *curl, CURLU *url, CURLUPart part,
		    unsigned flags)
{
	char *text = NULL;

	curl->url_get(url, part, &text, flags);
	return text;
}
