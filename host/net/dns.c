/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of c-ares are in an epoll set of our own, which the loop watches
 * as one: they come and go with every question, and handles of uv would have to
 * be closed and waited for.
 */
#include "net/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/mem.h"
#include "net/ares.h"

enum {
	EVENTS = 16,
	SERVERS_TOLD = 3,
	DNS_PORT = 53,
	BUFFER_SIZE = 1 << 20, /* as much of it as the system allows */
};

#define LATE_TRIES 1.5 /* in the middle of the second */

/* The part that lives until uv has closed its handle. */
struct watch {
	uv_poll_t poll;
	struct dns *dns;
};

struct question {
	struct dns *dns;
	const char *name;
	int family;
	dns_done done; /* NULL: told */
	void *arg;
	unsigned pending; /* what c-ares has of it */
	double late;	  /* when it is asked in parts */
	bool listed;
	TAILQ_ENTRY(question) link;
};

TAILQ_HEAD(questions, question);

struct dns {
	struct loop *loop;
	const struct ares *ares;
	ares_channel channel; /* NULL: it could not be made */
	int epoll;
	struct watch *watch;
	struct timer timer;
	struct dns_options options;
	struct stat file;	 /* zeroes: there is none */
	struct questions whole;	 /* not asked in parts yet; oldest first */
	struct timer late;	 /* for the first of these */
	struct question *asking; /* inside dns_ask() */
	bool many;
	char servers[320];
};

/* ---- answers ---- */

static const char *kind(int family)
{
	return family == AF_INET    ? "IPv4 address"
	       : family == AF_INET6 ? "IPv6 address"
				    : "address";
}

static bool has(const struct dns_answer *answer, const union address *address)
{
	for (size_t i = 0; i < answer->n; i++)
		if (address_same_host(&answer->addresses[i], address))
			return true;
	return false;
}

static void add(struct dns_answer *answer, const struct ares_addrinfo_node *at)
{
	union address address = { 0 };

	if (at->ai_addrlen > sizeof address)
		return;
	memcpy(&address, at->ai_addr, at->ai_addrlen);
	if (answer->n < DNS_ADDRESSES_MAX && !has(answer, &address))
		answer->addresses[answer->n++] = address;
	if (at->ai_ttl < answer->ttl)
		answer->ttl = at->ai_ttl;
}

/* The time is the shortest of the whole chain. */
static void add_all(struct dns_answer *answer, const struct ares_addrinfo *info)
{
	const struct ares_addrinfo_node *node = info ? info->nodes : NULL;
	const struct ares_addrinfo_cname *cname = info ? info->cnames : NULL;

	answer->ttl = INT32_MAX;
	for (; node; node = node->ai_next)
		add(answer, node);
	for (; cname; cname = cname->next)
		if (cname->ttl < answer->ttl)
			answer->ttl = cname->ttl;
	if (answer->ttl < 0)
		answer->ttl = 0;
}

static void fail(struct dns_answer *answer, const struct question *question,
		 enum err_code code, const char *one, const char *many)
{
	const struct dns *dns = question->dns;

	answer->result = DNS_FAILED;
	err_set(&answer->err, code, "%s: %s %s", question->name, dns->servers,
		dns->many ? many : one);
}

static void unknown(struct dns_answer *answer, const struct question *question,
		    bool name)
{
	answer->result = DNS_UNKNOWN;
	if (name)
		err_set(&answer->err, ERR_IO, "%s: no such name",
			question->name);
	else
		err_set(&answer->err, ERR_IO, "%s: has no %s", question->name,
			kind(question->family));
}

/* c-ares says that the connection was refused also when it had nobody to
 * ask. */
static bool nobody_asked(const struct question *question, int status)
{
	return status == ARES_ECONNREFUSED &&
	       question->dns->asking == question &&
	       !strchr(question->dns->options.lookups, 'b');
}

