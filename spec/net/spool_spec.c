/* SPDX-License-Identifier: Apache-2.0 */
/* Folders are made below TMPDIR, and one is a small file system, where root
 * runs this. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "net/spool.h"
#include "net/spool_segment.h"

enum { START = SPOOL_SEGMENT_START, HEAD = SPOOL_RECORD };

static char top[200], folder[256];

static int make(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(top, sizeof top, "%s/spool_spec_XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(top))
		fail_msg("%s: %s", top, strerror(errno));
	snprintf(folder, sizeof folder, "%s/state/q", top);
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int flag,
			struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int clean(void **state)
{
	char disk[300];

	(void)state;
	snprintf(disk, sizeof disk, "%s/disk", top);
	umount2(disk, MNT_DETACH); /* where a spec failed */
	return nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct spool *open_at(const char *path, size_t bytes_max)
{
	struct spool_options options = { path, bytes_max };
	struct err err = { 0 };
	struct spool *spool = spool_open(&options, &err);

	if (!spool)
		fail_msg("%s", err.text);
	return spool;
}

static void assert_refused(const char *path, const char *message)
{
	struct spool_options options = { path, 0 };
	struct err err = { 0 };

	assert_null(spool_open(&options, &err));
	assert_string_equal(err.text, message);
}

/* ---- records that say their number ---- */

/* LENGTH bytes, at least 8, that follow from NUMBER. */
static void fill(char *bytes, uint64_t number, size_t length)
{
	uint64_t v = number * UINT64_C(0x9E3779B97F4A7C15) + 1;

	memcpy(bytes, &number, 8);
	for (size_t i = 8; i < length; i++) {
		v ^= v << 13;
		v ^= v >> 7;
		v ^= v << 17;
		bytes[i] = (char)v;
	}
}

static size_t length_of(uint64_t number)
{
	return 8 + number * 7919 % 3000;
}

static bool put(struct spool *spool, uint64_t number, size_t length,
		struct err *err)
{
	static char bytes[1 << 20];

	fill(bytes, number, length);
	return spool_put(spool, (struct str){ bytes, length },
			 (struct spool_tag){ (uint32_t)number % 100,
					     (uint8_t)(number % 251) },
			 err);
}

static void put_number(struct spool *spool, uint64_t number)
{
	struct err err = { 0 };

	if (!put(spool, number, length_of(number), &err))
		fail_msg("%s", err.text);
}

/* The number of a record; fails when it is not what was put. */
static uint64_t number_of(struct str record, struct spool_tag tag)
{
	static char bytes[1 << 20];
	uint64_t number;

	assert_true(record.len >= 8);
	memcpy(&number, record.data, 8);
	fill(bytes, number, record.len);
	assert_memory_equal(bytes, record.data, record.len);
	assert_int_equal(tag.samples, number % 100);
	assert_int_equal(tag.kind, number % 251);
	return number;
}

/* The number of the oldest record, -1 when there is none. */
static int64_t peek(struct spool *spool)
{
	struct spool_tag tag;
	struct str record;

	if (!spool_peek(spool, &record, &tag))
		return -1;
	return (int64_t)number_of(record, tag);
}

static int64_t take(struct spool *spool)
{
	int64_t number = peek(spool);

	if (number >= 0)
		spool_take(spool);
	return number;
}

static void assert_empty(struct spool *spool)
{
	struct spool_counts counts = spool_counts(spool);

	assert_int_equal(take(spool), -1);
	counts = spool_counts(spool);
	assert_int_equal(counts.records, 0);
	assert_int_equal(counts.bytes, 0);
	assert_int_equal(counts.samples, 0);
}

/* ---- both kinds ---- */

/* Runs BODY with a spool in memory, then with one in a folder. */
static void with_both(void (*body)(struct spool *spool), size_t bytes_max)
{
	struct spool *spool = open_at(NULL, bytes_max);

	body(spool);
	spool_close(spool);
	spool = open_at(folder, bytes_max);
	body(spool);
	spool_close(spool);
}

