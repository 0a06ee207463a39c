# SPDX-License-Identifier: Apache-2.0
"""Many exporters in one process, from a configuration file."""

import re
import signal
import subprocess
import threading
import time

from spec.e2e.lunex import DEADLINE, Case, Gate, program
from spec.e2e.timely import timely

SECRET = "s3cr3t-of-a-file"
VARIABLE = "s3cr3t-of-a-variable"

QUEUE = """\
local metric = require "metric"

return {
  name = "queue",
  landing = "a landing page\\n",
  config = {
    host = { "nowhere", env = "QUEUE_HOST" },
    password = { secret = true, env = "QUEUE_PASSWORD" },
    jobs = { 3 },
    fail = { false },
  },
  metrics = {
    queue_jobs = metric.gauge { "Jobs that wait.", labels = { "host" } },
    queue_password_length = metric.gauge { "Characters." },
  },
  collect = function(m, config)
    m.queue_jobs:set(config.jobs, config.host)
    m.queue_password_length:set(#(config.password or ""))
    if config.fail then error "the queue is gone" end
  end,
}
"""

OTHER = """\
local metric = require "metric"

return {
  config = { host = { "elsewhere" } },
  metrics = {
    queue_jobs = metric.%s { "%s", labels = { "host" } },
  },
  collect = function(m, config)
    m.queue_jobs:set(7, config.host)
  end,
}
"""

SLOW = """\
local metric = require "metric"
local udp = require "udp"

return {
  metrics = { slow_value = metric.gauge { "A value." } },
  collect = function(m)
    %s
    m.slow_value:set(1)
  end,
}
"""

PLAIN = """\
local metric = require "metric"

return {
  %s
  metrics = { plain_value = metric.gauge { "A value." } },
  collect = function(m) m.plain_value:set(1) end,
}
"""

BROKEN = "return {\n  collect = = 1,\n}\n"


class Configured(Case):
    def setUp(self):
        super().setUp()
        self.script(QUEUE, "queue")

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def configuration(self, *entries, top=""):
        """A file with one line for each of ENTRIES, from line 3 on."""
        lines = "\n".join(f"  {entry}," for entry in entries)
        return self.write("lunex.lua",
                          f"return {{ {top}\nexporters = {{\n{lines}\n}} }}\n")

    def serve(self, *entries, top="", flags=(), **options):
        return self.lunex("--config", self.configuration(*entries, top=top),
                          *flags, **options)

    def run_it(self, *arguments, **environment):
        return subprocess.run(
            [program(), *arguments], cwd=self.folder, text=True,
            env={"PATH": "/usr/bin:/bin", **environment}, timeout=DEADLINE,
            stdin=subprocess.DEVNULL, capture_output=True)

    def refused(self, sentence, *entries, top="", status=2, **environment):
        """The same from lunex --config, once and check."""
        self.configuration(*entries, top=top)
        for words in (["--config"], ["once", "--config"], ["check"]):
            done = self.run_it(*words, "lunex.lua", **environment)
            self.assertEqual(f"lunex: lunex.lua:{sentence}\n", done.stderr)
            self.assertEqual("", done.stdout)
            self.assertEqual(status, done.returncode)


