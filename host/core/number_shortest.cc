/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only C++ in the host: the standard library's Ryu has no C interface.
 * std::to_chars neither allocates, nor throws, nor looks at the locale.
 * std::from_chars is not used: it would link 95 KB of locale and exception
 * code where strtod_l does.
 */
#include <charconv>
#include <cmath>
#include <cstddef>

extern "C" std::size_t number_shortest(char *out, double value);
extern "C" std::size_t number_bound(char *out, double value);

/* 32 is NUMBER_MAX; the longest text, -2.2250738585072014e-308, has 24. */
std::size_t number_shortest(char *out, double value)
{
	return static_cast<std::size_t>(
		std::to_chars(out, out + 32, value).ptr - out);
}

std::size_t number_bound(char *out, double value)
{
	double v = std::fabs(value);
	bool plain = v == 0 || (v >= 1e-4 && v < 1e6);

	return static_cast<std::size_t>(
		std::to_chars(out, out + 32, value,
			      plain ? std::chars_format::fixed
				    : std::chars_format::scientific)
			.ptr -
		out);
}
