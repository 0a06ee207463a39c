/* SPDX-License-Identifier: Apache-2.0 */
#include "run/moment.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

double moment_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void moment_text(char *out, double moment)
{
	double ms = floor(moment * 1000);
	time_t seconds = (time_t)floor(ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(out, MOMENT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
		 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		 tm.tm_min, tm.tm_sec, (int)(ms - (double)seconds * 1000));
}

void moment_ago(char *out, double moment, double now)
{
	static const struct {
		const char *unit;
		double seconds, below; /* of the unit, this many */
	} units[] = {
		{ "s", 1, 100 },
		{ "min", 60, 100 },
		{ "h", 3600, 48 },
		{ "d", 86400, INFINITY },
	};
	double ago = fmax(0, now - moment);
	int i = 0;

	while (ago / units[i].seconds >= units[i].below)
		i++;
	snprintf(out, MOMENT_MAX, "%.0f %s ago", floor(ago / units[i].seconds),
		 units[i].unit);
}
