/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of records in the files of a folder (net/spool_segment.h), for
 * net/spool.c, which bounds it. Records are added to the last segment, which is
 * always one of this process, and taken from the first one. One whose records
 * were all taken is removed, or begun anew when it is the last. The folder is
 * locked by a lock on its file `lock`, which says the process.
 */
#ifndef NET_SPOOL_FOLDER_H
#define NET_SPOOL_FOLDER_H

#include "net/spool.h"

struct spool_folder;

/* Segments end at SEGMENT_MAX bytes, but have one record at least. COUNTS are
 * kept up to date with what comes and goes, beside what else they count, and
 * live as long as the folder. */
struct spool_folder *spool_folder_open(const char *path, size_t segment_max,
				       struct spool_counts *counts,
				       struct err *err);
void spool_folder_close(struct spool_folder *folder);

/* False and ERR when it cannot be written; the folder is as before. */
bool spool_folder_add(struct spool_folder *folder, struct str record,
		      struct spool_tag tag, struct err *err);

/* The tag of the oldest record; false when there is none. */
bool spool_folder_first(struct spool_folder *folder, struct spool_tag *tag);

/* The bytes of the record that spool_folder_first() found, borrowed until the
 * next call; false when they are not what was written. */
bool spool_folder_read(struct spool_folder *folder, struct str *record);

/* Takes that record away. */
void spool_folder_drop(struct spool_folder *folder);

#endif
