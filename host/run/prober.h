/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs probes, any number of them side by side: each as a task with a registry
 * of its own, which is gone when it ends. In the exporter's thread.
 */
#ifndef RUN_PROBER_H
#define RUN_PROBER_H

#include "core/err.h"
#include "core/registry.h"
#include "run/declaration.h"
#include "run/probe.h"
#include "vm/state.h"

struct prober;

struct prober_options {
	struct vm *vm;
	const struct declaration *declaration;
	const struct config *config; /* of the exporter; NULL: none */
	const struct exporter_profile *profiles;
	size_t nprofiles;
};

/* NULL and ERR when a profile is no configuration of the script, or REGISTRY,
 * in which its families are, has one of the host's names. */
struct prober *prober_new(const struct prober_options *options,
			  struct registry *registry, struct err *err);

/* Ends what runs and answers it. NULL is allowed. */
void prober_free(struct prober *prober);

void prober_run(struct prober *prober, struct probe *probe);

/* Sends the answer of PROBE back. Any thread that has it. */
void probe_answer(struct probe *probe);

#endif
