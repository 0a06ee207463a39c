/* SPDX-License-Identifier: Apache-2.0 */
#include "net/curl.h"

#include <pthread.h>
#include <stddef.h>

#include "core/opened.h"

static struct curl functions;
static struct err failure;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct opened_symbol symbols[] = {
#define X(name) { "curl_" #name, offsetof(struct curl, name) },
	CURL_FUNCTIONS(X)
#undef X
};

static void load(void)
{
	if (opened_fill(&functions, LUNEX_CURL, "http needs libcurl", symbols,
			sizeof symbols / sizeof *symbols, &failure) &&
	    functions.global_init(CURL_GLOBAL_DEFAULT))
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
