/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The declarations of .proto texts: messages with their fields, groups, maps
 * and oneofs, and enums. They go to w->link and its schema. One thread at a
 * time.
 */
#ifndef CORE_PROTO_DECLARE_H
#define CORE_PROTO_DECLARE_H

#include "core/words.h"

/*
 * A declaration with the word "message" or "enum" at W, up to its closing
 * brace. SCOPE is the full name of what it stands in, "" for nothing.
 */
bool proto_declare_message(struct words *w, const char *scope);
bool proto_declare_enum(struct words *w, const char *scope);

#endif
