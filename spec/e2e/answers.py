# SPDX-License-Identifier: Apache-2.0
"""What an Upstream says: proper answers, answers in turn, and faults.

Each has send(wire, request), called in the thread of the connection. None of
them sleeps: whoever takes his time stops when the client or the test leaves.
"""

import functools
import gzip
import json as json_module
import threading

UNSET = object()
PIECE = 64 << 10
PAGE = b"<!DOCTYPE html><html><body><h1>Bad Gateway</h1></body></html>\n"


class Answer:
    """A complete answer, right or wrong in what it says. CHUNKED sends it
    without a length, ENCODING="gzip" compressed."""

    def __init__(self, status=200, headers=None, body=b"", json=UNSET,
                 chunked=False, encoding=None):
        self.status = status
        self.headers = dict(headers or {})
        self.body = body.encode() if isinstance(body, str) else body
        self.chunked = chunked
        if json is not UNSET:
            self.body = json_module.dumps(json).encode()
            self.headers.setdefault("Content-Type", "application/json")
        if encoding == "gzip":
            self.body = gzip.compress(self.body, mtime=0)
            self.headers["Content-Encoding"] = "gzip"

    def send(self, wire, request):
        if request.method == "HEAD" or self.status in (204, 304):
            wire.head(self.status, self.headers)
        elif self.chunked:
            wire.head(self.status, self.headers, chunked=True)
            if self.body:
                wire.chunk(self.body)
            wire.chunk(b"")
        else:
            wire.head(self.status, self.headers, length=len(self.body),
                      then=self.body)


def answer_of(thing):
    """An answer from what a test writes in its place."""
    if hasattr(thing, "send"):
        return thing
    if isinstance(thing, (bytes, str)):
        return Answer(body=thing)
    if isinstance(thing, int):
        return Answer(thing)
    if isinstance(thing, (dict, list)):
        return Answer(json=thing)
    if callable(thing):
        return Computed(thing)
    raise TypeError(f"not an answer: {thing!r}")


class Computed:
    """What FUNCTION(request) says, which may be any other answer."""

    def __init__(self, function):
        self.function = function

    def send(self, wire, request):
        answer_of(self.function(request)).send(wire, request)


class Sequence:
    """The first answer, the second, ...; the last one for ever."""

    def __init__(self, answers):
        self.left = [answer_of(answer) for answer in answers]
        self.lock = threading.Lock()

    def send(self, wire, request):
        with self.lock:
            answer = self.left[0]
            if len(self.left) > 1:
                del self.left[0]
        answer.send(wire, request)


class Delayed:
    """ANSWER after SECONDS."""

    def __init__(self, seconds, answer):
        self.seconds, self.answer = seconds, answer_of(answer)

    def send(self, wire, request):
        wire.wait(self.seconds)
        self.answer.send(wire, request)


class Held:
    """ANSWER once the test has called release()."""

    def __init__(self, answer):
        self.answer = answer_of(answer)
        self.released = threading.Event()

    def release(self):
        self.released.set()

    def send(self, wire, request):
        wire.upstream.waken(self.released)
        self.released.wait()
        self.answer.send(wire, request)


# ---- answers that ask for something else ------------------------------------

class Redirect(Answer):
    def __init__(self, location, status=302):
        super().__init__(status, {"Location": location})


class RedirectLoop:
    """Sends the client to the same place again, for ever."""

    def send(self, wire, request):
        Redirect(request.target).send(wire, request)


class RetryAfter(Answer):
    """Not now: SECONDS is a number, or an HTTP date."""

    def __init__(self, seconds, status=429):
        super().__init__(status, {"Retry-After": str(seconds)})


# ---- answers that are not what they should be -------------------------------

class WrongType(Answer):
    """A page for people, where data was asked for."""

    def __init__(self, status=200, body=PAGE):
        super().__init__(status, {"Content-Type": "text/html"}, body)


class Truncated:
    """An orderly end of the connection before the body is complete: SENT bytes
    of BODY, with the length of all of it, or with chunks and no last one."""

    def __init__(self, body=b'{"a": 1, "b": 2}', sent=8, chunked=False,
                 headers=None):
        self.body, self.sent, self.chunked = body, sent, chunked
        self.headers = headers or {"Content-Type": "application/json"}

    def send(self, wire, _):
        part = self.body[:self.sent]
        if self.chunked:
            wire.head(200, self.headers, chunked=True)
            wire.chunk(part)
        else:
            wire.head(200, self.headers, length=len(self.body), then=part)
        wire.hang_up()


@functools.cache
def bomb(size):
    return gzip.compress(b'"' + b"a" * (size - 2) + b'"', mtime=0)


class Huge:
    """A string in JSON of SIZE bytes. HOW: "length", "chunked", or "gzip" for a
    body of 20 KB that becomes 20 MB."""

    def __init__(self, size=20 << 20, how="length"):
        self.size, self.how = size, how

    def send(self, wire, _):
        headers = {"Content-Type": "application/json"}
        if self.how == "gzip":
            body = bomb(self.size)
            headers["Content-Encoding"] = "gzip"
            wire.head(200, headers, length=len(body), then=body)
            return
        chunked = self.how == "chunked"
        wire.head(200, headers, chunked=chunked,
                  length=None if chunked else self.size)
        write = wire.chunk if chunked else wire.write
        write(b'"')
        for at in range(2, self.size, PIECE):
            write(b"a" * min(PIECE, self.size - at))
        write(b'"')
        if chunked:
            wire.chunk(b"")


# ---- connections that go wrong ----------------------------------------------

class Reset:
    """A reset of the connection (RST): with AFTER, once that many bytes of the
    body have arrived; without, in place of an answer."""

    def __init__(self, after=None, body=b"x" * 1000):
        self.after, self.body = after, body

    def send(self, wire, _):
        if self.after is not None:
            wire.head(200, {"Content-Type": "application/json"},
                      length=len(self.body), then=self.body[:self.after])
        wire.reset()


class HangUp:
    """The end of the connection in place of an answer."""

    def send(self, wire, _):
        wire.hang_up()


class Stall:
    """Silence, until the client or the test leaves. With AFTER: in the body,
    behind that many bytes."""

    def __init__(self, after=None, body=b"x" * 1000):
        self.after, self.body = after, body

    def send(self, wire, _):
        if self.after is not None:
            wire.head(200, {"Content-Type": "application/json"},
                      length=len(self.body), then=self.body[:self.after])
        wire.wait(None)


class SlowHeaders:
    """A byte of a header every SECONDS, which never ends. With BODY: the
    headers at once, and then the bytes of a body."""

    def __init__(self, seconds=0.1, body=False):
        self.seconds, self.body = seconds, body

    def send(self, wire, _):
        if self.body:
            wire.head(200, {"Content-Type": "application/json"},
                      length=1 << 20)
        else:
            wire.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            wire.write(b"a")
            wire.wait(self.seconds)
