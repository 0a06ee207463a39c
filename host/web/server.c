/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One libmicrohttpd daemon for each address. A daemon has an epoll descriptor
 * of its own, which becomes readable when it has something to do; MHD_run()
 * then does it, and MHD_get_timeout() tells when it wants to run again.
 *
 * Ways of the code: drive() -> MHD_run() -> on_request() -> a route's handler;
 * when the last byte is sent, on_completed(). Nothing of libmicrohttpd that
 * closes connections is called from inside MHD_run(): the end of server_stop()
 * waits for the loop.
 */
#include "web/server.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "core/log.h"
#include "core/mem.h"
#include "web/listen.h"
#include "web/path.h"

enum { ROUNDS = 8, BODY_MAX = 1024 * 1024, CONNECTIONS = 512, IDLE = 60 };

struct listener {
	uv_poll_t poll;	    /* watches the daemon's epoll descriptor */
	struct timer again; /* when the daemon wants to run */
	double again_at;    /* 0: not started */
	struct MHD_Daemon *mhd;
	char name[LISTEN_TEXT_MAX];
};

struct server {
	struct loop *loop;
	struct route *routes;
	size_t body_max;
	unsigned connections_max;
	double idle_seconds;
	void (*finished)(void *arg, const char *handler, unsigned status,
			 double seconds);
	void *arg;
	struct listener **listeners;
	size_t nlisteners;
	struct request_shared shared;
	size_t in_flight; /* headers read, not completed */
	bool closed;	  /* a connection, since it was last set to false */
	bool stopping;
	bool stopped;
	struct timer grace;
	void (*done)(void *arg);
	void *done_arg;
};

static const char plain[] = "text/plain; charset=utf-8";

/* ---- routes ---- */

static const struct {
	const char *name;
	unsigned method;
} methods[] = {
	{ "GET", SERVER_GET },	     { "HEAD", SERVER_GET },
	{ "POST", SERVER_POST },     { "PUT", SERVER_PUT },
	{ "DELETE", SERVER_DELETE },
};

enum { METHODS = sizeof methods / sizeof *methods };

unsigned server_method(const char *name, size_t len)
{
	for (size_t i = 0; i < METHODS; i++)
		if (strlen(methods[i].name) == len &&
		    !strncmp(methods[i].name, name, len))
			return methods[i].method;
	return 0;
}

static bool method_allowed(const struct route *route, const char *method)
{
	return route->methods & server_method(method, strlen(method));
}

/* The route that is nearest to the path of REQUEST, the first one of several,
 * among those that allow METHOD (NULL: any). */
static const struct route *nearest_route(const struct server *server,
					 const char *path, const char *method)
{
	const struct route *found = NULL;

	for (const struct route *route = server->routes; route->path; route++) {
		if (!path_matches(route->path, path) ||
		    (method && !method_allowed(route, method)))
			continue;
		if (!found || path_is_nearer(route->path, found->path))
			found = route;
	}
	return found;
}

/* One of another method stands for a path that is there. */
static const struct route *find_route(const struct server *server,
				      const struct request *request)
{
	const char *path = request_sent_path(request);
	const struct route *found =
		nearest_route(server, path, request_method(request));

	return found ? found : nearest_route(server, path, NULL);
}

static const char *handler_of(const struct route *route)
{
	return route ? route->handler : "other";
}

static void answer_method(const struct server *server, struct request *request)
{
	const char *headers[] = { "Allow", NULL, NULL };
	struct response *response;
	unsigned allowed = 0;
	char allow[64] = "";

	for (const struct route *route = server->routes; route->path; route++)
		if (path_matches(route->path, request_sent_path(request)))
			allowed |= route->methods;
	for (size_t i = 0; i < METHODS; i++) {
		if (!(allowed & methods[i].method))
			continue;
		if (*allow)
			strcat(allow, ", ");
		strcat(allow, methods[i].name);
	}
	headers[1] = allow;
	response = response_text(plain, "method not allowed\n", headers);
	request_answer(request, MHD_HTTP_METHOD_NOT_ALLOWED, response);
	response_unref(response);
}

/* Answers and says that the connection ends with it. */
static void answer_last(struct request *request, unsigned status,
			const char *text)
{
	const char *const headers[] = { "Connection", "close", NULL };
	struct response *response = response_text(plain, text, headers);

	request_answer(request, status, response);
	response_unref(response);
}

/*
 * The route is looked for now, when all of the request is there, and used at
 * once: a client that sends its body slowly keeps no table of routes from being
 * replaced.
 */
