/* SPDX-License-Identifier: Apache-2.0 */
#include "run/isolated.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bind/modules.h"
#include "core/mem.h"
#include "net/loop.h"
#include "run/advice.h"
#include "run/plain.h"
#include "run/script.h"
#include "run/thread.h"
#include "vm/state.h"

static const double patience = 10; /* seconds */

/* One script alone cannot keep the others from being loaded. */
enum { LEFT_MAX = 16, LEFT_EACH = 4 };

/* The paths of those whose threads are left behind: each is busy with a script
 * that may never end. */
static struct {
	pthread_mutex_t lock;
	char *paths[LEFT_MAX]; /* NULL: free */
} left = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The keys that the command line looks at. */
static const char *const keys[] = { "name",    "listen", "interval", "timeout",
				    "config",  "labels", "aliases",  "flags",
				    "sandbox", "allow",	 NULL };

/* The thread's until it has ended. One that is left behind frees it itself. */
struct job {
	atomic_int owners;
	char *path;
	bool check;
	bool good;
	struct err err;
	struct isolated result;

	struct loop *loop;
	struct vm *vm;
	struct declaration *declaration;
	struct advice advice;
};

/* ---- those left behind ---- */

/* How many there are with PATH; NULL: all. */
static int count_left(const char *path)
{
	int n = 0;

	pthread_mutex_lock(&left.lock);
	for (int i = 0; i < LEFT_MAX; i++)
		n += left.paths[i] &&
		     (!path || strcmp(left.paths[i], path) == 0);
	pthread_mutex_unlock(&left.lock);
	return n;
}

/* The first place with FROM, NULL for a free one, gets TO instead. What was
 * there is freed. */
static void change_left(const char *from, const char *to)
{
	pthread_mutex_lock(&left.lock);
	for (int i = 0; i < LEFT_MAX; i++) {
		char *path = left.paths[i];

		if (from ? !path || strcmp(path, from) != 0 : path != NULL)
			continue;
		left.paths[i] = to ? mem_string(to) : NULL;
		free(path);
		break;
	}
	pthread_mutex_unlock(&left.lock);
}

static void job_free(struct job *job)
{
	isolated_release(&job->result);
	free(job->path);
	free(job);
}

/* ---- in the thread ---- */

/* A table of the script's with those keys alone. */
static void push_keys(lua_State *L, const struct declaration *declaration)
{
	lua_newtable(L);
	declaration_push(L, declaration);
	for (const char *const *key = keys; *key; key++) {
		lua_pushstring(L, *key);
		lua_rawget(L, -2);
		lua_setfield(L, -3, *key);
	}
	lua_pop(L, 1);
}

static void take_declared(lua_State *L, void *arg)
{
	struct job *job = arg;

	push_keys(L, job->declaration);
	job->good = plain_write(L, -1, &job->result.declared, &job->err);
}

static void take_advice(lua_State *L, void *arg)
{
	struct job *job = arg;

	push_advice(L, job->declaration, &job->advice);
	job->good = plain_write(L, -1, &job->result.advice, &job->err);
}

static bool say_where(struct job *job)
{
	struct err why = job->err;

	return err_set(&job->err, why.code, "%s: the declaration has %s",
		       job->path, why.text);
}

static bool load(struct job *job)
{
	const struct vm_options options = { .loop = job->loop,
					    .open = modules_open,
					    .sandbox = true };

	job->vm =
		script_load(&options, job->path, &job->declaration, &job->err);
	if (!job->vm || !vm_call(job->vm, take_declared, job, &job->err))
		return false;
	if (!job->good)
		return say_where(job);
	if (job->check &&
	    !advice_take(&job->advice, job->declaration, job->vm, &job->err))
		return false;
	return vm_call(job->vm, take_advice, job, &job->err) &&
	       (job->good || say_where(job));
}

/* Signals are for those who expect them, but the one that ends a slice. */
static void block_signals(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGVTALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void run(struct job *job)
{
	job->loop = loop_try(&job->err);
	if (!job->loop)
		return;
	job->good = load(job);
	vm_free(job->vm);
	advice_release(&job->advice);
	declaration_free(job->declaration);
	loop_free(job->loop);
}

/* The last one of the two sees that nobody wants the result. */
static void leave(struct job *job)
{
	if (atomic_fetch_sub(&job->owners, 1) > 1)
		return;
	change_left(job->path, NULL);
	job_free(job);
}

static void *thread_main(void *arg)
{
	struct job *job = arg;

	block_signals();
	run(job);
	leave(job);
	return NULL;
}

/* ---- for the caller ---- */

static struct job *job_new(const char *path, bool check)
{
	struct job *job = mem_alloc(sizeof *job);

	atomic_init(&job->owners, 2);
	job->path = mem_string(path);
	job->check = check;
	buf_init(&job->result.declared, PLAIN_MAX);
	buf_init(&job->result.advice, PLAIN_MAX);
	return job;
}

/* Takes what the thread, which has ended, leaves. */
static bool take(struct job *job, struct isolated *isolated, struct err *err)
{
	bool good = job->good;

	if (good) {
		*isolated = job->result;
		job->result = (struct isolated){ 0 };
	} else {
		*err = job->err;
	}
	job_free(job);
	return good;
}

bool isolated_load(struct isolated *isolated, const char *path, bool check,
		   struct err *err)
{
	pthread_t thread;
	struct job *job;
	int status;

	if (count_left(path) >= LEFT_EACH)
		return err_set(err, ERR_LIMIT,
			       "%s: not loaded: %d times it has not come back "
			       "from loading",
			       path, LEFT_EACH);
	if (count_left(NULL) >= LEFT_MAX)
		return err_set(err, ERR_LIMIT,
			       "%s: not loaded: %d scripts in a sandbox have "
			       "not come back from loading",
			       path, LEFT_MAX);
	job = job_new(path, check);
	status = pthread_create(&thread, NULL, thread_main, job);
	if (status != 0) {
		job_free(job);
		return err_set(err, ERR_IO, "cannot make a thread: %s",
			       strerror(status));
	}
	if (thread_join(thread, patience))
		return take(job, isolated, err);
	pthread_detach(thread);
	change_left(NULL, path);
	leave(job);
	return err_set(err, ERR_TIMEOUT,
		       "%s: the script is still loading after %g s", path,
		       patience);
}

void isolated_release(struct isolated *isolated)
{
	buf_release(&isolated->declared);
	buf_release(&isolated->advice);
}
