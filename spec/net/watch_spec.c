/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to files is a table, and each of it is done with inotify and
 * with polling. That nothing is told is known when a second watch, a fence, has
 * told of what was done later, twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "files_world.h"
#include "net/files.h"
#include "net/watch.h"

static const double deadline = 30;

struct teller {
	struct watch *watch;
	unsigned told;
	char text[64]; /* of script.lua, when it was told */
};

static struct loop *loop;
static struct seen_list list;
static struct teller teller;
static struct timer late;
static double settle, poll_every;
static bool polling;

/* ---- the world ---- */

static void too_late(struct timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void on_changed(void *arg)
{
	struct teller *t = arg;
	char *text = files_read(world("script.lua"), 1 << 20, NULL, NULL);

	t->told++;
	snprintf(t->text, sizeof t->text, "%s", text ? text : "");
	free(text);
	loop_stop(loop);
}

static void teller_start(struct teller *t)
{
	const struct watch_options options = { .loop = loop,
					       .poll = polling,
					       .settle = settle,
					       .poll_every = poll_every,
					       .changed = on_changed,
					       .arg = t };

	*t = (struct teller){ .watch = watch_new(&options) };
}

static void run_for(double seconds)
{
	timer_start(&late, seconds);
	loop_run(loop);
	timer_stop(&late);
}

static void wait_told(struct teller *t, unsigned times)
{
	double end = loop_now(loop) + deadline;

	while (t->told < times && loop_now(loop) < end)
		run_for(end - loop_now(loop));
	assert_int_equal(times, t->told);
}

/* Lets pass what would have been told by now. */
static void fence(void)
{
	struct seen_list only;
	struct teller t;

	seen_list_init(&only);
	teller_start(&t);
	for (unsigned i = 1; i <= 2; i++) {
		put("fence", "up");
		seen_list_release(&only);
		see(&only, "fence");
		watch_set(t.watch, &only);
		put("fence", "down");
		wait_told(&t, i);
	}
	watch_free(t.watch);
	seen_list_release(&only);
}

static void quick(bool poll)
{
	polling = poll;
	settle = 0.02;
	poll_every = 0.03;
}

static int set_up(void **state)
{
	quick(false);
	loop = loop_new();
	timer_init(loop, &late, too_late);
	seen_list_init(&list);
	return world_make(state);
}

static int tear_down(void **state)
{
	watch_free(teller.watch);
	teller.watch = NULL;
	timer_release(&late);
	loop_free(loop);
	seen_list_release(&list);
	return world_clean(state);
}

/* Watches what is in the list. */
static void start(void)
{
	teller_start(&teller);
	watch_set(teller.watch, &list);
}

static void see_again(const char *name)
{
	seen_list_release(&list);
	see(&list, name);
	watch_set(teller.watch, &list);
}

/* ---- what is done to files ---- */

static void write_again(void)
{
	put("script.lua", "two");
}

static void write_the_same(void)
{
	put("script.lua", "one");
}

static void add_a_line(void)
{
	append("script.lua", "more");
}

static void empty_it(void)
{
	assert_int_equal(0, truncate(world("script.lua"), 0));
}

/* As vim does, with a backup: it also tries whether it may write there. */
static void save_like_vim(const char *text)
{
	put("4913", "");
	drop("4913");
	put(".script.lua.swp", "b0VIM");
	move("script.lua", "script.lua~");
	put("script.lua", text);
	assert_int_equal(0, chmod(world("script.lua"), 0644));
	drop("script.lua~");
	drop(".script.lua.swp");
}

static void vim(void)
{
	save_like_vim("two");
}

static void vim_without_a_change(void)
{
	save_like_vim("one");
}

static void sed(void)
{
	put("sedX1", "two");
	move("sedX1", "script.lua");
}

static void delete_it(void)
{
	drop("script.lua");
}

static void replace_it(void)
{
	drop("script.lua");
	put("script.lua", "two");
}

static void replace_with_the_same(void)
{
	drop("script.lua");
	put("script.lua", "one");
}

static void touch(void)
{
	assert_int_equal(0, utimensat(AT_FDCWD, world("script.lua"), NULL, 0));
}

static void change_its_mode(void)
{
	assert_int_equal(0, chmod(world("script.lua"), 0600));
}

static void write_others(void)
{
	put("other.lua", "two");
	put(".script.lua.swp", "b0VIM");
	put("script.lua~", "two");
	make_folder("new");
	assert_int_equal(0, mkfifo(world("pipe"), 0600));
}

static void make_it_a_folder(void)
{
	drop("script.lua");
	make_folder("script.lua");
}

static void make_it_a_pipe(void)
{
	drop("script.lua");
	assert_int_equal(0, mkfifo(world("script.lua"), 0600));
}

static void see_script(void)
{
	put("script.lua", "one");
	see(&list, "script.lua");
}

static void see_linked(void)
{
	put("script.lua", "one");
	make_folder("elsewhere");
	assert_int_equal(0, link(world("script.lua"), world("elsewhere/name")));
	see(&list, "script.lua");
}

static void write_by_the_other_name(void)
{
	put("elsewhere/name", "two");
}

static void exchange(void)
{
	put("other", "two");
	assert_int_equal(0, renameat2(AT_FDCWD, world("other"), AT_FDCWD,
				      world("script.lua"), RENAME_EXCHANGE));
}

static void link_over(void)
{
	put("other", "two");
	assert_int_equal(0, link(world("other"), world("third")));
	move("third", "script.lua");
}

static void see_nothing(void)
{
	see(&list, ".env");
}

static void make_env(void)
{
	put(".env", "A=1");
}

static void see_far_nothing(void)
{
	see(&list, "a/b/.env");
}

static void make_far_env(void)
{
	make_folder("a");
	make_folder("a/b");
	put("a/b/.env", "A=1");
}

static void make_folders_only(void)
{
	make_folder("a");
	make_folder("a/b");
}

static void see_dangling(void)
{
	link_to("a/target", "script.lua");
	see(&list, "script.lua");
}

static void make_target(void)
{
	make_folder("a");
	put("a/target", "one");
}

static void see_loop(void)
{
	link_to("other", "script.lua");
	link_to("script.lua", "other");
	see(&list, "script.lua");
}

static void cut_loop(void)
{
	drop("other");
	put("other", "one");
}

/* As kubelet lays it out. */
static void see_config_map(void)
{
	make_folder("map");
	make_folder("map/..2026_1");
	put("map/..2026_1/script.lua", "one");
	link_to("..2026_1", "map/..data");
	link_to("..data/script.lua", "map/script.lua");
	link_to("map/script.lua", "script.lua");
	see(&list, "script.lua");
}

static void swap_config_map(const char *text)
{
	make_folder("map/..2026_2");
	put("map/..2026_2/script.lua", text);
	link_to("..2026_2", "map/..data_tmp");
	move("map/..data_tmp", "map/..data");
	drop("map/..2026_1/script.lua");
	drop("map/..2026_1");
}

static void update_config_map(void)
{
	swap_config_map("two");
}

static void update_config_map_in_vain(void)
{
	swap_config_map("one");
}

static void see_in_folder(void)
{
	make_folder("folder");
	make_folder("folder/b");
	put("folder/b/script.lua", "one");
	see(&list, "folder/b/script.lua");
}

static void put_another_folder(void)
{
	make_folder("new");
	make_folder("new/b");
	put("new/b/script.lua", "two");
	move("folder", "old");
	move("new", "folder");
}

static void put_an_equal_folder(void)
{
	make_folder("new");
	make_folder("new/b");
	put("new/b/script.lua", "one");
	move("folder", "old");
	move("new", "folder");
}

static void remove_folder(void)
{
	drop("folder/b/script.lua");
	drop("folder/b");
	drop("folder");
}

static void make_folder_anew(void)
{
	remove_folder();
	make_folder("folder");
	make_folder("folder/b");
	put("folder/b/script.lua", "two");
}

static void see_through_links(void)
{
	char target[PATH_MAX];

	make_folder("x");
	make_folder("x/lib");
	put("x/lib/script.lua", "one");
	make_folder("y");
	make_folder("y/lib");
	put("y/lib/script.lua", "two");
	snprintf(target, sizeof target, "%s/./x//lib/../", world("."));
	link_to(target, "current");
	see(&list, "current/lib/../lib/script.lua");
}

static void swap_folder_link(void)
{
	link_to("y", "next");
	move("next", "current");
}

static void see_names(void)
{
	make_folder("d");
	put("d/a.lua", "one");
	see_folder(&list, "d");
}

static void add_name(void)
{
	put("d/b.lua", "");
}

static void add_name_by_link(void)
{
	link_to("a.lua", "d/b.lua");
}

static void change_name(void)
{
	move("d/a.lua", "d/b.lua");
}

static void move_name_away(void)
{
	move("d/a.lua", "a.lua");
}

static void remove_names(void)
{
	drop("d/a.lua");
	drop("d");
}

static void add_other_names(void)
{
	put("d/a.txt", "");
	put("d/.a.lua.swp", "");
	put("d/.b.lua", "");
	make_folder("d/c.lua");
	put("d/a.lua", "two");
}

static void see_no_folder(void)
{
	see_folder(&list, "d");
}

static void make_empty_folder(void)
{
	make_folder("d");
}

static void put_another_empty(void)
{
	drop("d/a.lua");
	drop("d");
	make_folder("d");
}

static void see_large(void)
{
	put("script.lua", "");
	assert_int_equal(0, truncate(world("script.lua"), SEEN_FILE_MAX + 9));
	see(&list, "script.lua");
}

static void grow_large(void)
{
	assert_int_equal(0, truncate(world("script.lua"), SEEN_FILE_MAX + 10));
}

static void see_many(void)
{
	char name[16];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "many%02u", i);
		put(name, "one");
		see(&list, name);
	}
}

