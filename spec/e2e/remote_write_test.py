# SPDX-License-Identifier: Apache-2.0
"""`push` of type remote_write: to a real Prometheus and a real VictoriaMetrics
that go away in the middle, and to stand-ins that have no time or no wish.
OUTAGE_SECONDS says how long a receiver is gone (2)."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import unittest

from spec.e2e.answers import Answer, RetryAfter, Sequence, Stall
from spec.e2e.lunex import DEADLINE, Case, eventually
from spec.e2e.receivers import Prometheus, VictoriaMetrics
from spec.e2e.timely import timely
from spec.e2e.upstream import Upstream

OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "2"))
INTERVAL = 0.25
SECRET = "hunter2-of-a-file"

# Collected when it is asked: each tick is one more.
COUNT = """\
local metric = require "metric"
local names = {}

-- Of so many bytes, which cannot be compressed well.
local function name_of(i, width)
  local name = names[i] or tostring(i)
  while #name < width do
    name = ("%s%x"):format(name, math.random(1, 1 << 60))
  end
  names[i] = name
  return name
end

return {
  name = "count",
  config = { series = { 1 }, width = { 1 } },
  metrics = {
    count_collections_total = metric.counter { "Collections." },
    count_value = metric.gauge { "A value.", labels = { "number" } },
  },
  collect = function(m, config)
    m.count_collections_total:inc()
    for i = 1, config.series do
      m.count_value:set(math.random(), name_of(i, config.width))
    end
  end,
}
"""

# Each series stays as it is, and half of them end when a file is there.
TYPES = r"""
local metric = require "metric"
local first = true
local labels = { "l" }

return {
  name = "types",
  labels = { site = "a" },
  metrics = {
    value_counter_total = metric.counter { "C.", labels = labels },
    value_gauge = metric.gauge { "G.", labels = labels },
    value_histogram = metric.histogram {
      "H.", labels = labels, buckets = { 0.1, 1 },
    },
    value_info = metric.info { "I.", labels = labels },
    value_state = metric.stateset {
      "S.", labels = labels, states = { "on", "off" },
    },
    value_summary = metric.summary { "S.", labels = labels },
    value_unknown = metric.unknown "U.",
  },
  collect = function(m)
    local gone = io.open "%s"
    for _, l in ipairs { "kept", 'a\\"\n}b, ü=' } do
      if first then
        m.value_counter_total:inc(3, l)
        m.value_histogram:observe(0.5, l)
        m.value_summary:observe(2.5, l)
      end
      if gone and l ~= "kept" then
        m.value_counter_total:remove(l)
        m.value_histogram:remove(l)
        m.value_summary:remove(l)
      else
        m.value_gauge:set(-1.5, l)
        m.value_state:set("off", l)
      end
    end
    if not gone then
      m.value_info:set(1, "1.0")
      m.value_unknown:set(0.25)
    end
    first = false
  end,
}
"""

STUCK = """\
local metric = require "metric"
local times = 0

