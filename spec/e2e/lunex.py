# SPDX-License-Identifier: Apache-2.0
"""Real lunex processes for the end-to-end tests. LUNEX names the program.

Nothing here sleeps for a fixed time: what takes time is asked for until it is
so, or until a deadline says that it never will be.
"""

import contextlib
import errno
import fcntl
import gzip
import http.client
import itertools
import os
import random
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import time
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
DEADLINE = float(os.environ.get("DEADLINE_SECONDS", "40"))
_ports = set()
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$", re.M)


def program():
    path = os.environ.get("LUNEX")
    if not path:
        raise RuntimeError("the variable LUNEX must name the program")
    return path


def eventually(condition, what, seconds=DEADLINE):
    """The first true answer of CONDITION; fails after SECONDS."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def bind_somewhere(server):
    """Binds a socket to a port that it may leave and take again: not one of
    those that Linux gives to connections, which might take it meanwhile. And
    not one that this process had before. Answers the port."""
    while True:
        port = random.randrange(10000, 32768)
        if port in _ports:
            continue
        try:
            server.bind(("127.0.0.1", port))
        except OSError as e:
            if e.errno != errno.EADDRINUSE:
                raise
        else:
            _ports.add(port)
            return port


def free_port(kind=socket.SOCK_STREAM):
    """A port that nobody listens on, for programs that cannot choose one."""
    with socket.socket(socket.AF_INET, kind) as s:
        return bind_somewhere(s)


class Answer:
    """An HTTP answer: status, headers, body (as it came over the wire)."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        body = self.body
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return body.decode()

    @property
    def samples(self):
        """'name{label="value"}', as on the page -> number."""
        return {name: float(value) for name, value in SAMPLE.findall(self.text)}


class Lunex:
    """A running lunex that listens on a port of its own choice; INSIDE a host
    of network.py, started by the command `under`, or a copy of the program."""

    inside = None

    def __init__(self, *arguments, env=None, listen="127.0.0.1:0", cwd=None,
                 inside=None, under=(), copy=None):
        self.inside = inside
        command = [*(inside.prefix if inside else ()), *under,
                   copy or program(), *map(str, arguments)]
        if listen:
            command.append(f"--web.listen-address={listen}")
        self._start(command, env or {}, cwd or TOP)

    def _start(self, command, env, cwd=TOP, **options):
        self.process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **env},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, **options)
        self.lines = []
        self._port = None
        self._reading = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        fd, rest, chunk = self.process.stderr.fileno(), b"", True
        ready = select.poll()
        ready.register(fd, select.POLLIN)
        while chunk:
            ready.poll()
            with self._reading:
                chunk = os.read(fd, 1 << 16)
                *lines, rest = (rest + (chunk or b"\n" * bool(rest))).split(
                    b"\n")
                self.lines += [line.decode(errors="replace") for line in lines]

    def _is_behind(self):
        """Was something logged that is still to be read?"""
        if self.process.stderr.closed:
            return False
        size = fcntl.ioctl(self.process.stderr, termios.FIONREAD, bytes(4))
        return size != bytes(4)

    @property
    def log(self):
        """All that was logged before the call."""
        end = time.monotonic() + DEADLINE
        while self._is_behind() and time.monotonic() < end:
            time.sleep(0.001)
        with self._reading:
            return "\n".join(self.lines)

    def wait_log(self, pattern, seconds=DEADLINE, after=0):
        """The match of PATTERN in what was logged, as soon as it is there;
        AFTER so many lines."""
        def search():
            return re.search(pattern, "\n".join(self.lines[after:]))

        def look():
            match = search()
            if not match and self.process.poll() is not None:
                self._reader.join()
                match = search()
                if not match:
                    raise AssertionError(
                        f"ended with {self.process.returncode}:\n{self.log}")
            return match
        try:
            return eventually(look, f"the log says /{pattern}/", seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log}") from None

    def wait_said(self, text):
        """TEXT is in what was logged, or soon will be."""
        self.wait_log(re.escape(text))

    @property
    def port(self):
        if self._port is None:
            match = self.wait_log(r"(?m)^.*listening.*127\.0\.0\.1:(\d+)")
            self._port = int(match[1])
        return self._port

    def connect(self, seconds=DEADLINE):
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=seconds)
        if self.inside:
            with self.inside.entered():
                connection.connect()
        return connection

    def get(self, path="/metrics", headers=None, method="GET",
            seconds=DEADLINE):
        connection = self.connect(seconds)
        try:
            connection.request(method, path, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, path, body, seconds=DEADLINE):
        connection = self.connect(seconds)
        try:
            connection.request("POST", path, body)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def samples(self, path="/metrics"):
        return self.get(path).samples

    def page_with(self, condition, what, seconds=DEADLINE):
        """The samples of the first page for which CONDITION(samples) holds."""
        last = {}

        def look():
            last.clear()
            last.update(self.samples())
            return condition(last)
        try:
            eventually(look, what, seconds)
        except AssertionError as e:
            page = "\n".join(f"{k} {v}" for k, v in last.items())
            raise AssertionError(f"{e}\n{page}\n{self.log}") from None
        return last

    def wait(self, seconds=DEADLINE):
        """The exit status of a process that ends by itself."""
        status = self.process.wait(seconds)
        self._reader.join()
        return status

    def connections(self):
        """How many of its descriptors belong to clients. One that has its
        answer may be closed a moment later."""
        tables = [Path(f"/proc/{self.process.pid}/net/{name}").read_text()
                  for name in ("tcp", "tcp6")]
        rows = [line.split() for table in tables
                for line in table.splitlines()[1:]]
        return sum(int(row[1].rpartition(":")[2], 16) == self.port and
                   row[3] != "0A" and row[9] != "0" for row in rows)

    def quiet(self):
        """Waits until it has closed the connections of clients."""
        eventually(lambda: not self.connections(), "no connection is open")

    def descriptors(self):
        return set(map(int, os.listdir(f"/proc/{self.process.pid}/fd")))

    def limit_descriptors(self, soft, hard):
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE,
                         (soft, hard))

    def limit_for(self, more):
        """The limit with which it can open so many MORE. Where the number
        matters it is to be one that does not watch its files: who does opens
        some a moment after it is there."""
        self.quiet()
        used = self.descriptors()
        free = (n for n in itertools.count() if n not in used)
        return next(itertools.islice(free, more, None))

    @contextlib.contextmanager
    def few_descriptors(self, more):
        """It can open so many MORE and no others."""
        self.wait_log("listening")
        soft, hard = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)
        self.limit_descriptors(self.limit_for(more) if more else 0, hard)
        try:
            yield
        finally:
            self.limit_descriptors(soft, hard)

    def stop(self, number=signal.SIGTERM, seconds=DEADLINE):
        """Exit status after a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stderr.close()


class Demo(Lunex):
    """examples/demo/run, which has ports of its own. What it says is its log;
    `world` has the page of the stand-ins."""

    ADDRESS = "http://localhost:8000/metrics"

    def __init__(self):
        self._start(["sh", "-c", 'exec "$0" >&2',
                     str(TOP / "examples/demo/run")], {"LUNEX": program()},
                    start_new_session=True)
        self._port = 8000

    def kill(self):
        """Ends the programs that it started, too."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        super().kill()

    def world(self, path="/metrics"):
        connection = http.client.HTTPConnection("127.0.0.1", 8001,
                                                timeout=DEADLINE)
        try:
            connection.request("GET", path)
            return Answer(connection.getresponse())
        finally:
            connection.close()