static void change_the_last(void)
{
	put("many99", "two");
}

static const struct act {
	const char *name;
	void (*see)(void);
	void (*act)(void);
	bool told;
} acts[] = {
	{ "write again", see_script, write_again, true },
	{ "write the same", see_script, write_the_same, false },
	{ "append", see_script, add_a_line, true },
	{ "truncate", see_script, empty_it, true },
	{ "vim", see_script, vim, true },
	{ "vim without a change", see_script, vim_without_a_change, false },
	{ "sed -i", see_script, sed, true },
	{ "delete", see_script, delete_it, true },
	{ "replace", see_script, replace_it, true },
	{ "replace with the same", see_script, replace_with_the_same, false },
	{ "exchange", see_script, exchange, true },
	{ "link over it", see_script, link_over, true },
	{ "touch", see_script, touch, false },
	{ "chmod", see_script, change_its_mode, false },
	{ "others", see_script, write_others, false },
	{ "a folder instead", see_script, make_it_a_folder, true },
	{ "a pipe instead", see_script, make_it_a_pipe, true },
	{ "by another name", see_linked, write_by_the_other_name, true },
	{ "make what was not there", see_nothing, make_env, true },
	{ "others where nothing was", see_nothing, write_others, false },
	{ "make it with folders", see_far_nothing, make_far_env, true },
	{ "folders only", see_far_nothing, make_folders_only, false },
	{ "the target of a link", see_dangling, make_target, true },
	{ "a loop of links", see_loop, cut_loop, true },
	{ "ConfigMap", see_config_map, update_config_map, true },
	{ "equal ConfigMap", see_config_map, update_config_map_in_vain, false },
	{ "another folder", see_in_folder, put_another_folder, true },
	{ "an equal folder", see_in_folder, put_an_equal_folder, false },
	{ "remove folders", see_in_folder, remove_folder, true },
	{ "make folders anew", see_in_folder, make_folder_anew, true },
	{ "swap a link to a folder", see_through_links, swap_folder_link,
	  true },
	{ "add a name", see_names, add_name, true },
	{ "add a link", see_names, add_name_by_link, true },
	{ "change a name", see_names, change_name, true },
	{ "move a name away", see_names, move_name_away, true },
	{ "remove all names", see_names, remove_names, true },
	{ "other names", see_names, add_other_names, false },
	{ "make the folder", see_no_folder, make_empty_folder, true },
	{ "an empty folder instead", see_names, put_another_empty, true },
	{ "a large file", see_large, grow_large, true },
	{ "one of many", see_many, change_the_last, true },
};