static void answer(struct server *server, struct request *request)
{
	const struct route *route = find_route(server, request);

	request_set_handler(request, handler_of(route));
	if (server->stopping)
		answer_last(request, 503, "shutting down\n");
	else if (request_too_large(request))
		answer_last(request, 413, "request body too large\n");
	else if (!route)
		request_answer_text(request, 404, plain,
				    "not found; / lists what is here\n");
	else if (!method_allowed(route, request_method(request)))
		answer_method(server, request);
	else
		route->handle(request, route->arg);
	request_settle(request);
}

/* ---- callbacks of libmicrohttpd ---- */

static struct request *request_of(struct MHD_Connection *mhd)
{
	return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

/* Called with what was asked for before it is decoded. What is returned becomes
 * the context of on_request(), which has not begun. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *mhd)
{
	(void)arg;
	request_set_uri(request_of(mhd), uri);
	return NULL;
}

/*
 * Called when the headers have arrived, for each piece of the body, and at the
 * end of the request. An answer at the first call would be taken as a refusal
 * of the rest, after which libmicrohttpd closes the connection.
 */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd,
				  const char *url, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	struct server *server = arg;
	struct request *request = *context;

	(void)version;
	if (!request) {
		*context = request = request_of(mhd);
		server->in_flight++;
		request_begin(request, method, url, server->body_max);
		if (request_asks_too_much(request))
			answer_last(request, 413, "request body too large\n");
		return MHD_YES;
	}
	if (!*upload_size) {
		answer(server, request);
		return MHD_YES;
	}
	if (!request_receive(request, upload, *upload_size))
		return MHD_NO;
	*upload_size = 0;
	return MHD_YES;
}

static void on_grace(struct timer *timer);

/* One that was given up amid its body has not come to a handler. */
static void tell_finished(struct server *server, const struct request *request)
{
	const char *handler = request_handler(request);
	unsigned status = request_status(request);

	if (!handler)
		handler = handler_of(find_route(server, request));
	server->finished(server->arg, handler,
			 status ? status : SERVER_CLIENT_GONE,
			 loop_now(server->loop) - request_started(request));
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context,
			 enum MHD_RequestTerminationCode code)
{
	struct server *server = arg;
	struct request *request = *context;

	(void)mhd;
	(void)code;
	if (!request)
		return;
	*context = NULL;
	if (server->finished)
		tell_finished(server, request);
	request_end(request);
	server->in_flight--;
	if (server->stopping && !server->stopped && !server->in_flight)
		timer_start(&server->grace, 0);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *server = arg;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = request_new(&server->shared, mhd);
	} else {
		request_free(*context);
		*context = NULL;
		server->closed = true;
	}
}

__attribute__((format(printf, 2, 0))) static void on_log(void *arg,
							 const char *format,
							 va_list args)
{
	char text[256];

	(void)arg;
	vsnprintf(text, sizeof text, format, args);
	text[strcspn(text, "\r\n")] = '\0';
	log_debug("libmicrohttpd", "text", text);
}

/* ---- driving the daemons ---- */

/* The timer moves only to an earlier time: at its time the daemon is asked
 * again anyway, and most answers then cost no timer. */
static void run_later(struct listener *listener, double now, double seconds)
{
	if (listener->again_at > 0 && listener->again_at <= now + seconds)
		return;
	listener->again_at = now + seconds;
	timer_start(&listener->again, seconds);
}

static void drive(struct server *server, struct listener *listener)
{
	MHD_UNSIGNED_LONG_LONG ms;

	for (int i = 0; i < ROUNDS; i++) {
		server->closed = false;
		MHD_run(listener->mhd);
		/* When it could not accept, for want of descriptors or because
		 * of the limit, it looks at the listening socket again at the
		 * beginning of the run after this one, and asks for none. */
		if (server->closed)
			continue;
		if (MHD_get_timeout(listener->mhd, &ms) != MHD_YES)
			return;
		if (ms > 0) {
			run_later(listener, loop_now(server->loop),
				  (double)ms / 1000);
			return;
		}
	}
	/* There is more to do, but others share the loop. */
	run_later(listener, loop_now(server->loop), 0);
}

static struct server *server_of(const struct listener *listener)
{
	return listener->poll.data;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = (struct listener *)poll;

	(void)status;
	(void)events;
	drive(server_of(listener), listener);
}

static void on_again(struct timer *timer)
{
	struct listener *listener =
		(struct listener *)((char *)timer -
				    offsetof(struct listener, again));

	listener->again_at = 0;
	drive(server_of(listener), listener);
}

/* Resumed connections move only when their daemon runs. */
static void on_resume(struct timer *timer)
{
	struct server *server =
		(struct server *)((char *)timer -
				  offsetof(struct server, shared.resume));

	for (size_t i = 0; i < server->nlisteners; i++)
		drive(server, server->listeners[i]);
}

/* ---- start ---- */

/* A path or value that would hold a NUL stays as it was sent: for C the string
 * would end there, and "/metrics%00x" would be "/metrics". */
