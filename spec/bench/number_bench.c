/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one double costs as text, in nanoseconds, beside the C library and
 * std::to_chars. Mixes: mix alternates the next two, int is below 100000,
 * dec4 has up to four decimals, full has 17 digits. Best of several rounds.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/number.h"

enum { VALUES = 10000, ROUNDS = 60 };

typedef size_t format_fn(char *out, double value);

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static double next_int(void)
{
	return (double)(random_bits() % 100000);
}

static double next_dec4(void)
{
	return (double)(random_bits() % 1000000) / 1e4;
}

static double next_full(void)
{
	return ldexp((double)(random_bits() >> 11), -53) * 1000;
}

static size_t format_printf(char *out, double value)
{
	return (size_t)snprintf(out, NUMBER_MAX, "%.17g", value);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The sum of the lengths keeps the compiler from dropping the work. */
static double measure(format_fn *format, const double *values)
{
	static volatile size_t sink;
	double best = INFINITY;
	char out[NUMBER_MAX];

	for (int round = 0; round < ROUNDS; round++) {
		double start = now();
		size_t sum = 0;

		for (int i = 0; i < VALUES; i++)
			sum += format(out, values[i]);
		best = fmin(best, (now() - start) / VALUES);
		sink += sum;
	}
	return best;
}

static double measure_parse(const double *values)
{
	static char texts[VALUES][NUMBER_MAX];
	static size_t lens[VALUES];
	double best = INFINITY, value;

	for (int i = 0; i < VALUES; i++)
		lens[i] = number_format(texts[i], values[i]);
	for (int round = 0; round < ROUNDS; round++) {
		double start = now();

		for (int i = 0; i < VALUES; i++) {
			if (!number_parse(texts[i], lens[i], &value))
				abort();
		}
		best = fmin(best, (now() - start) / VALUES);
	}
	return best;
}

int main(void)
{
	static const struct {
		const char *name;
		format_fn *format;
	} rows[] = { { "number_format", number_format },
		     { "std::to_chars", number_shortest },
		     { "sprintf %.17g", format_printf } };
	static double mixes[4][VALUES];

	for (int i = 0; i < VALUES; i++) {
		mixes[0][i] = i % 2 ? next_dec4() : next_int();
		mixes[1][i] = next_int();
		mixes[2][i] = next_dec4();
		mixes[3][i] = next_full();
	}
	printf("%-16s %8s %8s %8s %8s   ns per double\n", "", "mix", "int",
	       "dec4", "full");
	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
		printf("%-16s", rows[r].name);
		for (int m = 0; m < 4; m++)
			printf(" %8.1f", measure(rows[r].format, mixes[m]));
		printf("\n");
	}
	printf("%-16s", "number_parse");
	for (int m = 0; m < 4; m++)
		printf(" %8.1f", measure_parse(mixes[m]));
	printf("\n");
	return 0;
}
