/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of echoes: a slot for each sequence number, a heap of deadlines
 * with one timer, a list of echoes that wait for the kernel to take them, and
 * one of those that are done and have to be told. `done` runs from a turn of
 * the loop with nothing else going on, since it may call everything here.
 *
 * A sequence number goes back into use in the order in which they were freed,
 * so a late answer finds its number unused for as long as possible. It carries
 * the cookie of its time in any case.
 */
#include "net/icmp.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/mem.h"
#include "net/icmp_heap.h"
#include "net/icmp_socket.h"
#include "net/icmp_stamp.h"

enum {
	SLOTS = ICMP_KNOWN_MAX,
	/* Echoes sent before a look at what came back, and what the answer to
	 * one may take in the socket's buffer, beside its payload. */
	UNREAD_MAX = 48,
	ANSWER_BYTES = 4096,
	COOKIES = 32, /* a call of getrandom() for that many */
};

#define AGAIN 0.001 /* seconds */

enum list_name { LIST_NONE, LIST_UNSENT, LIST_FINISHED };

struct list {
	struct icmp_echo *first, *last;
	unsigned n;
	enum list_name name;
};

struct slot {
	struct icmp_echo *echo; /* NULL: free */
	uint64_t cookie;	/* of its last use */
};

struct family {
	struct icmp *icmp;
	struct icmp_socket *socket; /* NULL: not opened yet */
	struct slot *slots;
	uint16_t first;	 /* the sequence number to begin with */
	uint32_t begun;	 /* numbers that were ever used */
	uint16_t *freed; /* a ring of those in use no more */
	uint32_t freed_at, nfreed;
	struct list unsent;
	unsigned unread, unread_bytes;
	unsigned room;
};

struct icmp {
	struct loop *loop;
	const struct allow *allow;
	struct family four, six;
	struct timer timer; /* the first deadline */
	double timer_at;    /* 0: not started */
	struct timer soon;  /* tells what was done outside of a turn */
	bool soon_started;
	bool turning; /* `finished` will be looked at without it */
	bool *gone;   /* set by icmp_free() while `done` runs */
	struct icmp_heap heap;
	struct list finished;
	uint64_t cookies[COOKIES];
	unsigned ncookies;
	struct icmp_counts counts;
};

static const struct icmp_shape *shape_of(const struct icmp_echo *echo)
{
	static const struct icmp_shape usual = { .size = ICMP_SIZE_DEFAULT };

	return echo->shape ? echo->shape : &usual;
}

/* ---- lists ---- */

static void list_add(struct list *list, struct icmp_echo *echo)
{
	echo->state.list = (uint8_t)list->name;
	echo->state.prev = list->last;
	echo->state.next = NULL;
	if (list->last)
		list->last->state.next = echo;
	else
		list->first = echo;
	list->last = echo;
	list->n++;
}

static void list_remove(struct list *list, struct icmp_echo *echo)
{
	struct icmp_echo *prev = echo->state.prev, *next = echo->state.next;

	if (echo->state.list != list->name)
		return;
	if (prev)
		prev->state.next = next;
	else
		list->first = next;
	if (next)
		next->state.prev = prev;
	else
		list->last = prev;
	list->n--;
	echo->state.list = LIST_NONE;
}

/* ---- telling ---- */

static void arm(struct icmp *icmp)
{
	struct icmp_echo *echo = icmp_heap_first(&icmp->heap);
	double deadline;

	if (!echo)
		return;
	deadline = echo->state.deadline;
	if (icmp->timer_at > 0 && icmp->timer_at <= deadline)
		return;
	icmp->timer_at = deadline;
	timer_start(&icmp->timer, deadline - loop_now(icmp->loop));
}

static void tell_after(struct icmp *icmp, double seconds)
{
	if (icmp->turning || icmp->soon_started || !icmp->finished.first)
		return;
	icmp->soon_started = true;
	timer_start(&icmp->soon, seconds);
}

static void finish(struct icmp *icmp, struct icmp_echo *echo,
		   enum icmp_outcome outcome)
{
	echo->outcome = outcome;
	icmp_heap_remove(&icmp->heap, echo);
	list_add(&icmp->finished, echo);
	tell_after(icmp, 0);
}

/* Calls `done` of as many as are finished now. What that finishes, such as an
 * echo that cannot be sent, waits: uv runs timers until none is due, so a timer
 * of no time at all would hold the loop. */
