# SPDX-License-Identifier: Apache-2.0
"""Everything that an exposition may have to show (spec/golden/golden.lua), read
back by those who did not write it: the parsers of python3-prometheus-client,
promtool, a decoder that protoc generates from the published metrics.proto, and
a strict reader of what none of them knows. Each must say the same as the table
of golden.py, from each format, encoding and scheme of escaping."""

import json
import subprocess
import time
from urllib.parse import urlencode

from spec.e2e.facts import Within, differences, same
from spec.e2e.formats import (ENCODINGS, FORMS, TYPE, body_of, readings,
                              scrape)
from spec.e2e.golden import distribution, native, table
from spec.e2e.lunex import Case, eventually
from spec.e2e.prometheus import Server
from spec.e2e.strict import LEGACY, TEXT
from spec.e2e.timely import timely
from spec.e2e.truth import SCHEMES, UTF8, Family, escaped, facts, label_set

PAGE = "/metrics?exporter=golden"

# The host's own metrics about the script.
HOST = ("golden_up", "golden_scrape_duration_seconds", "golden_scrape_success",
        "golden_last_success_timestamp_seconds")

# What promtool may object to, since the names are meant to be bad.
OBJECTIONS = {
    "golden_bare", "golden_http_requests_total", "golden_latency_seconds",
    "_golden__", "golden_size", "golden__name_____x__y____",
    "golden_age_seconds_gcount", "golden_age_seconds_gsum"}


class GoldenCase(Case):
    flags = ()

    def setUp(self):
        super().setUp()
        before = time.time()
        self.exporter = self.lunex("spec/golden/golden.lua", *self.flags)
        answer = self.exporter.get(PAGE)
        self.assertEqual(200, answer.status)
        self.assertRegex(answer.text, r"\ngolden_up{.*} 1\n",
                         self.exporter.log)
        self.table = table(Within(before - 1, time.time() + 1))

    def body(self, form, scheme="underscores", encoding="identity"):
        answer = scrape(self.exporter, form, scheme, encoding, PAGE)
        self.assertEqual(200, answer.status, answer.body[:200])
        self.assertEqual(f"{TYPE[form]}; escaping={scheme}",
                         answer.headers["Content-Type"])
        self.assertEqual(None if encoding == "identity" else encoding,
                         answer.headers.get("Content-Encoding"))
        return body_of(answer)


