/* SPDX-License-Identifier: Apache-2.0 */
#include "web_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/mem.h"

static struct {
	char folder[64], file[96];
	struct loop *loop;
	struct message loaded;
	bool is_loaded;
	struct err err;
	unsigned gone;
} world;

void world_open(void)
{
	memset(&world, 0, sizeof world);
	log_set_level(LOG_ERROR);
	strcpy(world.folder, "/tmp/lunex-web-spec-XXXXXX");
	assert_non_null(mkdtemp(world.folder));
	snprintf(world.file, sizeof world.file, "%s/free", world.folder);
	world.loop = loop_new();
}

void world_close(void)
{
	world_hold_them();
	assert_true(loop_free(world.loop));
	assert_int_equal(0, rmdir(world.folder));
}

struct loop *world_loop(void)
{
	return world.loop;
}

void world_turn(void)
{
	uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
}

/* ---- exporters ---- */

static void deliver_loaded(struct message *message)
{
	(void)message;
	world.is_loaded = true;
}

static void on_loaded(void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		world.err = *err;
	world.loaded.deliver = deliver_loaded;
	loop_post(world.loop, &world.loaded);
}

static void write_script(FILE *file, const char *text, const char *name)
{
	for (; *text; text++) {
		if (text[0] == '%' && (text[1] == 's' || text[1] == 'F'))
			fputs(*++text == 's' ? name : world.file, file);
		else
			fputc(*text, file);
	}
}

struct exporter *world_exporter(const char *name, const char *text)
{
	struct exporter_options options = { .interval = -1,
					    .timeout = -1,
					    .loaded = on_loaded };
	struct exporter *exporter;
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s.lua", world.folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	write_script(file, text, name);
	fclose(file);
	options.path = path;
	world.is_loaded = false;
	exporter = exporter_new(&options);
	while (!world.is_loaded)
		uv_run(loop_uv(world.loop), UV_RUN_ONCE);
	unlink(path);
	if (*world.err.text)
		fail_msg("%s", world.err.text);
	return exporter;
}

void world_end(struct exporter *exporter)
{
	exporter_stop(exporter);
	assert_true(exporter_free(exporter, 20));
}

void world_free_them(void)
{
	fclose(fopen(world.file, "w"));
}

void world_hold_them(void)
{
	unlink(world.file);
}

/* ---- rosters ---- */

static void on_gone(struct roster *roster)
{
	(void)roster;
	world.gone++;
}

struct roster *world_roster(struct exporter *const *exporters, size_t n)
{
	struct roster *roster = roster_new(n, world.loop, on_gone, NULL);

	roster->config_loaded = true;
	roster->config_error = mem_string("");
	for (size_t i = 0; i < n; i++)
		roster->entries[i] = (struct roster_entry){
			.name = mem_string(exporter_name(exporters[i])),
			.script = mem_string(
				exporter_declaration(exporters[i])->path),
			.exporter = exporters[i],
			.loaded = true,
			.error = mem_string(""),
		};
	return roster;
}

unsigned world_gone(void)
{
	world_turn();
	return world.gone;
}

void world_wait_gone(unsigned n)
{
	while (world.gone < n)
		uv_run(loop_uv(world.loop), UV_RUN_ONCE);
}

/* ---- clients ---- */

int world_send(const struct web *web, const char *request)
{
	const char *port = strrchr(web_address(web, 0), ':');
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval patience = { 20, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t len = (ssize_t)strlen(request);

	address.sin_port = htons((uint16_t)atoi(port + 1));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
	    send(fd, request, (size_t)len, MSG_NOSIGNAL) == len)
		return fd;
	close(fd);
	return -1;
}

bool world_read(int fd, char *answer, size_t size)
{
	size_t len = 0;
	ssize_t n = -1;

	*answer = '\0';
	if (fd < 0)
		return false;
	while (len < size - 1 &&
	       (n = read(fd, answer + len, size - 1 - len)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	close(fd);
	return n == 0;
}

void world_get(const struct web *web, const char *path, char *answer,
	       size_t size)
{
	char request[512];

	snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
	assert_true(world_read(world_send(web, request), answer, size));
}
