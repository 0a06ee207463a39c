/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advice about the families of a script that promtool does not give: what
 * OpenMetrics, Prometheus itself and this host make of them. Nothing here is an
 * error.
 */
#ifndef RUN_CONVENTION_H
#define RUN_CONVENTION_H

#include "core/registry.h"
#include "run/declaration.h"
#include "run/lint.h"

/* Adds to LINT what is to be said about each family of REGISTRY, which has
 * those of DECLARATION alone, in the order of their names. */
void convention_check(struct lint *lint, struct registry *registry,
		      const struct declaration *declaration);

#endif
