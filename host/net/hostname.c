/* SPDX-License-Identifier: Apache-2.0 */
#include "net/hostname.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* "10.0.0.256", "0x7f.1": getaddrinfo() would take some of these for addresses,
 * and no name of a host ends so. */
static bool ends_in_number(const char *name, size_t len)
{
	size_t start = len;

	while (start > 0 && name[start - 1] != '.')
		start--;
	if (start == len || name[start] < '0' || name[start] > '9')
		return false;
	if (strncasecmp(name + start, "0x", 2) == 0)
		return strspn(name + start + 2, "0123456789abcdefABCDEF") +
			       start + 2 >=
		       len;
	return strspn(name + start, "0123456789") + start >= len;
}

/* What could not be a name is not asked for, and is not put into a sentence as
 * it is. */
bool hostname_check(const char *name, struct err *err)
{
	static const char never[] = " \"%/:@[\\]\x7f";
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0)
		return err_set(err, ERR_IO, "'': not the name of a host");
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ')
			return err_set(err, ERR_IO,
				       "%.*s...: not the name of a host",
				       (int)i, name);
	if (len > HOSTNAME_MAX)
		return err_set(err, ERR_IO,
			       "%.40s...: longer than the %d bytes of a name",
			       name, HOSTNAME_MAX);
	if (strpbrk(name, never) || ends_in_number(name, len))
		return err_set(err, ERR_IO, "%s: not the name of a host", name);
	return true;
}

bool hostname_in(const char *name, const char *domain)
{
	size_t len = strlen(name), end = strlen(domain);

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len < end || strncasecmp(name + len - end, domain, end))
		return false;
	return len == end || name[len - end - 1] == '.';
}
