# SPDX-License-Identifier: Apache-2.0
"""Which format, which names and which encoding a reader gets."""

import gzip
import subprocess

from spec.e2e.lunex import Case

SCRIPT = """
local metric = require "metric"
return {
  name = "n",
  labels = { ["zone.id"] = "a" },
  metrics = {
    ["http.requests_total"] = metric.counter { "All.",
      labels = { "http.method" } },
  },
  collect = function(m) m["http.requests_total"]:set(1, 'G"T') end,
}
"""
TEXT = "text/plain; version=0.0.4; charset=utf-8; escaping="
TEXT1 = "text/plain; version=1.0.0; charset=utf-8; escaping="
OPENMETRICS = ("application/openmetrics-text; version=%s; charset=utf-8; "
               "escaping=")
PROTOBUF = ("application/vnd.google.protobuf; "
            "proto=io.prometheus.client.MetricFamily; encoding=delimited; "
            "escaping=")
ASK_PROTOBUF = PROTOBUF.replace("; escaping=", "").replace(" ", "")
SAMPLE = {
    "underscores": 'http_requests_total{http_method="G\\"T",zone_id="a"} 1',
    "dots": 'http_dot_requests__total{http_dot_method="G\\"T",'
            'zone_dot_id="a"} 1',
    "values": 'U__http_2e_requests__total{U__http_2e_method="G\\"T",'
              'U__zone_2e_id="a"} 1',
    "allow-utf-8": '{"http.requests_total","http.method"="G\\"T",'
                   '"zone.id"="a"} 1',
}
# What Prometheus sends, by version, and what it is to get.
SCRAPES = (
    ("application/openmetrics-text; version=0.0.1,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     OPENMETRICS % "0.0.1" + "underscores"),
    ("application/openmetrics-text;version=1.0.0,"
     "application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     OPENMETRICS % "1.0.0" + "underscores"),
    (ASK_PROTOBUF + ",application/openmetrics-text;version=1.0.0;q=0.8,"
     "application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     PROTOBUF + "underscores"),
    ("application/openmetrics-text;version=1.0.0;q=0.5,"
     "application/openmetrics-text;version=0.0.1;q=0.4,"
     "text/plain;version=0.0.4;q=0.3,*/*;q=2",
     OPENMETRICS % "1.0.0" + "underscores"),
    ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
     "application/openmetrics-text;version=0.0.1;q=0.5,"
     "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
     "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
     OPENMETRICS % "1.0.0" + "allow-utf-8"),
)


class Negotiation(Case):
    def setUp(self):
        super().setUp()
        self.program = self.lunex(self.script(SCRIPT))

    def get(self, method="GET", **headers):
        named = {name.replace("_", "-"): value
                 for name, value in headers.items()}
        answer = self.program.get("/metrics?exporter=n", named, method)
        self.assertEqual(200, answer.status, headers)
        return answer

    def test_a_prometheus_gets_what_it_prefers(self):
        for accept, expected in SCRAPES:
            answer = self.get(Accept=accept)
            self.assertEqual(expected, answer.headers["Content-Type"], accept)
            escaping = expected.rpartition("=")[2]
            if "protobuf" in expected:
                self.assertIn(b"\x0a\x13http_requests_total", answer.body)
            else:
                self.assertIn(SAMPLE[escaping].partition("} ")[0],
                              answer.text)
                self.assertTrue(answer.text.endswith("\n# EOF\n"), accept)

    def test_names_are_written_as_the_reader_asks(self):
        for escaping, sample in SAMPLE.items():
            for version, type_ in ("0.0.4", TEXT), ("1.0.0", TEXT1):
                answer = self.get(Accept="text/plain;version=%s;escaping=%s"
                                  % (version, escaping))
                self.assertEqual(type_ + escaping,
                                 answer.headers["Content-Type"])
                self.assertIn(sample, answer.text.splitlines())

    def test_others_get_the_text_that_everybody_knows(self):
        for headers in ({}, {"Accept": "*/*"}, {"Accept": "text/html"},
                        {"Accept": "application/json"}, {"Accept": "/;,=q"}):
            answer = self.get(**headers)
            self.assertEqual(TEXT + "underscores",
                             answer.headers["Content-Type"])
            self.assertIn(SAMPLE["underscores"], answer.text.splitlines())

    def test_encodings_are_read_back(self):
        for accepted, expected in (
                (None, None), ("gzip", "gzip"), ("zstd", "zstd"),
                ("gzip, deflate, br, zstd", "gzip"), ("identity", None),
                ("gzip;q=0.5, zstd", "zstd"), ("identity;q=0", None),
                ("gzip;q=0", None), ("*", None), ("br", None)):
            headers = {"Accept_Encoding": accepted} if accepted else {}
            answer = self.get(**headers)
            self.assertEqual(expected, answer.headers["Content-Encoding"],
                             accepted)
            body = answer.body
            if expected == "gzip":
                body = gzip.decompress(body)
            elif expected == "zstd":
                body = subprocess.run(["zstd", "-dc"], input=body, check=True,
                                      stdout=subprocess.PIPE).stdout
            self.assertIn(SAMPLE["underscores"], body.decode().splitlines())

    def test_head_has_the_headers_of_get(self):
        accept = "text/plain;escaping=values"
        answer = self.get("HEAD", Accept=accept, Accept_Encoding="zstd")
        self.assertEqual(b"", answer.body)
        self.assertEqual(TEXT + "values", answer.headers["Content-Type"])
        self.assertEqual("zstd", answer.headers["Content-Encoding"])

    def test_a_long_header_costs_little(self):
        used = "process_cpu_seconds_total"
        before = self.program.samples()[used]
        for text in ",", ";", "a/b,", "*;q=1,":
            self.get(Accept=(text * 20000)[:20000],
                     Accept_Encoding=(text * 5000)[:5000])
        self.assertLess(self.program.samples()[used] - before, 5)
