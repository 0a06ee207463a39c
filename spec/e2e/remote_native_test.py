# SPDX-License-Identifier: Apache-2.0
"""Native histograms and exemplars by remote write: to a real Prometheus, with
what it needs switched on and without, and to receivers that refuse them."""

import re
import signal

from spec.e2e.answers import Answer
from spec.e2e.lunex import Case, eventually
from spec.e2e.native import OBSERVED, check_buckets, check_quantiles
from spec.e2e.receivers import Prometheus, VictoriaMetrics
from spec.e2e.upstream import Upstream
from spec.e2e.write_request import EXEMPLARS, HISTOGRAMS, contents, series_of

FEATURES = "native-histograms,exemplar-storage"
SEND = "send_native_histograms = true, send_exemplars = true,"
OFF = "native histograms are disabled"

SCRIPT = """
local metric = require "metric"
return {
  name = "native",
  metrics = {
    native_seconds = metric.histogram { "Native alone.", native = true },
    native_both_seconds = metric.histogram { "Native and classic.",
      labels = { "way" }, buckets = { 0.1, 1, 10 }, native = { factor = 1.1 } },
    native_requests_total = metric.counter { "Requests." },
    native_value = metric.gauge "A value.",
  },
  collect = function(m)
    m.native_value:set(1)
  end,
  routes = {
    ["POST /observe"] = function(request, m)
      for value in request.body:gmatch "%S+" do
        m.native_seconds:observe(value)
        m.native_both_seconds:observe(value, "in")
      end
      return { status = 204 }
    end,
    ["POST /explain"] = function(request, m)
      local exemplar = { trace_id = request.body }
      m.native_requests_total:inc(1, exemplar)
      m.native_seconds:observe(0.05, exemplar)
      m.native_both_seconds:observe(0.5, "in", exemplar)
      return { status = 204 }
    end,
  },
}
"""
ALONE, BOTH = "native_seconds", 'native_both_seconds{way="in"}'


class Native(Case):
    def setUp(self):
        super().setUp()
        self.path = self.script(SCRIPT, "native")

    def serve(self, url, options=SEND):
        path = self.folder / "lunex.lua"
        path.write_text(
            'return { exporters = { { "native.lua", push = {\n'
            f'type = "remote_write", url = "{url}", interval = 0.1,\n'
            f"{options} }} }} }} }}\n")
        return self.lunex("--config", str(path))

    def told(self, lunex, path, text):
        self.assertEqual(204, lunex.post(path, text).status)

    def observe(self, lunex, values):
        self.told(lunex, "/observe", " ".join(map(repr, values)))

    def pushes(self, lunex, result):
        pattern = re.compile(r'lunex_pushes_total\{.*result="%s"\}' % result)
        return sum(value for key, value in lunex.samples().items()
                   if pattern.fullmatch(key))

    def wait_more(self, lunex, result="success", more=3):
        least = self.pushes(lunex, result) + more
        eventually(lambda: self.pushes(lunex, result) >= least, lunex.log)


class InPrometheus(Native):
    def setUp(self):
        super().setUp()
        self.server = Prometheus(self, features=FEATURES)

    def write(self, options=SEND):
        return self.serve(self.server.url + self.server.WRITE, options)

    def count_is(self, count, of=ALONE):
        eventually(lambda: self.server.query(f"histogram_count({of})")
                   == [count], f"{of} has {count} observations")

    def exemplars(self):
        """{name of the series: [(trace, value)]}"""
        found = self.server.answer("query_exemplars", start=0, end=1 << 32,
                                   query='{__name__=~"native_.+"}')
        return {one["seriesLabels"]["__name__"]: [
            (e["labels"]["trace_id"], float(e["value"]))
            for e in one["exemplars"]] for one in found}

    def test_histograms_arrive_and_their_quantiles_are_right(self):
        lunex = self.write()
        self.observe(lunex, OBSERVED)
        for name in (ALONE, BOTH):
            self.count_is(len(OBSERVED), name)
            check_quantiles(self, self.server, name)
            check_buckets(self, self.server, name)
        self.assertEqual([sum(v <= 1 for v in OBSERVED)], self.server.query(
            'native_both_seconds_bucket{way="in",le="1"}'))
        self.assertEqual([], self.server.query("native_seconds_count"))

    def test_a_reload_resets_nothing(self):
        lunex = self.write()
        self.observe(lunex, OBSERVED)
        self.count_is(len(OBSERVED))
        with open(self.path, "a", encoding="utf-8") as script:
            script.write("-- changed\n")
        lunex.process.send_signal(signal.SIGHUP)
        lunex.wait_log("exporter reloaded")
        self.observe(lunex, [4.0] * 100)
        self.count_is(len(OBSERVED) + 100)
        self.count_is(len(OBSERVED) + 100, BOTH)
        self.assertEqual([0], self.server.query(
            f"resets(histogram_count({ALONE})[1m:100ms])"))

    def test_at_the_end_the_series_end(self):
        lunex = self.write(SEND + 'on_shutdown = "delete",')
        self.observe(lunex, OBSERVED)
        self.count_is(len(OBSERVED))
        self.assertEqual(0, lunex.stop())
        self.assertEqual(0, self.server.present('{__name__=~"native_.+"}'))

    def test_exemplars_arrive_with_their_series(self):
        lunex = self.write()
        for trace in ("a", "b", "c"):
            self.told(lunex, "/explain", trace)
            eventually(lambda one=trace: any(
                (one, 1.0) in e for e in self.exemplars().values()), lunex.log)
        self.wait_more(lunex)
        traces = ["a", "b", "c"]
        self.assertEqual({
            "native_requests_total": [(one, 1.0) for one in traces],
            "native_seconds": [(one, 0.05) for one in traces],
            "native_both_seconds": [(one, 0.5) for one in traces],
            "native_both_seconds_bucket": [(one, 0.5) for one in traces],
        }, self.exemplars())

    def test_by_default_there_are_count_and_sum_alone(self):
        lunex = self.write("")
        self.observe(lunex, OBSERVED)
        self.told(lunex, "/explain", "a")
        eventually(lambda: self.server.query("native_seconds_count") ==
                   [len(OBSERVED) + 1], lunex.log)
        self.wait_more(lunex)
        self.assertEqual(0, self.server.present(ALONE))
        self.assertEqual({}, self.exemplars())


