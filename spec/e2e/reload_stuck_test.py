# SPDX-License-Identifier: Apache-2.0
"""Reloads of scripts that do not come back, where descriptors run out, and
beside a `start` that fails again and again."""

import os
import resource
import socket

from spec.e2e.lunex import Case, Gate, free_port

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

    def test_a_start_that_fails_twice_during_the_trial(self):
        """The trial waits for the collection all the same."""
        lunex = self.start(script(1, collect='error "no"'), "--watch=off")
        told = self.reload(lunex, script(
            2, 'interval = 60, start = function() error "bad" end,',
            "task.sleep(1.5)"))
        self.assertIn("bad", told)
        self.assertEqual(2, lunex.samples().get("a_version"))

    def test_descriptors_run_out_in_the_middle(self):
        """When there are some again, an edit is noticed as ever."""
        port = free_port(socket.SOCK_DGRAM)
        holds = start(f"""
            local held = {{}}
            for i = 1, 20 do held[i] = assert(udp.connect("127.0.0.1", 9)) end
            local server <close> = assert(udp.listen("127.0.0.1", {port}))
            server:receive()
            for i = 1, 20 do held[i]:close() end
        """)
        lunex = self.start(script(1, "interval = 60," + holds))
        pid = lunex.process.pid
        used = max(map(int, os.listdir(f"/proc/{pid}/fd")))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 6, used + 6))
        self.path.write_text(script(2))
        lunex.wait_log(r"reload failed.*too many open files")
        self.assertEqual(1, lunex.samples()["a_version"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", ("127.0.0.1", port))
        self.path.write_text(script(3))
        lunex.page_with(lambda p: p.get("a_version") == 3, "version 3")
