/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents and what they cost: each hostile one is parsed in a process of its
 * own, of which processor time and the growth of resident memory are looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/xmlfind.h"
#include "core/xmlparse.h"

/* The sanitizers need more of both, and for a memmem as long as for all that
 * it might have read. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SECONDS_MAX = 20, KILOBYTES_MAX = 1 << 20, MANY = 20000 };
#else
enum { SECONDS_MAX = 1, KILOBYTES_MAX = 64 << 10, MANY = 1200000 };
#endif

/* The document in memory to be freed, or NULL and ERR. */
static struct xmldoc *parse(struct str text, struct err *err)
{
	struct xmlparse_limits limits = { 0, 0 };
	struct xmldoc *doc = NULL;
	struct xmlparse parse;

	xmlparse_init(&parse);
	if (xmlparse_prepare(&parse, text, &limits, err)) {
		doc = malloc(parse.size);
		assert_non_null(doc);
		if (!xmlparse_run(&parse, doc, err)) {
			free(doc);
			doc = NULL;
		}
	}
	xmlparse_release(&parse);
	return doc;
}

static bool is_name(const struct xmldoc *doc, uint32_t e, struct str name)
{
	return doc->elements[e].name == xmldoc_name_find(doc, name);
}

static void elements_know_their_place(void **state)
{
	struct err err;
	struct xmldoc *doc =
		parse(STR("<a><b>1<c/>2</b><d><b>3</b></d><b/></a>"), &err);
	uint32_t b;
	struct str text;

	(void)state;
	assert_non_null(doc);
	assert_int_equal(doc->nelements, 6);
	assert_true(is_name(doc, 0, STR("a")));
	b = xmldoc_named(doc, xmldoc_first(doc, 0),
			 xmldoc_name_find(doc, STR("b")));
	assert_int_equal(b, 1);
	text = xmldoc_text(doc, b);
	assert_int_equal(text.len, 2);
	assert_memory_equal(text.data, "12", 2);
	assert_int_equal(xmldoc_first(doc, b), 2);
	assert_int_equal(xmldoc_next(doc, 2), XMLDOC_NONE);
	assert_int_equal(xmldoc_next(doc, b), 3);
	assert_true(is_name(doc, 3, STR("d")));
	assert_int_equal(xmldoc_next(doc, 3), 5);
	assert_int_equal(xmldoc_next(doc, 5), XMLDOC_NONE);
	assert_int_equal(xmldoc_first(doc, 5), XMLDOC_NONE);
	assert_int_equal(xmldoc_next(doc, 0), XMLDOC_NONE);
	assert_int_equal(xmldoc_name_find(doc, STR("x")), XMLDOC_NONE);
	free(doc);
}

static void many_names_are_told_apart(void **state)
{
	enum { NAMES = 5000 };
	struct xmldoc *doc;
	struct buf text;
	struct err err;
	char name[16];

	(void)state;
	buf_init(&text, 1 << 20);
	buf_addstr(&text, "<a>");
	for (int i = 0; i < NAMES; i++)
		buf_addf(&text, "<n%d/>", i);
	buf_addstr(&text, "</a>");
	doc = parse((struct str){ text.data, text.len }, &err);
	assert_non_null(doc);
	for (int i = 0; i < NAMES; i++) {
		struct str str = { name, 0 };

		str.len = (size_t)snprintf(name, sizeof name, "n%d", i);
		assert_true(is_name(doc, (uint32_t)i + 1, str));
	}
	free(doc);
	buf_release(&text);
}

static void xpath_finds_what_the_document_has(void **state)
{
	struct err err;
	struct xmldoc *doc =
		parse(STR("<a x='1'>p<b y='2'>q</b>r<b/><c>s</c></a>"), &err);
	struct xmlfind *find = xmlfind_new(doc, &err);
	struct xmlfind_result result;
	struct str text;

	(void)state;
	assert_non_null(find);
	assert_true(xmlfind_run(find, 0, "b", &result, &err));
	assert_int_equal(result.count, 2);
	assert_int_equal(xmlfind_node(find, 1, &text), 2);
	assert_true(xmlfind_run(find, 0, "text()", &result, &err));
	assert_int_equal(result.count, 2);
	assert_int_equal(xmlfind_node(find, 1, &text), XMLDOC_NONE);
	assert_string_equal(text.data, "r");
	assert_true(xmlfind_run(find, 1, "string(..)", &result, &err));
	assert_string_equal(result.string.data, "pqrs");
	assert_false(xmlfind_run(find, 0, "b[", &result, &err));
	assert_int_equal(err.code, ERR_USAGE);
	xmlfind_free(find);
	free(doc);
}

/* ---- hostile documents -------------------------------------------------- */

