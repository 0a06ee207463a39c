# SPDX-License-Identifier: Apache-2.0
"""What lunex answers over HTTP, apart from what is on the page."""

import gzip
import json
import socket
import subprocess
import zlib

from spec.e2e.lunex import Case, Gate, Lunex, eventually, free_port

TEXT = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; "
PROTOBUF = ("application/vnd.google.protobuf; "
            "proto=io.prometheus.client.MetricFamily; encoding=delimited; ")
# What Prometheus says, and what it gets.
PROMETHEUS = (
    # 2.42
    ("application/openmetrics-text;version=1.0.0,"
     "application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     OPENMETRICS + "escaping=underscores"),
    # the same with native histograms
    ("application/vnd.google.protobuf;"
     "proto=io.prometheus.client.MetricFamily;encoding=delimited,"
     "application/openmetrics-text;version=1.0.0;q=0.8,"
     "application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     PROTOBUF + "escaping=underscores"),
    # 3.5
    ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
     "application/openmetrics-text;version=0.0.1;q=0.5,"
     "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
     "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
     OPENMETRICS + "escaping=allow-utf-8"),
)
BROWSER = ("text/html,application/xhtml+xml,application/xml;q=0.9,"
           "image/avif,image/webp,*/*;q=0.8")
SMALL = """
local metric = require "metric"
return {
  name = "small",
  metrics = { small_answer = metric.gauge { "The answer." } },
  collect = function(m) m.small_answer:set(42) end,
}
"""
COUNTING = """
local metric = require "metric"
return {
  name = "counting",
  metrics = { counting_runs_total = metric.counter { "Collections." } },
  collect = function(m) m.counting_runs_total:inc() end,
}
"""
BIG = """
local metric = require "metric"
return {
  name = "big",
  interval = 3600,
  metrics = { big_value = metric.gauge { "Many.", labels = { "number" } } },
  collect = function(m)
    for i = 1, 20000 do m.big_value:set(i * i, i) end
  end,
}
"""
BIG_LINES = {f'big_value{{number="{i}"}} {i * i}' for i in range(1, 21)}
WAITING = """
local metric = require "metric"
local udp = require "udp"
return {
  name = "waiting",
  interval = 3600,
  metrics = {},
  collect = function() %s end,
}
"""


class Http(Case):
    def test_the_page_has_exactly_the_content_type_of_the_text_format(self):
        answer = self.lunex(self.script(SMALL)).get("/metrics")
        self.assertEqual(200, answer.status)
        self.assertEqual(TEXT, answer.headers["Content-Type"])
        self.assertIn("\nsmall_answer 42\n", answer.text)

    def test_what_prometheus_accepts_gets_a_page_that_it_understands(self):
        lunex = self.lunex(self.script(SMALL))
        others = ("text/plain;version=0.0.4", "*/*", "image/png", "", "~;;q=x,")
        for accept, content in (*PROMETHEUS, *((o, TEXT) for o in others)):
            for path in ("/metrics", "/metrics?exporter=small"):
                answer = lunex.get(path, {"Accept": accept})
                self.assertEqual(200, answer.status)
                self.assertEqual(content, answer.headers["Content-Type"])
                self.assertEqual("Accept, Accept-Encoding",
                                 answer.headers["Vary"])
                self.assertIn(b"small_answer", answer.body)
                self.assertEqual(content.startswith(OPENMETRICS),
                                 answer.body.endswith(b"# EOF\n"))

    def test_when_counting_began_can_be_left_out(self):
        script = self.script(COUNTING)
        accept = {"Accept": "application/openmetrics-text;version=1.0.0"}
        for flags, shown in (((), 1), (["--web.disable-created-samples"], 0)):
            lunex = self.lunex(script, *flags)
            text = lunex.get("/metrics?exporter=counting", accept).text
            self.assertIn("\ncounting_runs_total 1", text)
            self.assertEqual(shown, text.count("\ncounting_runs_created "))
            text = lunex.get("/metrics?exporter=counting").text
            self.assertIn("\ncounting_runs_total 2\n", text)
            self.assertNotIn("_created", text)

    def test_the_telemetry_path_can_be_another_one(self):
        lunex = self.lunex(self.script(SMALL), "--web.telemetry-path=/data")
        self.assertEqual(200, lunex.get("/data").status)
        self.assertEqual(404, lunex.get("/metrics").status)

    def test_the_root_is_a_page_in_a_browser(self):
        answer = self.lunex(self.script(SMALL)).get("/", {"Accept": BROWSER})
        self.assertEqual(200, answer.status)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/html"))
        self.assertIn('href="/metrics"', answer.text)
        self.assertIn("small", answer.text)

    def test_health_is_ok(self):
        lunex = self.lunex(self.script(SMALL))
        for path in ("/healthz", "/-/healthy"):
            self.assertEqual(200, lunex.get(path).status, path)

    def test_it_is_ready_when_a_collection_is_over(self):
        gate = Gate(self)
        lunex = self.lunex(self.script(WAITING % gate.lua))
        address = gate.arrival()
        self.assertEqual(503, lunex.get("/-/ready").status)
        self.assertEqual(200, lunex.get("/-/healthy").status)
        gate.open(address)
        eventually(lambda: lunex.get("/-/ready").status == 200, "it is ready")

    def test_the_api_lists_the_exporter(self):
        path = self.script(SMALL)
        lunex = self.lunex(path)
        lunex.get()
        answer = lunex.get("/api/v1/exporters")
        self.assertEqual(200, answer.status)
        self.assertEqual("application/json", answer.headers["Content-Type"])
        told = json.loads(answer.text)
        self.assertEqual("success", told["status"])
        [exporter] = told["data"]["exporters"]
        self.assertEqual(
            ("small", str(path), "running", "", True, None),
            tuple(exporter[key] for key in ("name", "script", "state",
                                            "lastError", "onScrape",
                                            "interval")))
        self.assertEqual({"success": 1, "failure": 0},
                         exporter["collections"])
        self.assertGreater(exporter["memoryBytes"], 10000)
        self.assertGreater(exporter["series"], 0)
        self.assertEqual((True, ""), (exporter["reload"]["success"],
                                      exporter["reload"]["error"]))
        self.assertTrue(told["data"]["config"]["success"])

    def test_a_reload_wants_a_flag(self):
        lunex = self.lunex(self.script(SMALL))
        for method in ("POST", "PUT"):
            answer = lunex.get("/-/reload", method=method)
            self.assertEqual(403, answer.status)
            self.assertIn("--web.enable-lifecycle", answer.text)
        answer = lunex.get("/-/reload")
        self.assertEqual((405, "POST, PUT"),
                         (answer.status, answer.headers["Allow"]))

    def test_head_answers_without_a_body(self):
        lunex = self.lunex(self.script(SMALL))
        for path in ("/metrics", "/", "/-/healthy"):
            answer = lunex.get(path, method="HEAD")
            self.assertEqual((200, b""), (answer.status, answer.body), path)
            self.assertIsNotNone(answer.headers["Content-Type"])

    def test_an_unknown_path_is_404(self):
        lunex = self.lunex(self.script(SMALL))
        for path in ("/nothing", "/metrics/", "/metrics/..", "//", "/%00"):
            self.assertEqual(404, lunex.get(path).status, path)

    def test_a_wrong_method_is_405_and_told_the_right_ones(self):
        lunex = self.lunex(self.script(SMALL))
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            for path in ("/metrics", "/", "/-/ready"):
                answer = lunex.get(path, method=method)
                self.assertEqual(405, answer.status, (method, path))
                allowed = answer.headers["Allow"].replace(" ", "").split(",")
                self.assertLessEqual({"GET", "HEAD"}, set(allowed))

    def test_a_connection_answers_many_requests(self):
        lunex = self.lunex(self.script(SMALL))
        connection = lunex.connect()
        self.addCleanup(connection.close)
        connection.connect()
        address = connection.sock.getsockname()
        for path, method in [("/metrics", "GET"), ("/nothing", "GET"),
                             ("/metrics", "HEAD"), ("/metrics", "POST"),
                             ("/", "GET"), ("/metrics", "GET")]:
            connection.request(method, path, body=b"x" * 100
                               if method == "POST" else None)
            response = connection.getresponse()
            response.read()
            self.assertEqual(address, connection.sock.getsockname(), path)
        self.assertEqual(200, response.status)

    def test_a_request_in_small_pieces_is_understood(self):
        lunex = self.lunex(self.script(SMALL))
        with socket.create_connection(("127.0.0.1", lunex.port), 20) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"GET /metrics HTTP/1.1\r\nHost: x\r\n" \
                    b"Connection: close\r\n\r\n":
                s.sendall(bytes([byte]))
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))
        self.assertIn(b"small_answer 42\n", answer)

    def test_garbage_instead_of_a_request_hurts_nobody(self):
        lunex = self.lunex(self.script(SMALL))
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"\r\n" * 999,
                        b"GET /metrics HTTP/9.9\r\n\r\n", b"\0" * 5000,
                        b"GET " + b"/a" * 40000 + b" HTTP/1.1\r\n\r\n",
                        b"GET / HTTP/1.1\r\nX: " + b"y" * 100000 + b"\r\n\r\n"):
            # An answer, the end of the connection, or patience for the rest.
            with socket.create_connection(("127.0.0.1", lunex.port), 0.5) as s:
                try:
                    s.sendall(garbage)
                    self.assertNotIn(b" 200 ", s.recv(65536)[:20])
                except OSError:
                    pass
        self.assertEqual(200, lunex.get("/metrics").status)

    def test_two_addresses(self):
        lunex = self.lunex(self.script(SMALL),
                           "--web.listen-address=127.0.0.2:0")
        lunex.wait_log(r"127\.0\.0\.2:\d+")
        self.assertEqual(200, lunex.get("/metrics").status)


