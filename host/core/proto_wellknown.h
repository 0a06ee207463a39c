/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The .proto files that everybody imports and few have at hand: protobuf's own
 * types, and the files that only declare options for code generators. Any
 * thread.
 */
#ifndef CORE_PROTO_WELLKNOWN_H
#define CORE_PROTO_WELLKNOWN_H

/* The text of the file imported as NAME, or NULL. */
const char *proto_wellknown(const char *name);

#endif
