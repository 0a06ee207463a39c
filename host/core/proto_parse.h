/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .proto texts (proto2 and proto3) to schemas. Everything that says how values
 * are encoded is understood; options, services, extensions and reserved ranges
 * are read over. The parser opens no files: imports are asked from a source.
 * One thread at a time.
 */
#ifndef CORE_PROTO_PARSE_H
#define CORE_PROTO_PARSE_H

#include "core/proto.h"

enum {
	PROTO_TEXT_MAX = 1 << 20,  /* bytes of one file */
	PROTO_TEXTS_MAX = 4 << 20, /* bytes of all files together */
	PROTO_FILES_MAX = 256,
	PROTO_IMPORT_DEPTH_MAX = 32, /* files that import each other */
	PROTO_NESTING_MAX = 32,	     /* messages declared in each other */
	PROTO_PATH_MAX = 4096,
};

/*
 * Where imports come from: OPEN puts the text of the file that FROM (the path
 * of a file opened before, or the name given to proto_parse) imports as NAME
 * into TEXT, and a path that is the same for the same file into PATH. False and
 * ERR when there is none.
 */
struct proto_source {
	bool (*open)(void *ctx, const char *name, const char *from,
		     struct buf *path, struct buf *text, struct err *err);
	void *ctx;
};

/*
 * A sealed schema with one reference, or NULL and ERR: "file.proto:12:5:
 * expected ';', got '}'". FILE names TEXT in messages. SOURCE may be NULL; then
 * only the well-known files can be imported. Messages of imported files have
 * `imported` set; `unique` those whose simple name is no other's, where the
 * messages of FILE itself go before imported ones.
 */
struct proto_schema *proto_parse(const char *file, struct str text,
				 const struct proto_source *source,
				 struct err *err)
	__attribute__((warn_unused_result));

#endif
