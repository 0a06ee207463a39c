# SPDX-License-Identifier: Apache-2.0
"""A million series: they work, and a scrape of them blocks nothing else."""

import http.client
import select

from spec.e2e.lunex import Case, eventually

SERIES = 1_000_000
SCRIPT = """
local metric = require "metric"
return {
  name = "large",
  interval = 1000,
  timeout = 100,
  limits = { series = 2 * %(series)d, memory = 4 * 2^30, cpu = 100 },
  metrics = {
    large_value = metric.gauge { "A value.", labels = { "device", "site" } },
  },
  collect = function(m)
    for i = 1, %(series)d do
      m.large_value:set(i / 4, ("device-%%07d"):format(i), "site-" .. i %% 10)
    end
  end,
}
""" % {"series": SERIES}
ACCEPT = {
    "text": "text/plain",
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
    "protobuf": "application/vnd.google.protobuf;"
    "proto=io.prometheus.client.MetricFamily;encoding=delimited",
}
PATIENCE = 120


class Large(Case):
    def setUp(self):
        super().setUp()
        self.host = self.lunex(self.script(SCRIPT))
        self.health = self.host.connect()
        self.addCleanup(self.health.close)
        eventually(lambda: self.host.get("/-/ready").status == 200,
                   "a million series are there", PATIENCE)

    def is_healthy(self):
        self.health.request("GET", "/healthz")
        response = self.health.getresponse()
        response.read()
        return response.status == 200

    def scrape(self, accept, encoding):
        """The answer, and how many times /healthz answered before it came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.host.port,
                                                timeout=PATIENCE)
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics", headers={
            "Accept": ACCEPT[accept], "Accept-Encoding": encoding})
        answered = 0
        while not select.select([connection.sock], [], [], 0)[0]:
            self.assertTrue(self.is_healthy())
            answered += 1
        response = connection.getresponse()
        self.assertEqual(200, response.status)
        return response.read(), answered

    def test_others_are_answered_while_a_scrape_is_made(self):
        for accept in ACCEPT:
            for encoding in ("gzip", "zstd", "identity"):
                with self.subTest(accept=accept, encoding=encoding):
                    body, answered = self.scrape(accept, encoding)
                    self.assertGreater(answered, 3)
                    self.assertGreater(len(body), SERIES)
                    if encoding == "identity" and accept != "protobuf":
                        self.assertEqual(SERIES, body.count(b"large_value{"))
