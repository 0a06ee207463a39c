/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of a spool's folder, named NUMBER.spool (16 hexadecimal digits):
 *
 *	"lunex spool 1", padded with zeros to 16 bytes
 *	where the first record begins that was not taken, 8 bytes
 *	records: length (4 bytes), samples (3), kind (1), CRC-32 of the bytes,
 *	CRC-32 of these four numbers (4 each), then the bytes
 *
 * Numbers are little-endian. A record was added when all of it is in the file:
 * a process that is killed leaves at most one that is cut off, at the end. That
 * the numbers have a checksum of their own means that one damaged record does
 * not hide those behind it.
 *
 * Functions on descriptors; they set errno where they fail because of it.
 */
#ifndef NET_SPOOL_SEGMENT_H
#define NET_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "net/spool.h"

enum {
	SPOOL_SEGMENT_START = 24, /* of the first record */
	SPOOL_SEGMENT_NAME = 16 + sizeof ".spool",
};

struct spool_segment {
	uint64_t number;
	size_t end;	       /* behind its last whole record */
	size_t records, bytes; /* those that were not taken */
	uint64_t samples;
};

/* What stands before the bytes of a record. */
struct spool_head {
	uint32_t length, crc;
	struct spool_tag tag;
};

enum spool_scan {
	SPOOL_SCAN_WHOLE,
	SPOOL_SCAN_CUT,	    /* something behind the last record is none */
	SPOOL_SCAN_FOREIGN, /* no segment, or one without its first bytes */
	SPOOL_SCAN_NEWER,   /* of a version that is not known */
};

void spool_segment_name(uint64_t number, char name[SPOOL_SEGMENT_NAME]);

/* False when NAME is no name of a segment. */
bool spool_segment_number(const char *name, uint64_t *number);

/* Makes an empty one of an empty file, or of one that is taken. */
bool spool_segment_begin(int fd);

/* What there is in a file of SIZE; fills all of SEGMENT but its number. */
enum spool_scan spool_segment_scan(int fd, size_t size,
				   struct spool_segment *segment);

/* Where the first record begins that was not taken; END when none is left. */
size_t spool_segment_position(int fd, size_t end);
bool spool_segment_take(int fd, size_t position);

/* Writes a record at AT. When it fails, what is there is no record. */
bool spool_segment_put(int fd, size_t at, struct str record,
		       struct spool_tag tag);

/* The head of the record at AT; false when no whole one is there. */
bool spool_segment_head(int fd, size_t at, size_t end, struct spool_head *head);

/* Its bytes; false when they are not what was written. */
bool spool_segment_read(int fd, size_t at, const struct spool_head *head,
			struct buf *body);

#endif
