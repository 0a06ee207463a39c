/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which names the families of an OpenMetrics 1.0 exposition take: their own,
 * which is x for the counter x_total and the info x_info, and those of all
 * samples that their type may have, shown or not. No two families may have one
 * in common. Pure functions, any thread.
 */
#ifndef CORE_OPENMETRICS_NAMES_H
#define CORE_OPENMETRICS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/metadata.h"

/* render_is_unknown(): METADATA is a counter or an info that cannot be shown as
 * one beside ALL, N families in name order, which it may be one of. Two that
 * meet each other are both. False for other types. */
bool openmetrics_is_unknown(const struct metadata *metadata,
			    const struct metadata *const *all, size_t n);

#endif