class Instances(Configured):
    def test_three_of_one_script_tell_themselves_apart_by_labels(self):
        lunex = self.serve(
            '{ "queue.lua", name = "a", labels = { site = "a" }, '
            'config = { host = "x" } }',
            '{ "queue.lua", name = "b", labels = { site = "b", rack = "2" }, '
            'config = { jobs = 5 }, interval = "100ms" }',
            '{ "queue.lua", name = "c", labels = { site = "c" }, '
            'config = { fail = true } }')
        samples = lunex.samples()
        self.assertEqual(3, samples['queue_jobs{host="x",site="a"}'])
        self.assertEqual(
            5, samples['queue_jobs{host="nowhere",rack="2",site="b"}'])
        self.assertEqual([1, 1, 0], [
            samples['queue_up{site="a"}'],
            samples['queue_up{rack="2",site="b"}'],
            samples['queue_up{site="c"}']])
        page = lunex.get().text
        self.assertEqual(1, page.count("# TYPE queue_jobs gauge\n"))
        for name, failed in (("a", 0), ("b", 0), ("c", 1)):
            self.assertEqual(
                1, samples[f'lunex_exporter_reload_success{{exporter="{name}"}}'])
            self.assertIn(f'lunex_exporter_info{{exporter="{name}",script="'
                          f'{self.folder}/queue.lua"}}', samples)
            self.assertIn(f"/metrics?exporter={name}\"", lunex.get("/").text)
            alone = lunex.samples(f"/metrics?exporter={name}")
            self.assertEqual([1 - failed], [
                value for key, value in alone.items()
                if key.startswith("queue_up")])
        answer = lunex.get("/metrics?exporter=queue")
        self.assertEqual(404, answer.status)
        self.assertEqual("no exporter of that name; there are: a, b, c\n",
                         answer.text)
        lunex.wait_log(r'msg="collection failed" exporter=c ')

    def test_labels_of_the_file_win_over_those_of_the_script(self):
        self.script(PLAIN % 'labels = { site = "script", rack = "1" },',
                    "plain")
        lunex = self.serve('{ "plain.lua", labels = { site = "file" } }')
        self.assertEqual(
            1, lunex.samples()['plain_value{rack="1",site="file"}'])

    def test_a_file_of_one_exporter_has_its_landing_page(self):
        lunex = self.serve('{ "queue.lua" }')
        self.assertEqual("a landing page\n", lunex.get("/").text)
        lunex = self.serve('{ "queue.lua" }', '{ "queue.lua", name = "b", '
                           'labels = { b = "b" } }')
        self.assertIn("<h1>lunex", lunex.get("/").text)

    @timely
    def test_two_hundred_start_within_seconds(self):
        path = self.write("many.lua", """
            local list = {}
            for i = 1, 200 do
              list[i] = { "queue.lua", name = "queue_" .. i, interval = 60,
                          labels = { number = tostring(i) } }
            end
            return { exporters = list }
        """)
        begin = time.monotonic()
        lunex = self.lunex("--config", path)
        samples = lunex.samples()
        self.assertEqual(200, sum(
            value for key, value in samples.items()
            if key.startswith("queue_up{")))
        self.assertLess(time.monotonic() - begin, 5)
        begin = time.monotonic()
        self.assertEqual(0, lunex.stop())
        self.assertLess(time.monotonic() - begin, 2)

    def test_once_prints_the_merged_page(self):
        self.configuration('{ "queue.lua", name = "a" }',
                           '{ "queue.lua", name = "b", interval = 3600, '
                           'labels = { site = "b" } }')
        done = self.run_it("once", "--config", "lunex.lua")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn('\nqueue_jobs{host="nowhere"} 3\n'
                      'queue_jobs{host="nowhere",site="b"} 3\n', done.stdout)

    def test_once_fails_with_the_name_of_the_one_that_fails(self):
        self.configuration('{ "queue.lua", name = "a" }',
                           '{ "queue.lua", name = "b", '
                           'labels = { site = "b" }, config = { fail = true } }')
        done = self.run_it("once", "--config", "lunex.lua")
        self.assertEqual(1, done.returncode)
        self.assertIn("lunex: b: the collection failed\n", done.stderr)
        self.assertIn('\nqueue_up 1\nqueue_up{site="b"} 0\n', done.stdout)


