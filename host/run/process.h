/* SPDX-License-Identifier: Apache-2.0 */
/* What Linux says about this process, from /proc. Any thread. */
#ifndef RUN_PROCESS_H
#define RUN_PROCESS_H

#include <stdbool.h>

struct process_numbers {
	double cpu_seconds;
	double virtual_bytes;
	double resident_bytes;
	double start_time; /* seconds since the epoch; the same every time */
	double threads;
	double open_fds;
	double max_fds; /* infinity: no limit */
};

/* False where /proc is not to be read; NUMBERS is not set then. */
bool process_read(struct process_numbers *numbers);

#endif
