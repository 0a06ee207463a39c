/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf: messages declared in Lua or read from .proto texts, which decode
 * and encode. Stands on core/proto_parse.h and bind/protobuf_codec.h. A message
 * userdata owns a reference to its schema, never another userdata.
 */
#include "bind/bind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bind/protobuf_codec.h"
#include "core/proto_parse.h"
#include "vm/state.h"

int luaopen_protobuf(lua_State *L);

#define MESSAGE "protobuf.message"

enum {
	PATHS_MAX = 64,		 /* of options.paths */
	ENCODED_MAX = 16 << 20,	 /* bytes of one encoded message */
	SCRATCH_KEPT = 64 << 10, /* bytes a message keeps for the next */
};

struct message_object {
	struct proto_schema *schema; /* NULL: nothing acquired yet */
	const struct proto_message *message;
	struct buf scratch;
};

static struct message_object *check_message(lua_State *L, int arg)
{
	struct message_object *self = luaL_checkudata(L, arg, MESSAGE);

	luaL_argcheck(L, self->message != NULL, arg, "released message");
	return self;
}

static struct message_object *push_message(lua_State *L)
{
	struct message_object *self = push_object(L, sizeof *self, MESSAGE, 0);

	buf_init(&self->scratch, ENCODED_MAX);
	return self;
}

/* Counts the schema of SELF, which is whole. */
static void check_room(lua_State *L, const struct message_object *self)
{
	proto_schema_count(self->schema, vm_outside(vm_of(L)));
	if (!vm_outside_fits(L))
		luaL_error(L,
			   "the schemas and documents of the script take "
			   "more memory than it may have itself" VM_LIMIT_HINT(
				   "memory"));
}

/* ---- protobuf.message -----------------------------------------------------
 */

/* A Lua table has no order, and the first value stands for an absent one: 0 if
 * there is such a value, else the smallest. */
static int compare_enum_values(const void *a, const void *b)
{
	const struct proto_enum_value *x = a, *y = b;

	if ((x->number == 0) != (y->number == 0))
		return x->number == 0 ? -1 : 1;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* values name number */
static void add_enum_value(lua_State *L, struct proto_enum *e,
			   const struct proto_message *message,
			   const char *field)
{
	struct str name;
	struct err err;
	lua_Integer number;
	int exact;

	if (lua_type(L, -2) != LUA_TSTRING)
		luaL_error(L, "%s: field '%s': enum names are strings",
			   message->name, field);
	number = lua_tointegerx(L, -1, &exact);
	name.data = lua_tolstring(L, -2, &name.len);
	if (!exact || lua_type(L, -1) != LUA_TNUMBER || number < INT32_MIN ||
	    number > INT32_MAX)
		luaL_error(L,
			   "%s: field '%s': enum value '%s' is no 32-bit "
			   "integer",
			   message->name, field, name.data);
	if (!proto_enum_value_add(e, name, (int32_t)number, &err))
		luaL_error(L, "%s: %s", message->name, err.text);
}

static struct proto_enum *check_enum_table(lua_State *L,
					   struct proto_message *message,
					   const char *field)
{
	struct proto_enum *e;
	struct str name;
	struct err err;

	name.data = lua_pushfstring(L, "%s.%s", message->name, field);
	name.len = strlen(name.data);
	e = proto_enum_add(message->schema, name, &err);
	lua_pop(L, 1);
	if (!e)
		luaL_error(L, "%s: %s", message->name, err.text);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		add_enum_value(L, e, message, field);
	if (e->count)
		qsort(e->values, e->count, sizeof *e->values,
		      compare_enum_values);
	if (!proto_enum_seal(e, &err))
		luaL_error(L, "%s: %s", message->name, err.text);
	return e;
}

/* What stands at [2] of a field's table, on top of the stack. */
static void check_type(lua_State *L, struct proto_message *message,
		       struct proto_field *field)
{
	struct message_object *other = luaL_testudata(L, -1, MESSAGE);
	const char *name, *near;

	if (other && other->message) {
		proto_schema_use(message->schema, other->schema);
		field->type = PROTO_MESSAGE;
		field->message = (struct proto_message *)other->message;
		field->presence = true;
	} else if (lua_istable(L, -1)) {
		field->enumeration = check_enum_table(L, message, field->name);
		field->type = PROTO_ENUM;
	} else if (lua_type(L, -1) == LUA_TSTRING) {
		struct str type;

		name = type.data = lua_tolstring(L, -1, &type.len);
		if (proto_type_named(type, &field->type))
			return;
		near = nearest(name, proto_type_names());
		luaL_error(L,
			   near ? "%s: field '%s': unknown type '%s'; did you "
				  "mean '%s'?"
				: "%s: field '%s': unknown type '%s'",
			   message->name, field->name, name, near);
	} else {
		luaL_error(L,
			   "%s: field '%s': expected the name of a type, a "
			   "message or a table of enum values, got %s",
			   message->name, field->name, luaL_typename(L, -1));
	}
}

static bool take_flag(lua_State *L, const struct proto_message *message,
		      const struct proto_field *field, const char *key,
		      bool fallback)
{
	bool value = fallback;

	lua_pushstring(L, key);
	switch (lua_rawget(L, -2)) {
	case LUA_TNIL: break;
	case LUA_TBOOLEAN: value = lua_toboolean(L, -1); break;
	default:
		luaL_error(L,
			   "%s: field '%s': option '%s': expected boolean, "
			   "got %s",
			   message->name, field->name, key,
			   luaL_typename(L, -1));
	}
	lua_pop(L, 1);
	return value;
}

static void take_default(lua_State *L, const struct proto_message *message,
			 struct proto_field *field)
{
	union proto_value value;

	lua_pushstring(L, "default");
	if (lua_rawget(L, -2) == LUA_TNIL) {
		lua_pop(L, 1);
		return;
	}
	if (field->repeated || proto_type_nested(field->type))
		luaL_error(L,
			   "%s: field '%s': lists and messages have no "
			   "default",
			   message->name, field->name);
	value = check_protobuf_value(L, -1, message, field);
	field->has_default = true;
	if (field->type == PROTO_STRING || field->type == PROTO_BYTES)
		proto_field_set_string(field, value.str);
	else
		field->value = value;
	lua_pop(L, 1);
}

static void check_field_keys(lua_State *L, const struct proto_message *message,
			     const char *field)
{
	static const char *const known[] = { "default", "optional", "packed",
					     "repeated", NULL };
	const char *key, *near;

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1 &&
		    lua_tointeger(L, -2) <= 2)
			continue;
		lua_pushvalue(L, -2);
		key = luaL_tolstring(L, -1, NULL);
		near = nearest(key, known);
		if (near && strcmp(near, key) == 0) {
			lua_pop(L, 2);
			continue;
		}
		luaL_error(L,
			   near ? "%s: field '%s': unknown option '%s'; did "
				  "you mean '%s'?"
				: "%s: field '%s': unknown option '%s'",
			   message->name, field, key, near);
	}
}

