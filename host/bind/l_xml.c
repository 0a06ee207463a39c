/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml: documents that are read like tables. A document (core/xmldoc.h) is one
 * userdata, so that its memory is the script's and its collector sees it. An
 * element is a small userdata with the document as its user value; neither has
 * a finalizer. The tree for XPath (core/xmlfind.h) is memory of C, made at the
 * first find, in a userdata that is the document's user value.
 */
#include "bind/bind.h"

#include <stdint.h>

#include "core/xmlfind.h"
#include "core/xmlparse.h"
#include "vm/state.h"

int luaopen_xml(lua_State *L);

#define ELEMENT "xml.element"
#define PARSE "xml.parse"
#define TREE "xml.tree"

struct element {
	const struct xmldoc *doc; /* user value 1 */
	uint32_t index;
};

struct tree {
	struct xmlfind *find;
	size_t size; /* that counts */
	bool closed; /* finalized: nothing is acquired any more */
};

static struct element *check_element(lua_State *L, int arg)
{
	return luaL_checkudata(L, arg, ELEMENT);
}

/* Another element of the document of the element at ARG; nil for none. */
static void push_element(lua_State *L, int arg, uint32_t index)
{
	const struct element *from = lua_touserdata(L, arg);
	struct element *element;

	arg = lua_absindex(L, arg);
	if (index == XMLDOC_NONE) {
		lua_pushnil(L);
		return;
	}
	element = lua_newuserdatauv(L, sizeof *element, 1);
	element->doc = from->doc;
	element->index = index;
	luaL_setmetatable(L, ELEMENT);
	lua_getiuservalue(L, arg, 1);
	lua_setiuservalue(L, -2, 1);
}

static void push_str(lua_State *L, struct str str)
{
	lua_pushlstring(L, str.data, str.len);
}

/* The child that is called as argument ARG says. */
static uint32_t find_child(lua_State *L, const struct element *self, int arg)
{
	uint32_t name = xmldoc_name_find(self->doc, check_str(L, arg));

	if (name == XMLDOC_NONE)
		return XMLDOC_NONE;
	return xmldoc_named(self->doc, xmldoc_first(self->doc, self->index),
			    name);
}

/* ---- parse -------------------------------------------------------------- */

static void check_limits(lua_State *L, int arg, struct xmlparse_limits *limits)
{
	static const char *const known[] = { "nodes", "size", NULL };

	check_options(L, arg, known);
	limits->nodes = (size_t)opt_integer(L, arg, "nodes", 0, 1, INT32_MAX);
	limits->size = (size_t)opt_integer(L, arg, "size", 0, 1, INT32_MAX);
}

/* xml.parse(text [, options]) -> element | nil, message */
static int l_parse(lua_State *L)
{
	struct str text = check_str(L, 1);
	struct xmlparse_limits limits;
	struct xmlparse *parse;
	struct element *root;
	struct xmldoc *doc;
	struct err err;
	bool ok;

	check_limits(L, 2, &limits);
	lua_settop(L, 1);
	parse = push_object(L, sizeof *parse, PARSE, 0);
	xmlparse_init(parse);
	root = push_object(L, sizeof *root, ELEMENT, 1);
	ok = xmlparse_prepare(parse, text, &limits, &err);
	if (ok) {
		doc = lua_newuserdatauv(L, parse->size, 1);
		ok = xmlparse_run(parse, doc, &err);
		root->doc = doc;
		lua_setiuservalue(L, 3, 1);
	}
	xmlparse_release(parse);
	if (!ok)
		return push_failure(L, &err);
	return 1;
}

static int l_parse_gc(lua_State *L)
{
	xmlparse_release(lua_touserdata(L, 1));
	return 0;
}

/* ---- reading ------------------------------------------------------------ */

/* element:get(name) -> text | nil */
static int l_get(lua_State *L)
{
	const struct element *self = check_element(L, 1);
	uint32_t child = find_child(L, self, 2);

	if (child == XMLDOC_NONE)
		lua_pushnil(L);
	else
		push_str(L, xmldoc_text(self->doc, child));
	return 1;
}

/* element.name: a method, else as element:get(name). Upvalue: the methods. */
static int l_index(lua_State *L)
{
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	lua_pop(L, 1);
	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L,
				  "an element has fields by name, not by %s; "
				  "see children() and each()",
				  luaL_typename(L, 2));
	return l_get(L);
}

static int l_newindex(lua_State *L)
{
	return luaL_error(L, "an element cannot be changed");
}

