/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "files_world.h"
#include "net/seen.h"

static struct seen_list list;

static int set_up(void **state)
{
	seen_list_init(&list);
	return world_make(state);
}

static int tear_down(void **state)
{
	seen_list_release(&list);
	return world_clean(state);
}

static bool current(void)
{
	assert_int_equal(list.n, 1);
	return seen_is_current(list.items[0], NULL);
}

/* Sets both times of a file back by SECONDS, as far as one can. */
static void age(const char *name, time_t seconds)
{
	struct timespec times[2];

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	assert_int_equal(0, utimensat(AT_FDCWD, world(name), times, 0));
}

static void compares_the_content(void **state)
{
	(void)state;
	put("a", "one");
	see(&list, "a");
	assert_true(current());
	put("a", "two");
	assert_false(current());
	put("a", "one");
	assert_true(current());
	drop("a");
	assert_false(current());
	put("new", "one");
	move("new", "a");
	assert_true(current());
}

/* Size and modification time are as they were. */
static void is_not_deceived_by_times(void **state)
{
	struct stat info;

	(void)state;
	put("a", "one");
	age("a", 1000);
	see(&list, "a");
	assert_true(current());
	assert_int_equal(0, stat(world("a"), &info));
	put("a", "two");
	assert_int_equal(
		0, utimensat(AT_FDCWD, world("a"),
			     (struct timespec[]){ info.st_atim, info.st_mtim },
			     0));
	assert_false(current());
}

static bool was_opened(int fd)
{
	struct inotify_event event; /* of a file: without a name */
	bool opened = false;

	while (read(fd, &event, sizeof event) > 0)
		opened = opened || event.mask & IN_OPEN;
	return opened;
}

/* A file that nobody has touched for long, and hardly reads. */
static void does_not_read_what_is_surely_the_same(void **state)
{
	static const char header[] = "/usr/include/cmocka.h";
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	(void)state;
	see(&list, header);
	assert_true(inotify_add_watch(fd, header, IN_OPEN) > 0);
	assert_true(current());
	assert_true(was_opened(fd));
	assert_true(current());
	assert_false(was_opened(fd));
	close(fd);
}

/* What was read is compared, not what stood there when it was added. */
static void keeps_what_was_read(void **state)
{
	(void)state;
	put("a", "newer");
	assert_true(seen_add_file(&list, world("a"), "older", 5));
	assert_false(current());
	put("a", "older");
	assert_true(current());
}

static void knows_what_was_not_there(void **state)
{
	struct seen_state found;

	(void)state;
	see(&list, ".env");
	assert_true(current());
	put(".env", "");
	assert_false(seen_is_current(list.items[0], &found));
	assert_int_equal(SEEN_CONTENT, found.what);
	drop(".env");
	assert_true(current());
	make_folder(".env");
	assert_false(seen_is_current(list.items[0], &found));
	assert_int_equal(SEEN_SPECIAL, found.what);
}

static void an_appearance_before_the_addition_shows(void **state)
{
	(void)state;
	put(".env", "A=1");
	assert_true(seen_add_file(&list, world(".env"), NULL, 0));
	assert_false(current());
}

static void knows_a_large_file_by_its_stat(void **state)
{
	int fd = open(world("a"), O_CREAT | O_RDWR, 0600);

	(void)state;
	assert_int_equal(0, ftruncate(fd, SEEN_FILE_MAX + 1));
	see(&list, "a");
	assert_int_equal(SEEN_LARGE, list.items[0]->state.what);
	assert_true(current());
	assert_int_equal(1, pwrite(fd, "x", 1, 100));
	assert_int_equal(0, ftruncate(fd, SEEN_FILE_MAX + 2));
	assert_false(current());
	assert_int_equal(0, ftruncate(fd, SEEN_FILE_MAX));
	assert_false(current());
	close(fd);
}

/* A mark on the pipe says so. */
static void never_opens_a_pipe(void **state)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	(void)state;
	assert_int_equal(0, mkfifo(world("pipe"), 0600));
	assert_true(inotify_add_watch(fd, world("pipe"), IN_OPEN) > 0);
	assert_true(seen_add_file(&list, world("pipe"), "from it", 7));
	assert_true(current());
	drop("pipe");
	assert_false(current());
	put("pipe", "from it");
	assert_false(current());
	assert_false(was_opened(fd));
	close(fd);
}

