# SPDX-License-Identifier: Apache-2.0
"""Scripts that are not trusted, in the real program."""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import unittest
from pathlib import Path

from spec.e2e.lunex import Case, eventually, program
from spec.e2e.timely import timely

NOT_ALLOWED = "not allowed in the sandbox (allow = {...})"


class Site:
    """An HTTP server on 127.0.0.1 that answers "NAME"; /to/URL leads there."""

    def __init__(self, case, name):
        site = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.requests.append(self.path)
                body = name.encode()
                if self.path.startswith("/to/"):
                    self.send_response(302)
                    self.send_header("Location", self.path[4:])
                    body = b""
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever,
                         kwargs={"poll_interval": 0.01}, daemon=True).start()
        case.addCleanup(self.server.server_close)
        case.addCleanup(self.server.shutdown)


FETCH = """
local http = require "http"
local metric = require "metric"
return {
  name = "foreign",
  config = { urls = { {}, help = "What to fetch." } },
  metrics = {
    foreign_fetched = metric.gauge { "One for each.", labels = { "url",
      "said" } },
  },
  collect = function(m, config)
    for _, url in ipairs(config.urls) do
      local answer, message = http.get(url)
      m.foreign_fetched:set(1, url, answer and answer.body or message)
    end
  end,
}
"""


