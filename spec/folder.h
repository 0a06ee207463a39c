/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder for the files of one spec. Behind cmocka.h.
 */
#ifndef SPEC_FOLDER_H
#define SPEC_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/lunex-spec-XXXXXX";

/* Of the file NAME in the folder. Good until it was called twice more. */
static inline const char *path(const char *name)
{
	static char full[2][128];
	static unsigned next;

	next ^= 1;
	snprintf(full[next], sizeof full[next], "%s/%s", folder, name);
	return full[next];
}

static inline void write_file(const char *name, const char *text)
{
	FILE *file = fopen(path(name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* Group set-up: makes the folder and goes there. */
static inline int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? chdir(folder) : -1;
}

#endif
