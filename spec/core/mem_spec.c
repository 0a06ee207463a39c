/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"

/* The sanitizers' allocators end the process themselves unless told so. */
#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#elif defined(__SANITIZE_THREAD__)
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#endif

static void memory_is_zeroed(void **state)
{
	unsigned char *p = mem_array(100, 10);

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	free(p);
	p = mem_alloc(0);
	assert_non_null(p);
	free(p);
	p = mem_array(0, 8);
	assert_non_null(p);
	free(p);
}

static void resized_memory_keeps_its_bytes(void **state)
{
	char *p = mem_realloc(NULL, 4);

	(void)state;
	memcpy(p, "abc", 4);
	p = mem_realloc(p, 100000);
	assert_string_equal(p, "abc");
	free(p);
}

static void copies_end_with_a_nul(void **state)
{
	char *p = mem_copy("a\0bcd", 4);

	(void)state;
	assert_memory_equal(p, "a\0bc", 5);
	free(p);
	p = mem_copy(NULL, 0);
	assert_string_equal(p, "");
	free(p);
	p = mem_string("text");
	assert_string_equal(p, "text");
	free(p);
	assert_null(mem_string(NULL));
}

static void exhaust_array(void)
{
	free(mem_array(SIZE_MAX / 2, 3));
}

/* Half of the addresses there are: what no machine has. */
static void exhaust_alloc(void)
{
	free(mem_alloc(SIZE_MAX / 2));
}

static void exhaust_realloc(void)
{
	free(mem_realloc(NULL, SIZE_MAX / 2));
}

/* In a child, whose standard error is read. */
static void expect_death(void (*exhaust)(void))
{
	static const char expected[] = "lunex: out of memory\n";
	char text[8000] = "";
	int status, fds[2];
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		exhaust();
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_true(len >= sizeof expected - 1);
	assert_string_equal(text + len - (sizeof expected - 1), expected);
}

static void running_out_of_it_ends_the_process(void **state)
{
	(void)state;
	expect_death(exhaust_array);
	expect_death(exhaust_alloc);
	expect_death(exhaust_realloc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed),
		cmocka_unit_test(resized_memory_keeps_its_bytes),
		cmocka_unit_test(copies_end_with_a_nul),
		cmocka_unit_test(running_out_of_it_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