/* HEAD, COUNT times MIDDLE, TAIL. */
static struct buf repeated(const char *head, const char *middle, size_t count,
			   const char *tail)
{
	struct buf text;

	buf_init(&text, (size_t)64 << 20);
	buf_addstr(&text, head);
	while (count-- > 0)
		buf_addstr(&text, middle);
	buf_addstr(&text, tail);
	assert_false(text.full);
	return text;
}

static struct buf numbered(const char *head, const char *middle, size_t count,
			   const char *tail)
{
	struct buf text;

	buf_init(&text, (size_t)64 << 20);
	buf_addstr(&text, head);
	for (size_t i = 0; i < count; i++)
		buf_addf(&text, middle, i);
	buf_addstr(&text, tail);
	assert_false(text.full);
	return text;
}

/* A line of /proc/self/status, in kilobytes. */
static long status_of(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long value = -1;

	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name), NULL, 10);
	if (file)
		fclose(file);
	return value;
}

/* In a process of its own, whose peak begins at what it has. Status 0: refused
 * in time; 1: read in time; 2: too slow; 3: too large; 4: no line of text. */
static int judge(struct buf *text)
{
	struct rusage usage;
	struct xmldoc *doc;
	long before, grown;
	double seconds;
	struct err err;

	before = status_of("VmRSS:");
	doc = parse((struct str){ text->data, text->len }, &err);
	grown = status_of("VmHWM:") - before;
	getrusage(RUSAGE_SELF, &usage);
	seconds =
		(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	if (getenv("XMLDOC_SPEC_SHOW"))
		fprintf(stderr, "%6.3f s %6ld KiB  %.30s: %s\n", seconds, grown,
			text->data, doc ? "read" : err.text);
	if (seconds >= SECONDS_MAX)
		return 2;
	if (grown >= KILOBYTES_MAX)
		return 3;
	if (!doc &&
	    (strncmp(err.text, "xml: ", 5) != 0 || strchr(err.text, '\n')))
		return 4;
	return doc ? 1 : 0;
}

static int cost_of(struct buf text)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(judge(&text));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	buf_release(&text);
	return WEXITSTATUS(status);
}

#define assert_refused(text) assert_int_equal(cost_of(text), 0)
#define assert_read(text) assert_int_equal(cost_of(text), 1)

static void billion_laughs(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 16);
	buf_addstr(&text, "<!DOCTYPE a [<!ENTITY l0 \"lol\">");
	for (int i = 1; i < 30; i++)
		buf_addf(&text,
			 "<!ENTITY l%d \"&l%d;&l%d;&l%d;&l%d;&l%d;&l%d;\">", i,
			 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	buf_addstr(&text, "]><a b='&l29;'>&l29;</a>");
	assert_refused(text);
}

static void quadratic_blow_up(void **state)
{
	struct buf entity =
		repeated("<!DOCTYPE a [<!ENTITY e '", "x", 15000, "'>]><a>");
	struct buf text = repeated(buf_text(&entity), "&e;", 1000000, "</a>");

	(void)state;
	buf_release(&entity);
	assert_refused(text);
	assert_refused(repeated("<!DOCTYPE a [<!ENTITY e '", "x", 1000000,
				"'>]><a>&e;&e;</a>"));
	assert_refused(repeated("<!DOCTYPE a [<!ENTITY e ''>]><a>", "&e;",
				5000000, "</a>"));
}

static void external_entities(void **state)
{
	(void)state;
	assert_refused(repeated("<!DOCTYPE a [<!ENTITY e SYSTEM "
				"'file:///etc/passwd'>]><a>",
				"&e;", 1, "</a>"));
	assert_refused(repeated("<!DOCTYPE a [<!ENTITY e SYSTEM "
				"'http://127.0.0.1:1/'>]><a>",
				"&e;", 100000, "</a>"));
	assert_refused(repeated("<!DOCTYPE a [<!ENTITY % e SYSTEM "
				"'file:///dev/zero'> ",
				"%e;", 1, "]><a/>"));
	assert_refused(repeated("<!DOCTYPE a [<!ENTITY % e 'x'> ", "%e;", 1000,
				"]><a/>"));
}

static void declarations_without_end(void **state)
{
	(void)state;
	assert_refused(repeated("<!DOCTYPE a [<!ATTLIST a b (c", "|d", 2000000,
				")>]><a/>"));
	assert_refused(repeated("<!DOCTYPE a [<!ELEMENT a ", "(b,", 2000000,
				"]><a/>"));
	assert_refused(numbered("<!DOCTYPE a [", "<!ENTITY e%zu 'x'>", 200000,
				"]><a/>"));
	assert_refused(
		repeated("<!DOCTYPE a [", "<!-- ]> -->", 500000, "]><a/>"));
	assert_refused(repeated("<!DOCTYPE a [<!ATTLIST a c CDATA ']>' b (c",
				"|d", 2000000, ")>]><a/>"));
}