static void tell(struct icmp *icmp)
{
	struct icmp_echo *echo;
	bool gone = false;

	icmp->gone = &gone;
	for (unsigned n = icmp->finished.n; n > 0 && icmp->finished.n; n--) {
		echo = icmp->finished.first;
		list_remove(&icmp->finished, echo);
		echo->done(echo);
		if (gone)
			return;
	}
	icmp->gone = NULL;
	icmp->turning = false;
	tell_after(icmp, AGAIN);
}

/* Ends what a callback of the loop began by setting `turning`. Must be its last
 * use of ICMP: it may be gone afterwards. */
static void end_turn(struct icmp *icmp)
{
	arm(icmp);
	tell(icmp);
}

/* ---- what arrives ---- */

/* Echoes to these are answered from other addresses. */
static bool is_for_many(const union address *to)
{
	if (to->any.sa_family == AF_INET)
		return to->v4.sin_addr.s_addr == INADDR_ANY ||
		       IN_MULTICAST(ntohl(to->v4.sin_addr.s_addr));
	return IN6_IS_ADDR_UNSPECIFIED(&to->v6.sin6_addr) ||
	       IN6_IS_ADDR_MULTICAST(&to->v6.sin6_addr);
}

/* The zone counts where both have one: who quotes an address knows none. */
static bool is_target(const union address *to, const union address *address)
{
	union address other = *address;

	if (is_for_many(to))
		return true;
	if (to->any.sa_family == AF_INET6 &&
	    (!to->v6.sin6_scope_id || !other.v6.sin6_scope_id))
		other.v6.sin6_scope_id = to->v6.sin6_scope_id;
	return address_same_host(to, &other);
}

/* The slot of the echo that PACKET answers or quotes; NULL: of none. */
static struct slot *find_slot(const struct family *family,
			      const struct icmp_packet *packet)
{
	struct slot *slot = &family->slots[packet->sequence];

	if (!slot->cookie)
		return NULL;
	if (packet->has_cookie)
		return packet->cookie == slot->cookie ? slot : NULL;
	return packet->outcome != ICMP_REPLY && slot->echo ? slot : NULL;
}

/* The clocks count nanoseconds; what a double has beyond them is noise that
 * would stand on the page. */
static double nanoseconds(double seconds)
{
	return (double)llrint(seconds * 1e9) / 1e9;
}

static void believe(struct icmp *icmp, struct icmp_echo *echo,
		    const struct icmp_arrival *arrival)
{
	const struct icmp_packet *packet = &arrival->packet;
	double sent = echo->state.sent;

	echo->rtt = nanoseconds(
		(arrival->time < sent ? arrival->latest : arrival->time) -
		sent);
	echo->from = arrival->from;
	echo->ttl = arrival->ttl;
	echo->code = packet->code;
	echo->mtu = packet->mtu;
	echo->size = packet->size;
	if (packet->outcome == ICMP_REPLY)
		icmp->counts.replies++;
	else
		icmp->counts.errors++;
	finish(icmp, echo, packet->outcome);
}

/* A second answer, one that is late, or an error that nobody waits for. */
static void count_again(struct icmp *icmp, struct icmp_echo *echo, bool reply)
{
	if (echo->outcome == ICMP_TIMED_OUT && !echo->late) {
		echo->late = reply;
		icmp->counts.late++;
	} else {
		echo->duplicates += reply;
		icmp->counts.duplicates++;
	}
}

static void on_arrival(void *arg, const struct icmp_arrival *arrival)
{
	struct family *family = arg;
	struct icmp *icmp = family->icmp;
	struct slot *slot =
		arrival ? find_slot(family, &arrival->packet) : NULL;
	struct icmp_echo *echo = slot ? slot->echo : NULL;
	bool reply;

	if (slot && !echo) {
		icmp->counts.late++;
		return;
	}
	reply = arrival && arrival->packet.outcome == ICMP_REPLY;
	/* Of what still waits to be sent nobody can know: a guess at its
	 * sequence number, or an error of the one before. */
	if (!slot || echo->state.list == LIST_UNSENT ||
	    !is_target(&echo->to,
		       reply ? &arrival->from : &arrival->packet.to)) {
		icmp->counts.foreign++;
		return;
	}
	if (echo->outcome == ICMP_WAITING &&
	    arrival->time > echo->state.deadline)
		finish(icmp, echo, ICMP_TIMED_OUT);
	if (echo->outcome == ICMP_WAITING)
		believe(icmp, echo, arrival);
	else
		count_again(icmp, echo, reply);
}