class Values(Configured):
    def hosts(self, *entries, **environment):
        self.configuration(*entries)
        done = self.run_it("once", "--config", "lunex.lua", **environment)
        self.assertEqual(0, done.returncode, done.stderr)
        return re.findall(r'^queue_jobs\{host="(\w+)"', done.stdout, re.M)

    def test_the_environment_beats_the_file_which_beats_dotenv(self):
        entry = '{ "queue.lua", config = { host = "file" } }'
        self.assertEqual(["file"], self.hosts(entry))
        self.assertEqual(["variable"],
                         self.hosts(entry, QUEUE_HOST="variable"))
        self.write(".env", "QUEUE_HOST=dotenv\n")
        self.assertEqual(["file"], self.hosts(entry))
        self.assertEqual(["dotenv"], self.hosts('{ "queue.lua" }'))

    def test_a_variable_fills_what_one_of_several_instances_leaves_out(self):
        self.assertEqual(["file", "variable"], self.hosts(
            '{ "queue.lua", name = "a", labels = { n = "1" }, '
            'config = { host = "file" } }',
            '{ "queue.lua", name = "b", labels = { n = "2" } }',
            QUEUE_HOST="variable"))

    def test_flags_beat_the_file(self):
        lunex = self.serve(
            '{ "queue.lua", interval = 3600 }', top='listen = ":1", '
            'telemetry_path = "/file", log_level = "error",',
            flags=["--log.level=info", "--web.telemetry-path=flag"])
        self.assertEqual(200, lunex.get("/flag").status)
        self.assertEqual(404, lunex.get("/file").status)

    def test_a_file_serves_where_it_says(self):
        path = self.configuration(
            '{ "queue.lua" }', top='listen = { "127.0.0.1:0", "[::1]:0" }, '
            'telemetry_path = "m",')
        lunex = self.lunex("--config", path, listen=None)
        self.assertEqual(200, lunex.get("/m").status)
        self.assertEqual(404, lunex.get("/metrics").status)
        lunex.wait_log(r'address="?\[::1\]:\d+')

    def test_env_and_file_give_values_that_nobody_sees(self):
        self.write("password", SECRET + "\n")
        lunex = self.serve(
            '{ "queue.lua", name = "a", labels = { n = "1" }, '
            'config = { password = file "password", fail = true } }',
            '{ "queue.lua", name = "b", labels = { n = "2" }, '
            'config = { password = env "B", host = env("NOT_SET", "left") } }',
            '{ "queue.lua", name = "c", config = { password = env "B" } , '
            'profiles = { other = { password = file "password" } } }',
            top='log_level = "debug",', env={"B": VARIABLE})
        samples = lunex.samples()
        self.assertEqual(len(VARIABLE),
                         samples['queue_password_length{n="2"}'])
        self.assertEqual(3, samples['queue_jobs{host="left",n="2"}'])
        seen = "".join([lunex.get().text, lunex.get("/").text, lunex.log,
                        lunex.get("/metrics?exporter=a").text])
        with open(f"/proc/{lunex.process.pid}/cmdline") as file:
            seen += file.read()
        self.assertNotIn("s3cr3t", seen)

    def test_check_advises_against_secrets_in_the_file(self):
        self.write("password", SECRET)
        self.configuration(
            '{ "queue.lua", name = "a", labels = { n = "1" }, '
            'config = { password = "hunter2" } }',
            '{ "queue.lua", name = "b", labels = { n = "2" }, '
            'config = { password = "x" .. file "password" } }',
            '{ "queue.lua", name = "c", labels = { n = "3" }, '
            'profiles = { p = { password = "hunter3" } } }')
        done = self.run_it("check", "lunex.lua")
        self.assertEqual(
            "lunex.lua:3: the secret config.password stands in the file: use "
            "env or file\nlunex.lua:5: the secret profiles.p.password stands "
            "in the file: use env or file\n", done.stdout)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.configuration('{ "queue.lua" }')
        self.assertEqual("lunex.lua: ok\n",
                         self.run_it("check", "lunex.lua").stdout)


