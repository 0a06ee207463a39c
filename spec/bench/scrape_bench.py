#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lunex beside client_golang, in one run: scrapes, memory, start-up.

Servers of one size run side by side and are measured in turn, round by round;
what is printed is the median of the rounds.
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
GET = "GET /metrics HTTP/1.1\r\nHost: bench\r\n%s\r\n"
IDENTITY = (GET % "").encode()
GZIP = (GET % "Accept-Encoding: gzip\r\n").encode()
ENCODINGS = {"identity": IDENTITY, "gzip": GZIP}
GO = "client_golang"
UNCHANGED = "lunex, unchanged"
CHANGED = "changed, set in C"
COLLECTOR = "lunex, set by labels"
CHILDREN = "lunex, kept children"

# Seconds without and between attempts to connect. Each attempt slows down the
# server that it waits for, since two processors may be one core: polling all
# the time adds two milliseconds.
QUIET, POLL = 0.003, 0.0003


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A process that answers /metrics."""

    def __init__(self, name, command):
        self.name = name
        self.port = free_port()
        self.command = [a.replace("PORT", str(self.port)) for a in command]
        self.pid = None

    def spawn(self):
        null = (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)
        self.pid = os.posix_spawn(self.command[0], self.command, os.environ,
                                  file_actions=[null])

    def __enter__(self):
        self.spawn()
        self.first_answer()
        return self

    def __exit__(self, *_):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)

    def first_answer(self):
        """Asks until an answer comes."""
        until = time.monotonic() + 60
        time.sleep(QUIET)
        while time.monotonic() < until:
            try:
                with Client(self.port) as client:
                    client.scrape(IDENTITY)
                    return
            except OSError:
                time.sleep(POLL)
        raise SystemExit(f"{self.name}: does not answer")

    def cpu(self):
        """Nanoseconds of the process on a processor: its own clock, which
        counts threads that have ended, too (clock_getcpuclockid)."""
        return time.clock_gettime_ns((~self.pid << 3) | 2)

    def resident(self):
        """Bytes; the counters in /proc/PID/status may lag behind."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(re.search(r"Rss:\s+(\d+) kB", text).group(1)) * 1024

    def wrk(self, encoding, seconds):
        """Scrapes a second with four connections."""
        command = ["wrk", "-t1", "-c4", f"-d{seconds}s", "--timeout", "60s"]
        if encoding == "gzip":
            command += ["-H", "Accept-Encoding: gzip"]
        command.append(f"http://127.0.0.1:{self.port}/metrics")
        out = subprocess.run(command, check=True, capture_output=True,
                             text=True).stdout
        if "Socket errors" in out or "Non-2xx" in out:
            raise SystemExit(f"{self.name}: wrk: {out}")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


class Client:
    """A keep-alive connection that reads into one buffer."""

    buffer = bytearray(192 << 20)

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def scrape(self, request):
        """One scrape; returns the bytes of the answer on the wire."""
        self.socket.sendall(request)
        view = memoryview(self.buffer)
        at = 0
        end = None
        while end is None or at < end:
            got = self.socket.recv_into(view[at:])
            if not got:
                raise OSError("closed before the end of an answer")
            at += got
            if end is None:
                end = self.end_of(at)
                if end == -1:  # chunked
                    if self.buffer[at - 7:at] == b"\r\n0\r\n\r\n":
                        return at
                    end = None
        return at

    def end_of(self, at):
        """Where the answer ends; -1: with an empty chunk; None: unknown."""
        head = self.buffer.find(b"\r\n\r\n", 0, at)
        if head < 0:
            return None
        text = bytes(self.buffer[:head]).decode("latin-1")
        if not text.startswith("HTTP/1.1 200 "):
            raise OSError(text.split("\r\n")[0])
        length = re.search(r"(?i)\r\ncontent-length: *(\d+)", text)
        return head + 4 + int(length.group(1)) if length else -1


def fetch(server, encoding):
    """The body of one answer as it comes over the wire, without chunks."""
    return ask(server, {"Accept-Encoding": encoding})[0]


def ask(server, headers):
    """The body of one answer, without chunks, and its headers."""
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/metrics",
                                     headers=headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read(), answer.headers


