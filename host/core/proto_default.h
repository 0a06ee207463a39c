/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constants that .proto texts give as default values. One thread at a time.
 */
#ifndef CORE_PROTO_DEFAULT_H
#define CORE_PROTO_DEFAULT_H

#include "core/words.h"

/* Reads the constant at W as the default of FIELD, which is a scalar. */
bool proto_default_parse(struct words *w, struct proto_field *field);

#endif
