/* SPDX-License-Identifier: Apache-2.0 */
#include "run/secrets.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"

static void take(struct secrets *secrets, char *value)
{
	secrets->values = mem_realloc(
		secrets->values, (secrets->n + 1) * sizeof *secrets->values);
	secrets->values[secrets->n++] = value;
}

/* VALUE as it stands in a URL; NULL when that is the same. */
static char *escaped(const char *value)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789-._~";
	struct buf out;

	if (!value[strspn(value, plain)])
		return NULL;
	buf_init(&out, 3 * strlen(value) + 1);
	for (const char *p = value; *p; p++)
		if (strchr(plain, *p))
			buf_addch(&out, *p);
		else
			buf_addf(&out, "%%%02X", (unsigned char)*p);
	return buf_take(&out, NULL);
}

void secrets_add(struct secrets *secrets, const char *value)
{
	char *other;

	if (strlen(value) < SECRET_MIN)
		return;
	take(secrets, mem_string(value));
	other = escaped(value);
	if (other)
		take(secrets, other);
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
