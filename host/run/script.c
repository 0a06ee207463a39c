/* SPDX-License-Identifier: Apache-2.0 */
#include "run/script.h"

#include <stddef.h>

static struct vm *load(const struct vm_options *options, const char *path,
		       struct declaration **declaration, struct err *err)
{
	struct vm *vm = vm_new(options, err);

	*declaration = vm ? declaration_load(vm, path, err) : NULL;
	if (*declaration)
		return vm;
	vm_free(vm);
	return NULL;
}

struct vm *script_load(const struct vm_options *options, const char *path,
		       struct declaration **declaration, struct err *err)
{
	struct vm *vm = load(options, path, declaration, err);
	struct declaration *promise = *declaration;
	struct vm_options own = *options;

	if (!vm || options->sandbox || !promise->sandbox)
		return vm;
	vm_free(vm);
	own.sandbox = true;
	own.allow = (const char *const *)promise->allow;
	vm = load(&own, path, declaration, err);
	declaration_free(promise);
	return vm;
}
