/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for XML: what is parsed is walked through, and asked by
 * XPath; the tree for that must have the elements of the document.
 */
#include <stdlib.h>

#include "core/xmlfind.h"
#include "core/xmlparse.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* Every element is inside its parent, and its text inside the parent's. */
static void walk(const struct xmldoc *doc)
{
	const struct xmldoc_element *e, *parent;

	for (uint32_t i = 0; i < doc->nelements; i++) {
		e = &doc->elements[i];
		require(e->end > i && e->end <= doc->nelements);
		require(e->text <= e->text_end && e->text_end <= doc->text_len);
		require(e->attributes <= e[1].attributes);
		require(xmldoc_name(doc, e->name).len > 0);
		if (i == 0)
			continue;
		parent = &doc->elements[e->parent];
		require(e->parent < i && e->end <= parent->end);
		require(e->text >= parent->text &&
			e->text_end <= parent->text_end);
	}
}

static void ask(const struct xmldoc *doc)
{
	struct xmlfind_result result;
	struct err err = { 0 };
	struct xmlfind *find = xmlfind_new(doc, &err);
	struct str text;

	if (!find)
		return;
	require(xmlfind_run(find, 0, "//*", &result, &err));
	require(result.count == doc->nelements);
	for (uint32_t i = 0; i < doc->nelements; i++)
		require(xmlfind_node(find, i, &text) == i);
	require(xmlfind_run(find, 0, "string(/)", &result, &err));
	text = xmldoc_text(doc, 0);
	require(result.string.len == text.len &&
		memcmp(result.string.data, text.data, text.len) == 0);
	xmlfind_free(find);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct xmlparse_limits limits = { 0, 0 };
	struct err err = { 0 };
	struct xmlparse parse;
	struct xmldoc *doc = NULL;
	bool ok;

	xmlparse_init(&parse);
	ok = xmlparse_prepare(&parse, text, &limits, &err);
	if (ok) {
		doc = malloc(parse.size);
		require(doc != NULL);
		ok = xmlparse_run(&parse, doc, &err);
	}
	if (ok) {
		walk(doc);
		ask(doc);
	} else {
		require(strncmp(err.text, "xml: ", 5) == 0 &&
			!strchr(err.text, '\n'));
	}
	xmlparse_release(&parse);
	free(doc);
	return 0;
}
