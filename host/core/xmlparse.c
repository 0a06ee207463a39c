/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libxml2's parser calls the functions here for each thing it finds (SAX2); its
 * tree is not built. Reading goes on in pieces, so that after the first mistake
 * there is nothing more to read: the parser itself would look for further ones
 * up to the end.
 */
#include "core/xmlparse.h"

#include "core/xml2.h"
#include "core/xmltext.h"

struct builder {
	const struct xml2 *xml2;
	xmlParserCtxt *ctxt;
	struct xmldoc *doc;
	struct str rest; /* not read yet */
	uint32_t open;	 /* the element around what comes next */
	uint32_t depth;
	uint32_t open_spaces[XMLSCAN_DEPTH_MAX + 1];
	uint32_t nspaces; /* their sum */
	size_t entities, entity_bytes, defaulted;
	bool failed;
	struct err *err;
};

static struct str str_of(const xmlChar *s)
{
	return (struct str){ (const char *)s, strlen((const char *)s) };
}

/* The first failure counts. */
static bool fail(struct builder *b, enum err_code code, const char *what,
		 const xmlChar *name)
{
	int line = b->ctxt->input ? b->ctxt->input->line : 0;

	if (!b->failed)
		err_set(b->err, code, "xml: line %d: %s%s%s%s", line, what,
			name ? " '" : "", name ? (const char *)name : "",
			name ? "'" : "");
	b->failed = true;
	return false;
}

/* Cannot happen as long as core/xmlscan.c counts what libxml2 reads. */
static bool fail_counted(struct builder *b)
{
	return fail(b, ERR_LIMIT, "more than was counted", NULL);
}

/* ---- elements ----------------------------------------------------------- */

static bool take_name(struct builder *b, const xmlChar *name, uint32_t *out)
{
	*out = xmldoc_name_add(b->doc, str_of(name));
	if (*out == XMLDOC_NONE)
		return fail(b, ERR_LIMIT, "too many different names", NULL);
	return true;
}

static bool take_space(struct builder *b, const xmlChar *prefix,
		       const xmlChar *uri, uint32_t *out)
{
	struct xmldoc *doc = b->doc;
	struct xmldoc_space space = { XMLDOC_NONE, XMLDOC_NONE };

	*out = XMLDOC_NONE;
	if (!uri)
		return true;
	if ((prefix && !take_name(b, prefix, &space.prefix)) ||
	    !take_name(b, uri, &space.uri))
		return false;
	for (uint32_t i = 0; i < doc->nspaces; i++) {
		if (doc->spaces[i].uri != space.uri ||
		    doc->spaces[i].prefix != space.prefix)
			continue;
		*out = i;
		return true;
	}
	if (doc->nspaces == XMLDOC_SPACES_MAX ||
	    doc->nspaces > doc->attributes_cap)
		return fail(b, ERR_LIMIT, "too many different namespaces",
			    NULL);
	*out = doc->nspaces;
	doc->spaces[doc->nspaces++] = space;
	return true;
}

/* ATTRIBUTE: name, prefix, namespace, value, end of value. */
static bool take_attribute(struct builder *b, const xmlChar **attribute)
{
	struct xmldoc *doc = b->doc;
	size_t len = (size_t)(attribute[4] - attribute[3]);
	struct xmldoc_attribute *at = &doc->attributes[doc->nattributes];

	if (doc->nattributes == doc->attributes_cap ||
	    len + 1 > doc->values_cap - doc->values_len)
		return fail_counted(b);
	if (!take_name(b, attribute[0], &at->name) ||
	    !take_space(b, attribute[1], attribute[2], &at->space))
		return false;
	at->value = doc->values_len;
	at->len = (uint32_t)len;
	memcpy(doc->values + at->value, attribute[3], len);
	doc->values[at->value + len] = '\0';
	doc->values_len += (uint32_t)len + 1;
	doc->nattributes++;
	return true;
}