static size_t on_unescape(void *arg, struct MHD_Connection *mhd, char *s)
{
	(void)arg;
	(void)mhd;
	return strstr(s, "%00") ? strlen(s) : MHD_http_unescape(s);
}

static struct MHD_Daemon *start_daemon(struct server *server, int fd)
{
	unsigned max = server->connections_max;
	unsigned idle = (unsigned)ceil(server->idle_seconds);

	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
		NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER,
		on_log, NULL, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, server, MHD_OPTION_CONNECTION_LIMIT, max,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, max - max / 8,
		MHD_OPTION_CONNECTION_TIMEOUT, idle,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MEMORY,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

static void watch_daemon(struct server *server, struct listener *listener)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(listener->mhd, MHD_DAEMON_INFO_EPOLL_FD);

	uv_poll_init(loop_uv(server->loop), &listener->poll, info->epoll_fd);
	listener->poll.data = server;
	timer_init(server->loop, &listener->again, on_again);
	uv_poll_start(&listener->poll, UV_READABLE, on_ready);
}

static bool add_listener(struct server *server, const char *address,
			 struct err *err)
{
	struct listener *listener = mem_alloc(sizeof *listener);
	int fd = listen_open(address, listener->name, err);

	if (fd < 0) {
		free(listener);
		return false;
	}
	listener->mhd = start_daemon(server, fd);
	if (!listener->mhd) {
		close(fd);
		free(listener);
		return err_set(err, ERR_IO, "listen %s: cannot start a server",
			       address);
	}
	watch_daemon(server, listener);
	server->listeners[server->nlisteners++] = listener;
	return true;
}

static struct route *copy_routes(const struct route *routes)
{
	struct route *copy;
	size_t n = 0;

	while (routes && routes[n].path)
		n++;
	copy = mem_array(n + 1, sizeof *copy);
	if (n)
		memcpy(copy, routes, n * sizeof *copy);
	return copy;
}

static struct server *make(const struct server_options *options)
{
	struct server *server = mem_alloc(sizeof *server);

	server->loop = options->loop;
	server->routes = copy_routes(options->routes);
	server->body_max = options->body_max ? options->body_max : BODY_MAX;
	server->connections_max = options->connections_max
					  ? options->connections_max
					  : CONNECTIONS;
	server->idle_seconds =
		options->idle_seconds > 0 ? options->idle_seconds : IDLE;
	server->finished = options->finished;
	server->arg = options->arg;
	server->shared.loop = server->loop;
	timer_init(server->loop, &server->shared.resume, on_resume);
	timer_init(server->loop, &server->grace, on_grace);
	return server;
}

static void close_listeners(struct server *server);

struct server *server_new(const struct server_options *options, struct err *err)
{
	struct server *server = make(options);
	size_t n = 0;

	while (options->addresses[n])
		n++;
	server->listeners = mem_array(n + 1, sizeof *server->listeners);
	for (size_t i = 0; i < n; i++)
		if (!add_listener(server, options->addresses[i], err)) {
			close_listeners(server);
			server_free(server);
			return NULL;
		}
	return server;
}

void server_set_routes(struct server *server, const struct route *routes)
{
	struct route *former = server->routes;

	server->routes = copy_routes(routes);
	free(former);
}

const char *server_address(const struct server *server, size_t i)
{
	return i < server->nlisteners ? server->listeners[i]->name : NULL;
}

/* ---- stop ---- */

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void close_listeners(struct server *server)
{
	server->stopped = true;
	for (size_t i = 0; i < server->nlisteners; i++) {
		struct listener *listener = server->listeners[i];

		timer_release(&listener->again);
		uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
		MHD_stop_daemon(listener->mhd);
	}
	server->nlisteners = 0;
}

/* Everything was sent, or there was time enough. */
static void on_grace(struct timer *timer)
{
	struct server *server =
		(struct server *)((char *)timer -
				  offsetof(struct server, grace));

	close_listeners(server);
	server->done(server->done_arg);
}

void server_stop(struct server *server, double grace, void (*done)(void *arg),
		 void *arg)
{
	server->stopping = true;
	server->done = done;
	server->done_arg = arg;
	for (size_t i = 0; i < server->nlisteners; i++) {
		int fd = MHD_quiesce_daemon(server->listeners[i]->mhd);

		if (fd >= 0)
			close(fd);
	}
	while (server->shared.suspended)
		request_expire(server->shared.suspended, true);
	timer_start(&server->grace, server->in_flight ? grace : 0);
}

void server_free(struct server *server)
{
	if (!server)
		return;
	timer_release(&server->shared.resume);
	timer_release(&server->grace);
	free(server->listeners);
	free(server->routes);
	free(server);
}
