/* SPDX-License-Identifier: Apache-2.0 */
#include "net/allow.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "core/mem.h"
#include "net/address.h"

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63, TEXT_MAX_BYTES = 300 };

#define NOT_ALLOWED "not allowed in the sandbox (allow = {...})"

enum kind { NAME, BELOW, RANGE, LISTEN };

/* An address is 16 bytes here, one of IPv4 as it is mapped into IPv6. */
struct bits {
	unsigned char byte[16];
};

struct entry {
	enum kind kind;
	unsigned port; /* 0: any */
	char *name;    /* of NAME; of BELOW with the dot in front */
	struct bits range;
	unsigned prefix; /* of RANGE; 128: one address */
};

struct allow {
	struct entry *entries;
	size_t n;
};

/* ---- addresses ---- */

static bool set_bits(struct bits *bits, const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;

	memset(bits, 0, sizeof *bits);
	if (address->sa_family == AF_INET6) {
		memcpy(bits->byte, &six->sin6_addr, 16);
		return true;
	}
	bits->byte[10] = bits->byte[11] = 0xff;
	memcpy(bits->byte + 12, &four->sin_addr, 4);
	return address->sa_family == AF_INET;
}

static bool is_bit(const struct bits *bits, unsigned i)
{
	return bits->byte[i / 8] & 0x80 >> i % 8;
}

/* IPv4 and IPv6 are apart: ::/0 says nothing about IPv4. */
static bool is_mapped(const struct bits *bits)
{
	static const unsigned char head[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(bits->byte, head, sizeof head) == 0;
}

static bool in_range(const struct bits *bits, const struct bits *range,
		     unsigned prefix)
{
	unsigned whole = prefix / 8;

	if (memcmp(bits->byte, range->byte, whole) != 0)
		return false;
	for (unsigned i = whole * 8; i < prefix; i++)
		if (is_bit(bits, i) != is_bit(range, i))
			return false;
	return true;
}

/* Those that a name does not lead to by itself. */
static const struct {
	const char *address;
	unsigned prefix; /* of IPv6; of IPv4 96 more */
} locals[] = {
	{ "0.0.0.0", 96 + 8 },		/* this host */
	{ "127.0.0.0", 96 + 8 },	/* this host */
	{ "169.254.0.0", 96 + 16 },	/* the link, metadata of clouds */
	{ "100.100.100.200", 96 + 32 }, /* metadata of Alibaba Cloud */
	{ "192.0.0.192", 96 + 32 },	/* metadata of Oracle Cloud */
	{ "224.0.0.0", 96 + 4 },	/* many */
	{ "240.0.0.0", 96 + 4 },	/* reserved, and all on the link */
	{ "::", 96 },			/* this host; IPv4 in an old way */
	{ "fe80::", 10 },		/* the link */
	{ "fd00:ec2::254", 128 },	/* metadata of AWS */
	{ "fd20:ce::254", 128 },	/* metadata of Google Cloud */
	{ "ff00::", 8 },		/* many */
	{ "64:ff9b::127.0.0.0", 104 },	/* the same, behind a NAT64 */
	{ "64:ff9b::169.254.0.0", 112 },
};

static bool is_local(const struct bits *bits)
{
	struct bits range;
	union address address;

	for (size_t i = 0; i < sizeof locals / sizeof *locals; i++)
		if (address_number(&address, locals[i].address) &&
		    set_bits(&range, &address.any) &&
		    in_range(bits, &range, locals[i].prefix))
			return true;
	return false;
}

/* ---- entries from texts ---- */

static bool refuse(struct err *err, const char *text, const char *why)
{
	return err_set(err, ERR_USAGE, "'%.100s': %s", text, why);
}

static bool parse_number(const char *text, unsigned most, unsigned *number)
{
	unsigned long n = 0;
	size_t len = strlen(text);

	for (size_t i = 0; i < len && i < 6; i++)
		if (!isdigit((unsigned char)text[i]))
			return false;
		else
			n = n * 10 + (unsigned long)(text[i] - '0');
	*number = (unsigned)n;
	return len > 0 && len < 6 && n <= most;
}

static bool parse_port(const char *text, unsigned *port)
{
	return parse_number(text, 65535, port) && *port > 0;
}

/* What some library would take for a number, such as "127.1" or "0x7f.1". */
static bool is_numeric(const char *name)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;

	return !last[strspn(last, "0123456789")] || !strncasecmp(last, "0x", 2);
}

/* A name as DNS has them, without a dot at the end. */
static bool is_name(const char *name)
{
	size_t len = strlen(name), label = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (!isalnum(c) && c != '-' && c != '_' && c != '.')
			return false;
		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX_BYTES)
			return false;
	}
	return label > 0 && len <= NAME_MAX_BYTES && !is_numeric(name);
}

