/* SPDX-License-Identifier: Apache-2.0 */
#include "core/coders.h"

#include <stdlib.h>

#include "core/mem.h"

struct coders *coders_new(void)
{
	return mem_alloc(sizeof(struct coders));
}

void coders_free(struct coders *coders)
{
	if (!coders)
		return;
	deflate_free(coders->deflate);
	zstd_free(coders->zstd);
	free(coders);
}

bool coders_open(struct coders *coders, enum encoding encoding, struct err *err)
{
	if (encoding == ENCODING_GZIP && !coders->deflate)
		coders->deflate = deflate_new();
	if (encoding == ENCODING_ZSTD && !coders->zstd)
		coders->zstd = zstd_new(err);
	return encoding != ENCODING_ZSTD || coders->zstd;
}
