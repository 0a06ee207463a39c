# SPDX-License-Identifier: Apache-2.0
"""The command line of the real program: sentences, exit statuses, help."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path

from spec.e2e import metric_proto
from spec.e2e.lunex import DEADLINE, free_port

LUNEX = os.path.abspath(os.environ["LUNEX"])

METER = """\
-- SPDX-License-Identifier: Apache-2.0
--
-- A meter that is not there. It says what it was told.
local metric = require "metric"

return {
  name = "meter",
  aliases = { "power_meter_exporter" },
  config = {
    device_ip = { "127.0.0.1", env = "METER_IP", position = 1,
                  required = true, help = "Address of the meter." },
    device_port = { 5000, env = "METER_PORT", position = 2, required = true,
                    help = "UDP port of the meter." },
    factor = { 1.5 },
    loud = { false },
    tags = { {}, env = "METER_TAGS" },
  },
  metrics = {
    meter_config_info = metric.info {
      "What the meter was told.",
      labels = { "ip", "port", "factor", "loud", "tags" },
    },
  },
  collect = function(m, config)
    m.meter_config_info:set(1, config.device_ip, config.device_port,
      config.factor, tostring(config.loud), table.concat(config.tags, "+"))
  end,
}
"""

CLOUD = """\
-- Devices of a cloud.
local metric = require "metric"