/* element:child(name) -> element | nil */
static int l_child(lua_State *L)
{
	const struct element *self = check_element(L, 1);

	push_element(L, 1, find_child(L, self, 2));
	return 1;
}

/* element:text() -> text */
static int l_text(lua_State *L)
{
	const struct element *self = check_element(L, 1);

	push_str(L, xmldoc_text(self->doc, self->index));
	return 1;
}

/* element:tag() -> name */
static int l_tag(lua_State *L)
{
	const struct element *self = check_element(L, 1);

	push_str(L,
		 xmldoc_name(self->doc, self->doc->elements[self->index].name));
	return 1;
}

/* element:namespace() -> uri | nil */
static int l_namespace(lua_State *L)
{
	const struct element *self = check_element(L, 1);
	uint32_t space = self->doc->elements[self->index].space;

	if (space == XMLDOC_NONE)
		lua_pushnil(L);
	else
		push_str(L,
			 xmldoc_name(self->doc, self->doc->spaces[space].uri));
	return 1;
}

static void push_value(lua_State *L, const struct xmldoc *doc, uint32_t i)
{
	lua_pushlstring(L, doc->values + doc->attributes[i].value,
			doc->attributes[i].len);
}

/* element:attribute(name) -> text | nil */
static int l_attribute(lua_State *L)
{
	const struct element *self = check_element(L, 1);
	const struct xmldoc *doc = self->doc;
	uint32_t name = xmldoc_name_find(doc, check_str(L, 2));
	uint32_t i = doc->elements[self->index].attributes;
	uint32_t end = doc->elements[self->index + 1].attributes;

	while (i < end && doc->attributes[i].name != name)
		i++;
	if (i < end)
		push_value(L, doc, i);
	else
		lua_pushnil(L);
	return 1;
}

/* element:attributes() -> { name = text } */
static int l_attributes(lua_State *L)
{
	const struct element *self = check_element(L, 1);
	const struct xmldoc *doc = self->doc;
	uint32_t begin = doc->elements[self->index].attributes;
	uint32_t end = doc->elements[self->index + 1].attributes;

	lua_createtable(L, 0, (int)(end - begin));
	while (end-- > begin) { /* the first of a name stays */
		push_str(L, xmldoc_name(doc, doc->attributes[end].name));
		push_value(L, doc, end);
		lua_rawset(L, -3);
	}
	return 1;
}

/* ---- children ----------------------------------------------------------- */

/* The name at argument 2; false: nothing is called so. */
static bool take_name(lua_State *L, const struct xmldoc *doc, uint32_t *name)
{
	*name = XMLDOC_NONE;
	if (lua_isnoneornil(L, 2))
		return true;
	*name = xmldoc_name_find(doc, check_str(L, 2));
	return *name != XMLDOC_NONE;
}

static uint32_t select_child(const struct xmldoc *doc, uint32_t e,
			     uint32_t name)
{
	return name == XMLDOC_NONE ? e : xmldoc_named(doc, e, name);
}

struct iterator {
	uint32_t next, name;
};

/* Upvalues: the element, struct iterator. */
static int l_each_next(lua_State *L)
{
	const struct element *self = lua_touserdata(L, lua_upvalueindex(1));
	struct iterator *it = lua_touserdata(L, lua_upvalueindex(2));
	uint32_t e = it->next;

	if (e != XMLDOC_NONE)
		it->next = select_child(self->doc, xmldoc_next(self->doc, e),
					it->name);
	push_element(L, lua_upvalueindex(1), e);
	return 1;
}

/* element:each([name]) -> iterator of elements */
static int l_each(lua_State *L)
{
	const struct element *self = check_element(L, 1);
	struct iterator it = { XMLDOC_NONE, XMLDOC_NONE };

	if (take_name(L, self->doc, &it.name))
		it.next = select_child(self->doc,
				       xmldoc_first(self->doc, self->index),
				       it.name);
	lua_settop(L, 1);
	*(struct iterator *)lua_newuserdatauv(L, sizeof it, 0) = it;
	lua_pushcclosure(L, l_each_next, 2);
	return 1;
}

/* element:children([name]) -> list of elements */
static int l_children(lua_State *L)
{
	const struct element *self = check_element(L, 1);
	const struct xmldoc *doc = self->doc;
	uint32_t name, e = XMLDOC_NONE;

	if (take_name(L, doc, &name))
		e = select_child(doc, xmldoc_first(doc, self->index), name);
	lua_newtable(L);
	for (lua_Integer i = 1; e != XMLDOC_NONE; i++) {
		push_element(L, 1, e);
		lua_rawseti(L, -2, i);
		e = select_child(doc, xmldoc_next(doc, e), name);
	}
	return 1;
}

