# SPDX-License-Identifier: Apache-2.0
"""An HTTP or HTTPS server for the end-to-end tests, whose answers and faults
(answers.py) a test chooses, and which remembers what it was asked.

    with Upstream(tls="good") as up:
        up.answer("GET", "/v1/devices", json=[])
        up.answer("GET", re.compile("/v1/devices/.*"), Reset(after=10))
        ... up.url, up.ca_file, up.requests_to("/v1/devices") ...

A thread for each connection. Whatever a thread waits for, close() ends it.
"""

import fcntl
import http
import re
import select
import socket
import ssl
import struct
import termios
import threading
import time
import urllib.parse

from spec.e2e.answers import Answer, answer_of
from spec.e2e.certificates import certificates
from spec.e2e.lunex import DEADLINE, bind_somewhere

LINGER_NONE = struct.pack("ii", 1, 0)
HEAD_MAX = 64 << 10


class Gone(Exception):
    """The connection is over."""


class Request:
    """What was asked: method, target (as it was sent), path, query (name ->
    list), headers (names in lower case), body, time (monotonic), connection
    (1, 2, ...), server_name and client (of TLS), status of the answer."""

    def __init__(self, head, wire):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ")
        url = urllib.parse.urlsplit(self.target)
        self.path = url.path
        self.query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            self.headers[name.lower()] = value.strip()
        self.body = b""
        self.time = time.monotonic()
        self.connection = wire.number
        self.server_name = wire.server_name
        self.client = wire.client
        self.status = None

    def __repr__(self):
        return f"<{self.method} {self.target}: {self.status}>"


class Wire:
    """The server's end of one connection."""

    def __init__(self, upstream, plain, number):
        self.upstream, self.socket, self.number = upstream, plain, number
        self.received = b""
        self.request = self.server_name = self.client = None

    # ---- reading ----

    def handshake(self, context):
        with self.upstream.changed:  # shut() must find one or the other
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False)
            self.socket.wire = self
            if not self.upstream.open:
                self.shut()
        self.socket.do_handshake()
        subject = (self.socket.getpeercert() or {}).get("subject", ())
        self.client = dict(pair for name in subject for pair in name).get(
            "commonName")

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Gone
        self.received += data

    def take(self, length):
        while len(self.received) < length:
            self.more()
        data, self.received = self.received[:length], self.received[length:]
        return data

    def take_to(self, mark):
        while mark not in self.received:
            if len(self.received) > HEAD_MAX:
                raise AssertionError("a request with an endless head")
            self.more()
        data, self.received = self.received.split(mark, 1)
        return data

    def next_request(self):
        self.request = request = Request(self.take_to(b"\r\n\r\n"), self)
        if request.headers.get("expect") == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.headers.get("transfer-encoding") == "chunked":
            request.body = b"".join(self.chunks())
        else:
            length = int(request.headers.get("content-length", 0))
            request.body = self.take(length)
        return request

    def chunks(self):
        while True:
            chunk = self.take(int(self.take_to(b"\r\n"), 16))
            self.take_to(b"\r\n")
            if not chunk:
                return
            yield chunk

    # ---- writing ----

    def write(self, data):
        self.socket.sendall(data)

    def head(self, status, headers, length=None, chunked=False, then=b""):
        """Status line and headers, and the beginning of the body with them."""
        self.request.status = status
        lines = [f"HTTP/1.1 {status} {reason(status)}"]
        lines += [f"{name}: {value}" for name, values in headers.items()
                  for value in ([values] if isinstance(values, str)
                                else values)]
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        elif length is not None:
            lines.append(f"Content-Length: {length}")
        self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + then)

    def chunk(self, data):
        """An empty one is the last."""
        self.write(b"%x\r\n%s\r\n" % (len(data), data))

    # ---- waiting and ending ----

    def wait(self, seconds):
        """Gone if the client or the test leaves within SECONDS (None: for
        ever)."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        if poll.poll(None if seconds is None else seconds * 1000):
            raise Gone

    def hang_up(self):
        """An orderly end, that of TLS included."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.settimeout(0)
            try:
                self.socket.unwrap()
            except (OSError, ValueError):
                pass  # the client need not answer
        raise Gone

    def reset(self):
        """RST, when the client has received what was written."""
        while any(fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))):
            self.wait(0.001)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               LINGER_NONE)
        raise Gone

    def shut(self):
        """Wakes the thread that uses it; may be called from any."""
        try:
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        except OSError:
            pass


