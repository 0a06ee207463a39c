/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "beat.h"
#include "core/mem.h"
#include "net/spawn.h"

/* ---- a loop, and waiting on it ---- */

static struct loop *loop;
static struct spawner *spawner;

static void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_ONCE);
}

static int start(void **state)
{
	(void)state;
	alarm(60);
	loop = loop_new();
	beat_start(loop);
	spawner = spawner_new(loop);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	spawner_free(spawner);
	loop_free(loop);
	return 0;
}

/* How a run ended; the texts are kept. */
struct outcome {
	unsigned calls;
	bool failed;
	struct err err;
	struct spawn_result result;
	char *out, *stderr_text;
	size_t out_len;
};

static void release(struct outcome *outcome)
{
	free(outcome->out);
	free(outcome->stderr_text);
	outcome->out = outcome->stderr_text = NULL;
}

static void on_done(void *arg, struct spawn_result *result,
		    const struct err *err)
{
	struct outcome *outcome = arg;

	release(outcome);
	outcome->calls++;
	outcome->failed = err;
	if (err) {
		outcome->err = *err;
		return;
	}
	outcome->result = *result;
	outcome->out_len = result->out.len;
	outcome->out = mem_string(buf_text(&result->out));
	outcome->stderr_text = mem_string(buf_text(&result->err));
}

static struct spawn_request request_of(const char *const *argv)
{
	return (struct spawn_request){ .command = { .argv = argv },
				       .timeout = 20,
				       .max = SPAWN_OUTPUT };
}

#define COMMAND(...) request_of((const char *const[]){ __VA_ARGS__, NULL })
#define SHELL(script) COMMAND("sh", "-c", script)

static void run(struct outcome *outcome, struct spawn_request request)
{
	*outcome = (struct outcome){ 0 };
	spawn_start(spawner, &request, on_done, outcome);
	assert_int_equal(0, outcome->calls);
	while (!outcome->calls)
		turn();
	assert_int_equal(1, outcome->calls);
}

/* Its standard output, to be freed. */
static char *output_of(struct spawn_request request)
{
	struct outcome outcome;

	run(&outcome, request);
	if (outcome.failed)
		fail_msg("%s", outcome.err.text);
	assert_int_equal(0, outcome.result.signal);
	assert_int_equal(0, outcome.result.status);
	free(outcome.stderr_text);
	return outcome.out;
}

static void expect_output(const char *text, struct spawn_request request)
{
	char *out = output_of(request);

	assert_string_equal(text, out);
	free(out);
}

static void expect_failure(enum err_code code, const char *sentence,
			   struct spawn_request request)
{
	struct outcome outcome;

	run(&outcome, request);
	assert_true(outcome.failed);
	assert_string_equal(sentence, outcome.err.text);
	assert_int_equal(code, outcome.err.code);
}

/* ---- what there is in /proc ---- */

/* The state of a process, 0 when it is not there, and its parent. */
static char state_of(pid_t pid, pid_t *parent)
{
	char path[64], line[512] = "", *after;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(line, sizeof line, file))
		line[0] = '\0';
	fclose(file);
	after = strrchr(line, ')');
	if (!after)
		return 0;
	*parent = (pid_t)strtol(after + 4, NULL, 10);
	return after[2];
}

static bool is_alive(pid_t pid)
{
	pid_t parent;
	char state = state_of(pid, &parent);

	return state && state != 'Z' && state != 'X';
}

static rlim_t first_free(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	return (rlim_t)fd;
}