def lunex(arguments, name, series, by="labels", interval=None):
    command = [arguments.lunex, str(HERE / "gauges.lua"),
               f"--series={series}", f"--by={by}", "--timeout=60",
               "--web.listen-address=127.0.0.1:PORT"]
    if interval:
        command.append(f"--interval={interval}")
    return Server(name, command)


def changed(arguments, series):
    return Server(CHANGED, [arguments.changed, "127.0.0.1:PORT", str(series)])


def peer(arguments, series, labels="shared"):
    return Server(GO, [arguments.peer, "PORT", str(series), labels])


# ---- scrapes ----------------------------------------------------------------

class Result:
    """What the rounds said about one server and one encoding."""

    def __init__(self):
        self.cpu, self.median, self.p99, self.wrk = [], [], [], []


def scrapes(server, request, count):
    """Seconds of server CPU a scrape, median and 99th percentile of the wall
    clock."""
    walls = []
    with Client(server.port) as client:
        for _ in range(2):
            client.scrape(request)
        before = server.cpu()
        for _ in range(count):
            started = time.perf_counter()
            client.scrape(request)
            walls.append(time.perf_counter() - started)
        cpu = (server.cpu() - before) / count / 1e9
    walls.sort()
    return cpu, statistics.median(walls), walls[int(len(walls) * 0.99)]


def enough(server, request, seconds):
    """How many scrapes take about that long: at least 5, at most 1000."""
    with Client(server.port) as client:
        client.scrape(request)
        started = time.perf_counter()
        client.scrape(request)
        took = time.perf_counter() - started
    return max(5, min(1000, int(seconds / took)))


def measure_scrapes(arguments, series):
    servers = [
        peer(arguments, series),
        changed(arguments, series),
        lunex(arguments, COLLECTOR, series),
        lunex(arguments, CHILDREN, series, by="children"),
        lunex(arguments, UNCHANGED, series, interval=3600),
    ]
    results = {(s.name, e): Result() for s in servers for e in ENCODINGS}
    sizes = {}
    try:
        for server in servers:
            server.__enter__()
            for encoding in ENCODINGS:
                sizes[server.name, encoding] = len(fetch(server, encoding))
        for _ in range(arguments.rounds):
            for encoding, request in ENCODINGS.items():
                for server in servers:
                    result = results[server.name, encoding]
                    count = enough(server, request, arguments.seconds)
                    cpu, median, p99 = scrapes(server, request, count)
                    result.cpu.append(cpu)
                    result.median.append(median)
                    result.p99.append(p99)
                    result.wrk.append(server.wrk(encoding, arguments.wrk))
    finally:
        for server in servers:
            if server.pid:
                server.__exit__()
    report_scrapes(series, servers, results, sizes)


AIMS = {  # (server, encoding, series, what): ratio to client_golang
    (CHANGED, "identity", 10000, "cpu"): 40,
    (CHANGED, "gzip", 10000, "cpu"): 30,
    (COLLECTOR, "identity", 10000, "cpu"): 15,
    (COLLECTOR, "gzip", 10000, "cpu"): 15,
    (UNCHANGED, "gzip", 10000, "cpu"): 300,
    (UNCHANGED, "identity", 1000, "wrk"): 25,
}


def ratio_text(ratio, aim):
    text = f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x"
    return f"{text} ({aim}x)" if aim else text


def report_scrapes(series, servers, results, sizes):
    print(f"\n== a scrape of {series} series (ratio: to client_golang, "
          "in brackets the aim)")
    for encoding in ENCODINGS:
        go = results[GO, encoding]
        print(f"\n{encoding:22} {'CPU ms':>9} {'ratio':>12} {'wall ms':>9} "
              f"{'p99':>8} {'scrapes/s':>10} {'ratio':>12} {'KB':>8}")
        for server in servers:
            r = results[server.name, encoding]
            key = (server.name, encoding, series)
            cpu, wrk = statistics.median(r.cpu), statistics.median(r.wrk)
            by_cpu = ratio_text(statistics.median(go.cpu) / cpu,
                                AIMS.get((*key, "cpu")))
            by_wrk = ratio_text(wrk / statistics.median(go.wrk),
                                AIMS.get((*key, "wrk")))
            print(f"{server.name:22} {cpu * 1e3:9.3f} {by_cpu:>12} "
                  f"{statistics.median(r.median) * 1e3:9.3f} "
                  f"{statistics.median(r.p99) * 1e3:8.3f} {wrk:10.0f} "
                  f"{by_wrk:>12} {sizes[server.name, encoding] / 1e3:8.1f}",
                  flush=True)


