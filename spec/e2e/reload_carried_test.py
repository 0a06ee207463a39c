# SPDX-License-Identifier: Apache-2.0
"""Whatever was counted says the same after a reload, in every format: values,
when it began, exemplars, native buckets and quantiles."""

from spec.e2e.facts import differences
from spec.e2e.formats import FORMS, body_of, readings, scrape
from spec.e2e.lunex import Case
from spec.e2e.strict import OPENMETRICS2
from spec.e2e.truth import UTF8

SCRIPT = """-- version %d
local metric = require "metric"
return {
  name = "app",
  metrics = {
    app_requests_total = metric.counter { "R.", labels = { "method" } },
    app_size_bytes = metric.histogram { "S.", buckets = { 1, 10 } },
    app_seconds = metric.histogram { "T.", native = true, buckets = { 1 } },
    app_wait_seconds = metric.summary { "W.", quantiles = { 0, 0.5, 0.99 } },
    ["app.utf8_total"] = metric.counter { "U.", labels = { "l.m" } },
    app_version = metric.gauge "V.",
  },
  routes = {
    ["POST /work"] = function(_, m)
      for i = 1, 40 do
        local trace = { trace_id = "t" .. i }
        m.app_requests_total:inc(1, i %% 2 == 0 and "GET" or "PUT", trace)
        m.app_size_bytes:observe(i / 2, trace)
        m.app_seconds:observe(i / 8 - 1, trace)
        m.app_wait_seconds:observe(i)
        m["app.utf8_total"]:inc(i, "x", trace)
      end
      return { status = 204 }
    end,
  },
  collect = function(m) m.app_version:set(%d) end,
}
"""
OF_A_VERSION = ("app_version", "app_scrape_duration_seconds",
                "app_last_success_timestamp_seconds")


class Carried(Case):
    def setUp(self):
        super().setUp()
        self.versions = 0
        self.path = self.script(SCRIPT % (0, 0))
        self.lunex = self.lunex(self.path, "--web.enable-lifecycle",
                                "--watch=off")

    def work(self):
        self.assertEqual(204, self.lunex.post("/work", "").status)

    def reload(self):
        self.versions += 1
        self.script(SCRIPT % (self.versions, self.versions))
        answer = self.lunex.post("/-/reload", "")
        self.assertEqual((200, f"reloaded app ({self.path})\n"),
                         (answer.status, answer.text))
        self.assertEqual(self.versions, self.lunex.samples()["app_version"])

    def pages(self):
        """(form, reader) -> facts"""
        return {
            (form, reader): found.without(*OF_A_VERSION)
            for form in FORMS
            for reader, found in readings(
                body_of(scrape(self.lunex, form, UTF8,
                               path="/metrics?exporter=app")), form, UTF8)}

    def check_there_is_all(self, facts):
        """So that the comparison is one of something."""
        found = {what if isinstance(what, str) else what[0]
                 for *_, what in facts}
        self.assertLessEqual(
            {"value", "count", "sum", "created", "bucket", "quantile",
             "exemplar", "schema", "positive", "negative"}, found)

    def test_says_the_same_in_every_format(self):
        self.work()
        before = self.pages()
        self.check_there_is_all(before[OPENMETRICS2, "strict"])
        for _ in range(3):
            self.reload()
            after = self.pages()
            self.assertEqual(set(before), set(after))
            for which, facts in before.items():
                self.assertEqual([], differences(facts, after[which]), which)

    def test_goes_on_from_there(self):
        for works in range(1, 4):
            self.work()
            self.reload()
            page = self.lunex.samples()
            self.assertEqual(
                (20 * works, 40 * works, 40 * works, 820 * works, 2 * works),
                (page['app_requests_total{method="GET"}'],
                 page["app_size_bytes_count"], page["app_seconds_count"],
                 page["app_wait_seconds_sum"],
                 page['app_size_bytes_bucket{le="1"}']))
