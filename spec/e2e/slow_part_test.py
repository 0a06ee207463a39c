# SPDX-License-Identifier: Apache-2.0
"""A script with a slow endpoint and a fast one: the fast part is served, within
the time that the scrape leaves."""

import time

from spec.e2e.answers import Delayed
from spec.e2e.lunex import Case
from spec.e2e.timely import timely
from spec.e2e.upstream import Upstream

SCRIPT = """
local http = require "http"
local metric = require "metric"

local function read(m, config, name)
  local answer = assert(http.get(config.url .. "/" .. name))
  m.parts_value:set(assert(answer:json()).value, name)
end

return {
  name = "parts",
  timeout = 4,
  config = { url = { "", help = "Where the numbers are." } },
  metrics = {
    parts_value = metric.gauge { "What the endpoint says.", labels = { "of" } },
  },
  collect = {
    fast = function(m, config) read(m, config, "fast") end,
    slow = function(m, config) read(m, config, "slow") end,
  },
%s}
"""

FAST = 'parts_value{of="fast"}'
SLOW = 'parts_value{of="slow"}'


def success(samples, part):
    return samples.get(f'parts_scrape_success{{part="{part}"}}')


class SlowPart(Case):
    def setUp(self):
        super().setUp()
        self.up = Upstream()
        self.addCleanup(self.up.close)
        self.up.answer("GET", "/fast", Delayed(0.05, {"value": 1}))
        self.up.answer("GET", "/slow", Delayed(5, {"value": 2}))

    def start(self, more=""):
        return self.lunex(self.script(SCRIPT % more), "--url", self.up.url)

    @timely
    def test_a_scrape_of_2_s_gets_the_fast_part_in_time(self):
        process = self.start()
        process.wait_log("listening")
        started = time.monotonic()
        answer = process.get(
            headers={"X-Prometheus-Scrape-Timeout-Seconds": "2"})
        seconds = time.monotonic() - started
        self.assertEqual(200, answer.status)
        self.assertLess(seconds, 2)
        self.assertEqual(1, answer.samples[FAST])
        self.assertNotIn(SLOW, answer.samples)
        self.assertEqual(0, answer.samples["parts_up"])
        self.assertEqual(1, success(answer.samples, "fast"))
        self.assertEqual(0, success(answer.samples, "slow"))
        process.wait_said(f"GET {self.up.url}/slow: ")

    @timely
    def test_on_schedule_the_fast_part_is_on_every_page(self):
        process = self.start('  interval = 0.5,\n')
        process.page_with(lambda page: FAST in page, "the fast part")
        for _ in range(50):
            started = time.monotonic()
            page = process.samples()
            self.assertLess(time.monotonic() - started, 1)
            self.assertEqual(1, page[FAST])
        page = process.page_with(
            lambda page: success(page, "slow") == 0, "the slow part failed")
        self.assertEqual(1, page[FAST])
