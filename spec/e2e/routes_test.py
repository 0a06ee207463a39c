# SPDX-License-Identifier: Apache-2.0
"""Routes of a script, as an HTTP client sees them."""

import json
import re
import signal
import socket
import threading
import time

from spec.e2e.lunex import Answer, Case, DEADLINE, Gate, eventually
from spec.e2e.timely import timely

SCRIPT = """
local metric = require "metric"
local task = require "task"
local udp = require "udp"
return {
  name = "spec",
  timeout = %(timeout)s,
  config = { greeting = { "hello" } },
  metrics = {
    spec_calls_total = metric.counter { "Calls of a route." },
    spec_last = metric.gauge { "What was set last.", labels = { "id" } },
  },
  routes = {
    ["GET /hello"] = function(request, m, config)
      m.spec_calls_total:inc()
      return config.greeting
    end,
    ["GET /all/:one/:two"] = function(request)
      return { json = request }
    end,
    ["PUT /set/:id"] = function(request, m)
      m.spec_last:set(request.body, request.params.id)
      return { status = 204 }
    end,
    ["POST /form"] = function(request)
      return {
        status = 201,
        headers = { ["Content-Type"] = request.headers["content-type"],
          ["Set-Cookie"] = { "a=1", "b=2" }, ["X-Number"] = 7 },
        body = request.method .. " " .. request.body,
      }
    end,
    ["POST /size"] = function(request) return tostring(#request.body) end,
    ["GET /big/:bytes"] = function(request)
      return ("x"):rep(math.tointeger(tonumber(request.params.bytes)))
    end,
    ["GET /wait"] = function()
      %(gate)s
      return "waited"
    end,
    ["GET /sleep"] = function()
      task.sleep(0.3)
      return "slept"
    end,
    ["GET /night"] = function()
      task.sleep(30)
      return "morning"
    end,
    ["GET /error"] = function() error("the password is hunter2") end,
    ["GET /loop"] = function() while true do end end,
    ["GET /wrong/:what"] = function(request)
      local answers = {
        number = 7,
        key = { statu = 200 },
        status = { status = 99 },
        fraction = { status = 200.5 },
        body = { body = {} },
        both = { body = "x", json = {} },
        json = { json = print },
        headers = { headers = "x" },
        token = { headers = { ["X A"] = "1" } },
        empty = { headers = { [""] = "1" } },
        split = { headers = { ["X-A"] = "1\\r\\nSet-Cookie: evil=1" } },
        line = { headers = { ["X-A: 1\\r\\nX-B"] = "1" } },
        zero = { headers = { ["X-A"] = "a\\0b" } },
        tab = { headers = { ["X-A"] = "a\\tb" } },
        table = { headers = { ["X-A"] = { {} } } },
        length = { headers = { ["content-length"] = "5" }, body = "x" },
        chunked = { headers = { ["Transfer-Encoding"] = "chunked" } },
        many = { headers = { ["X-A"] = ("x"):rep(9000) } },
      }
      if request.params.what == "message" then
        return nil, "the printer is out of paper"
      end
      return answers[request.params.what]
    end,
  },
}
"""


FLOOD = """
local log = require "log"
return {
  name = "flood",
  metrics = {},
  routes = {
    ["GET /say/:id"] = function(request)
      for i = 1, 50 do log.warn("line", { n = i }) end
      return "said"
    end,
    ["GET /fail"] = function() error("a mistake") end,
  },
}
"""


