/* SPDX-License-Identifier: Apache-2.0 */
#include "core/xmlfind.h"

#include <ctype.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/xml2.h"

struct xmlfind {
	const struct xml2 *xml2;
	xmlDoc *doc;
	xmlNode **elements; /* by index; a node's _private is index + 1 */
	xmlNs **spaces;	    /* by index; they belong to the root */
	size_t nodes;
	xmlXPathContext *context;
	xmlXPathObject *object; /* the last result */
	const char *expression; /* the one at work */
	struct err *err;	/* its */
	bool failed;
};

/* ---- the tree ----------------------------------------------------------- */

static const xmlChar *chars(const char *s)
{
	return (const xmlChar *)s;
}

static void append(xmlNode *parent, xmlNode *node)
{
	node->parent = parent;
	node->prev = parent->last;
	if (parent->last)
		parent->last->next = node;
	else
		parent->children = node;
	parent->last = node;
}

/* A name of the document, terminated, in BUF. */
static const xmlChar *name_text(const struct xmldoc *doc, uint32_t name,
				struct buf *buf)
{
	struct str str = xmldoc_name(doc, name);

	buf_clear(buf);
	buf_add(buf, str.data, str.len);
	return chars(buf_text(buf));
}

/* Two prefixes may stand for one namespace, and one prefix for several in
 * different places: the declarations are a list that no lookup goes through. */
static void add_spaces(struct xmlfind *find, const struct xmldoc *doc,
		       xmlNode *root, struct buf *buf)
{
	xmlNs **link = &root->nsDef;
	struct buf prefix;

	buf_init(&prefix, XMLDOC_NAMES_BYTES);
	find->spaces = mem_array(doc->nspaces + 1u, sizeof(xmlNs *));
	for (uint32_t i = 0; i < doc->nspaces; i++) {
		const struct xmldoc_space *space = &doc->spaces[i];
		const xmlChar *p = NULL;

		if (space->prefix != XMLDOC_NONE)
			p = name_text(doc, space->prefix, &prefix);
		find->spaces[i] = find->xml2->xmlNewNs(
			NULL, name_text(doc, space->uri, buf), p);
		*link = find->spaces[i];
		if (*link)
			link = &(*link)->next;
	}
	buf_release(&prefix);
}

static xmlNs *space_of(const struct xmlfind *find, uint32_t space)
{
	return space == XMLDOC_NONE ? NULL : find->spaces[space];
}

static void add_text(struct xmlfind *find, const struct xmldoc *doc,
		     xmlNode *parent, uint32_t from, uint32_t to)
{
	xmlNode *node;

	if (from == to)
		return;
	node = find->xml2->xmlNewDocTextLen(find->doc, chars(doc->text + from),
					    (int)(to - from));
	if (node)
		append(parent, node);
}

static void add_attributes(struct xmlfind *find, const struct xmldoc *doc,
			   uint32_t e, struct buf *buf)
{
	uint32_t end = doc->elements[e + 1].attributes;

	for (uint32_t i = doc->elements[e].attributes; i < end; i++) {
		const struct xmldoc_attribute *at = &doc->attributes[i];

		find->xml2->xmlNewNsProp(find->elements[e],
					 space_of(find, at->space),
					 name_text(doc, at->name, buf),
					 chars(doc->values + at->value));
	}
}

static bool add_element(struct xmlfind *find, const struct xmldoc *doc,
			uint32_t e, struct buf *buf)
{
	const struct xmldoc_element *element = &doc->elements[e];
	xmlNode *node = find->xml2->xmlNewDocNode(
		find->doc, NULL, name_text(doc, element->name, buf), NULL);

	if (!node)
		return false;
	find->elements[e] = node;
	node->_private = (void *)((uintptr_t)e + 1);
	if (e == 0) {
		append((xmlNode *)find->doc, node);
		add_spaces(find, doc, node, buf);
	} else {
		append(find->elements[element->parent], node);
	}
	node->ns = space_of(find, element->space);
	add_attributes(find, doc, e, buf);
	return true;
}

/* Elements in order, and the text before, between and behind them. */
static bool add_all(struct xmlfind *find, const struct xmldoc *doc,
		    struct buf *buf)
{
	uint32_t open = XMLDOC_NONE, at = 0;

	for (uint32_t e = 0; e <= doc->nelements; e++) {
		const struct xmldoc_element *element = &doc->elements[e];

		while (open != XMLDOC_NONE && doc->elements[open].end <= e) {
			add_text(find, doc, find->elements[open], at,
				 doc->elements[open].text_end);
			at = doc->elements[open].text_end;
			open = doc->elements[open].parent;
		}
		if (e == doc->nelements)
			break;
		if (open != XMLDOC_NONE)
			add_text(find, doc, find->elements[open], at,
				 element->text);
		at = element->text;
		if (!add_element(find, doc, e, buf))
			return false;
		open = e;
	}
	return true;
}

