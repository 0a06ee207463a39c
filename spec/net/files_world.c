/* SPDX-License-Identifier: Apache-2.0 */
/* It is two folders deep: what others do in /tmp is no event here. */
#include "files_world.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/files.h"

static char top[200];

char *world(const char *name)
{
	static char paths[16][300];
	static unsigned next;
	char *path = paths[next++ % 16];

	snprintf(path, sizeof paths[0], "%s/w/%s", top, name);
	return path;
}

static void must(bool done, const char *name)
{
	if (!done)
		fail_msg("%s: %s", name, strerror(errno));
}

int world_make(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(top, sizeof top, "%s/files_spec_XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(top))
		fail_msg("%s: %s", top, strerror(errno));
	must(chmod(top, 0755) == 0 && mkdir(world(""), 0755) == 0, "w");
	return 0;
}

static int remove_entry(const char *path, const struct stat *info, int flag,
			struct FTW *ftw)
{
	(void)info;
	(void)flag;
	(void)ftw;
	return remove(path);
}

int world_clean(void **state)
{
	(void)state;
	umount2(world("folder"), MNT_DETACH); /* where a spec failed */
	return nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const char *how, const char *text)
{
	FILE *file = fopen(world(name), how);

	must(file, name);
	must(fputs(text, file) >= 0 && fclose(file) == 0, name);
}

void put(const char *name, const char *text)
{
	write_file(name, "w", text);
}

void append(const char *name, const char *text)
{
	write_file(name, "a", text);
}

void make_folder(const char *name)
{
	must(mkdir(world(name), 0755) == 0, name);
}

void move(const char *from, const char *to)
{
	must(rename(world(from), world(to)) == 0, from);
}

void drop(const char *name)
{
	must(remove(world(name)) == 0, name);
}

void link_to(const char *target, const char *name)
{
	must(symlink(target, world(name)) == 0, name);
}

void see(struct seen_list *list, const char *name)
{
	const char *path = *name == '/' ? name : world(name);
	size_t len = 0;
	char *text = files_read(path, SEEN_FILE_MAX, &len, NULL);

	assert_true(seen_add_file(list, path, text, len));
	free(text);
}

void see_folder(struct seen_list *list, const char *name)
{
	char **names = files_list(world(name), NULL);

	assert_true(seen_add_folder(list, world(name), ".lua", names));
	files_list_free(names);
}