/* One field: name and table on top of the stack. */
static void add_field(lua_State *L, struct proto_message *message)
{
	struct proto_field *field;
	lua_Integer number;
	struct str name;
	struct err err;

	if (lua_type(L, -2) != LUA_TSTRING)
		luaL_error(L, "%s: a field's name is a string, not a %s",
			   message->name, luaL_typename(L, -2));
	name.data = lua_tolstring(L, -2, &name.len);
	if (!lua_istable(L, -1))
		luaL_error(L,
			   "%s: field '%s': expected { number, type }, "
			   "got %s",
			   message->name, name.data, luaL_typename(L, -1));
	check_field_keys(L, message, name.data);
	if (lua_rawgeti(L, -1, 1) != LUA_TNUMBER || !lua_isinteger(L, -1))
		luaL_error(L,
			   "%s: field '%s': expected a number at [1], "
			   "got %s",
			   message->name, name.data, luaL_typename(L, -1));
	number = lua_tointeger(L, -1);
	lua_pop(L, 1);
	field = proto_field_add(message, name, number, &err);
	if (!field)
		luaL_error(L, "%s: field '%s': %s", message->name, name.data,
			   err.text);
	lua_rawgeti(L, -1, 2);
	check_type(L, message, field);
	lua_pop(L, 1);
	field->utf8 = field->type == PROTO_STRING;
	field->repeated = take_flag(L, message, field, "repeated", false);
	field->packed = take_flag(L, message, field, "packed",
				  proto_type_packable(field->type)) &&
			proto_type_packable(field->type) && field->repeated;
	field->presence |= take_flag(L, message, field, "optional", false);
	take_default(L, message, field);
}

/* protobuf.message(fields [, name]) -> message */
static int l_message(lua_State *L)
{
	struct proto_message *message;
	struct message_object *self;
	struct str name;
	struct err err;

	luaL_checktype(L, 1, LUA_TTABLE);
	name.data = luaL_optlstring(L, 2, "message", &name.len);
	self = push_message(L);
	self->schema = proto_schema_new();
	message = proto_message_add(self->schema, name, &err);
	if (!message)
		return luaL_argerror(L, 2, err.text);
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
		add_field(L, message);
	if (!proto_message_seal(message, &err))
		return luaL_error(L, "%s", err.text);
	self->message = message;
	check_room(L, self);
	return 1;
}

/* ---- protobuf.load --------------------------------------------------------
 */

/* What imports are looked for in. No Lua code runs while it is in use. */
struct search {
	const char *root; /* the file that was asked for; NULL: a text */
	struct str paths[PATHS_MAX];
	size_t npaths;
	bool closed; /* the script is in a sandbox: there are no files */
};