class Routes(Case):
    def start(self, timeout=10):
        self.gate = Gate(self)
        return self.lunex(self.script(SCRIPT % {
            "timeout": timeout, "gate": self.gate.lua}))

    def send(self, lunex, method, path, body=None, headers=None):
        connection = lunex.connect()
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def test_a_string_is_an_answer_and_metrics_count_it(self):
        lunex = self.start()
        answer = lunex.get("/hello")
        self.assertEqual((200, "hello"), (answer.status, answer.text))
        self.assertEqual("text/plain; charset=utf-8",
                         answer.headers["Content-Type"])
        page = lunex.samples()
        self.assertEqual(1, page["spec_calls_total"])
        self.assertEqual(1, page["spec_up"])
        self.assertEqual(1, page[
            'lunex_http_requests_total{handler="/hello",code="200"}'])

    def test_head_is_get_without_the_body(self):
        lunex = self.start()
        answer = lunex.get("/hello", method="HEAD")
        self.assertEqual((200, b""), (answer.status, answer.body))
        self.assertEqual("5", answer.headers["Content-Length"])
        self.assertEqual(1, lunex.samples()["spec_calls_total"])

    def test_another_method_is_405_with_what_is_allowed(self):
        lunex = self.start()
        for path, allow in (("/hello", "GET, HEAD"), ("/form", "POST"),
                            ("/set/1", "PUT"), ("/all/1/2", "GET, HEAD")):
            answer = self.send(lunex, "DELETE", path)
            self.assertEqual((405, allow),
                             (answer.status, answer.headers["Allow"]))
        self.assertEqual(404, lunex.get("/all/1").status)

    def test_a_function_sees_the_whole_request(self):
        lunex = self.start()
        answer = lunex.get("/all/a%2Fb/%C3%BC?x=1&x=2&y&z=%26+", {
            "X-Some": "1", "X-Other": "2"})
        self.assertEqual("application/json", answer.headers["Content-Type"])
        request = json.loads(answer.text)
        self.assertEqual({"one": "a/b", "two": "ü"}, request["params"])
        self.assertEqual({"x": "1", "y": "", "z": "& "}, request["query"])
        self.assertEqual("GET", request["method"])
        self.assertEqual("/all/a/b/ü", request["path"])
        self.assertEqual("1", request["headers"]["x-some"])
        self.assertEqual("2", request["headers"]["x-other"])
        self.assertEqual("", request["body"])
        self.assertRegex(request["peer"], r"^127\.0\.0\.1:\d+$")

    def test_repeated_headers_are_joined(self):
        lunex = self.start()
        with socket.create_connection(("127.0.0.1", lunex.port)) as s:
            s.sendall(b"GET /all/1/2 HTTP/1.0\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
            data = b"".join(iter(lambda: s.recv(65536), b""))
        request = json.loads(data.partition(b"\r\n\r\n")[2])
        self.assertEqual("1, 2", request["headers"]["x-a"])

    def test_a_form_arrives_as_it_was_sent(self):
        lunex = self.start()
        kind = "application/x-www-form-urlencoded"
        answer = self.send(lunex, "POST", "/form", "a=1&b=%20+x",
                           {"Content-Type": kind})
        self.assertEqual((201, "POST a=1&b=%20+x"),
                         (answer.status, answer.text))
        self.assertEqual(kind, answer.headers["Content-Type"])
        self.assertEqual(["a=1", "b=2"], answer.headers.get_all("Set-Cookie"))
        self.assertEqual("7", answer.headers["X-Number"])

    def test_set_is_live(self):
        lunex = self.start()
        answer = self.send(lunex, "PUT", "/set/a", "17")
        self.assertEqual((204, b""), (answer.status, answer.body))
        self.assertEqual(17, lunex.samples()['spec_last{id="a"}'])
        self.assertEqual(500, self.send(lunex, "PUT", "/set/b", "x").status)
        page = lunex.samples()
        self.assertEqual(17, page['spec_last{id="a"}'])
        self.assertNotIn('spec_last{id="b"}', page)

    def test_bodies_have_ceilings(self):
        lunex = self.start()
        answer = self.send(lunex, "POST", "/size", b"x" * (1 << 20))
        self.assertEqual("1048576", answer.text)
        answer = self.send(lunex, "POST", "/size", b"x" * ((1 << 20) + 1))
        self.assertEqual(413, answer.status)
        answer = lunex.get("/big/16777216")
        self.assertEqual((200, 16 << 20), (answer.status, len(answer.body)))
        answer = lunex.get("/big/16777217")
        self.assertEqual((500, "the route failed\n"),
                         (answer.status, answer.text))
        lunex.wait_log("gives a body of more than 16777216 bytes")

    def test_an_error_is_500_and_its_sentence_is_in_the_log_alone(self):
        lunex = self.start()
        for _ in range(3):
            answer = lunex.get("/error")
            self.assertEqual((500, "the route failed\n"),
                             (answer.status, answer.text))
        lunex.wait_log(r'route="GET /error" error=".*script\.lua:\d+: '
                       "the password is hunter2")
        self.assertEqual(1, lunex.log.count("the password"))

    def test_what_is_no_answer_is_an_error_of_the_script(self):
        lunex = self.start()
        for what, sentence in (
                ("nothing", "returned nothing; expected a string"),
                ("message", r"script\.lua:\d+: the printer is out of paper"),
                ("number", "returned number; expected a string"),
                ("key", "the unknown key 'statu'; did you mean 'status'"),
                ("status", "gives a status that is none, 200 to 599"),
                ("fraction", "gives a status that is none"),
                ("body", "gives 'body' as a table, not a string"),
                ("both", "gives both 'json' and 'body'"),
                ("json", "JSON: .*function"),
                ("headers", "gives 'headers' as a string, not a table"),
                ("token", "gives a header whose name is not one"),
                ("empty", "gives a header whose name is not one"),
                ("line", "gives a header whose name is not one"),
                ("split", "'X-A' a value with control characters"),
                ("zero", "'X-A' a value with control characters"),
                ("tab", "'X-A' a value with control characters"),
                ("table", "gives the header 'X-A' as a table"),
                ("length", "'content-length', which is the server's"),
                ("chunked", "'Transfer-Encoding', which is the server's"),
                ("many", "more than 64 headers or 8192 bytes")):
            answer = lunex.get("/wrong/" + what)
            self.assertEqual((500, "the route failed\n"),
                             (answer.status, answer.text), what)
            self.assertNotIn("Set-Cookie", answer.headers)
            lunex.wait_log(sentence)
        lunex.wait_log(r"script\.lua:\d+: the route 'GET /wrong/:what' ")

    def test_a_slow_route_does_not_hold_up_the_rest(self):
        lunex = self.start()
        connection = lunex.connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/wait")
        address = self.gate.arrival()
        self.assertEqual(200, lunex.get().status)
        self.assertEqual("hello", lunex.get("/hello").text)
        self.gate.open(address)
        self.assertEqual("waited", Answer(connection.getresponse()).text)

    def test_a_header_may_be_empty_and_is_left_out(self):
        lunex = self.start()
        answer = self.send(lunex, "POST", "/form", "a=1", {"Content-Type": ""})
        self.assertEqual((201, "POST a=1"), (answer.status, answer.text))
        self.assertEqual("7", answer.headers["X-Number"])
        self.assertNotIn("refused", lunex.log)

    def test_who_asks_often_does_not_fill_the_disk(self):
        lunex = self.lunex(self.script(FLOOD))
        dropped = 'lunex_exporter_log_dropped_total{exporter="flood"}'
        self.assertEqual(0, lunex.samples()[dropped])
        for i in range(40):
            self.assertEqual(200, lunex.get(f"/say/{i}").status)
        lunex.wait_log(r'level=warn msg="too many lines: what follows is left '
                       r'out for a while" exporter=flood')
        page = lunex.page_with(lambda p: p[dropped] > 0, dropped)
        said = len(re.findall(" msg=line exporter=flood n=", lunex.log))
        self.assertEqual(2000, said + page[dropped])

    def test_a_failure_that_was_left_out_is_told_later(self):
        lunex = self.lunex(self.script(FLOOD))
        for i in range(40):
            lunex.get(f"/say/{i}")
        self.assertEqual(500, lunex.get("/fail").status)
        self.assertNotIn("a route failed", lunex.log)

        def told():
            lunex.get("/fail")
            return "a route failed" in lunex.log
        eventually(told, "there is room for a line again")
        lunex.get("/fail")
        self.assertEqual(1, lunex.log.count("a route failed"))

    @timely
    def test_a_route_ends_at_its_deadline(self):
        lunex = self.start(timeout=1)
        started = time.monotonic()
        answer = lunex.get("/night")
        self.assertEqual((504, "the route did not answer in time\n"),
                         (answer.status, answer.text))
        self.assertLess(time.monotonic() - started, 1.5)
        lunex.wait_log("deadline of 1 s exceeded")

    @timely
    def test_a_route_that_never_waits_is_stopped(self):
        lunex = self.start()
        answer = lunex.get("/loop")
        self.assertEqual((500, "the route failed\n"),
                         (answer.status, answer.text))
        lunex.wait_log("ran for more than 1 s without waiting")
        self.assertEqual("hello", lunex.get("/hello").text)

    @timely
    def test_many_calls_run_side_by_side(self):
        lunex = self.start()
        started = time.monotonic()
        answers = self.many(lunex, 200, "/sleep")
        self.assertEqual([(200, b"slept")] * 200, answers)
        self.assertLess(time.monotonic() - started, 5)

    def many(self, lunex, n, path):
        connections = [lunex.connect() for _ in range(n)]
        try:
            for connection in connections:
                connection.request("GET", path)
            answers = [c.getresponse() for c in connections]
            return [(a.status, a.read()) for a in answers]
        finally:
            for connection in connections:
                connection.close()

    def test_open_calls_have_a_limit(self):
        lunex = self.start()
        waiting = []
        for _ in range(256):
            connection = lunex.connect()
            self.addCleanup(connection.close)
            connection.request("GET", "/wait")
            waiting.append(connection)
        addresses = [self.gate.arrival() for _ in waiting]
        answer = lunex.get("/hello")
        self.assertEqual((503, "the exporter has too much to do\n"),
                         (answer.status, answer.text))
        self.assertEqual("1", answer.headers["Retry-After"])
        for address in addresses:
            self.gate.open(address)
        for connection in waiting:
            self.assertEqual("waited", Answer(connection.getresponse()).text)
        self.assertEqual("hello", lunex.get("/hello").text)

    def test_answers_that_nobody_reads_have_a_limit(self):
        lunex = self.start()
        size = 10 << 20  # more than the system takes off our hands
        unread = []
        for _ in range(6):  # of 64 MiB
            s = socket.socket()
            self.addCleanup(s.close)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(DEADLINE)
            s.connect(("127.0.0.1", lunex.port))
            s.sendall(b"GET /big/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
            self.assertEqual(b"HTTP/1.1 200", s.recv(12))
            unread.append(s)
        answer = lunex.get(f"/big/{size}")
        self.assertEqual((503, "the exporter has too much to do\n"),
                         (answer.status, answer.text))
        self.assertEqual("hello", lunex.get("/hello").text)
        unread.pop().close()
        eventually(lambda: lunex.get(f"/big/{size}").status == 200,
                   "there is room again")

    def test_a_client_may_go_away(self):
        lunex = self.start()
        for _ in range(20):
            connection = lunex.connect()
            connection.request("GET", "/wait")
            address = self.gate.arrival()
            connection.close()
            self.gate.open(address)
        connection = lunex.connect()
        connection.putrequest("POST", "/form")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b"half")
        connection.close()
        self.assertEqual("hello", lunex.get("/hello").text)

    def test_calls_storm_while_pages_are_read(self):
        lunex = self.start()
        failures = []

        def hammer():
            connection = lunex.connect()
            for _ in range(100):
                connection.request("GET", "/hello")
                if connection.getresponse().read() != b"hello":
                    failures.append("hello")
            connection.close()
        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                self.assertEqual(200, lunex.get().status)
                thread.join(0.05)
        self.assertEqual([], failures)
        self.assertEqual(400, lunex.samples()["spec_calls_total"])


class Stop(Case):
    @timely
    def test_sigterm_answers_a_call_that_waits(self):
        gate = Gate(self)
        lunex = self.ended(self.script(SCRIPT % {
            "timeout": 60, "gate": gate.lua}))
        connection = lunex.connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/wait")
        gate.arrival()
        started = time.monotonic()
        self.assertEqual(0, lunex.stop(signal.SIGTERM), lunex.log)
        self.assertLess(time.monotonic() - started, 1)
        answer = Answer(connection.getresponse())
        self.assertEqual((503, "lunex is stopping\n"),
                         (answer.status, answer.text))
        self.assertNotIn("a route failed", lunex.log)
        self.assertNotIn("Sanitizer", lunex.log)


class Loading(Case):
    def test_the_telemetry_path_wins_over_a_route(self):
        text = 'return { routes = {\n  ["GET /x"] = function() end,\n} }\n'
        lunex = self.ended(self.script(text), "--web.telemetry-path=/x")
        self.assertEqual(1, lunex.wait())
        self.assertIn("script.lua:2: the route 'GET /x' takes the telemetry "
                      "path /x", lunex.log)

    def test_a_script_of_routes_alone_is_ready(self):
        text = 'return { routes = {\n  ["GET /x"] = function() end,\n} }\n'
        lunex = self.lunex(self.script(text))
        eventually(lambda: lunex.get("/-/ready").status == 200, "it is ready")
        self.assertEqual(1, lunex.samples()["script_up"])