return {
  config = {
    token = { env = "TOKEN", secret = true, required = true },
    pin = { 1, secret = true },
  },
  metrics = { cloud_token_length_bytes = metric.gauge { "Its length." } },
  collect = function(m, config)
    m.cloud_token_length_bytes:set(#config.token)
  end,
}
"""

DOTTED = """\
local metric = require "metric"

return {
  metrics = {
    ["dotted.words_info"] = metric.info { "Words.", labels = { "word" } },
  },
  collect = function(m)
    m["dotted.words_info"]:set(1, "x")
  end,
}
"""

COUNT = """\
local metric = require "metric"

return {
  metrics = { count_total = metric.counter { "Things." } },
  collect = function(m)
    m.count_total:inc()
  end,
}
"""

UGLY = """\
local metric = require "metric"

return {
  metrics = {
    ugly_requests = metric.counter { "Requests." },
    ugly_wait_ms = metric.gauge { "Waiting." },
    ugly_mute = metric.gauge {},
    ugly_size_total = metric.gauge { "Size." },
    ugly_things_count = metric.gauge { "Things." },
    uglyThings = metric.gauge { "Things." },
    ugly_good_bytes = metric.gauge { "Nothing to say." },
  },
  collect = function() end,
}
"""


class Command(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.environment = {"PATH": os.environ.get("PATH", ""),
                            "LUNEX_DATA": str(self.folder / "data")}
        for name in os.environ:
            if name.endswith("SAN_OPTIONS"):
                self.environment[name] = os.environ[name]
        self.write("data/exporters/meter.lua", METER)
        self.write("data/exporters/cloud.lua", CLOUD)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_it(self, *arguments, program=LUNEX, **environment):
        return subprocess.run(
            [program, *arguments], cwd=self.folder, text=True,
            env={**self.environment, **environment}, timeout=DEADLINE,
            stdin=subprocess.DEVNULL, capture_output=True)

    def refused(self, status, sentence, *arguments, **environment):
        done = self.run_it(*arguments, **environment)
        self.assertEqual(f"lunex: {sentence}\n", done.stderr)
        self.assertEqual("", done.stdout)
        self.assertEqual(status, done.returncode)

    def good(self, *arguments, **environment):
        done = self.run_it(*arguments, **environment)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def told(self, *arguments, **environment):
        """The labels by which the meter says what it was told."""
        page = self.good("once", "meter", *arguments, **environment)
        line = re.search(r"^meter_config_info\{(.*)\} 1$", page, re.M)
        self.assertIsNotNone(line, page)
        return dict(re.findall(r'(\w+)="([^"]*)"', line[1]))


class Values(Command):
    def test_defaults_are_used_where_nothing_else_is_said(self):
        self.assertEqual(
            {"ip": "127.0.0.1", "port": "5000", "factor": "1.5",
             "loud": "false", "tags": ""}, self.told())

    def test_flags_of_every_type_reach_the_script(self):
        self.assertEqual(
            {"ip": "10.0.0.7", "port": "7", "factor": "-2", "loud": "true",
             "tags": "a+b"},
            self.told("--device-ip=10.0.0.7", "-device-port", "7",
                      "--factor", "-2", "--loud", "--tags", "a",
                      "--tags=b"))

    def test_limits_of_a_script_do_not_limit_the_command_line(self):
        self.write("data/exporters/meter.lua", METER.replace(
            "config = {", "limits = { memory = 64 * 1024 },\n"
            "config = {", 1))
        self.assertIn("device-ip", self.good("meter", "--help"))

    def test_arguments_have_their_places(self):
        told = self.told("10.0.0.7", "5001")
        self.assertEqual(("10.0.0.7", "5001"), (told["ip"], told["port"]))

    def test_a_flag_beats_the_environment_which_beats_dotenv(self):
        self.write(".env", "METER_IP=dotenv\nMETER_PORT=1\nMETER_TAGS=x,y\n")
        told = self.told("--device-ip", "flag", METER_IP="environment",
                         METER_PORT="2", METER_TAGS="")
        self.assertEqual(("flag", "2", "x+y"),
                         (told["ip"], told["port"], told["tags"]))

    def test_a_secret_comes_from_a_file(self):
        self.write("token", "s3cret\n")
        for arguments, environment in (
                (["--token", "s3cret"], {}),
                (["--token-file", "token"], {}),
                ([], {"TOKEN": "s3cret"}),
                ([], {"TOKEN_FILE": "token"})):
            page = self.good("once", "cloud", *arguments, **environment)
            self.assertIn("\ncloud_token_length_bytes 6\n", page)

    def test_a_link_to_the_program_is_the_exporter(self):
        for name in ("meter", "power-meter-exporter"):
            link = self.folder / name
            link.symlink_to(LUNEX)
            done = self.run_it("--help", program=str(link))
            self.assertIn(f"Usage: {name} [flags] [DEVICE_IP] [DEVICE_PORT]",
                          done.stdout)


class WrongUsage(Command):
    def test_unknown_flag(self):
        self.refused(2, "unknown flag --devce-ip; did you mean --device-ip?",
                     "meter", "--devce-ip", "1.2.3.4")
        self.refused(2, "unknown flag --zzz; see lunex meter --help",
                     "meter", "--zzz")

    def test_missing_value(self):
        self.refused(2, "--device-port needs a value",
                     "meter", "--device-port")
        self.refused(2, "--device-port needs a value",
                     "meter", "--device-port", "--loud")

    def test_bad_number(self):
        self.refused(2, "--device-port: expected an integer, got 'abc'",
                     "meter", "--device-port", "abc")
        self.refused(2, "METER_PORT: expected an integer, got 'abc'",
                     "meter", METER_PORT="abc")
        self.write(".env", "# ours\nMETER_PORT=abc\n")
        self.refused(2, ".env:2: METER_PORT: expected an integer, got 'abc'",
                     "meter")

    def test_missing_and_surplus_arguments(self):
        self.refused(2, "meter: missing argument DEVICE_PORT",
                     "meter", "10.0.0.7")
        self.refused(2, "unexpected argument 'x'; see lunex meter --help",
                     "meter", "10.0.0.7", "1", "x")

    def test_missing_required_value(self):
        self.refused(2, "cloud: missing --token, --token-file or the "
                     "variable TOKEN", "cloud")
        self.refused(2, "cloud: missing --token, --token-file or the "
                     "variable TOKEN", "cloud", TOKEN="")

    def test_bad_secret_file(self):
        self.refused(2, "--token-file: cannot read gone: No such file or "
                     "directory", "cloud", "--token-file", "gone")
        self.refused(2, "TOKEN_FILE: cannot read /: Is a directory",
                     "cloud", TOKEN_FILE="/")

    def test_a_secret_is_not_repeated(self):
        self.refused(2, "--pin: expected an integer",
                     "cloud", "--token", "x", "--pin", "hunter2")

    def test_unknown_exporter(self):
        self.refused(2, "no exporter 'metre'; did you mean 'meter'? "
                     "bundled: cloud, meter", "metre")
        self.refused(2, "no exporter 'qqqqqq'; bundled: cloud, meter",
                     "qqqqqq")

    def test_unreadable_script(self):
        self.refused(2, "cannot read foo.lua: No such file or directory",
                     "foo.lua")
        self.refused(2, "./data is a folder: lunex --scripts ./data",
                     "./data")

    def test_bad_address(self):
        self.refused(2, "--web.listen-address: bad port '99999', expected 0 "
                     "to 65535, got ':99999'",
                     "meter", "--web.listen-address", ":99999")

    def test_bad_duration_and_level(self):
        self.refused(2, "--interval: expected seconds or a duration such as "
                     "15s or 1m, got 'soon'", "meter", "--interval", "soon")
        self.refused(2, "--log.level: expected one of debug, info, warn, "
                     "error, got 'loud'", "meter", "--log.level=loud")

    def test_commands_without_what_they_need(self):
        self.refused(2, "once needs a script or a name; see lunex help",
                     "once")
        self.refused(2, "check needs a file; see lunex help", "check")
        self.refused(2, "test needs a file; see lunex help", "test")

    def test_control_characters_make_no_second_line(self):
        self.refused(2, "unknown flag --a b; see lunex meter --help",
                     "meter", "--a\nb")
        self.refused(2, "unknown flag --a  b; see lunex meter --help",
                     "meter", "--a\x9bb")
        self.write("loud.lua", "-- Oh\x1b[2J\x9bno.\nreturn { collect = "
                   "function() end }")
        self.assertIn("\nOh?[2J?no.\n", self.good("help", "./loud.lua"))
        self.write("spec.lua", "it('a\x1bb', function() error '\x9b' end)")
        done = self.run_it("test", "spec.lua")
        self.assertEqual("FAIL spec.lua:1: a?b: spec.lua:1: ?", (
            done.stderr + done.stdout).splitlines()[0])


class Failures(Command):
    def test_syntax_error(self):
        self.write("bad.lua", "return {\n  x = = 1,\n}\n")
        for command in ([], ["once"], ["check"]):
            self.refused(1, "bad.lua:2: unexpected symbol near '='",
                         *command, "bad.lua")

    def test_error_while_loading(self):
        self.write("bad.lua", "local x = nil\nx.y = 1\n")
        self.refused(1, "bad.lua:2: attempt to index a nil value "
                     "(local 'x')", "bad.lua")

    def test_missing_module(self):
        self.write("bad.lua", "require 'nonesuch'\n")
        self.refused(1, "bad.lua:1: module 'nonesuch' not found", "bad.lua")

    def test_module_beside_the_script(self):
        self.write("near/helper.lua", "return { help = 'Found.' }\n")
        self.write("near/main.lua", METER.replace(
            '"What the meter was told."', 'require "helper".help'))
        page = self.good("once", "near/main.lua")
        self.assertIn("# HELP meter_config_info Found.\n", page)

    def test_script_without_end(self):
        self.write("bad.lua", "while true do end\n")
        self.refused(1, "bad.lua:1: script ran for more than 1 s without "
                     "waiting (limits = { cpu = ... } raises it)", "bad.lua")

    def test_too_few_descriptors(self):
        for limit in range(8, 14):
            done = self.run_it(f"--nofile={limit}", LUNEX, "once", "meter",
                               program="prlimit")
            self.assertRegex(done.stderr,
                             r"\A[^\n]*[Tt]oo many open files[^\n]*\n\Z")
            self.assertIn(done.returncode, (1, 2))  # 2: cannot read it

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            done = self.run_it("meter", "--web.listen-address", address,
                               "--log.level", "error")
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr, rf"^lunex: .*{address}.*in use\n$")

    def test_once_prints_the_form_that_is_asked_for(self):
        self.write("dotted.lua", DOTTED)
        for form, head in (("text", "# TYPE dotted_words_info gauge\n"),
                           ("openmetrics", "# TYPE dotted_words info\n"),
                           ("openmetrics2", "# TYPE dotted_words_info info\n")):
            page = self.good("once", "dotted.lua", "--format", form)
            self.assertIn(head, page)
            self.assertEqual(form != "text", page.endswith("# EOF\n"))
            page = self.good("once", "dotted.lua", "--format=" + form,
                             "--escaping=allow-utf-8")
            self.assertIn('\n{"dotted.words_info",word="x"} 1\n', page)
        done = subprocess.run(
            [LUNEX, "once", "dotted.lua", "--format=protobuf"],
            cwd=self.folder, capture_output=True, check=True, timeout=DEADLINE)
        self.assertIn(("dotted_words_info", "type"),
                      metric_proto.read(done.stdout))

    def test_once_may_leave_created_samples_out(self):
        self.write("count.lua", COUNT)
        page = self.good("once", "count.lua", "--format=openmetrics")
        self.assertIn("\ncount_created ", page)
        self.assertNotIn("_created", self.good(
            "once", "count.lua", "--format=openmetrics",
            "--web.disable-created-samples"))

    def test_the_manual_has_every_flag(self):
        manual = Path(__file__).parents[2].joinpath("docs/lunex.1").read_text(
            encoding="utf-8")
        self.write("plain.lua", "return { collect = function() end }")
        flags = set(re.findall(r"^ +--([a-z.-]+)", self.good(
            "once", "plain.lua", "--help"), re.M))
        self.assertLessEqual({"interval", "format", "escaping"}, flags)
        told = set(re.findall(r"^\.It Fl Fl ([a-z.-]+)", manual, re.M))
        self.assertEqual(flags, told)

    def test_failed_collection_of_once(self):
        self.write("bad.lua", METER.replace(
            "collect = function(m, config)",
            'collect = function(m, config) error("no meter")'))
        done = self.run_it("once", "bad.lua")
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr, r"bad\.lua:\d+: no meter")
        self.assertRegex(done.stderr, r"(?m)^lunex: meter: .*\n\Z")
        self.assertIn("\nmeter_up 0\n", done.stdout)

    def test_full_device(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([LUNEX, "version"], stdout=full, text=True,
                                  env=self.environment, timeout=DEADLINE,
                                  stderr=subprocess.PIPE)
        self.assertEqual("lunex: cannot write to standard output\n",
                         done.stderr)
        self.assertEqual(1, done.returncode)


class Output(Command):
    def test_help_of_an_exporter(self):
        text = " ".join(self.good("meter", "--help").split())
        for part in ("Usage: lunex meter [flags] [DEVICE_IP] [DEVICE_PORT]",
                     "A meter that is not there. It says what it was told.",
                     "--device-port DEVICE_PORT UDP port of the meter. "
                     "(default: 5000; environment: METER_PORT)",
                     "--web.listen-address ADDRESS", "--log.level LEVEL"):
            self.assertIn(part, text)
        text = " ".join(self.good("help", "cloud").split())
        self.assertIn("--token TOKEN (environment: TOKEN) (required) "
                      "(secret; also --token-file FILE, TOKEN_FILE)", text)

    def test_help_lists_the_bundled_exporters(self):
        text = self.good()
        self.assertRegex(text, r"(?m)^ +meter +A meter that is not there\.$")
        self.assertRegex(text, r"(?m)^ +cloud +Devices of a cloud\.$")
        self.assertEqual(text, self.good("help"))
        self.assertEqual(text, self.good("--help"))

    def test_the_exporters_that_come_along_are_found(self):
        del self.environment["LUNEX_DATA"]
        self.assertIn("powerexporter", self.good())
        self.assertIn("--device-ip", self.good("powerexporter", "--help"))

    def test_version(self):
        self.assertRegex(self.good("version"),
                         r"^lunex \d+\.\d+\.\d+ \(Lua 5\.4\.\d+\)\n$")
        self.assertEqual(self.good("version"), self.good("--version"))

    def test_check_gives_advice_with_lines(self):
        self.write("ugly.lua", UGLY)
        self.assertEqual([
            "ugly.lua:10: uglyThings metric names should be written in "
            "'snake_case' not 'camelCase'",
            "ugly.lua:7: ugly_mute no help text",
            'ugly.lua:5: ugly_requests counter metrics should have "_total" '
            "suffix",
            'ugly.lua:8: ugly_size_total non-counter metrics should not have '
            '"_total" suffix',
            "ugly.lua:9: ugly_things_count non-histogram and non-summary "
            'metrics should not have "_count" suffix',
            "ugly.lua:6: ugly_wait_ms metric names should not contain "
            "abbreviated units",
        ], self.good("check", "ugly.lua").splitlines())

    def test_check_finds_nothing_to_say(self):
        self.assertEqual(f"{self.folder}/data/exporters/meter.lua: ok\n",
                         self.good("check", "meter"))

    def test_check_goes_on_after_an_error(self):
        self.write("bad.lua", "return { nam = 'x', collect = print }\n")
        done = self.run_it("check", "bad.lua", "cloud")
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr, r"^lunex: bad\.lua:1: .*'nam'.*'name'")
        self.assertIn("cloud.lua: ok\n", done.stdout)

    def test_check_tries_the_metrics(self):
        self.write("bad.lua", METER.replace("meter_config_info =",
                                            '["not valid\\0"] ='))
        done = self.run_it("check", "bad.lua")
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertRegex(done.stderr, r"^lunex: .+\n$")

    def test_specs_of_scripts(self):
        self.write("a_spec.lua", "it('holds', function() assert(true) end)")
        self.write("b_spec.lua", "it('breaks', function() assert(false) end)")
        self.assertEqual(0, self.run_it("test", "a_spec.lua").returncode)
        done = self.run_it("test", "a_spec.lua", "b_spec.lua")
        self.assertEqual(1, done.returncode)
        self.assertIn("b_spec.lua:1", done.stderr)
        self.assertIn("1 passed, 1 failed", done.stderr)
        self.write("b_spec.lua", "it('x', function() assert.equals(1) end)")
        self.assertIn("b_spec.lua:1: there is no assert.equals; there are: "
                      "equal, has_error, ",
                      self.run_it("test", "b_spec.lua").stderr)


class Running(Command):
    def start(self, *arguments):
        process = subprocess.Popen(
            [LUNEX, *arguments], cwd=self.folder, env=self.environment,
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_until_it_listens(self, process):
        """Reads the log until the address is in it."""
        for line in process.stderr:
            found = re.search(r"127\.0\.0\.1:\d+", line)
            if found and "listen" in line:
                return found[0]
        self.fail("it ended")

    def test_it_serves_where_it_was_told_and_a_signal_ends_it(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.start(
                "meter", "--web.listen-address",
                f"127.0.0.1:{free_port()}",
                "--web.telemetry-path=numbers")
            address = self.wait_until_it_listens(process)
            with urllib.request.urlopen(f"http://{address}/numbers",
                                        timeout=DEADLINE) as answer:
                self.assertIn(b"meter_config_info{", answer.read())
            process.send_signal(number)
            self.assertEqual(0, process.wait(DEADLINE))

    def test_it_opens_no_library_before_it_is_needed(self):
        process = self.start("meter", "--web.listen-address",
                             f"127.0.0.1:{free_port()}")
        self.wait_until_it_listens(process)
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        names = re.findall(r"/lib([a-z0-9]+)[^/\n]*[.]so", maps)
        self.assertIn("c", names)
        self.assertEqual(set(), set(names) & {
            "cares", "curl", "gnutls", "isal", "microhttpd", "snappy", "xml2",
            "zstd"})

    def test_a_secret_is_not_in_the_process_list(self):
        listen = f"--web.listen-address=127.0.0.1:{free_port()}"
        process = self.start("cloud", "--token=abc", "--token", "s3cret",
                             "--pin", "4711", "-token=s3cret=s3cret",
                             "--interval", "4711", listen)
        self.wait_until_it_listens(process)
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
        self.assertEqual(
            ["cloud", "--token=***", "--token", "******", "--pin", "****",
             "-token=*************", "--interval", "****", listen, ""],
            arguments.split("\0")[1:])

    def test_a_collection_of_once_can_be_interrupted(self):
        self.write("slow.lua", METER.replace(
            "collect = function(m, config)",
            'collect = function(m, config) io.stderr:write("begun\\n")\n'
            'require "task".sleep(60)'))
        process = self.start("once", "slow.lua", "--timeout", "60")
        self.assertIn("begun\n", process.stderr)
        process.send_signal(signal.SIGINT)
        self.assertEqual(-signal.SIGINT, process.wait(DEADLINE))


if __name__ == "__main__":
    unittest.main()
