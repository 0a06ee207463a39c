/* SPDX-License-Identifier: Apache-2.0 */
#include "net/spool_segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "net/spool.h"

enum {
	MAGIC = 16,
	MAGIC_ANY = 12, /* of which these are the same in every version */
	HEAD = SPOOL_RECORD,
	DIGITS = 16,
};

static const char magic[MAGIC] = "lunex spool 1\0\0";

static void put_le(unsigned char *p, uint64_t value, unsigned n)
{
	while (n--) {
		*p++ = (unsigned char)value;
		value >>= 8;
	}
}

static uint64_t get_le(const unsigned char *p, unsigned n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | p[n];
	return value;
}

static uint32_t checksum(const void *data, size_t len)
{
	return (uint32_t)crc32_z(0, data, len);
}

static bool read_at(int fd, void *data, size_t len, size_t at)
{
	return pread(fd, data, len, (off_t)at) == (ssize_t)len;
}

static bool write_at(int fd, const void *data, size_t len, size_t at)
{
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n <= 0)
			return false;
		p += n;
		at += (size_t)n;
		len -= (size_t)n;
	}
	return true;
}

/* ---- names ---- */

void spool_segment_name(uint64_t number, char name[SPOOL_SEGMENT_NAME])
{
	snprintf(name, SPOOL_SEGMENT_NAME, "%016" PRIx64 ".spool", number);
}

/* Numbers of the upper half are left alone: they would be the last ones. */
bool spool_segment_number(const char *name, uint64_t *number)
{
	if (strspn(name, "0123456789abcdef") != DIGITS ||
	    strcmp(name + DIGITS, ".spool") != 0 || name[0] > '7')
		return false;
	*number = strtoull(name, NULL, 16);
	return true;
}

/* ---- the file ---- */

bool spool_segment_take(int fd, size_t position)
{
	unsigned char bytes[8];

	put_le(bytes, position, sizeof bytes);
	return write_at(fd, bytes, sizeof bytes, MAGIC);
}

/* The position last: until it is there, it points behind the end, and so at
 * nothing. */
bool spool_segment_begin(int fd)
{
	return ftruncate(fd, 0) == 0 && write_at(fd, magic, MAGIC, 0) &&
	       spool_segment_take(fd, SPOOL_SEGMENT_START);
}

static uint64_t read_position(int fd)
{
	unsigned char bytes[8];

	return read_at(fd, bytes, sizeof bytes, MAGIC)
		       ? get_le(bytes, sizeof bytes)
		       : 0;
}

size_t spool_segment_position(int fd, size_t end)
{
	struct spool_head head;
	uint64_t wanted = read_position(fd);
	size_t at = SPOOL_SEGMENT_START;

	while (at < wanted && spool_segment_head(fd, at, end, &head))
		at += HEAD + head.length;
	return at == wanted ? at : SPOOL_SEGMENT_START;
}

static enum spool_scan read_magic(int fd, size_t size)
{
	char bytes[MAGIC];

	if (size < SPOOL_SEGMENT_START || !read_at(fd, bytes, MAGIC, 0))
		return SPOOL_SCAN_FOREIGN;
	if (memcmp(bytes, magic, MAGIC) == 0)
		return SPOOL_SCAN_WHOLE;
	return memcmp(bytes, magic, MAGIC_ANY) == 0 ? SPOOL_SCAN_NEWER
						    : SPOOL_SCAN_FOREIGN;
}

enum spool_scan spool_segment_scan(int fd, size_t size,
				   struct spool_segment *segment)
{
	enum spool_scan result = read_magic(fd, size);
	struct spool_head head;
	size_t at = SPOOL_SEGMENT_START, position;

	if (result != SPOOL_SCAN_WHOLE)
		return result;
	segment->records = segment->bytes = 0;
	segment->samples = 0;
	position = spool_segment_position(fd, size);
	while (spool_segment_head(fd, at, size, &head)) {
		if (at >= position) {
			segment->records++;
			segment->bytes += HEAD + head.length;
			segment->samples += head.tag.samples;
		}
		at += HEAD + head.length;
	}
	segment->end = at;
	return at == size ? SPOOL_SCAN_WHOLE : SPOOL_SCAN_CUT;
}

/* ---- records ---- */

bool spool_segment_put(int fd, size_t at, struct str record,
		       struct spool_tag tag)
{
	unsigned char head[HEAD];

	put_le(head, record.len, 4);
	put_le(head + 4, tag.samples, 3);
	put_le(head + 7, tag.kind, 1);
	put_le(head + 8, checksum(record.data, record.len), 4);
	put_le(head + 12, checksum(head, 12), 4);
	return write_at(fd, head, HEAD, at) &&
	       write_at(fd, record.data, record.len, at + HEAD);
}

bool spool_segment_head(int fd, size_t at, size_t end, struct spool_head *head)
{
	unsigned char bytes[HEAD];

	if (end < HEAD || at > end - HEAD || !read_at(fd, bytes, HEAD, at))
		return false;
	head->length = (uint32_t)get_le(bytes, 4);
	head->tag.samples = (uint32_t)get_le(bytes + 4, 3);
	head->tag.kind = (uint8_t)get_le(bytes + 7, 1);
	head->crc = (uint32_t)get_le(bytes + 8, 4);
	return get_le(bytes + 12, 4) == checksum(bytes, 12) &&
	       head->length <= end - at - HEAD;
}

bool spool_segment_read(int fd, size_t at, const struct spool_head *head,
			struct buf *body)
{
	buf_clear(body);
	if (!buf_reserve(body, head->length) ||
	    !read_at(fd, body->data, head->length, at + HEAD) ||
	    checksum(body->data, head->length) != head->crc)
		return false;
	body->len = head->length;
	return true;
}
