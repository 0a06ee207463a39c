# SPDX-License-Identifier: Apache-2.0
"""Commands of scripts, and that none outlives what it was run for."""

import os
import signal
import time
import unittest

from spec.e2e.lunex import Case, eventually
from spec.e2e.timely import timely

DISKS = """
local metric = require "metric"
local process = require "process"

return {
  name = "disk",
  metrics = {
    disk_free_bytes = metric.gauge { "Free space.", labels = { "mounted" } },
  },
  collect = function(m)
    local df = assert(process.run { "df", "-Pk", "/", timeout = 5,
      env = { LC_ALL = "C" } })
    assert(df.status == 0, df.stderr)
    for free, mounted in df.stdout:gmatch "(%d+) +%d+%% (/[^\\n]*)" do
      m.disk_free_bytes:set(free * 1024, mounted)
    end
  end,
}
"""

# The command tells its number and that of a process that it has started.
LONG = """
local metric = require "metric"
local process = require "process"

return {
  name = "long",
  timeout = %(timeout)g,
  metrics = { long_ends = metric.gauge { "Never." } },
  %(key)s = function(m)
    m.long_ends:set(assert(process.run { "sh", "-c",
      "sleep 1000 & echo $$ $! >>%(file)s; wait", timeout = 1000 }).status)
  end,
}
"""


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def children(pid):
    """The processes whose parent is PID, and zombies among them."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as f:
                if f.read().rpartition(")")[2].split()[1] == str(pid):
                    found.append(int(entry))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


class Process(Case):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "pids"

    def long(self, key="start", timeout=10, **options):
        text = LONG % {"key": key, "timeout": timeout, "file": self.file}
        return self.ended(self.script(text), **options)

    def pids(self):
        def look():
            text = self.file.read_text() if self.file.exists() else ""
            return text.endswith("\n") and text
        pids = list(map(int, eventually(look, "the command runs").split()))
        self.addCleanup(self.end, pids)
        return pids

    def end(self, pids):
        for pid in filter(is_alive, pids):
            os.kill(pid, signal.SIGKILL)

    def dead(self, pids):
        eventually(lambda: not any(map(is_alive, pids)),
                   f"{pids} are gone")

    def test_an_exporter_of_what_a_command_says(self):
        page = self.lunex(self.script(DISKS)).samples()
        stat = os.statvfs("/")
        free = page['disk_free_bytes{mounted="/"}']
        self.assertAlmostEqual(stat.f_bavail * stat.f_frsize, free,
                               delta=1 << 30)
        self.assertEqual(1, page["disk_up"])

    def test_a_killed_lunex_leaves_no_command(self):
        lunex = self.long()
        command, _ = self.pids()
        self.assertTrue(is_alive(command))
        lunex.process.kill()
        self.dead([command])

    def test_a_stopped_lunex_leaves_nothing(self):
        lunex = self.long()
        pids = self.pids()
        started = time.monotonic()
        self.assertEqual(0, lunex.stop())
        self.assertLess(time.monotonic() - started, 10)
        self.dead(pids)

    def test_a_reload_leaves_nothing_of_the_version_before(self):
        lunex = self.long()
        pids = self.pids()
        self.file.unlink()
        text = LONG % {"key": "start", "timeout": 11, "file": self.file}
        self.script(text)
        lunex.process.send_signal(signal.SIGHUP)
        self.dead(pids)
        self.assertTrue(is_alive(self.pids()[0]))
        self.assertEqual(0, lunex.stop())

    @timely
    def test_a_collection_that_is_over_leaves_nothing(self):
        lunex = self.long("collect", timeout=3)
        self.assertEqual(0, lunex.samples()["long_up"])
        lunex.wait_log(r"sh: still running after 2\.[5-9]\d* s, killed")
        self.dead(self.pids())
        eventually(lambda: not children(lunex.process.pid), "no zombie")
        self.assertEqual(0, lunex.stop())

    @timely
    def test_a_scrape_that_wants_to_wait_less_leaves_nothing(self):
        lunex = self.long("collect", timeout=20)
        answer = lunex.get(
            headers={"X-Prometheus-Scrape-Timeout-Seconds": "1"})
        self.assertEqual(200, answer.status)
        self.dead(self.pids())
        eventually(lambda: not children(lunex.process.pid), "no zombie")
        self.assertEqual(0, lunex.stop())

    @unittest.skipUnless(os.geteuid() == 0, "makes a process namespace")
    def test_there_is_no_zombie_where_lunex_is_the_init_process(self):
        """As in most containers: orphans come to it."""
        lunex = self.long("collect", timeout=0.6, under=(
            "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"))
        for _ in range(3):
            self.assertEqual(0, lunex.samples()["long_up"])
        init, = children(lunex.process.pid)
        eventually(lambda: not children(init), "no zombie")
        os.kill(init, signal.SIGTERM)
        self.assertEqual(0, lunex.wait(), lunex.log)
