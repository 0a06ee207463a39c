/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of routes. "/v1/devices/:id" is a pattern: a segment that begins with a
 * colon stands for any one segment that is not empty; every other character
 * stands for itself. The path of a request is looked at as it was sent, so that
 * an escaped slash belongs to its segment. Any thread.
 */
#ifndef WEB_PATH_H
#define WEB_PATH_H

#include <stdbool.h>

#include "core/err.h"

enum { PATH_MAX_LENGTH = 500 };

/* Is PATTERN one? The sentence begins with it. */
bool path_check(const char *pattern, struct err *err);

/* Does PATH, as it was sent, have the form of PATTERN? */
bool path_matches(const char *pattern, const char *path);

/* Of two patterns that match one path: is A nearer to it than B? The first
 * segment decides in which one has a name and the other a parameter. */
bool path_is_nearer(const char *a, const char *b);

/* Do both match the same paths? The names of parameters may differ. */
bool path_equal(const char *a, const char *b);

/* Calls EACH with the parameters of PATH, which matches PATTERN, in order;
 * their values are decoded. */
void path_parameters(const char *pattern, const char *path,
		     void (*each)(void *arg, const char *name,
				  const char *value),
		     void *arg);

#endif