class Gzip(Case):
    def setUp(self):
        super().setUp()
        self.big = self.lunex(self.script(BIG))
        eventually(lambda: self.big.get("/-/ready").status == 200, "ready")

    def check(self, text):
        self.assertLessEqual(BIG_LINES, set(text.splitlines()))
        self.assertEqual(20000, text.count("\nbig_value{"))

    def test_a_page_of_many_blocks_is_one_gzip_stream(self):
        answer = self.big.get("/metrics", {"Accept-Encoding": "gzip"})
        self.assertEqual("gzip", answer.headers["Content-Encoding"])
        self.assertIn("Accept-Encoding", answer.headers["Vary"])
        self.assertEqual(TEXT, answer.headers["Content-Type"])
        text = gzip.decompress(answer.body).decode()
        self.assertGreater(len(text), 6 * 65536)
        self.check(text)
        self.assertLess(len(answer.body), len(text) / 3)

    def test_the_second_answer_is_the_same(self):
        def lines():
            text = self.big.get("/metrics", {"Accept-Encoding": "gzip"}).text
            return [n for n in text.splitlines() if n.startswith("big_value")]
        self.assertEqual(lines(), lines())

    def test_it_is_not_compressed_for_who_did_not_ask(self):
        for headers in ({}, {"Accept-Encoding": "identity"},
                        {"Accept-Encoding": "gzip;q=0"},
                        {"Accept-Encoding": "br"}):
            answer = self.big.get("/metrics", headers)
            self.assertIsNone(answer.headers["Content-Encoding"], headers)
            self.check(answer.body.decode())

    def test_curl_reads_it(self):
        text = subprocess.run(
            ["curl", "-sS", "--fail", "--compressed",
             f"http://127.0.0.1:{self.big.port}/metrics"],
            stdout=subprocess.PIPE, check=True, text=True).stdout
        self.check(text)

    def test_a_reader_that_stops_after_the_first_member_sees_the_difference(
            self):
        """The length must be right: a client that knows no concatenation
        fails instead of taking a part for the whole."""
        answer = self.big.get("/metrics", {"Accept-Encoding": "gzip"})
        first = zlib.decompressobj(wbits=31)
        first.decompress(answer.body)
        self.assertTrue(first.eof)
        self.assertEqual(int(answer.headers["Content-Length"]),
                         len(answer.body))


class Start(Case):
    def test_a_port_in_use_is_one_sentence_and_status_1(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            process = self.ended(self.script(SMALL),
                                 listen=f"127.0.0.1:{port}")
            self.assertEqual(1, process.wait())
        self.assertEqual(1, len(process.lines), process.log)
        process.wait_said(f"127.0.0.1:{port}")
        self.assertIn("in use", process.log.lower())

    def test_it_can_be_started_again_at_once_on_the_same_port(self):
        first = Lunex(self.script(SMALL), listen=f"127.0.0.1:{free_port()}")
        self.addCleanup(first.kill)
        connection = first.connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        port = first.port
        self.assertEqual(0, first.stop())
        second = self.lunex(self.script(SMALL), listen=f"127.0.0.1:{port}")
        self.assertEqual(port, second.port)
        self.assertEqual(200, second.get("/metrics").status)