static bool build(struct xmlfind *find, const struct xmldoc *doc)
{
	const struct xml2 *xml2 = find->xml2;
	struct buf buf;
	bool ok;

	find->doc = xml2->xmlNewDoc(chars("1.0"));
	if (!find->doc)
		return false;
	find->doc->dict = xml2->xmlDictCreate();
	find->elements = mem_array(doc->nelements, sizeof(xmlNode *));
	buf_init(&buf, XMLDOC_NAMES_BYTES);
	ok = add_all(find, doc, &buf);
	buf_release(&buf);
	if (!ok)
		return false;
	xml2->xmlXPathOrderDocElems(find->doc);
	find->context = xml2->xmlXPathNewContext(find->doc);
	return find->context;
}

/* ---- errors ------------------------------------------------------------- */

static bool fail(struct xmlfind *find, enum err_code code, const char *what,
		 int place)
{
	if (!find->failed && code == ERR_LIMIT)
		err_set(find->err, code, "xml: find: %s", what);
	else if (!find->failed)
		err_set(find->err, code,
			"xml: find: %s at character %d of '%.100s%s'", what,
			place, find->expression,
			strlen(find->expression) > 100 ? "..." : "");
	find->failed = true;
	return false;
}

/* libxml2 gives a code and a place, and has no text for who asks itself. */
static const char *reason_of(int code)
{
	switch (code) {
	case XPATH_NUMBER_ERROR: return "a malformed number";
	case XPATH_UNFINISHED_LITERAL_ERROR: return "an unfinished string";
	case XPATH_START_LITERAL_ERROR: return "a string is expected";
	case XPATH_INVALID_PREDICATE_ERROR: return "an invalid predicate";
	case XPATH_UNKNOWN_FUNC_ERROR: return "an unknown function";
	case XPATH_INVALID_OPERAND: return "an invalid operand";
	case XPATH_INVALID_TYPE: return "a value of the wrong type";
	case XPATH_INVALID_ARITY: return "a wrong number of arguments";
	case XPATH_UNDEF_PREFIX_ERROR: return "an unknown prefix";
	case XPATH_ENCODING_ERROR:
	case XPATH_INVALID_CHAR_ERROR: return "text that is not UTF-8";
	case XPATH_RECURSION_LIMIT_EXCEEDED: return "too much nesting";
	default: return "an invalid expression";
	}
}

static void on_error(void *ctx, xmlError *error)
{
	int code = error->code - XML_XPATH_EXPRESSION_OK;

	if (code == XPATH_OP_LIMIT_EXCEEDED || code == XPATH_MEMORY_ERROR ||
	    error->code == XML_ERR_NO_MEMORY)
		fail(ctx, ERR_LIMIT, "the expression takes too many steps", 0);
	else
		fail(ctx, ERR_USAGE, reason_of(code), error->int1 + 1);
}

/* ---- what libxml2 would print about -------------------------------------- */

static const char *name_before(const char *begin, const char *p)
{
	while (p > begin && isspace((unsigned char)p[-1]))
		p--;
	while (p > begin && (isalnum((unsigned char)p[-1]) ||
			     strchr("-_.", p[-1]) || p[-1] & 0x80))
		p--;
	return p;
}

/* Variables, of which there are none, and functions with a prefix, too. */
static bool check_expression(struct xmlfind *find)
{
	const char *begin = find->expression, *p = begin, *name;

	if (strlen(begin) > XMLFIND_EXPRESSION)
		return fail(find, ERR_USAGE, "more than 4096 bytes", 1);
	for (; *p; p++) {
		if (*p == '"' || *p == '\'') {
			p = strchr(p + 1, *p);
			if (!p)
				return true;
		} else if (*p == '$') {
			return fail(find, ERR_USAGE, "there are no variables,",
				    (int)(p - begin) + 1);
		} else if (*p == '(') {
			name = name_before(begin, p);
			if (name > begin + 1 && name[-1] == ':' &&
			    name[-2] != ':')
				return fail(find, ERR_USAGE,
					    "an unknown function",
					    (int)(name - begin) + 1);
		}
	}
	return true;
}

static void refuse_function(xmlXPathParserContext *parser, int nargs)
{
	(void)nargs;
	parser->error = XPATH_UNKNOWN_FUNC_ERROR;
}

/* Asked before libxml2 looks itself; NULL: it may. */
static xmlXPathFunction look_up_function(void *ctx, const xmlChar *name,
					 const xmlChar *uri)
{
	static const char *const known[] = {
		"boolean",
		"ceiling",
		"concat",
		"contains",
		"count",
		"false",
		"floor",
		"id",
		"lang",
		"last",
		"local-name",
		"name",
		"namespace-uri",
		"normalize-space",
		"not",
		"number",
		"position",
		"round",
		"starts-with",
		"string",
		"string-length",
		"substring",
		"substring-after",
		"substring-before",
		"sum",
		"translate",
		"true",
	};
	struct xmlfind *find = ctx;
	const char *place;

	for (size_t i = 0; !uri && i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i], (const char *)name) == 0)
			return NULL;
	place = strstr(find->expression, (const char *)name);
	fail(find, ERR_USAGE, "an unknown function",
	     place ? (int)(place - find->expression) + 1 : 1);
	return refuse_function;
}