static void act(const struct act *a)
{
	a->see();
	start();
	fence();
	assert_int_equal(0, teller.told);
	a->act();
	if (a->told)
		wait_told(&teller, 1);
	fence();
	if (teller.told != a->told)
		fail_msg("%s: told %u times", a->name, teller.told);
}

static void do_all(void **state, bool poll)
{
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		print_message("# %s\n", acts[i].name);
		set_up(state);
		quick(poll);
		act(&acts[i]);
		tear_down(state);
	}
}

static void tells_what_changed(void **state)
{
	do_all(state, false);
}

static void tells_the_same_by_polling(void **state)
{
	do_all(state, true);
}

/* ---- when it is told ---- */

/* Before it was watched, and while nobody looked. */
static void a_change_before_the_watch_is_told(void **state)
{
	(void)state;
	put("script.lua", "one");
	see(&list, "script.lua");
	put("script.lua", "two");
	start();
	assert_int_equal(0, teller.told);
	wait_told(&teller, 1);
}

static void tells_once_until_it_is_set_again(void **state)
{
	(void)state;
	see_script();
	start();
	fence();
	put("script.lua", "two");
	wait_told(&teller, 1);
	put("script.lua", "three");
	fence();
	assert_int_equal(1, teller.told);
	watch_set(teller.watch, &list);
	wait_told(&teller, 2);
	see_again("script.lua");
	fence();
	assert_int_equal(2, teller.told);
	put("script.lua", "four");
	wait_told(&teller, 3);
}

