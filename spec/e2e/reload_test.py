# SPDX-License-Identifier: Apache-2.0
"""Scripts, configurations and what they depend on change while lunex runs."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import threading
import time
from pathlib import Path

from spec.e2e.lunex import Case, Gate, eventually, free_port, program
from spec.e2e.timely import timely

SCRIPT = """
local metric = require "metric"
%(head)s
return {
  name = "%(name)s",
  config = { color = { "red", env = "COLOR", flag = "color" },
             token = { "", flag = "token", secret = true } },
  metrics = {
    %(name)s_total = metric.counter { "Collections." },
    %(name)s_version = metric.gauge { "The version.", labels = { "color", "tokens" } },
  },
  collect = function(m, config)
    m.%(name)s_total:inc()
    m.%(name)s_version:set(%(version)s, config.color, #config.token)
  end,
}
"""


# Tried once, so that only a reload finds it.
MISSES_LATE = """
local tried, found
local function version()
  if tried == nil then tried, found = pcall(require, "versions") end
  return tried and found[1] or 0
end
"""


def script(version, name="a", head=""):
    return SCRIPT % {"name": name, "version": version, "head": head}


def shown(version, name="a", color="red", tokens=0):
    series = f'{name}_version{{color="{color}",tokens="{tokens}"}}'
    return lambda page: page.get(series) == version


def replace(path, text):
    """As editors do: a new file takes the place of the old one."""
    new = Path(f"{path}.new")
    new.write_text(text)
    os.rename(new, path)


class Files(Case):
    """What is watched, and how it changes."""

    watch = "auto"

    def start(self, *arguments, **options):
        return self.lunex(*arguments, f"--watch={self.watch}", **options)

    def test_a_file_takes_the_place_of_the_script(self):
        path = self.script(script(1))
        lunex = self.start(path)
        lunex.page_with(shown(1), "version 1")
        replace(path, script(2))
        page = lunex.page_with(shown(2), "version 2")
        self.assertGreaterEqual(page["a_total"], 2)

    def test_the_script_is_written_in_place_and_slowly(self):
        """A file still being written is not loaded half."""
        path = self.script(script(1))
        lunex = self.start(path)
        lunex.page_with(shown(1), "version 1")
        text = script(2)
        with open(path, "w") as file:
            for i in range(0, len(text), 100):
                file.write(text[i:i + 100])
                file.flush()
                time.sleep(0.05)
        lunex.page_with(shown(2), "version 2")
        if self.watch == "auto":
            self.assertNotIn("reload failed", lunex.log)

    def test_a_module_that_the_script_requires(self):
        module = self.folder / "versions.lua"
        module.write_text("return { 1 }")
        path = self.script(script("versions[1]",
                                  head='local versions = require "versions"'))
        lunex = self.start(path)
        lunex.page_with(shown(1), "version 1")
        replace(module, "return { 2 }")
        lunex.page_with(shown(2), "version 2")

    def test_a_module_that_is_required_late(self):
        module = self.folder / "versions.lua"
        module.write_text("return { 1 }")
        path = self.script(script("require('versions')[1]"))
        lunex = self.start(path)
        lunex.page_with(shown(1), "version 1")
        replace(module, "return { 2 }")
        lunex.page_with(shown(2), "version 2")
        replace(module, "return { 3 }")
        lunex.page_with(shown(3), "version 3")

    def test_a_module_that_is_missed_late(self):
        path = self.script(script("version()", head=MISSES_LATE))
        lunex = self.start(path)
        lunex.page_with(shown(0), "without it")
        (self.folder / "versions.lua").write_text("return { 1 }")
        lunex.page_with(shown(1), "with it")

    def test_the_env_file_appears_changes_and_goes(self):
        path = self.script(script(1))
        lunex = self.start(path, cwd=self.folder)
        lunex.page_with(shown(1), "the default")
        env = self.folder / ".env"
        env.write_text("COLOR=green\n")
        lunex.page_with(shown(1, color="green"), "green")
        replace(env, "COLOR=blue\n")
        lunex.page_with(shown(1, color="blue"), "blue")
        env.unlink()
        lunex.page_with(shown(1), "red")

    def test_a_secret_file(self):
        secret = self.folder / "token"
        secret.write_text("four\n")
        path = self.script(script(1))
        lunex = self.start(path, f"--token-file={secret}")
        lunex.page_with(shown(1, tokens=4), "the first token")
        replace(secret, "sixsix\n")
        lunex.page_with(shown(1, tokens=6), "the second token")
        self.assertNotIn("sixsix", lunex.log)

    def test_the_configuration(self):
        self.script(script(1), "a")
        self.script(script(1, "b"), "b")
        config = self.folder / "lunex.lua"
        config.write_text('return { exporters = { { "a.lua" } } }')
        lunex = self.start("--config", config)
        lunex.page_with(shown(1), "a")
        replace(config, 'return { exporters = { { "a.lua" }, { "b.lua" } } }')
        page = lunex.page_with(shown(1, "b"), "b")
        self.assertGreaterEqual(page["a_total"], 1)
        replace(config, 'return { exporters = { { "b.lua", labels = '
                '{ site = "x" } } } }')
        page = lunex.page_with(lambda p: "a_total" not in p, "a is gone")
        self.assertIn('b_total{site="x"}', page)
        before = lunex.samples()['b_total{site="x"}']
        replace(config, 'return { exporters = { { "b.lua", lables = {} } } }')
        lunex.wait_log(r"reload failed.*lunex\.lua:1.*lables")
        self.assertGreater(lunex.samples()['b_total{site="x"}'], before)
        self.assertEqual(
            0, lunex.samples()["lunex_config_last_reload_successful"])

    def test_a_config_map_is_swapped(self):
        """As the kubelet does: a link to a folder is renamed over the old."""
        first = self.folder / "..2026_1"
        first.mkdir()
        (first / "script.lua").write_text(script(1))
        (self.folder / "..data").symlink_to("..2026_1")
        path = self.folder / "script.lua"
        path.symlink_to("..data/script.lua")
        lunex = self.start(path)
        lunex.page_with(shown(1), "version 1")
        second = self.folder / "..2026_2"
        second.mkdir()
        (second / "script.lua").write_text(script(2))
        (self.folder / "..data_tmp").symlink_to("..2026_2")
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
        (first / "script.lua").unlink()
        first.rmdir()
        lunex.page_with(shown(2), "version 2")

    def test_scripts_come_into_a_folder_and_go(self):
        scripts = self.folder / "scripts"
        scripts.mkdir()
        lunex = self.start("--scripts", scripts)
        self.assertEqual(200, lunex.get("/metrics").status)
        (scripts / "a.lua").write_text(script(1))
        lunex.page_with(shown(1), "a comes")
        (scripts / "b.lua").write_text(script(1, "b"))
        page = lunex.page_with(shown(1, "b"), "b comes")
        self.assertGreaterEqual(page["a_total"], 2)
        (scripts / "c.lua").write_text("return {")
        lunex.wait_log(r"reload failed.*c\.lua:1")
        (scripts / "a.lua").unlink()
        page = lunex.page_with(lambda p: "a_total" not in p, "a goes")
        self.assertTrue(shown(1, "b")(page))
        replace(scripts / "c.lua", script(1, "c"))
        lunex.page_with(shown(1, "c"), "c is right now")

    def test_the_same_bytes_again_are_no_change(self):
        path = self.script(script(1))
        other = self.script(script(1, "b"), "b")
        config = self.folder / "lunex.lua"
        config.write_text('return { exporters = { { "script.lua" }, '
                          '{ "b.lua" } } }')
        lunex = self.start("--config", config)
        lunex.page_with(shown(1), "version 1")
        replace(path, script(1))
        os.utime(path)
        replace(other, script(2, "b"))
        lunex.page_with(shown(2, "b"), "the other one is reloaded")
        self.assertNotRegex(lunex.log, r"exporter reloaded.*exporter=a\b")


class PolledFiles(Files):
    watch = "poll"


class Asked(Case):
    """SIGHUP and POST /-/reload."""

    def start(self, *arguments, **options):
        return self.lunex(*arguments, "--watch=off", **options)

    def reload(self, lunex, accept="*/*", method="POST"):
        return lunex.get("/-/reload", {"Accept": accept}, method)

    def test_sighup(self):
        path = self.script(script(1))
        lunex = self.start(path)
        lunex.page_with(shown(1), "version 1")
        replace(path, script(2))
        lunex.process.send_signal(signal.SIGHUP)
        lunex.page_with(shown(2), "version 2")

    def test_post_says_what_changed(self):
        path = self.script(script(1))
        lunex = self.start(path, "--web.enable-lifecycle")
        lunex.page_with(shown(1), "version 1")
        answer = self.reload(lunex)
        self.assertEqual((200, "1 unchanged\n"), (answer.status, answer.text))
        replace(path, script(2))
        answer = self.reload(lunex)
        self.assertEqual(200, answer.status)
        self.assertIn("reloaded a", answer.text)
        self.assertTrue(shown(2)(lunex.samples()))
        replace(path, script(3))
        answer = self.reload(lunex, "application/json", "PUT")
        said = json.loads(answer.text)
        self.assertTrue(said["ok"])
        self.assertEqual(("a", "reloaded"), (
            said["exporters"][0]["exporter"],
            said["exporters"][0]["result"]))

    def test_post_says_what_is_wrong_and_where(self):
        path = self.script(script(1))
        lunex = self.start(path, "--web.enable-lifecycle")
        lunex.page_with(shown(1), "version 1")
        replace(path, script("1 +"))
        answer = self.reload(lunex)
        self.assertEqual(500, answer.status)
        self.assertRegex(answer.text, r"failed a .*script\.lua:14:")
        said = json.loads(self.reload(lunex, "application/json").text)
        self.assertFalse(said["ok"])
        self.assertRegex(said["exporters"][0]["error"], r"script\.lua:14:")
        page = lunex.samples()
        self.assertTrue(shown(1)(page))
        self.assertEqual(
            0, page['lunex_exporter_reload_success{exporter="a"}'])
        self.assertRegex(lunex.get("/", {"Accept": "text/html"}).text,
                         r"script\.lua:14:")
        replace(path, script(1))  # taken back
        self.assertEqual(200, self.reload(lunex).status)
        self.assertEqual(1, lunex.samples()[
            'lunex_exporter_reload_success{exporter="a"}'])

    def test_a_mistake_is_told_once(self):
        path = self.script(script(1))
        lunex = self.start(path, "--web.enable-lifecycle")
        lunex.page_with(shown(1), "version 1")
        for wrong in ("1 +", "nothing()"):
            replace(path, script(wrong))
            self.assertEqual(500, self.reload(lunex).status)
            lunex.wait_log("reload failed; what ran before goes on")
            lines = [line for line in lunex.log.splitlines()
                     if "script.lua:" in line]
            self.assertEqual(1, len(lines), lunex.log)
            self.assertRegex(lines[0], "level=error .*reload failed")
            html = lunex.get("/", {"Accept": "text/html"}).text
            self.assertEqual(1, len(re.findall(r"script\.lua:\d", html)), html)
            lunex.lines.clear()

    def test_an_address_of_the_script_wants_a_restart(self):
        text = script(1).replace(
            "return {", 'return {\n  listen = "127.0.0.1:0",')
        path = self.script(text)
        lunex = self.start(path, "--web.enable-lifecycle", listen=None)
        lunex.page_with(shown(1), "version 1")
        replace(path, text.replace("127.0.0.1:0", "localhost:0"))
        answer = self.reload(lunex)
        self.assertEqual(200, answer.status)
        self.assertIn("note: 'listen' has changed: it wants a restart\n",
                      answer.text)

    def test_what_a_running_lunex_cannot_change(self):
        self.script(script(1))
        path = self.folder / "lunex.lua"
        text = 'return { exporters = { { "script.lua" } }, %s }'
        path.write_text(text % 'watch = "off", lifecycle = true')
        lunex = self.lunex("--config", path)
        self.assertEqual("1 unchanged\n", self.reload(lunex).text)
        path.write_text(text % 'watch = "poll", telemetry_path = "/m"')
        answer = self.reload(lunex)
        self.assertEqual(200, answer.status)
        for what in ("'watch'", "'lifecycle'", "the telemetry path"):
            self.assertIn(f"note: {what} has changed: it wants a restart\n",
                          answer.text)

    def test_what_a_script_raises_shows_no_secret(self):
        """Neither in the log, nor on a page, nor in an answer."""
        path = self.script(script('error("bad " .. config.token)'))
        lunex = self.start(path, "--web.enable-lifecycle",
                           "--token=hidden-word")
        lunex.page_with(lambda p: p.get("a_up") == 0, "it fails")
        lunex.wait_log(r"collection failed.*bad \*")
        replace(path, script('error("worse " .. config.token)'))
        said = [self.reload(lunex).text, lunex.log, lunex.get("/").text,
                lunex.get("/api/v1/exporters").text]
        self.assertIn("worse *", said[0])
        for text in said:
            self.assertNotIn("hidden-word", text)

    def test_post_wants_the_flag(self):
        lunex = self.start(self.script(script(1)))
        answer = self.reload(lunex)
        self.assertEqual(403, answer.status)
        self.assertIn("--web.enable-lifecycle", answer.text)
        self.assertEqual(405, self.reload(lunex, method="GET").status)

    def test_a_first_collection_that_fails_is_refused(self):
        path = self.script(script(1))
        lunex = self.start(path, "--web.enable-lifecycle")
        lunex.page_with(shown(1), "version 1")
        replace(path, script('error "no idea"'))
        answer = self.reload(lunex)
        self.assertEqual(500, answer.status)
        self.assertRegex(answer.text, r"script\.lua:14: no idea")
        self.assertTrue(shown(1)(lunex.samples()))

    def test_one_that_fails_replaces_one_that_fails(self):
        path = self.script(script('error "first"'))
        lunex = self.start(path, "--web.enable-lifecycle")
        lunex.page_with(lambda p: p.get("a_up") == 0, "it fails")
        replace(path, script('error "second"'))
        answer = self.reload(lunex)
        self.assertEqual(200, answer.status, answer.text)
        self.assertIn("second", answer.text)

    def test_a_run_under_way_ends_on_the_old_code(self):
        gate = Gate(self)
        head = 'local udp = require "udp"'
        text = script(1, head=head).replace(
            "m.a_total:inc()", gate.lua + " m.a_total:inc()")
        path = self.script(text)
        lunex = self.start(path, "--web.enable-lifecycle")
        answers = []
        scrape = threading.Thread(
            target=lambda: answers.append(lunex.samples()))
        scrape.start()
        address = gate.arrival()
        replace(path, script(2))
        answer = self.reload(lunex)
        self.assertEqual(200, answer.status, answer.text)
        self.assertTrue(shown(2)(lunex.samples()))
        before = lunex.samples()["a_total"]
        gate.open(address)
        scrape.join()
        self.assertIn("a_total", answers[0])
        lunex.page_with(lambda p: p["a_total"] >= before + 1,
                        "what it counted is there")

    def test_the_program_was_replaced_meanwhile(self):
        """As by an upgrade of its package."""
        copy = self.folder / "lunex"
        shutil.copy(program(), copy)
        path = self.script(script(1))
        lunex = self.start(path, "--web.enable-lifecycle", copy=copy)
        lunex.page_with(shown(1), "version 1")
        replace(copy, "another one")
        replace(path, script(2))
        answer = self.reload(lunex)
        self.assertEqual(200, answer.status, answer.text)
        self.assertTrue(shown(2)(lunex.samples()))

    def test_sigterm_in_the_middle_of_a_reload(self):
        gate = Gate(self)
        path = self.script(script(1))
        lunex = self.start(path, "--web.enable-lifecycle")
        lunex.page_with(shown(1), "version 1")
        head = 'local udp = require "udp"'
        replace(path, script(2, head=head).replace(
            "m.a_total:inc()", gate.lua))
        connection = lunex.connect()
        self.addCleanup(connection.close)
        connection.request("POST", "/-/reload")
        gate.arrival()
        self.assertEqual(0, lunex.stop(), lunex.log)
        self.assertEqual(503, connection.getresponse().status)

    def test_a_stalled_exporter_is_replaced(self):
        """Its thread is left behind, and counted."""
        bomb = '("a"):rep(40):find((".-"):rep(24) .. "b")'
        text = script(1).replace(
            "m.a_total:inc()",
            f"m.a_total:inc() if config.color == 'red' then {bomb} end")
        text = text.replace("  collect", "  interval = 0.1,\n  collect")
        path = self.script(text)
        lunex = self.start(path, "--web.enable-lifecycle",
                           env={"COLOR": "red"})
        lunex.page_with(
            lambda p: p.get('lunex_exporter_stalled{exporter="a"}') == 1,
            "it is stalled")
        replace(path, script(2))
        answer = self.reload(lunex)
        self.assertEqual(200, answer.status, answer.text)
        page = lunex.page_with(shown(2), "version 2")
        self.assertEqual(0, page['lunex_exporter_stalled{exporter="a"}'])
        self.assertEqual(1, page["lunex_threads_left_behind"])


class Ports(Case):
    """A `start` task that holds a port."""

    TEXT = """
    local metric, udp = require "metric", require "udp"
    return {
      name = "meter",
      metrics = {
        meter_datagrams_total = metric.counter { "What came." },
        meter_sum_total = metric.counter { "The sum of the numbers." },
        meter_version = metric.gauge { "The version." },
      },
      start = function(m)
        m.meter_version:set(%d)
        local server <close> = assert(udp.listen("", %d))
        while true do
          local data = server:receive()
          m.meter_datagrams_total:inc()
          m.meter_sum_total:inc(tonumber(data))
        end
      end,
    }
    """

    def test_no_datagram_is_lost(self):
        port, numbers = free_port(socket.SOCK_DGRAM), 20000
        path = self.script(self.TEXT % (0, port))
        lunex = self.lunex(path, "--watch=off", "--web.enable-lifecycle")
        lunex.page_with(lambda p: p.get("meter_version") == 0, "version 0")
        eventually(lambda: f":{port:04X} " in Path("/proc/net/udp6").read_text()
                   or f":{port:04X} " in Path("/proc/net/udp").read_text(),
                   "it listens")
        sent = threading.Event()

        def send():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                for number in range(1, numbers + 1):
                    s.sendto(str(number).encode(), ("127.0.0.1", port))
                    time.sleep(0.0001)  # the pace of a sender
            sent.set()
        sender = threading.Thread(target=send)
        sender.start()
        version = 0
        while not sent.is_set():
            version += 1
            replace(path, self.TEXT % (version, port))
            answer = lunex.get("/-/reload", method="POST")
            self.assertEqual(200, answer.status, answer.text)
        sender.join()
        self.assertGreater(version, 10)
        page = lunex.page_with(
            lambda p: p["meter_datagrams_total"] >= numbers, "all came")
        self.assertEqual(numbers, page["meter_datagrams_total"])
        self.assertEqual(numbers * (numbers + 1) / 2, page["meter_sum_total"])
        self.assertEqual(version, page["meter_version"])


class Restart(Case):
    @timely
    def test_serves_soon_after_kill_and_restart(self):
        """Within 100 ms of exec, most of five times (START_SECONDS)."""
        path, port = self.script(script(1)), free_port()
        limit = float(os.environ.get("START_SECONDS", "0.1"))
        times = []
        for _ in range(5):
            started = time.monotonic()
            lunex = self.ended(path, listen=f"127.0.0.1:{port}")
            while True:
                connection = http.client.HTTPConnection("127.0.0.1", port,
                                                        timeout=20)
                try:
                    connection.request("GET", "/metrics")
                    self.assertIn(b"a_up 1", connection.getresponse().read())
                    break
                except ConnectionRefusedError:
                    self.assertLess(time.monotonic() - started, 20)
                finally:
                    connection.close()
            times.append(time.monotonic() - started)
            lunex.kill()
        self.assertLess(statistics.median(times), limit, times)
