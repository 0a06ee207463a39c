# SPDX-License-Identifier: Apache-2.0
"""Collections as a scraper sees them: shared, in time, apart, at the end."""

import signal
import threading
import time

from spec.e2e.lunex import Answer, Case, Gate, eventually
from spec.e2e.timely import timely

GATED = """
local metric = require "metric"
local udp = require "udp"
return {
  name = "gated",
  timeout = 60,
  metrics = { gated_runs_total = metric.counter { "Collections." } },
  collect = function(m)
    m.gated_runs_total:inc()
    %s
  end,
}
"""
PARTS = """
local metric = require "metric"
local task = require "task"
return {
  name = "parts",
  timeout = 60,
  metrics = {
    parts_fast = metric.gauge { "Set by the part that is fast." },
    parts_slow = metric.gauge { "Set by the part that is slow." },
    parts_closed_total = metric.counter { "The slow part cleaned up." },
  },
  collect = {
    fast = function(m) m.parts_fast:set(1) end,
    slow = function(m)
      local closing <close> = setmetatable({}, {
        __close = function() m.parts_closed_total:inc() end,
      })
      m.parts_slow:set(1)
      task.sleep(30)
    end,
  },
}
"""
APART = """
local metric = require "metric"
return {
  name = "apart",
  metrics = {
    apart_good = metric.gauge { "Set by the good part." },
    apart_bad = metric.gauge { "Set by the bad part, before it fails." },
  },
  collect = {
    good = function(m) m.apart_good:set(1) end,
    bad = function(m)
      m.apart_bad:set(1)
      error "the bad part is bad"
    end,
  },
}
"""
WINDOW = """
local metric = require "metric"
return {
  name = "window",
  interval = 3600,
  metrics = {
    window_bytes = metric.summary {
      "Sizes.", quantiles = { 0.5 }, window = 0.5,
    },
  },
  collect = function(m) m.window_bytes:observe(3) end,
}
"""
HEADER = "X-Prometheus-Scrape-Timeout-Seconds"


class Scrape(Case):
    def test_simultaneous_scrapes_share_one_collection(self):
        gate = Gate(self)
        lunex = self.lunex(self.script(GATED % gate.lua))
        connections = []
        for _ in range(8):
            connection = lunex.connect()
            self.addCleanup(connection.close)
            connection.request("GET", "/metrics")
            connections.append(connection)
        address = gate.arrival()
        # Whoever is answered now came after all of them.
        self.assertEqual(200, lunex.get("/-/healthy").status)
        gate.open(address)
        for connection in connections:
            answer = connection.getresponse()
            self.assertEqual(200, answer.status)
            self.assertIn("\ngated_runs_total 1\n", answer.read().decode())
        self.assertFalse(gate.arrived())

    def test_a_scrape_that_comes_later_has_a_collection_of_its_own(self):
        gate = Gate(self)
        lunex = self.lunex(self.script(GATED % gate.lua))
        for run in range(1, 4):
            opener = threading.Thread(target=lambda: gate.open(gate.arrival()))
            opener.start()
            page = lunex.samples()
            opener.join()
            self.assertEqual(run, page["gated_runs_total"])

    @timely
    def test_a_slow_part_is_cancelled_in_time_and_the_fast_one_is_served(self):
        lunex = self.lunex(self.script(PARTS))
        started = time.monotonic()
        answer = lunex.get("/metrics", {HEADER: "1.5"})
        self.assertLess(time.monotonic() - started, 1.5)
        self.assertEqual(200, answer.status)
        page = answer.samples
        self.assertEqual(1, page["parts_fast"])
        self.assertNotIn("parts_slow", page)
        self.assertEqual(1, page["parts_closed_total"])
        self.assertEqual(0, page["parts_up"])
        self.assertEqual(1, page['parts_scrape_success{part="fast"}'])
        self.assertEqual(0, page['parts_scrape_success{part="slow"}'])
        self.assertLess(page['parts_scrape_duration_seconds{part="fast"}'], 0.9)
        self.assertGreater(
            page['parts_scrape_duration_seconds{part="slow"}'], 0.5)

    def test_a_window_goes_on_without_collections(self):
        lunex = self.lunex(self.script(WINDOW))
        eventually(lambda: 'window_bytes{quantile="0.5"} NaN\n'
                   in lunex.get().text, "the window is empty")
        self.assertIn("window_bytes_sum 3\n", lunex.get().text)

    def test_nonsense_in_the_timeout_header_is_no_timeout(self):
        gate = Gate(self)
        lunex = self.lunex(self.script(GATED % gate.lua))
        for value in ("", "x", "-1", "nan", "1e999", "0x"):
            opener = threading.Thread(target=lambda: gate.open(gate.arrival()))
            opener.start()
            answer = lunex.get("/metrics", {HEADER: value})
            opener.join()
            self.assertEqual(200, answer.status)
            self.assertEqual(1, answer.samples["gated_up"], value)

    def test_parts_fail_apart(self):
        lunex = self.lunex(self.script(APART, "apart"))
        page = lunex.samples()
        self.assertEqual(1, page["apart_good"])
        self.assertNotIn("apart_bad", page)
        self.assertEqual(0, page["apart_up"])
        self.assertEqual(1, page['apart_scrape_success{part="good"}'])
        self.assertEqual(0, page['apart_scrape_success{part="bad"}'])
        lunex.wait_log(r"apart\.lua:\d+: the bad part is bad")

    def test_a_scrape_that_cannot_wait_gets_no_values_of_an_earlier_one(self):
        gate = Gate(self)
        lunex = self.lunex(self.script(GATED % gate.lua))
        patient = lunex.connect()
        self.addCleanup(patient.close)
        for run in (1, 2):
            patient.request("GET", "/metrics")
            address = gate.arrival()
            # It shares the collection of the other, but has less time.
            answer = lunex.get("/metrics", {HEADER: "0.2"})
            self.assertEqual(200, answer.status)
            self.assertFalse(
                [n for n in answer.samples if n.startswith("gated_")])
            answer = lunex.get("/metrics?exporter=gated", {HEADER: "0.2"})
            self.assertEqual(503, answer.status)
            gate.open(address)
            answer = Answer(patient.getresponse())
            self.assertEqual(run, answer.samples["gated_runs_total"])
            self.assertEqual(1, answer.samples["gated_up"])

    def test_a_client_that_goes_away_does_not_end_the_collection(self):
        gate = Gate(self)
        lunex = self.lunex(self.script(GATED % gate.lua))
        connection = lunex.connect()
        connection.request("GET", "/metrics")
        address = gate.arrival()
        connection.close()
        gate.open(address)
        eventually(lambda: lunex.get("/-/ready").status == 200, "it is over")

    def test_the_interval_can_be_set_by_the_operator(self):
        gate = Gate(self)
        self.lunex(self.script(GATED % gate.lua), "--interval=0.05")
        for _ in range(3):
            gate.open(gate.arrival())


