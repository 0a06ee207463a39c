#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One echo to each of 10 000 addresses of this machine: lunex beside fping.

Whole processes, from their start to their end, measured in turn; what is printed
is the median of the rounds. Then what a running exporter takes that asks all of
them every second, and how far its times are from what the kernel saw pass.
"""

import argparse
import ctypes
import os
import re
import socket
import statistics
import struct
import tempfile
import time
from pathlib import Path

from scrape_bench import HERE, TOP, Server, fetch

FPING = "fping"
SAMPLE = re.compile(r'^(bench_\w+)(?:\{address="(.*)"\})? (\S+)$', re.M)
RTT_AIM = 10e-6


def addresses(n):
    return [f"127.{1 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}"
            for i in range(n)]


class Program:
    """Something that is run to its end, again and again."""

    def __init__(self, name, command, answers=None):
        """ANSWERS counts them in what it wrote; without, nobody reads it."""
        self.name, self.command, self.answers = name, command, answers
        self.wall, self.cpu, self.seen = [], [], []

    def run(self):
        """What it wrote; notes what it took."""
        with (tempfile.TemporaryFile("w+") if self.answers
              else open(os.devnull, "r+", encoding="utf-8")) as out:
            to = [(os.POSIX_SPAWN_DUP2, out.fileno(), fd) for fd in (1, 2)]
            started = time.perf_counter()
            pid = os.posix_spawnp(self.command[0], self.command, os.environ,
                                  file_actions=to)
            _, status, usage = os.wait4(pid, 0)
            self.wall.append(time.perf_counter() - started)
            self.cpu.append(usage.ru_utime + usage.ru_stime)
            out.seek(0)
            text = out.read()
        if os.waitstatus_to_exitcode(status) > 1:
            raise SystemExit(f"{self.name}: {text[:500]}")
        if self.answers:
            self.seen.append(self.answers(text))
        return text


def lunex_answers(text):
    return int(float(re.search(r"^bench_answers (\S+)", text, re.M).group(1)))


def once(arguments, *flags):
    return [arguments.lunex, "once", str(HERE / "ping.lua"),
            f"--targets={arguments.file}", *flags]


def programs(arguments):
    fping = [FPING, "-q", "-c1", "-r0", "-i0", "-f", arguments.file]
    return [
        Program(FPING, fping, lambda text: text.count(" = 1/1/0%")),
        Program("fping >/dev/null", fping),
        Program("lunex, icmp.sweep", once(arguments, "--by=sweep"),
                lunex_answers),
        Program("lunex, task.each", once(arguments, "--by=each"),
                lunex_answers),
    ]


def whole(arguments):
    print(f"\n{'':20} {'wall ms':>10} {'least':>8} {'CPU ms':>10} {'least':>8}"
          f" {'wall':>6} {'CPU':>6} {'answers':>8}")
    all_of_them = programs(arguments)
    for _ in range(arguments.rounds):
        for program in all_of_them:
            program.run()
    fping = all_of_them[0]
    for p in all_of_them:
        wall, cpu = statistics.median(p.wall), statistics.median(p.cpu)
        ratios = (wall / statistics.median(fping.wall),
                  cpu / statistics.median(fping.cpu))
        print(f"{p.name:20} {wall * 1e3:10.1f} {min(p.wall) * 1e3:8.1f} "
              f"{cpu * 1e3:10.1f} {min(p.cpu) * 1e3:8.1f} {ratios[0]:6.2f} "
              f"{ratios[1]:6.2f} {min(p.seen, default=''):8}", flush=True)


def every_second(arguments):
    """CPU of a running exporter, per cent of a core."""
    for by in ("sweep", "each"):
        server = Server(by, [arguments.lunex, str(HERE / "ping.lua"),
                             f"--targets={arguments.file}", f"--by={by}",
                             "--interval=1", "--log.level=error",
                             "--web.listen-address=127.0.0.1:PORT"])
        with server:
            started, before = time.monotonic(), server.cpu()
            time.sleep(arguments.seconds)
            cpu = (server.cpu() - before) / 1e9
            share = cpu / (time.monotonic() - started)
            text = fetch(server, "").decode()
        rounds = re.search(r"^lunex_exporter_collections_total\{.*success.*\}"
                           r" (\S+)", text, re.M)
        print(f"every second, {by:6} {share * 100:5.1f} % of a core (10),"
              f" {rounds.group(1) if rounds else '?'} rounds,"
              f" {lunex_answers(text)} answers in the last", flush=True)


# ---- the kernel's own times -------------------------------------------------

class Capture:
    """ICMP packets that arrive on the loopback interface, with the time of their
    arrival by the kernel."""

    SO_RCVBUFFORCE, SO_ATTACH_FILTER, SO_TIMESTAMPNS = 33, 26, 35
    SOL_PACKET, STATISTICS, IGNORE_OUTGOING = 263, 6, 23
    IP = 0x0800
    ROOM = 512 << 20

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        s = self.socket
        s.setsockopt(socket.SOL_SOCKET, self.SO_RCVBUFFORCE, self.ROOM)
        s.setsockopt(socket.SOL_SOCKET, self.SO_TIMESTAMPNS, 1)
        s.setsockopt(self.SOL_PACKET, self.IGNORE_OUTGOING, 1)
        # ldb [9]; jeq #IPPROTO_ICMP; ret all; ret 0
        code = b"".join(struct.pack("HBBI", *line) for line in (
            (0x30, 0, 0, 9), (0x15, 0, 1, socket.IPPROTO_ICMP),
            (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0)))
        buffer = ctypes.create_string_buffer(code)
        s.setsockopt(socket.SOL_SOCKET, self.SO_ATTACH_FILTER,
                     struct.pack("HL", 4, ctypes.addressof(buffer)))
        s.bind(("lo", self.IP))
        s.setblocking(False)

    def packets(self):
        """(seconds, IP packet), all that have come."""
        while True:
            try:
                data, control, _, _ = self.socket.recvmsg(64, 64)
            except BlockingIOError:
                return
            sec, nsec = struct.unpack("ll", control[0][2])
            yield sec + nsec / 1e9, data

    def rtts(self):
        """Address -> seconds from the request's arrival there to the answer's
        arrival here."""
        asked, answered = {}, {}
        for seconds, data in self.packets():
            source, to = (socket.inet_ntoa(data[i:i + 4]) for i in (12, 16))
            kind, rest = data[20], data[24:28]
            if kind == 8:
                asked[to, rest] = seconds
            elif kind == 0 and (source, rest) in asked:
                answered.setdefault(source, seconds - asked[source, rest])
        packets, drops = struct.unpack("II", self.socket.getsockopt(
            self.SOL_PACKET, self.STATISTICS, 8))
        if drops:
            raise SystemExit(f"the capture lost {drops} of {packets} packets")
        return answered


def accuracy(arguments):
    """How far each time is from what passed through the kernel."""
    for by in ("sweep", "each"):
        capture = Capture()
        program = Program(by, once(arguments, f"--by={by}", "--each-rtt"),
                          lunex_answers)
        text = program.run()
        told = {address: float(value) for name, address, value
                in SAMPLE.findall(text) if name == "bench_rtt_seconds"}
        seen = capture.rtts()
        off = sorted(abs(told[a] - seen[a]) for a in told)
        within = sum(o <= RTT_AIM for o in off) / len(off)
        print(f"times by {by:6} {within * 100:7.3f} % within 10 us of the"
              f" kernel's, median {off[len(off) // 2] * 1e6:.1f} us off,"
              f" 99.9 % {off[int(len(off) * 0.999)] * 1e6:.1f} us,"
              f" most {off[-1] * 1e6:.1f} us", flush=True)


def main():
    release = TOP / "build/release"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lunex", default=str(release / "bin/lunex"))
    parser.add_argument("--targets", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--parts", nargs="+",
                        choices=["whole", "accuracy", "every_second"])
    arguments = parser.parse_args()
    print(f"\n== one echo to each of {arguments.targets} addresses of this"
          " machine (ratios: to fping, aim 0.5)")
    parts = {"whole": whole, "accuracy": accuracy,
             "every_second": every_second}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "targets"
        file.write_text("\n".join(addresses(arguments.targets)) + "\n")
        arguments.file = str(file)
        for part in arguments.parts or parts:
            parts[part](arguments)


if __name__ == "__main__":
    main()