static void read_family(struct family *family)
{
	if (!family->socket)
		return;
	icmp_socket_read(family->socket);
	family->unread = 0;
	family->unread_bytes = 0;
}

/* ---- sending ---- */

/* From the kernel, some at a time: nobody can tell one from another. */
static uint64_t next_cookie(struct icmp *icmp)
{
	ssize_t n;

	if (!icmp->ncookies) {
		/* Up to 256 bytes are given whole, once it has begun. */
		do
			n = getrandom(icmp->cookies, sizeof icmp->cookies, 0);
		while (n != (ssize_t)sizeof icmp->cookies);
		icmp->ncookies = COOKIES;
	}
	return icmp->cookies[--icmp->ncookies] | 1;
}

/* -1: all are in use. */
static int take_sequence(struct family *family)
{
	uint16_t sequence;

	if (family->begun < SLOTS)
		return (uint16_t)(family->first + family->begun++);
	if (!family->nfreed)
		return -1;
	family->nfreed--;
	sequence = family->freed[family->freed_at];
	family->freed_at = (family->freed_at + 1) % SLOTS;
	return sequence;
}

static void free_sequence(struct family *family, uint32_t sequence)
{
	uint32_t at = (family->freed_at + family->nfreed++) % SLOTS;

	family->slots[sequence].echo = NULL;
	family->freed[at] = (uint16_t)sequence;
}

/* Returns 0 or an errno. */
static int transmit(struct family *family, struct icmp_echo *echo)
{
	uint16_t sequence = (uint16_t)(echo->state.slot - 1);

	return icmp_socket_send(family->socket, shape_of(echo), &echo->to,
				sequence, family->slots[sequence].cookie,
				&echo->state.sent);
}

/* What became of a transmission; not for EAGAIN. */
static void settle(struct family *family, struct icmp_echo *echo, int error)
{
	const union address *source = &shape_of(echo)->source;
	struct icmp *icmp = family->icmp;

	if (error == EMSGSIZE) {
		echo->mtu = icmp_socket_mtu(&echo->to);
		finish(icmp, echo, ICMP_TOO_BIG);
	} else if (error) {
		if (source->any.sa_family && !icmp_socket_is_own(source))
			error = EADDRNOTAVAIL;
		echo->error = error;
		finish(icmp, echo, ICMP_FAILED);
	} else {
		icmp->counts.sent++;
		family->unread++;
		family->unread_bytes += shape_of(echo)->size + ANSWER_BYTES;
	}
}

static void look_around(struct family *family)
{
	if (family->unread >= UNREAD_MAX ||
	    family->unread_bytes >= family->room / 2)
		read_family(family);
}

/* In the order in which they came. */
static void send_unsent(struct family *family)
{
	struct icmp_echo *echo;
	int error;

	while ((echo = family->unsent.first)) {
		error = transmit(family, echo);
		if (error == EAGAIN)
			return;
		list_remove(&family->unsent, echo);
		settle(family, echo, error);
		look_around(family);
	}
}

static void send_now(struct family *family, struct icmp_echo *echo)
{
	struct icmp *icmp = family->icmp;
	int error = EAGAIN;

	if (family->unsent.first)
		echo->state.sent = loop_now(icmp->loop);
	else
		error = transmit(family, echo);
	echo->state.deadline = echo->state.sent + echo->timeout;
	if (error == EAGAIN)
		list_add(&family->unsent, echo);
	else
		settle(family, echo, error);
	if (echo->outcome == ICMP_WAITING) {
		icmp_heap_add(&icmp->heap, echo);
		arm(icmp);
	}
	look_around(family);
}

static struct family *find_family(struct icmp *icmp, int family)
{
	switch (family) {
	case AF_INET: return &icmp->four;
	case AF_INET6: return &icmp->six;
	default: return NULL;
	}
}

bool icmp_send(struct icmp *icmp, struct icmp_echo *echo, struct err *err)
{
	struct family *family;
	int sequence;

	address_unmap(&echo->to);
	if (!icmp_open(icmp, echo->to.any.sa_family, err))
		return false;
	family = find_family(icmp, echo->to.any.sa_family);
	sequence = take_sequence(family);
	if (sequence < 0)
		return err_set(err, ERR_LIMIT,
			       "icmp: %d echoes at the same time are too many",
			       ICMP_KNOWN_MAX + 1);
	family->slots[sequence] = (struct slot){ echo, next_cookie(icmp) };
	echo->state.slot = (uint32_t)sequence + 1;
	send_now(family, echo);
	return true;
}

