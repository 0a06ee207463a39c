/* SPDX-License-Identifier: Apache-2.0 */
#include "run/process.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Seconds since the epoch at which the machine was started. */
static double boot_time(void)
{
	FILE *file = fopen("/proc/stat", "re");
	char line[256];
	double seconds = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "btime %lf", &seconds) == 1)
			break;
	fclose(file);
	return seconds;
}

static double open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* ".", ".." and the descriptor of the folder itself */
}

static double max_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return (double)INFINITY;
	return (double)limit.rlim_cur;
}

/* proc(5): the fields behind the program's name, which may hold anything. */
static bool read_stat(struct process_numbers *p)
{
	double tick = (double)sysconf(_SC_CLK_TCK);
	unsigned long user, system;
	unsigned long long start;
	char text[1024];
	const char *fields;
	FILE *file = fopen("/proc/self/stat", "re");
	long resident;
	size_t n;

	if (!file)
		return false;
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	fields = strrchr(text, ')');
	if (!fields ||
	    sscanf(fields + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d "
		   "%*d %*d %*d %lf %*d %llu %lf %ld",
		   &user, &system, &p->threads, &start, &p->virtual_bytes,
		   &resident) != 6)
		return false;
	p->cpu_seconds = (double)(user + system) / tick;
	p->resident_bytes = (double)resident * (double)sysconf(_SC_PAGESIZE);
	p->start_time = boot_time() + (double)start / tick;
	return true;
}

bool process_read(struct process_numbers *numbers)
{
	struct process_numbers p = { 0 };

	if (!read_stat(&p))
		return false;
	p.open_fds = open_fds();
	p.max_fds = max_fds();
	*numbers = p;
	return true;
}