static bool enter(struct builder *b, int nspaces)
{
	if (b->depth == XMLSCAN_DEPTH_MAX ||
	    b->doc->nelements == b->doc->elements_cap)
		return fail_counted(b);
	b->nspaces += (uint32_t)nspaces;
	if (b->nspaces > XMLPARSE_SPACES_OPEN)
		return fail(b, ERR_LIMIT, "more than 256 namespaces in scope",
			    NULL);
	b->open_spaces[b->depth++] = (uint32_t)nspaces;
	return true;
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix,
		     const xmlChar *uri, int nspaces, const xmlChar **spaces,
		     int nattributes, int ndefaulted,
		     const xmlChar **attributes)
{
	struct builder *b = ctx;
	struct xmldoc *doc = b->doc;
	struct xmldoc_element *element = &doc->elements[doc->nelements];

	(void)spaces;
	b->defaulted += (size_t)ndefaulted;
	if (b->failed || !enter(b, nspaces))
		return;
	if (b->defaulted > XMLPARSE_DEFAULTED)
		fail(b, ERR_LIMIT, "too many attributes by default", NULL);
	element->parent = b->open;
	element->text = doc->text_len;
	element->attributes = doc->nattributes;
	if (!take_name(b, name, &element->name) ||
	    !take_space(b, prefix, uri, &element->space))
		return;
	for (int i = 0; i < nattributes - ndefaulted; i++)
		if (!take_attribute(b, attributes + 5 * i))
			return;
	b->open = doc->nelements++;
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix,
		   const xmlChar *uri)
{
	struct builder *b = ctx;
	struct xmldoc_element *element;

	(void)name;
	(void)prefix;
	(void)uri;
	if (b->failed || b->open == XMLDOC_NONE)
		return;
	element = &b->doc->elements[b->open];
	element->end = b->doc->nelements;
	element->text_end = b->doc->text_len;
	b->open = element->parent;
	b->nspaces -= b->open_spaces[--b->depth];
}

static void on_text(void *ctx, const xmlChar *text, int len)
{
	struct builder *b = ctx;
	struct xmldoc *doc = b->doc;

	if (b->failed || b->open == XMLDOC_NONE)
		return;
	if ((uint32_t)len > doc->text_cap - doc->text_len) {
		fail_counted(b);
		return;
	}
	memcpy(doc->text + doc->text_len, text, (size_t)len);
	doc->text_len += (uint32_t)len;
}

/* ---- the DOCTYPE -------------------------------------------------------- */

static void on_document(void *ctx)
{
	struct builder *b = ctx;

	b->xml2->xmlSAX2StartDocument(b->ctxt);
}

static void on_subset(void *ctx, const xmlChar *name, const xmlChar *external,
		      const xmlChar *system)
{
	struct builder *b = ctx;

	b->xml2->xmlSAX2InternalSubset(b->ctxt, name, external, system);
}

static void on_entity(void *ctx, const xmlChar *name, int type,
		      const xmlChar *public, const xmlChar *system,
		      xmlChar *content)
{
	struct builder *b = ctx;

	b->xml2->xmlSAX2EntityDecl(b->ctxt, name, type, public, system,
				   content);
}

/* Not one of the five that XML has by itself. */
static xmlEntity *get_entity(void *ctx, const xmlChar *name)
{
	struct builder *b = ctx;
	xmlEntity *entity;

	if (b->failed)
		return NULL;
	entity = b->xml2->xmlSAX2GetEntity(b->ctxt, name);
	if (!entity)
		fail(b, ERR_INPUT, "no declaration of entity", name);
	else if (entity->etype != XML_INTERNAL_GENERAL_ENTITY)
		fail(b, ERR_INPUT, "external entities are not read:", name);
	else if (strchr((const char *)entity->content, '<'))
		fail(b, ERR_INPUT, "entities with markup are not read:", name);
	else if (++b->entities > XMLPARSE_ENTITIES ||
		 (b->entity_bytes += (size_t)entity->length) >
			 XMLDOC_ENTITY_BYTES)
		fail(b, ERR_LIMIT, "too much text from entities", NULL);
	return b->failed ? NULL : entity;
}

static xmlEntity *get_parameter_entity(void *ctx, const xmlChar *name)
{
	fail(ctx, ERR_INPUT, "parameter entities are not read:", name);
	return NULL;
}

static xmlParserInput *resolve_entity(void *ctx, const xmlChar *public,
				      const xmlChar *system)
{
	(void)public;
	fail(ctx, ERR_INPUT, "external entities are not read:", system);
	return NULL;
}

/* ---- the parser --------------------------------------------------------- */

/* Such as a prefix without a namespace: the document is read all the same. */
static bool is_tolerable(const xmlError *error)
{
	return error->level != XML_ERR_FATAL;
}

static void on_error(void *ctx, xmlError *error)
{
	struct builder *b = ctx;
	const char *text = error->message ? error->message : "malformed";

	if (is_tolerable(error) || b->failed)
		return;
	b->failed = true;
	err_set(b->err, ERR_INPUT, "xml: line %d: %.*s", error->line,
		(int)strcspn(text, "\r\n"), text);
}

static int on_read(void *ctx, char *out, int len)
{
	struct builder *b = ctx;
	size_t n = (size_t)len;

	if (b->failed)
		return 0;
	if (n > b->rest.len)
		n = b->rest.len;
	memcpy(out, b->rest.data, n);
	b->rest.data += n;
	b->rest.len -= n;
	return (int)n;
}

