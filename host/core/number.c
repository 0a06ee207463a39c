/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nearly all samples are integers or have a few decimals, and for those the
 * general algorithm is not needed. Let m be round(v * 10^6). When m / 10^6,
 * which the processor rounds correctly, is v again, the decimal m * 10^-6
 * reads back as v. Below 10^9 it has at most 15 significant digits, and no
 * two decimals of at most 15 digits read back as the same double: so it is
 * the shortest one too, once its trailing zeros are gone.
 */
#include "core/number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"

/* Below it every integer is a double. */
#define INTEGER_MAX 0x1p53

/*
 * The range of the fast path for fractions. From 10^-3 on fixed notation is
 * never longer than the other; 10^9 is the bound of the proof above.
 */
#define FIXED_MIN 1e-3
#define FIXED_MAX 1e9

static const char pairs[] = "00010203040506070809"
			    "10111213141516171819"
			    "20212223242526272829"
			    "30313233343536373839"
			    "40414243444546474849"
			    "50515253545556575859"
			    "60616263646566676869"
			    "70717273747576777879"
			    "80818283848586878889"
			    "90919293949596979899";

static const uint64_t powers[] = {
	UINT64_C(0),
	UINT64_C(10),
	UINT64_C(100),
	UINT64_C(1000),
	UINT64_C(10000),
	UINT64_C(100000),
	UINT64_C(1000000),
	UINT64_C(10000000),
	UINT64_C(100000000),
	UINT64_C(1000000000),
	UINT64_C(10000000000),
	UINT64_C(100000000000),
	UINT64_C(1000000000000),
	UINT64_C(10000000000000),
	UINT64_C(100000000000000),
	UINT64_C(1000000000000000),
	UINT64_C(10000000000000000),
	UINT64_C(100000000000000000),
	UINT64_C(1000000000000000000),
	UINT64_C(10000000000000000000),
};

/* log10 from log2 (1233 / 4096 is nearly log10(2)), one too high at times. */
static unsigned count_digits(uint64_t n)
{
	unsigned bits = 64 - (unsigned)__builtin_clzll(n | 1);
	unsigned t = bits * 1233 >> 12;

	return t + (n >= powers[t]);
}

static void put_pair(char *p, uint64_t n)
{
	memcpy(p, pairs + 2 * n, 2);
}

static char *put_integer(char *p, uint64_t n)
{
	char *end = p + count_digits(n);
	char *q = end;

	while (n >= 100) {
		q -= 2;
		put_pair(q, n % 100);
		n /= 100;
	}
	if (n >= 10)
		put_pair(p, n);
	else
		*p = (char)('0' + n);
	return end;
}

/* MILLIONTHS is not 0; writes at most seven bytes. */
static char *put_fraction(char *p, uint32_t millionths)
{
	uint32_t high = millionths / 100;

	*p = '.';
	put_pair(p + 1, high / 100);
	put_pair(p + 3, high % 100);
	put_pair(p + 5, millionths % 100);
	p += millionths % 100 ? 7 : high % 100 ? 5 : 3;
	return p[-1] == '0' ? p - 1 : p;
}

static size_t put_word(char *out, const char *word)
{
	size_t len = strlen(word);

	memcpy(out, word, len);
	return len;
}

static size_t format_general(char *out, double value)
{
	if (isnan(value))
		return put_word(out, "NaN");
	if (isinf(value))
		return put_word(out, value < 0 ? "-Inf" : "+Inf");
	return number_shortest(out, value);
}

size_t number_format(char *out, double value)
{
	double v = fabs(value);
	uint64_t n, m;
	char *p = out;

	if (!(v < INTEGER_MAX))
		return format_general(out, value);
	*p = '-';
	p += signbit(value) != 0;
	n = (uint64_t)(int64_t)v;
	if ((double)(int64_t)n == v)
		return (size_t)(put_integer(p, n) - out);
	if (v < FIXED_MIN || v >= FIXED_MAX)
		return number_shortest(out, value);
	m = (uint64_t)(int64_t)(v * 1e6 + 0.5);
	if ((double)(int64_t)m / 1e6 != v)
		return number_shortest(out, value);
	p = put_integer(p, m / 1000000);
	return (size_t)(put_fraction(p, (uint32_t)(m % 1000000)) - out);
}

