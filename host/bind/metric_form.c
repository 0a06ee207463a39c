/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_form.h"

#include <string.h>

#include <lauxlib.h>

#include "core/escape.h"
#include "core/nearest.h"

/* "format 'txt': expected text, openmetrics, ...; did you mean 'text'?" */
static void unknown_word(lua_State *L, int arg, const char *what,
			 const char *word, const char *const *words)
{
	const char *near = nearest(word, words);
	luaL_Buffer list;

	luaL_buffinit(L, &list);
	for (size_t i = 0; words[i]; i++) {
		luaL_addstring(&list, i ? ", " : "");
		luaL_addstring(&list, words[i]);
	}
	luaL_pushresult(&list);
	luaL_argerror(L, arg,
		      lua_pushfstring(L, "no %s '%s'; there are %s%s%s%s", what,
				      word, lua_tostring(L, -1),
				      near ? "; did you mean '" : "",
				      near ? near : "", near ? "'?" : ""));
}

static enum format opt_format(lua_State *L, int arg)
{
	enum { N = FORMAT_PROTOBUF + 1 };
	const char *word = luaL_optstring(L, arg, format_name(FORMAT_TEXT));
	enum format format = FORMAT_TEXT;
	const char *all[N + 1] = { NULL };

	if (format_parse(word, &format))
		return format;
	for (unsigned i = 0; i < N; i++)
		all[i] = format_name(i);
	unknown_word(L, arg, "format", word, all);
	return format;
}

static enum escaping opt_escaping(lua_State *L, int arg)
{
	static const enum escaping all[] = { ESCAPING_UNDERSCORES,
					     ESCAPING_DOTS, ESCAPING_VALUES,
					     ESCAPING_NONE };
	enum { N = sizeof all / sizeof *all };
	enum escaping escaping = ESCAPING_UNDERSCORES;
	const char *names[N + 1] = { NULL }, *word;
	size_t len;

	word = luaL_optlstring(L, arg, escaping_name(escaping), &len);
	if (escaping_parse((struct str){ word, len }, &escaping))
		return escaping;
	for (int i = 0; i < N; i++)
		names[i] = escaping_name(all[i]);
	unknown_word(L, arg, "escaping", word, names);
	return escaping;
}

struct form opt_metric_form(lua_State *L, int arg)
{
	struct form form = { .format = opt_format(L, arg),
			     .escaping = opt_escaping(L, arg + 1) };

	form.created = form.format == FORMAT_OPENMETRICS;
	return form;
}

/* Names in quotes came with version 1.0.0 of the text format. */
void push_metric_form_type(lua_State *L, struct form form)
{
	bool quotes =
		form.format == FORMAT_TEXT && form.escaping == ESCAPING_NONE;
	char type[FORM_TYPE_MAX];

	form_content_type(form, quotes ? "1.0.0" : NULL, type);
	lua_pushstring(L, type);
}
