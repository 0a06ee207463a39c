# SPDX-License-Identifier: Apache-2.0
"""Native histograms and exemplars through a real Pushgateway, which takes them
as protobuf: from the configuration file and from a script."""

import urllib.request

from spec.e2e.gateway import Gateway
from spec.e2e.lunex import Case, eventually
from spec.e2e.metric_proto import families
from spec.e2e.native import OBSERVED, check_buckets, check_quantiles
from spec.e2e.prometheus import Server

CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
  - job_name: gateway
    honor_labels: true
    static_configs: [ {{ targets: ["127.0.0.1:{port}"] }} ]
"""
PROTOBUF = ("application/vnd.google.protobuf; "
            "proto=io.prometheus.client.MetricFamily; encoding=delimited")
SCRIPT = """
local metric = require "metric"
local declared = {
  native_seconds = metric.histogram { "Native alone.", native = true },
  native_total = metric.counter "A counter.",
}
local odd = metric.registry { odd_seconds = metric.gaugehistogram {
  "Odd.", buckets = { 1 } } }
local own = metric.registry {
  own_seconds = metric.histogram { "Native alone.", native = true },
}

return {
  name = "native",
  metrics = declared,
  routes = {
    ["POST /observe"] = function(request, m)
      for value in request.body:gmatch "%S+" do
        m.native_seconds:observe(value)
      end
      m.native_total:inc(1, { trace_id = "abc", job = "no label of mine" })
      return { status = 204 }
    end,
    ["POST /own"] = function(request)
      own.own_seconds:observe(3)
      local ok, message = own:push(request.body,
        { job = "own", format = "protobuf" })
      return { json = { ok = ok or false, message = message } }
    end,
    ["POST /odd"] = function(request)
      odd.odd_seconds:observe(3)
      local ok, message = odd:push(request.body,
        { job = "odd", format = "protobuf" })
      return { json = { ok = ok or false, message = message } }
    end,
  },
}
"""


class Through(Case):
    def setUp(self):
        super().setUp()
        self.script(SCRIPT, "native")
        self.gateway = Gateway(self)

    def serve(self, options=""):
        path = self.folder / "lunex.lua"
        path.write_text(
            'return { exporters = { { "native.lua", push = { interval = 0.2,\n'
            f'url = "{self.gateway.url}", {options} }} }} }} }}\n')
        return self.lunex("--config", str(path))

    def observe(self, lunex):
        self.assertEqual(204, lunex.post(
            "/observe", " ".join(map(repr, OBSERVED))).status)

    def families(self):
        """What the gateway shows to who asks for protobuf."""
        request = urllib.request.Request(f"{self.gateway.url}/metrics",
                                         headers={"Accept": PROTOBUF})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return {f.name: f for f in families(answer.read())}

    def count(self):
        return self.gateway.samples().get(
            'native_seconds_count{instance="",job="native"}')

    def test_a_prometheus_behind_it_has_the_right_quantiles(self):
        lunex = self.serve('format = "protobuf",')
        self.observe(lunex)
        eventually(lambda: self.count() == len(OBSERVED), lunex.log)
        server = Server(self, CONFIG.format(port=self.gateway.port),
                        "--enable-feature=native-histograms")
        name = 'native_seconds{job="native"}'
        eventually(lambda: server.query(f"histogram_count({name})") ==
                   [len(OBSERVED)], server.log())
        check_quantiles(self, server, name)
        check_buckets(self, server, name)
        found, = self.families()["native_total"].metric
        self.assertEqual({"trace_id": "abc", "job": "no label of mine"}, {
            pair.name: pair.value for pair in found.counter.exemplar.label})

    def test_as_text_it_has_count_and_sum(self):
        lunex = self.serve()
        self.observe(lunex)
        eventually(lambda: self.count() == len(OBSERVED), lunex.log)
        found, = self.families()["native_seconds"].metric
        self.assertEqual(0, len(found.histogram.positive_span))

    def test_a_registry_is_pushed_so(self):
        lunex = self.serve('format = "protobuf",')
        answer = lunex.post("/own", self.gateway.url)
        self.assertEqual('{"ok":true}', answer.text)
        found, = self.families()["own_seconds"].metric
        self.assertEqual((1, [1]), (len(found.histogram.positive_span),
                                    list(found.histogram.positive_delta)))

    def test_a_gauge_histogram_is_not_sent(self):
        """The gateway would take it, and its page would end there."""
        lunex = self.serve('format = "protobuf",')
        answer = lunex.post("/odd", self.gateway.url)
        self.assertIn("not sent: odd_seconds is a gauge histogram",
                      answer.text)
        self.assertNotIn("odd_seconds", self.families())