class Descriptors(Case):
    @timely
    def test_running_out_of_them_is_over_when_there_are_some_again(self):
        lunex = self.lunex(self.script(PARTS), "--timeout=0.1",
                           "--watch=off")
        with lunex.few_descriptors(1):  # looking for a second fails
            for _ in range(3):
                self.assertEqual(1, lunex.samples()["parts_fast"])
        self.assertEqual(1, lunex.samples()["parts_fast"])


class Stop(Case):
    def stopped_during_a_scrape(self, number):
        gate = Gate(self)
        lunex = self.ended(self.script(GATED % gate.lua))
        connection = lunex.connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics")
        gate.arrival()
        started = time.monotonic()
        self.assertEqual(0, lunex.stop(number), lunex.log)
        self.assertLess(time.monotonic() - started, 1)
        try:
            answer = connection.getresponse()
            answer.read()
            self.assertIn(answer.status, (200, 503))
        except (ConnectionError, OSError):
            pass  # closed: http.client.RemoteDisconnected is one of these
        self.assertNotIn("Sanitizer", lunex.log)

    @timely
    def test_sigterm_ends_a_scrape_that_is_collecting(self):
        self.stopped_during_a_scrape(signal.SIGTERM)

    @timely
    def test_sigint_ends_a_scrape_that_is_collecting(self):
        self.stopped_during_a_scrape(signal.SIGINT)

    @timely
    def test_sigterm_while_nobody_asks_is_status_0(self):
        lunex = self.ended(self.script(PARTS))
        self.assertGreater(lunex.port, 0)
        started = time.monotonic()
        self.assertEqual(0, lunex.stop(), lunex.log)
        self.assertLess(time.monotonic() - started, 1)

    @timely
    def test_sigterm_with_idle_connections_is_status_0(self):
        lunex = self.ended(self.script(APART))
        for _ in range(5):
            connection = lunex.connect()
            self.addCleanup(connection.close)
            connection.request("GET", "/-/healthy")
            connection.getresponse().read()
        started = time.monotonic()
        self.assertEqual(0, lunex.stop(), lunex.log)
        self.assertLess(time.monotonic() - started, 1)
