# SPDX-License-Identifier: Apache-2.0
"""A script is rewritten again and again under load: no answer is lost, no
counter goes back, and nothing is left behind. LOAD_VERSIONS says how many there
are under load (100), LOAD_SECONDS for how long (60), RELOADS how often in the
test of what remains (1000). SANITIZED is set when a sanitizer keeps memory for
itself.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from spec.e2e.lunex import TOP, Case, eventually, free_port
from spec.e2e.upstream import Upstream

SECONDS = float(os.environ.get("LOAD_SECONDS", "60"))
RELOADS = int(os.environ.get("RELOADS", "1000"))
VERSIONS = int(os.environ.get("LOAD_VERSIONS", "100"))
LONGER = 120  # what a machine that is busy may take besides
SANITIZED = bool(os.environ.get("SANITIZED"))

GOOD = """-- version %(version)d
local metric = require "metric"
return {
  name = "work", limits = { cpu = 0.2 },
  metrics = {
    work_total = metric.counter { "Collections." },
    work_seconds = metric.histogram { "Times.", buckets = { 0.5, 1 } },
    work_version = metric.gauge { "The version of the script." },
  },
  collect = function(m)
    m.work_total:inc()
    m.work_seconds:observe(0.75)
    m.work_version:set(%(version)d)
    %(more)s
  end,
}
"""

# A version that holds what a script can hold.
FULL = """-- version %(version)d
local http, metric, task = require "http", require "metric", require "task"
local process, udp, xml = require "process", require "udp", require "xml"
local helper = require "helper"
local registry = metric.registry { runs_total = metric.counter "Runs." }
return {
  name = "work",
  metrics = {
    work_total = metric.counter { "Collections.", labels = { "way" } },
    work_seconds = metric.histogram { "Times.", buckets = { 1 },
      native = true },
    work_wait_seconds = metric.summary { "Waits.", quantiles = { 0.5 } },
    work_version = metric.gauge { "The version of the script." },
  },
  routes = { ["GET /runs"] = function() return registry:render() end },
  start = function(m)
    local server <close> = assert(udp.listen("127.0.0.1", %(udp)d))
    while true do m.work_total:inc(#assert(server:receive()), "in") end
  end,
  collect = function(m)
    local page = assert(http.get "http://127.0.0.1:%(http)d/")
    assert(xml.parse(page.body))
    if %(version)d %% 20 == 0 then assert(process.run { "true" }) end
    task.all(function() task.sleep(0) end, function() helper() end)
    registry.runs_total:inc()
    m.work_total:inc(1, "out", { trace_id = "%(version)d" })
    m.work_seconds:observe(0.75, { trace_id = "%(version)d" })
    m.work_wait_seconds:observe(0.5)
    m.work_version:set(%(version)d)
  end,
}
"""

# What a version is broken by: the text, and what is said about it.
BROKEN = [
    (lambda s: s.replace("return {", "return {{", 1),
     r"work\.lua:\d+: .*expected"),
    (lambda s: s.replace("m.work_total:inc()", "m.work_total:inc() nothing()"),
     r"work\.lua:11: .*nothing"),
    (lambda s: s.replace("metric.counter", "metric.gauge"),
     r"work\.lua:6: work_total is a gauge here and a counter"),
    (lambda s: s.replace("m.work_total:inc()",
                         "m.work_total:inc() while true do end"),
     r"work\.lua:11: .*wait"),
    (lambda s: s.replace("m.work_total:inc()",
                         'm.work_total:inc() local _ = ("x"):rep(2^30)'),
     r"work\.lua:11: .*memory"),
]


def version(number, more=""):
    return GOOD % {"version": number, "more": more}


def write(path, text):
    """As editors do: a new file takes the place of the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.rename(new, path)


class Storm(Case):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "work.lua"
        self.path.write_text(version(0))

    def said(self, lunex, pattern, after):
        return re.search(pattern, "\n".join(lunex.lines[after:]))

    def change(self, lunex, number):
        """The version NUMBER, every fifth one broken; waits for what is said
        about it. Answers whether it is a good one."""
        text, expected = version(number), r"exporter reloaded.*work"
        good = number % 5 != 0
        if not good:
            spoil, expected = BROKEN[number // 5 % len(BROKEN)]
            text = spoil(text)
        before = len(lunex.lines)
        write(self.path, text)
        eventually(lambda: self.said(lunex, expected, before),
                   f"version {number}: /{expected}/ in\n" + "\n".join(
                       lunex.lines[-10:]))
        return good

    def test_a_hundred_versions_under_load(self):
        if not shutil.which("wrk"):
            raise RuntimeError("wrk is not installed")
        lunex = self.lunex(self.path)
        url = f"http://127.0.0.1:{lunex.port}/metrics"
        wrk = subprocess.Popen(  # as much as others leave over
            ["nice", "wrk", "-t8", "-c8", f"-d{SECONDS + LONGER:g}s",
             "--timeout", "10s", "-s", TOP / "spec/e2e/counter.wrk.lua", url],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(wrk.stdout.close)
        self.addCleanup(wrk.kill)
        began, good, last = time.monotonic(), 0, 0
        for number in range(1, VERSIONS + 1):
            if self.change(lunex, number):
                good, last = good + 1, number
            self.assertEqual(last, lunex.samples()["work_version"])
            due = began + number * SECONDS / VERSIONS
            time.sleep(max(0, due - time.monotonic()))  # spread over the time
        self.assertIsNone(wrk.poll(), "there was load all the time")
        wrk.send_signal(signal.SIGINT)
        out = wrk.communicate()[0]
        numbers = dict(re.findall(r"(\w+)=(\d+)", out))
        self.assertGreater(int(numbers.pop("answers")), SECONDS * 10, out)
        self.assertEqual({"refused": "0", "lacking": "0", "back": "0",
                          "wrong": "0", "errors": "0"}, numbers, out)
        self.check_counts(lunex, good)

    def check_counts(self, lunex, good):
        """Each collection counted once, whichever version made it."""
        page = lunex.samples("/metrics")
        host = lunex.page_with(
            lambda p: p['lunex_exporter_collections_total'
                        '{exporter="work",result="success"}'] ==
            p["work_total"], "each collection is counted once")
        self.assertGreaterEqual(host["work_total"], page["work_total"])
        self.assertEqual(host["work_total"], host["work_seconds_count"])
        self.assertEqual(host["work_total"] * 0.75, host["work_seconds_sum"])
        self.assertEqual(host["work_total"],
                         host['work_seconds_bucket{le="1"}'])
        reloads = 'lunex_exporter_reloads_total{exporter="work",result="%s"}'
        self.assertEqual(good, host[reloads % "success"])
        self.assertEqual(VERSIONS - good, host[reloads % "failure"])

    def measure(self, lunex):
        folder = Path(f"/proc/{lunex.process.pid}")
        status = (folder / "status").read_text()
        return {
            "memory": int(re.search(r"VmRSS:\s*(\d+)", status)[1]),
            "threads": int(re.search(r"Threads:\s*(\d+)", status)[1]),
            "descriptors": len(lunex.descriptors()),
        }

    def settled(self, lunex, first):
        """The memory when old versions have ended: when there are as many
        threads and descriptors as at FIRST. The loop of a version, which is
        four descriptors, is closed after its thread."""
        last = {}

        def look():
            last.update(self.measure(lunex))
            return all(last[name] <= first[name]
                       for name in ("threads", "descriptors"))
        try:
            eventually(look, "old versions leave nothing behind")
        except AssertionError as e:
            raise AssertionError(f"{e}: {first} -> {last}") from None
        return last["memory"]

    def test_a_thousand_reloads_leave_nothing_behind(self):
        upstream = Upstream()
        self.addCleanup(upstream.close)
        upstream.answer("GET", "/", "<a/>")
        port = free_port(socket.SOCK_DGRAM)
        (self.folder / "helper.lua").write_text("return function() end")

        def text(number):
            return FULL % {"version": number, "udp": port,
                           "http": upstream.port}
        write(self.path, text(0))
        lunex = self.lunex(self.path, "--web.enable-lifecycle", "--watch=off")
        lunex.samples()
        lunex.quiet()
        first = self.measure(lunex)
        warm = RELOADS // 20
        for number in range(1, RELOADS + 1):
            write(self.path, text(number))
            answer = lunex.post("/-/reload", "")
            self.assertEqual(200, answer.status, answer.text)
            if number == warm:
                before = self.settled(lunex, first)
        after = self.settled(lunex, first)
        page = lunex.samples()
        self.assertEqual(RELOADS, page["work_version"])
        self.assertEqual(RELOADS + 2, page['work_total{way="out"}'])
        print(f"{first}; {before} kB after {warm}, {after} after {RELOADS}")
        if not SANITIZED:
            self.assertLessEqual(after, before * 1.05, "kilobytes of memory")
