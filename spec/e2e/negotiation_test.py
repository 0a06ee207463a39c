# SPDX-License-Identifier: Apache-2.0
"""What scrapers ask for, word by word, and what they must get."""

import re
from pathlib import Path

from spec.e2e import metric_proto, strict
from spec.e2e.formats import body_of
from spec.e2e.lunex import Case

SCRIPT = """
local metric = require "metric"
return {
  name = "spec",
  metrics = {
    spec_total = metric.counter { "Counted.", labels = { "a.b" } },
    ["spec.size"] = metric.histogram { "Sizes.", buckets = { 1 } },
  },
  collect = function(m)
    m.spec_total:set(1, "x")
    m["spec.size"]:set { sum = 3, count = 2, buckets = { [1] = 1 } }
  end,
  probe = function(m, target)
    m.spec_total:set(2, target)
  end,
}
"""
TEXT, OPENMETRICS, PROTOBUF = (
    "text/plain", "application/openmetrics-text",
    "application/vnd.google.protobuf")
PROTO = f"{PROTOBUF};proto=io.prometheus.client.MetricFamily;encoding=delimited"
OM = OPENMETRICS
UTF8 = "allow-utf-8"

# (who asks, Accept, media type, version, escaping)
ASKED = [
    ("nobody", None, TEXT, "0.0.4", "underscores"),
    ("curl", "*/*", TEXT, "0.0.4", "underscores"),
    ("a client that wants JSON", "application/xml, image/png", TEXT, "0.0.4",
     "underscores"),
    ("a browser", "text/html,application/xhtml+xml,*/*;q=0.8", TEXT, "0.0.4",
     "underscores"),
    ("nonsense", "/;,=q", TEXT, "0.0.4", "underscores"),
    ("2.5", f"{OM}; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OM,
     "0.0.1", "underscores"),
    ("2.42", f"{OM};version=1.0.0,{OM};version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OM, "1.0.0", "underscores"),
    ("2.42, native", f"{PROTO},{OM};version=1.0.0;q=0.8,{OM};version=0.0.1;"
     "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", PROTOBUF, None,
     "underscores"),
    ("2.40.0, native", "application/vnd.google.protobuf; "
     "proto=io.prometheus.client.MetricFamily; encoding=delimited,"
     f"{OM};version=1.0.0;q=0.75,{OM};q=0.6,text/plain;version=0.0.4;q=0.5,"
     "*/*;q=0.1", PROTOBUF, None, "underscores"),
    ("2.49", f"{OM};version=1.0.0;q=0.5,{OM};version=0.0.1;q=0.4,"
     "text/plain;version=0.0.4;q=0.3,*/*;q=2", OM, "1.0.0", "underscores"),
    ("2.53", f"{OM};version=1.0.0;q=0.5,{OM};version=0.0.1;q=0.4,"
     "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", OM, "1.0.0", "underscores"),
    ("2.53, native", f"{PROTO};q=0.5,{OM};version=1.0.0;q=0.4,"
     f"{OM};version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
     PROTOBUF, None, "underscores"),
    ("3.0", f"{OM};version=1.0.0;escaping=allow-utf-8;q=0.6,{OM};version=0.0.1;"
     "escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;"
     "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;escaping=allow-utf-8;"
     "q=0.3,*/*;q=0.2", OM, "1.0.0", UTF8),
    ("3.14", f"{OM};version=1.0.0;escaping=allow-utf-8;q=0.6,"
     f"{OM};version=0.0.1;q=0.5,"
     "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
     "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", OM, "1.0.0", UTF8),
    ("3.14, native", f"{PROTO};q=0.6,{OM};version=1.0.0;escaping=allow-utf-8;"
     f"q=0.5,{OM};version=0.0.1;q=0.4,text/plain;version=1.0.0;"
     "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
     PROTOBUF, None, "underscores"),
    ("3.14, text 1.0.0", "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,"
     "*/*;q=0.5", TEXT, "1.0.0", UTF8),
    ("3.14, text", "text/plain;version=0.0.4;q=0.6,*/*;q=0.5", TEXT, "0.0.4",
     "underscores"),
    ("OpenMetrics 2", f"{OM};version=2.0.0;escaping=allow-utf-8,"
     f"{OM};version=1.0.0;q=0.5", OM, "2.0.0", UTF8),
    ("OpenMetrics of no version", OM, OM, "0.0.1", "underscores"),
    ("OpenMetrics to come", f"{OM};version=3.0.0,text/plain;q=0.1", TEXT,
     "0.0.4", "underscores"),
    ("dots", f"{OM};version=1.0.0;escaping=dots", OM, "1.0.0", "dots"),
    ("values", "text/plain;version=0.0.4;escaping=values", TEXT, "0.0.4",
     "values"),
    ("an unknown scheme", "text/plain;version=0.0.4;escaping=rot13", TEXT,
     "0.0.4", "underscores"),
]

# (Accept-Encoding, Content-Encoding)
ENCODINGS = [
    (None, None), ("identity", None), ("", None), ("gzip", "gzip"),
    ("gzip;q=0", None), ("gzip;q=1.0, identity;q=0.5", "gzip"),
    ("gzip;q=0.5, identity", None), ("zstd", "zstd"), ("gzip, zstd", "gzip"),
    ("gzip;q=0.8, zstd;q=0.9", "zstd"), ("br, deflate", None),
    ("gzip, deflate, br, zstd", "gzip"), ("br;q=1, gzip;q=0.1", "gzip"), ("x-gzip", None), ("*", None),
    ("identity;q=0", None), ("identity;q=0, gzip;q=0.1", "gzip"),
    ("identity;q=0, *;q=0.5", "gzip"), ("identity;q=0, *;q=0", None),
    ("zstd;q=0, gzip;q=0", None)]

NAMES = {"underscores": ("spec_size", "a_b"), UTF8: ("spec.size", "a.b"),
         "dots": ("spec_dot_size", "a_dot_b"),
         "values": ("U__spec_2e_size", "U__a_2e_b")}


def media(text):
    """"text/plain; a=b" -> ("text/plain", { "a": "b" })"""
    kind, *parameters = (part.strip() for part in text.split(";"))
    return kind, dict(p.split("=", 1) for p in parameters)


class Negotiation(Case):
    def setUp(self):
        super().setUp()
        self.exporter = self.lunex(self.script(SCRIPT, "spec"))

    def get(self, accept=None, encoding=None, **more):
        headers = {}
        if accept is not None:
            headers["Accept"] = accept
        # http.client sends one of its own if there is none
        headers["Accept-Encoding"] = encoding
        if encoding is None:
            headers["Accept-Encoding"] = "identity"
        return self.exporter.get(headers=headers, **more)

    def read(self, kind, version, body):
        if kind == PROTOBUF:
            return metric_proto.read(body)
        form = strict.TEXT if kind == TEXT else strict.OPENMETRICS2 \
            if version == "2.0.0" else strict.OPENMETRICS
        return strict.read(body.decode(), form)

    def check(self, answer, kind, version, escaping, path_value=1.0):
        said, parameters = media(answer.headers["Content-Type"])
        self.assertEqual(kind, said)
        self.assertEqual(version, parameters.get("version"))
        self.assertEqual(escaping, parameters.get("escaping"))
        if kind == PROTOBUF:
            self.assertEqual(
                ("io.prometheus.client.MetricFamily", "delimited"),
                (parameters["proto"], parameters["encoding"]))
        else:
            self.assertEqual("utf-8", parameters["charset"])
        return self.read(kind, version, body_of(answer))

    def test_each_scraper_gets_what_it_asks_for(self):
        for who, accept, kind, version, escaping in ASKED:
            with self.subTest(who):
                answer = self.get(accept)
                self.assertEqual(200, answer.status)
                facts = self.check(answer, kind, version, escaping)
                size, label = NAMES[escaping]
                self.assertEqual("histogram", facts[size, "type"])
                self.assertEqual(1.0, facts[
                    "spec_total", frozenset({(label, "x")}), "value"])

    def test_each_gets_the_encoding_it_prefers(self):
        bodies = set()
        for asked, expected in ENCODINGS:
            with self.subTest(asked):
                answer = self.get(encoding=asked,
                                  path="/metrics?exporter=nobody")
                self.assertEqual(404, answer.status)
                self.assertNotIn("Content-Encoding", answer.headers)
                answer = self.get(encoding=asked)
                self.assertEqual(expected,
                                 answer.headers.get("Content-Encoding"))
                text = body_of(answer).decode()
                bodies.add(text[:text.index("lunex_")])
        self.assertEqual(1, len(bodies))

    def test_a_head_has_the_headers_alone(self):
        for who, accept, kind, version, escaping in ASKED:
            with self.subTest(who):
                answer = self.get(accept, "gzip", method="HEAD")
                self.assertEqual((200, b""), (answer.status, answer.body))
                said, parameters = media(answer.headers["Content-Type"])
                self.assertEqual((kind, version, escaping), (
                    said, parameters.get("version"), parameters["escaping"]))
                self.assertEqual("gzip", answer.headers["Content-Encoding"])

    def test_a_probe_is_negotiated_too(self):
        for who, accept, kind, version, escaping in ASKED:
            with self.subTest(who):
                answer = self.get(accept, path="/probe?target=here")
                facts = self.check(answer, kind, version, escaping)
                label = NAMES[escaping][1]
                self.assertEqual(2.0, facts[
                    "spec_total", frozenset({(label, "here")}), "value"])

    def test_a_long_header_costs_little(self):
        used = "process_cpu_seconds_total"
        before = self.exporter.samples()[used]
        for text in ",", ";", "a/b,", "*;q=1,":
            answer = self.get((text * 20000)[:20000], (text * 5000)[:5000])
            self.assertEqual(200, answer.status)
        self.assertLess(self.exporter.samples()[used] - before, 5)

    def test_what_went_wrong_is_said_in_plain_text(self):
        for path, method, status in (
                ("/metrics?exporter=nobody", "GET", 404),
                ("/nowhere", "GET", 404), ("/metrics", "DELETE", 405),
                ("/probe", "GET", 400)):
            answer = self.get(f"{PROTO},{OM};version=1.0.0;q=0.5", "zstd, gzip",
                              path=path, method=method)
            self.assertEqual(status, answer.status, path)
            self.assertEqual(TEXT, media(answer.headers["Content-Type"])[0])
            self.assertTrue(answer.body.decode().isprintable() or
                            answer.body.endswith(b"\n"))


class Engines(Case):
    """Who compresses: ISA-L, which is opened for the first gzip answer."""

    def objects(self, **options):
        """The shared objects that are there after such an answer."""
        exporter = self.lunex(self.script(SCRIPT, "spec"), **options)
        answer = exporter.get(headers={"Accept-Encoding": "gzip"})
        self.assertEqual("gzip", answer.headers["Content-Encoding"])
        self.assertIn(b'spec_total{a_b="x"} 1', body_of(answer))
        maps = Path(f"/proc/{exporter.process.pid}/maps").read_text()
        return re.findall(r"/\S+[.]so\S*", maps)

    def test_it_is_zlib_where_isal_cannot_be_used(self):
        objects = self.objects()
        isal = [o for o in objects if "/libisal" in o]
        if not isal:
            self.skipTest("lunex was built without ISA-L")
        name = re.search(r"libisal[.]so[.]\d+", isal[0])[0]
        other = next(o for o in objects if "/libm." in o)
        (self.folder / name).symlink_to(other)
        objects = self.objects(env={"LD_LIBRARY_PATH": str(self.folder)})
        self.assertEqual([], [o for o in objects if "/libisal" in o])
