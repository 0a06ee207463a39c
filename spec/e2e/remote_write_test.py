# SPDX-License-Identifier: Apache-2.0
"""`push` of type remote_write: to a real Prometheus and a real VictoriaMetrics
that go away in the middle, and to stand-ins that have no time or no wish.
OUTAGE_SECONDS says how long a receiver is gone (6)."""

import os
import re
import signal
import time

from spec.e2e.answers import Answer, RetryAfter, Sequence, Stall
from spec.e2e.lunex import DEADLINE, Case, eventually
from spec.e2e.receivers import Prometheus, VictoriaMetrics
from spec.e2e.upstream import Upstream

OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "6"))
INTERVAL = 0.5
SECRET = "hunter2-of-a-file"

# Collected when it is asked: each tick is one more.
COUNT = """\
local metric = require "metric"

return {
  name = "count",
  config = { series = { 1 } },
  metrics = {
    count_collections_total = metric.counter { "Collections." },
    count_value = metric.gauge { "A value.", labels = { "number" } },
  },
  collect = function(m, config)
    m.count_collections_total:inc()
    for i = 1, config.series do
      m.count_value:set(math.random(), i)
    end
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
        self.script(COUNT, "count")

    def configuration(self, url, options="", entry="", script="count"):
        path = self.folder / "lunex.lua"
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


def collections(lunex):
    """How many there were, as the page at / has it, which asks nobody."""
    row = re.search(r'exporter=count">count</a></td><td class="n">\d+</td>'
                    r'<td class="n">(\d+)', lunex.get("/").text)
    return int(row[1])


def counted(receiver):
    """[(milliseconds, value)], of the only series."""
    series = receiver.raw("count_collections_total")
    if not series:
        return []
    assert len(series) == 1, series
    labels = dict(*series.keys())
    assert labels["job"] == "count" and labels["instance"], labels
    return sorted(set(*series.values()))


class Outage:
    """The same for each kind of receiver."""

    def wait_collections(self, lunex, least):
        eventually(lambda: collections(lunex) >= least,
                   f"{least} collections\n{lunex.log}", OUTAGE + DEADLINE)

    def wait_counted(self, receiver, condition, lunex):
        eventually(lambda: condition(counted(receiver)), "samples have come\n"
                   + lunex.log, OUTAGE + DEADLINE)

    def check_times(self, samples):
        """Nothing is missing: a tick after the other, an interval apart."""
        times = [at for at, _ in samples]
        gaps = [b - a for a, b in zip(times, times[1:])]
        self.assertTrue(all(gap > 0 for gap in gaps), gaps)
        self.assertTrue(all(gap < 2.9 * INTERVAL * 1000 for gap in gaps), gaps)
        self.assertAlmostEqual(
            INTERVAL * 1000, (times[-1] - times[0]) / len(gaps),
            delta=0.1 * INTERVAL * 1000 + 500 / len(gaps))

    def test_every_sample_is_there_after_an_outage(self):
        receiver = self.receiver(self)
        lunex = self.serve(receiver.url + receiver.WRITE)
        self.wait_counted(receiver, lambda s: len(s) >= 3, lunex)
        receiver.stop()
        before = collections(lunex)
        self.wait_collections(lunex, before + OUTAGE / INTERVAL)
        self.assertEqual(1, lunex.log.count("the target does not answer"))
        receiver.start()
        self.wait_counted(receiver, lambda s: len(s) > collections(lunex) - 2,
                          lunex)
        lunex.wait_log("pushing again")
        self.assertEqual(0, lunex.stop())
        samples = counted(receiver)
        self.assertGreater(len(samples), before + OUTAGE / INTERVAL)
        self.assertEqual(list(range(1, len(samples) + 1)),
                         [value for _, value in samples])
        self.check_times(samples[:-1])  # the last page is no tick's

    def outlive(self, end):
        """Runs without a receiver, ends by END(lunex), runs again with one.
        The samples of both, and how many the first had at least."""
        receiver = self.receiver(self, started=False)
        options = 'queue = "queue",'
        url = receiver.url + receiver.WRITE
        first = self.ended("--config", self.configuration(url, options),
                           listen="127.0.0.1:0")
        self.wait_collections(first, OUTAGE / INTERVAL)
        seen = collections(first)
        self.wait_collections(first, seen + 1)
        end(first)
        receiver.start()
        second = self.serve(url, options)
        self.wait_counted(receiver, lambda s: sum(
            value == 2 for _, value in s) == 2, second)
        self.assertEqual(0, second.stop())
        samples = counted(receiver)
        values = [int(value) for _, value in samples]
        begin = len(values) - values[::-1].index(1) - 1
        self.assertEqual(list(range(1, begin + 1)), values[:begin])
        self.assertEqual(list(range(1, len(values) - begin + 1)),
                         values[begin:])
        self.assertGreaterEqual(begin, seen)
        self.check_times(samples[:begin - 1])
        return seen, begin

    def test_a_queue_on_disk_survives_a_sudden_end(self):
        self.outlive(lambda lunex: (lunex.process.kill(), lunex.wait()))

    def test_a_queue_on_disk_survives_a_restart(self):
        def end(lunex):
            self.asked = collections(lunex)
            begin = time.monotonic()
            self.assertEqual(0, lunex.stop())
            self.assertLess(time.monotonic() - begin, 7)
        _, begin = self.outlive(end)
        self.assertGreaterEqual(begin, self.asked + 1)  # the last page


class ToPrometheus(Outage, Written):
    receiver = Prometheus

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


class ToVictoriaMetrics(Outage, Written):
    receiver = VictoriaMetrics


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
        told = [line for line in lunex.lines if "cannot take" in line]
        self.assertEqual(1, len(told), lunex.log)
        self.assertIn("500 Internal Server Error: no disk is left", told[0])
        self.wait_series(lunex, "es_total", 'result="busy"', 3)
        self.assertEqual(3, self.series(lunex, "es_total", 'result="busy"'))

    def test_a_pause_that_is_asked_for_is_kept(self):
        up = self.upstream(RetryAfter(2), Answer(204))
        self.serve(up.url + "/write")
        up.wait_requests(2)
        first, second = up.requests[:2]
        self.assertEqual(first.body, second.body)
        self.assertTrue(1.9 < second.time - first.time < 5)

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
        self.assertIn("samples are lost: the queue was in memory", lunex.log)

    def test_what_is_in_memory_is_told_to_be_lost_at_the_end(self):
        up = self.upstream(Stall())
        lunex = self.serve(up.url + "/write", "timeout = 60,")
        up.wait_requests(1)
        self.assertEqual(0, lunex.stop())
        self.assertIn("the last push did not end in time", lunex.log)
        self.assertIn("samples are lost: the queue was in memory", lunex.log)

    def test_a_full_queue_drops_the_oldest_and_says_so_once(self):
        up = self.upstream(Stall())
        lunex = self.serve(up.url + "/write", "queue_bytes = 2^20,",
                           "config = { series = 30000 },")
        self.wait_series(lunex, "_samples_dropped_total", 'reason="full"',
                         60000)
        self.assertLess(self.series(lunex, "_queue_bytes"), (1 << 20) + 1)
        self.assertEqual(1, lunex.log.count("the queue is full"))

    def test_a_queue_that_cannot_be_opened_is_in_memory(self):
        (self.folder / "file").write_text("x")
        up = self.upstream(Answer(204))
        lunex = self.serve(up.url + "/write", 'queue = "file",')
        up.wait_requests(2)
        self.assertRegex(lunex.log, "level=error msg=\"the queue is in memory\""
                         ".*file")
