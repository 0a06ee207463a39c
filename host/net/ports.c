/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table lists every bound socket of the process that belongs to an
 * exporter. Looking up and binding are one step under the mutex, and so are
 * leaving the table and closing: otherwise a version could find the address in
 * use by a socket that is not in the table yet, or not any more.
 */
#include "net/ports.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"

LIST_HEAD(port_list, port);

struct ports {
	char *lineage;
	struct port_list own; /* the thread's, as is the rest */
	struct timer soon;    /* looks whether all is quiet */
	bool reading;
	void (*quiet)(void *arg); /* NULL: nobody wants to know */
	void *arg;
	bool abandoned; /* under the mutex */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct port_list table = LIST_HEAD_INITIALIZER(table);

/* ---- the table ---- */

/* Another version's socket at ADDRESS. Its own is none: listening twice is the
 * script's mistake, as it always was. */
static struct port *find(const struct ports *ports, const char *address)
{
	struct port *port;

	LIST_FOREACH(port, &table, all)
	if (port->ports != ports && strcmp(port->address, address) == 0 &&
	    strcmp(port->ports->lineage, ports->lineage) == 0)
		return port;
	return NULL;
}

static int share_or_bind(struct ports *ports, const char *address,
			 int (*bind)(void *arg), void *arg)
{
	const struct port *other;

	if (ports->abandoned) {
		errno = ECANCELED;
		return -1;
	}
	other = find(ports, address);
	return other ? fcntl(other->fd, F_DUPFD_CLOEXEC, 0) : bind(arg);
}

int ports_open(struct ports *ports, struct port *port, const char *address,
	       int (*bind)(void *arg), void *arg)
{
	int error;

	if (!ports)
		return bind(arg);
	pthread_mutex_lock(&mutex);
	port->fd = share_or_bind(ports, address, bind, arg);
	error = errno;
	if (port->fd >= 0) {
		port->ports = ports;
		port->address = address;
		port->listed = true;
		LIST_INSERT_HEAD(&table, port, all);
	}
	pthread_mutex_unlock(&mutex);
	if (port->fd >= 0)
		LIST_INSERT_HEAD(&ports->own, port, own);
	errno = error;
	return port->fd;
}

static void check_quiet(struct ports *ports)
{
	if (ports->quiet)
		timer_start(&ports->soon, 0);
}

void ports_close(struct port *port, int fd)
{
	struct ports *ports = port->ports;

	if (!ports) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&mutex);
	if (port->listed)
		LIST_REMOVE(port, all);
	close(fd);
	pthread_mutex_unlock(&mutex);
	LIST_REMOVE(port, own);
	port->ports = NULL;
	check_quiet(ports);
}

/* Puts INERT in the place of every descriptor of PORTS. */
static void replace_all(struct ports *ports, int inert)
{
	struct port *port = LIST_FIRST(&table), *next;

	for (; port; port = next) {
		next = LIST_NEXT(port, all);
		if (port->ports != ports)
			continue;
		dup3(inert, port->fd, O_CLOEXEC);
		port->listed = false;
		LIST_REMOVE(port, all);
	}
}

bool ports_abandon(struct ports *ports)
{
	/* Receiving from it waits for ever, sending by it fails. */
	int inert =
		socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (inert < 0)
		return false;
	pthread_mutex_lock(&mutex);
	ports->abandoned = true;
	replace_all(ports, inert);
	pthread_mutex_unlock(&mutex);
	close(inert);
	return true;
}

/* ---- who reads ---- */

bool ports_reading(const struct ports *ports)
{
	return !ports || ports->reading;
}

static void turn_all(struct ports *ports, bool reading)
{
	struct port *port;

	ports->reading = reading;
	LIST_FOREACH(port, &ports->own, own)
	port->turn(port, reading);
}

void ports_let_go(struct ports *ports)
{
	ports->quiet = NULL;
	timer_stop(&ports->soon);
	turn_all(ports, true);
}

void ports_hold(struct ports *ports, void (*quiet)(void *arg), void *arg)
{
	turn_all(ports, false);
	ports->quiet = quiet;
	ports->arg = arg;
	check_quiet(ports);
}

static bool any_busy(const struct ports *ports)
{
	const struct port *port;

	LIST_FOREACH(port, &ports->own, own)
	if (port->busy)
		return true;
	return false;
}

static void on_soon(struct timer *timer)
{
	struct ports *ports =
		(struct ports *)(void *)((char *)timer -
					 offsetof(struct ports, soon));
	void (*quiet)(void *arg) = ports->quiet;

	if (any_busy(ports))
		return;
	ports->quiet = NULL;
	quiet(ports->arg);
}

void ports_set_busy(struct port *port, bool busy)
{
	port->busy = busy;
	if (port->ports && !busy)
		check_quiet(port->ports);
}

void ports_lost(const struct port *port, size_t n)
{
	char count[24];

	snprintf(count, sizeof count, "%zu", n);
	log_warn("datagrams were not handled before the socket was handed over",
		 "exporter", port->ports->lineage, "udp", port->address,
		 "datagrams", count);
}

/* ---- life ---- */

struct ports *ports_new(struct loop *loop, const char *lineage, bool held)
{
	struct ports *ports = mem_alloc(sizeof *ports);

	ports->lineage = mem_string(lineage);
	ports->reading = !held;
	LIST_INIT(&ports->own);
	timer_init(loop, &ports->soon, on_soon);
	return ports;
}

void ports_free(struct ports *ports)
{
	if (!ports)
		return;
	assert(LIST_EMPTY(&ports->own));
	timer_release(&ports->soon);
	free(ports->lineage);
	free(ports);
}