static void judge(struct dns_answer *answer, const struct question *question,
		  int status)
{
	switch (status) {
	case ARES_ENODATA: unknown(answer, question, false); break;
	case ARES_ENOTFOUND: unknown(answer, question, true); break;
	case ARES_ETIMEOUT:
		fail(answer, question, ERR_TIMEOUT, "does not answer",
		     "do not answer");
		break;
	case ARES_ECONNREFUSED:
		/* Also when all of them failed, up to c-ares 1.19. */
		fail(answer, question, ERR_IO, "fails or cannot be reached",
		     "fail or cannot be reached");
		break;
	case ARES_ESERVFAIL:
		fail(answer, question, ERR_IO, "fails to find out",
		     "fail to find out");
		break;
	case ARES_EREFUSED:
	case ARES_ENOTIMP:
		fail(answer, question, ERR_IO, "refuses to answer",
		     "refuse to answer");
		break;
	case ARES_EFORMERR:
	case ARES_EBADRESP:
	case ARES_EBADSTR:
		fail(answer, question, ERR_INPUT, "sends a malformed answer",
		     "send a malformed answer");
		break;
	case ARES_EBADNAME:
		answer->result = DNS_FAILED;
		err_set(&answer->err, ERR_IO, "%s: not the name of a host",
			question->name);
		break;
	default:
		answer->result = DNS_FAILED;
		err_set(&answer->err, ERR_IO, "%s: %s", question->name,
			question->dns->ares->strerror(status));
	}
}

static void unlist(struct question *question)
{
	if (question->listed)
		TAILQ_REMOVE(&question->dns->whole, question, link);
	question->listed = false;
}

static void tell(struct question *question, const struct dns_answer *answer)
{
	dns_done done = question->done;

	unlist(question);
	question->done = NULL;
	if (done)
		done(question->arg, answer);
}

/* c-ares has told one of its parts. */
static void settle(struct question *question)
{
	if (--question->pending == 0)
		free(question);
}

static void take(struct dns_answer *answer, const struct question *question,
		 struct ares_addrinfo *info)
{
	*answer = (struct dns_answer){ .result = DNS_FOUND };
	add_all(answer, info);
	if (info)
		question->dns->ares->freeaddrinfo(info);
}

static void on_answer(void *arg, int status, int timeouts,
		      struct ares_addrinfo *info)
{
	struct question *question = arg;
	struct dns_answer answer;

	(void)timeouts;
	take(&answer, question, info);
	if (status == ARES_EDESTRUCTION)
		answer.result = DNS_RENEWED;
	else if (!question->done)
		; /* nobody reads it, and its name may be gone */
	else if (status == ARES_SUCCESS && answer.n == 0)
		unknown(&answer, question, false);
	else if (nobody_asked(question, status))
		unknown(&answer, question, true);
	else if (status != ARES_SUCCESS)
		judge(&answer, question, status);
	else if (question->dns->asking == question)
		answer.ttl = -1; /* at once: it stands in the file */
	tell(question, &answer);
	settle(question);
}

/* c-ares' own; to be called whenever it has worked. */
static void set_timer(struct dns *dns)
{
	struct timeval tv, *next = NULL;

	if (dns->channel)
		next = dns->ares->timeout(dns->channel, NULL, &tv);
	if (next)
		timer_start(&dns->timer,
			    (double)next->tv_sec + (double)next->tv_usec / 1e6);
	else
		timer_stop(&dns->timer);
}

/* ---- questions that are late ---- */

/* Of one family. It counts when it has addresses; the rest is for the whole
 * question to say. */
static void on_part(void *arg, int status, int timeouts,
		    struct ares_addrinfo *info)
{
	struct question *question = arg;
	struct dns_answer answer;

	(void)timeouts;
	take(&answer, question, info);
	if (status == ARES_SUCCESS && answer.n > 0)
		tell(question, &answer);
	settle(question);
}

static void get(struct question *question, int family,
		ares_addrinfo_callback done)
{
	struct dns *dns = question->dns;
	struct ares_addrinfo_hints hints = { .ai_family = family };

	dns->ares->getaddrinfo(dns->channel, question->name, NULL, &hints, done,
			       question);
}

/* Some name servers drop questions for AAAA, and c-ares has nothing to say
 * before both families are answered or given up. */
