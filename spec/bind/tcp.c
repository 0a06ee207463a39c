/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <uv.h>

#include "bind/bind.h"
#include "core/buf.h"
#include "core/mem.h"
#include "net/loop.h"
#include "vm/state.h"
#include "vm/task.h"

#define SERVER "tcp.server"
#define CONNECTION "tcp.connection"
#define WAIT "tcp.wait"

enum { INPUT_MAX = 64 << 20, BACKLOG = 512 };

/* On the stack of a task; in the list of what it waits for. */
struct wait {
	struct op op;
	struct wait *next, **previous;
};

/* A socket. Its memory lives until neither Lua nor libuv knows it. A server has
 * a list of its connections. */
struct stream {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	bool is_pipe;
	bool held;   /* by its userdata */
	bool open;   /* libuv has it */
	bool closed; /* by us */
	bool ended;  /* nothing more will arrive */
	unsigned pending;
	struct buf input;
	struct wait *waits;
	struct stream *connections;
	struct stream *next, **previous;
};

struct box {
	struct stream *stream;
};

/* ---- waits ---- */

static void part(struct wait *wait)
{
	if (!wait->previous)
		return;
	*wait->previous = wait->next;
	if (wait->next)
		wait->next->previous = wait->previous;
	wait->previous = NULL;
}

static void on_cancel(struct op *op)
{
	part((struct wait *)(void *)op);
}

static void wake_all(struct stream *stream)
{
	while (stream->waits) {
		struct wait *wait = stream->waits;

		part(wait);
		task_wake(&wait->op);
	}
}

static int await(lua_State *L, struct stream *stream, lua_KFunction k)
{
	struct wait *wait;

	task_check(L);
	lua_settop(L, 1);
	wait = push_object(L, sizeof *wait, WAIT, 0);
	wait->op.cancel = on_cancel;
	wait->next = stream->waits;
	wait->previous = &stream->waits;
	if (stream->waits)
		stream->waits->previous = &wait->next;
	stream->waits = wait;
	return task_await(L, &wait->op, 0, k);
}

static int l_wait_gc(lua_State *L)
{
	part(luaL_checkudata(L, 1, WAIT));
	return 0;
}

/* ---- streams ---- */

static struct stream *check_stream(lua_State *L, const char *class)
{
	struct box *box = luaL_checkudata(L, 1, class);

	luaL_argcheck(L, box->stream, 1, "not open");
	return box->stream;
}

static struct stream *push_stream(lua_State *L, const char *class, bool is_pipe)
{
	struct box *box = push_object(L, sizeof *box, class, 0);
	struct stream *stream = mem_alloc(sizeof *stream);
	uv_loop_t *uv = loop_uv(vm_loop(vm_of(L)));

	box->stream = stream;
	stream->held = stream->open = true;
	stream->is_pipe = is_pipe;
	buf_init(&stream->input, INPUT_MAX);
	if (is_pipe)
		uv_pipe_init(uv, &stream->uv.pipe, 0);
	else
		uv_tcp_init(uv, &stream->uv.tcp);
	stream->uv.handle.data = stream;
	return stream;
}

static void free_unused(struct stream *stream)
{
	if (stream->held || stream->open)
		return;
	buf_release(&stream->input);
	free(stream);
}

static void on_closed(uv_handle_t *handle)
{
	struct stream *stream = handle->data;

	stream->open = false;
	free_unused(stream);
}

static void on_shut(uv_shutdown_t *request, int status)
{
	uv_handle_t *handle = (uv_handle_t *)request->handle;

	(void)status;
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
	free(request);
}

/* After what was written has gone out. */
static void shut(struct stream *stream)
{
	uv_shutdown_t *request = mem_alloc(sizeof *request);

	uv_read_stop(&stream->uv.stream);
	if (uv_shutdown(request, &stream->uv.stream, on_shut) == 0)
		return;
	free(request);
	uv_close(&stream->uv.handle, on_closed);
}

static void unlink_stream(struct stream *stream)
{
	if (!stream->previous)
		return;
	*stream->previous = stream->next;
	if (stream->next)
		stream->next->previous = stream->previous;
	stream->previous = NULL;
}

enum manner { GENTLY, AT_ONCE, RESET };

static void close_stream(struct stream *stream, enum manner manner)
{
	if (stream->closed)
		return;
	stream->closed = stream->ended = true;
	unlink_stream(stream);
	while (stream->connections)
		close_stream(stream->connections, AT_ONCE);
	wake_all(stream);
	if (manner == GENTLY)
		shut(stream);
	else if (manner == AT_ONCE || stream->is_pipe ||
		 uv_tcp_close_reset(&stream->uv.tcp, on_closed) != 0)
		uv_close(&stream->uv.handle, on_closed);
}

static int l_gc(lua_State *L)
{
	struct box *box = lua_touserdata(L, 1);
	struct stream *stream = box->stream;

	box->stream = NULL;
	if (!stream)
		return 0;
	stream->held = false;
	close_stream(stream, AT_ONCE);
	free_unused(stream);
	return 0;
}

/* ---- servers ---- */

