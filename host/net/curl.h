/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when it is first needed. Linking it would bring some thirty
 * shared objects into every start of the program, most of which never asks the
 * web. Once per process, from any thread; it is never unloaded.
 */
#ifndef NET_CURL_H
#define NET_CURL_H

#include <curl/curl.h>

#include "core/err.h"

/* What is used of it, without the prefix. Pointers are not checked by curl's
 * macros: an argument of a setopt must have exactly the type of its option. */
#define CURL_FUNCTIONS(X)                                                      \
	X(easy_cleanup)                                                        \
	X(easy_getinfo)                                                        \
	X(easy_init)                                                           \
	X(easy_reset)                                                          \
	X(easy_setopt)                                                         \
	X(easy_strerror)                                                       \
	X(free)                                                                \
	X(getdate)                                                             \
	X(global_init)                                                         \
	X(multi_add_handle)                                                    \
	X(multi_assign)                                                        \
	X(multi_cleanup)                                                       \
	X(multi_info_read)                                                     \
	X(multi_init)                                                          \
	X(multi_remove_handle)                                                 \
	X(multi_setopt)                                                        \
	X(multi_socket_action)                                                 \
	X(share_cleanup)                                                       \
	X(share_init)                                                          \
	X(share_setopt)                                                        \
	X(slist_append)                                                        \
	X(slist_free_all)                                                      \
	X(url)                                                                 \
	X(url_cleanup)                                                         \
	X(url_get)                                                             \
	X(url_set)

struct curl {
#define X(name) __typeof__(curl_##name) *name;
	CURL_FUNCTIONS(X)
#undef X
};

/* NULL and ERR_IO when it is not installed or is too old. */
const struct curl *curl_load(struct err *err);

/* A part of a URL, or NULL; free it with curl->free(). */
char *curl_url_text(const struct curl *curl, CURLU *url, CURLUPart part,
		    unsigned flags);

#endif