/* ---- life --------------------------------------------------------------- */

struct xmlfind *xmlfind_new(const struct xmldoc *doc, struct err *err)
{
	size_t nodes = 2 * ((size_t)doc->nelements + doc->nattributes);
	const struct xml2 *xml2 = xml2_get(err);
	struct xmlfind *find;

	if (!xml2)
		return NULL;
	if (nodes > XMLFIND_NODES) {
		err_set(err, ERR_LIMIT,
			"xml: find: the document has more than %d elements "
			"and attributes",
			XMLFIND_NODES / 2);
		return NULL;
	}
	find = mem_alloc(sizeof *find);
	find->xml2 = xml2;
	find->nodes = nodes;
	if (build(find, doc)) {
		find->context->error = on_error;
		find->context->userData = find;
		find->context->funcLookupFunc = look_up_function;
		find->context->funcLookupData = find;
		return find;
	}
	err_set(err, ERR_LIMIT, "xml: find: no memory");
	xmlfind_free(find);
	return NULL;
}

static void drop_result(struct xmlfind *find)
{
	if (find->object)
		find->xml2->xmlXPathFreeObject(find->object);
	find->object = NULL;
}

void xmlfind_free(struct xmlfind *find)
{
	if (!find)
		return;
	drop_result(find);
	if (find->context)
		find->xml2->xmlXPathFreeContext(find->context);
	if (find->doc)
		find->xml2->xmlFreeDoc(find->doc);
	free(find->elements);
	free(find->spaces);
	free(find);
}

size_t xmlfind_size(const struct xmlfind *find)
{
	return sizeof *find + find->nodes * (sizeof(xmlNode) + 16);
}

/* ---- expressions -------------------------------------------------------- */

void xmlfind_clear(struct xmlfind *find)
{
	drop_result(find);
	find->xml2->xmlXPathRegisteredNsCleanup(find->context);
}

bool xmlfind_prefix(struct xmlfind *find, const char *prefix, const char *uri)
{
	return find->xml2->xmlXPathRegisterNs(find->context, chars(prefix),
					      chars(uri)) == 0;
}

static void take_result(struct xmlfind *find, struct xmlfind_result *result)
{
	xmlXPathObject *object = find->object;

	*result = (struct xmlfind_result){ .kind = XMLFIND_NODES_FOUND };
	switch (object->type) {
	case XPATH_BOOLEAN:
		result->kind = XMLFIND_BOOLEAN;
		result->boolean = object->boolval;
		break;
	case XPATH_NUMBER:
		result->kind = XMLFIND_NUMBER;
		result->number = object->floatval;
		break;
	case XPATH_STRING:
		result->kind = XMLFIND_STRING;
		result->string.data = (const char *)object->stringval;
		result->string.len = strlen(result->string.data);
		break;
	default:
		find->xml2->xmlXPathNodeSetSort(object->nodesetval);
		if (object->nodesetval)
			result->count = (size_t)object->nodesetval->nodeNr;
	}
}

bool xmlfind_run(struct xmlfind *find, uint32_t element, const char *expression,
		 struct xmlfind_result *result, struct err *err)
{
	const struct xml2 *xml2 = find->xml2;
	xmlXPathCompExpr *compiled;

	drop_result(find);
	find->expression = expression;
	find->err = err;
	find->failed = false;
	if (!check_expression(find))
		return false;
	find->context->node = find->elements[element];
	find->context->opLimit = XMLFIND_STEPS;
	find->context->opCount = 0;
	compiled = xml2->xmlXPathCtxtCompile(find->context, chars(expression));
	if (compiled) {
		find->object =
			xml2->xmlXPathCompiledEval(compiled, find->context);
		xml2->xmlXPathFreeCompExpr(compiled);
	}
	xml2->xmlResetError(&find->context->lastError);
	if (!find->object)
		fail(find, ERR_USAGE, "an invalid expression", 1);
	if (find->failed)
		return false;
	take_result(find, result);
	return true;
}

uint32_t xmlfind_node(const struct xmlfind *find, size_t i, struct str *text)
{
	const xmlNode *node = find->object->nodesetval->nodeTab[i];
	const xmlChar *value = NULL;

	if (node->type == XML_ELEMENT_NODE)
		return (uint32_t)((uintptr_t)node->_private - 1);
	if (node->type == XML_DOCUMENT_NODE)
		return 0;
	if (node->type == XML_NAMESPACE_DECL)
		value = ((const xmlNs *)node)->href;
	else if (node->type == XML_ATTRIBUTE_NODE && node->children)
		value = node->children->content;
	else if (node->type == XML_TEXT_NODE)
		value = node->content;
	text->data = value ? (const char *)value : "";
	text->len = strlen(text->data);
	return XMLDOC_NONE;
}
