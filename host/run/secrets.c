/* SPDX-License-Identifier: Apache-2.0 */
#include "run/secrets.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"

void secrets_add(struct secrets *secrets, const char *value)
{
	if (strlen(value) < SECRET_MIN)
		return;
	secrets->values = mem_realloc(
		secrets->values, (secrets->n + 1) * sizeof *secrets->values);
	secrets->values[secrets->n++] = mem_string(value);
}

void secrets_release(struct secrets *secrets)
{
	for (size_t i = 0; i < secrets->n; i++) {
		explicit_bzero(secrets->values[i], strlen(secrets->values[i]));
		free(secrets->values[i]);
	}
	free(secrets->values);
	*secrets = (struct secrets){ 0 };
}

/* Length of the longest secret at P, 0 for none: one may begin another. */
static size_t secret_at(const struct secrets *secrets, const char *p)
{
	size_t longest = 0;

	for (size_t i = 0; i < secrets->n; i++) {
		size_t len = strlen(secrets->values[i]);

		if (len > longest && strncmp(p, secrets->values[i], len) == 0)
			longest = len;
	}
	return longest;
}

char *secrets_mask(const struct secrets *secrets, const char *text)
{
	struct buf out;

	buf_init(&out, strlen(text) + 1); /* stars are never longer */
	while (*text) {
		size_t len = secret_at(secrets, text);

		if (len)
			buf_addstr(&out, "***");
		else
			buf_addch(&out, *text);
		text += len ? len : 1;
	}
	return buf_take(&out, NULL);
}
