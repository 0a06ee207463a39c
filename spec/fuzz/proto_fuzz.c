/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for the .proto parser. A line "//// NAME" begins the text of
 * a file that the others can import as NAME.
 */
#include <stdlib.h>
#include <string.h>

#include "core/proto_decode.h"
#include "core/proto_parse.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static const char mark[] = "//// ";

/* The text behind the heading NAME, up to the next one. */
static bool find_text(struct str all, const char *name, struct str *out)
{
	const char *p = all.data, *end = all.data + all.len, *stop;
	size_t len = strlen(name);

	while ((p = memmem(p, (size_t)(end - p), mark, sizeof mark - 1))) {
		p += sizeof mark - 1;
		if ((size_t)(end - p) <= len || memcmp(p, name, len) != 0 ||
		    p[len] != '\n')
			continue;
		p += len;
		stop = memmem(p, (size_t)(end - p), mark, sizeof mark - 1);
		*out = (struct str){ p, (size_t)((stop ? stop : end) - p) };
		return true;
	}
	return false;
}

static bool open_import(void *ctx, const char *name, const char *from,
			struct buf *path, struct buf *text, struct err *err)
{
	struct str found;

	(void)from;
	if (!find_text(*(struct str *)ctx, name, &found))
		return err_set(err, ERR_INPUT, "no file '%s'", name);
	buf_addstr(path, name);
	buf_add(text, found.data, found.len);
	return !path->full && !text->full;
}

static void look_up_everything(const struct proto_schema *schema)
{
	for (size_t i = 0; i < schema->nmessages; i++) {
		const struct proto_message *message = schema->messages[i];

		for (uint32_t j = 0; j < message->count; j++) {
			const struct proto_field *field = &message->fields[j];

			if (proto_message_field(message, field->number) !=
				    field ||
			    proto_message_named(message, field->name) != field)
				abort();
			if (proto_type_nested(field->type) != !!field->message)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct str all = { (const char *)data, size };
	struct proto_source source = { open_import, &all };
	struct err err = { 0 };
	struct proto_schema *schema;

	schema = proto_parse("fuzz.proto", all, &source, &err);
	if (schema)
		look_up_everything(schema);
	else if (err.text[0] == '\0')
		abort();
	proto_schema_unref(schema);
	return 0;
}
