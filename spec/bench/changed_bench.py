#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a scrape costs when little has changed since the one before it, in every
format and encoding, beside client_golang in one run; and a million series.

Servers of one size run side by side and are measured in turn, round by round;
what is printed is the median of the rounds.
"""

import argparse
import http.client
import multiprocessing
import statistics
import time

from scrape_bench import (GO, TOP, UNCHANGED, Client, ask, enough, lunex, peer,
                          scrapes)

TOGETHER = "lunex, 1 % together"
SCATTERED = "lunex, 1 % scattered"

FORMATS = {
    "text": "text/plain;version=0.0.4",
    # client_golang 1.14 knows the older version alone.
    "openmetrics": "application/openmetrics-text;version=1.0.0,"
                   "application/openmetrics-text;version=0.0.1;q=0.75",
    "protobuf": "application/vnd.google.protobuf;"
                "proto=io.prometheus.client.MetricFamily;encoding=delimited",
}
ENCODINGS = ("identity", "gzip", "zstd")
AIMS = {TOGETHER: 200, SCATTERED: 200, UNCHANGED: 1000}


def headers_of(form, encoding):
    return {"Accept": FORMATS[form], "Accept-Encoding": encoding}


def request_of(form, encoding):
    lines = ["GET /metrics HTTP/1.1", "Host: bench"]
    lines += [f"{k}: {v}" for k, v in headers_of(form, encoding).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def size_of(server, form, encoding):
    """Bytes of the body, or None when it is not what was asked for."""
    body, headers = ask(server, headers_of(form, encoding))
    kind = FORMATS[form].split(";")[0]
    given = headers.get("Content-Encoding", "identity")
    if not headers["Content-Type"].startswith(kind) or given != encoding:
        return None
    return len(body)


def lines_of(server):
    text = ask(server, headers_of("text", "identity"))[0].decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines()
                if line.startswith("device_metric_"))


def check_change(server, series):
    """Does as much change as its name says?"""
    before, after = lines_of(server), lines_of(server)
    changed = sum(1 for k, v in after.items() if before[k] != v)
    least, most = {UNCHANGED: (0, 0)}.get(
        server.name, (series // 100 * 0.98, series // 100))
    if len(after) != series or not least <= changed <= most:
        raise SystemExit(f"{server.name}: {changed} of {len(after)} series "
                         "changed between two scrapes")


# ---- little has changed -----------------------------------------------------

def servers_of(arguments):
    series = arguments.series
    return [
        peer(arguments, series),
        lunex(arguments, TOGETHER, series, by="together"),
        lunex(arguments, SCATTERED, series, by="scattered"),
        lunex(arguments, UNCHANGED, series, interval=3600),
    ]


def cpu_of(server, form, encoding, arguments):
    """Seconds of server CPU a scrape."""
    request = request_of(form, encoding)
    return scrapes(server, request,
                   enough(server, request, arguments.seconds))[0]


def measure_changed(arguments):
    servers = servers_of(arguments)
    cpu, sizes = {}, {}
    try:
        for server in servers:
            server.__enter__()
            if server.name != GO:
                check_change(server, arguments.series)
        for form in FORMATS:
            for encoding in ENCODINGS:
                for server in servers:
                    sizes[server.name, form, encoding] = size_of(
                        server, form, encoding)
        for _ in range(arguments.rounds):
            for key, size in sizes.items():
                if size is None:
                    continue
                server = next(s for s in servers if s.name == key[0])
                cpu.setdefault(key, []).append(
                    cpu_of(server, *key[1:], arguments))
    finally:
        for server in servers:
            if server.pid:
                server.__exit__()
    report_changed(arguments.series, {k: statistics.median(v)
                                      for k, v in cpu.items()}, sizes)


def cell(seconds, beside, aim):
    if seconds is None:
        return "-"
    text = f"{seconds * 1e3:.2f}"
    if beside:
        ratio = beside / seconds
        text += f" {ratio:.0f}x" if ratio >= 10 else f" {ratio:.1f}x"
        text += f" ({aim}x)"
    return text


def report_changed(series, cpu, sizes):
    print(f"\n== CPU ms of a scrape of {series} series when little has changed "
          "(ratio to client_golang,\n   in brackets the aim; client_golang 1.14 "
          "has no zstd: ours stands beside its gzip)\n")
    print(f"{'':22} {'client_golang':>14} {'1 % together':>21} "
          f"{'1 % scattered':>21} {'unchanged':>21} {'KB':>8} {'theirs':>8}")
    for form in FORMATS:
        for encoding in ENCODINGS:
            go = cpu.get((GO, form, encoding))
            beside = go or cpu.get((GO, form, "gzip"))
            cells = [cell(go, None, None)]
            cells += [cell(cpu.get((name, form, encoding)), beside, aim)
                      for name, aim in AIMS.items()]
            kb = [sizes[name, form, encoding] for name in (UNCHANGED, GO)]
            kb = [f"{size / 1e3:.0f}" if size else "-" for size in kb]
            print(f"{form + ', ' + encoding:22} {cells[0]:>14} {cells[1]:>21} "
                  f"{cells[2]:>21} {cells[3]:>21} {kb[0]:>8} {kb[1]:>8}",
                  flush=True)


# ---- a million series -------------------------------------------------------

def knock(port, pipe):
    """In a process of its own: asks /healthz again and again until told to
    stop, and sends back how long each took."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    took = []
    while not pipe.poll(0.001):
        started = time.perf_counter()
        client.request("GET", "/healthz")
        client.getresponse().read()
        took.append(time.perf_counter() - started)
        if len(took) == 1:
            pipe.send("begun")
    pipe.send(took)