static bool parse_name(struct entry *entry, const char *text, const char *host,
		       struct err *err)
{
	bool below = strncmp(host, "*.", 2) == 0;

	if (!is_name(below ? host + 2 : host))
		return refuse(err, text,
			      "expected a name, *.name, an address or a range, "
			      "such as \"api.example.com:443\", or "
			      "\"listen:5000\"");
	entry->kind = below ? BELOW : NAME;
	entry->name = mem_string(below ? host + 1 : host);
	return true;
}

/* HOST is an address, with /PREFIX (NULL: none). */
static bool parse_range(struct entry *entry, const char *text,
			const union address *address, const char *prefix,
			struct err *err)
{
	unsigned most = address->any.sa_family == AF_INET ? 32 : 128;
	unsigned bits = most;

	if (prefix && !parse_number(prefix, most, &bits))
		return refuse(err, text,
			      most == 32 ? "expected a prefix, /0 to "
					   "/32"
					 : "expected a prefix, /0 to "
					   "/128");
	entry->kind = RANGE;
	entry->prefix = bits + (128 - most);
	set_bits(&entry->range, &address->any);
	if (most == 128 && is_mapped(&entry->range))
		return refuse(err, text, "write the IPv4 address itself");
	for (unsigned i = entry->prefix; i < 128; i++)
		if (is_bit(&entry->range, i))
			return refuse(err, text,
				      "the address goes on behind the prefix");
	return true;
}

static bool parse_host(struct entry *entry, const char *text, char *host,
		       bool six, struct err *err)
{
	char *slash = strchr(host, '/');
	union address address;

	if (slash)
		*slash++ = '\0';
	if (strchr(host, '%'))
		return refuse(err, text, "an address here has no zone");
	if (address_number(&address, host))
		return parse_range(entry, text, &address, slash, err);
	if (six || slash)
		return refuse(err, text, "that is no address");
	return parse_name(entry, text, host, err);
}

/* Cuts the port off HOST; the brackets go, too. False: it is malformed. */
static bool cut_port(char **host, bool *six, unsigned *port)
{
	char *colon = strrchr(*host, ':'), *end;

	*six = false;
	if (**host == '[') {
		end = strchr(++*host, ']');
		if (!end)
			return false;
		*end++ = '\0';
		*six = true;
		return !*end || (*end == ':' && parse_port(end + 1, port));
	}
	if (!colon)
		return true;
	if (strchr(*host, ':') != colon) {
		*six = true;
		return true;
	}
	*colon = '\0';
	return parse_port(colon + 1, port);
}

static bool parse(struct entry *entry, const char *text, struct err *err)
{
	char copy[TEXT_MAX_BYTES], *host = copy;
	bool six;

	if (strlen(text) >= sizeof copy)
		return refuse(err, text, "that is too long");
	strcpy(copy, text);
	if (strncmp(text, "listen:", 7) == 0) {
		entry->kind = LISTEN;
		return parse_port(text + 7, &entry->port) ||
		       refuse(err, text, "expected a port, 1 to 65535");
	}
	if (!cut_port(&host, &six, &entry->port))
		return refuse(err, text,
			      "expected a port, 1 to 65535, behind the last "
			      "colon");
	return parse_host(entry, text, host, six, err);
}

struct allow *allow_new(const char *const *texts, struct err *err)
{
	struct allow *allow = mem_alloc(sizeof *allow);
	size_t n = 0;

	while (texts && texts[n])
		n++;
	if (n > ALLOW_ENTRIES_MAX) {
		err_set(err, ERR_USAGE, "more than %d entries",
			ALLOW_ENTRIES_MAX);
		free(allow);
		return NULL;
	}
	allow->entries = mem_array(n + 1, sizeof *allow->entries);
	for (; allow->n < n; allow->n++)
		if (!parse(&allow->entries[allow->n], texts[allow->n], err)) {
			allow->n++;
			allow_free(allow);
			return NULL;
		}
	return allow;
}

void allow_free(struct allow *allow)
{
	if (!allow)
		return;
	for (size_t i = 0; i < allow->n; i++)
		free(allow->entries[i].name);
	free(allow->entries);
	free(allow);
}

/* ---- deciding ---- */

static bool has_name(const struct entry *entry, const char *name, size_t len)
{
	size_t own;

	if (entry->kind != NAME && entry->kind != BELOW)
		return false;
	own = strlen(entry->name);
	if (entry->kind == NAME)
		return own == len && !strncasecmp(name, entry->name, len);
	return len > own && !strncasecmp(name + len - own, entry->name, own);
}