return {
  name = "stuck",
  timeout = 0.2,
  limits = { cpu = 1000 },
  metrics = { stuck_value = metric.gauge { "A value." } },
  collect = function(m)
    m.stuck_value:set(1)
    times = times + 1
    while times == 3 and not io.open "%s" do end
  end,
}
"""


class Written(Case):
    def setUp(self):
        super().setUp()
        self.configurations = 0
        self.script(COUNT, "count")

    def configuration(self, url, options="", entry="", script="count"):
        self.configurations += 1
        path = self.folder / f"lunex{self.configurations}.lua"
        path.write_text(
            f'return {{ exporters = {{ {{ "{script}.lua", {entry} push = {{\n'
            f'type = "remote_write", url = "{url}", interval = {INTERVAL},\n'
            f'{options} }} }} }} }}\n')
        return str(path)

    def serve(self, *arguments, **options):
        return self.lunex("--config", self.configuration(*arguments,
                                                         **options))

    def upstream(self, *answers):
        up = Upstream()
        self.addCleanup(up.close)
        up.answer("POST", "/write", Sequence(answers))
        return up

    def series(self, lunex, name, extra=""):
        """The value of a series of lunex_push*; None: there is none."""
        pattern = re.compile(r'lunex_push%s\{exporter="\w+",target="[^"]*"%s\}'
                             % (name, extra and "," + extra))
        return next((value for key, value in lunex.samples().items()
                     if pattern.fullmatch(key)), None)

    def wait_series(self, lunex, name, extra, least):
        eventually(lambda: (self.series(lunex, name, extra) or 0) >= least,
                   f"lunex_push{name} with {extra}\n{lunex.log}")


def series_of(samples):
    """Samples of a page by their labels, as a receiver has them."""
    def unescape(match):
        return "\n" if match[1] == "n" else match[1]
    result = {}
    for series, value in samples.items():
        name, _, labels = series.partition("{")
        pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)
        labels = {key: re.sub(r"\\(.)", unescape, text)
                  for key, text in pairs}
        result[tuple(sorted({"__name__": name, **labels}.items()))] = value
    return result


def collections(lunex):
    """How many there were, as the API has it, which asks nobody."""
    answer = json.loads(lunex.get("/api/v1/exporters").text)
    return next(e["collections"]["success"]
                for e in answer["data"]["exporters"] if e["name"] == "count")


def counted(receiver):
    """[(milliseconds, value)], of the only series."""
    series = receiver.raw("count_collections_total")
    if not series:
        return []
    assert len(series) == 1, series
    labels = dict(*series.keys())
    assert labels["job"] == "count" and labels["instance"], labels
    return sorted(set(*series.values()))


def runs_of(samples):
    """The samples of one lunex after the other, each of which counts from 1."""
    runs = [[]]
    for sample in samples:
        if sample[1] == 1 and runs[-1]:
            runs.append([])
        runs[-1].append(sample)
    return runs


def whole(samples):
    return all([value for _, value in run] == list(range(1, len(run) + 1))
               for run in runs_of(samples))


class Outages(Written):
    """The same for both kinds of receivers, at the same time."""

    RECEIVERS = (Prometheus, VictoriaMetrics)

    def wait_collections(self, lunex, least):
        eventually(lambda: collections(lunex) >= least,
                   f"{least} collections\n{lunex.log}", OUTAGE + DEADLINE)

    def wait_counted(self, receiver, condition, lunex):
        eventually(lambda: condition(counted(receiver)), "samples have come\n"
                   + lunex.log, OUTAGE + DEADLINE)

    def stop_and_count(self, receiver, lunex):
        """All that was collected, once the receiver shows it: VictoriaMetrics
        does so a little later than it takes it."""
        least = collections(lunex) + 1  # and the last page
        self.assertEqual(0, lunex.stop())
        self.wait_counted(receiver, lambda s: whole(s)
                          and len(runs_of(s)[-1]) >= least, lunex)
        return counted(receiver)

    def check_run(self, samples):
        """Nothing is missing: a number after the other, and at the times of
        the ticks. The last page is no tick's."""
        self.assertEqual(list(range(1, len(samples) + 1)),
                         [value for _, value in samples])
        times = [at for at, _ in samples[:-1]]
        gaps = [b - a for a, b in zip(times, times[1:])]
        self.assertTrue(all(0 < gap < INTERVAL * 1000 + 1000 for gap in gaps),
                        gaps)
        self.assertAlmostEqual(
            INTERVAL * 1000, (times[-1] - times[0]) / len(gaps),
            delta=0.1 * INTERVAL * 1000 + 500 / len(gaps))

    @timely
    def test_every_sample_is_there_after_an_outage(self):
        receivers = [kind(self) for kind in self.RECEIVERS]
        pairs = [(r, self.serve(r.url + r.WRITE)) for r in receivers]
        for receiver, lunex in pairs:
            self.wait_counted(receiver, lambda s: len(s) >= 3, lunex)
        for receiver in receivers:
            receiver.stop()
        least = [collections(lunex) + OUTAGE / INTERVAL for _, lunex in pairs]
        for (_, lunex), count in zip(pairs, least):
            self.wait_collections(lunex, count)
            lunex.wait_log("the target does not answer")
            self.assertEqual(1, lunex.log.count("the target does not answer"))
        for receiver in receivers:
            receiver.start()
        for (receiver, lunex), count in zip(pairs, least):
            self.wait_counted(
                receiver, lambda s, one=lunex: len(s) > collections(one) - 2,
                lunex)
            lunex.wait_log("pushing again")
            samples = self.stop_and_count(receiver, lunex)
            self.assertGreater(len(samples), count)
            self.check_run(samples)

    def queue(self, receiver):
        return f'queue = "queue{receiver.port}",'

    def run_without(self, receivers):
        """A lunex for each of them, which are not there; to be ended."""
        all_of = [self.ended("--config", self.configuration(
            r.url + r.WRITE, self.queue(r)), listen="127.0.0.1:0")
            for r in receivers]
        for lunex in all_of:
            self.wait_collections(lunex, OUTAGE / INTERVAL / 2)
        return all_of

    def killed(self, lunex):
        """How many collections are in the queue, at least."""
        seen = collections(lunex)
        self.wait_collections(lunex, seen + 1)
        lunex.process.kill()
        lunex.wait()
        return seen

    def stopped(self, lunex):
        seen = collections(lunex)
        begin = time.monotonic()
        self.assertEqual(0, lunex.stop())
        self.assertLess(time.monotonic() - begin, 7)
        return seen + 1  # the last page

    @timely
    def test_a_queue_on_disk_survives_a_sudden_end_and_a_restart(self):
        receivers = [kind(self, started=False) for kind in self.RECEIVERS]
        first = [self.killed(one) for one in self.run_without(receivers)]
        second = [self.stopped(one) for one in self.run_without(receivers)]
        for receiver in receivers:
            receiver.start()
        third = [self.serve(r.url + r.WRITE, self.queue(r)) for r in receivers]
        for i, (receiver, lunex) in enumerate(zip(receivers, third)):
            self.wait_counted(receiver, lambda s: sum(
                value == 4 for _, value in s) == 3, lunex)
            runs = runs_of(self.stop_and_count(receiver, lunex))
            self.assertEqual(3, len(runs))
            for run, least in zip(runs, (first[i], second[i], 4)):
                self.assertGreaterEqual(len(run), least)
                self.check_run(run)