class Clashes(Configured):
    def failures(self, *entries):
        """Serves ENTRIES; the page, and what the log says of failures."""
        lunex = self.serve(*entries)
        samples = lunex.samples()
        told = re.findall(r'msg="the exporter cannot run" exporter=(\S+) '
                          r'configuration=(\S+) error="(.*)"', lunex.log)
        for name, _, sentence in told:
            self.assertEqual(
                0, samples[f'lunex_exporter_reload_success{{exporter="{name}"}}'])
            self.assertIn(f'<td class="name">{name}<', lunex.get("/").text)
        return samples, [(name, where.replace(f"{self.folder}/", ""),
                          sentence.replace(f"{self.folder}/", ""))
                         for name, where, sentence in told]

    def test_the_second_with_another_type_is_refused_with_both_places(self):
        self.script(OTHER % ("counter", "Jobs that wait."), "other")
        samples, told = self.failures('{ "queue.lua" }', '{ "other.lua" }')
        self.assertEqual([(
            "other", "lunex.lua:4",
            "other.lua:6: queue_jobs: declared as counter and as gauge; the "
            "exporter 'queue' declares it at queue.lua:13")], told)
        self.assertEqual(1, samples["queue_up"])
        self.assertNotIn("other_up", samples)
        _, told = self.failures('{ "other.lua" }', '{ "queue.lua" }')
        self.assertEqual(["queue"], [name for name, _, _ in told])

    def test_the_second_with_another_help_is_refused(self):
        self.script(OTHER % ("gauge", "Something else."), "other")
        _, told = self.failures('{ "queue.lua" }', '{ "other.lua" }')
        self.assertEqual(
            "other.lua:6: queue_jobs: declared with different help texts; the "
            "exporter 'queue' declares it at queue.lua:13", told[0][2])

    def test_the_same_family_of_two_scripts_is_merged(self):
        self.script(OTHER % ("gauge", "Jobs that wait."), "other")
        samples, told = self.failures('{ "queue.lua" }', '{ "other.lua" }')
        self.assertEqual([], told)
        self.assertEqual((3, 7), (samples['queue_jobs{host="nowhere"}'],
                                  samples['queue_jobs{host="elsewhere"}']))

    def test_the_second_with_the_same_series_is_refused(self):
        samples, told = self.failures(
            '{ "queue.lua", name = "a", labels = { site = "x" } }',
            '{ "queue.lua", name = "b", labels = { site = "x" } }',
            '{ "queue.lua", name = "c", labels = { site = "y" } }')
        self.assertEqual(1, len(told))
        self.assertEqual(("b", "lunex.lua:4"), told[0][:2])
        self.assertRegex(
            told[0][2], r"^lunex\.lua:4: the exporter 'b' would show the same "
            r"series as 'a' \(lunex\.lua:3\), such as queue_\w+: give it other "
            r"labels$")
        self.assertEqual((1, 1), (samples['queue_up{site="x"}'],
                                  samples['queue_up{site="y"}']))

    def test_series_that_meet_later_are_shown_once_and_told(self):
        self.script(OTHER % ("gauge", "Jobs that wait."), "other")
        lunex = self.serve('{ "queue.lua", config = { host = "same" } }',
                           '{ "other.lua", config = { host = "same" } }')
        for _ in range(3):
            page = lunex.get().text
            self.assertEqual(1, page.count('queue_jobs{host="same"}'))
            self.assertIn('queue_jobs{host="same"} 3\n', page)
        lunex.wait_log("series are left out")
        self.assertEqual([(
            "other", "queue", r'"queue_jobs{host=\"same\"}"', "1")],
            re.findall(r'series are left out.*exporter=(\S+) other=(\S+) '
                       r'series=(\S+) count=(\d+)', lunex.log))
        done = self.run_it("once", "--config", "lunex.lua")
        self.assertEqual(1, done.stdout.count('queue_jobs{host="same"}'))
        self.assertRegex(done.stderr,
                         "series are left out.*exporter=other other=queue ")
        self.assertEqual(0, done.returncode)

    def test_metrics_that_meet_those_of_the_host_are_told_with_their_line(self):
        self.script(OTHER.replace("queue_jobs", "lunex_build_info")
                    % ("gauge", "Mine."), "other")
        lunex = self.serve('{ "other.lua" }')
        page = lunex.get().text
        self.assertEqual(1, page.count("# TYPE lunex_build_info "))
        self.assertIn("# HELP lunex_build_info Mine.\n", page)
        lunex.wait_log("metrics are left out")
        lunex.get()
        self.assertEqual([(
            "lunex", '"the host"', "other", f"{self.folder}/other.lua:6",
            '"lunex_build_info: declared as gauge and as info"', "1")],
            re.findall(r"metrics are left out: another exporter declares them "
                       r'differently" exporter=(\S+) at=(".*?"|\S+) '
                       r'other=(\S+) other_at=(\S+) error=(".*?") '
                       r"count=(\d+)", lunex.log))

    def test_names_that_meet_when_they_are_escaped_are_told(self):
        self.script(OTHER.replace("queue_jobs", "a_b") % ("gauge", "A."), "a")
        self.script(OTHER.replace("queue_jobs =", '["a.b"] =').replace(
            "m.queue_jobs", 'm["a.b"]') % ("gauge", "B."), "b")
        lunex = self.serve('{ "b.lua" }', '{ "a.lua" }')
        self.assertIn('a_b{host="elsewhere"} 7\n', lunex.get().text)
        self.assertNotIn("B.", lunex.get().text)
        lunex.wait_log("metrics are left out")
        self.assertRegex(
            lunex.log, r'the same name once it is escaped" exporter=b '
            rf"at={self.folder}/b.lua:6 other=a other_at={self.folder}/a.lua "
            r"""error="a.b: is shown as 'a_b', as is 'a_b'" count=1""")

    def test_series_that_meet_when_they_are_escaped_are_told(self):
        """Once, whoever asks in between with names as they are."""
        for name, label in (("dotted", '"ho.st"'), ("lined", '"ho_st"')):
            self.script(OTHER.replace('"host"', label) % (
                "gauge", "Jobs that wait."), name)
        lunex = self.serve('{ "dotted.lua" }', '{ "lined.lua" }')
        for _ in range(3):
            page = lunex.get().text
            self.assertEqual(1, page.count("queue_jobs{"), page)
            page = lunex.get(headers={
                "Accept": "text/plain;escaping=allow-utf-8"}).text
            self.assertEqual(2, page.count("queue_jobs{"), page)
        lunex.wait_log("series are left out")
        self.assertEqual([(
            "lined", "dotted", r'"queue_jobs{ho_st=\"elsewhere\"}"', "1",
            "underscores")],
            re.findall(r'series are left out: another exporter shows them once '
                       r'names are escaped" exporter=(\S+) other=(\S+) '
                       r'series=(\S+) count=(\d+) escaping=(\S+)', lunex.log))
        self.assertEqual(1, lunex.log.count("series are left out"))

    def test_a_broken_script_among_three_does_not_stop_the_others(self):
        self.script(BROKEN, "broken")
        samples, told = self.failures(
            '{ "queue.lua", name = "a" }', '{ "broken.lua" }',
            '{ "queue.lua", name = "c", labels = { n = "1" } }')
        self.assertEqual([("broken", "lunex.lua:4", "broken.lua:2: unexpected "
                           "symbol near '='")], told)
        self.assertEqual((1, 1), (samples["queue_up"],
                                  samples['queue_up{n="1"}']))

    def test_metrics_that_are_refused_are_a_failure_of_that_exporter(self):
        self.script(PLAIN % 'labels = { site = "x" },', "plain")
        _, told = self.failures(
            '{ "queue.lua", labels = { host = "x" } }', '{ "plain.lua" }')
        self.assertEqual(["queue"], [name for name, _, _ in told])
        self.assertIn("label name 'host' is given twice", told[0][2])

    def test_those_that_get_no_descriptors_are_told(self):
        self.configuration(*(
            f'{{ "queue.lua", name = "q{i}", labels = {{ n = "{i}" }} }}'
            for i in range(40)))
        done = subprocess.run(
            ["prlimit", "--nofile=64", program(), "once", "--config",
             "lunex.lua"], cwd=self.folder, text=True, timeout=DEADLINE,
            stdin=subprocess.DEVNULL, capture_output=True)
        shown = re.findall(r'^queue_up\{n="\d+"\} 1$', done.stdout, re.M)
        told = re.findall(r'the exporter cannot run.*oo many open files',
                          done.stderr)
        self.assertEqual(40, len(shown) + len(told), done.stderr)
        self.assertTrue(shown)
        self.assertTrue(told)
        self.assertEqual(1, done.returncode)

    def test_nothing_runs_when_no_exporter_can(self):
        self.script(BROKEN, "broken")
        self.configuration('{ "broken.lua" }')
        done = self.run_it("--config", "lunex.lua")
        self.assertEqual(1, done.returncode)
        self.assertTrue(done.stderr.endswith(
            "lunex: broken.lua:2: unexpected symbol near '='\n"), done.stderr)
        self.configuration('{ "broken.lua" }', '{ "broken.lua", name = "b" }')
        done = self.run_it("--config", "lunex.lua")
        self.assertEqual(1, done.returncode)
        self.assertTrue(done.stderr.endswith(
            "lunex: lunex.lua: none of the exporters can run\n"), done.stderr)

    def test_check_finds_clashes_and_broken_scripts(self):
        self.script(BROKEN, "broken")
        self.configuration('{ "queue.lua", name = "a" }', '{ "broken.lua" }',
                           '{ "queue.lua", name = "b" }')
        done = self.run_it("check", "lunex.lua")
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertRegex(
            done.stderr, r"\Alunex: broken\.lua:2: .*\nlunex: lunex\.lua:5: "
            r"the exporter 'b' would show the same series as 'a' .*\n\Z")


    def test_check_finds_what_meets_when_it_is_escaped(self):
        for name, family in (("a", "a_b"), ("b", "a.b"), ("d", "a/b")):
            self.script(OTHER.replace(
                "queue_jobs =", f'["{family}"] =').replace(
                    "m.queue_jobs", f'm["{family}"]') % ("gauge", "A."), name)
        self.script(OTHER.replace("queue_jobs =", '["a.b_sum"] =').replace(
            "m.queue_jobs", 'm["a.b_sum"]') % ("gauge", "A."), "c")
        self.script(OTHER.replace("queue_jobs =", '["a-b"] =').replace(
            "m.queue_jobs:set", 'm["a-b"]:observe') % ("summary", "A."), "e")
        self.configuration('{ "a.lua" }', '{ "b.lua" }')
        done = self.run_it("check", "lunex.lua")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn(
            "b.lua:6: a.b: is 'a_b' to readers that know no UTF-8 names, as is "
            "'a_b' of the exporter 'a' at a.lua:6; readers that know no UTF-8 "
            "names get one of the two\n", done.stdout)
        self.assertNotIn("lunex.lua: ok", done.stdout)
        self.configuration('{ "c.lua" }', '{ "e.lua" }')
        self.assertIn(
            "c.lua:6: a.b_sum: belongs to the summary 'a-b' of the exporter "
            "'e' at e.lua:6; readers that know no UTF-8 names get one of the "
            "two\n", self.run_it("check", "lunex.lua").stdout)
        self.configuration('{ "a.lua" }', '{ "c.lua" }')
        self.assertNotIn("one of the two",
                         self.run_it("check", "lunex.lua").stdout)

    def test_check_finds_labels_that_are_the_same_when_escaped(self):
        entries = ('{ "queue.lua", name = "a", labels = { ["si.te"] = "x" } }',
                   '{ "queue.lua", name = "b", labels = { si_te = "x" } }')
        self.configuration(*entries)
        done = self.run_it("check", "lunex.lua")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertRegex(
            done.stdout, r"(?m)^lunex\.lua:4: the exporter 'b' shows the same "
            r"series as 'a' \(lunex\.lua:3\) to readers that know no UTF-8 "
            r"names, such as queue_\w+; they get those of 'a'$")
        samples, told = self.failures(*entries)
        self.assertEqual([], told)
        self.assertEqual(1, samples['queue_up{si_te="x"}'])


