/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lunex once`: one collection of each exporter, their merged page to standard
 * output. In the main thread, with exporters that run.
 */
#ifndef RUN_ONCE_H
#define RUN_ONCE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/form.h"
#include "net/loop.h"
#include "run/exporter.h"

/* Asks all of them and runs LOOP, the caller's, until they have answered. */
void once_collect(struct loop *loop, struct exporter *const *exporters,
		  size_t n);

/* Prints what they show now, in FORM. */
void once_print(struct exporter *const *exporters, size_t n, struct form form);

/* False and ERR, a sentence, when something of one of them has failed. */
bool once_succeeded(struct exporter *const *exporters, size_t n,
		    struct err *err);

#endif
