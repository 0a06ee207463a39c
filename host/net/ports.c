/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table lists every bound socket of the process that belongs to an
 * exporter. Looking up and binding are one step under the mutex, and so are
 * leaving the table and closing: otherwise a version could find the address in
 * use by a socket that is not in the table yet, or not any more.
 *
 * What a version had read when it was held waits in a list beside the table for
 * the one that is let go next, as long as the socket is open anywhere.
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

struct unread {
	struct udp_queue queue;
	char *lineage;
	char *address;
	TAILQ_ENTRY(unread) next;
};

TAILQ_HEAD(unread_list, unread);

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
static struct unread_list left = TAILQ_HEAD_INITIALIZER(left);

/* ---- the table ---- */

/* A socket of LINEAGE at ADDRESS, but not EXCEPT's: a version that listens
 * twice makes a mistake, as it always did. */
static struct port *find(const char *lineage, const char *address,
			 const struct ports *except)
{
	struct port *port;

	LIST_FOREACH(port, &table, all)
	if (port->ports != except && strcmp(port->address, address) == 0 &&
	    strcmp(port->ports->lineage, lineage) == 0)
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
	other = find(ports->lineage, address, ports);
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

/* ---- what was read and not received ---- */

static void log_lost(const char *lineage, const char *address, size_t n)
{
	char count[24];

	snprintf(count, sizeof count, "%zu", n);
	log_warn("datagrams were read and not handled before their socket was "
		 "closed",
		 "exporter", lineage, "udp", address, "datagrams", count);
}

static struct unread *unread_new(const struct port *port)
{
	struct unread *unread = mem_alloc(sizeof *unread);

	udp_queue_init(&unread->queue);
	unread->lineage = mem_string(port->ports->lineage);
	unread->address = mem_string(port->address);
	return unread;
}

static void unread_free(struct unread *unread)
{
	udp_queue_clear(&unread->queue);
	free(unread->lineage);
	free(unread->address);
	free(unread);
}

static void give_up(struct port *port)
{
	struct unread *unread = unread_new(port);
	bool shared;

	pthread_mutex_lock(&mutex);
	shared = find(unread->lineage, unread->address, port->ports);
	if (shared) {
		udp_queue_move(&unread->queue, port->queue);
		TAILQ_INSERT_TAIL(&left, unread, next);
	}
	pthread_mutex_unlock(&mutex);
	if (!shared)
		unread_free(unread);
}

/* Takes the oldest of LINEAGE out of the list: that for ADDRESS, or if that is
 * NULL one whose socket is closed everywhere. */
static struct unread *claim(const char *lineage, const char *address)
{
	struct unread *unread;

	pthread_mutex_lock(&mutex);
	TAILQ_FOREACH(unread, &left, next)
	if (strcmp(unread->lineage, lineage) == 0 &&
	    (address ? strcmp(unread->address, address) == 0
		     : !find(lineage, unread->address, NULL)))
		break;
	if (unread)
		TAILQ_REMOVE(&left, unread, next);
	pthread_mutex_unlock(&mutex);
	return unread;
}

static void take_over(struct port *port)
{
	struct unread *unread;

	while ((unread = claim(port->ports->lineage, port->address))) {
		udp_queue_move(port->queue, &unread->queue);
		unread_free(unread);
	}
}

static void drop_orphans(const struct ports *ports)
{
	struct unread *unread;

	while ((unread = claim(ports->lineage, NULL))) {
		log_lost(unread->lineage, unread->address, unread->queue.count);
		unread_free(unread);
	}
}

/* ---- the end of a socket ---- */

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
	drop_orphans(ports);
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
	drop_orphans(ports);
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
	{
		if (reading)
			take_over(port);
		else if (port->queue->count)
			give_up(port);
		port->turn(port, reading);
	}
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
	log_lost(port->ports->lineage, port->address, n);
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
