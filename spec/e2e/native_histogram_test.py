# SPDX-License-Identifier: Apache-2.0
"""Native histograms in a real Prometheus: what it asks for, what it stores, and
whether its quantiles are right."""

import re
import signal

from spec.e2e.answers import Answer
from spec.e2e.lunex import Case, eventually
from spec.e2e.native import OBSERVED, check_buckets, check_quantiles
from spec.e2e.prometheus import Server
from spec.e2e.timely import timely
from spec.e2e.upstream import Upstream

CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
  - job_name: native
    static_configs: [ {{ targets: ["127.0.0.1:{port}"] }} ]
"""
SCRIPT = """
local metric = require "metric"
return {
  name = "native",
  metrics = {
    native_seconds = metric.histogram { "Native alone.", native = true },
    native_both_seconds = metric.histogram { "Native and classic.",
      labels = { "way" }, buckets = { 0.1, 1, 10 }, native = { factor = 1.1 } },
  },
  routes = {
    ["POST /observe"] = function(request, m)
      for value in request.body:gmatch "%S+" do
        m.native_seconds:observe(value)
        m.native_both_seconds:observe(value, "in")
      end
      return { status = 204 }
    end,
  },
}
"""
FLAG = "--enable-feature=native-histograms"


class NativeHistograms(Case):
    def setUp(self):
        super().setUp()
        self.path = self.script(SCRIPT, "native")
        self.exporter = self.lunex(self.path)
        self.seen = []  # (Accept, Content-Type) of each scrape
        self.between = Upstream()
        self.addCleanup(self.between.close)
        self.between.answer("GET", "/metrics", self.forward)

    def forward(self, request):
        """What the exporter answers to the same request."""
        answer = self.exporter.get(request.target, request.headers)
        kind = answer.headers["Content-Type"]
        self.seen.append((request.headers["accept"], kind))
        headers = {"Content-Type": kind}
        if answer.headers.get("Content-Encoding"):
            headers["Content-Encoding"] = answer.headers["Content-Encoding"]
        return Answer(answer.status, headers, answer.body)

    def observe(self, values):
        answer = self.exporter.post("/observe", " ".join(map(repr, values)))
        self.assertEqual(204, answer.status)

    def server(self, *flags):
        return Server(self, CONFIG.format(port=self.between.port), *flags)

    def count_is(self, server, count, of="native_seconds"):
        eventually(lambda: server.query(f"histogram_count({of})") == [count],
                   f"{of} has {count} observations")

    @timely
    def test_prometheus_asks_for_protobuf_and_its_quantiles_are_right(self):
        self.observe(OBSERVED)
        server = self.server(FLAG)
        self.count_is(server, len(OBSERVED))
        accept, kind = self.seen[-1]
        self.assertIn("vnd.google.protobuf", accept)
        self.assertTrue(kind.startswith("application/vnd.google.protobuf;"))
        for name in ("native_seconds", 'native_both_seconds{way="in"}'):
            with self.subTest(name):
                check_quantiles(self, server, name)
                check_buckets(self, server, name)

    @timely
    def test_what_was_counted_survives_a_reload(self):
        self.observe(OBSERVED)
        server = self.server(FLAG)
        self.count_is(server, len(OBSERVED))
        with open(self.path, "a", encoding="utf-8") as script:
            script.write("-- changed\n")
        self.exporter.process.send_signal(signal.SIGHUP)
        self.exporter.wait_log("exporter reloaded")
        self.observe([4.0] * 100)
        more = len(OBSERVED) + 100
        self.count_is(server, more)
        self.count_is(server, more, "native_both_seconds")
        self.assertEqual([0], server.query(
            "resets(histogram_count(native_seconds)[1m:250ms])"))

    @timely
    def test_without_the_feature_it_gets_openmetrics(self):
        self.observe(OBSERVED)
        server = self.server()
        eventually(lambda: server.query("native_seconds_count") ==
                   [len(OBSERVED)], "it has the count")
        accept, kind = self.seen[-1]
        self.assertNotIn("protobuf", accept)
        self.assertTrue(re.match(
            r"application/openmetrics-text; *version=1\.0\.0;", kind), kind)
        self.assertEqual(
            [sum(v <= 1 for v in OBSERVED)],
            server.query('native_both_seconds_bucket{way="in",le="1.0"}'))
        self.assertEqual([len(OBSERVED)], server.query(
            'native_seconds_bucket{le="+Inf"}'))