class Golden(GoldenCase):
    def test_every_reader_reads_the_same_from_every_format(self):
        for form in FORMS:
            for scheme in SCHEMES:
                expected = facts(self.table, form, scheme)
                for encoding in ENCODINGS:
                    with self.subTest(form, scheme=scheme, encoding=encoding):
                        body = self.body(form, scheme, encoding)
                        for reader, found in readings(body, form, scheme):
                            self.assertEqual([], differences(
                                expected, found.without(*HOST)), reader)

    def test_promtool_reads_the_page(self):
        page = self.body(TEXT)
        result = subprocess.run(
            ["promtool", "check", "metrics"], input=page, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = result.stdout.decode()
        self.assertEqual(3, result.returncode, said)
        self.assertLessEqual({line.split()[0] for line in said.splitlines()},
                             OBJECTIONS, said)


class WithoutCreated(GoldenCase):
    flags = ("--web.disable-created-samples",)

    def test_only_openmetrics_1_lacks_when_counting_began(self):
        for form in FORMS:
            expected = facts(self.table, form, "underscores", created=False)
            for reader, found in readings(self.body(form), form, "underscores"):
                self.assertEqual([], differences(
                    expected, found.without(*HOST)), (reader, form))


CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
  - job_name: golden
    params: {{ exporter: [golden] }}
    static_configs: [ {{ targets: ["127.0.0.1:{port}"] }} ]
"""
FEATURES = "--enable-feature=exemplar-storage"


class RealServer(GoldenCase):
    """A Prometheus 2.42 takes all of it, by OpenMetrics and by protobuf."""

    @timely
    def test_by_openmetrics(self):
        self.check_server(Server(
            self, CONFIG.format(port=self.exporter.port), FEATURES))

    @timely
    def test_by_protobuf(self):
        server = Server(self, CONFIG.format(port=self.exporter.port),
                        FEATURES + ",native-histograms")
        self.check_server(server, {'"\\\n'})
        (_, histogram), = (
            r["histogram"] for r in server.results("golden_native_seconds"))
        self.assertEqual(("10", "2000003"),
                         (histogram["count"], histogram["sum"]))

    # By OpenMetrics it keeps what is escaped in exemplars as it is.
    def check_server(self, server, more_traces=frozenset()):
        eventually(lambda: server.query("golden_many"), "it has scraped")
        self.assertEqual([1.0], server.query("up"), server.log())
        for family in self.table:
            if family.kind in ("gauge", "unknown", "info", "stateset") and \
                    family.name != "golden_timed":
                with self.subTest(family.name):
                    self.check_family(server, family)
        self.assertEqual([17.0], server.query(
            'golden_mirrored_seconds_bucket{l="a",le="+Inf"}'))
        traces = json.loads(server.get("/api/v1/query_exemplars?" + urlencode({
            "query": "golden_counted_total", "start": time.time() - 60,
            "end": time.time() + 60})))["data"]
        self.assertLessEqual({"4bf9"} | more_traces, {
            e["labels"]["trace_id"] for t in traces for e in t["exemplars"]})

    def check_family(self, server, family):
        name = escaped(family.name, "underscores", LEGACY)
        expected = {
            frozenset((n, v) for n, v in label_set(labels, "underscores") if v):
            point["value"] for labels, point in family.series}
        found = {}
        for result in server.results(f'{{__name__="{name}"}}'):
            labels = frozenset(
                (n, v) for n, v in result["metric"].items()
                if n not in ("__name__", "job", "instance"))
            found[labels] = float(result["value"][1])
        self.assertEqual(set(expected), set(found))
        for labels, value in expected.items():
            self.assertTrue(same(value, found[labels]),
                            (labels, value, found[labels]))


REGISTRY = """
local metric = require "metric"
local empty = metric.registry {}
local unset = metric.registry { namespace = "n", a = metric.gauge "Unset." }
local full = metric.registry {
  namespace = "golden", labels = { ["si.te"] = "a\\"b" },
  mirrored_total = metric.counter "Counted elsewhere.",
  theirs = unset.a, -- which nobody sets
  ["sp.an"] = metric.histogram { "Both.", buckets = { 1 }, native = true },
}
full.mirrored_total:set(3, { created = 1700000000.25 })
full["sp.an"]:observe(0.5, { trace_id = "t" })
local registries = { empty = empty, unset = unset, full = full }
return {
  name = "registry",
  routes = {
    ["GET /:which/:format/:escaping"] = function(request)
      local p = request.params
      local text, kind = registries[p.which]:render(p.format, p.escaping)
      return { headers = { ["Content-Type"] = kind }, body = text }
    end,
  },
}
"""


class Registry(Case):
    """What a script renders itself."""

    def setUp(self):
        super().setUp()
        self.began = time.time() - 1
        self.exporter = self.lunex(self.script(REGISTRY))

    def rendered(self, which, form, scheme):
        answer = self.exporter.get(f"/{which}/{form}/{scheme}")
        self.assertEqual(200, answer.status, self.exporter.log)
        kind = TYPE[form]
        if scheme == UTF8:
            kind = kind.replace("version=0.0.4", "version=1.0.0")
        self.assertEqual(f"{kind}; escaping={scheme}",
                         answer.headers["Content-Type"])
        return answer.body

    def test_says_the_same_in_every_format(self):
        now = Within(self.began, time.time() + 1)
        labels = {"si.te": 'a"b'}
        families = [
            Family("golden_mirrored_total", "counter", "Counted elsewhere.",
                   series=[(labels, {"value": 3.0, "created": 1700000000.25})]),
            Family("golden_sp.an", "histogram", "Both.", native=True, series=[(
                labels, {**distribution(0.5, 1, {1: 1}), "created": now,
                         **native(3, 0, positive={-8: 1}),
                         "exemplars": [(1.0, {"trace_id": "t"}, 0.5, now)]})])]
        for form in FORMS:
            for scheme in SCHEMES:
                body = self.rendered("full", form, scheme)
                expected = facts(families, form, scheme)
                for reader, found in readings(body, form, scheme):
                    self.assertEqual([], differences(expected, found),
                                     (reader, form, scheme))

    def test_of_nothing_is_an_empty_exposition(self):
        for form in FORMS:
            for which in ("empty", "unset"):
                expected = b"# EOF\n" if "openmetrics" in form else b""
                body = self.rendered(which, form, "underscores")
                self.assertEqual(expected, body, (which, form))
                for reader, found in readings(body, form, "underscores"):
                    self.assertEqual({}, found, reader)
