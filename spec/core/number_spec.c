/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <locale.h>

#include <cmocka.h>

#include "core/number.h"

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * UINT64_C(0x2545F4914F6CDD1D);
}

static uint64_t random_below(uint64_t n)
{
	return random_bits() % n;
}

static uint64_t bits_of(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	return bits;
}

static double from_bits(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static const char *text_of(double v)
{
	static char out[NUMBER_MAX + 1];

	out[number_format(out, v)] = '\0';
	return out;
}

static void expect_text(double v, const char *text)
{
	assert_string_equal(text_of(v), text);
}

/*
 * Reads back the same by two readers; an integer is what printf makes of it,
 * anything else what std::to_chars makes of it.
 */
static void check_exact(double v)
{
	char expected[400];
	const char *text;
	double back;

	if (isnan(v) || isinf(v))
		return;
	text = text_of(v);
	if (fabs(v) < 0x1p53 && v == floor(v))
		snprintf(expected, sizeof expected, "%.0f", v);
	else
		expected[number_shortest(expected, v)] = '\0';
	if (strcmp(text, expected) != 0)
		fail_msg("%a is written %s, not %s", v, text, expected);
	if (bits_of(strtod(text, NULL)) != bits_of(v))
		fail_msg("%a is written %s, which strtod reads as %a", v, text,
			 strtod(text, NULL));
	if (!number_parse(text, strlen(text), &back) ||
	    bits_of(back) != bits_of(v))
		fail_msg("%a is written %s and not read back", v, text);
}

static void check_around(double v)
{
	check_exact(v);
	check_exact(-v);
	check_exact(nextafter(v, INFINITY));
	check_exact(nextafter(v, -INFINITY));
}

/*
 * The length of the shortest text for V, found with the C library alone: the
 * fewest digits that read back when rounded to nearest, in the shorter of the
 * two notations. (Below a power of two there may be a shorter one still.)
 */
static size_t shortest_length(double v)
{
	int digits, exponent, fixed, scientific;
	char text[64];

	for (digits = 1; digits < 17; digits++) {
		snprintf(text, sizeof text, "%.*e", digits - 1, v);
		if (bits_of(strtod(text, NULL)) == bits_of(v))
			break;
	}
	snprintf(text, sizeof text, "%.*e", digits - 1, v);
	exponent = atoi(strchr(text, 'e') + 1);
	scientific = digits + (digits > 1) + (abs(exponent) > 99 ? 5 : 4);
	if (exponent < 0)
		fixed = digits + 1 - exponent;
	else
		fixed = digits > exponent + 1 ? digits + 1 : exponent + 1;
	return (size_t)((signbit(v) != 0) +
			(fixed <= scientific ? fixed : scientific));
}

static void check_shortest(double v)
{
	const char *text = text_of(v);

	if (isnan(v) || isinf(v) || (fabs(v) < 0x1p53 && v == floor(v)))
		return;
	if (strlen(text) > shortest_length(v))
		fail_msg("%a is written %s; %zu bytes would do", v, text,
			 shortest_length(v));
}

/* An integer of up to 17 digits over a power of ten. */
static double random_decimal(void)
{
	static const double tens[] = { 1,   1e1, 1e2, 1e3,  1e4, 1e5,
				       1e6, 1e7, 1e8, 1e12, 1e17 };
	uint64_t limit = 1, m;

	for (uint64_t n = random_below(18); n; n--)
		limit *= 10;
	m = random_bits() % limit;
	return (double)(int64_t)m / tens[random_below(11)];
}

static double random_subnormal(void)
{
	return from_bits(random_bits() >> (12 + random_below(52)));
}

static void writes_the_special_values(void **state)
{
	(void)state;
	expect_text(NAN, "NaN");
	expect_text(-NAN, "NaN");
	expect_text(INFINITY, "+Inf");
	expect_text(-INFINITY, "-Inf");
	expect_text(0.0, "0");
	expect_text(-0.0, "-0");
}

static void writes_integers_below_2_to_the_53_plainly(void **state)
{
	(void)state;
	expect_text(1, "1");
	expect_text(-7, "-7");
	expect_text(10, "10");
	expect_text(99, "99");
	expect_text(100, "100");
	expect_text(1000000, "1000000");
	expect_text(-1e15, "-1000000000000000");
	expect_text(0x1p53 - 1, "9007199254740991");
	expect_text(0x1p53, "9007199254740992");
	expect_text(1e16, "1e+16");
	expect_text(1e22, "1e+22");
}

static void chooses_the_shorter_of_fixed_and_exponent_notation(void **state)
{
	(void)state;
	expect_text(0.25, "0.25");
	expect_text(0.1 + 0.2, "0.30000000000000004");
	expect_text(85.5596, "85.5596");
	expect_text(-1.000001, "-1.000001");
	expect_text(999999999.999999, "999999999.999999");
	expect_text(0.001, "0.001");
	expect_text(0.000999, "0.000999");
	expect_text(1e-4, "1e-04");
	expect_text(1e-7, "1e-07");
	expect_text(1.5e300, "1.5e+300");
	expect_text(5e-324, "5e-324");
	expect_text(-2.2250738585072014e-308, "-2.2250738585072014e-308");
	expect_text(1.7976931348623157e308, "1.7976931348623157e+308");
}

static void writes_unsigned_integers_of_every_length(void **state)
{
	char out[NUMBER_MAX], expected[NUMBER_MAX];

	(void)state;
	for (int i = 0; i < 1000000; i++) {
		uint64_t n = random_bits() >> random_below(64);

		if (i < 64)
			n = i ? UINT64_MAX >> i : 0;
		out[number_format_u64(out, n)] = '\0';
		snprintf(expected, sizeof expected, "%llu",
			 (unsigned long long)n);
		assert_string_equal(out, expected);
	}
	for (uint64_t n = 1; n < UINT64_MAX / 10; n *= 10) {
		assert_int_equal(number_format_u64(out, n - 1) + (n > 1),
				 number_format_u64(out, n));
	}
	assert_int_equal(number_format_u64(out, UINT64_MAX), 20);
}

static void reads_back_random_bit_patterns(void **state)
{
	(void)state;
	for (int i = 0; i < 2000000; i++)
		check_exact(from_bits(random_bits()));
}

static void reads_back_random_decimals_and_their_neighbours(void **state)
{
	(void)state;
	for (int i = 0; i < 500000; i++)
		check_around(random_decimal());
}

static void reads_back_the_neighbours_of_six_decimals(void **state)
{
	(void)state;
	for (int i = 0; i < 500000; i++) {
		uint64_t m = random_bits() >> (14 + random_below(40));

		check_around((double)(int64_t)m / 1e6);
	}
	for (int m = 0; m < 100000; m++)
		check_around(m / 1e6);
}

static void reads_back_integers_around_2_to_the_53(void **state)
{
	(void)state;
	for (int i = -100000; i < 100000; i++) {
		check_exact(0x1p53 + i);
		check_exact(-0x1p53 + i);
	}
}

static void reads_back_subnormals(void **state)
{
	(void)state;
	for (int i = 0; i < 300000; i++)
		check_exact(random_subnormal());
}

static void reads_back_powers_of_ten_and_two(void **state)
{
	char text[16];

	(void)state;
	for (int i = -323; i <= 308; i++) {
		snprintf(text, sizeof text, "1e%d", i);
		check_around(strtod(text, NULL));
	}
	for (int i = -1074; i <= 1023; i++)
		check_around(ldexp(1, i));
}

static void uses_no_more_bytes_than_needed(void **state)
{
	(void)state;
	for (int i = 0; i < 30000; i++) {
		check_shortest(from_bits(random_bits()));
		check_shortest(random_subnormal());
	}
	for (int i = 0; i < 100000; i++) {
		double v = random_decimal();

		check_shortest(v);
		check_shortest(nextafter(v, INFINITY));
	}
	for (int i = -1074; i <= 1023; i++)
		check_shortest(ldexp(1, i));
}

static void stays_within_number_max(void **state)
{
	char out[NUMBER_MAX + 8];

	(void)state;
	for (int i = 0; i < 300000; i++) {
		memset(out + NUMBER_MAX, 0x55, 8);
		assert_true(number_format(out, from_bits(random_bits())) <=
			    NUMBER_MAX);
		assert_memory_equal(out + NUMBER_MAX, "UUUUUUUU", 8);
	}
}

static void expect_read(const char *text, double expected)
{
	double v = 12345;

	if (!number_parse(text, strlen(text), &v))
		fail_msg("\"%s\" is refused", text);
	if (bits_of(v) != bits_of(expected))
		fail_msg("\"%s\" is read as %a", text, v);
}

static void reads_what_prometheus_reads(void **state)
{
	double v;

	(void)state;
	expect_read("0", 0);
	expect_read("-0", -0.0);
	expect_read("+5", 5);
	expect_read(".5", .5);
	expect_read("5.", 5);
	expect_read("007", 7);
	expect_read("1e+06", 1e6);
	expect_read("1E-7", 1e-7);
	expect_read("-1.5e300", -1.5e300);
	expect_read(" \t\r\n42\n ", 42);
	expect_read("Inf", INFINITY);
	expect_read("+Inf", INFINITY);
	expect_read("-inf", -INFINITY);
	expect_read("-INFINITY", -INFINITY);
	assert_true(number_parse("NaN", 3, &v) && isnan(v));
	assert_true(number_parse(" nan ", 5, &v) && isnan(v));
}

static void reads_digits_without_end(void **state)
{
	char text[4000];
	double v;

	(void)state;
	memset(text, '0', sizeof text);
	text[0] = '1';
	text[300] = '.';
	assert_true(number_parse(text, sizeof text, &v));
	assert_true(v == 1e299);
	memset(text, '0', sizeof text);
	memcpy(text, "0.", 2);
	memcpy(text + sizeof text - 6, "1e3993", 6);
	assert_true(number_parse(text, sizeof text, &v));
	assert_true(v == 1);
	expect_read("9007199254740993", 0x1p53);
	expect_read("9007199254740993.00000000000000000001", 0x1p53 + 2);
	expect_read("18446744073709551616", 0x1p64);
	expect_read("0e99999999999999999999", 0);
}

/* The zeros and the exponent cancel, both beyond what the fast path counts. */
static void reads_zeros_without_end(void **state)
{
	enum { ZEROS = 100000, LEN = 2 + ZEROS + 8 };
	char *text = malloc(LEN);
	double v = 7;

	(void)state;
	memset(text, '0', LEN);
	text[1] = '.';
	memcpy(text + 2 + ZEROS, "1e100001", 8);
	assert_true(number_parse(text, LEN, &v));
	assert_true(v == 1);
	memcpy(text + 2 + ZEROS, "1e999999", 8);
	assert_false(number_parse(text, LEN, &v));
	memcpy(text + 2 + ZEROS, "1e-99999", 8);
	assert_true(number_parse(text, LEN, &v));
	assert_true(v == 0);
	free(text);
}

static void rounds_what_is_too_small_and_refuses_what_is_too_large(void **state)
{
	double v = 7;

	(void)state;
	expect_read("4e-324", 5e-324);
	expect_read("1e-400", 0);
	expect_read("-1e-99999999999999", -0.0);
	expect_read("1.7976931348623157e308", 1.7976931348623157e308);
	assert_false(number_parse("1e309", 5, &v));
	assert_false(number_parse("-1e99999999999999", 17, &v));
	assert_true(v == 7);
}

static void refuses_what_is_no_number(void **state)
{
	static const char *const junk[] = {
		"",	"  ",	"+",	 "-",	      ".",     "-.",   "e5",
		".e5",	"1e",	"1e+",	 "1e 5",      "1 2",   "1,5",  "--1",
		"+-1",	"- 1",	"0x10",	 "0x1p3",     "1_000", "12a",  "1.2.3",
		"1e5.", "in",	"infi",	 "+nan",      "-nan",  "nanx", "nan(1)",
		"1d",	"infx", "1e5e5", "\302\2401", "t",     "'5'",
	};
	double v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
		if (number_parse(junk[i], strlen(junk[i]), &v))
			fail_msg("\"%s\" is read as %g", junk[i], v);
	}
	assert_false(number_parse("1\0", 2, &v));
	assert_false(number_parse("1\0x", 3, &v));
	assert_false(number_parse(NULL, 0, &v));
	assert_true(v == 7);
}

