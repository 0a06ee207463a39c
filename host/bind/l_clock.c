/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: seconds of the wall clock and of one that never jumps, and timestamps
 * as APIs write them (RFC 3339). Stands on the C library, owns nothing.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"

int luaopen_clock(lua_State *L);

enum { YEAR_MAX = 9999 };

static int push_clock(lua_State *L, clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	lua_pushnumber(L, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
	return 1;
}

/* clock.now() -> seconds since 1970, UTC */
static int l_now(lua_State *L)
{
	return push_clock(L, CLOCK_REALTIME);
}

/* clock.monotonic() -> seconds since some moment, for durations */
static int l_monotonic(lua_State *L)
{
	return push_clock(L, CLOCK_MONOTONIC);
}

/* clock.format(seconds) -> "2026-11-21T05:22:43.123Z" */
static int l_format(lua_State *L)
{
	double seconds = luaL_checknumber(L, 1);
	double whole = floor(seconds);
	int ms = (int)floor((seconds - whole) * 1000 + 0.5);
	struct tm tm;
	char text[64];
	time_t t;

	luaL_argcheck(L, fabs(seconds) < 2e11, 1, "not a time of our calendar");
	t = (time_t)whole + (ms == 1000);
	gmtime_r(&t, &tm);
	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
		 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		 tm.tm_min, tm.tm_sec, ms % 1000);
	lua_pushstring(L, text);
	return 1;
}

struct cursor {
	const char *p;
	bool bad;
};

static int digits(struct cursor *c, int n)
{
	int value = 0;

	while (n-- > 0 && !c->bad) {
		if (!isdigit((unsigned char)*c->p)) {
			c->bad = true;
			return 0;
		}
		value = value * 10 + (*c->p++ - '0');
	}
	return value;
}

static void expect(struct cursor *c, const char *set)
{
	if (!c->bad && *c->p && strchr(set, *c->p))
		c->p++;
	else
		c->bad = true;
}

static double fraction(struct cursor *c)
{
	double value = 0, unit = 1;

	if (c->bad || (*c->p != '.' && *c->p != ','))
		return 0;
	c->p++;
	if (!isdigit((unsigned char)*c->p))
		c->bad = true;
	while (isdigit((unsigned char)*c->p)) {
		unit *= 10;
		value = value * 10 + (*c->p++ - '0');
	}
	return value / unit;
}

/* Seconds east of Greenwich: Z, +02:00, +0200. */
static int offset(struct cursor *c)
{
	int sign, hours, minutes;

	if (*c->p == 'Z' || *c->p == 'z') {
		c->p++;
		return 0;
	}
	sign = *c->p == '-' ? -1 : 1;
	expect(c, "+-");
	hours = digits(c, 2);
	if (*c->p == ':')
		c->p++;
	minutes = digits(c, 2);
	if (hours > 23 || minutes > 59)
		c->bad = true;
	return sign * (hours * 60 + minutes) * 60;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool in_calendar(const struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30,
				    31, 31, 30, 31, 30, 31 };
	int year = tm->tm_year + 1900, most;

	if (tm->tm_mon < 0 || tm->tm_mon > 11 || year > YEAR_MAX)
		return false;
	most = days[tm->tm_mon] + (tm->tm_mon == 1 && is_leap(year));
	return tm->tm_mday >= 1 && tm->tm_mday <= most && tm->tm_hour < 24 &&
	       tm->tm_min < 60 && tm->tm_sec <= 60;
}

static bool parse(const char *text, double *seconds)
{
	struct cursor c = { text, false };
	struct tm tm = { 0 };
	double rest;
	int east;

	tm.tm_year = digits(&c, 4) - 1900;
	expect(&c, "-");
	tm.tm_mon = digits(&c, 2) - 1;
	expect(&c, "-");
	tm.tm_mday = digits(&c, 2);
	expect(&c, "Tt ");
	tm.tm_hour = digits(&c, 2);
	expect(&c, ":");
	tm.tm_min = digits(&c, 2);
	expect(&c, ":");
	tm.tm_sec = digits(&c, 2);
	rest = fraction(&c);
	east = offset(&c);
	if (c.bad || *c.p || !in_calendar(&tm))
		return false;
	*seconds = (double)(timegm(&tm) - east) + rest;
	return true;
}

/* clock.parse(text) -> seconds since 1970 | nil, message */
static int l_parse(lua_State *L)
{
	struct str text = check_str(L, 1);
	struct err err;
	double seconds;

	if (strlen(text.data) == text.len && parse(text.data, &seconds)) {
		lua_pushnumber(L, seconds);
		return 1;
	}
	err_set(&err, ERR_INPUT, "not an RFC 3339 timestamp: '%.40s'",
		text.data);
	return push_failure(L, &err);
}

static const luaL_Reg functions[] = {
	{ "format", l_format }, { "monotonic", l_monotonic },
	{ "now", l_now },	{ "parse", l_parse },
	{ NULL, NULL },
};

int luaopen_clock(lua_State *L)
{
	luaL_newlib(L, functions);
	return 1;
}
