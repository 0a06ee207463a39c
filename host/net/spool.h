/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded queue of records, in memory or in a folder: what waits to be sent.
 * When it is full the oldest records go, and are counted. In a folder it
 * survives the end of the process, also a sudden one: what is in it is there
 * when the folder is opened again, and what was taken, but for the last record
 * perhaps, is not. A record that was cut off is dropped then, and counted. A
 * power failure may cost the last seconds, because nothing waits for the disk.
 * What the folder cannot take, when the disk is full for one, waits in memory
 * until it can. One thread; one process: the folder is locked.
 */
#ifndef NET_SPOOL_H
#define NET_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct spool;

struct spool_options {
	const char *folder; /* made if need be, mode 0700; NULL: memory */
	size_t bytes_max;   /* of all records; 0: 64 MiB */
};

/* What each record counts for in bytes, besides its own. On disk the folder
 * may take an eighth more than `bytes_max` for a while: files go as a whole. */
enum { SPOOL_RECORD = 16 };

/* What is known of a record beside its bytes. */
struct spool_tag {
	uint32_t samples; /* what it counts for, below 2^24 */
	uint8_t kind;	  /* the owner's */
};

struct spool_counts {
	size_t records, bytes;
	uint64_t samples;	  /* of the records in it */
	uint64_t in_memory;	  /* of these, those in no folder */
	uint64_t dropped_samples; /* since it was opened: it was full */
	uint64_t damaged;	  /* records that could not be read back */
};

/* NULL and ERR when the folder cannot be made or written, is in use, or holds
 * what a newer lunex wrote. Files in it that are not the spool's stay. */
struct spool *spool_open(const struct spool_options *options, struct err *err);

/* What is in a folder stays there. NULL is allowed. */
void spool_close(struct spool *spool);

/* Why the folder does not take what is added; NULL when it does, or there is
 * none. Borrowed until the next call. */
const char *spool_trouble(const struct spool *spool);

/* Adds a record. False and ERR when it is larger than the queue; then it counts
 * as dropped. */
bool spool_put(struct spool *spool, struct str record, struct spool_tag tag,
	       struct err *err);

/* The oldest record, borrowed until the next call; false when there is none.
 * Records that cannot be read back are dropped, and counted. */
bool spool_peek(struct spool *spool, struct str *record, struct spool_tag *tag);

/* Takes away the record that spool_peek() showed. It may have been pushed out
 * meanwhile; then it does nothing. */
void spool_take(struct spool *spool);

struct spool_counts spool_counts(const struct spool *spool);

#endif