# ---- memory -----------------------------------------------------------------

# How gauges.lua sets series that share label sets, or have their own.
SETTERS = {"shared": "labels", "unique": "unique"}


def resident_after(server, request, scrapes_wanted):
    with Client(server.port) as client:
        for _ in range(scrapes_wanted):
            client.scrape(request)
    return server.resident()


def memory_of(server):
    """Bytes at rest, after identity and after gzip scrapes."""
    with server:
        time.sleep(1)  # what the first answer needed may be given back
        return (server.resident(), resident_after(server, IDENTITY, 10),
                resident_after(server, GZIP, 10))


def measure_memory(arguments):
    print("\n== resident bytes a series (in brackets the aim)\n")
    print(f"{'':38} {'at rest':>12} {'identity':>12} {'gzip':>12}")

    def unchanged(series, by):
        return lunex(arguments, "", series, SETTERS[by], 3600)

    def collected(series, by):
        return lunex(arguments, "", series, SETTERS[by])

    kinds = {GO: lambda series, by: peer(arguments, series, by),
             "lunex, unchanged": unchanged,
             "lunex, collected on scrape": collected}
    for series in arguments.series:
        if series < 10000:
            continue
        for by, aim in (("shared", 61), ("unique", 150)):
            for name, make in kinds.items():
                none = memory_of(make(0, by))
                some = memory_of(make(series, by))
                cells = [f"{(b - a) / series:.0f}"
                         for a, b in zip(none, some)]
                if name != GO and series >= 100000:
                    cells[0] += f" ({aim})"
                title = f"{name}, {series} {by}"
                print(f"{title:38} " + " ".join(f"{c:>12}" for c in cells),
                      flush=True)


# ---- start-up ---------------------------------------------------------------

def start_once(server):
    """Seconds from exec to the first complete answer, and resident bytes a
    second later."""
    started = time.perf_counter()
    server.spawn()
    try:
        server.first_answer()
        took = time.perf_counter() - started
        time.sleep(1)
        return took, server.resident()
    finally:
        server.__exit__()


def measure_start(arguments):
    print("\n== from exec to the first answer, 100 series, and idle a second "
          "later (in brackets the aim)\n")
    print(f"{'':22} {'least ms':>12} {'median ms':>12} {'MB':>12}")
    makes = [lambda: peer(arguments, 100),
             lambda: lunex(arguments, "lunex", 100)]
    results = {}
    for _ in range(arguments.starts):
        for make in makes:
            server = make()
            results.setdefault(server.name, []).append(start_once(server))
    for name, starts in results.items():
        seconds = [s for s, _ in starts]
        median = f"{statistics.median(seconds) * 1e3:.1f}"
        idle = f"{statistics.median(r for _, r in starts) / 1e6:.1f}"
        if name != GO:
            median += " (6)"
            idle += " (6)"
        print(f"{name:22} {min(seconds) * 1e3:12.1f} {median:>12} "
              f"{idle:>12}", flush=True)


def main():
    release = TOP / "build/release"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*",
                        help="of scrapes, memory, start (all)")
    parser.add_argument("--lunex", default=str(release / "bin/lunex"))
    parser.add_argument("--changed",
                        default=str(release / "bench/changed_server"))
    parser.add_argument("--peer", default=str(release / "bench/peer"))
    parser.add_argument("--series", type=int, nargs="+",
                        default=[1000, 10000, 100000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1,
                        help="of scrapes a server, encoding and round")
    parser.add_argument("--wrk", type=int, default=2,
                        help="the same for wrk")
    parser.add_argument("--starts", type=int, default=15)
    arguments = parser.parse_args()
    parts = arguments.parts or ["scrapes", "memory", "start"]
    if "scrapes" in parts:
        for series in arguments.series:
            measure_scrapes(arguments, series)
    if "memory" in parts:
        measure_memory(arguments)
    if "start" in parts:
        measure_start(arguments)


if __name__ == "__main__":
    main()