static void reads_no_further_than_the_length(void **state)
{
	char *text = malloc(3);
	double v;

	(void)state;
	memcpy(text, "1e5", 3);
	assert_true(number_parse(text, 3, &v) && v == 1e5);
	assert_true(number_parse(text, 1, &v) && v == 1);
	assert_false(number_parse(text, 2, &v));
	free(text);
}

static size_t add_digits(char *text, size_t len, uint64_t count)
{
	while (count--)
		text[len++] = (char)('0' + random_below(10));
	return len;
}

static void reads_random_decimal_texts_like_strtod(void **state)
{
	(void)state;
	for (int i = 0; i < 1000000; i++) {
		char text[80] = "-";
		size_t len = 1 + add_digits(text + 1, 0, 1 + random_below(24));

		if (random_below(2)) {
			text[len++] = '.';
			len = add_digits(text, len, random_below(12));
		}
		if (random_below(2))
			len += (size_t)sprintf(text + len, "e%d",
					       (int)random_below(600) - 330);
		text[len] = '\0';
		if (!isinf(strtod(text, NULL)))
			expect_read(text, strtod(text, NULL));
	}
}

/* Where no locale with a decimal comma is installed, C.UTF-8 has to do. */
static void ignores_the_locale(void **state)
{
	static const char *const names[] = { "de_DE.UTF-8", "fr_FR.UTF-8",
					     "de_DE", "fr_FR", "C.UTF-8" };
	size_t i = 0;

	(void)state;
	while (i < 5 && !setlocale(LC_ALL, names[i]))
		i++;
	print_message("locale: %s, decimal point: %s\n",
		      setlocale(LC_ALL, NULL), localeconv()->decimal_point);
	expect_text(1234.5, "1234.5");
	expect_text(0.1 + 0.2, "0.30000000000000004");
	expect_text(1.5e300, "1.5e+300");
	expect_text(0x1p60 + 4096, "1152921504606851072");
	expect_read("1234.5", 1234.5);
	expect_read("0.30000000000000004", 0.1 + 0.2);
	expect_read("1.5e300", 1.5e300);
	for (int n = 0; n < 1000; n++) {
		double v = from_bits(random_bits()), back;
		const char *text = text_of(v);

		assert_true(number_parse(text, strlen(text), &back) ||
			    isnan(v));
		assert_null(strchr(text, ','));
	}
	setlocale(LC_ALL, "C");
}

