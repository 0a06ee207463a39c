/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proto_parse.h"

#include <stdlib.h>

#include "core/mem.h"
#include "core/proto_declare.h"
#include "core/proto_link.h"
#include "core/proto_wellknown.h"
#include "core/words.h"

/* A file met so far, and whether it is still being parsed. */
struct file {
	char *path;
	bool open;
};

/* What all files of one schema share. */
struct project {
	struct proto_link link;
	const struct proto_source *source;
	struct file files[PROTO_FILES_MAX];
	size_t nfiles;
	size_t bytes;	  /* of all texts */
	unsigned imports; /* files open above the present one */
};

static bool parse_file(struct project *project, const char *path,
		       struct str text, struct err *err);

/* ---- imports --------------------------------------------------------------
 */

static struct file *find_file(struct project *project, const char *path)
{
	for (size_t i = 0; i < project->nfiles; i++)
		if (strcmp(project->files[i].path, path) == 0)
			return &project->files[i];
	return NULL;
}

/* Parses the file at PATH unless it has been. AT is the import. */
static bool import_text(struct project *project, const struct proto_lex *at,
			const char *path, struct str text, struct err *err)
{
	const struct file *file = find_file(project, path);
	bool ok;

	if (file && file->open)
		return proto_lex_error(at, err, "'%s' imports itself", path);
	if (file)
		return true;
	if (project->imports >= PROTO_IMPORT_DEPTH_MAX)
		return proto_lex_error(at, err, "imports nested deeper than %d",
				       PROTO_IMPORT_DEPTH_MAX);
	project->imports++;
	ok = parse_file(project, path, text, err);
	project->imports--;
	return ok;
}

/* A file that the source has goes before a well-known one. */
static bool import_name(struct project *project, const struct proto_lex *at,
			const char *name, struct err *err)
{
	const struct proto_source *source = project->source;
	const char *known = proto_wellknown(name);
	struct buf path, text;
	struct err inner;
	bool ok;

	buf_init(&path, PROTO_PATH_MAX);
	buf_init(&text, PROTO_TEXT_MAX);
	if (!source)
		err_set(&inner, ERR_INPUT, "cannot import '%s'", name);
	if (source &&
	    source->open(source->ctx, name, at->file, &path, &text, &inner))
		ok = import_text(project, at, buf_text(&path),
				 (struct str){ buf_text(&text), text.len },
				 err);
	else if (known)
		ok = import_text(project, at, name,
				 (struct str){ known, strlen(known) }, err);
	else
		ok = proto_lex_error(at, err, "%s", inner.text);
	buf_release(&path);
	buf_release(&text);
	return ok;
}

/* import [public | weak] "name" ; */
static bool parse_import(struct words *w, struct project *project)
{
	struct proto_lex at;
	struct buf name;
	bool ok;

	if (!words_next(w) ||
	    ((words_is(w, "public") || words_is(w, "weak")) && !words_next(w)))
		return false;
	at = w->lex;
	buf_init(&name, PROTO_NAME_MAX);
	ok = words_string(w, &name) && words_expect(w, ';');
	if (ok && strlen(buf_text(&name)) != name.len)
		ok = proto_lex_error(&at, w->err, "malformed file name");
	ok = ok && import_name(project, &at, buf_text(&name), w->err);
	buf_release(&name);
	return ok;
}

/* ---- files ----------------------------------------------------------------
 */

/* syntax = "proto2" or "proto3"; it must come first. */
static bool parse_syntax(struct words *w)
{
	struct str text;

	if (words_is(w, "edition"))
		return proto_lex_error(&w->lex, w->err,
				       "editions are not supported, only "
				       "proto2 and proto3");
	if (!words_is(w, "syntax"))
		return true;
	if (!words_next(w) || !words_expect(w, '='))
		return false;
	text = w->lex.text;
	if (w->lex.type != PROTO_QUOTED || text.len != sizeof "proto3" + 1 ||
	    memcmp(text.data + 1, "proto", 5) != 0 ||
	    (text.data[6] != '2' && text.data[6] != '3'))
		return words_expected(w, "\"proto2\" or \"proto3\"");
	w->proto3 = text.data[6] == '3';
	return words_next(w) && words_expect(w, ';');
}

static bool parse_package(struct words *w, char package[PROTO_NAME_MAX + 1])
{
	if (w->lex.type != PROTO_IDENT)
		return words_expected(w, "a package name");
	return words_dotted(w, "a package name", package) &&
	       words_expect(w, ';');
}

static bool parse_statement(struct words *w, struct project *project,
			    char package[PROTO_NAME_MAX + 1])
{
	if (words_is(w, ";"))
		return words_next(w);
	if (words_is(w, "message"))
		return proto_declare_message(w, package);
	if (words_is(w, "enum"))
		return proto_declare_enum(w, package);
	if (words_is(w, "import"))
		return parse_import(w, project);
	if (words_is(w, "package"))
		return words_next(w) && parse_package(w, package);
	if (words_is(w, "option"))
		return words_skip_statement(w);
	if (words_is(w, "service") || words_is(w, "extend"))
		return words_skip_block(w);
	return words_expected(w, "'message', 'enum', 'import', 'package', "
				 "'option', 'service' or 'extend'");
}

static bool admit_text(struct project *project, const char *path, size_t len,
		       struct err *err)
{
	project->bytes += len;
	if (len > PROTO_TEXT_MAX || project->bytes > PROTO_TEXTS_MAX)
		return err_set(err, ERR_LIMIT,
			       "%s: more than %d bytes of text, or %d in all",
			       path, PROTO_TEXT_MAX, PROTO_TEXTS_MAX);
	if (project->nfiles >= PROTO_FILES_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d files", path,
			       PROTO_FILES_MAX);
	return true;
}

static bool parse_file(struct project *project, const char *path,
		       struct str text, struct err *err)
{
	struct words w = { .link = &project->link,
			   .err = err,
			   .imported = project->imports > 0 };
	char package[PROTO_NAME_MAX + 1] = "";
	struct file *self;

	if (!admit_text(project, path, text.len, err))
		return false;
	/* The places that the link remembers need the path until the end. */
	self = &project->files[project->nfiles++];
	*self = (struct file){ mem_string(path), true };
	if (!proto_lex_init(&w.lex, self->path, text, err) || !parse_syntax(&w))
		return false;
	while (w.lex.type != PROTO_EOF)
		if (!parse_statement(&w, project, package))
			return false;
	self->open = false;
	return true;
}

struct proto_schema *proto_parse(const char *file, struct str text,
				 const struct proto_source *source,
				 struct err *err)
{
	struct project *project = mem_alloc(sizeof *project);
	struct proto_schema *schema = proto_schema_new();

	project->source = source;
	proto_link_init(&project->link, schema);
	if (!parse_file(project, file, text, err) ||
	    !proto_link_finish(&project->link, err)) {
		proto_schema_unref(schema);
		schema = NULL;
	}
	proto_link_release(&project->link);
	for (size_t i = 0; i < project->nfiles; i++)
		free(project->files[i].path);
	free(project);
	return schema;
}
