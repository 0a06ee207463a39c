/* SPDX-License-Identifier: Apache-2.0 */
#include "run/command.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "run/plan.h"
#include "run/planner.h"
#include "run/specs.h"
#include "run/supervisor.h"

enum { SUCCESS = 0, FAILURE = 1, USAGE = 2 };

/* ---- carrying it out ---- */

/* One line, whatever is in TEXT. */
static void print_error(const char *text)
{
	char *line = mem_string(text);

	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
		else if (utf8_is_control(p))
			p[0] = p[1] = ' ';
	fprintf(stderr, "lunex: %s\n", line);
	free(line);
}

static int print(const struct plan *plan)
{
	for (char **error = plan->errors; error && *error; error++)
		print_error(*error);
	if (plan->text)
		fputs(plan->text, stdout);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		print_error("cannot write to standard output");
		return FAILURE;
	}
	return plan->status;
}

static int test(const struct plan *plan)
{
	const struct vm_options options = { .limits.cpu = 30 };

	return specs_run(&options, (const char *const *)plan->files) ? SUCCESS
								     : FAILURE;
}

/* A configuration, whose scripts have been looked at alone so far. */
static int check(const struct plan *plan)
{
	struct buf advice;
	bool good;
	int status;

	buf_init(&advice, SIZE_MAX / 2);
	good = supervisor_check(plan, print_error, &advice);
	status = print(plan);
	fputs(buf_text(&advice), stdout);
	if (good && plan->good && !advice.len)
		fputs(plan->good, stdout);
	buf_release(&advice);
	return good || status ? status : FAILURE;
}

static int collect_once(const struct plan *plan)
{
	struct err err;

	if (supervisor_once(plan, &err))
		return SUCCESS;
	print_error(err.text);
	return FAILURE;
}

/* A peer that goes away is an error of a write, not the end of the program. */
static void ignore_pipe_signal(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &ignore, NULL);
}

static void mask_stops(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(how, &set, NULL);
}

static void stop_now(int number)
{
	(void)number;
	_exit(SUCCESS);
}

/* Does a word tell that something is done and nothing served, as `once` does,
 * behind flags or not? A signal ends that as any program. */
static bool names_command(int argc, char **argv)
{
	static const char *const commands[] = { "check", "help", "once", "test",
						"version" };

	for (int i = 1; i < argc; i++)
		for (size_t k = 0; k < sizeof commands / sizeof *commands; k++)
			if (strcmp(argv[i], commands[k]) == 0)
				return true;
	return false;
}

/* An exporter that is asked to stop before it serves stops as it would later,
 * and whoever started it sees no failure. Nothing has been begun until the plan
 * is made; then the supervisor reads the signals. */
static void catch_early_stops(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = stop_now };

	if (names_command(argc, argv))
		return;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	mask_stops(SIG_UNBLOCK);
}

/* Who asks for a reload while lunex starts is answered later; what does not
 * serve ends with its terminal. */
static void mask_hangup(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(how, &set, NULL);
}

/* PLANNER knows the arguments as they were before a secret was hidden. */
static int run_exporters(const struct plan *plan, struct planner *planner)
{
	struct err err;

	/* While there is one thread, so that none of the later ones gets them:
	 * they are read from a descriptor. */
	mask_stops(SIG_BLOCK);
	if (supervisor_run(plan, planner, &err))
		return SUCCESS;
	print_error(err.text);
	return FAILURE;
}

static int carry_out(const struct plan *plan, struct planner *planner)
{
	enum log_level level;

	if (plan->log_level && log_level_parse(plan->log_level, &level))
		log_set_level(level);
	if (strcmp(plan->command, "run") == 0)
		return run_exporters(plan, planner);
	mask_hangup(SIG_UNBLOCK);
	if (strcmp(plan->command, "print") == 0)
		return print(plan);
	if (strcmp(plan->command, "test") == 0)
		return test(plan);
	if (strcmp(plan->command, "check") == 0)
		return check(plan);
	return collect_once(plan);
}

/*
 * A page is rendered into memory that is given back when it was sent and wanted
 * again at the next scrape. By default glibc returns it to the system each
 * time, and the page faults cost as much as rendering: it may keep some.
 */
static void keep_some_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 2 << 20);
}

/*
 * The process list shows argv as it is in memory, to every user of the machine:
 * a secret in it is overwritten. It was there for some milliseconds, so a file
 * is the better place, but this one lasts for months.
 */
static void hide_secret(int argc, char **argv, const char *secret)
{
	for (int i = 1; i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (strcmp(argv[i], secret) == 0)
			memset(argv[i], '*', strlen(secret));
		else if (equals && strcmp(equals + 1, secret) == 0)
			memset(equals + 1, '*', strlen(secret));
	}
}

static int make_and_carry_out(int argc, char **argv, struct planner *planner)
{
	struct plan plan;
	struct err err;
	int status = FAILURE;

	if (plan_make(&plan, argc, argv, NULL, &err)) {
		malloc_trim(0); /* the state that it was made in is gone */
		for (char **text = plan.secrets; text && *text; text++)
			hide_secret(argc, argv, *text);
		status = carry_out(&plan, planner);
	} else {
		print_error(err.text);
	}
	plan_release(&plan);
	return status;
}

int command_run(int argc, char **argv)
{
	struct planner *planner;
	int status;

	catch_early_stops(argc, argv); /* must stay the first */
	ignore_pipe_signal();
	mask_hangup(SIG_BLOCK);
	keep_some_memory();
	planner = planner_new(argc, argv, PLANNER_PATIENCE);
	status = make_and_carry_out(argc, argv, planner);
	planner_free(planner);
	return status;
}