static void spells_bounds_as_client_golang(void **state)
{
	static const struct {
		double value;
		const char *text;
	} bounds[] = {
		{ 0, "0" },
		{ 0.00001, "1e-05" },
		{ 0.00025, "0.00025" },
		{ 0.0001, "0.0001" },
		{ 2.5, "2.5" },
		{ 100000, "100000" },
		{ 999999.5, "999999.5" },
		{ 1000000, "1e+06" },
		{ 1234567, "1.234567e+06" },
		{ -0.0001, "-0.0001" },
	};
	char text[NUMBER_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
		text[number_bound(text, bounds[i].value)] = '\0';
		assert_string_equal(text, bounds[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_the_special_values),
		cmocka_unit_test(writes_integers_below_2_to_the_53_plainly),
		cmocka_unit_test(
			chooses_the_shorter_of_fixed_and_exponent_notation),
		cmocka_unit_test(writes_unsigned_integers_of_every_length),
		cmocka_unit_test(reads_back_random_bit_patterns),
		cmocka_unit_test(
			reads_back_random_decimals_and_their_neighbours),
		cmocka_unit_test(reads_back_the_neighbours_of_six_decimals),
		cmocka_unit_test(reads_back_integers_around_2_to_the_53),
		cmocka_unit_test(reads_back_subnormals),
		cmocka_unit_test(reads_back_powers_of_ten_and_two),
		cmocka_unit_test(uses_no_more_bytes_than_needed),
		cmocka_unit_test(stays_within_number_max),
		cmocka_unit_test(reads_what_prometheus_reads),
		cmocka_unit_test(reads_digits_without_end),
		cmocka_unit_test(reads_zeros_without_end),
		cmocka_unit_test(
			rounds_what_is_too_small_and_refuses_what_is_too_large),
		cmocka_unit_test(refuses_what_is_no_number),
		cmocka_unit_test(reads_no_further_than_the_length),
		cmocka_unit_test(reads_random_decimal_texts_like_strtod),
		cmocka_unit_test(ignores_the_locale),
		cmocka_unit_test(spells_bounds_as_client_golang),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
