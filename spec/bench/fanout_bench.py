#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""500 devices, a document of each, 64 requests in flight: lunex' Particle
exporter beside a plain Go program, in front of the same cloud.

Both collect when they are scraped. They are measured in turn, round by round;
what is printed is the median of the rounds.
"""

import argparse
import re
import statistics
import sys
import time

from scrape_bench import GO, IDENTITY, TOP, Client, Server, fetch

sys.path.insert(0, str(TOP))
from spec.e2e.certificates import certificates  # noqa: E402

IN_FLIGHT = 64
LUNEX = "lunex"
AIM_WALL, AIM_CPU = 0.44, 100e-6


class Cloud(Server):
    """The upstream; answers no /metrics, so that 404 is its first answer."""

    def __init__(self, arguments, tls):
        self.tls = tls
        command = [arguments.cloud, "PORT", str(arguments.devices),
                   f"{arguments.delay}ms", f"{arguments.list_delay}ms"]
        if tls:
            command += [certificates().file("good"), certificates().key("good")]
        super().__init__("cloud", command)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def first_answer(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                with Client(self.port):
                    return
            except OSError:
                time.sleep(0.005)
        raise SystemExit("cloud: does not answer")


def exporters(arguments, cloud):
    go = [arguments.peer, "PORT", cloud.url]
    lunex = [arguments.lunex, arguments.script, f"--api-url={cloud.url}",
             "--token=token", "--web.listen-address=127.0.0.1:PORT"]
    if cloud.tls:
        go.append(certificates().file("ca"))
        lunex.append(f"--ca-file={certificates().file('ca')}")
    return [Server(GO, go), Server(LUNEX, lunex)]


class Result:
    """The rounds of one exporter."""

    def __init__(self):
        self.wall, self.cpu, self.series = [], [], 0


def scrape(client, server):
    """(seconds of the wall clock, seconds of CPU) of a collection and the page
    about it."""
    before = server.cpu()
    started = time.perf_counter()
    client.scrape(IDENTITY)
    wall = time.perf_counter() - started
    return wall, (server.cpu() - before) / 1e9


def check(arguments, server):
    """How many series about devices there are; the page must have all."""
    devices = re.findall(rb'="(e00fce68[0-9a-f]{16})"', fetch(server, ""))
    if len(set(devices)) != arguments.devices:
        raise SystemExit(f"{server.name}: {len(set(devices))} devices on its"
                         f" page, not {arguments.devices}")
    return len(devices)


def measure(arguments, tls):
    with Cloud(arguments, tls) as cloud:
        servers = exporters(arguments, cloud)
        results = {server.name: Result() for server in servers}
        clients = {}
        try:
            for server in servers:
                server.__enter__()
                clients[server.name] = Client(server.port)
                results[server.name].series = check(arguments, server)
            for _ in range(arguments.rounds):
                for server in servers:
                    wall, cpu = scrape(clients[server.name], server)
                    results[server.name].wall.append(wall)
                    results[server.name].cpu.append(cpu)
        finally:
            for server in servers:
                if server.pid:
                    server.__exit__()
    report(arguments, cloud, results)


def report(arguments, cloud, results):
    turns = -(-arguments.devices // IN_FLIGHT)
    least = turns * arguments.delay / 1000
    print(f"\n{cloud.url.split(':')[0]:16} {'wall s':>14} {'least':>8} "
          f"{'most':>8} {'CPU us a document':>20} {'ratio':>7} "
          f"{'series':>8}")
    go = statistics.median(results[GO].cpu)
    for name, result in results.items():
        wall = f"{statistics.median(result.wall):.3f}"
        cpu = statistics.median(result.cpu)
        each = f"{cpu / arguments.devices * 1e6:.0f}"
        if name == LUNEX:
            wall += f" ({AIM_WALL})"
            each += f" ({AIM_CPU * 1e6:.0f})"
        print(f"{name:16} {wall:>14} {min(result.wall):8.3f} "
              f"{max(result.wall):8.3f} {each:>20} {go / cpu:6.1f}x "
              f"{result.series:8}", flush=True)
    print(f"{'the limit':16} {least:>7.3f}")


def main():
    release = TOP / "build/release"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lunex", default=str(release / "bin/lunex"))
    parser.add_argument("--script", default="particle")
    parser.add_argument("--cloud", default=str(release / "bench/cloud"))
    parser.add_argument("--peer", default=str(release / "bench/fanout"))
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--delay", type=int, default=50,
                        help="of a document, ms")
    parser.add_argument("--list-delay", type=int, default=0,
                        help="of the list of devices, ms")
    parser.add_argument("--rounds", type=int, default=9,
                        help="with 500 devices at most 17: the exporter keeps"
                        " to the limit of the API, 10000 requests in 300 s")
    parser.add_argument("--schemes", nargs="+", default=["http", "https"])
    arguments = parser.parse_args()
    print(f"\n== {arguments.devices} documents of about 1 KB,"
          f" {arguments.delay} ms each, {IN_FLIGHT} in flight"
          " (ratio: to Go; in brackets the aim)")
    for scheme in arguments.schemes:
        measure(arguments, scheme == "https")


if __name__ == "__main__":
    main()