class Mistakes(Configured):
    def test_each_key_has_its_sentence(self):
        for sentence, entry in (
                ("3: exporters: expected tables such as { \"mirth\", name = "
                 "\"mirth_a\" }, got a string", '"queue.lua"'),
                ("3: the exporter has no script: expected the name of a "
                 "bundled one or a path, such as { \"mirth\" }", "{}"),
                ("3: unknown key 'intervall' of an exporter; did you mean "
                 "'interval'?", '{ "queue.lua", intervall = 1 }'),
                ("3: cannot read nowhere.lua: No such file or directory",
                 '{ "nowhere.lua" }'),
                ("3: name: expected a string, got a number",
                 '{ "queue.lua", name = 1 }'),
                ("3: name: expected letters, digits, '_', '-' and '.', got "
                 "'a b'", '{ "queue.lua", name = "a b" }'),
                ("3: labels: '__a' is not the name of a label",
                 '{ "queue.lua", labels = { ["__a"] = "a" } }'),
                ("3: labels.site: expected a string, got a number",
                 '{ "queue.lua", labels = { site = 1 } }'),
                ("4: interval: expected seconds or a duration such as 15s or "
                 "1m, got 'soon'", '{ "queue.lua",\n  interval = "soon" }'),
                ("3: interval: expected seconds, got -1",
                 '{ "queue.lua", interval = -1 }'),
                ("3: timeout: expected more than 0 seconds, got 0",
                 '{ "queue.lua", timeout = 0 }'),
                ("4: unknown key 'hots' of config of queue.lua; did you mean "
                 "'host'?", '{ "queue.lua", config = {\n  hots = "x" } }'),
                ("3: config.jobs: expected an integer, got a boolean",
                 '{ "queue.lua", config = { jobs = true } }'),
                ("3: config.jobs: expected an integer, got 'many'",
                 '{ "queue.lua", config = { jobs = "many" } }'),
                ("3: config.fail: expected true or false, got a number",
                 '{ "queue.lua", config = { fail = 1 } }'),
                ("3: config: expected a table, got a string",
                 '{ "queue.lua", config = "x" }'),
                ("3: the exporter has no script: expected the name of a "
                 'bundled one or a path, such as { "mirth" }',
                 '{ script = "queue.lua" }'),
                ("3: config.password: expected a string, got a number",
                 '{ "queue.lua", config = { password = 1234 } }'),
                ("3: profiles.a: expected a table of values, got a string",
                 '{ "queue.lua", profiles = { a = "x" } }'),
                ("3: unknown key 'hots' of profiles.a of queue.lua; did you "
                 "mean 'host'?", '{ "queue.lua", profiles = { a = { '
                 'hots = "x" } } }'),
                ("3: the variable NOT_SET is not set",
                 '{ "queue.lua", config = { host = env "NOT_SET" } }'),
                ("3: cannot read gone: No such file or directory",
                 '{ "queue.lua", config = { password = file "gone" } }'),
                ("3: 'io' is not there in a configuration",
                 '{ io.open "x" }')):
            with self.subTest(sentence):
                self.refused(sentence, entry)

    def test_each_key_at_the_top_has_its_sentence(self):
        for sentence, top in (
                ("1: unknown key 'lisen' of the configuration; did you mean "
                 "'listen'?", "lisen = 1,"),
                ("1: listen: expected HOST:PORT or :PORT, got 'x'",
                 'listen = "x",'),
                ("1: listen: expected a string such as \":9100\", or a list "
                 "of them, got a number", "listen = 9100,"),
                ("1: telemetry_path: expected a path such as /metrics, got "
                 "'a b'", 'telemetry_path = "a b",'),
                ("1: telemetry_path: expected a path that is not the host's, "
                 "got '/healthz'", 'telemetry_path = "/healthz",'),
                ("1: log_level: expected one of debug, info, warn, error, got "
                 "'loud'", 'log_level = "loud",')):
            with self.subTest(sentence):
                self.refused(sentence, '{ "queue.lua" }', top=top)

    def test_two_of_one_name_are_refused_with_both_places(self):
        self.refused("4: the name 'queue' is taken by the exporter at "
                     "lunex.lua:3: give this one another name",
                     '{ "queue.lua" }', '{ "queue.lua" }')

    def test_all_mistakes_are_told_at_once(self):
        self.configuration('{ "queue.lua", nam = "x" }', "{}")
        done = self.run_it("--config", "lunex.lua")
        self.assertEqual(["lunex: lunex.lua:3", "lunex: lunex.lua:4"],
                         [line[:18] for line in done.stderr.splitlines()])

    def test_a_required_value_that_is_missing_is_named(self):
        self.script(PLAIN % "config = { token = { secret = true, "
                    "required = true, env = 'TOKEN' } },", "plain")
        self.refused("3: plain: config.token is missing; the variable TOKEN "
                     "would do, too", '{ "plain.lua" }')
        self.refused("3: profiles.p.token is missing: a probe gets secrets "
                     "from its profile alone", '{ "plain.lua", config = { '
                     'token = "x" }, profiles = { p = {} } }')

    def test_a_wrong_value_from_a_file_is_not_repeated(self):
        self.write("password", SECRET)
        for sentence, entry in (
                ("3: config.jobs: expected an integer",
                 '{ "queue.lua", config = { jobs = file "password" } }'),
                ("3: name: expected letters, digits, '_', '-' and '.', got "
                 "the text of a file", '{ "queue.lua", name = file "password" '
                 '}'),
                ("3: labels: the text of a file is not the name of a label",
                 '{ "queue.lua", labels = { [file "password"] = "a" } }'),
                ("3: profiles: the text of a file is not a name",
                 '{ "queue.lua", profiles = { [file "password"] = {} } }'),
                ("3: it is ***", 'error("it is " .. file "password")'),
                ("3: '***' is not there in a configuration",
                 '(_ENV[file "password"])'),
                ("3: labels.a: the text of a file would be shown to "
                 "everybody",
                 '{ "queue.lua", labels = { a = file "password" } }')):
            self.refused(sentence, entry)

    def test_what_is_no_configuration(self):
        for sentence, text in (
                ("lunex.lua: a configuration returns a table; this one "
                 "returns nothing", "local x = 1\n"),
                ("lunex.lua:2: the configuration has no 'exporters'",
                 "\nreturn {}\n"),
                ("lunex.lua:1: exporters: the list is empty",
                 "return { exporters = {} }\n"),
                ("lunex.lua:1: unexpected symbol near '{'; a configuration "
                 "begins with return", "{ exporters = {} }\n"),
                ("lunex.lua:1: 'exporters' is new: write return { exporters "
                 "= ... }", "exporters = {}\n"),
                ("lunex.lua:1: 'site' is new: write local site = ...",
                 "site = {}\n"),
                ("lunex.lua:2: unexpected symbol near '='",
                 "return { exporters = {\n  x = = 1 } }\n"),
                ("lunex.lua:1: 'require' is not there in a configuration",
                 'local metric = require "metric"\n')):
            self.write("lunex.lua", text)
            done = self.run_it("--config", "lunex.lua")
            self.assertEqual((2, f"lunex: {sentence}\n"),
                             (done.returncode, done.stderr))

    def test_wrong_usage(self):
        self.configuration('{ "queue.lua" }')
        for sentence, words in (
                ("cannot read gone.lua: No such file or directory",
                 ["--config", "gone.lua"]),
                ("--config needs a value", ["--config"]),
                ("--config and 'queue.lua' exclude each other",
                 ["--config", "lunex.lua", "queue.lua"]),
                ("lunex.lua is a configuration: lunex --config lunex.lua",
                 ["lunex.lua"])):
            done = self.run_it(*words)
            self.assertEqual((2, f"lunex: {sentence}\n"),
                             (done.returncode, done.stderr))