class Meanings(Written):
    """What a receiver makes of what is written."""

    def test_each_type_is_as_a_scrape_has_it_until_it_is_gone(self):
        gone, values = self.folder / "gone", '{__name__=~"value_.+"}'
        self.script(TYPES % gone, "types")
        for receiver in (Prometheus(self), VictoriaMetrics(self)):
            gone.unlink(missing_ok=True)
            lunex = self.serve(receiver.url + receiver.WRITE, script="types",
                               options='labels = { job = "", instance = "" },')
            eventually(lambda r=receiver: len(r.raw(values)) == 24, lunex.log)
            page = series_of({
                name: value for name, value in lunex.samples().items()
                if name.startswith("value_")})
            written = {labels: samples[-1][1] for labels, samples
                       in receiver.raw(values).items()}
            self.assertEqual(24, len(page))
            self.assertEqual(page, written)
            gone.touch()
            if isinstance(receiver, Prometheus):
                eventually(lambda r=receiver: r.present(values) == 11,
                           "the others end")
            self.assertEqual(0, lunex.stop())

    def present_after(self, on_shutdown):
        receiver = Prometheus(self)
        lunex = self.serve(receiver.url + receiver.WRITE,
                           f'on_shutdown = "{on_shutdown}",')
        eventually(lambda: receiver.present("count_value"), lunex.log)
        self.assertEqual(0, lunex.stop())
        return receiver

    def test_delete_at_the_end_ends_the_series(self):
        receiver = self.present_after("delete")
        self.assertEqual(0, receiver.present('{__name__=~"count_.+"}'))
        self.assertGreater(len(counted(receiver)), 0)

    def test_leave_at_the_end_leaves_them(self):
        receiver = self.present_after("leave")
        self.assertEqual(1, receiver.present("count_value"))
        self.assertEqual(1, receiver.present("count_up"))

    def test_labels_and_metadata_arrive(self):
        receiver = Prometheus(self)
        lunex = self.serve(receiver.url + receiver.WRITE,
                           'labels = { job = "j", instance = "i", x = "y" },',
                           'labels = { site = "a", x = "own" },')
        eventually(lambda: receiver.present("count_value"), lunex.log)
        self.assertEqual(
            {(("__name__", "count_value"), ("instance", "i"), ("job", "j"),
              ("number", "1"), ("site", "a"), ("x", "own"))},
            set(receiver.raw("count_value")))

    def test_a_script_that_is_stuck_has_no_series_meanwhile(self):
        receiver = Prometheus(self)
        self.script(STUCK % (self.folder / "free"), "stuck")
        lunex = self.serve(receiver.url + receiver.WRITE, script="stuck")
        eventually(lambda: receiver.present("stuck_value"), lunex.log)
        lunex.wait_log("nothing to push.*does not answer in time")
        eventually(lambda: not receiver.present("stuck_value"), lunex.log)
        self.assertEqual(1, lunex.log.count("nothing to push"))
        (self.folder / "free").touch()
        lunex.wait_log("there is something to push again")
        eventually(lambda: receiver.present("stuck_value"), lunex.log)