static void come_in_order(struct spool *spool)
{
	uint64_t next = 1, put = 1;
	size_t bytes = 0;
	uint32_t samples = 0;

	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < round * 31 % 17; i++) {
			bytes += HEAD + length_of(put);
			samples += (uint32_t)put % 100;
			put_number(spool, put++);
		}
		for (int i = 0; i < round * 29 % 19 && next < put; i++) {
			assert_int_equal(peek(spool), next);
			assert_int_equal(take(spool), next);
			bytes -= HEAD + length_of(next);
			samples -= (uint32_t)next++ % 100;
		}
		assert_int_equal(spool_counts(spool).records, put - next);
		assert_int_equal(spool_counts(spool).bytes, bytes);
		assert_int_equal(spool_counts(spool).samples, samples);
	}
	while (next < put)
		assert_int_equal(take(spool), next++);
	assert_empty(spool);
	assert_int_equal(spool_counts(spool).dropped_samples, 0);
	assert_int_equal(spool_counts(spool).damaged, 0);
}

static void records_come_in_the_order_of_putting(void **state)
{
	(void)state;
	with_both(come_in_order, 0);
}

static void lose_the_oldest(struct spool *spool)
{
	uint32_t dropped = 0;
	int64_t oldest;

	for (uint64_t i = 1; i <= 1000; i++) {
		put_number(spool, i);
		assert_in_range(spool_counts(spool).bytes, 0, 200000);
	}
	oldest = peek(spool);
	assert_in_range(oldest, 800, 950);
	for (uint64_t i = 1; i < (uint64_t)oldest; i++)
		dropped += (uint32_t)i % 100;
	assert_int_equal(spool_counts(spool).dropped_samples, dropped);
	/* One more would still have fitted, or the oldest would be there. */
	assert_true(spool_counts(spool).bytes + HEAD +
			    length_of((uint64_t)oldest - 1) >
		    200000);
	for (int64_t i = oldest; i <= 1000; i++)
		assert_int_equal(take(spool), i);
	assert_empty(spool);
}

static void a_full_queue_loses_its_oldest_records(void **state)
{
	(void)state;
	with_both(lose_the_oldest, 200000);
}

static void refuse_the_large(struct spool *spool)
{
	struct err err = { 0 };

	put_number(spool, 1);
	assert_false(put(spool, 299, 100000 - HEAD + 1, &err));
	assert_string_equal(err.text,
			    "a record of 99985 bytes is larger than the queue, "
			    "which has 100000");
	assert_int_equal(spool_counts(spool).dropped_samples, 99);
	assert_int_equal(take(spool), 1);
	assert_true(put(spool, 2, 100000 - HEAD, &err));
	assert_int_equal(take(spool), 2);
	assert_empty(spool);
}

static void a_record_larger_than_the_queue_is_refused(void **state)
{
	(void)state;
	with_both(refuse_the_large, 100000);
}

static void push_out_what_is_shown(struct spool *spool)
{
	struct err err = { 0 };

	for (uint64_t i = 1; i <= 3; i++)
		assert_true(put(spool, i, 40000, &err));
	assert_int_equal(peek(spool), 2); /* 1 was pushed out */
	assert_true(put(spool, 4, 40000, &err));
	spool_take(spool); /* 2 is not there any more: 3 stays */
	spool_take(spool);
	assert_int_equal(take(spool), 3);
	spool_take(spool); /* nothing was shown since */
	assert_int_equal(take(spool), 4);
	spool_take(spool);
	assert_empty(spool);
}

static void taking_what_was_pushed_out_does_nothing(void **state)
{
	(void)state;
	with_both(push_out_what_is_shown, 100000);
}

static void hold_an_empty_record(struct spool *spool)
{
	struct err err = { 0 };
	struct spool_tag tag = { 0xFFFFFF, 0xFF };
	struct str record;

	assert_true(spool_put(spool, STR(""), tag, &err));
	tag = (struct spool_tag){ 0 };
	assert_true(spool_peek(spool, &record, &tag));
	assert_int_equal(record.len, 0);
	assert_int_equal(tag.samples, 0xFFFFFF);
	assert_int_equal(tag.kind, 0xFF);
	spool_take(spool);
	assert_empty(spool);
}