/* PORT 0: what has no ports. ANY: whatever the port is. */
static bool lists_name(const struct allow *allow, const char *name,
		       unsigned port, bool any)
{
	size_t len = strlen(name);

	if (len && name[len - 1] == '.')
		len--;
	for (size_t i = 0; i < allow->n; i++) {
		const struct entry *entry = &allow->entries[i];

		if (has_name(entry, name, len) &&
		    (any || !entry->port || entry->port == port))
			return true;
	}
	return false;
}

static bool lists_address(const struct allow *allow, const struct bits *bits,
			  unsigned port)
{
	for (size_t i = 0; i < allow->n; i++) {
		const struct entry *entry = &allow->entries[i];

		if (entry->kind == RANGE &&
		    (!entry->port || entry->port == port) &&
		    is_mapped(bits) == is_mapped(&entry->range) &&
		    in_range(bits, &entry->range, entry->prefix))
			return true;
	}
	return false;
}

/* "host:port", with brackets where an address needs them. */
static void write_place(char *out, size_t size, const char *host, unsigned port)
{
	const char *form = strchr(host, ':') ? "[%.200s]:%u" : "%.200s:%u";

	if (port)
		snprintf(out, size, form, host, port);
	else
		snprintf(out, size, "%.200s", host);
	for (; *out; out++)
		if ((unsigned char)*out < ' ' || *out == 0x7f)
			*out = '?';
}

static bool deny(const char *host, unsigned port, struct err *err)
{
	char place[TEXT_MAX_BYTES];

	write_place(place, sizeof place, host, port);
	return err_set(err, ERR_DENIED, "%s: " NOT_ALLOWED, place);
}

bool allow_name(const struct allow *allow, const char *name, struct err *err)
{
	union address number;

	return !allow || address_number(&number, name) ||
	       lists_name(allow, name, 0, true) || deny(name, 0, err);
}

bool allow_host(const struct allow *allow, const char *host, unsigned port,
		struct err *err)
{
	union address number;

	if (allow && address_number(&number, host))
		return allow_check(allow, NULL, &number.any, port, err);
	return !allow || lists_name(allow, host, port, false) ||
	       deny(host, port, err);
}

/* The one name that means this machine wherever it is asked for. */
static bool is_localhost(const char *name, const struct bits *bits)
{
	static const struct bits six = { { [15] = 1 } };

	return (!strcasecmp(name, "localhost") ||
		!strcasecmp(name, "localhost.")) &&
	       ((is_mapped(bits) && bits->byte[12] == 127) ||
		in_range(bits, &six, 128));
}

/* A listed name that leads to an address of this machine. */
static bool check_local(const struct allow *allow, const char *host,
			const struct bits *bits, const char *text,
			unsigned port, struct err *err)
{
	char place[TEXT_MAX_BYTES];

	if (!is_local(bits) || lists_address(allow, bits, port) ||
	    is_localhost(host, bits))
		return true;
	write_place(place, sizeof place, host, port);
	return err_set(err, ERR_DENIED,
		       "%s: %s, where it leads, is " NOT_ALLOWED, place, text);
}

bool allow_check(const struct allow *allow, const char *host,
		 const struct sockaddr *address, unsigned port, struct err *err)
{
	char text[ADDRESS_TEXT_MAX];
	union address number;
	struct bits bits;

	if (!allow)
		return true;
	if (!set_bits(&bits, address))
		return deny(host ? host : "the address", port, err);
	if (!host || address_number(&number, host)) {
		if (lists_address(allow, &bits, port))
			return true;
		address_host_text(address, text);
		return deny(text, port, err);
	}
	if (!lists_name(allow, host, port, false))
		return deny(host, port, err);
	address_host_text(address, text);
	return check_local(allow, host, &bits, text, port, err);
}

bool allow_listen(const struct allow *allow, unsigned port, struct err *err)
{
	char text[32];

	if (!allow)
		return true;
	for (size_t i = 0; i < allow->n; i++)
		if (allow->entries[i].kind == LISTEN &&
		    allow->entries[i].port == port)
			return true;
	snprintf(text, sizeof text, "listen:%u", port);
	return deny(text, 0, err);
}

bool allow_descriptor(const struct allow *allow, int fd, struct err *err)
{
	struct rlimit limit;

	if (!allow || getrlimit(RLIMIT_NOFILE, &limit) ||
	    (rlim_t)fd < limit.rlim_cur / 2)
		return true;
	return err_set(err, ERR_LIMIT,
		       "more than half of the open files that the process may "
		       "have: no more for a script in a sandbox");
}