class Sandbox(Case):
    def setUp(self):
        super().setUp()
        self.flag = self.folder / "flag"

    def run_lunex(self, *arguments, env=None):
        run = subprocess.run(
            [program(), *map(str, arguments)], capture_output=True, text=True,
            stdin=subprocess.DEVNULL, cwd=self.folder, timeout=60,
            env={**os.environ, **(env or {})})
        self.assertNotIn("Sanitizer", run.stderr)
        return run

    def said(self, *arguments, env=None):
        """What FETCH was told, by URL, in one run of it."""
        run = self.run_lunex("once", self.script(FETCH), *arguments, env=env)
        self.assertEqual(0, run.returncode, run.stderr)
        return dict(re.findall(
            r'foreign_fetched\{url="([^"]*)",said="([^"]*)"\} 1', run.stdout))

    def configuration(self, text):
        path = self.folder / "lunex.lua"
        path.write_text(text)
        return str(path)

    # ---- the network

    def test_what_is_allowed_is_fetched_and_nothing_else(self):
        good, bad = Site(self, "good"), Site(self, "bad")
        urls = [f"{good.url}/", f"{bad.url}/",
                f"http://localhost:{good.port}/"]
        said = self.said("--sandbox", f"--allow=127.0.0.1:{good.port}",
                         *(f"--urls={url}" for url in urls))
        self.assertEqual({
            urls[0]: "good",
            urls[1]: f"GET {urls[1]}: 127.0.0.1:{bad.port}: {NOT_ALLOWED}",
            urls[2]: f"GET {urls[2]}: localhost:{good.port}: {NOT_ALLOWED}",
        }, said)
        self.assertEqual([], bad.requests)
        self.assertEqual(["/"], good.requests)

    def test_a_redirect_does_not_lead_out(self):
        good, bad = Site(self, "good"), Site(self, "bad")
        inside = f"{good.url}/to/{good.url}/x"
        outside = f"{good.url}/to/{bad.url}/x"
        said = self.said("--sandbox", f"--allow=127.0.0.1:{good.port}",
                         f"--urls={inside}", f"--urls={outside}")
        self.assertEqual("good", said[inside])
        self.assertIn(f"127.0.0.1:{bad.port}: {NOT_ALLOWED} (after a redirect "
                      "to", said[outside])
        self.assertEqual([], bad.requests)

    def test_a_name_does_not_lead_to_this_machine(self):
        site = Site(self, "here")
        url = f"http://rebound.localhost:{site.port}/"
        said = self.said("--sandbox", "--allow=*.localhost", f"--urls={url}")
        self.assertRegex(said[url], r"rebound\.localhost:\d+: \S+, where it "
                         r"leads, is not allowed in the sandbox")
        self.assertEqual([], site.requests)
        said = self.said("--sandbox", "--allow=*.localhost",
                         "--allow=127.0.0.1", f"--urls={url}")
        self.assertEqual({url: "here"}, said)

    def test_proxies_of_the_environment_do_not_count(self):
        good, proxy = Site(self, "good"), Site(self, "proxy")
        env = {"http_proxy": proxy.url, "all_proxy": proxy.url,
               "no_proxy": ""}
        said = self.said(f"--urls={good.url}/", env=env)
        self.assertEqual({f"{good.url}/": "proxy"}, said)
        said = self.said("--sandbox", "--allow=127.0.0.1",
                         f"--urls={good.url}/", env=env)
        self.assertEqual({f"{good.url}/": "good"}, said)

    def test_each_exporter_has_its_own_list(self):
        a, b = Site(self, "a"), Site(self, "b")
        script = self.script(FETCH)
        both = json.dumps([f"{a.url}/", f"{b.url}/"])[1:-1]
        lunex = self.lunex("--config", self.configuration(f"""
            return {{
              sandbox = true,
              allow = {{ "127.0.0.1:{a.port}" }},
              exporters = {{
                {{ {json.dumps(script)}, name = "common",
                  labels = {{ which = "common" }},
                  config = {{ urls = {{ {both} }} }} }},
                {{ {json.dumps(script)}, name = "own",
                  labels = {{ which = "own" }},
                  allow = {{ "127.0.0.1:{b.port}" }},
                  config = {{ urls = {{ {both} }} }} }},
                {{ {json.dumps(script)}, name = "free", sandbox = false,
                  labels = {{ which = "free" }},
                  config = {{ urls = {{ {both} }} }} }},
              }},
            }}"""))
        lunex.wait_log("listening")
        text = lunex.get().text
        for which, seen in {"common": "a", "own": "b", "free": "ab"}.items():
            for site, name in (a, "a"), (b, "b"):
                line = re.search(
                    r'foreign_fetched\{url="%s/",said="([^"]*)",which="%s"\}'
                    % (re.escape(site.url), which), text)
                self.assertEqual(name in seen, line[1] == name, line[0])

    def test_udp_and_echoes(self):
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(("127.0.0.1", 0))
        peer.setblocking(False)
        self.addCleanup(peer.close)
        port = peer.getsockname()[1]
        script = self.script(f"""
            local icmp = require "icmp"
            local udp = require "udp"
            return {{ collect = function()
              local socket, message = udp.connect("127.0.0.1", {port})
              print("udp", socket and socket:send "x" or message)
              local server, why = udp.listen("127.0.0.1", {port} ~ 1)
              print("listen", server and "yes" or why)
              local reply, reason = icmp.echo "127.0.0.1"
              print("icmp", reply and "answers" or reason)
            end }}""")
        run = self.run_lunex("once", "--sandbox", script)
        self.assertIn(f"udp\\tudp 127.0.0.1:{port}: {NOT_ALLOWED}", run.stderr)
        self.assertIn(f"listen\\tudp listen:{port ^ 1}: {NOT_ALLOWED}",
                      run.stderr)
        self.assertIn(f"icmp\\tping 127.0.0.1: {NOT_ALLOWED}", run.stderr)
        self.assertRaises(BlockingIOError, peer.recv, 10)
        run = self.run_lunex("once", "--sandbox", "--allow=127.0.0.0/8",
                             f"--allow=listen:{port ^ 1}", script)
        self.assertIn("udp\\ttrue", run.stderr)
        self.assertIn("listen\\tyes", run.stderr)
        self.assertIn("icmp\\tanswers", run.stderr)
        self.assertEqual(b"x", peer.recv(10))

    # ---- loading

    def touching(self):
        return self.script(f"""
            local file = io.open({json.dumps(str(self.flag))}, "w")
            file:write "x"
            file:close()
            return {{ collect = function() end }}""", "touching")

    def test_no_command_runs_it_outside(self):
        path = self.touching()
        listed = self.configuration(
            "return { exporters = { { %s, sandbox = true } } }"
            % json.dumps(path))
        for arguments in (["once", path, "--sandbox"],
                          ["once", "--sandbox", path],
                          ["once", path, "--sandbox=true"],
                          ["once", path, "-sandbox"],
                          ["check", "--sandbox", path],
                          ["check", path, "--sandbox"],
                          ["help", path, "--sandbox"],
                          ["help", "--sandbox", path],
                          [path, "--sandbox", "--help"],
                          ["--sandbox", path],
                          ["once", "--config", listed],
                          ["check", listed],
                          ["--config", listed]):
            run = self.run_lunex(*arguments)
            self.assertIn("touching.lua:2: io is not available in a sandbox",
                          run.stderr, arguments)
            self.assertNotEqual(0, run.returncode, arguments)
            self.assertFalse(self.flag.exists(), arguments)
        # and this is what it would have done
        self.run_lunex("check", path)
        self.assertTrue(self.flag.exists())

    def test_a_folder_is_in_the_sandbox_as_a_whole(self):
        site = Site(self, "here")
        folder = self.folder / "scripts"
        folder.mkdir()
        (folder / "touching.lua").write_text(Path(self.touching()).read_text())
        (folder / "foreign.lua").write_text(FETCH.replace(
            "{ {}, help", "{ { \"%s/\" }, help" % site.url))
        listed = self.configuration(
            "return { scripts = \"scripts\", sandbox = true, "
            "allow = { \"127.0.0.1\" } }")
        for arguments in (["once", "--scripts", folder, "--sandbox",
                           "--allow=127.0.0.1"],
                          ["once", "--config", listed]):
            run = self.run_lunex(*arguments)
            self.assertIn("touching.lua:2: io is not available in a sandbox",
                          run.stderr)
            self.assertIn('said="here"', run.stdout)
        run = self.run_lunex("once", "--scripts", folder, "--sandbox")
        self.assertIn(NOT_ALLOWED, run.stdout)
        run = self.run_lunex("check", folder, "--sandbox")
        self.assertIn("touching.lua:2: io is not available in a sandbox",
                      run.stderr)
        self.assertFalse(self.flag.exists())
        run = self.run_lunex("once", "--config", listed, "--sandbox")
        self.assertIn("a configuration says sandbox = true", run.stderr)
        self.assertEqual(2, run.returncode)

    def test_it_does_not_meet_the_command_line(self):
        path = self.script("""
            local found = {}
            for name in pairs(package.loaded) do found[#found + 1] = name end
            table.sort(found)
            string.format, table.concat, pairs = nil, nil, nil
            getmetatable("").__index = nil
            return {
              name = "intruder",
              config = setmetatable({
                x = setmetatable({ "d", help = found[1] .. #found },
                  { __pairs = function() error "here" end }),
                f = { help = "A flag." },
              }, { __pairs = function() error "there" end }),
              labels = { loaded = found[#found] },
              collect = function() end,
            }""")
        run = self.run_lunex("help", path, "--sandbox")
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertIn("--x X", run.stdout)
        self.assertIn("_G10 (default: d)", run.stdout)
        self.assertIn("A flag.", run.stdout)

    def test_a_declaration_has_ceilings(self):
        deep = self.script("""
            local t = {}
            for _ = 1, 100 do t = { t } end
            return { labels = { a = "b" }, aliases = t,
              collect = function() end }""", "deep")
        run = self.run_lunex("check", "--sandbox", deep)
        self.assertIn("deep.lua: the declaration has tables inside tables, 20 "
                      "deep", run.stderr)
        large = self.script("""
            return { config = { x = { ("x"):rep(2000000) } },
              collect = function() end }""", "large")
        run = self.run_lunex("check", "--sandbox", large)
        self.assertIn("large.lua: the declaration has more than 1048576 bytes",
                      run.stderr)
        wide = self.script("""
            local t = {}
            for _ = 1, 16 do t = { t, t, t, t } end
            return { aliases = t, collect = function() end }""", "wide")
        run = self.run_lunex("check", "--sandbox", wide)
        self.assertIn("wide.lua: the declaration has more than 1048576 bytes",
                      run.stderr)

    @timely
    def test_a_bomb_at_load_is_a_sentence(self):
        for text, expected in (
                ('return ("x"):rep(1 << 30)', "memory limit of 64 MiB"),
                ("while true do end", "ran for more than 1 s"),
                ("local function f() return f() + 1 end f()",
                 "memory limit of 64 MiB"),
                ('return { limits = { memory = 1 << 40, cpu = 1e6 }, '
                 'metrics = function() return { x = ("x"):rep(1 << 30) } end,'
                 ' collect = function() end }', "memory limit of 64 MiB")):
            run = self.run_lunex("check", "--sandbox", self.script(text))
            self.assertIn(expected, run.stderr)
            self.assertEqual(1, run.returncode)

    def test_a_declaration_stops_nobody_else(self):
        good = self.script('return { name = "good", collect = function() end }',
                           "good")
        # every # of such a list is 2^45, where Lua looks for its end
        holes = "{%s}" % ",".join(
            f'[{k}]="a.b"' for k in [*range(1, 18), 32, 33,
                                     *(1 << n for n in range(6, 46))])
        for text, expected in (
                ("sandbox = true, allow = { %s }" % ",".join(
                    f'[{1 << n}]="a.b"' for n in range(51)),
                 "'allow': more than 1000 entries"),
                ("config = { x = { %s } }" % holes,
                 "'config.x': the default is not a list of strings"),
                ('config = { x = { "a", choices = %s } }' % holes,
                 "'config.x': 'choices' is not a list of strings"),
                ('config = { x = { "a", choices = "a" } }', "'choices' is not"),
                ("config = { x = { help = {} } }", "'help' is not a string"),
                ("config = { x = { env = {} } }", "'env' is not a string"),
                ('config = { x = { flag = "a\\nb" } }', "'flag' is not the "
                 "name of a flag"),
                ("config = { x = { position = {} } }", "'position' is not")):
            bad = self.script("return { %s, collect = function() end }" % text,
                              "bad")
            run = self.run_lunex("once", "--config", self.configuration(
                "return { sandbox = true, exporters = { { %s }, { %s } } }"
                % (json.dumps(good), json.dumps(bad))))
            self.assertIn("good_up 1", run.stdout, (text, run.stderr))
            self.assertIn(expected, run.stderr)

    def test_it_does_not_take_the_names_of_the_host(self):
        good = self.script('return { name = "good", collect = function() end }',
                           "good")
        for name in ("lunex_build_info", "process_cpu_seconds_total",
                     "lunex.build.info", "process cpu_seconds_total"):
            bad = self.script("""
                local metric = require "metric"
                return {
                  name = "bad",
                  metrics = { ["%s"] = metric.histogram { "Mine." } },
                  collect = function(m) m["%s"]:observe(1) end,
                }""" % (name, name), "bad")
            listed = self.configuration(
                "return { exporters = { { %s, sandbox = true }, { %s } } }"
                % (json.dumps(bad), json.dumps(good)))
            lunex = self.lunex("--config", listed)
            lunex.wait_log("are the host's")
            page = lunex.page_with(
                lambda samples: samples.get("good_up") == 1, "it is up")
            self.assertIn("process_cpu_seconds_total", page)
            self.assertTrue(any(name.startswith("lunex_build_info{")
                                for name in page))

    def test_its_own_table_may_change(self):
        for change in "[true] = { 1 }", "x = 'text'", "[5] = {}":
            lunex = self.lunex(self.script("""
                local config = { a = { "d" } }
                return {
                  name = "changing",
                  config = config,
                  collect = function() config%s end,
                  probe = function(m, target, c) assert(c.a == "d") end,
                }""" % (change if change[0] == "[" else "." + change)),
                "--sandbox")
            lunex.page_with(lambda samples: samples.get("changing_up") == 1,
                            "it is up")
            page = lunex.get("/probe?target=there").text
            self.assertIn("probe_success 1", page)

    def test_one_that_does_not_come_back_is_left_behind(self):
        bomb = self.script("""
            local text = ("a"):rep(40)
            text:find(("a*"):rep(40) .. "b")
            return { collect = function() end }""", "bomb")
        run = self.run_lunex("check", "--sandbox", bomb)
        self.assertIn("bomb.lua: the script is still loading after 10 s",
                      run.stderr)
        self.assertEqual(1, run.returncode)

    def test_it_does_not_name_variables(self):
        script = self.script("""
            local metric = require "metric"
            return {
              name = "nosy",
              config = { token = { "none", env = "SPEC_TOKEN", secret = true,
                help = "A token." } },
              metrics = { nosy_info = metric.info { "What it got.",
                labels = { "token" } } },
              collect = function(m, config)
                m.nosy_info:set(1, config.token)
              end,
            }""")
        (self.folder / "token").write_text("from a file")
        (self.folder / ".env").write_text("SPEC_TOKEN=dotted\n")
        for env in ({"SPEC_TOKEN": "stolen"},
                    {"SPEC_TOKEN_FILE": str(self.folder / "token")}):
            run = self.run_lunex("once", "--sandbox", script, env=env)
            self.assertIn('nosy_info{token="none"}', run.stdout, run.stderr)
        run = self.run_lunex("once", "--sandbox", script, "--token=given")
        self.assertIn('nosy_info{token="given"}', run.stdout)
        run = self.run_lunex("once", script, env={"SPEC_TOKEN": "trusted"})
        self.assertIn('nosy_info{token="trusted"}', run.stdout)
        run = self.run_lunex("help", script, "--sandbox")
        self.assertNotIn("SPEC_TOKEN", run.stdout)
        listed = self.configuration(
            'return { exporters = { { %s, sandbox = true, config = { token = '
            'env "SPEC_TOKEN" } } } }' % json.dumps(script))
        run = self.run_lunex("once", "--config", listed,
                             env={"SPEC_TOKEN": "passed"})
        self.assertIn('nosy_info{token="passed"}', run.stdout, run.stderr)

    def test_a_terminal_is_not_told_what_to_do(self):
        script = self.script("-- An \x1b]0;exporter\x07.\n"
                             "return { collect = function() end }")
        run = self.run_lunex("help", script, "--sandbox")
        self.assertIn("An ?]0;exporter?.", run.stdout)

    # ---- the promise

    def test_a_script_keeps_its_promise(self):
        good, bad = Site(self, "good"), Site(self, "bad")
        script = self.script(f"""
            local http = require "http"
            return {{
              sandbox = true,
              allow = {{ "127.0.0.1:{good.port}" }},
              collect = function()
                for _, url in ipairs {{ "{good.url}/", "{bad.url}/" }} do
                  local answer, message = http.get(url)
                  print(answer and answer.body or message)
                end
                print(select(2, pcall(function() return os.getenv "HOME" end)))
              end,
            }}""")
        run = self.run_lunex("once", script)
        self.assertIn("msg=good", run.stderr)
        self.assertIn(f"127.0.0.1:{bad.port}: {NOT_ALLOWED}", run.stderr)
        self.assertIn("os.getenv is not available in a sandbox", run.stderr)
        self.assertEqual([], bad.requests)
        # the operator's word is stricter
        run = self.run_lunex("once", "--sandbox", script)
        self.assertIn(f"127.0.0.1:{good.port}: {NOT_ALLOWED}", run.stderr)
        run = self.run_lunex("once", "--config", self.configuration(
            "return { exporters = { { %s, sandbox = true, allow = { "
            '"127.0.0.1:%d" } } } }' % (json.dumps(script), bad.port)))
        self.assertIn(f"127.0.0.1:{good.port}: {NOT_ALLOWED}", run.stderr)
        self.assertIn("msg=bad", run.stderr)
        # and takes nothing of the promise back
        run = self.run_lunex("once", "--config", self.configuration(
            "return { exporters = { { %s, sandbox = false } } }"
            % json.dumps(script)))
        self.assertIn("os.getenv is not available in a sandbox", run.stderr)

    def test_a_promise_is_kept_by_one_file(self):
        (self.folder / "beside.lua").write_text("return {}")
        script = self.script("""
            require "beside"
            return { sandbox = true, collect = function() end }""")
        run = self.run_lunex("check", script)
        self.assertIn("script.lua:2: module 'beside' is not available in a "
                      "sandbox", run.stderr)

    # ---- mistakes

    def test_a_mistake_is_told_with_its_place(self):
        script = self.script(FETCH)
        for word, where in (
                ('{ %s, allow = { "a.b" } }',
                 "lunex.lua:3: allow: without sandbox = true it restricts "
                 "nothing"),
                ('{ %s, sandbox = "yes" }',
                 "lunex.lua:3: sandbox: expected true or false, got a string"),
                ('{ %s, sandbox = true, allow = { "a.b",\n"http://c" } }',
                 "lunex.lua:3: allow: 'http://c': expected a port"),
                ('{ %s, sandbox = true, allow = "a.b" }',
                 "lunex.lua:3: allow: expected a list of strings"),
                ('{ %s, sandbox = true, allow = { 5 } }',
                 "lunex.lua:3: allow: expected strings, number 1 is a number"),
                ('{ %s, sandbox = true, alow = {} }',
                 "did you mean 'allow'?")):
            run = self.run_lunex("check", self.configuration(
                "return {\nexporters = {\n" + word % json.dumps(script)
                + "\n} }"))
            self.assertIn(where, run.stderr)
            self.assertEqual(2, run.returncode)
        for arguments, sentence in (
                (["--allow=a.b"], "--allow restricts nothing without "
                 "--sandbox"),
                (["--sandbox", "--allow=a.b:x"], "--allow: 'a.b:x': expected a "
                 "port"),
                (["--sandbox", "--alow=a.b"], "did you mean --allow?")):
            run = self.run_lunex("once", script, *arguments)
            self.assertIn(sentence, run.stderr)
            self.assertEqual(2, run.returncode)
        run = self.run_lunex("once", self.script(
            'return {\n  allow = { "a.b" },\n  collect = function() end }'))
        self.assertIn("script.lua:2: 'allow' is for a script with sandbox = "
                      "true", run.stderr)

    # ---- running on

    def test_it_serves_as_any_other(self):
        site = Site(self, "here")
        lunex = self.lunex(self.script(FETCH), "--sandbox", "--watch=off",
                           "--allow=127.0.0.1", f"--urls={site.url}/")
        page = lunex.page_with(lambda samples: samples.get("foreign_up") == 1,
                               "it is up")
        self.assertTrue(any("here" in name for name in page))
        before = len(os.listdir(f"/proc/{lunex.process.pid}/task"))
        for _ in range(20):
            lunex.get()
        eventually(lambda: len(os.listdir(
            f"/proc/{lunex.process.pid}/task")) <= before, "no more threads")

    def test_a_reload_moves_the_fence(self):
        site = Site(self, "here")
        script = self.script(FETCH)
        text = ('return { exporters = { { %s, %%s config = { urls = '
                '{ "%s/" } } } } }' % (json.dumps(script), site.url))
        path = self.configuration(text % "sandbox = true,")
        lunex = self.lunex("--config", path)

        def says(word):
            return lambda samples: any(f'said="{word}' in name
                                       for name in samples)
        lunex.page_with(says("GET "), "it may not go there")
        self.configuration(text % 'sandbox = true, allow = { "127.0.0.1" },')
        lunex.process.send_signal(signal.SIGHUP)
        lunex.page_with(says("here"), "it may go there now")
        self.configuration(text % 'sandbox = true, allow = { "10.0.0.1" },')
        lunex.process.send_signal(signal.SIGHUP)
        lunex.page_with(says("GET "), "it may not any more")


if __name__ == "__main__":
    unittest.main()