class Case(unittest.TestCase):
    """A test that leaves no process behind and accepts no unclean end."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="lunex-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def script(self, text, name="script"):
        path = self.folder / f"{name}.lua"
        path.write_text(text)
        return str(path)

    def lunex(self, *arguments, **options):
        """Starts lunex; when the test ends it must still run, and stop with
        status 0."""
        process = Lunex(*arguments, **options)
        self.addCleanup(self.finish, process)
        return process

    def finish(self, process):
        try:
            self.assertEqual(0, process.stop(), process.log)
            self.assertNotIn("Sanitizer", process.log)
        finally:
            process.kill()

    def ended(self, *arguments, **options):
        """A lunex that is expected to end by itself."""
        process = Lunex(*arguments, **options)
        self.addCleanup(process.kill)
        return process


class Gate:
    """A UDP port at which a script waits until the test lets it go on."""

    LUA = """
      local gate <close> = %s
      assert(gate:send "here")
      assert(gate:receive(60))
    """

    def __init__(self, case):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(DEADLINE)
        case.addCleanup(self.socket.close)

    @property
    def connection(self):
        """An expression."""
        port = self.socket.getsockname()[1]
        return f'assert(udp.connect("127.0.0.1", {port}))'

    @property
    def lua(self):
        return self.LUA % self.connection

    def arrival(self):
        """Waits for a script to stand at the gate; answers its address."""
        return self.socket.recvfrom(100)[1]

    def arrived(self):
        """Has another one come?"""
        self.socket.settimeout(0)
        try:
            self.socket.recvfrom(100)
            return True
        except BlockingIOError:
            return False
        finally:
            self.socket.settimeout(DEADLINE)

    def open(self, address, word=b"go"):
        self.socket.sendto(word, address)