/* Also those that nobody has waited for. */
static unsigned count_children(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned n = 0;
	pid_t parent;

	assert_non_null(proc);
	while ((entry = readdir(proc)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    state_of((pid_t)atoi(entry->d_name), &parent) &&
		    parent == getpid())
			n++;
	closedir(proc);
	return n;
}

static unsigned count_entries(const char *folder)
{
	DIR *dir = opendir(folder);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The end of an abandoned process is seen by the loop. */
static void until_none_runs(void)
{
	while (spawner_running(spawner))
		turn();
	assert_int_equal(0, count_children());
}

/* ... or by a thread. */
static void until_no_child(void)
{
	while (count_children())
		usleep(1000);
}

static void until_dead(pid_t pid)
{
	while (is_alive(pid))
		usleep(1000);
}

/* ---- results ---- */

static void tells_the_exit_status(void **state)
{
	struct outcome outcome;

	(void)state;
	expect_output("", COMMAND("true"));
	run(&outcome, SHELL("echo out; echo err >&2; exit 3"));
	assert_false(outcome.failed);
	assert_int_equal(3, outcome.result.status);
	assert_int_equal(0, outcome.result.signal);
	assert_string_equal("out\n", outcome.out);
	assert_string_equal("err\n", outcome.stderr_text);
	assert_true(outcome.result.seconds > 0 && outcome.result.seconds < 20);
	release(&outcome);
}

static void tells_the_signal_that_ended_it(void **state)
{
	struct outcome outcome;

	(void)state;
	run(&outcome, SHELL("kill -TERM $$"));
	assert_false(outcome.failed);
	assert_int_equal(SIGTERM, outcome.result.signal);
	release(&outcome);
}

static void passes_arguments_as_they_are(void **state)
{
	(void)state;
	expect_output("<a b><$HOME;'\"><>",
		      COMMAND("printf", "<%s>", "a b", "$HOME;'\"", ""));
}

static void passes_the_environment(void **state)
{
	struct spawn_request request = COMMAND("env");
	const char *const own[] = { "A=1", "B=x y=z", NULL };
	char *out;

	(void)state;
	setenv("SPAWN_SPEC", "inherited", 1);
	out = output_of(request);
	assert_non_null(strstr(out, "SPAWN_SPEC=inherited\n"));
	free(out);
	request.command.envp = own;
	expect_output("A=1\nB=x y=z\n", request);
}

static void looks_in_the_path_of_the_command(void **state)
{
	struct spawn_request request = COMMAND("true");
	const char *const nowhere[] = { "PATH=/nowhere", NULL };
	const char *const relative[] = { "PATH=.::bin", NULL };
	const char *const second[] = { "PATH=/nowhere:/usr/bin", NULL };

	(void)state;
	request.command.envp = nowhere;
	expect_failure(ERR_USAGE, "true: no such file or directory", request);
	request.command.envp = second;
	expect_output("", request);
	assert_int_equal(0, chdir("/usr/bin"));
	request.command.envp = relative;
	expect_failure(ERR_USAGE, "true: no such file or directory", request);
	assert_int_equal(0, chdir("/usr"));
	expect_failure(ERR_USAGE, "true: no such file or directory", request);
	request = COMMAND("bin/true");
	expect_output("", request);
}

static void runs_in_a_folder(void **state)
{
	struct spawn_request request = COMMAND("pwd");

	(void)state;
	request.command.dir = "/usr";
	expect_output("/usr\n", request);
	request.command.dir = "/usr/none";
	expect_failure(ERR_IO,
		       "pwd: the folder to run it in: no such file or "
		       "directory",
		       request);
}

/* ---- input ---- */

static void gives_nothing_to_read_without_input(void **state)
{
	(void)state;
	expect_output("/dev/null\n", COMMAND("readlink", "/proc/self/fd/0"));
	expect_output("", COMMAND("cat"));
}

static void gives_input(void **state)
{
	struct spawn_request request = COMMAND("cat");

	(void)state;
	request.command.input = STR("one\ntwo");
	expect_output("one\ntwo", request);
	request.command.input = STR("");
	expect_output("", request);
}

static void gives_more_than_a_pipe_holds(void **state)
{
	struct spawn_request request = COMMAND("wc", "-c");
	char *data = mem_alloc(SPAWN_INPUT_MAX + 1);

	(void)state;
	request.command.input = (struct str){ data, SPAWN_INPUT_MAX };
	expect_output("16777216\n", request);
	request.command.input.len++;
	expect_failure(ERR_IO,
		       "wc: its input has 16777217 bytes, at most 16777216 "
		       "are passed",
		       request);
	free(data);
}

static void does_not_mind_input_that_is_not_read(void **state)
{
	struct spawn_request request = SHELL("exec <&-; echo done");
	char *data = mem_alloc(1 << 20);

	(void)state;
	request.command.input = (struct str){ data, 1 << 20 };
	expect_output("done\n", request);
	free(data);
}

/* ---- what cannot be begun ---- */

static void says_that_there_is_no_such_command(void **state)
{
	(void)state;
	expect_failure(ERR_USAGE, "no-such-command: no such file or directory",
		       COMMAND("no-such-command", "--password=x"));
	expect_failure(ERR_USAGE, "/none/df: no such file or directory",
		       COMMAND("/none/df", "-k"));
	expect_failure(ERR_USAGE, "/none/df: no such file or directory",
		       COMMAND("/none/df --password=x"));
	expect_failure(ERR_USAGE, ": no such file or directory", COMMAND(""));
}

static void says_that_it_may_not_be_executed(void **state)
{
	(void)state;
	expect_failure(ERR_DENIED, "/etc/passwd: permission denied",
		       COMMAND("/etc/passwd"));
	expect_failure(ERR_DENIED, "/etc: permission denied", COMMAND("/etc"));
}

static void write_script(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(strlen(text), write(fd, text, strlen(text)));
	close(fd);
}

static void says_what_is_wrong_with_a_script(void **state)
{
	char folder[] = "/tmp/spawn_spec_XXXXXX", path[64], sentence[256];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/script", folder);
	write_script(path, "#!/none/interpreter\n");
	snprintf(sentence, sizeof sentence,
		 "%s: the interpreter in its first line: no such file or "
		 "directory",
		 path);
	expect_failure(ERR_IO, sentence, COMMAND(path));
	unlink(path);
	write_script(path, "echo no shell takes this\n");
	snprintf(sentence, sizeof sentence,
		 "%s: not a program for this machine, nor a script that begins "
		 "with #!",
		 path);
	expect_failure(ERR_IO, sentence, COMMAND(path));
	unlink(path);
	rmdir(folder);
}

static void bounds_the_number_of_arguments(void **state)
{
	const char **argv = mem_array(SPAWN_ARGUMENTS_MAX + 2, sizeof *argv);

	(void)state;
	for (int i = 0; i < SPAWN_ARGUMENTS_MAX; i++)
		argv[i] = "true";
	expect_output("", request_of(argv));
	argv[SPAWN_ARGUMENTS_MAX] = "true";
	expect_failure(ERR_IO,
		       "true: has 1000 arguments, at most 999 are passed",
		       request_of(argv));
	free(argv);
}

/* With ever more descriptors, until it can be started. */
static void does_without_descriptors(void **state)
{
	unsigned used = count_entries("/proc/self/fd"), more = 0;
	struct rlimit before, limit;
	struct outcome outcome = { 0 };

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	do {
		limit = before;
		limit.rlim_cur = first_free() + more;
		setrlimit(RLIMIT_NOFILE, &limit);
		run(&outcome, COMMAND("true"));
		setrlimit(RLIMIT_NOFILE, &before);
		if (outcome.failed)
			assert_string_equal("true: cannot be started: too "
					    "many open files (ulimit -n)",
					    outcome.err.text);
		assert_int_equal(0, count_children());
		assert_int_equal(used, count_entries("/proc/self/fd"));
	} while (outcome.failed && ++more < 20);
	/* Its stdin, two pipes and the pidfd; there may be gaps. */
	assert_in_range(more, 6, 19);
	release(&outcome);
}

/* ---- ends that are ours ---- */

/* Runs SCRIPT, which prints the numbers of two processes, for a moment. */
static void ends_both_at_the_deadline(const char *script)
{
	struct spawn_request request = SHELL(script);
	char path[] = "/tmp/spawn_spec_XXXXXX", sentence[64];
	const char *env[] = { "PATH=/usr/bin:/bin", "FILE=XXXX", NULL };
	char variable[64];
	int fd = mkstemp(path), first, second;
	FILE *file = fdopen(fd, "r");
	struct outcome outcome = { 0 };

	snprintf(variable, sizeof variable, "FILE=%s", path);
	env[1] = variable;
	request.command.envp = env;
	request.timeout = 1;
	snprintf(sentence, sizeof sentence,
		 "sh: still running after 1 s, killed");
	spawn_start(spawner, &request, on_done, &outcome);
	while (fscanf(file, "%d %d", &first, &second) != 2) {
		rewind(file);
		turn();
	}
	assert_true(is_alive(first));
	while (!outcome.calls)
		turn();
	assert_string_equal(sentence, outcome.err.text);
	assert_int_equal(ERR_TIMEOUT, outcome.err.code);
	until_dead(first);
	until_dead(second);
	until_none_runs();
	fclose(file);
	unlink(path);
}

static void kills_the_whole_group_at_the_deadline(void **state)
{
	(void)state;
	ends_both_at_the_deadline("sleep 100 & echo $$ $! >$FILE; wait");
}

static void kills_who_ignores_signals(void **state)
{
	(void)state;
	ends_both_at_the_deadline(
		"trap '' TERM HUP INT; (sleep 100) & echo $$ $! >$FILE; "
		"while :; do sleep 1; done");
}

static void kills_who_is_stopped(void **state)
{
	(void)state;
	ends_both_at_the_deadline(
		"sleep 100 & echo $$ $! >$FILE; kill -STOP $$; wait");
}

static void kills_who_says_too_much(void **state)
{
	struct spawn_request request = COMMAND("yes");

	(void)state;
	request.max = 100000;
	expect_failure(ERR_LIMIT,
		       "yes: wrote more than 100000 bytes to stdout, killed",
		       request);
	until_none_runs();
	request = SHELL("yes >&2");
	request.max = 100000;
	expect_failure(ERR_LIMIT,
		       "sh: wrote more than 100000 bytes to stderr, killed",
		       request);
	until_none_runs();
	request = SHELL("head -c 11 /dev/zero");
	request.max = 10;
	expect_failure(ERR_LIMIT,
		       "sh: wrote more than 10 bytes to stdout, killed",
		       request);
}

static void takes_what_is_just_enough(void **state)
{
	struct spawn_request request =
		COMMAND("head", "-c", "300000", "/dev/zero");
	struct outcome outcome;

	(void)state;
	request.max = 300000;
	run(&outcome, request);
	assert_false(outcome.failed);
	assert_int_equal(300000, outcome.out_len);
	release(&outcome);
}

static void does_not_wait_for_who_has_the_pipe(void **state)
{
	struct outcome outcome;
	pid_t pid;

	(void)state;
	run(&outcome, SHELL("sleep 100 & echo $!"));
	assert_false(outcome.failed);
	assert_int_equal(0, outcome.result.status);
	pid = (pid_t)atoi(outcome.out);
	assert_true(pid > 0);
	until_dead(pid);
	release(&outcome);
	assert_int_equal(0, count_children());
}

static void takes_what_comes_right_after_the_end(void **state)
{
	(void)state;
	expect_output("first\nlast\n",
		      SHELL("(sleep 0.02; echo last) & echo first"));
}

static void ends_who_stays_behind_without_a_pipe(void **state)
{
	char *out;

	(void)state;
	out = output_of(SHELL("sleep 100 >/dev/null 2>&1 & echo $!"));
	until_dead((pid_t)atoi(out));
	free(out);
}

/* As the init process of a container has to. */
static void waits_for_orphans_where_they_come_to_us(void **state)
{
	struct outcome outcome;
	struct spawn_request request =
		SHELL("(sleep 100 & (sleep 100 & sleep 100) & sleep 100) & "
		      "sleep 100");

	(void)state;
	assert_int_equal(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	request.timeout = 0.2;
	run(&outcome, request);
	assert_true(outcome.failed);
	release(&outcome);
	while (spawner_running(spawner))
		turn();
	until_no_child();
	free(output_of(SHELL("sleep 100 >/dev/null 2>&1 & echo $!")));
	until_no_child();
	assert_int_equal(0, prctl(PR_SET_CHILD_SUBREAPER, 0));
}

static void goes_on_when_the_output_is_closed(void **state)
{
	struct outcome outcome;

	(void)state;
	run(&outcome, SHELL("exec >&- 2>&-; sleep 0.05; exit 4"));
	assert_false(outcome.failed);
	assert_int_equal(4, outcome.result.status);
	release(&outcome);
}

static void until_it_is_a_zombie(void)
{
	siginfo_t info;

	assert_int_equal(0, waitid(P_ALL, 0, &info, WEXITED | WNOWAIT));
}

/* A loop that is late finds the timer and the end at once. */
static void prefers_the_end_to_the_deadline(void **state)
{
	struct spawn_request request = SHELL("echo in time");
	struct outcome outcome = { 0 };

	(void)state;
	request.timeout = 0.2;
	spawn_start(spawner, &request, on_done, &outcome);
	until_it_is_a_zombie();
	usleep(200000); /* now the deadline is over as well */
	while (!outcome.calls)
		turn();
	assert_false(outcome.failed);
	assert_string_equal("in time\n", outcome.out);
	release(&outcome);
}

/* ---- cancelling ---- */

static void is_cancelled(void **state)
{
	struct spawn_request request = COMMAND("sleep", "100");
	struct outcome outcome = { 0 };

	(void)state;
	spawn_cancel(spawn_start(spawner, &request, on_done, &outcome));
	until_none_runs();
	assert_int_equal(0, outcome.calls);
}

static void is_cancelled_when_it_has_just_ended(void **state)
{
	struct spawn_request request = COMMAND("true");
	struct outcome outcome = { 0 };
	struct spawn *spawn = spawn_start(spawner, &request, on_done, &outcome);

	(void)state;
	until_it_is_a_zombie();
	spawn_cancel(spawn);
	assert_int_equal(0, count_children());
	assert_int_equal(0, spawner_running(spawner));
	turn();
	assert_int_equal(0, outcome.calls);
}

static void is_cancelled_before_it_says_what_failed(void **state)
{
	struct spawn_request request = COMMAND("no-such-command");
	struct outcome outcome = { 0 };

	(void)state;
	spawn_cancel(spawn_start(spawner, &request, on_done, &outcome));
	for (int i = 0; i < 10; i++)
		turn();
	assert_int_equal(0, outcome.calls);
}

static void leaves_nothing_when_all_is_freed(void **state)
{
	struct spawn_request running = COMMAND("sleep", "100");
	struct spawn_request over = COMMAND("true");
	struct outcome outcome = { 0 };

	(void)state;
	spawn_start(spawner, &over, on_done, &outcome);
	until_it_is_a_zombie();
	for (int i = 0; i < SPAWN_PLACES + 4; i++)
		spawn_start(spawner, &running, on_done, &outcome);
	assert_int_equal(SPAWN_PLACES, count_children());
	spawner_free(spawner);
	loop_free(loop);
	until_no_child();
	assert_int_equal(0, outcome.calls);
	start(state);
}

/* ---- places ---- */

static void runs_so_many_at_a_time(void **state)
{
	struct spawn_request request = COMMAND("sleep", "0.05");
	struct outcome outcome = { 0 };

	(void)state;
	for (int i = 0; i < 2 * SPAWN_PLACES; i++)
		spawn_start(spawner, &request, on_done, &outcome);
	assert_int_equal(SPAWN_PLACES, spawner_running(spawner));
	assert_int_equal(SPAWN_PLACES, spawner_waiting(spawner));
	while (outcome.calls < 2 * SPAWN_PLACES) {
		turn();
		assert_true(count_children() <= SPAWN_PLACES);
	}
	assert_false(outcome.failed);
	release(&outcome);
	until_none_runs();
}

static void waits_no_longer_than_its_deadline(void **state)
{
	struct spawn_request request = COMMAND("sleep", "100");
	struct spawn *running[SPAWN_PLACES];
	struct outcome outcome = { 0 };

	(void)state;
	for (int i = 0; i < SPAWN_PLACES; i++)
		running[i] = spawn_start(spawner, &request, on_done, NULL);
	request.timeout = 0.02;
	run(&outcome, request);
	assert_int_equal(ERR_TIMEOUT, outcome.err.code);
	assert_string_equal("sleep: not begun within 0.02 s, as 16 others are "
			    "running",
			    outcome.err.text);
	request.timeout = 20;
	spawn_cancel(spawn_start(spawner, &request, on_done, &outcome));
	for (int i = 0; i < SPAWN_PLACES; i++)
		spawn_cancel(running[i]);
	until_none_runs();
}

/* ---- what a child has of ours ---- */

static void takes_no_descriptors_along(void **state)
{
	int stray = open("/dev/null", O_RDONLY); /* as a C module might */

	(void)state;
	assert_true(stray > 2);
	/* The last is the folder that ls reads. */
	expect_output("0\n1\n2\n3\n", COMMAND("ls", "/proc/self/fd"));
	close(stray);
}

static void takes_no_signals_along(void **state)
{
	char *out;
	sigset_t set, before;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, &before);
	out = output_of(COMMAND("cat", "/proc/self/status"));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	assert_non_null(strstr(out, "\nSigBlk:\t0000000000000000\n"));
	assert_non_null(strstr(out, "\nSigIgn:\t0000000000000000\n"));
	free(out);
}

static void is_in_a_session_of_its_own(void **state)
{
	int pid, group, session;
	char *out = output_of(
		SHELL("read pid _ _ _ group session _ </proc/self/stat; "
		      "echo $pid $group $session"));

	(void)state;
	assert_int_equal(3, sscanf(out, "%d %d %d", &pid, &group, &session));
	assert_int_equal(pid, group);
	assert_int_equal(pid, session);
	free(out);
}

static void works_without_standard_streams(void **state)
{
	struct spawn_request request = SHELL("cat; echo out; echo err >&2");
	int kept[3];
	char *out;

	(void)state;
	request.command.input = STR("in\n");
	fflush(NULL);
	for (int fd = 0; fd < 3; fd++) {
		kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
		close(fd);
	}
	out = output_of(request);
	for (int fd = 0; fd < 3; fd++) {
		dup2(kept[fd], fd);
		close(kept[fd]);
	}
	assert_string_equal("in\nout\n", out);
	free(out);
}

static void hears_of_ends_where_sigchld_is_ignored(void **state)
{
	struct outcome outcome;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	run(&outcome, SHELL("exit 5"));
	signal(SIGCHLD, SIG_DFL);
	assert_false(outcome.failed);
	assert_int_equal(5, outcome.result.status);
	release(&outcome);
}

static void says_that_somebody_else_waited(void **state)
{
	struct spawn_request request = COMMAND("true");
	struct outcome outcome = { 0 };

	(void)state;
	spawn_start(spawner, &request, on_done, &outcome);
	assert_true(wait(NULL) > 0);
	while (!outcome.calls)
		turn();
	assert_true(outcome.failed);
	assert_string_equal("true: its end is not known, something else in "
			    "this process has waited for it",
			    outcome.err.text);
}

/* ---- many ---- */

static void leaves_nothing_behind(void **state)
{
	unsigned descriptors, threads;

	(void)state;
	expect_output("", COMMAND("true"));
	descriptors = count_entries("/proc/self/fd");
	threads = count_entries("/proc/self/task");
	for (int i = 0; i < 200; i++)
		expect_output("", COMMAND("true"));
	assert_int_equal(descriptors, count_entries("/proc/self/fd"));
	assert_int_equal(threads, count_entries("/proc/self/task"));
	assert_int_equal(0, count_children());
}

enum { THREADS = 4, EACH = 40 };

struct worker {
	pthread_t thread;
	struct loop *loop;
	int number;
	int ended;
	int wrong;
};

static void on_worker_done(void *arg, struct spawn_result *result,
			   const struct err *err)
{
	struct worker *worker = arg;

	if (err || result->status != worker->number)
		worker->wrong++;
	if (++worker->ended == EACH)
		loop_stop(worker->loop);
}

static pthread_barrier_t all_worked;

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct spawner *own;
	char script[32];
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct spawn_request request = request_of(argv);

	snprintf(script, sizeof script, "exit %d", worker->number);
	worker->loop = loop_new();
	own = spawner_new(worker->loop);
	for (int i = 0; i < EACH; i++)
		spawn_start(own, &request, on_worker_done, worker);
	loop_run(worker->loop);
	/* ... and some that outlive their loop. */
	request = COMMAND("sleep", "100");
	for (int i = 0; i < SPAWN_PLACES; i++)
		spawn_start(own, &request, on_worker_done, worker);
	spawner_free(own);
	/* uv closes a loop's descriptors unseen by the thread sanitizer, which
	 * then takes their next use for a race. */
	pthread_barrier_wait(&all_worked);
	loop_free(worker->loop);
	return NULL;
}

static void works_in_many_threads(void **state)
{
	struct worker workers[THREADS] = { 0 };

	(void)state;
	pthread_barrier_init(&all_worked, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		workers[i].number = i + 1;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(EACH, workers[i].ended);
		assert_int_equal(0, workers[i].wrong);
	}
	pthread_barrier_destroy(&all_worked);
	until_no_child();
}

/* Killed, the process that has the spawner leaves no command behind. */
static void dies_with_us(void **state)
{
	struct spawn_request request = SHELL("echo $$ >&3; exec sleep 100");
	struct outcome outcome = { 0 };
	int fds[2], pid = 0;
	char path[64], line[32] = "";
	const char *env[] = { "PATH=/usr/bin:/bin", NULL, NULL };
	pid_t us;

	(void)state;
	assert_int_equal(0, pipe2(fds, O_CLOEXEC));
	us = fork();
	if (us == 0) {
		snprintf(path, sizeof path, "PIPE=/proc/%d/fd/%d", getpid(),
			 fds[1]);
		env[1] = path;
		request = SHELL("echo $$ >$PIPE; exec sleep 100");
		request.command.envp = env;
		start(NULL);
		spawn_start(spawner, &request, on_done, &outcome);
		for (;;)
			turn();
	}
	assert_true(read(fds[0], line, sizeof line - 1) > 0);
	pid = atoi(line);
	assert_true(pid > 0 && is_alive(pid));
	kill(us, SIGKILL);
	assert_int_equal(us, waitpid(us, NULL, 0));
	until_dead(pid);
	close(fds[0]);
	close(fds[1]);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(tells_the_exit_status),
		SPEC(tells_the_signal_that_ended_it),
		SPEC(passes_arguments_as_they_are),
		SPEC(passes_the_environment),
		SPEC(looks_in_the_path_of_the_command),
		SPEC(runs_in_a_folder),
		SPEC(gives_nothing_to_read_without_input),
		SPEC(gives_input),
		SPEC(gives_more_than_a_pipe_holds),
		SPEC(does_not_mind_input_that_is_not_read),
		SPEC(says_that_there_is_no_such_command),
		SPEC(says_that_it_may_not_be_executed),
		SPEC(says_what_is_wrong_with_a_script),
		SPEC(bounds_the_number_of_arguments),
		SPEC(does_without_descriptors),
		SPEC(kills_the_whole_group_at_the_deadline),
		SPEC(kills_who_ignores_signals),
		SPEC(kills_who_is_stopped),
		SPEC(kills_who_says_too_much),
		SPEC(takes_what_is_just_enough),
		SPEC(does_not_wait_for_who_has_the_pipe),
		SPEC(takes_what_comes_right_after_the_end),
		SPEC(ends_who_stays_behind_without_a_pipe),
		SPEC(waits_for_orphans_where_they_come_to_us),
		SPEC(goes_on_when_the_output_is_closed),
		SPEC(prefers_the_end_to_the_deadline),
		SPEC(is_cancelled),
		SPEC(is_cancelled_when_it_has_just_ended),
		SPEC(is_cancelled_before_it_says_what_failed),
		SPEC(leaves_nothing_when_all_is_freed),
		SPEC(runs_so_many_at_a_time),
		SPEC(waits_no_longer_than_its_deadline),
		SPEC(takes_no_descriptors_along),
		SPEC(takes_no_signals_along),
		SPEC(is_in_a_session_of_its_own),
		SPEC(works_without_standard_streams),
		SPEC(hears_of_ends_where_sigchld_is_ignored),
		SPEC(says_that_somebody_else_waited),
		SPEC(leaves_nothing_behind),
		SPEC(works_in_many_threads),
		SPEC(dies_with_us),
	};

	return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
