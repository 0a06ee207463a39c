# SPDX-License-Identifier: Apache-2.0
"""Reloads of scripts that do not come back, where descriptors run out, and
beside a `start` that fails again and again."""

import signal
import socket
import time

from spec.e2e.lunex import Answer, Case, Gate, eventually, free_port

BOMB = 'local _ = ("a"):rep(40):find((".-"):rep(24) .. "b")'

SCRIPT = """
local metric, task, udp = require "metric", require "task", require "udp"
return {
  name = "a",
  %(keys)s
  metrics = {
    a_total = metric.counter { "Collections." },
    a_version = metric.gauge { "The version." },
  },
  collect = function(m)
    m.a_total:inc()
    %(collect)s
    m.a_version:set(%(version)d)
  end,
}
"""


def script(version, keys="", collect=""):
    return SCRIPT % {"version": version, "keys": keys, "collect": collect}


def start(text):
    return f"start = function() {text} end,"


class Stuck(Case):
    def start(self, text, *arguments):
        self.path = self.folder / "a.lua"
        self.path.write_text(text)
        lunex = self.lunex(self.path, "--web.enable-lifecycle", *arguments)
        lunex.page_with(lambda p: p.get("a_total"), "it collects")
        return lunex

    def reload(self, lunex, text, status=200):
        self.path.write_text(text)
        answer = lunex.post("/-/reload", "")
        self.assertEqual(status, answer.status, answer.text)
        return answer.text

    def threads(self, lunex):
        return lunex.samples()["lunex_threads_left_behind"]

    def test_a_new_version_that_is_stuck_before_it_takes_over(self):
        """The old one is busy with what it received, so it hands over late."""
        port = free_port(socket.SOCK_DGRAM)
        busy = start(f"""
            local server <close> = assert(udp.listen("127.0.0.1", {port}))
            server:receive()
            task.sleep(60)
        """)
        lunex = self.start(script(1, busy), "--watch=off")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", ("127.0.0.1", port))
        before = lunex.samples()["a_total"]
        told = self.reload(lunex, script(
            2, "interval = 60," + start(f"task.sleep(0.3) {BOMB}")))
        self.assertIn("does not come back", told)
        page = lunex.samples()
        self.assertGreaterEqual(page["a_total"], before)
        self.assertEqual(1, page["a_version"])  # the last one that was shown
        self.assertNotIn("does not come back",
                         self.reload(lunex, script(3)))
        page = lunex.samples()
        self.assertGreater(page["a_total"], before)
        self.assertEqual(3, page["a_version"])
        self.assertEqual(1, page["lunex_threads_left_behind"])

    def test_one_is_removed_while_it_is_stuck_and_comes_again(self):
        """Nothing of it keeps the place of another: its port is free."""
        port = free_port(socket.SOCK_DGRAM)
        listens = start(f"""
            local server <close> = assert(udp.listen("127.0.0.1", {port}))
            server:receive()
            {BOMB}
        """)
        (self.folder / "b.lua").write_text(
            script(1).replace("a_", "b_").replace('"a"', '"b"'))
        self.path = self.folder / "a.lua"
        self.path.write_text(script(1, "interval = 60," + listens))
        lunex = self.lunex(f"--scripts={self.folder}", "--watch=off",
                           "--web.enable-lifecycle")
        lunex.page_with(lambda p: p.get("a_total"), "it collects")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", ("127.0.0.1", port))
        lunex.page_with(
            lambda p: p['lunex_exporter_stalled{exporter="a"}'] == 1,
            "it is stalled")
        self.path.unlink()
        answer = lunex.post("/-/reload", "")
        self.assertEqual(200, answer.status, answer.text)
        self.assertEqual(1, self.threads(lunex))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", port))
        self.reload(lunex, script(2))
        lunex.page_with(lambda p: p.get("a_version") == 2, "it is back")

    def test_sigterm_while_the_old_version_hands_over(self):
        port = free_port(socket.SOCK_DGRAM)
        gate = Gate(self)
        lunex = self.start(script(1, start(f"""
            local server <close> = assert(udp.listen("127.0.0.1", {port}))
            {gate.lua}
            server:receive()
            task.sleep(60)
        """)), "--watch=off")
        address = gate.arrival()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", ("127.0.0.1", port))
        gate.open(address)
        tried = Gate(self)
        self.path.write_text(script(2, collect=tried.lua))
        connection = lunex.connect()
        self.addCleanup(connection.close)
        connection.request("POST", "/-/reload")
        tried.open(tried.arrival())  # the trial, and then it takes a second
        lunex.samples("/healthz")
        self.assertEqual(0, lunex.stop(), lunex.log)
        self.assertEqual(503, connection.getresponse().status)

    def test_sigterm_while_the_new_version_does_not_load(self):
        """It is stuck in a call of C: when it is loaded to see its flags, and
        when it is loaded in its own thread."""
        for loads in (1, 2):
            with self.subTest(loads=loads):
                self.check_sigterm(loads)

    def check_sigterm(self, loads):
        count = self.folder / f"loads{loads}"
        count.touch()
        lunex = self.start(script(1), "--watch=off")
        self.path.write_text(f"""
            local count <close> = assert(io.open("{count}", "a"))
            count:write "x"
            if count:seek "end" == {loads} then {BOMB} end
        """ + script(2))
        connection = lunex.connect()
        self.addCleanup(connection.close)
        connection.request("POST", "/-/reload")
        eventually(lambda: count.stat().st_size == loads, "it is stuck")
        began = time.monotonic()
        self.assertEqual(0, lunex.stop(), lunex.log)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(503, connection.getresponse().status)

    def test_sigterm_at_any_moment_of_a_reload(self):
        """Spread over the time that a reload takes."""
        port = free_port(socket.SOCK_DGRAM)
        listens = start(f"""
            local server <close> = assert(udp.listen("127.0.0.1", {port}))
            while true do server:receive() end
        """)
        took, moments = 0, 12
        for moment in range(moments + 1):
            lunex = self.start(script(1, listens), "--watch=off")
            self.path.write_text(script(2, listens))
            connection = lunex.connect()
            self.addCleanup(connection.close)
            began = time.monotonic()
            connection.request("POST", "/-/reload")
            if moment:
                time.sleep(took * moment / moments)  # that is the moment
                lunex.process.send_signal(signal.SIGTERM)
            status = connection.getresponse().status
            took = took or time.monotonic() - began
            self.assertIn(status, (200, 503) if moment else (200,))
            self.assertEqual(0, lunex.stop(), lunex.log)
            self.assertNotIn("Sanitizer", lunex.log)

    def test_a_start_that_fails_twice_during_the_trial(self):
        """The trial waits for the collection all the same."""
        lunex = self.start(script(1, collect='error "no"'), "--watch=off")
        told = self.reload(lunex, script(
            2, 'interval = 60, start = function() error "bad" end,',
            "task.sleep(1.5)"))
        self.assertIn("bad", told)
        self.assertEqual(2, lunex.samples().get("a_version"))

    def test_there_are_no_descriptors_to_look_at_the_scripts(self):
        """It is tried again until there are some, and an edit is noticed as
        ever then."""
        lunex = self.start(script(1, "interval = 60,"))
        asking = lunex.connect()
        self.addCleanup(asking.close)
        asking.request("GET", "/metrics")
        self.assertEqual(200, Answer(asking.getresponse()).status)
        with lunex.few_descriptors(0):
            self.path.write_text(script(2))
            lunex.wait_log("reload failed.*too many open files")
            asking.request("GET", "/metrics")
            answer = Answer(asking.getresponse())
            self.assertEqual(1, answer.samples["a_version"])
        lunex.page_with(lambda p: p.get("a_version") == 2, "version 2")
        self.path.write_text(script(3))
        lunex.page_with(lambda p: p.get("a_version") == 3, "version 3")

    def test_descriptors_run_out_in_the_middle(self):
        """Scripts can be read, which takes five, but a fourth of the limit is
        to be left over for others, too. Those that are open are counted by
        the lowest number that is free, so the script fills all gaps."""
        gate = Gate(self)
        lunex = self.start(script(1, "interval = 60," + start(f"""
            local test, held = {gate.connection}, {{}}
            repeat
              held[#held + 1] = assert(udp.connect("127.0.0.1", 9))
              assert(test:send "here")
            until test:receive(60) == "enough"
            for i = 1, #held do held[i]:close() end
        """)))
        address = gate.arrival()
        lunex.quiet()
        used = lunex.descriptors()
        while len(used) < 50 or used != set(range(len(used))):
            gate.open(address)
            gate.arrival()
            used = lunex.descriptors()
        lunex.limit_descriptors(len(used) + 10, len(used) + 10)
        self.path.write_text(script(2))
        lunex.wait_log("reload failed.*a.lua: too many open files")
        self.assertEqual(1, lunex.samples()["a_version"])
        gate.open(address, b"enough")
        eventually(lambda: len(lunex.descriptors()) < 45, "it closes them")
        self.path.write_text(script(3))
        lunex.page_with(lambda p: p.get("a_version") == 3, "version 3")
