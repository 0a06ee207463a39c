/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advice about the names and help texts of a script's metrics, as Prometheus'
 * own guide gives it. Nothing here is an error: a script that replaces an older
 * exporter keeps that one's names.
 */
#ifndef RUN_LINT_H
#define RUN_LINT_H

#include "core/err.h"
#include "core/metadata.h"

/*
 * The first thing worth saying about METADATA, a sentence in ADVICE; false when
 * there is none.
 */
bool lint_metric(const struct metadata *metadata, struct err *advice);

#endif