static void on_connection(uv_stream_t *server, int status)
{
	struct stream *stream = server->data;

	if (status == 0)
		stream->pending++;
	wake_all(stream);
}

static int bind_stream(struct stream *stream, const char *path)
{
	struct sockaddr_in address;

	if (path)
		return uv_pipe_bind(&stream->uv.pipe, path);
	uv_ip4_addr("127.0.0.1", 0, &address);
	return uv_tcp_bind(&stream->uv.tcp, (struct sockaddr *)&address, 0);
}

static int l_listen(lua_State *L)
{
	const char *path = luaL_optstring(L, 1, NULL);
	struct stream *server = push_stream(L, SERVER, path != NULL);
	int status = bind_stream(server, path);

	if (status == 0)
		status = uv_listen(&server->uv.stream, BACKLOG, on_connection);
	return status == 0 ? 1 : luaL_error(L, "%s", uv_strerror(status));
}

static int l_port(lua_State *L)
{
	struct stream *server = check_stream(L, SERVER);
	struct sockaddr_in address;
	int len = sizeof address;

	uv_tcp_getsockname(&server->uv.tcp, (struct sockaddr *)&address, &len);
	lua_pushinteger(L, ntohs(address.sin_port));
	return 1;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	static char scratch[1 << 16];

	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(scratch, sizeof scratch);
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
	struct stream *stream = handle->data;

	if (n < 0)
		stream->ended = true;
	else
		buf_add(&stream->input, buf->base, (size_t)n);
	if (stream->ended)
		uv_read_stop(handle);
	wake_all(stream);
}

static int k_accept(lua_State *L, int status, lua_KContext ctx)
{
	struct stream *server = check_stream(L, SERVER);
	struct stream *stream;

	(void)status;
	(void)ctx;
	if (server->closed)
		return 0;
	if (server->pending == 0)
		return await(L, server, k_accept);
	server->pending--;
	stream = push_stream(L, CONNECTION, server->is_pipe);
	if (uv_accept(&server->uv.stream, &stream->uv.stream) != 0)
		return luaL_error(L, "cannot accept");
	stream->next = server->connections;
	stream->previous = &server->connections;
	if (stream->next)
		stream->next->previous = &stream->next;
	server->connections = stream;
	uv_read_start(&stream->uv.stream, on_alloc, on_read);
	return 1;
}

static int l_accept(lua_State *L)
{
	return k_accept(L, LUA_OK, 0);
}

static int l_server_close(lua_State *L)
{
	close_stream(check_stream(L, SERVER), AT_ONCE);
	return 0;
}

/* ---- connections ---- */

static int k_read(lua_State *L, int status, lua_KContext ctx)
{
	struct stream *stream = check_stream(L, CONNECTION);

	(void)status;
	(void)ctx;
	if (stream->input.len > 0) {
		lua_pushlstring(L, stream->input.data, stream->input.len);
		buf_clear(&stream->input);
		return 1;
	}
	return stream->ended ? 0 : await(L, stream, k_read);
}

static int l_read(lua_State *L)
{
	return k_read(L, LUA_OK, 0);
}

struct writing {
	uv_write_t request;
	char bytes[];
};

static void on_written(uv_write_t *request, int status)
{
	(void)status;
	free((struct writing *)(void *)request);
}

static int l_write(lua_State *L)
{
	struct stream *stream = check_stream(L, CONNECTION);
	struct str text = check_str(L, 2);
	struct writing *writing;
	uv_buf_t buf;

	if (stream->closed || text.len == 0)
		return 0;
	writing = mem_alloc(sizeof *writing + text.len);
	memcpy(writing->bytes, text.data, text.len);
	buf = uv_buf_init(writing->bytes, (unsigned)text.len);
	if (uv_write(&writing->request, &stream->uv.stream, &buf, 1,
		     on_written) != 0)
		free(writing);
	return 0;
}

static int l_close(lua_State *L)
{
	close_stream(check_stream(L, CONNECTION), GENTLY);
	return 0;
}

static int l_reset(lua_State *L)
{
	close_stream(check_stream(L, CONNECTION), RESET);
	return 0;
}

static const luaL_Reg functions[] = {
	{ "listen", l_listen },
	{ NULL, NULL },
};

static const luaL_Reg server_methods[] = {
	{ "accept", l_accept },
	{ "close", l_server_close },
	{ "port", l_port },
	{ NULL, NULL },
};

static const luaL_Reg connection_methods[] = {
	{ "close", l_close }, { "read", l_read }, { "reset", l_reset },
	{ "write", l_write }, { NULL, NULL },
};

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg metas[] = {
	{ "__gc", l_gc },
	{ "__close", l_gc },
	{ NULL, NULL },
};

static const luaL_Reg wait_metas[] = {
	{ "__gc", l_wait_gc },
	{ NULL, NULL },
};

int luaopen_tcp(lua_State *L)
{
	bind_class(L, SERVER, server_methods, metas);
	bind_class(L, CONNECTION, connection_methods, metas);
	bind_class(L, WAIT, no_methods, wait_metas);
	luaL_newlib(L, functions);
	return 1;
}