static void a_record_may_be_empty(void **state)
{
	(void)state;
	with_both(hold_an_empty_record, 0);
}

/* ---- a folder ---- */

static int count_files(void)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	uint64_t number;
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += spool_segment_number(entry->d_name, &number);
	closedir(dir);
	return n;
}

static void file_path(const char *name, char path[600])
{
	snprintf(path, 600, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *data, size_t size)
{
	char path[600];
	int fd;

	file_path(name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static size_t read_file(const char *name, void *data, size_t room)
{
	char path[600];
	ssize_t n;
	int fd;

	file_path(name, path);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, data, room);
	assert_in_range(n, 0, room - 1);
	close(fd);
	return (size_t)n;
}

static void what_a_folder_holds_is_there_again(void **state)
{
	struct spool *spool = open_at(folder, 0);
	struct spool_counts before, after;
	struct stat st;
	uint64_t put = 1;
	int64_t next = 1;

	(void)state;
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	for (int round = 0; round < 30; round++) {
		for (int i = 0; i < 40; i++)
			put_number(spool, put++);
		for (int i = 0; i < 35; i++)
			assert_int_equal(take(spool), next++);
		before = spool_counts(spool);
		spool_close(spool);
		spool = open_at(folder, 0);
		after = spool_counts(spool);
		assert_memory_equal(&before, &after, sizeof before);
	}
	while (next < (int64_t)put)
		assert_int_equal(take(spool), next++);
	assert_empty(spool);
	spool_close(spool);
	assert_int_equal(count_files(), 0);
}

static void a_folder_takes_an_eighth_more_than_its_records(void **state)
{
	struct spool *spool = open_at(folder, 1 << 20);
	struct err err;

	(void)state;
	for (uint64_t i = 1; i <= 3000; i++) {
		assert_true(put(spool, i, 2000, &err));
		assert_in_range(count_files(), 1, 9);
	}
	while (take(spool) >= 0)
		;
	assert_int_equal(count_files(), 1);
	spool_close(spool);
	assert_int_equal(count_files(), 0);
}

/* A receiver that is well keeps the file small: nothing for the disk to do. */
static void an_empty_queue_begins_its_file_anew(void **state)
{
	struct spool *spool = open_at(folder, 0);
	static char bytes[1 << 16];

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		put_number(spool, i);
		assert_int_equal(take(spool), i);
		assert_int_equal(count_files(), 1);
		assert_int_equal(read_file("0000000000000001.spool", bytes,
					   sizeof bytes),
				 START);
	}
	spool_close(spool);
}

static void a_smaller_bound_than_before_drops_the_oldest(void **state)
{
	struct spool *spool = open_at(folder, 0);

	(void)state;
	for (uint64_t i = 1; i <= 300; i++)
		put_number(spool, i);
	spool_close(spool);
	spool = open_at(folder, 100000);
	assert_in_range(spool_counts(spool).bytes, 90000, 100000);
	assert_true(spool_counts(spool).dropped_samples > 0);
	assert_in_range(peek(spool), 200, 299);
	spool_close(spool);
}

/* ---- one process ---- */

static void a_folder_in_use_says_by_whom(void **state)
{
	char message[600], byte;
	int to_parent[2], to_child[2];
	struct spool *spool;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(to_parent) + pipe(to_child), 0);
	pid = fork();
	if (pid == 0) {
		spool_open(&(struct spool_options){ folder, 0 }, NULL);
		(void)!write(to_parent[1], "x", 1);
		(void)!read(to_child[0], &byte, 1);
		_exit(0);
	}
	assert_int_equal(read(to_parent[0], &byte, 1), 1);
	snprintf(message, sizeof message,
		 "%s is in use by another lunex (process %d)", folder,
		 (int)pid);
	assert_refused(folder, message);
	(void)!write(to_child[1], "x", 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	spool = open_at(folder, 0);
	snprintf(message, sizeof message, "%s is in use already, by this lunex",
		 folder);
	assert_refused(folder, message);
	spool_close(spool);
	spool_close(open_at(folder, 0));
	for (int i = 0; i < 2; i++) {
		close(to_parent[i]);
		close(to_child[i]);
	}
}

/* ---- a folder that is not well ---- */

static void a_folder_that_cannot_be_is_told(void **state)
{
	char message[600], path[300];

	(void)state;
	snprintf(path, sizeof path, "%s/file", top);
	fclose(fopen(path, "w"));
	snprintf(message, sizeof message, "%s: Not a directory", path);
	assert_refused(path, message);
	strcat(path, "/q");
	snprintf(message, sizeof message, "%s: Not a directory", path);
	assert_refused(path, message);
	assert_refused("", ": No such file or directory");
}

/* Nobody may write a folder of root's. */
static void a_folder_without_permission_is_told(void **state)
{
	char message[600];
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	spool_close(open_at(folder, 0));
	assert_int_equal(chmod(top, 0755), 0);
	pid = fork();
	if (pid == 0) {
		struct spool_options options = { folder, 0 };
		struct err err = { 0 };

		if (setuid(65534) != 0)
			_exit(2);
		snprintf(message, sizeof message, "%s: Permission denied",
			 folder);
		_exit(spool_open(&options, &err) ||
		      strcmp(err.text, message) != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A disk of 256 KiB, which takes about 80 records of 3001 bytes; false when it
 * cannot be: root alone may. */
static bool make_disk(char path[300])
{
	snprintf(path, 300, "%s/disk", top);
	assert_int_equal(mkdir(path, 0700), 0);
	if (mount("none", path, "tmpfs", 0, "size=256k") != 0)
		return false;
	strcat(path, "/q");
	return true;
}

static void remove_disk(char path[300])
{
	path[strlen(path) - 2] = '\0';
	assert_int_equal(umount(path), 0);
}

static struct spool *put_until(struct spool *spool, uint64_t *next,
			       uint64_t last)
{
	struct err err = { 0 };

	for (; *next <= last; ++*next)
		assert_true(put(spool, *next, 3001, &err));
	return spool;
}

static void take_until(struct spool *spool, uint64_t *next, uint64_t last)
{
	for (; *next <= last; ++*next)
		assert_int_equal(take(spool), *next);
}

static void what_a_full_disk_does_not_take_waits_in_memory(void **state)
{
	uint64_t added = 1, taken = 1, in_memory = 0;
	struct spool *spool;
	char path[300];

	(void)state;
	if (!make_disk(path))
		skip();
	spool = put_until(open_at(path, 1 << 20), &added, 60);
	assert_null(spool_trouble(spool));
	put_until(spool, &added, 300);
	assert_non_null(strstr(spool_trouble(spool),
			       ".spool: No space left on device"));
	for (uint64_t i = 100; i < 300; i++)
		in_memory += i % 100;
	assert_true(spool_counts(spool).in_memory >= in_memory);
	take_until(spool, &taken, 200);
	put_until(spool, &added, 301);
	assert_non_null(spool_trouble(spool));
	take_until(spool, &taken, 270);
	put_until(spool, &added, 302);
	assert_null(spool_trouble(spool));
	assert_int_equal(spool_counts(spool).in_memory, 0);
	assert_int_equal(spool_counts(spool).dropped_samples, 0);
	spool_close(spool);
	spool = open_at(path, 1 << 20);
	take_until(spool, &taken, 302);
	assert_empty(spool);
	assert_int_equal(spool_counts(spool).damaged, 0);
	spool_close(spool);
	remove_disk(path);
}

static void a_full_queue_loses_its_oldest_wherever_they_are(void **state)
{
	uint64_t added = 1, taken = 301;
	struct spool *spool;
	char path[300];

	(void)state;
	if (!make_disk(path))
		skip();
	spool = put_until(open_at(path, 300 * 3017), &added, 600);
	assert_int_equal(spool_counts(spool).records, 300);
	assert_int_equal(spool_counts(spool).dropped_samples, 3 * 4950);
	take_until(spool, &taken, 600);
	assert_empty(spool);
	assert_int_equal(spool_counts(spool).in_memory, 0);
	spool_close(spool);
	remove_disk(path);
}

static void files_of_others_stay(void **state)
{
	static const char *const names[] = {
		"README",
		"000000000000000g.spool",
		"0000000000000001.spool~",
		"ffffffffffffffff.spool",
		"1.spool",
		"0000000000000001.SPOOL",
	};
	struct spool *spool = open_at(folder, 0);
	char path[600], bytes[64];

	(void)state;
	spool_close(spool);
	for (size_t i = 0; i < 6; i++)
		write_file(names[i], "lunex spool 9, not ours", 23);
	file_path("0000000000000007.spool", path);
	assert_int_equal(mkdir(path, 0700), 0);
	file_path("0000000000000008.spool", path);
	assert_int_equal(symlink("README", path), 0);
	file_path("0000000000000009.spool", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	spool = open_at(folder, 0);
	put_number(spool, 1);
	spool_close(spool);
	spool = open_at(folder, 0);
	assert_int_equal(take(spool), 1);
	assert_int_equal(spool_counts(spool).damaged, 0);
	spool_close(spool);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(read_file(names[i], bytes, sizeof bytes), 23);
	assert_int_equal(count_files(), 3);
}

static void garbage_under_a_name_of_ours_is_counted_and_removed(void **state)
{
	struct spool *spool = open_at(folder, 0);
	char garbage[5000];

	(void)state;
	put_number(spool, 1);
	spool_close(spool);
	fill(garbage, 5, sizeof garbage);
	write_file("0000000000000000.spool", garbage, sizeof garbage);
	write_file("0000000000000005.spool", garbage, 23);
	write_file("0000000000000006.spool", "", 0);
	spool = open_at(folder, 0);
	assert_int_equal(spool_counts(spool).damaged, 1);
	assert_int_equal(count_files(), 1);
	assert_int_equal(take(spool), 1);
	assert_empty(spool);
	spool_close(spool);
}

static void what_a_newer_lunex_wrote_is_not_touched(void **state)
{
	static const char head[48] = "lunex spool 2\n";
	char message[600], bytes[64];

	(void)state;
	spool_close(open_at(folder, 0));
	write_file("0000000000000005.spool", head, sizeof head);
	snprintf(message, sizeof message,
		 "%s/0000000000000005.spool was written by a newer lunex",
		 folder);
	assert_refused(folder, message);
	assert_int_equal(
		read_file("0000000000000005.spool", bytes, sizeof bytes),
		sizeof head);
}

/* ---- damage ---- */

enum { RECORDS = 5, FILE_MAX = 1 << 12 };

/* A file of RECORDS small records, of which the first was taken. */
static size_t make_file(char *bytes)
{
	struct spool *spool = open_at(folder, 0);
	struct err err;

	for (uint64_t i = 1; i <= RECORDS; i++)
		assert_true(put(spool, i, 20 + i, &err));
	assert_int_equal(take(spool), 1);
	spool_close(spool);
	return read_file("0000000000000001.spool", bytes, FILE_MAX);
}

/* Reads what is in the folder: it rises, and is bit by bit what was put.
 * SEEN learns which. Returns how many; DAMAGED, what the spool counted. */
static int drain(bool seen[RECORDS + 1], uint64_t *damaged)
{
	struct spool *spool = open_at(folder, 0);
	int64_t number, before = 0;
	int n = 0;

	memset(seen, 0, (RECORDS + 1) * sizeof *seen);
	while ((number = take(spool)) >= 0) {
		assert_in_range(number, before + 1, RECORDS);
		seen[number] = true;
		before = number;
		n++;
	}
	assert_empty(spool);
	*damaged = spool_counts(spool).damaged;
	spool_close(spool);
	assert_int_equal(count_files(), 0);
	return n;
}

static void a_file_may_end_anywhere(void **state)
{
	char bytes[FILE_MAX];
	size_t size = make_file(bytes), ends[RECORDS + 1] = { START };
	bool seen[RECORDS + 1];
	uint64_t damaged;

	(void)state;
	for (size_t i = 1; i <= RECORDS; i++)
		ends[i] = ends[i - 1] + HEAD + 20 + i;
	assert_int_equal(size, ends[RECORDS]);
	for (size_t cut = 0; cut <= size; cut++) {
		bool whole = cut == 0 || cut < START;
		int n;

		write_file("0000000000000001.spool", bytes, cut);
		n = drain(seen, &damaged);
		for (size_t i = 1; i <= RECORDS; i++) {
			whole |= cut == ends[i] || cut == START;
			/* Its place is lost with the first: it comes again. */
			if (i > 1 || cut < ends[1])
				assert_int_equal(seen[i], cut >= ends[i]);
		}
		assert_int_equal(damaged, !whole);
		assert_in_range(n, 0, RECORDS - 1);
	}
}

static void a_record_that_is_cut_off_is_told_once(void **state)
{
	char bytes[FILE_MAX];
	size_t size = make_file(bytes);

	(void)state;
	write_file("0000000000000001.spool", bytes, size - 1);
	for (unsigned i = 0; i < 2; i++) {
		struct spool *spool = open_at(folder, 0);

		assert_int_equal(spool_counts(spool).damaged, i == 0);
		assert_int_equal(spool_counts(spool).records, RECORDS - 2);
		spool_close(spool);
	}
}

static void a_flipped_bit_costs_a_record_at_most_or_what_is_behind(void **state)
{
	char bytes[FILE_MAX];
	size_t size = make_file(bytes);
	bool seen[RECORDS + 1];
	uint64_t damaged;

	(void)state;
	for (size_t bit = 0; bit < 8 * size; bit++) {
		size_t at = bit / 8, end = START;
		size_t hit = 0; /* record; 0: none */
		bool head = false;

		for (size_t i = 1; i <= RECORDS; i++) {
			if (at >= end && at < end + HEAD + 20 + i) {
				hit = i;
				head = at < end + HEAD;
			}
			end += HEAD + 20 + i;
		}
		bytes[at] ^= (char)(1 << bit % 8);
		write_file("0000000000000001.spool", bytes, size);
		bytes[at] ^= (char)(1 << bit % 8);
		if (at >= 12 && at < 16) /* a version: has a spec of its own */
			continue;
		drain(seen, &damaged);
		for (size_t i = 2; i <= RECORDS; i++)
			assert_int_equal(seen[i], at < 12 ? false
						  : head  ? i < hit
							  : i != hit);
		if (at < 12 || head || hit > 1)
			assert_int_equal(damaged, 1);
	}
}

/* Somebody empties the file that is in use. */
static void a_file_that_shrinks_is_counted(void **state)
{
	struct spool *spool = open_at(folder, 0);
	char path[600];

	(void)state;
	for (uint64_t i = 1; i <= 20; i++)
		put_number(spool, i);
	assert_int_equal(take(spool), 1);
	file_path("0000000000000001.spool", path);
	assert_int_equal(truncate(path, 100), 0);
	assert_empty(spool);
	assert_int_equal(spool_counts(spool).damaged, 19);
	put_number(spool, 21);
	assert_int_equal(take(spool), 21);
	spool_close(spool);
}

/* ---- a sudden end ---- */

enum { KILLS = 60 };

struct news {
	uint64_t number;
	bool taken; /* else put */
};

/* The number of the record taken; 0: none was there. */
static uint64_t take_any(struct spool *spool)
{
	uint64_t number = 0;
	struct spool_tag tag;
	struct str record;

	if (!spool_peek(spool, &record, &tag))
		return 0;
	memcpy(&number, record.data, 8);
	spool_take(spool);
	return number;
}

/* Puts records from FIRST on for ever, and takes some; tells each after it is
 * done, until it is killed. In a process of its own: no assertion here. */
static void write_for_ever(uint64_t first, int fd, unsigned seed)
{
	struct spool *spool =
		spool_open(&(struct spool_options){ folder, 0 }, NULL);
	unsigned often = seed % 2 ? 3 : 1; /* mostly empty, or mostly not */
	struct news news;

	while (spool) {
		seed = seed * 1664525 + 1013904223;
		memset(&news, 0, sizeof news);
		news.taken = seed >> 30 < often;
		if (!news.taken) {
			news.number = first++;
			if (!put(spool, news.number, length_of(news.number),
				 NULL))
				break;
		} else {
			news.number = take_any(spool);
			if (!news.number)
				continue;
		}
		if (write(fd, &news, sizeof news) != sizeof news)
			break;
	}
	_exit(1);
}

/* What a writer that was killed after WAIT pieces of news had told. */
static void run_and_kill(uint64_t *put, uint64_t *taken, int wait,
			 unsigned seed)
{
	struct news news;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		write_for_ever(*put + 1, fds[1], seed);
	}
	close(fds[1]);
	for (int n = 0; read(fds[0], &news, sizeof news) == sizeof news;) {
		if (!news.taken)
			*put = news.number;
		else if (news.number > *taken)
			*taken = news.number;
		if (++n == wait)
			assert_int_equal(kill(pid, SIGKILL), 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(fds[0]);
}

static void a_killed_writer_loses_nothing_that_was_confirmed(void **state)
{
	uint64_t put = 0, taken = 0, damaged = 0;

	(void)state;
	for (unsigned round = 0; round < KILLS; round++) {
		struct spool *spool;
		uint64_t records;
		int64_t first;

		run_and_kill(&put, &taken, (int)(1 + round * 37 % 211), round);
		spool = open_at(folder, 0);
		damaged += spool_counts(spool).damaged;
		assert_in_range(spool_counts(spool).damaged, 0, 1);
		records = spool_counts(spool).records;
		/* One step was perhaps done and not told: a put or a take. */
		first = peek(spool);
		if (records == 0) {
			assert_int_equal(first, -1);
			assert_in_range(put, taken, taken + 1);
			taken = put;
		} else {
			assert_in_range(first, taken + 1, taken + 2);
			assert_in_range((uint64_t)first + records - 1, put,
					put + 1);
			taken = (uint64_t)first - 1;
			put = taken + records;
		}
		while (round % 3 == 0 && taken < put)
			assert_int_equal(take(spool), ++taken);
		spool_close(spool);
	}
	print_message("# %d kills, %d records, %d cut off\n", KILLS, (int)put,
		      (int)damaged);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, make, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(records_come_in_the_order_of_putting),
		SPEC(a_full_queue_loses_its_oldest_records),
		SPEC(a_record_larger_than_the_queue_is_refused),
		SPEC(taking_what_was_pushed_out_does_nothing),
		SPEC(a_record_may_be_empty),
		SPEC(what_a_folder_holds_is_there_again),
		SPEC(a_folder_takes_an_eighth_more_than_its_records),
		SPEC(an_empty_queue_begins_its_file_anew),
		SPEC(a_smaller_bound_than_before_drops_the_oldest),
		SPEC(a_folder_in_use_says_by_whom),
		SPEC(a_folder_that_cannot_be_is_told),
		SPEC(a_folder_without_permission_is_told),
		SPEC(what_a_full_disk_does_not_take_waits_in_memory),
		SPEC(a_full_queue_loses_its_oldest_wherever_they_are),
		SPEC(files_of_others_stay),
		SPEC(garbage_under_a_name_of_ours_is_counted_and_removed),
		SPEC(what_a_newer_lunex_wrote_is_not_touched),
		SPEC(a_file_may_end_anywhere),
		SPEC(a_record_that_is_cut_off_is_told_once),
		SPEC(a_flipped_bit_costs_a_record_at_most_or_what_is_behind),
		SPEC(a_file_that_shrinks_is_counted),
		SPEC(a_killed_writer_loses_nothing_that_was_confirmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