class Time(Configured):
    @timely
    def test_a_slow_exporter_delays_the_page_to_its_deadline_alone(self):
        gate = Gate(self)
        self.script(SLOW % gate.lua, "slow")
        self.script(PLAIN % "interval = 3600,", "plain")
        lunex = self.serve('{ "slow.lua" }', '{ "queue.lua" }',
                           '{ "plain.lua" }')
        begin = time.monotonic()
        samples = lunex.get(headers={
            "X-Prometheus-Scrape-Timeout-Seconds": "2"}).samples
        self.assertLess(time.monotonic() - begin, 2)
        self.assertEqual((1, 1, 0), (samples["queue_up"],
                                     samples["plain_value"],
                                     samples["slow_up"]))
        self.assertNotIn("slow_value", samples)

    @timely
    def test_one_that_is_stuck_is_left_out_and_reported(self):
        self.script(SLOW % (f'while not io.open "{self.folder}/free" do end'),
                    "slow")
        path = self.folder / "slow.lua"
        path.write_text(path.read_text().replace(
            "return {", "return { limits = { cpu = 1000 },", 1))
        lunex = self.serve('{ "queue.lua" }', '{ "slow.lua" }')
        for _ in range(2):
            begin = time.monotonic()
            samples = lunex.get(headers={
                "X-Prometheus-Scrape-Timeout-Seconds": "2"}).samples
            self.assertLess(time.monotonic() - begin, 2)
            self.assertEqual(1, samples["queue_up"])
            self.assertNotIn("slow_up", samples)
        self.assertEqual(
            [0, 1], [samples[f'lunex_exporter_stalled{{exporter="{n}"}}']
                     for n in ("queue", "slow")])
        lunex.wait_log("does not come back to the host.*exporter=slow")
        (self.folder / "free").touch()
        lunex.wait_log("the script is back.*exporter=slow")

    @timely
    def test_many_that_wait_stop_at_once(self):
        gate = Gate(self)
        self.script(SLOW % gate.lua, "slow")
        lunex = self.serve(*(
            f'{{ "slow.lua", name = "s{i}", labels = {{ n = "{i}" }} }}'
            for i in range(50)))
        answers = []
        scrape = threading.Thread(
            target=lambda: answers.append(lunex.get().status))
        scrape.start()
        for _ in range(50):
            gate.arrival()
        begin = time.monotonic()
        self.assertEqual(0, lunex.stop(signal.SIGTERM))
        self.assertLess(time.monotonic() - begin, 2)
        scrape.join()
        self.assertEqual([503], answers)

    def test_one_that_loops_while_it_loads_does_not_keep_others(self):
        self.script("while true do end\n", "stuck")
        lunex = self.serve('{ "stuck.lua" }', '{ "queue.lua" }')
        self.assertEqual(1, lunex.samples()["queue_up"])
        lunex.wait_log(r'exporter=stuck .*error="\S+stuck\.lua:1: '
                       r'script ran for more than 1 s without waiting \(')