void icmp_forget(struct icmp *icmp, struct icmp_echo *echo)
{
	struct family *family;

	if (!echo->state.slot)
		return;
	family = find_family(icmp, echo->to.any.sa_family);
	icmp_heap_remove(&icmp->heap, echo);
	list_remove(&family->unsent, echo);
	list_remove(&icmp->finished, echo);
	free_sequence(family, echo->state.slot - 1);
	echo->state.slot = 0;
}

/* ---- the loop ---- */

static void on_turned(void *arg, bool writable)
{
	struct family *family = arg;
	struct icmp *icmp = family->icmp;

	icmp->turning = true;
	read_family(family);
	if (writable)
		send_unsent(family);
	end_turn(icmp);
}

static void expire(struct icmp *icmp, struct icmp_echo *echo)
{
	struct family *family = find_family(icmp, echo->to.any.sa_family);

	if (echo->state.list == LIST_UNSENT) {
		list_remove(&family->unsent, echo);
		echo->error = EAGAIN;
		finish(icmp, echo, ICMP_FAILED);
	} else {
		finish(icmp, echo, ICMP_TIMED_OUT);
	}
}

/* What arrived in time is read first: this thread may have been busy. */
static void on_timer(struct timer *timer)
{
	struct icmp *icmp =
		(void *)((char *)timer - offsetof(struct icmp, timer));
	double now = loop_now(icmp->loop);
	struct icmp_echo *echo;

	icmp->turning = true;
	icmp->timer_at = 0;
	read_family(&icmp->four);
	read_family(&icmp->six);
	while ((echo = icmp_heap_first(&icmp->heap)) &&
	       echo->state.deadline <= now)
		expire(icmp, echo);
	end_turn(icmp);
}

static void on_soon(struct timer *timer)
{
	struct icmp *icmp =
		(void *)((char *)timer - offsetof(struct icmp, soon));

	icmp->turning = true;
	icmp->soon_started = false;
	end_turn(icmp);
}

/* ---- life ---- */

static void family_init(struct family *family, struct icmp *icmp)
{
	family->icmp = icmp;
	family->unsent.name = LIST_UNSENT;
}

bool icmp_may_ask(const struct icmp *icmp, const char *host,
		  const union address *address, struct err *err)
{
	return allow_check(icmp->allow, host, &address->any, 0, err);
}

struct icmp *icmp_new(struct loop *loop, const struct allow *allow)
{
	struct icmp *icmp = mem_alloc(sizeof *icmp);

	icmp->loop = loop;
	icmp->allow = allow;
	icmp->finished.name = LIST_FINISHED;
	family_init(&icmp->four, icmp);
	family_init(&icmp->six, icmp);
	timer_init(loop, &icmp->timer, on_timer);
	timer_init(loop, &icmp->soon, on_soon);
	return icmp;
}

static void family_release(struct family *family)
{
	icmp_socket_free(family->socket);
	free(family->slots);
	free(family->freed);
}

void icmp_free(struct icmp *icmp)
{
	if (!icmp)
		return;
	if (icmp->gone)
		*icmp->gone = true;
	timer_release(&icmp->timer);
	timer_release(&icmp->soon);
	family_release(&icmp->four);
	family_release(&icmp->six);
	icmp_heap_release(&icmp->heap);
	free(icmp);
}

bool icmp_open(struct icmp *icmp, int number, struct err *err)
{
	struct family *family = find_family(icmp, number);
	struct icmp_socket_user user = {
		.arg = family,
		.arrived = on_arrival,
		.turned = on_turned,
	};

	if (!family)
		return err_set(err, ERR_USAGE,
			       "icmp: neither an IPv4 nor an IPv6 address");
	if (family->socket)
		return true;
	family->socket = icmp_socket_new(icmp->loop, number, &user, err);
	if (!family->socket)
		return false;
	icmp_stamp_await();
	/* The pages that no number needed yet cost nothing. */
	family->slots = mem_array(SLOTS, sizeof *family->slots);
	family->freed = mem_array(SLOTS, sizeof *family->freed);
	family->first = (uint16_t)(next_cookie(icmp) >> 16);
	family->room = icmp_socket_room(family->socket);
	return true;
}

struct icmp_counts icmp_counts(const struct icmp *icmp)
{
	return icmp->counts;
}