class OnTheWire(Native):
    def test_an_exemplar_is_sent_once_also_after_a_reload(self):
        up = Upstream()
        self.addCleanup(up.close)
        up.answer("POST", "/write", Answer(204))
        lunex = self.serve(up.url + "/write")
        self.told(lunex, "/explain", "a")

        def sent():
            return sorted(
                labels["__name__"] for request in list(up.requests)
                for labels, what in series_of(request.body)
                if EXEMPLARS in what)
        each = ["native_both_seconds", "native_both_seconds_bucket",
                "native_requests_total", "native_seconds"]
        eventually(lambda: sent() == each, lunex.log)
        self.wait_more(lunex)
        with open(self.path, "a", encoding="utf-8") as script:
            script.write("-- changed\n")
        lunex.process.send_signal(signal.SIGHUP)
        lunex.wait_log("exporter reloaded")
        self.wait_more(lunex, more=5)
        self.assertEqual(each, sent())
        self.told(lunex, "/explain", "b")
        eventually(lambda: sent() == sorted(each * 2), lunex.log)


class Refused(Native):
    def check_told_once(self, lunex, what):
        """Each refusal is counted, one is told."""
        eventually(lambda: self.pushes(lunex, "refused") >= 4, lunex.log)
        lunex.wait_log(f"the target refuses {what}")
        self.assertEqual(1, lunex.log.count(f"the target refuses {what}"))
        self.assertEqual(0, lunex.log.count("the target refuses what"))
        self.assertEqual(0, lunex.log.count("pushing again"))

    def check_samples(self, lunex, server):
        """All that is no native histogram comes."""
        eventually(lambda: server.query("native_value") == [1], lunex.log)
        eventually(lambda: server.query(
            'native_both_seconds_count{way="in"}') == [len(OBSERVED)],
            lunex.log)

    def test_a_prometheus_without_the_feature_gets_the_rest(self):
        server = Prometheus(self)
        lunex = self.serve(server.url + server.WRITE)
        self.observe(lunex, OBSERVED)
        self.check_samples(lunex, server)
        self.check_told_once(lunex, "native histograms")
        lunex.wait_log(f"500 Internal Server Error: {OFF}")

    def refusing(self, field, words):
        """A stand-in that says up.status, at first 400, to what has FIELD."""
        def answer(request):
            if field in contents(request.body) and up.status != 204:
                return Answer(up.status, body=words)
            return Answer(204)
        up = Upstream()
        up.status = 400
        self.addCleanup(up.close)
        up.answer("POST", "/write", answer)
        return up

    def taken(self, up):
        """What was in the requests that were not refused."""
        return {labels["__name__"] for r in list(up.requests)
                for labels, what in series_of(r.body)
                if not what & {HISTOGRAMS, EXEMPLARS}}

    def test_400_to_histograms_costs_nothing_else(self):
        up = self.refusing(HISTOGRAMS, OFF + "\n")
        lunex = self.serve(up.url + "/write")
        self.observe(lunex, OBSERVED)
        self.check_told_once(lunex, "native histograms")
        lunex.wait_log(f"400 Bad Request: {OFF}")
        self.assertLessEqual({"native_value", "native_both_seconds_bucket",
                              "native_both_seconds_count", "native_up"},
                             self.taken(up))
        self.wait_more(lunex)
        up.status = 503
        lunex.wait_log("the target cannot take what is pushed now")
        up.status = 204
        lunex.wait_log("the target takes native histograms now")
        lunex.wait_log("pushing again")
        self.wait_more(lunex)

    def test_400_to_exemplars_costs_nothing_else(self):
        up = self.refusing(EXEMPLARS, "no exemplars here\n")
        lunex = self.serve(up.url + "/write")
        for i in range(4):
            self.told(lunex, "/explain", str(i))
            eventually(lambda n=i: self.pushes(lunex, "refused") > n,
                       lunex.log)
        self.check_told_once(lunex, "exemplars")
        self.assertLessEqual({"native_requests_total"}, self.taken(up))

    def test_victoriametrics_takes_the_rest(self):
        server = VictoriaMetrics(self)
        lunex = self.serve(server.url + server.WRITE)
        self.observe(lunex, OBSERVED)
        self.told(lunex, "/explain", "a")
        eventually(lambda: [len(OBSERVED) + 1] == [
            samples[-1][1] for samples
            in server.raw("native_both_seconds_count").values()], lunex.log)
        self.assertEqual(0, lunex.stop())
        self.assertNotIn("the target", lunex.log)
