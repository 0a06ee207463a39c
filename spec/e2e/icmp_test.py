# SPDX-License-Identifier: Apache-2.0
"""Pings of a real process: beside fping, and without the right to ping."""

import json
import os
import re
import statistics
import subprocess
import time
import unittest

from spec.e2e.lunex import SAMPLE, TOP, Case, program
from spec.e2e.timely import timely

PINGS, INTERVAL_MS = 20, 20
WITHIN_US = 20
ATTEMPTS = 6

SERIES = """
local clock = require "clock"
local icmp = require "icmp"
local metric = require "metric"
local task = require "task"

return {
  name = "times",
  config = { burn = { 0.0 } },
  metrics = { times_rtt_us = metric.gauge { "RTT.", labels = { "number" } } },
  collect = function(m, config)
    local series
    local function ping()
      series = assert(icmp.series("127.0.0.1",
        { count = 20, interval = 0.02 }))
    end
    local function burn()
      while config.burn > 0 and not series do
        local over = clock.monotonic() + config.burn
        while clock.monotonic() < over do end
        task.sleep(0.002)
      end
    end
    task.all(ping, burn)
    for i, rtt in ipairs(series.rtts) do
      m.times_rtt_us:set(rtt * 1e6, i)
    end
  end,
}
"""

ALL_THREE = """
local icmp = require "icmp"
local json = require "json"

local ask = {
  echo = function() return icmp.echo "127.0.0.1" end,
  series = function() return icmp.series("127.0.0.1", { count = 1 }) end,
  sweep = function() return icmp.sweep { "127.0.0.1", "127.0.0.2" } end,
  six = function() return icmp.echo "::1" end,
}

local function tell(result, message, reason)
  result = result or { error = message, reason = reason, failed = true }
  return { not result.failed, result.error or message or "",
    result.reason or "" }
end

return {
  name = "three",
  config = { file = { "" }, only = { "" } },
  collect = function(_, config)
    local file <close> = assert(io.open(config.file, "w"))
    local answers = {}
    for name, fn in pairs(ask) do
      if config.only == "" or config.only == name then
        answers[name] = tell(fn())
      end
    end
    file:write(json.encode(answers))
  end,
}
"""

# A network of its own, in which root may do all but open raw sockets.
CONFINED = """
ip link set lo up && echo "$1" > /proc/sys/net/ipv4/ping_group_range || exit 99
shift
exec setpriv --bounding-set=-net_raw --inh-caps=-net_raw -- "$@"
"""


# The same where nobody answers over IPv4.
SILENT = """
ip link set lo up &&
  echo "$1" > /proc/sys/net/ipv4/icmp_echo_ignore_all || exit 99
shift
exec "$@"
"""


TRACED = """
local icmp = require "icmp"

return {
  name = "traced",
  collect = function() end,
  probe = function(_, target)
    icmp.echo(target)
    icmp.echo("::1", { family = 4 })
    icmp.series(target, { count = 2, interval = 0 })
    icmp.sweep { target, "::1" }
  end,
}
"""


class Trace(Case):
    def test_tells_of_each_ping(self):
        lunex = self.lunex(self.script(TRACED))
        text = lunex.get("/probe?target=127.0.0.1&debug=true").text
        for line in (r"ping 127\.0\.0\.1: 56 bytes, ttl 64, \d+\.\d{3} ms",
                     r"ping ::1: not an IPv4 address",
                     r"ping 127\.0\.0\.1: 2 sent, 2 received, mean "
                     r"\d+\.\d{3} ms",
                     r"ping 2 hosts: 2 answers within \d+\.\d{3} s"):
            self.assertRegex(text, rf"(?m)^ *[\d.]+ .*{line}$")


class Times(Case):
    def fping(self):
        """Microseconds."""
        command = ["fping", "-q", f"-C{PINGS}", f"-p{INTERVAL_MS}", "127.0.0.1"]
        out = subprocess.run(command, capture_output=True, text=True,
                             check=True, timeout=60).stderr
        return statistics.median(
            float(t) * 1e3 for t in out.split(" : ")[1].split())

    def series(self, burn):
        """The same, from a script that computes for BURN seconds on end."""
        done = subprocess.run(
            [program(), "once", self.script(SERIES), f"--burn={burn}"],
            capture_output=True, text=True, check=False, timeout=60)
        rtts = [float(value) for name, value in SAMPLE.findall(done.stdout)
                if name.startswith("times_rtt_us{")]
        self.assertEqual(PINGS, len(rtts), done.stderr)
        return statistics.median(rtts)

    def agree(self, burn):
        """On a busy machine both are far from themselves; so the first time
        that they agree counts. What a script computes is a thousand times what
        is allowed here, and is there every time."""
        seen = []
        for _ in range(ATTEMPTS):
            seen.append((self.fping(), self.series(burn)))
            if abs(seen[-1][0] - seen[-1][1]) <= WITHIN_US:
                return
        self.fail(f"medians of fping and of lunex, us: {seen}")

    def test_are_those_of_fping(self):
        self.agree(0)

    def test_are_those_of_fping_while_the_script_computes(self):
        self.agree(0.03)


class Confined(Case):
    def ask(self, setup, argument, *flags):
        """What a script says that runs in a network of its own."""
        out = self.folder / "answers"
        result = subprocess.run(
            ["unshare", "--net", "sh", "-c", setup, "sh", argument, program(),
             "once", self.script(ALL_THREE), f"--file={out}", *flags],
            cwd=TOP, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(out.read_text())


@unittest.skipUnless(os.geteuid() == 0, "makes a network namespace")
class Rights(Confined):
    def test_a_process_without_any_says_what_would_help(self):
        for name, (ok, message, reason) in self.ask(CONFINED, "1 0").items():
            self.assertEqual((False, "denied"), (ok, reason), name)
            self.assertRegex(message, r"^ping (127\.0\.0\.1|::1): ")
            self.assertIn("ping_group_range", message)
            self.assertIn("CAP_NET_RAW", message.upper())

    def test_a_group_that_may_ping_needs_no_capability(self):
        answers = self.ask(CONFINED, "0 0")
        for name in ("echo", "series", "six"):
            self.assertEqual([True, "", ""], answers[name], name)
        self.assertEqual([True, {}, ""], answers["sweep"])


@unittest.skipUnless(os.geteuid() == 0, "makes a network namespace")
class Silence(Confined):
    def test_lasts_three_seconds(self):
        started = time.monotonic()
        answers = self.ask(SILENT, "1", "--timeout=30")
        self.assertGreaterEqual(time.monotonic() - started, 9)
        silent = "ping 127.0.0.1: no answer within 3 s"
        self.assertEqual([False, silent, "timeout"], answers["echo"])
        self.assertEqual([True, silent, "timeout"], answers["series"])
        self.assertEqual(
            [True, [silent, silent.replace("0.1:", "0.2:")], ""],
            answers["sweep"])

    @timely
    def test_ends_before_the_deadline(self):
        for name in ("echo", "series", "sweep"):
            answers = self.ask(SILENT, "1", "--timeout=2", f"--only={name}")
            _, message, _ = answers[name]
            self.assertRegex(message[0] if name == "sweep" else message,
                             r"^ping 127.0.0.1: no answer within 1\.9\d? s$")


if __name__ == "__main__":
    unittest.main()