def latency_beside(server, work):
    """What WORK returns, and sorted seconds of /healthz beside it."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=knock, args=(server.port, there))
    process.start()
    here.recv()  # it has begun
    result = work()
    here.send("stop")
    took = here.recv()
    process.join()
    return result, sorted(took)


def milliseconds(took):
    return " ".join(f"{took[min(int(len(took) * p), len(took) - 1)] * 1e3:9.2f}"
                    for p in (0.5, 0.99, 1))


def is_at_work(server):
    before = server.cpu()
    time.sleep(0.5)
    return server.cpu() - before > 0.01e9


class Untouched:
    """A server that has collected, and was not asked for a page."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.server.spawn()
        while is_at_work(self.server):
            pass
        return self.server

    def __exit__(self, *_):
        self.server.__exit__()


def million_of(server, form, encoding, empty, series):
    """One line of the report, of a server that was not scraped before."""
    def work():
        if not encoding:
            return time.sleep(3) or 0
        size = size_of(server, form, encoding)
        if size is not None:
            with Client(server.port) as client:
                for _ in range(5):
                    client.scrape(request_of(form, encoding))
        return size

    with Untouched(server):
        size, took = latency_beside(server, work)
        title = f"{form}, {encoding}" if encoding else "at rest"
        if size is not None:
            print(f"{title:22} {(server.resident() - empty) / series:8.0f} "
                  f"{milliseconds(took)} {size / 1e6:9.1f}", flush=True)


def measure_million(arguments):
    series = arguments.million
    print(f"\n== {series} series, collected once: resident bytes a series "
          "after six scrapes, and beside them\n   the time of /healthz, ms\n")
    print(f"{'':22} {'bytes':>8} {'median':>9} {'p99':>9} {'most':>9} "
          f"{'MB':>9}")
    with Untouched(lunex(arguments, "lunex", 0, interval=3600)) as none:
        empty = none.resident()
    kinds = [("", "")] + [(f, e) for f in FORMATS for e in ENCODINGS]
    for kind in kinds:
        million_of(lunex(arguments, "lunex", series, interval=3600), *kind,
                   empty, series)


def main():
    release = TOP / "build/release"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="of changed, million (both)")
    parser.add_argument("--lunex", default=str(release / "bin/lunex"))
    parser.add_argument("--peer", default=str(release / "bench/peer"))
    parser.add_argument("--series", type=int, default=100000,
                        help="in the part changed")
    parser.add_argument("--million", type=int, default=1000000,
                        help="series in the part million")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1,
                        help="of scrapes a server, form and round")
    arguments = parser.parse_args()
    parts = arguments.parts or ["changed", "million"]
    if "changed" in parts:
        measure_changed(arguments)
    if "million" in parts:
        measure_million(arguments)


if __name__ == "__main__":
    main()
