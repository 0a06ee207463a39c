# SPDX-License-Identifier: Apache-2.0
"""Scripts that go wrong end their own collection, and nothing else."""

import time

from spec.e2e.lunex import Case, eventually
from spec.e2e.timely import timely

SCRIPT = """
local metric = require "metric"
local task = require "task"
local runs = 0
return {
  name = "wrong",
  limits = { cpu = 0.3, memory = 48 * 1024 * 1024, series = 1000 },
  metrics = {
    wrong_value = metric.gauge { "A value.", labels = { "number" } },
    wrong_runs_total = metric.counter { "Collections." },
  },
  collect = function(m)
    runs = runs + 1
    m.wrong_runs_total:inc()
    if runs %% 2 == 1 then
      %s
    end
  end,
}
"""


class Wrong(Case):
    def check(self, code, *patterns):
        """CODE fails every other collection; the ones between are fine."""
        lunex = self.lunex(self.script(SCRIPT % code, "wrong"))
        for run in (1, 3):
            page = lunex.samples()
            self.assertEqual((0, run),
                             (page["wrong_up"], page["wrong_runs_total"]))
            self.assertFalse([n for n in page if n.startswith("wrong_value")])
            page = lunex.samples()
            self.assertEqual((1, run + 1),
                             (page["wrong_up"], page["wrong_runs_total"]))
        for pattern in patterns:
            lunex.wait_log(pattern)
        self.assertEqual(200, lunex.get("/-/healthy").status)

    def test_an_error_is_logged_with_its_place(self):
        self.check('error "this went wrong"',
                   r"wrong\.lua:\d+: this went wrong")

    def test_an_error_that_is_no_string(self):
        self.check("error { code = 3 }", "table")

    def test_an_undeclared_metric_is_named_with_the_one_that_was_meant(self):
        self.check("m.wrong_valu:set(1, 'x')",
                   r"wrong\.lua:\d+: .*wrong_valu'.*did you mean 'wrong_value'")

    def test_a_mistyped_global_is_named(self):
        self.check("tsak.sleep(1)", r"wrong\.lua:\d+: .*tsak")

    def test_a_loop_without_end(self):
        self.check("while true do end", r"wrong\.lua:\d+: ")

    def test_a_loop_without_end_that_catches_errors(self):
        self.check("while true do pcall(function() while true do end end) end",
                   r"collection failed")

    def test_a_script_that_eats_memory(self):
        self.check('local s = "x" while true do s = s .. s end', "memory")

    def test_a_table_that_eats_memory(self):
        self.check("local t = {} while true do t[#t + 1] = {} end", "memory")

    def test_a_recursion_without_end(self):
        self.check("local function f() return 1 + f() end f()",
                   "stack overflow|memory limit")

    def test_too_many_series(self):
        self.check("for i = 1, 1001 do m.wrong_value:set(1, i) end",
                   r"wrong\.lua:\d+: .*wrong_value")

    def test_a_wait_where_there_is_none(self):
        self.check("table.sort({ 2, 1 }, function() task.sleep(0) end)",
                   r"wrong\.lua:\d+: .*not possible here")


