/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for a spool's folder: the input is a segment as a crash or a
 * bad disk may leave it, or somebody who edits it. It is opened, added to and
 * emptied: what was added comes out, whatever was there before. With the first
 * bit of the input set, the numbers of the file are made to have their
 * checksum, so that the fuzzer gets behind it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "net/spool.h"
#include "net/spool_segment.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { SIZE_MAX_USED = 1 << 14, START = SPOOL_SEGMENT_START };

static char folder[64], path[128];

static void remove_folder(void)
{
	char lock[128];

	snprintf(lock, sizeof lock, "%s/lock", folder);
	unlink(lock);
	unlink(path);
	rmdir(folder);
}

static void make_folder(void)
{
	if (folder[0])
		return;
	snprintf(folder, sizeof folder, "/tmp/spool_fuzz_XXXXXX");
	if (!mkdtemp(folder))
		abort();
	atexit(remove_folder);
	snprintf(path, sizeof path, "%s/0000000000000001.spool", folder);
}

static unsigned le32(const unsigned char *p)
{
	return p[0] | (unsigned)p[1] << 8 | (unsigned)p[2] << 16 |
	       (unsigned)p[3] << 24;
}

static void put_crc(unsigned char *to, const unsigned char *data, size_t len)
{
	unsigned crc = (unsigned)crc32_z(0, data, len);

	for (unsigned i = 0; i < 4; i++)
		to[i] = (unsigned char)(crc >> (8 * i));
}

/* Gives records their checksums: of the head, and of the bytes where the first
 * of them is odd. */
static void mend(unsigned char *file, size_t size)
{
	size_t at = START;

	if (size >= 16)
		memcpy(file, "lunex spool 1\0\0", 16);
	while (size > at && size - at >= SPOOL_RECORD) {
		unsigned len = le32(file + at) % 64;

		memset(file + at + 1, 0, 3);
		file[at] = (unsigned char)len;
		if (len > size - at - SPOOL_RECORD)
			return;
		if (len && file[at + SPOOL_RECORD] & 1)
			put_crc(file + at + 8, file + at + SPOOL_RECORD, len);
		put_crc(file + at + 12, file + at, 12);
		at += SPOOL_RECORD + len;
	}
}

static void write_segment(const unsigned char *data, size_t size)
{
	static unsigned char bytes[SIZE_MAX_USED];
	FILE *file = fopen(path, "wb");

	if (!file)
		abort();
	if (size) {
		memcpy(bytes, data + 1, size - 1);
		if (data[0] & 1)
			mend(bytes, size - 1);
		fwrite(bytes, 1, size - 1, file);
	}
	fclose(file);
}

static void check_counts(struct spool *spool, bool empty)
{
	struct spool_counts counts = spool_counts(spool);

	if (counts.bytes < counts.records * SPOOL_RECORD)
		abort();
	if (empty && (counts.records || counts.bytes || counts.samples))
		abort();
}

static void drain(struct spool *spool)
{
	struct str record, last = { 0 };
	struct spool_tag tag;
	unsigned sum = 0;
	char text[3] = "";

	while (spool_peek(spool, &record, &tag)) {
		for (size_t i = 0; i < record.len; i++)
			sum += (unsigned char)record.data[i];
		last = record;
		memcpy(text, record.data, record.len < 3 ? record.len : 3);
		check_counts(spool, false);
		spool_take(spool);
	}
	if (last.len != 3 || memcmp(text, "end", 3) != 0 || sum == 0)
		abort();
	check_counts(spool, true);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct spool_options options = { folder, 4096 };
	struct spool *spool;
	struct err err = { 0 };

	make_folder();
	if (size > SIZE_MAX_USED)
		return 0;
	write_segment(data, size);
	spool = spool_open(&options, &err);
	if (!spool) { /* a newer version, which is left alone */
		if (!strstr(err.text, "newer"))
			abort();
		unlink(path);
		return 0;
	}
	check_counts(spool, false);
	if (!spool_put(spool, STR("end"), (struct spool_tag){ 1, 0 }, &err))
		abort();
	drain(spool);
	spool_close(spool);
	if (access(path, F_OK) == 0)
		abort();
	return 0;
}