/* ---- plain tables ------------------------------------------------------- */

static void push_table(lua_State *L, const struct xmldoc *doc, uint32_t e);

/* table lists|nil value -> table lists|nil: another child of a name that has
 * been there. LISTS knows which fields are lists already. */
static void add_repeated(lua_State *L, struct str name)
{
	if (lua_isnil(L, -2)) {
		lua_newtable(L);
		lua_replace(L, -3);
	}
	push_str(L, name); /* table lists value name */
	lua_pushvalue(L, -1);
	if (lua_rawget(L, -4) == LUA_TNIL) {
		lua_pop(L, 1);
		lua_createtable(L, 4, 0); /* table lists value name list */
		lua_pushvalue(L, -2);
		lua_rawget(L, -6);
		lua_rawseti(L, -2, 1);
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, -7);
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, -6);
	}
	lua_pushvalue(L, -3);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	lua_pop(L, 3);
}

/* table lists|nil -> the same, with the child E. */
static void add_child(lua_State *L, const struct xmldoc *doc, uint32_t e)
{
	struct str name = xmldoc_name(doc, doc->elements[e].name);

	push_str(L, name);
	if (lua_rawget(L, -3) == LUA_TNIL) {
		push_str(L, name); /* table lists nil name */
		lua_replace(L, -2);
		push_table(L, doc, e);
		lua_rawset(L, -4);
	} else {
		lua_pop(L, 1);
		push_table(L, doc, e);
		add_repeated(L, name);
	}
}

static int count_children(const struct xmldoc *doc, uint32_t e, int max)
{
	int n = 0;

	for (e = xmldoc_first(doc, e); e != XMLDOC_NONE && n < max; n++)
		e = xmldoc_next(doc, e);
	return n;
}

/* As deep as documents are, XMLSCAN_DEPTH_MAX. */
static void push_table(lua_State *L, const struct xmldoc *doc, uint32_t e)
{
	uint32_t child = xmldoc_first(doc, e);

	if (child == XMLDOC_NONE) {
		push_str(L, xmldoc_text(doc, e));
		return;
	}
	luaL_checkstack(L, 12, "to make tables of XML");
	lua_createtable(L, 0, count_children(doc, e, 16));
	lua_pushnil(L);
	for (; child != XMLDOC_NONE; child = xmldoc_next(doc, child))
		add_child(L, doc, child);
	lua_pop(L, 1);
}

/* element:table() -> text | table */
static int l_table(lua_State *L)
{
	const struct element *self = check_element(L, 1);

	push_table(L, self->doc, self->index);
	return 1;
}

/* ---- XPath -------------------------------------------------------------- */

static void release_tree(lua_State *L, struct tree *tree)
{
	*vm_outside(vm_of(L)) -= tree->size;
	xmlfind_free(tree->find);
	tree->find = NULL;
	tree->size = 0;
}

/* Leaves the tree of the document of argument 1 on the stack, made if it is
 * the first time; NULL with ERR. */
static struct tree *push_tree(lua_State *L, const struct xmldoc *doc,
			      struct err *err)
{
	struct tree *tree;

	lua_getiuservalue(L, 1, 1); /* document */
	if (lua_getiuservalue(L, -1, 1) == LUA_TNIL) {
		lua_pop(L, 1);
		push_object(L, sizeof *tree, TREE, 0);
		lua_pushvalue(L, -1);
		lua_setiuservalue(L, -3, 1);
	}
	lua_remove(L, -2);
	tree = lua_touserdata(L, -1);
	if (tree->find)
		return tree;
	if (tree->closed)
		luaL_error(L, "the document is closed");
	tree->find = xmlfind_new(doc, err);
	if (!tree->find)
		return NULL;
	/* its memory is not Lua's, so the collector is told */
	tree->size = xmlfind_size(tree->find);
	*vm_outside(vm_of(L)) += tree->size;
	lua_gc(L, LUA_GCSTEP, (int)(tree->size >> 10));
	if (vm_outside_fits(L))
		return tree;
	release_tree(L, tree);
	err_set(err, ERR_LIMIT,
		"find: the trees of the documents take more memory than the "
		"script may have itself" VM_LIMIT_HINT("memory"));
	return NULL;
}

static int l_tree_gc(lua_State *L)
{
	struct tree *tree = lua_touserdata(L, 1);

	release_tree(L, tree);
	tree->closed = true;
	return 0;
}