static void ask_parts(struct question *question)
{
	static const int families[] = { AF_INET, AF_INET6 };

	unlist(question);
	question->pending += 3; /* one is ours */
	for (size_t i = 0; i < 2; i++)
		get(question, families[i], on_part);
	settle(question);
}

static void set_late(struct dns *dns)
{
	struct question *first = TAILQ_FIRST(&dns->whole);

	if (first)
		timer_start(&dns->late, first->late - loop_now(dns->loop));
}

static void on_late(struct timer *timer)
{
	struct dns *dns =
		(struct dns *)((char *)timer - offsetof(struct dns, late));
	double now = loop_now(dns->loop);
	struct question *question;

	while ((question = TAILQ_FIRST(&dns->whole)) && question->late <= now)
		ask_parts(question);
	set_late(dns);
	set_timer(dns);
}

/* ---- the channel on the loop ---- */

void dns_work(struct dns *dns)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(dns->epoll, events, EVENTS, 0);
	const uint32_t failed = EPOLLERR | EPOLLHUP;

	for (int i = 0; i < n && dns->channel; i++) {
		int fd = events[i].data.fd;
		uint32_t mask = events[i].events;

		dns->ares->process_fd(
			dns->channel,
			mask & (EPOLLIN | failed) ? fd : ARES_SOCKET_BAD,
			mask & (EPOLLOUT | failed) ? fd : ARES_SOCKET_BAD);
	}
	set_timer(dns);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;

	(void)status;
	(void)events;
	dns_work(watch->dns);
}

static void on_timer(struct timer *timer)
{
	struct dns *dns =
		(struct dns *)((char *)timer - offsetof(struct dns, timer));

	if (dns->channel)
		dns->ares->process_fd(dns->channel, ARES_SOCKET_BAD,
				      ARES_SOCKET_BAD);
	set_timer(dns);
}