size_t number_format_u64(char *out, uint64_t value)
{
	return (size_t)(put_integer(out, value) - out);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(s, word, len) == 0;
}

/* What was read of a decimal: digits * 10^exponent, sign apart. */
struct decimal {
	uint64_t digits; /* the first 19; above 2^53 when there are more */
	int64_t exponent;
	bool exact; /* the exponent is all that was read */
};

/* The value of digits that do not fit is left to strtod_l. */
static const char *scan_digits(const char *s, const char *end,
			       struct decimal *d, int step)
{
	for (; s < end && is_digit(*s); s++) {
		if (d->digits >= UINT64_C(1000000000000000000))
			continue;
		d->digits = d->digits * 10 + (uint64_t)(*s - '0');
		d->exponent += step;
	}
	return s;
}

static const char *scan_exponent(const char *s, const char *end,
				 struct decimal *d)
{
	const char *start;
	bool minus = false;
	int n = 0;

	if (s < end && (*s == '+' || *s == '-'))
		minus = *s++ == '-';
	for (start = s; s < end && is_digit(*s); s++) {
		if (n < 10000)
			n = n * 10 + (*s - '0');
	}
	if (n >= 10000)
		d->exact = false;
	d->exponent += minus ? -n : n;
	return s == start ? NULL : s;
}

/* False when S up to END is not a decimal number from start to end. */
static bool scan(const char *s, const char *end, struct decimal *d)
{
	const char *start = s;
	size_t digits;

	*d = (struct decimal){ .exact = true };
	s = scan_digits(s, end, d, 0);
	digits = (size_t)(s - start);
	if (s < end && *s == '.') {
		start = s + 1;
		s = scan_digits(start, end, d, -1);
		digits += (size_t)(s - start);
	}
	if (!digits)
		return false;
	if (s < end && (*s == 'e' || *s == 'E'))
		s = scan_exponent(s + 1, end, d);
	return s == end;
}

/* newlocale(.., "C", ..) returns a constant of the C library: no memory. */
static double parse_general(const char *s, size_t len)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	int saved = errno;
	char small[64];
	char *text = small;
	double value;

	if (len < sizeof small) {
		memcpy(small, s, len);
		small[len] = '\0';
	} else {
		text = mem_copy(s, len);
	}
	value = strtod_l(text, NULL, plain);
	if (text != small)
		free(text);
	freelocale(plain);
	errno = saved;
	return value;
}

/*
 * Digits below 2^53 and a power of ten up to 10^22 are doubles without error,
 * so one multiplication or division gives the correctly rounded result.
 */
static double decimal_value(const struct decimal *d, const char *s, size_t len)
{
	static const double tens[] = { 1e0,  1e1,  1e2,	 1e3,  1e4,  1e5,
				       1e6,  1e7,  1e8,	 1e9,  1e10, 1e11,
				       1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
				       1e18, 1e19, 1e20, 1e21, 1e22 };
	double v = (double)d->digits;

	if (!d->exact || d->digits > (UINT64_C(1) << 53) || d->exponent < -22 ||
	    d->exponent > 22)
		return parse_general(s, len);
	return d->exponent < 0 ? v / tens[-d->exponent] : v * tens[d->exponent];
}

/* A number without its sign; what it overflows to is not one. */
static bool parse_magnitude(const char *s, const char *end, double *value)
{
	size_t len = (size_t)(end - s);
	struct decimal d;

	if (is_word(s, len, "inf") || is_word(s, len, "infinity")) {
		*value = INFINITY;
		return true;
	}
	if (!scan(s, end, &d))
		return false;
	*value = decimal_value(&d, s, len);
	return !isinf(*value);
}

bool number_parse(const char *s, size_t len, double *value)
{
	const char *end = s + len;
	bool minus = false;
	double v;

	while (s < end && is_blank(*s))
		s++;
	while (s < end && is_blank(end[-1]))
		end--;
	if (is_word(s, (size_t)(end - s), "nan")) {
		*value = NAN;
		return true;
	}
	if (s < end && (*s == '+' || *s == '-'))
		minus = *s++ == '-';
	if (!parse_magnitude(s, end, &v))
		return false;
	*value = minus ? -v : v;
	return true;
}
