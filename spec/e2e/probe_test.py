# SPDX-License-Identifier: Apache-2.0
"""/probe as a scraper and a curious person see it."""

import signal
import time
from urllib.parse import urlencode

from spec.e2e.lunex import Answer, Case, Gate, eventually
from spec.e2e.timely import timely

SCRIPT = """
local log = require "log"
local metric = require "metric"
local task = require "task"
local udp = require "udp"
local kept, kept_m, collected
return {
  name = "spec",
  timeout = %(timeout)s,
  labels = { site = "north" },
  config = {
    password = { "hunter2-hunter2", secret = true },
    pin = { 753159, secret = true },
    keys = { { "first-key", "second-key" }, secret = true },
    user = { "monitor" },
  },
  metrics = {
    spec_value = metric.gauge { "A value.", labels = { "target" } },
    spec_runs_total = metric.counter { "Runs.", labels = { "what" } },
  },
  collect = function(m)
    m.spec_value:set(1, "collected")
    m.spec_runs_total:inc("collect")
    collected = m.spec_value:with "collected"
    if kept_m then kept_m.spec_value:set(4, "x") end
  end,
  probe = function(m, target, config, params)
    log.debug("begins as " .. config.user, { password = config.password })
    log.debug("has " .. config.pin .. " and " .. config.keys[2])
    m.spec_runs_total:inc("probe")
    m.spec_value:set(2, target)
    if target == "wait" then
      %(gate)s
    elseif target == "night" then
      task.sleep(30)
    elseif target == "down" then
      error("refused with " .. config.password)
    elseif target == "params" then
      for name, value in pairs(params) do
        m.spec_value:set(value, name)
      end
    elseif target == "keep" then
      kept, kept_m = m.spec_value:with "kept", m
    elseif target == "child" then
      collectgarbage()
      kept:set(3)
    elseif target == "family" then
      kept_m.spec_value:set(3, "x")
    elseif target == "outer" then
      collected:set(5)
    elseif target == "hold" then
      kept_m = m
      %(gate)s
      kept_m = nil
    elseif target == "name" then
      return kept_m.spec_nothing
    end
  end,
}
"""
HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
UP = 'probe_success{site="north"}'
TOOK = 'probe_duration_seconds{site="north"}'


def value(target):
    return f'spec_value{{target="{target}",site="north"}}'