static void reads_files_without_a_size(void **state)
{
	struct seen_state found;

	(void)state;
	see(&list, "/proc/self/comm");
	assert_int_equal(SEEN_CONTENT, list.items[0]->state.what);
	assert_true(current());
	assert_true(current());
	see(&list, "/proc/sys/kernel/random/uuid");
	assert_false(seen_is_current(list.items[1], &found));
}

static void lists_a_folder(void **state)
{
	(void)state;
	make_folder("d");
	put("d/b.lua", "");
	put("d/a.lua", "");
	put("d/c.txt", "");
	see_folder(&list, "d");
	assert_true(current());
	put("d/a.lua", "other");
	put("d/c2.txt", "");
	put("d/.hidden.lua", "");
	make_folder("d/folder.lua");
	assert_true(current());
	put("d/c.lua", "");
	assert_false(current());
	move("d/c.lua", "d/c.off");
	assert_true(current());
	move("d/a.lua", "d/a2.lua");
	assert_false(current());
	move("d/a2.lua", "d/a.lua");
	link_to("c.txt", "d/z.lua");
	assert_false(current());
	drop("d/z.lua");
	assert_true(current());
	move("d", "e");
	assert_false(current());
}

static void a_path_is_made_absolute_at_once(void **state)
{
	char before[PATH_MAX];

	(void)state;
	put("a", "one");
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(0, chdir(world(".")));
	assert_true(seen_add_file(&list, "a", "one", 3));
	assert_int_equal(0, chdir(before));
	assert_int_equal('/', list.items[0]->path[0]);
	assert_true(current());
}

static void what_was_seen_first_stays(void **state)
{
	struct seen_list other;

	(void)state;
	seen_list_init(&other);
	assert_true(seen_add_file(&list, "/x", "one", 3));
	assert_true(seen_add_file(&list, "/x", "two", 3));
	assert_true(seen_add_file(&list, "/w", "one", 3));
	assert_int_equal(2, list.n);
	assert_string_equal("/w", list.items[0]->path);
	assert_true(seen_add_file(&other, "/x", "two", 3));
	assert_false(seen_same(list.items[1], other.items[0]));
	assert_true(seen_list_add_all(&other, &list));
	assert_int_equal(2, other.n);
	assert_false(seen_list_equal(&list, &other));
	seen_list_release(&other);
	assert_true(seen_list_add_all(&other, &list));
	assert_true(seen_list_equal(&list, &other));
	assert_true(seen_add_folder(&other, "/x", ".lua", NULL));
	assert_int_equal(3, other.n);
	assert_false(seen_list_equal(&list, &other));
	seen_list_release(&other);
}

static void has_a_ceiling(void **state)
{
	char path[32];

	(void)state;
	for (unsigned i = 0; i < SEEN_MAX; i++) {
		snprintf(path, sizeof path, "/%u", i * 7919 % SEEN_MAX);
		assert_true(seen_add_file(&list, path, "", 0));
	}
	assert_true(seen_add_file(&list, "/77", "", 0));
	assert_false(list.full);
	assert_false(seen_add_file(&list, "/one too many", "", 0));
	assert_true(list.full);
	assert_int_equal(SEEN_MAX, list.n);
	for (unsigned i = 1; i < SEEN_MAX; i++)
		assert_true(strcmp(list.items[i - 1]->path,
				   list.items[i]->path) < 0);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest specs[] = {
		SPEC(compares_the_content),
		SPEC(is_not_deceived_by_times),
		SPEC(does_not_read_what_is_surely_the_same),
		SPEC(keeps_what_was_read),
		SPEC(knows_what_was_not_there),
		SPEC(an_appearance_before_the_addition_shows),
		SPEC(knows_a_large_file_by_its_stat),
		SPEC(never_opens_a_pipe),
		SPEC(reads_files_without_a_size),
		SPEC(lists_a_folder),
		SPEC(a_path_is_made_absolute_at_once),
		SPEC(what_was_seen_first_stays),
		SPEC(has_a_ceiling),
	};

	return cmocka_run_group_tests(specs, NULL, NULL);
}
