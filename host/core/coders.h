/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Working memory of whoever renders and compresses pages, and how much it has
 * done. What compresses is made when it is first asked for. One thread.
 */
#ifndef CORE_CODERS_H
#define CORE_CODERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/deflate.h"
#include "core/err.h"
#include "core/form.h"
#include "core/zstd.h"

struct coders {
	struct deflate *deflate;
	struct zstd *zstd;
	uint64_t last;	  /* serial of the block that deflate has seen last, */
	size_t last_size; /* and how long its text was */
	uint64_t rendered, compressed; /* blocks */
};

struct coders *coders_new(void);

/* NULL is allowed. */
void coders_free(struct coders *coders);

/* Makes what ENCODING needs; false and ERR when its library is not there. */
bool coders_open(struct coders *coders, enum encoding encoding,
		 struct err *err);

#endif