static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns *dns = arg;
	struct epoll_event event = { .data.fd = fd };

	if (readable)
		event.events |= EPOLLIN;
	if (writable)
		event.events |= EPOLLOUT;
	if (!event.events)
		epoll_ctl(dns->epoll, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(dns->epoll, EPOLL_CTL_MOD, fd, &event))
		epoll_ctl(dns->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* ---- its configuration ---- */

static void name_server(char *out, const struct ares_addr_port_node *server,
			unsigned port)
{
	char host[ADDRESS_TEXT_MAX] = "";

	inet_ntop(server->family, &server->addr, host, sizeof host);
	if (port == 0 || port == DNS_PORT)
		snprintf(out, ADDRESS_TEXT_MAX, "%s", host);
	else
		snprintf(out, ADDRESS_TEXT_MAX,
			 server->family == AF_INET6 ? "[%.60s]:%u" : "%.60s:%u",
			 host, port);
}

static void name_servers(struct dns *dns)
{
	struct ares_addr_port_node *list = NULL, *at;
	char text[ADDRESS_TEXT_MAX];
	size_t size = sizeof dns->servers, len = 0;

	dns->ares->get_servers_ports(dns->channel, &list);
	dns->many = list && list->next;
	strcpy(dns->servers,
	       dns->many ? "the name servers" : "the name server");
	at = list;
	for (int i = 0; at && i < SERVERS_TOLD; i++, at = at->next) {
		len = strlen(dns->servers);
		name_server(text, at, dns->options.port);
		snprintf(dns->servers + len, size - len, "%s %s",
			 i == 0	    ? ""
			 : at->next ? ","
				    : " and",
			 text);
	}
	dns->ares->free_data(list);
}

static void look_at_file(const struct dns *dns, struct stat *file)
{
	if (stat(dns->options.resolv_conf, file))
		memset(file, 0, sizeof *file);
}

static int open_channel(struct dns *dns)
{
	struct dns_options *options = &dns->options;
	int given = ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB |
		    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_RESOLVCONF |
		    ARES_OPT_SOCK_RCVBUF;
	struct ares_options ares = {
		.timeout = (int)(options->patience * 1000),
		.tries = DNS_TRIES,
		.udp_port = (unsigned short)options->port,
		.tcp_port = (unsigned short)options->port,
		.socket_receive_buffer_size = BUFFER_SIZE,
		.lookups = (char *)(uintptr_t)options->lookups,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = dns,
		.resolvconf_path = (char *)(uintptr_t)options->resolv_conf,
	};
	int status;

	if (options->port)
		given |= ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT;
	look_at_file(dns, &dns->file);
	status = dns->ares->init_options(&dns->channel, &ares, given);
	if (status == ARES_SUCCESS)
		name_servers(dns);
	else
		dns->channel = NULL;
	return status;
}

/* Until the channel is gone its questions get their ends. */
static void close_channel(struct dns *dns)
{
	ares_channel channel = dns->channel;

	dns->channel = NULL;
	if (channel)
		dns->ares->destroy(channel);
}

void dns_renew(struct dns *dns)
{
	close_channel(dns);
	open_channel(dns);
	set_timer(dns);
}

bool dns_refresh(struct dns *dns)
{
	struct stat now;

	look_at_file(dns, &now);
	if (dns->channel && now.st_ino == dns->file.st_ino &&
	    now.st_dev == dns->file.st_dev &&
	    now.st_size == dns->file.st_size &&
	    now.st_mtim.tv_sec == dns->file.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == dns->file.st_mtim.tv_nsec)
		return false;
	dns_renew(dns);
	return true;
}

/* ---- its life ---- */

static bool open_watch(struct dns *dns)
{
	struct watch *watch = mem_alloc(sizeof *watch);

	dns->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (dns->epoll < 0 ||
	    uv_poll_init(loop_uv(dns->loop), &watch->poll, dns->epoll)) {
		free(watch);
		return false;
	}
	watch->poll.data = watch;
	watch->dns = dns;
	dns->watch = watch;
	uv_poll_start(&watch->poll, UV_READABLE, on_ready);
	return true;
}

struct dns *dns_new(struct loop *loop, const struct dns_options *options,
		    struct err *err)
{
	const struct ares *ares = ares_load(err);
	struct dns *dns;
	int status;

	if (!ares)
		return NULL;
	dns = mem_alloc(sizeof *dns);
	dns->loop = loop;
	dns->ares = ares;
	dns->options = *options;
	TAILQ_INIT(&dns->whole);
	timer_init(loop, &dns->timer, on_timer);
	timer_init(loop, &dns->late, on_late);
	if (!open_watch(dns)) {
		err_set(err, ERR_IO, "names: %s",
			uv_strerror(uv_translate_sys_error(errno)));
		dns_free(dns);
		return NULL;
	}
	status = open_channel(dns);
	if (status == ARES_SUCCESS)
		return dns;
	err_set(err, ERR_IO, "names: %s", ares->strerror(status));
	dns_free(dns);
	return NULL;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void dns_free(struct dns *dns)
{
	if (!dns)
		return;
	close_channel(dns);
	timer_release(&dns->timer);
	timer_release(&dns->late);
	if (dns->watch)
		uv_close((uv_handle_t *)&dns->watch->poll, on_closed);
	if (dns->epoll >= 0)
		close(dns->epoll);
	free(dns);
}

/* ---- questions ---- */

static void enlist(struct question *question)
{
	struct dns *dns = question->dns;
	bool first = TAILQ_EMPTY(&dns->whole);

	question->late =
		loop_now(dns->loop) + LATE_TRIES * dns->options.patience;
	question->listed = true;
	TAILQ_INSERT_TAIL(&dns->whole, question, link);
	if (first)
		set_late(dns);
}

void dns_ask(struct dns *dns, const char *name, int family, dns_done done,
	     void *arg)
{
	struct question *question = mem_alloc(sizeof *question);

	*question = (struct question){
		.dns = dns,
		.name = name,
		.family = family,
		.done = done,
		.arg = arg,
		.pending = 1, /* ours */
	};
	dns->asking = question;
	question->pending++;
	if (dns->channel)
		get(question, family, on_answer);
	else
		on_answer(question, ARES_ENOTINITIALIZED, 0, NULL);
	dns->asking = NULL;
	set_timer(dns);
	if (question->done && family == AF_UNSPEC)
		enlist(question);
	settle(question);
}

const char *dns_servers(const struct dns *dns)
{
	return dns->servers;
}