/* A DTD of allowed size that gives each element a thousand attributes. */
static void attributes_by_default(void **state)
{
	struct buf list = numbered("<!DOCTYPE a [<!ATTLIST b ",
				   "a%zu CDATA '' ", 1000, ">]><a>");
	struct buf text = repeated(buf_text(&list), "<b/>", 900000, "</a>");

	(void)state;
	buf_release(&list);
	assert_refused(text);
}

static void nested_elements(void **state)
{
	struct buf deep = repeated("", "<a>", 100000, "");
	struct buf text = repeated(buf_text(&deep), "</a>", 100000, "");

	(void)state;
	assert_refused(text);
	assert_refused(deep);
}

static void siblings(void **state)
{
	(void)state;
	assert_refused(repeated("<a>", "<b/>", 1000000, "</a>"));
	assert_read(repeated("<a>", "<b/>", 999999, "</a>"));
	assert_refused(repeated("<a>", "<b>", 4000000, "</a>"));
	assert_read(repeated("<a>", "<b>text text</b>", 900000, "</a>"));
	assert_refused(numbered("<a>", "<b%zu/>", 900000, "</a>"));
}

static void attributes(void **state)
{
	struct buf tag = numbered("<b", " a%zu=''", 256, "/>");
	struct buf text = repeated("<a>", buf_text(&tag), 3850, "</a>");

	(void)state;
	buf_release(&tag);
	assert_read(text);
	assert_refused(numbered("<a", " a%zu=''", 1000000, "/>"));
	assert_refused(numbered("<a", " xmlns:a%zu='u'", 257, "/>"));
	assert_read(numbered("<a>", "<b xmlns='u'/>", 400000, "</a>"));
	/* malformed before it gets expensive */
	assert_refused(numbered("<a \"><b", " a%zu=''", 1000000, "/></a>"));
	assert_refused(numbered("<a><?1 <b", " a%zu=''", 1000000, "/>?></a>"));
	assert_refused(
		numbered("<a><!-- \1 <b", " a%zu=''", 1000000, "/>--></a>"));
	assert_refused(numbered("<a><!FOO <b", " a%zu=''", 1000000, "/>></a>"));
}

/* Each prefix is looked for among the namespaces around it. */
static void namespaces(void **state)
{
	struct buf tag = numbered("<b", " xmlns:a%zu='u'", 200, ">");
	struct buf head = repeated("<a>", buf_text(&tag), 200, "");
	struct buf text = repeated(buf_text(&head), "<x:c/>", 900000, "");

	(void)state;
	buf_release(&head);
	assert_refused(text);
	head = repeated("", buf_text(&tag), 1, "");
	text = repeated(buf_text(&head), "<x:c/>", 900000, "</b>");
	buf_release(&head);
	buf_release(&tag);
	assert_read(text);
}

static void long_texts(void **state)
{
	(void)state;
	assert_read(repeated("<a>", "0123456789", 1600000, "</a>"));
	assert_read(repeated("<a b='", "0123456789", 900000, "'/>"));
	assert_read(repeated("<a>", "&lt;", 4000000, "</a>"));
	assert_read(repeated("<a>", "<![CDATA[x]]>", MANY, "</a>"));
	assert_read(repeated("<a>", "<!---->", MANY, "</a>"));
	assert_refused(repeated("<a>", "0123456789", 1700000, "</a>"));
	assert_refused(repeated("<", "0123456789", 1600000, "/>"));
	assert_refused(repeated("<a><!--", "0123456789", 1600000, "</a>"));
	assert_refused(repeated("<a><![CDATA[", "0123456789", 1600000, "</a>"));
	assert_refused(repeated("<a b='", "0123456789", 1600000, "</a>"));
	assert_refused(
		repeated("<?xml version='1.0' encoding='ISO-8859-1'?><a>",
			 "\xE9\xE9\xE9\xE9", 4000000, "</a>"));
	assert_refused(repeated("", "<", 16000000, ""));
	assert_refused(repeated("<a>", "&", 16000000, ""));
	assert_refused(repeated("", "\n", 16000000, ""));
}

static void truncated(void **state)
{
	struct buf whole = repeated("<list>", "<c><r>1</r><s>2</s></c>", 300000,
				    "</list>");

	(void)state;
	whole.len -= 20;
	assert_refused(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_know_their_place),
		cmocka_unit_test(many_names_are_told_apart),
		cmocka_unit_test(xpath_finds_what_the_document_has),
		cmocka_unit_test(billion_laughs),
		cmocka_unit_test(quadratic_blow_up),
		cmocka_unit_test(external_entities),
		cmocka_unit_test(declarations_without_end),
		cmocka_unit_test(attributes_by_default),
		cmocka_unit_test(nested_elements),
		cmocka_unit_test(siblings),
		cmocka_unit_test(attributes),
		cmocka_unit_test(namespaces),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