def reason(status):
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Upstream:
    """A listening server. TLS: None or a name of certificates.LEAVES;
    CLIENT_CERTIFICATE: clients must show one of the client CA; UNIX: the path
    of a socket to listen on, in place of a port of 127.0.0.1."""

    def __init__(self, tls=None, client_certificate=False, unix=None):
        self.tls = tls
        self.unix = unix
        self.requests = []
        self.connections = 0         # accepted
        self.in_flight = 0
        self.in_flight_max = 0
        self.handshake_failures = []
        self.failure = None          # of a test's own function
        self._context = tls and self._make_context(client_certificate)
        self._routes = []            # (method, path, answer)
        self.changed = threading.Condition()
        self.open = False
        self._wires = set()
        self._threads = []
        self._wakened = set()        # events that close() sets
        self._listener = self._acceptor = None
        self._bind()
        self.listen()

    def _make_context(self, client_certificate):
        made = certificates()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.file(self.tls), made.key(self.tls))

        def remember(tls_socket, name, _):
            tls_socket.wire.server_name = name
        context.sni_callback = remember
        if client_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(made.file("client-ca"))
        return context

    # The port is kept by a socket that never listens, so that nobody else has
    # it while this server refuses connections.
    def _bind(self):
        self._holder = self.port = None
        if not self.unix:
            self._holder = socket.socket()
            self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.port = bind_somewhere(self._holder)

    @property
    def url(self):
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}" if self.port else \
            f"{scheme}://localhost"

    @property
    def ca_file(self):
        return certificates().file("ca")

    # ---- what it says ----

    def answer(self, method, path, answer=None, **options):
        """From now on ANSWER to METHOD and PATH (text, or a pattern for all of
        it): one of answers.py, or what answer_of() takes, such as a function of
        the request; or the OPTIONS of an Answer."""
        answer = Answer(**options) if answer is None else answer_of(answer)
        self._routes.insert(0, (method, path, answer))

    def _find(self, request):
        for method, path, answer in list(self._routes):
            if method == request.method and (
                    path.fullmatch(request.path)
                    if isinstance(path, re.Pattern) else path == request.path):
                return answer
        return Answer(404, body="no such path in this test\n")

    # ---- what it was asked ----

    def requests_to(self, path, method=None):
        return [r for r in list(self.requests)
                if r.path == path and method in (None, r.method)]

    def wait(self, condition, what, seconds=DEADLINE):
        """Waits for CONDITION(self); fails after SECONDS."""
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self), seconds):
                raise AssertionError(
                    f"not within {seconds} s: {what}; {self.requests}")

    def wait_requests(self, count):
        self.wait(lambda up: len(up.requests) >= count, f"{count} requests")

    def _count(self, by):
        with self.changed:
            self.in_flight += by
            self.in_flight_max = max(self.in_flight, self.in_flight_max)
            self.changed.notify_all()

    # ---- connections ----

    def _accept(self, listener):
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            if not self.unix:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                self.connections += 1
                wire = Wire(self, plain, self.connections)
                self._wires.add(wire)
                if not self.open:
                    wire.shut()
                thread = threading.Thread(target=self._serve, args=(wire,),
                                          daemon=True)
                self._threads.append(thread)
                thread.start()
                self.changed.notify_all()

    def _serve(self, wire):
        try:
            if self._shakes_hands(wire):
                while True:
                    self._exchange(wire, wire.next_request())
        except (Gone, OSError):
            pass  # the client may leave when it likes
        except Exception as e:
            self.failure = e
        finally:
            with self.changed:
                self._wires.discard(wire)
                wire.socket.close()
                self.changed.notify_all()

    def _shakes_hands(self, wire):
        try:
            if self._context:
                wire.handshake(self._context)
            return True
        except OSError as e:
            self.handshake_failures.append(str(e))
            return False

    def _exchange(self, wire, request):
        self.requests.append(request)
        self._count(1)
        try:
            self._find(request).send(wire, request)
        finally:
            self._count(-1)
        if request.headers.get("connection", "").lower() == "close":
            wire.hang_up()

    # ---- beginning and end ----

    def listen(self):
        """Accepts connections (again)."""
        self._listener = socket.socket(
            socket.AF_UNIX if self.unix else socket.AF_INET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(self.unix or ("127.0.0.1", self.port))
        self._listener.listen(1024)
        self.open = True
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._listener,), daemon=True)
        self._acceptor.start()

    def refuse(self):
        """Ends all connections and refuses new ones, until listen()."""
        with self.changed:
            self.open = False
            self._listener.shutdown(socket.SHUT_RDWR)
            for wire in self._wires:
                wire.shut()
            for event in self._wakened:
                event.set()
        self._acceptor.join()
        for thread in self._threads:
            thread.join(DEADLINE)
            if thread.is_alive():
                raise AssertionError("a connection does not end")
        self._threads.clear()
        self._listener.close()

    def waken(self, event):
        """EVENT is set when connections end, so that nobody waits for it."""
        with self.changed:
            self._wakened.add(event)
            if not self.open:
                event.set()

    def close(self):
        if self.open:
            self.refuse()
        if self._holder:
            self._holder.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        if self.failure and not kind:
            raise self.failure


class Refused(Upstream):
    """Nobody ever listens."""

    def __init__(self, tls=None):
        super().__init__(tls)
        self.refuse()
