/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_set.h"

#include <stdlib.h>
#include <time.h>

#include "core/mem.h"

struct metric_account *metric_account_new(void)
{
	struct metric_account *account = mem_alloc(sizeof *account);

	account->limit.max = REGISTRY_SERIES_MAX;
	LIST_INIT(&account->sets);
	account->references = 1;
	return account;
}

void metric_account_unref(struct metric_account *account)
{
	if (account && --account->references == 0)
		free(account);
}

struct metric_set *metric_set_new(struct registry *registry)
{
	struct metric_set *set = mem_alloc(sizeof *set);

	set->registry = registry;
	set->references = 1;
	return set;
}

double metric_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct metric_set *metric_set_own(const struct registry_options *options,
				  struct metric_account *account,
				  const char *where)
{
	struct registry_options own = *options;
	struct metric_set *set;

	own.limit = &account->limit;
	own.clock = metric_now;
	set = metric_set_new(registry_new(&own));
	account->references++;
	set->account = account;
	set->where = mem_string(where);
	LIST_INSERT_HEAD(&account->sets, set, link);
	return set;
}

struct metric_set *metric_set_ref(struct metric_set *set)
{
	set->references++;
	return set;
}

void metric_set_unref(struct metric_set *set)
{
	if (!set || --set->references)
		return;
	if (set->account) {
		LIST_REMOVE(set, link);
		registry_free(set->registry);
		metric_account_unref(set->account);
	}
	free(set->where);
	free(set);
}

void metric_set_close(struct metric_set *set)
{
	set->registry = NULL;
}