/* False with ERR; code ERR_CLOSED when there is no such file. */
static bool read_file(const char *path, struct buf *text, struct err *err)
{
	FILE *file = fopen(path, "rbe");
	char bytes[4096];
	struct stat st;
	size_t n;
	bool ok;

	if (!file)
		return err_set(err, ERR_CLOSED, "open %s: %m", path);
	if (fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode)) {
		fclose(file);
		return err_set(err, ERR_IO, "%s: not a regular file", path);
	}
	while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
		if (!buf_add(text, bytes, n))
			break;
	ok = !text->full && !ferror(file);
	if (text->full)
		err_set(err, ERR_LIMIT, "%s: more than %d bytes", path,
			PROTO_TEXT_MAX);
	else if (!ok)
		err_set(err, ERR_IO, "read %s: %m", path);
	fclose(file);
	return ok;
}

/* Puts DIR/NAME into PATH, without "./" in front, so that a file has one name;
 * then its text into TEXT. */
static bool read_from(struct str dir, const char *name, struct buf *path,
		      struct buf *text, struct err *err)
{
	while (dir.len >= 2 && memcmp(dir.data, "./", 2) == 0) {
		dir.data += 2;
		dir.len -= 2;
	}
	while (dir.len > 1 && dir.data[dir.len - 1] == '/')
		dir.len--;
	if (dir.len == 1 && *dir.data == '.')
		dir.len = 0;
	while (strncmp(name, "./", 2) == 0)
		name += 2;
	buf_clear(path);
	buf_clear(text);
	buf_addf(path, "%.*s%s%s", (int)dir.len, dir.data,
		 dir.len && dir.data[dir.len - 1] != '/' ? "/" : "", name);
	if (path->full)
		return err_set(err, ERR_LIMIT, "%s: path too long", name);
	return read_file(buf_text(path), text, err);
}

static struct str directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return (struct str){ path, slash ? (size_t)(slash - path) + 1 : 0 };
}

static bool leaves_directory(const char *name)
{
	size_t len = strlen(name);

	return *name == '/' || strncmp(name, "../", 3) == 0 ||
	       strstr(name, "/../") ||
	       (len >= 2 && strcmp(name + len - 2, "..") == 0);
}

/* Beside the file that imports, beside the first file, in options.paths. */
static bool search_open(void *ctx, const char *name, const char *from,
			struct buf *path, struct buf *text, struct err *err)
{
	const struct search *search = ctx;
	bool ok = false;

	if (search->closed)
		return err_set(err, ERR_DENIED,
			       "'%s': files are not available in a sandbox",
			       name);
	if (!*name || leaves_directory(name))
		return err_set(err, ERR_INPUT,
			       "'%s' is no path below the "
			       "importing directories",
			       name);
	err->code = ERR_CLOSED;
	if (search->root || *from != '<')
		ok = read_from(directory_of(from), name, path, text, err);
	if (!ok && err->code == ERR_CLOSED && search->root)
		ok = read_from(directory_of(search->root), name, path, text,
			       err);
	for (size_t i = 0; i < search->npaths; i++)
		if (!ok && err->code == ERR_CLOSED)
			ok = read_from(search->paths[i], name, path, text, err);
	if (ok || err->code != ERR_CLOSED)
		return ok;
	return err_set(err, ERR_INPUT,
		       "'%s' is neither beside the file nor in options.paths",
		       name);
}

static struct proto_schema *parse_text(struct search *search, struct str text,
				       struct err *err)
{
	struct proto_source source = { search_open, search };

	return proto_parse("<text>", text, &source, err);
}

/* NAME beside the script SCRIPT, if that is a file, or as it is. */
static struct proto_schema *parse_file(struct search *search, const char *name,
				       const char *script, struct err *err)
{
	struct proto_source source = { search_open, search };
	struct proto_schema *schema = NULL;
	struct buf path, text;
	bool ok = false;

	buf_init(&path, PROTO_PATH_MAX);
	buf_init(&text, PROTO_TEXT_MAX);
	err->code = ERR_CLOSED;
	if (*script == '@' && *name != '/')
		ok = read_from(directory_of(script + 1), name, &path, &text,
			       err);
	if (!ok && err->code == ERR_CLOSED)
		ok = read_from((struct str){ name, 0 }, name, &path, &text,
			       err);
	search->root = buf_text(&path);
	if (ok)
		schema = proto_parse(buf_text(&path),
				     (struct str){ buf_text(&text), text.len },
				     &source, err);
	buf_release(&path);
	buf_release(&text);
	return schema;
}

