/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exporters in their threads, rosters of them, and clients of a web thread, for
 * specs. Everything but world_read() and world_send() belongs to the main
 * thread and fails the test when something goes wrong.
 */
#ifndef SPEC_RUN_WEB_WORLD_H
#define SPEC_RUN_WEB_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "net/loop.h"
#include "run/exporter.h"
#include "run/roster.h"
#include "run/web.h"

/* A folder and a loop: the main thread's. */
void world_open(void);
void world_close(void);
struct loop *world_loop(void);

/* Loads TEXT, a format in which each %s is the name; each %F in a script's text
 * is written as the path of the file that world_free_them() makes. */
struct exporter *world_exporter(const char *name, const char *text);
void world_end(struct exporter *exporter);

/* Lets go scripts that wait for the file, and takes it away again. */
void world_free_them(void);
void world_hold_them(void);

/* A roster with an owner: world_gone() counts those that are gone. */
struct roster *world_roster(struct exporter *const *exporters, size_t n);
unsigned world_gone(void);

/* Turns the main loop until N rosters are gone. */
void world_wait_gone(unsigned n);

/* Turns it once without waiting. */
void world_turn(void);

/* ---- clients; -1 and false: the connection broke ---- */

int world_send(const struct web *web, const char *request);
bool world_read(int fd, char *answer, size_t size);

/* Sends "GET PATH" and reads the answer. */
void world_get(const struct web *web, const char *path, char *answer,
	       size_t size);

#endif