/* The log goes to a file for as long. */
static void says_what_changed_in_the_debug_log(void **state)
{
	int log = open(world("log"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int before = fcntl(2, F_DUPFD_CLOEXEC, 3);
	char *text, line[400];

	(void)state;
	see_script();
	see(&list, "other.lua");
	start();
	log_set_level(LOG_DEBUG);
	dup2(log, 2);
	put("script.lua", "two");
	wait_told(&teller, 1);
	dup2(before, 2);
	log_set_level(LOG_INFO);
	text = files_read(world("log"), 10000, NULL, NULL);
	snprintf(line, sizeof line, "level=debug msg=changed path=%s\n",
		 world("script.lua"));
	assert_non_null(strstr(text, line));
	assert_null(strstr(text, "other.lua"));
	free(text);
	close(before);
	close(log);
}

/* What is not in the new list is not watched any more. */
static void watches_what_was_set_last(void **state)
{
	(void)state;
	see_script();
	put("other.lua", "one");
	start();
	see_again("other.lua");
	fence();
	put("script.lua", "two");
	fence();
	assert_int_equal(0, teller.told);
	put("other.lua", "two");
	wait_told(&teller, 1);
}

static int open_for_writing(int flags)
{
	int fd = open(world("script.lua"), O_WRONLY | O_CREAT | flags, 0644);

	assert_true(fd >= 0);
	return fd;
}

/* Longer than it takes to settle, in pieces; CLOSING says whether it ends. */
static void write_slowly(int fd, bool closing)
{
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(1, write(fd, "x", 1));
		run_for(0.1);
		assert_int_equal(0, teller.told);
	}
	if (closing)
		close(fd);
}

static void waits_for_a_slow_writer(void **state)
{
	(void)state;
	see_script();
	start();
	fence();
	write_slowly(open_for_writing(O_TRUNC), true);
	wait_told(&teller, 1);
	assert_string_equal("xxxxx", teller.text);
}

static void waits_for_one_who_makes_the_file(void **state)
{
	(void)state;
	see(&list, "script.lua");
	start();
	fence();
	write_slowly(open_for_writing(O_EXCL), true);
	wait_told(&teller, 1);
	assert_string_equal("xxxxx", teller.text);
}

/* The name is there at once, what is in the file comes later. */
static void waits_for_a_new_script_in_a_folder(void **state)
{
	int fd;

	(void)state;
	make_folder("d");
	see_folder(&list, "d");
	start();
	fence();
	fd = open(world("d/new.lua"), O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	write_slowly(fd, true);
	wait_told(&teller, 1);
}

static void waits_for_a_slow_writer_by_polling(void **state)
{
	(void)state;
	polling = true;
	poll_every = 0.5;
	see_script();
	start();
	fence();
	write_slowly(open_for_writing(O_TRUNC), true);
	wait_told(&teller, 1);
	assert_string_equal("xxxxx", teller.text);
}

/* About 2 seconds after it fell silent. */
static void does_not_wait_for_ever_for_a_writer(void **state)
{
	int fd = open_for_writing(O_TRUNC);
	double begin;

	(void)state;
	see_script();
	start();
	fence();
	begin = loop_now(loop);
	write_slowly(fd, false);
	wait_told(&teller, 1);
	assert_true(loop_now(loop) - begin > 2);
	assert_true(loop_now(loop) - begin < 8);
	close(fd);
}

static int steady_fd;

static void write_on(struct timer *timer)
{
	assert_int_equal(1, write(steady_fd, "x", 1));
	timer_start(timer, 0.05);
}

/* Neither silent nor closed; it is told after 10 seconds. */
static void a_writer_that_never_ends_is_told(void **state)
{
	struct timer again;
	double begin;

	(void)state;
	see_script();
	start();
	fence();
	steady_fd = open_for_writing(O_APPEND);
	timer_init(loop, &again, write_on);
	begin = loop_now(loop);
	write_on(&again);
	wait_told(&teller, 1);
	assert_true(loop_now(loop) - begin > 9);
	timer_release(&again);
	close(steady_fd);
}

static void change_again(struct timer *timer)
{
	static unsigned number;
	char text[16];

	snprintf(text, sizeof text, "%u", ++number);
	put("script.lua", text);
	timer_start(timer, 0.01);
}

static void a_burst_that_never_ends_is_told(void **state)
{
	struct timer again;
	double begin;

	(void)state;
	settle = 0.5;
	see_script();
	start();
	timer_init(loop, &again, change_again);
	begin = loop_now(loop);
	change_again(&again);
	wait_told(&teller, 1);
	assert_true(loop_now(loop) - begin > 1.9);
	assert_true(loop_now(loop) - begin < 8);
	timer_release(&again);
}

/* The queue is full of what does not matter when it is changed. */
static void compares_all_after_an_overflow(void **state)
{
	unsigned most = 0;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

	(void)state;
	assert_non_null(file);
	assert_int_equal(1, fscanf(file, "%u", &most));
	fclose(file);
	if (most > 100000)
		skip();
	see_script();
	start();
	fence();
	for (unsigned i = 0; i < most; i++) {
		put(i % 2 ? "a" : "b", "");
		drop(i % 2 ? "a" : "b");
	}
	put("script.lua", "two");
	wait_told(&teller, 1);
}

/* Its removal makes no event in a folder that somebody stands in. */
static void a_folder_is_made_anew_around_somebody(void **state)
{
	int here = open(".", O_RDONLY | O_CLOEXEC);

	(void)state;
	see_in_folder();
	drop("folder/b/script.lua");
	start();
	see_again("folder/b/script.lua");
	assert_int_equal(0, chdir(world("folder/b")));
	fence();
	assert_int_equal(0, teller.told);
	drop("folder/b");
	make_folder("folder/b");
	fence();
	put("folder/b/script.lua", "two");
	wait_told(&teller, 1);
	assert_int_equal(0, fchdir(here));
	close(here);
}

/* ---- where inotify does not help ---- */

/* /proc changes without events, so it is polled. */
static void polls_where_there_are_no_events(void **state)
{
	(void)state;
	see_script();
	assert_int_equal(0, prctl(PR_SET_NAME, "before"));
	see(&list, "/proc/thread-self/comm");
	start();
	fence();
	assert_int_equal(0, teller.told);
	assert_int_equal(0, prctl(PR_SET_NAME, "after"));
	wait_told(&teller, 1);
}

static void polls_without_a_descriptor(void **state)
{
	struct rlimit before, none;

	(void)state;
	assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
	none = before;
	none.rlim_cur = 0;
	see_script();
	log_set_level(LOG_ERROR);
	assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
	teller_start(&teller);
	assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
	log_set_level(LOG_INFO);
	watch_set(teller.watch, &list);
	fence();
	assert_int_equal(0, teller.told);
	put("script.lua", "two");
	wait_told(&teller, 1);
}

static bool write_to(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	bool ok = file && fputs(text, file) >= 0;

	return file && fclose(file) == 0 && ok;
}

/* The exit status says what became of it: a user namespace of its own has a
 * limit of its own, and a process with threads could not enter one. */
static int with_few_marks(void)
{
	if (unshare(CLONE_NEWUSER) ||
	    !write_to("/proc/sys/user/max_inotify_watches", "2"))
		return 77;
	log_set_level(LOG_ERROR);
	start();
	run_for(0.2);
	if (teller.told)
		return 1;
	put("script.lua", "two");
	for (unsigned i = 0; i < 100 && !teller.told; i++)
		run_for(0.1);
	return teller.told == 1 ? 0 : 2;
}

static void polls_when_there_are_no_more_marks(void **state)
{
	int status;
	pid_t child;

	(void)state;
	see_script();
	assert_int_equal(0, chmod(world("."), 0777));
	assert_int_equal(0, chmod(world("script.lua"), 0666));
	child = fork();
	if (child == 0) {
		assert_int_equal(0, uv_loop_fork(loop_uv(loop)));
		_exit(with_few_marks());
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(0, WEXITSTATUS(status));
}

/* ---- as root ---- */

/* Mounts are seen, though they make no event in the folder. */
static void tells_of_what_is_mounted_over_a_folder(void **state)
{
	(void)state;
	see_in_folder();
	start();
	fence();
	if (mount("none", world("folder"), "tmpfs", 0, NULL))
		skip();
	wait_told(&teller, 1);
	assert_int_equal(0, umount2(world("folder"), MNT_DETACH));
	see_again("folder/b/script.lua");
	fence();
	assert_int_equal(1, teller.told);
	put("folder/b/script.lua", "two");
	wait_told(&teller, 2);
}

/* Only somebody else than root finds a file unreadable. */
static void tells_when_a_file_may_be_read_or_not(void **state)
{
	(void)state;
	see_script();
	assert_int_equal(0, chown(world("."), 65534, 65534));
	if (geteuid() || seteuid(65534))
		skip();
	start();
	fence();
	assert_int_equal(0, seteuid(0));
	assert_int_equal(0, chmod(world("script.lua"), 0));
	assert_int_equal(0, seteuid(65534));
	wait_told(&teller, 1);
	see_again("script.lua");
	assert_int_equal(SEEN_NOTHING, list.items[0]->state.what);
	fence();
	assert_int_equal(1, teller.told);
	assert_int_equal(0, seteuid(0));
	assert_int_equal(0, chmod(world("script.lua"), 0644));
	assert_int_equal(0, seteuid(65534));
	wait_told(&teller, 2);
	assert_int_equal(0, seteuid(0));
}

/* ---- what it costs ---- */

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Marks of all inotify descriptors. */
static unsigned marks(void)
{
	char path[64], line[256];
	unsigned n = 0;

	for (int fd = 0; fd < 1000; fd++) {
		FILE *file;

		snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
		file = fopen(path, "r");
		while (file && fgets(line, sizeof line, file))
			n += strncmp(line, "inotify", 7) == 0;
		if (file)
			fclose(file);
	}
	return n;
}

static void set_many_times(unsigned times, const struct seen_list *other)
{
	for (unsigned i = 0; i < times; i++) {
		watch_set(teller.watch, i % 2 ? &list : other);
		if (i % 100 == 0)
			run_for(0);
	}
}

static void stays_flat(void **state)
{
	struct seen_list other;
	unsigned before[2];
	size_t memory;

	(void)state;
	see_script();
	see(&list, "not there");
	see_names();
	put("other.lua", "one");
	seen_list_init(&other);
	see(&other, "other.lua");
	see(&other, "d/a.lua");
	start();
	set_many_times(100, &other);
	fence();
	before[0] = descriptors();
	before[1] = marks();
	memory = mallinfo2().uordblks;
	set_many_times(10000, &other);
	fence();
	assert_int_equal(before[0], descriptors());
	assert_int_equal(before[1], marks());
	assert_true(mallinfo2().uordblks < memory + 10000);
	assert_int_equal(0, teller.told);
	seen_list_release(&other);
	watch_set(teller.watch, &other);
	assert_int_equal(0, marks());
	watch_set(teller.watch, &list);
	assert_int_equal(before[1], marks());
	put("script.lua", "two");
	wait_told(&teller, 1);
}

static void count_round(uv_prepare_t *prepare)
{
	++*(unsigned *)prepare->data;
}

/* The limit leaves room for what others do in the folders above, which is seen
 * no more often than each half of `settle`; polling would be 200 rounds. */
static void sleeps_while_nothing_happens(void **state)
{
	static uv_prepare_t prepare; /* closed with the loop */
	unsigned rounds = 0;

	(void)state;
	settle = 0.1;
	poll_every = 0.003;
	see_script();
	see_names();
	see(&list, ".env");
	start();
	fence();
	uv_prepare_init(loop_uv(loop), &prepare);
	prepare.data = &rounds;
	uv_prepare_start(&prepare, count_round);
	run_for(0.6);
	uv_prepare_stop(&prepare);
	assert_true(rounds < 60);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest specs[] = {
		cmocka_unit_test(tells_what_changed),
		cmocka_unit_test(tells_the_same_by_polling),
		SPEC(a_change_before_the_watch_is_told),
		SPEC(tells_once_until_it_is_set_again),
		SPEC(says_what_changed_in_the_debug_log),
		SPEC(watches_what_was_set_last),
		SPEC(waits_for_a_slow_writer),
		SPEC(waits_for_one_who_makes_the_file),
		SPEC(waits_for_a_new_script_in_a_folder),
		SPEC(waits_for_a_slow_writer_by_polling),
		SPEC(does_not_wait_for_ever_for_a_writer),
		SPEC(a_writer_that_never_ends_is_told),
		SPEC(a_burst_that_never_ends_is_told),
		SPEC(compares_all_after_an_overflow),
		SPEC(a_folder_is_made_anew_around_somebody),
		SPEC(polls_where_there_are_no_events),
		SPEC(polls_without_a_descriptor),
		SPEC(polls_when_there_are_no_more_marks),
		SPEC(tells_of_what_is_mounted_over_a_folder),
		SPEC(tells_when_a_file_may_be_read_or_not),
		SPEC(stays_flat),
		SPEC(sleeps_while_nothing_happens),
	};

	/* Mounts of others are no business of these specs, nor the other way.
	 */
	if (unshare(CLONE_NEWNS) == 0)
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return cmocka_run_group_tests(specs, NULL, NULL);
}
