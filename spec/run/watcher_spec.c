/* SPDX-License-Identifier: Apache-2.0 */
/* spec/net/watch_spec.c says what is told; this is about the thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/watcher.h"

static struct loop *loop;
static struct watcher *watcher;
static struct timer late;
static unsigned told;
static bool set_again;
static char path[64];

static void too_late(struct timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void put(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void watch(const char *text)
{
	struct seen_list list;

	seen_list_init(&list);
	seen_add_file(&list, path, text, strlen(text));
	watcher_set(watcher, &list);
	assert_int_equal(0, list.n);
}

static void on_changed(void *arg)
{
	assert_ptr_equal(&told, arg);
	told++;
	if (set_again)
		watch("one");
	loop_stop(loop);
}

static void start(bool poll)
{
	const struct watcher_options options = { .loop = loop,
						 .poll = poll,
						 .settle = 0.02,
						 .poll_every = 0.03,
						 .changed = on_changed,
						 .arg = &told };
	struct err err;

	watcher = watcher_new(&options, &err);
	if (!watcher)
		fail_msg("%s", err.text);
}

static int set_up(void **state)
{
	(void)state;
	told = 0;
	set_again = false;
	loop = loop_new();
	timer_init(loop, &late, too_late);
	snprintf(path, sizeof path, "/tmp/watcher_spec_XXXXXX");
	close(mkstemp(path));
	put("one");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	timer_release(&late);
	loop_free(loop);
	unlink(path);
	return 0;
}

static void end(void)
{
	assert_true(watcher_stop(watcher, 20));
	watcher_free(watcher);
}

static void wait_told(unsigned times)
{
	timer_start(&late, 20);
	while (told < times) {
		unsigned before = told;

		loop_run(loop);
		if (told == before)
			break;
	}
	timer_stop(&late);
	assert_int_equal(times, told);
}

static void tells_in_the_main_thread(void **state)
{
	(void)state;
	start(false);
	watch("one");
	put("two");
	wait_told(1);
	watch("two");
	put("three");
	wait_told(2);
	end();
}

static void polls_when_it_is_told_to(void **state)
{
	(void)state;
	start(true);
	watch("one");
	put("two");
	wait_told(1);
	end();
}

static void it_may_be_set_while_it_tells(void **state)
{
	(void)state;
	set_again = true;
	start(false);
	put("two");
	watch("one");
	wait_told(5);
	set_again = false;
	end();
}

/* Also with lists that nobody has taken, and with something to tell. */
static void ends_at_any_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		start(false);
		for (unsigned k = 0; k < i; k++)
			watch(k % 2 ? "one" : "other");
		if (i % 10 == 0)
			usleep(30000); /* about when it is told */
		end();
	}
	assert_int_equal(0, told);
}

/* What was told of an older list is not heard. */
static void the_last_list_counts(void **state)
{
	(void)state;
	start(false);
	for (unsigned i = 0; i < 1000; i++)
		watch(i % 2 ? "one" : "other");
	watch("other");
	wait_told(1);
	watch("one");
	timer_start(&late, 0.2);
	loop_run(loop);
	assert_int_equal(1, told);
	put("two");
	wait_told(2);
	end();
}

/* A file system whose server does not answer: whoever asks for something in it
 * waits until the descriptor is closed. */
static int mount_silence(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[80];

	snprintf(options, sizeof options,
		 "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	assert_int_equal(0, unlink(path));
	assert_int_equal(0, mkdir(path, 0700));
	if (fd < 0 || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", path, "fuse", 0, options)) {
		rmdir(path);
		return -1;
	}
	return fd;
}

static void watch_inside(void)
{
	struct seen_list list;
	char inside[80];

	seen_list_init(&list);
	snprintf(inside, sizeof inside, "/./%s/script.lua", path);
	seen_add_folder(&list, inside, ".lua", NULL); /* this asks nobody */
	watcher_set(watcher, &list);
}

static void nobody_waits_for_a_thread_that_is_stuck(void **state)
{
	int fd = mount_silence();

	(void)state;
	if (fd < 0)
		skip();
	start(false);
	for (unsigned i = 0; i < 1000; i++)
		watch_inside();
	assert_false(watcher_stop(watcher, 0.3));
	watcher_free(watcher); /* leaves it as it is */
	close(fd);
	end();
	assert_int_equal(0, umount2(path, MNT_DETACH));
	assert_int_equal(0, rmdir(path));
	assert_int_equal(0, told);
}

static void starts_and_ends_without_a_list(void **state)
{
	(void)state;
	start(false);
	end();
	watcher_free(NULL);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest specs[] = {
		SPEC(tells_in_the_main_thread),
		SPEC(polls_when_it_is_told_to),
		SPEC(it_may_be_set_while_it_tells),
		SPEC(ends_at_any_time),
		SPEC(the_last_list_counts),
		SPEC(nobody_waits_for_a_thread_that_is_stuck),
		SPEC(starts_and_ends_without_a_list),
	};

	return cmocka_run_group_tests(specs, NULL, NULL);
}