class Stuck(Case):
    """A pattern that takes years is one call into C: nothing can end it."""

    SCRIPT = """
      local metric = require "metric"
      local runs = 0
      return {
        name = "stuck",
        metrics = { stuck_runs = metric.gauge { "Collections." } },
        collect = function(m)
          runs = runs + 1
          m.stuck_runs:set(runs)
          if runs == 2 then
            string.find(("a"):rep(500), ("a*"):rep(9) .. "b")
          end
        end,
      }
    """

    def stops(self, lunex):
        started = time.monotonic()
        self.assertEqual(0, lunex.stop(), lunex.log)
        self.assertLess(time.monotonic() - started, 1)

    @timely
    def test_the_last_page_is_served_and_the_script_reported(self):
        lunex = self.lunex(self.script(self.SCRIPT), "--interval=0.2")
        page = lunex.page_with(
            lambda p: p.get('lunex_exporter_stalled{exporter="stuck"}') == 1,
            "it is reported")
        self.assertEqual(1, page["stuck_runs"])
        lunex.wait_log("exporter=stuck")
        self.assertEqual(200, lunex.get("/-/healthy").status)
        self.stops(lunex)

    @timely
    def test_a_scrape_that_waits_for_it_is_answered_in_time(self):
        lunex = self.lunex(self.script(self.SCRIPT))
        self.assertEqual(1, lunex.samples()["stuck_runs"])
        for _ in range(2):
            started = time.monotonic()
            answer = lunex.get("/metrics", {
                "X-Prometheus-Scrape-Timeout-Seconds": "2"})
            self.assertLess(time.monotonic() - started, 2)
            self.assertEqual(200, answer.status)
            self.assertNotEqual(2, answer.samples.get("stuck_runs"))
        self.stops(lunex)

    @timely
    def test_without_a_header_its_own_timeout_is_waited_for_and_no_more(self):
        lunex = self.lunex(self.script(self.SCRIPT), "--timeout=0.5")
        self.assertEqual(1, lunex.samples()["stuck_runs"])
        started = time.monotonic()
        answer = lunex.get("/metrics")
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual(200, answer.status)
        self.assertNotIn("stuck_runs", answer.samples)
        answer = lunex.get("/metrics?exporter=stuck")
        self.assertLess(time.monotonic() - started, 8)
        self.assertEqual(503, answer.status)
        self.stops(lunex)

    @timely
    def test_one_that_was_stuck_for_longer_is_not_waited_for_again(self):
        lunex = self.lunex(self.script(self.SCRIPT))
        lunex.samples()
        header = {"X-Prometheus-Scrape-Timeout-Seconds": "1.5"}
        self.assertEqual(200, lunex.get("/metrics", header).status)
        started = time.monotonic()
        answer = lunex.get("/metrics", header)
        self.assertLess(time.monotonic() - started, 0.8)
        self.assertNotIn("stuck_runs", answer.samples)
        self.assertEqual(
            1, answer.samples['lunex_exporter_stalled{exporter="stuck"}'])
        self.stops(lunex)

    @timely
    def test_a_script_that_is_stuck_while_it_loads_can_be_stopped(self):
        # It is loaded twice: to see its flags, and in its own thread.
        first, second = self.folder / "first", self.folder / "second"
        lunex = self.ended(self.script(f"""
          local file = io.open("{first}")
          if file then
            file:close()
            assert(io.open("{second}", "w")):close()
            string.find(("a"):rep(500), ("a*"):rep(9) .. "b")
          end
          assert(io.open("{first}", "w")):close()
          return {{ collect = function() end }}
        """))
        eventually(second.exists, "the second load")
        self.stops(lunex)


class Start(Case):
    def test_once_fails_when_start_does(self):
        lunex = self.ended("once", self.script("""
          return { name = "wrong", start = function() error "no" end }
        """, "wrong"), listen=None)
        self.assertEqual(1, lunex.wait())
        lunex.wait_said("wrong: start failed")

    def test_a_start_that_fails_is_logged_and_tried_again(self):
        lunex = self.lunex(self.script("""
          local metric = require "metric"
          local task = require "task"
          local tries = 0
          return {
            name = "wrong",
            metrics = { wrong_tries = metric.gauge { "Tries." } },
            start = function(m)
              tries = tries + 1
              m.wrong_tries:set(tries)
              if tries == 1 then error "not yet" end
              task.sleep(1000)
            end,
          }
        """, "wrong"))
        lunex.wait_log(r"wrong\.lua:\d+: not yet")
        lunex.page_with(lambda p: p.get("wrong_tries") == 2 and
                        p["wrong_up"] == 1, "the second try")

    def test_values_set_in_start_appear_at_once(self):
        lunex = self.lunex(self.script("""
          local metric = require "metric"
          local task = require "task"
          return {
            name = "live",
            metrics = { live_count = metric.gauge { "Counts." } },
            start = function(m)
              for i = 1, math.huge do
                m.live_count:set(i)
                task.sleep(0.01)
              end
            end,
          }
        """))
        first = lunex.samples()["live_count"]
        eventually(lambda: lunex.samples()["live_count"] > first, "it counts")