static const xmlSAXHandler handler = {
	.initialized = XML_SAX2_MAGIC,
	.startDocument = on_document,
	.internalSubset = on_subset,
	.entityDecl = on_entity,
	.getEntity = get_entity,
	.getParameterEntity = get_parameter_entity,
	.resolveEntity = resolve_entity,
	.startElementNs = on_start,
	.endElementNs = on_end,
	.characters = on_text,
	.ignorableWhitespace = on_text,
	.cdataBlock = on_text,
	.serror = on_error,
};

/* False: no memory for the parser. */
static bool start_parser(struct builder *b)
{
	const struct xml2 *xml2 = b->xml2;
	xmlParserInputBuffer *buffer;
	xmlParserInput *input;

	*b->ctxt->sax = handler;
	b->ctxt->userData = b;
	xml2->xmlCtxtUseOptions(b->ctxt, XML_PARSE_NONET | XML_PARSE_NOENT |
						 XML_PARSE_IGNORE_ENC |
						 XML_PARSE_BIG_LINES);
	buffer = xml2->xmlParserInputBufferCreateIO(on_read, NULL, b,
						    XML_CHAR_ENCODING_NONE);
	if (!buffer)
		return false;
	input = xml2->xmlNewIOInputStream(b->ctxt, buffer,
					  XML_CHAR_ENCODING_NONE);
	if (!input) {
		xml2->xmlFreeParserInputBuffer(buffer);
		return false;
	}
	return xml2->inputPush(b->ctxt, input) >= 0;
}

static bool parse_document(struct builder *b)
{
	if (!start_parser(b))
		return fail(b, ERR_LIMIT, "no memory", NULL);
	b->xml2->xmlParseDocument(b->ctxt);
	if (!b->failed && (!b->ctxt->wellFormed || b->open != XMLDOC_NONE ||
			   b->doc->nelements == 0))
		fail(b, ERR_INPUT, "malformed", NULL);
	b->doc->elements[b->doc->nelements].attributes = b->doc->nattributes;
	return !b->failed;
}

bool xmlparse_run(struct xmlparse *parse, struct xmldoc *doc, struct err *err)
{
	struct builder b = {
		.doc = doc, .rest = parse->text, .open = XMLDOC_NONE, .err = err
	};
	bool ok;

	xmldoc_init(doc, &parse->scan);
	b.xml2 = xml2_get(err);
	if (!b.xml2)
		return false;
	b.ctxt = b.xml2->xmlNewParserCtxt();
	if (!b.ctxt)
		return err_set(err, ERR_LIMIT, "xml: no memory");
	ok = parse_document(&b);
	if (b.ctxt->myDoc)
		b.xml2->xmlFreeDoc(b.ctxt->myDoc);
	b.xml2->xmlFreeParserCtxt(b.ctxt);
	return ok;
}

/* ---- before it ---------------------------------------------------------- */

void xmlparse_init(struct xmlparse *parse)
{
	*parse = (struct xmlparse){ 0 };
	buf_init(&parse->converted, 0);
}

void xmlparse_release(struct xmlparse *parse)
{
	buf_release(&parse->converted);
	xmlparse_init(parse);
}

/* libxml2 takes a document of 0 bytes for one it could not open. */
static bool check_text(struct str text, struct err *err)
{
	const char *nul;
	size_t line = 1;

	if (text.len == 0)
		return err_set(err, ERR_INPUT, "xml: the document is empty");
	nul = memchr(text.data, '\0', text.len);
	if (!nul)
		return true;
	for (const char *p = text.data; p < nul; p++)
		line += *p == '\n';
	return err_set(err, ERR_INPUT, "xml: line %zu: a NUL byte", line);
}

bool xmlparse_prepare(struct xmlparse *parse, struct str text,
		      const struct xmlparse_limits *limits, struct err *err)
{
	size_t size = limits->size ? limits->size : XMLPARSE_SIZE;
	size_t nodes = limits->nodes ? limits->nodes : XMLPARSE_NODES;

	if (text.len > size)
		return err_set(err, ERR_LIMIT,
			       "xml: %zu bytes, at most %zu are read", text.len,
			       size);
	buf_init(&parse->converted, size);
	if (!xmltext_utf8(text, &parse->converted, &parse->text, err) ||
	    !check_text(parse->text, err) ||
	    !xmlscan_run(parse->text, nodes, &parse->scan, err))
		return false;
	parse->size = xmldoc_size(&parse->scan);
	return true;
}