class Probe(Case):
    def start(self, timeout=10, text=None):
        self.gate = Gate(self)
        return self.lunex(self.script((text or SCRIPT) % {
            "timeout": timeout, "gate": self.gate.lua}))

    def probe(self, lunex, headers=None, **parameters):
        return lunex.get("/probe?" + urlencode(parameters), headers)

    def test_an_answer_has_the_families_of_this_probe_alone(self):
        lunex = self.start()
        lunex.samples()
        for _ in range(3):
            answer = self.probe(lunex, exporter="spec", target="a")
            self.assertEqual(200, answer.status)
            self.assertIn("text/plain; version=0.0.4",
                          answer.headers["Content-Type"])
            page = answer.samples
            self.assertGreater(page.pop(TOOK), 0)
            self.assertEqual({
                UP: 1, value("a"): 2,
                'spec_runs_total{what="probe",site="north"}': 1}, page)
        page = lunex.samples()
        self.assertEqual(1, page[value("collected")])
        self.assertNotIn(value("a"), page)
        self.assertNotIn(UP, page)
        self.assertNotIn('spec_runs_total{what="probe",site="north"}', page)

    def test_the_only_exporter_needs_no_name(self):
        lunex = self.start()
        self.assertEqual(1, self.probe(lunex, target="a").samples[UP])

    def test_an_answer_is_compressed_if_that_is_wanted(self):
        lunex = self.start()
        answer = self.probe(lunex, {"Accept-Encoding": "gzip"}, target="a")
        self.assertEqual("gzip", answer.headers["Content-Encoding"])
        self.assertEqual(1, answer.samples[UP])

    def test_a_probe_that_fails_is_an_answer_without_its_families(self):
        lunex = self.start()
        for _ in range(2):
            answer = self.probe(lunex, target="down")
            self.assertEqual(200, answer.status)
            self.assertEqual({UP, TOOK}, set(answer.samples))
            self.assertEqual(0, answer.samples[UP])
        lunex.wait_log(r'"a probe failed" exporter=spec error=".*script\.lua:')
        self.assertEqual(1, lunex.log.count("a probe failed"))

    @timely
    def test_a_probe_ends_at_the_deadline_of_the_scrape(self):
        lunex = self.start()
        started = time.monotonic()
        answer = self.probe(lunex, {HEADER: "1.5"}, target="night")
        took = time.monotonic() - started
        self.assertLess(took, 1.5)
        self.assertGreater(took, 0.9)
        self.assertEqual(0, answer.samples[UP])
        self.assertGreater(answer.samples[TOOK], 0.9)

    @timely
    def test_a_probe_ends_at_the_timeout_of_the_exporter(self):
        lunex = self.start(timeout=0.5)
        answer = self.probe(lunex, {HEADER: "30"}, target="night")
        self.assertEqual(0, answer.samples[UP])
        self.assertLess(answer.samples[TOOK], 1)

    def test_probes_run_side_by_side_and_beside_collections(self):
        lunex = self.start()
        waiting = []
        for _ in range(64):
            connection = lunex.connect()
            self.addCleanup(connection.close)
            connection.request("GET", "/probe?target=wait")
            waiting.append(connection)
        addresses = [self.gate.arrival() for _ in waiting]
        self.assertEqual(1, lunex.samples()[value("collected")])
        answer = self.probe(lunex, target="a")
        self.assertEqual(503, answer.status)
        self.assertEqual("1", answer.headers["Retry-After"])
        for address in addresses:
            self.gate.open(address)
        for connection in waiting:
            page = Answer(connection.getresponse()).samples
            self.assertEqual(1, page[UP])
            self.assertEqual(
                1, page['spec_runs_total{what="probe",site="north"}'])
        self.assertEqual(1, self.probe(lunex, target="a").samples[UP])

    def test_a_client_may_go_away(self):
        lunex = self.start()
        for _ in range(5):
            connection = lunex.connect()
            connection.request("GET", "/probe?target=wait")
            address = self.gate.arrival()
            connection.close()
            self.gate.open(address)
        self.assertEqual(1, self.probe(lunex, target="a").samples[UP])

    def test_what_is_asked_for_must_be_there(self):
        lunex = self.start()
        for query, status, sentence in (
                ("exporter=spec", 400, "the parameter 'target' is missing"),
                ("target=", 400, "the parameter 'target' is missing"),
                ("exporter=x&target=a", 404, "there are: spec"),
                ("exporter=&target=a", 404, "there are: spec"),
                ("target=a&profile=b", 404,
                 "no profile of that name; there are none"),
                ("target=https://u:p@h/", 400, "credentials do not belong"),
                ("target=u:p@h:1", 400, "credentials do not belong")):
            answer = lunex.get("/probe?" + query)
            self.assertEqual(status, answer.status, query)
            self.assertIn(sentence, answer.text)
            self.assertEqual(1, answer.text.count("\n"))
        self.assertEqual(
            200, lunex.get("/probe?target=https://h/a@b").status)
        self.assertEqual(405, lunex.get("/probe", method="POST").status)

    def test_an_exporter_without_a_probe_says_so(self):
        lunex = self.start(text="""
            return { name = "plain", timeout = %(timeout)s,
              collect = function() return [[%(gate)s]] end }""")
        answer = self.probe(lunex, exporter="plain", target="a")
        self.assertEqual(
            (400, "that exporter has no probe; there are none\n"),
            (answer.status, answer.text))

    def test_a_script_gets_the_parameters_that_are_not_the_hosts(self):
        lunex = self.start()
        page = self.probe(lunex, target="params", exporter="spec", module=7,
                          x=8, debug="false").samples
        self.assertEqual(7, page[value("module")])
        self.assertEqual(8, page[value("x")])
        self.assertEqual(
            {"module", "x", "params"},
            {n for n in ("module", "x", "params", "target", "exporter",
                         "debug", "profile") if value(n) in page})

    @timely
    def test_debug_shows_the_trace_without_secrets(self):
        lunex = self.start()
        answer = self.probe(lunex, target="down", debug="true")
        self.assertEqual(200, answer.status)
        self.assertEqual("text/plain; charset=utf-8",
                         answer.headers["Content-Type"])
        self.assertRegex(answer.text, r"(?m)^ +\d+\.\d+ ms  probe of down, "
                                      r"at most 10 s$")
        self.assertIn("log debug: begins as monitor password=***\n",
                      answer.text)
        self.assertIn("log debug: has *** and ***\n", answer.text)
        self.assertRegex(answer.text,
                         r"error: .*script\.lua:\d+: refused with \*\*\*\n")
        self.assertNotIn("hunter2", answer.text)
        lunex.wait_log(r'"a probe failed".*refused with \*\*\*"')
        self.assertNotIn("hunter2", lunex.log)
        self.assertIn(UP + " 0\n", answer.text)
        answer = self.probe(lunex, target="a", debug="1")
        self.assertIn("the probe succeeded after 0.0", answer.text)
        self.assertIn(value("a") + " 2\n", answer.text)

    @timely
    def test_debug_shows_how_far_a_late_probe_came(self):
        lunex = self.start(timeout=0.3)
        answer = self.probe(lunex, target="night", debug="true")
        self.assertIn("begins as monitor", answer.text)
        self.assertRegex(answer.text, "error: .*deadline of 0.3 s exceeded")

    def test_metrics_that_a_script_keeps_end_with_their_probe(self):
        lunex = self.start()
        self.assertEqual(1, self.probe(lunex, target="keep").samples[UP])
        for target in ("child", "family", "name"):
            answer = self.probe(lunex, target=target, debug="true")
            self.assertRegex(
                answer.text, r"script\.lua:\d+: this metric belongs to a probe "
                             "that is over")
            self.assertEqual(0, answer.samples[UP])

    def test_a_probe_and_a_collection_cannot_set_for_each_other(self):
        lunex = self.start()
        self.assertEqual(1, lunex.samples()[value("collected")])
        answer = self.probe(lunex, target="outer", debug="true")
        self.assertIn("spec_value: kept from another m", answer.text)
        connection = lunex.connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/probe?target=hold")
        address = self.gate.arrival()
        page = lunex.samples()
        self.assertEqual(0, page['spec_up{site="north"}'])
        lunex.wait_log("spec_value: kept from another m")
        self.gate.open(address)
        page = Answer(connection.getresponse()).samples
        self.assertEqual(1, page[UP])
        self.assertNotIn(value("x"), page)
        self.assertEqual(1, lunex.samples()['spec_up{site="north"}'])

    def test_a_name_of_the_host_is_refused(self):
        for name in ("probe_success", "probe_duration_seconds"):
            lunex = self.ended(self.script("""
                local metric = require "metric"
                return { probe = function() end,
                  metrics = { %s = metric.gauge "x" } }""" % name))
            self.assertEqual(1, lunex.wait())
            lunex.wait_said(f"{name} is set by the host")

    def test_a_script_with_a_probe_alone_is_ready(self):
        lunex = self.lunex(self.script("""
            return { probe = function() end }"""))
        eventually(lambda: lunex.get("/-/ready").status == 200, "it is ready")
        self.assertEqual(1, self.probe(lunex, target="a").samples[
            "probe_success"])

    @timely
    def test_sigterm_ends_a_probe(self):
        gate = Gate(self)
        lunex = self.ended(self.script(SCRIPT % {
            "timeout": 60, "gate": gate.lua}))
        connection = lunex.connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/probe?target=wait")
        gate.arrival()
        started = time.monotonic()
        self.assertEqual(0, lunex.stop(signal.SIGTERM), lunex.log)
        self.assertLess(time.monotonic() - started, 1)
        self.assertEqual(503, Answer(connection.getresponse()).status)
        self.assertNotIn("a probe failed", lunex.log)
        self.assertNotIn("Sanitizer", lunex.log)
