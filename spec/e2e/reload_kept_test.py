# SPDX-License-Identifier: Apache-2.0
"""What a reload does to series that are kept, that last for a time, and that
have constant labels."""

import re

from spec.e2e.lunex import Case

SCRIPT = """-- version %(version)d
local metric = require "metric"
return {
  name = "app",
  labels = { %(labels)s },
  metrics = {
    app_version = metric.gauge "V.",
    app_asked_total = metric.counter { "A.", labels = { "by" }, ttl = 300 },
    app_seconds = metric.histogram { "S.", buckets = { 1 }, keep = true },
    app_told = metric.gauge { "T.", labels = { "by" }, ttl = 300 },
    app_kept = metric.gauge { "K.", keep = true },
  },
  routes = {
    ["GET /ask/:by"] = function(request, m)
      m.app_asked_total:inc(1, request.params.by)
      m.app_seconds:observe(0.5)
      m.app_told:set(7, request.params.by)
      return "asked"
    end,
  },
  collect = function(m)
    m.app_version:set(%(version)d)
    assert(not io.open("%(broken)s"), "the source is broken")
    m.app_kept:set(%(version)d)
  end,
}
"""


class Kept(Case):
    def write(self, version, labels=""):
        return self.script(SCRIPT % {
            "version": version, "labels": labels,
            "broken": self.folder / "broken"})

    def reload(self, lunex, version, labels=""):
        before = len(lunex.lines)
        self.write(version, labels)
        lunex.wait_log("exporter reloaded", after=before)
        return lunex.samples()

    def names(self, page):
        """Of the series that the script sets and counts."""
        return {name for name in page if re.match(
            "app_(version|asked|seconds|told|kept)", name)}

    def test_what_was_counted_goes_on_with_its_ttl(self):
        lunex = self.lunex(self.write(1))
        for _ in range(3):
            lunex.get("/ask/me")
        page = self.reload(lunex, 2)
        self.assertEqual(2, page["app_version"])
        self.assertEqual(3, page['app_asked_total{by="me"}'])
        self.assertEqual(3, page["app_seconds_count"])
        lunex.get("/ask/me")
        page = self.reload(lunex, 3)
        self.assertEqual(4, page['app_asked_total{by="me"}'])
        self.assertEqual(4, page['app_seconds_bucket{le="1"}'])

    def test_what_was_set_is_the_new_versions_to_say(self):
        lunex = self.lunex(self.write(1))
        lunex.get("/ask/me")
        self.assertEqual(7, lunex.samples()['app_told{by="me"}'])
        self.assertNotIn('app_told{by="me"}', self.reload(lunex, 2))

    def test_kept_values_stay_until_there_is_a_new_version(self):
        lunex = self.lunex(self.write(1))
        self.assertEqual(1, lunex.samples()["app_kept"])
        (self.folder / "broken").touch()
        page = lunex.samples()
        self.assertEqual((0, 1), (page["app_up"], page["app_kept"]))
        page = self.reload(lunex, 2)  # nothing is lost: it failed before
        self.assertEqual(0, page["app_up"])
        self.assertNotIn("app_kept", page)
        (self.folder / "broken").unlink()
        self.assertEqual(2, lunex.samples()["app_kept"])

    def test_a_version_that_fails_takes_nothing_from_one_that_does_not(self):
        lunex = self.lunex(self.write(1))
        lunex.get("/ask/me")
        self.assertEqual(1, lunex.samples()["app_kept"])
        (self.folder / "broken").touch()
        # Collected at a scrape, it has not noticed yet.
        before = len(lunex.lines)
        self.write(2)
        lunex.wait_log("reload failed; what ran before goes on", after=before)
        page = lunex.samples()
        self.assertEqual((0, 1), (page["app_up"], page["app_kept"]))
        self.assertEqual(1, page['app_asked_total{by="me"}'])

    def test_other_constant_labels_are_other_series(self):
        lunex = self.lunex(self.write(1, 'site = "a", rack = "1"'))
        lunex.get("/ask/me")
        page = self.reload(lunex, 2, 'site = "b", rack = "1"')
        asked = 'app_asked_total{by="me",rack="1",site="%s"}'
        self.assertFalse([name for name in self.names(page)
                          if 'site="a"' in name], page)
        self.assertNotIn(asked % "b", page)
        lunex.get("/ask/me")
        lunex.get("/ask/me")
        page = self.reload(lunex, 3, 'rack = "1", site = "b"')
        self.assertEqual(2, page[asked % "b"])
        page = self.reload(lunex, 4)
        self.assertEqual({"app_version", "app_kept"}, self.names(page))

    def test_constant_labels_become_labels(self):
        """A label that the family takes over is no constant one any more."""
        lunex = self.lunex(self.write(1, 'site = "a"'))
        lunex.get("/ask/me")
        text = SCRIPT.replace('labels = { "by" }, ttl = 300 },\n    app_seconds',
                              'labels = { "by", "site" } },\n    app_seconds')
        text = text.replace(':inc(1, request.params.by)',
                            ':inc(1, request.params.by, "a")')
        before = len(lunex.lines)
        self.script(text % {"version": 2, "labels": "",
                            "broken": self.folder / "broken"})
        lunex.wait_log("exporter reloaded", after=before)
        asked = 'app_asked_total{by="me",site="a"}'
        self.assertNotIn(asked, lunex.samples())
        lunex.get("/ask/me")
        self.assertEqual(1, lunex.samples()[asked])
