/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/limits.h"

#include "core/registry.h"
#include "net/http_client.h"

const struct vm_limits vm_limits_default = {
	.memory = (size_t)64 << 20,
	.cpu = 1,
	.series = REGISTRY_SERIES_MAX,
	.body = HTTP_BODY_MAX,
	.operations = 20000, /* pings of a whole network at once */
};

const char *vm_limit_name(enum vm_limit limit)
{
	static const char *const names[VM_LIMITS] = {
		[VM_LIMIT_MEMORY] = "memory",
		[VM_LIMIT_CPU] = "cpu",
		[VM_LIMIT_TIME] = "time",
		[VM_LIMIT_SERIES] = "series",
		[VM_LIMIT_BODY] = "body",
		[VM_LIMIT_OPERATIONS] = "operations",
	};

	return names[limit];
}

void vm_limits_lay(struct vm_limits *limits, const struct vm_limits *over)
{
	if (over->memory)
		limits->memory = over->memory;
	if (over->cpu > 0)
		limits->cpu = over->cpu;
	if (over->series)
		limits->series = over->series;
	if (over->body)
		limits->body = over->body;
	if (over->operations)
		limits->operations = over->operations;
}

static size_t lower(size_t one, size_t most)
{
	return one < most ? one : 0;
}

struct vm_limits vm_limits_lower(const struct vm_limits *limits,
				 const struct vm_limits *most)
{
	return (struct vm_limits){
		.memory = lower(limits->memory, most->memory),
		.cpu = limits->cpu < most->cpu ? limits->cpu : 0,
		.series = lower(limits->series, most->series),
		.body = lower(limits->body, most->body),
		.operations = lower(limits->operations, most->operations),
	};
}

struct vm_limits vm_limits_without(const struct vm_limits *limits,
				   const struct vm_limits *kept)
{
	return (struct vm_limits){
		.memory = kept->memory ? 0 : limits->memory,
		.cpu = kept->cpu > 0 ? 0 : limits->cpu,
		.series = kept->series ? 0 : limits->series,
		.body = kept->body ? 0 : limits->body,
		.operations = kept->operations ? 0 : limits->operations,
	};
}