class Refusals(Written):
    def test_requests_are_as_specified(self):
        up = self.upstream(Answer(204))
        self.serve(up.url + "/write?tenant=a", 'username = "u", '
                   'password = "p", headers = { ["X-Scope-OrgID"] = "a" },')
        up.wait_requests(1)
        request = up.requests[0]
        self.assertEqual("/write?tenant=a", request.target)
        self.assertEqual({
            "content-encoding": "snappy",
            "content-type": "application/x-protobuf",
            "x-prometheus-remote-write-version": "0.1.0",
            "x-scope-orgid": "a", "authorization": "Basic dTpw",
        }, {name: value for name, value in request.headers.items() if name in (
            "content-encoding", "content-type", "authorization",
            "x-prometheus-remote-write-version", "x-scope-orgid")})
        self.assertRegex(request.headers["user-agent"], r"^lunex/\d")

    def test_what_the_receiver_cannot_take_comes_again_in_order(self):
        up = self.upstream(Answer(500, body="no disk is left\n"), Answer(503),
                           Answer(502), Answer(204))
        lunex = self.serve(up.url + "/write")
        up.wait_requests(6)
        bodies = [r.body for r in up.requests]
        self.assertEqual(1, len(set(bodies[:4])))
        self.assertEqual(len(bodies) - 3, len(set(bodies)))
        lunex.wait_log("pushing again")
        told = [line for line in lunex.log.splitlines()
                if "cannot take" in line]
        self.assertEqual(1, len(told), lunex.log)
        self.assertIn("500 Internal Server Error: no disk is left", told[0])
        self.wait_series(lunex, "es_total", 'result="busy"', 3)
        self.assertEqual(3, self.series(lunex, "es_total", 'result="busy"'))

    @timely
    def test_a_pause_that_is_asked_for_is_kept(self):
        up = self.upstream(RetryAfter(1), Answer(204))
        self.serve(up.url + "/write")
        up.wait_requests(2)
        first, second = up.requests[:2]
        self.assertEqual(first.body, second.body)
        self.assertTrue(0.9 < second.time - first.time < 4)

    def test_what_is_refused_is_dropped_counted_and_told_once(self):
        up = self.upstream(Answer(400, body="out of order sample\n"))
        lunex = self.serve(up.url + "/write")
        up.wait_requests(4)
        self.assertEqual(4, len({r.body for r in up.requests[:4]}))
        self.assertEqual(1, lunex.log.count("the target refuses"))
        lunex.wait_log("400 Bad Request: out of order sample")
        self.wait_series(lunex, "_samples_dropped_total", 'reason="refused"',
                         8)
        self.assertIn("out of order sample", lunex.get("/").text)

    def test_a_wrong_password_is_told_once_and_shown_nowhere(self):
        (self.folder / "secret").write_text(SECRET)
        up = self.upstream(Answer(401, body=f"{SECRET} is wrong\n"))
        lunex = self.serve(up.url + "/write", 'username = "u", '
                           'password = file "secret",')
        up.wait_requests(3)
        lunex.wait_log("401 Unauthorized")
        page = lunex.get("/").text + lunex.get().text
        self.assertEqual(0, lunex.stop())
        self.assertNotIn(SECRET, page + lunex.log)

    @timely
    def test_a_receiver_that_is_silent_stops_no_tick(self):
        up = self.upstream(Stall())
        lunex = self.serve(up.url + "/write", "timeout = 0.7,")
        lunex.wait_log("the target does not answer in time")
        eventually(lambda: collections(lunex) >= 6, "ticks go on")
        self.assertEqual(1, len({r.body for r in up.requests}))
        self.assertGreater(self.series(lunex, "_queue_samples"), 6)
        self.assertGreater(self.series(lunex, "_queue_bytes"), 100)
        begin = time.monotonic()
        self.assertEqual(0, lunex.stop(signal.SIGINT))
        self.assertLess(time.monotonic() - begin, 7)
        lunex.wait_said("samples are lost: the queue was in memory")

    def test_a_full_queue_drops_the_oldest_and_says_so_once(self):
        up = self.upstream(Stall())
        lunex = self.serve(up.url + "/write",
                           "queue_bytes = 2^20, timeout = 0.5,",
                           "config = { series = 2000, width = 400 },")
        self.wait_series(lunex, "_samples_dropped_total", 'reason="full"',
                         2000)
        self.assertLess(self.series(lunex, "_queue_bytes"), (1 << 20) + 1)
        self.assertEqual(1, lunex.log.count("the queue is full"))

    @unittest.skipUnless(os.geteuid() == 0, "root alone may mount")
    def test_a_full_disk_costs_no_sample(self):
        disk = self.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none",
                        disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        with contextlib.suppress(OSError):
            (disk / "filler").write_bytes(bytes(1 << 20))
        up = self.upstream(Answer(204))
        lunex = self.serve(up.url + "/write", 'queue = "disk/queue",')
        up.wait_requests(3)
        lunex.wait_log("samples wait in memory.*No space left on device")
        (disk / "filler").unlink()
        lunex.wait_log("samples go into the queue again")
        self.assertEqual(1, lunex.log.count("samples wait in memory"))
        samples = lunex.samples()
        self.assertEqual([0.0], [
            value for name, value in samples.items()
            if name.startswith("lunex_push_samples_dropped_total")])

    def test_a_queue_that_cannot_be_opened_is_in_memory(self):
        (self.folder / "file").write_text("x")
        up = self.upstream(Answer(204))
        lunex = self.serve(up.url + "/write", 'queue = "file",')
        up.wait_requests(2)
        lunex.wait_log("level=error msg=\"the queue is in memory\""
                       ".*file")
