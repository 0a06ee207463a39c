/* SPDX-License-Identifier: Apache-2.0 */
#include "net/spool.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "net/spool_folder.h"

enum {
	BYTES_MAX_DEFAULT = 64 << 20,
	/* An eighth of the queue, between these. */
	SEGMENT_MIN = 64 << 10,
	SEGMENT_MAX = 8 << 20,
};

struct node {
	struct node *next;
	size_t len;
	struct spool_tag tag;
	char data[];
};

struct spool {
	struct spool_folder *folder; /* NULL: in memory */
	struct err trouble;	     /* of the folder, at last */
	struct node *first, **last;  /* behind what is in the folder */
	bool stored;		     /* what first() found is in the folder */
	size_t bytes_max;
	struct spool_counts counts;
	uint64_t head;	/* number of the oldest record */
	uint64_t shown; /* of the one that spool_peek() gave; 0: none */
};

/* ---- in memory ---- */

static void add_node(struct spool *spool, struct str record,
		     struct spool_tag tag)
{
	struct node *node = mem_alloc(sizeof *node + record.len);

	node->len = record.len;
	node->tag = tag;
	if (record.len)
		memcpy(node->data, record.data, record.len);
	*spool->last = node;
	spool->last = &node->next;
	spool->counts.records++;
	spool->counts.bytes += SPOOL_RECORD + record.len;
	spool->counts.samples += tag.samples;
	spool->counts.in_memory += tag.samples;
}

static void drop_node(struct spool *spool)
{
	struct node *node = spool->first;

	spool->counts.records--;
	spool->counts.bytes -= SPOOL_RECORD + node->len;
	spool->counts.samples -= node->tag.samples;
	spool->counts.in_memory -= node->tag.samples;
	spool->first = node->next;
	if (!spool->first)
		spool->last = &spool->first;
	free(node);
}

/* ---- both ---- */

/* The tag of the oldest record; false when there is none. */
static bool first(struct spool *spool, struct spool_tag *tag)
{
	spool->stored = spool->folder && spool_folder_first(spool->folder, tag);
	if (spool->stored)
		return true;
	if (!spool->first)
		return false;
	*tag = spool->first->tag;
	return true;
}

static bool read_first(struct spool *spool, struct str *record)
{
	if (spool->stored)
		return spool_folder_read(spool->folder, record);
	*record = (struct str){ spool->first->data, spool->first->len };
	return true;
}

static void drop_first(struct spool *spool)
{
	if (spool->stored)
		spool_folder_drop(spool->folder);
	else
		drop_node(spool);
	spool->head++;
}

static void push_out(struct spool *spool)
{
	struct spool_tag tag;

	while (spool->counts.bytes > spool->bytes_max && first(spool, &tag)) {
		spool->counts.dropped_samples += tag.samples;
		drop_first(spool);
	}
}

/* What is in memory goes into the folder, as far as that takes it. */
static void store(struct spool *spool)
{
	struct node *node;

	while (spool->folder && (node = spool->first) &&
	       spool_folder_add(spool->folder,
				(struct str){ node->data, node->len },
				node->tag, &spool->trouble))
		drop_node(spool);
}

const char *spool_trouble(const struct spool *spool)
{
	return spool->folder && spool->first ? spool->trouble.text : NULL;
}

static size_t segment_max(size_t bytes_max)
{
	size_t size = bytes_max / 8;

	return size < SEGMENT_MIN   ? SEGMENT_MIN
	       : size > SEGMENT_MAX ? SEGMENT_MAX
				    : size;
}

struct spool *spool_open(const struct spool_options *options, struct err *err)
{
	struct spool *spool = mem_alloc(sizeof *spool);

	spool->last = &spool->first;
	spool->head = 1;
	spool->bytes_max =
		options->bytes_max ? options->bytes_max : BYTES_MAX_DEFAULT;
	if (!options->folder)
		return spool;
	spool->folder = spool_folder_open(options->folder,
					  segment_max(spool->bytes_max),
					  &spool->counts, err);
	if (!spool->folder) {
		free(spool);
		return NULL;
	}
	push_out(spool);
	return spool;
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	if (spool->folder)
		spool_folder_close(spool->folder);
	while (spool->first)
		drop_node(spool);
	free(spool);
}

bool spool_put(struct spool *spool, struct str record, struct spool_tag tag,
	       struct err *err)
{
	if (record.len >= UINT32_MAX ||
	    SPOOL_RECORD + record.len > spool->bytes_max) {
		spool->counts.dropped_samples += tag.samples;
		return err_set(err, ERR_LIMIT,
			       "a record of %zu bytes is larger than the "
			       "queue, which has %zu",
			       record.len, spool->bytes_max);
	}
	add_node(spool, record, tag);
	store(spool);
	push_out(spool);
	return true;
}

bool spool_peek(struct spool *spool, struct str *record, struct spool_tag *tag)
{
	while (first(spool, tag)) {
		if (read_first(spool, record)) {
			spool->shown = spool->head;
			return true;
		}
		spool->counts.damaged++;
		drop_first(spool);
	}
	return false;
}

void spool_take(struct spool *spool)
{
	struct spool_tag tag;

	if (spool->shown == spool->head && first(spool, &tag))
		drop_first(spool);
	spool->shown = 0;
}

struct spool_counts spool_counts(const struct spool *spool)
{
	return spool->counts;
}
