/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_set.h"

#include <stdlib.h>

#include "core/mem.h"

struct metric_set *metric_set_new(struct registry *registry)
{
	struct metric_set *set = mem_alloc(sizeof *set);

	set->registry = registry;
	set->references = 1;
	return set;
}

struct metric_set *metric_set_ref(struct metric_set *set)
{
	set->references++;
	return set;
}

void metric_set_unref(struct metric_set *set)
{
	if (set && --set->references == 0)
		free(set);
}

void metric_set_close(struct metric_set *set)
{
	set->registry = NULL;
}
