/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log says of a merged exposition: which metrics and series are left
 * out, of which exporter, because of which other one. Each is said again only
 * when it is another one, or another number of them. In the web thread.
 */
#ifndef RUN_TOLD_H
#define RUN_TOLD_H

#include <stddef.h>

#include "core/exposition.h"
#include "run/exporter.h"

/* What was told already; zeroed: nothing. */
struct told {
	char *conflicts; /* private: sentences, NULL: there was nothing to say
			  */
	char *duplicates[ESCAPING_NONE + 1]; /* they may differ */
	unsigned homonyms;
};

/* OWNERS has the exporter of each page of EXPOSITION, NULL for the host's. */
void told_tell(struct told *told, const struct exposition *exposition,
	       const struct exporter *const *owners);
void told_release(struct told *told);

#endif