static void check_path(lua_State *L, struct search *search)
{
	struct str *path = &search->paths[search->npaths];

	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "option 'paths': expected a list of strings");
	if (search->npaths == PATHS_MAX - 1)
		luaL_error(L, "option 'paths': more than %d", PATHS_MAX - 1);
	path->data = lua_tolstring(L, -1, &path->len);
	search->npaths++;
}

/* options.paths: one directory or a list of them; anchored by the table. */
static void check_paths(lua_State *L, int arg, struct search *search)
{
	static const char *const known[] = { "paths", NULL };

	check_options(L, arg, known);
	if (lua_isnoneornil(L, arg))
		return;
	lua_pushstring(L, "paths");
	lua_rawget(L, arg);
	if (lua_istable(L, -1)) {
		for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, -1);
		     i++) {
			lua_rawgeti(L, -1, i);
			check_path(L, search);
			lua_pop(L, 1);
		}
	} else if (!lua_isnil(L, -1)) {
		check_path(L, search);
	}
	lua_pop(L, 1);
}

static bool is_file_name(struct str str)
{
	if (str.len >= 6 && memcmp(str.data + str.len - 6, ".proto", 6) == 0)
		return !memchr(str.data, '\n', str.len);
	return !memchr(str.data, '\n', str.len) &&
	       !memchr(str.data, '{', str.len) &&
	       !memchr(str.data, ';', str.len);
}

static void push_messages(lua_State *L, struct proto_schema *schema)
{
	const struct proto_message *message;
	struct message_object *self;

	lua_createtable(L, 0, (int)schema->nmessages);
	for (size_t i = 0; i < schema->nmessages; i++) {
		message = schema->messages[i];
		if (message->entry)
			continue;
		self = push_message(L);
		self->schema = proto_schema_ref(schema);
		self->message = message;
		if (message->unique) {
			lua_pushvalue(L, -1);
			lua_setfield(L, -3, proto_message_simple(message));
		}
		lua_setfield(L, -2, message->name);
	}
}

/* protobuf.load(text_or_file [, options]) -> messages | nil, message */
static int l_load(lua_State *L)
{
	struct search search = { .npaths = 0 };
	struct str str = check_str(L, 1);
	struct message_object *holder;
	const char *script = "";
	lua_Debug caller;
	struct err err;

	check_paths(L, 2, &search);
	search.closed = in_sandbox(L);
	if (search.closed && is_file_name(str))
		return luaL_argerror(L, 1,
				     "files are not available in a sandbox; "
				     "expected the text of a schema");
	holder = push_message(L);
	if (lua_getstack(L, 1, &caller) && lua_getinfo(L, "S", &caller))
		script = caller.source;
	if (!is_file_name(str))
		holder->schema = parse_text(&search, str, &err);
	else if (strlen(str.data) == str.len)
		holder->schema = parse_file(&search, str.data, script, &err);
	else
		return luaL_argerror(L, 1, "a file name holds a zero byte");
	if (!holder->schema)
		return push_failure(L, &err);
	check_room(L, holder);
	push_messages(L, holder->schema);
	return 1;
}

/* ---- methods --------------------------------------------------------------
 */

/* message:decode(bytes) -> table | nil, message */
static int l_decode(lua_State *L)
{
	struct message_object *self = check_message(L, 1);
	struct str bytes = check_str(L, 2);
	struct err err;

	if (!push_protobuf_table(L, self->message, bytes, &err))
		return push_failure(L, &err);
	return 1;
}

/* message:encode(table) -> bytes */
static int l_encode(lua_State *L)
{
	struct message_object *self = check_message(L, 1);
	struct buf *scratch = &self->scratch;

	buf_clear(scratch);
	check_protobuf_table(L, 2, self->message, scratch);
	lua_pushlstring(L, buf_text(scratch), scratch->len);
	if (scratch->len > SCRATCH_KEPT)
		buf_release(scratch);
	return 1;
}

static int l_gc(lua_State *L)
{
	struct message_object *self = luaL_checkudata(L, 1, MESSAGE);

	proto_schema_unref(self->schema);
	self->schema = NULL;
	self->message = NULL;
	buf_release(&self->scratch);
	return 0;
}

/* tostring(message) -> "protobuf.message: package.Name" */
static int l_tostring(lua_State *L)
{
	const struct message_object *self = luaL_checkudata(L, 1, MESSAGE);

	lua_pushfstring(L, MESSAGE ": %s",
			self->message ? self->message->name : "released");
	return 1;
}

static const luaL_Reg methods[] = {
	{ "decode", l_decode },
	{ "encode", l_encode },
	{ NULL, NULL },
};

static const luaL_Reg metas[] = {
	{ "__gc", l_gc },
	{ "__tostring", l_tostring },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "load", l_load },
	{ "message", l_message },
	{ NULL, NULL },
};

int luaopen_protobuf(lua_State *L)
{
	bind_class(L, MESSAGE, methods, metas);
	luaL_newlib(L, functions);
	return 1;
}