/* { prefix = uri } at argument 3. */
static void check_prefixes(lua_State *L, struct xmlfind *find)
{
	xmlfind_clear(find);
	if (lua_isnoneornil(L, 3))
		return;
	luaL_checktype(L, 3, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1))
		if (lua_type(L, -2) != LUA_TSTRING ||
		    lua_type(L, -1) != LUA_TSTRING ||
		    !xmlfind_prefix(find, lua_tostring(L, -2),
				    lua_tostring(L, -1)))
			luaL_argerror(L, 3, "expected { prefix = uri }");
}

static void push_nodes(lua_State *L, const struct xmlfind *find, size_t count)
{
	struct str text = { NULL, 0 };
	uint32_t e;

	lua_createtable(L, count < INT32_MAX ? (int)count : 0, 0);
	for (size_t i = 0; i < count; i++) {
		e = xmlfind_node(find, i, &text);
		if (e == XMLDOC_NONE)
			push_str(L, text);
		else
			push_element(L, 1, e);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void push_result(lua_State *L, const struct xmlfind *find,
			const struct xmlfind_result *result)
{
	switch (result->kind) {
	case XMLFIND_BOOLEAN: lua_pushboolean(L, result->boolean); break;
	case XMLFIND_NUMBER: lua_pushnumber(L, result->number); break;
	case XMLFIND_STRING: push_str(L, result->string); break;
	case XMLFIND_NODES_FOUND: push_nodes(L, find, result->count); break;
	}
}

/* element:find(xpath [, prefixes]) -> list | text | number | boolean
 * | nil, message */
static int l_find(lua_State *L)
{
	const struct element *self = check_element(L, 1);
	struct str xpath = check_str(L, 2);
	struct xmlfind_result result;
	struct tree *tree;
	struct err err;

	luaL_argcheck(L, strlen(xpath.data) == xpath.len, 2, "a NUL byte");
	lua_settop(L, 3);
	tree = push_tree(L, self->doc, &err);
	if (!tree)
		return push_failure(L, &err);
	check_prefixes(L, tree->find);
	if (!xmlfind_run(tree->find, self->index, xpath.data, &result, &err)) {
		if (err.code == ERR_LIMIT)
			return push_failure(L, &err);
		return luaL_error(L, "%s", err.text);
	}
	push_result(L, tree->find, &result);
	xmlfind_clear(tree->find);
	return 1;
}

/* ---- the class ---------------------------------------------------------- */

static int l_eq(lua_State *L)
{
	const struct element *a = luaL_testudata(L, 1, ELEMENT);
	const struct element *b = luaL_testudata(L, 2, ELEMENT);

	lua_pushboolean(L, a && b && a->doc == b->doc && a->index == b->index);
	return 1;
}

static int l_tostring(lua_State *L)
{
	const struct element *self = check_element(L, 1);
	struct str name =
		xmldoc_name(self->doc, self->doc->elements[self->index].name);

	lua_pushliteral(L, "<");
	push_str(L, name);
	lua_pushliteral(L, ">");
	lua_concat(L, 3);
	return 1;
}

static const luaL_Reg functions[] = {
	{ "parse", l_parse },
	{ NULL, NULL },
};

static const luaL_Reg methods[] = {
	{ "attribute", l_attribute },
	{ "attributes", l_attributes },
	{ "child", l_child },
	{ "children", l_children },
	{ "each", l_each },
	{ "find", l_find },
	{ "get", l_get },
	{ "namespace", l_namespace },
	{ "table", l_table },
	{ "tag", l_tag },
	{ "text", l_text },
	{ NULL, NULL },
};

static const luaL_Reg metas[] = {
	{ "__eq", l_eq },
	{ "__newindex", l_newindex },
	{ "__tostring", l_tostring },
	{ NULL, NULL },
};

/* The fields of an element are its own, so its methods are an upvalue. */
static void open_element(lua_State *L)
{
	static const luaL_Reg none[] = { { NULL, NULL } };

	bind_class(L, ELEMENT, none, metas);
	luaL_getmetatable(L, ELEMENT);
	luaL_newlib(L, methods);
	lua_pushcclosure(L, l_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

int luaopen_xml(lua_State *L)
{
	static const luaL_Reg none[] = { { NULL, NULL } };
	static const luaL_Reg parse_metas[] = { { "__gc", l_parse_gc },
						{ NULL, NULL } };
	static const luaL_Reg tree_metas[] = { { "__gc", l_tree_gc },
					       { NULL, NULL } };

	bind_class(L, PARSE, none, parse_metas);
	bind_class(L, TREE, none, tree_metas);
	open_element(L);
	luaL_newlib(L, functions);
	return 1;
}
