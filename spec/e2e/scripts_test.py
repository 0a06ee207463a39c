# SPDX-License-Identifier: Apache-2.0
"""Folders of scripts: every *.lua in one is an exporter."""

import os
import signal
import subprocess

from spec.e2e.lunex import DEADLINE, Case, eventually, program

SCRIPT = """\
local metric = require "metric"

return {
  %s
  metrics = { %s_value = metric.gauge { "A value." } },
  collect = function(m, config) m.%s_value:set(%s) end,
}
"""


def script(name, value="1", top=""):
    return SCRIPT % (top, name, name, value)


class Scripts(Case):
    def setUp(self):
        super().setUp()
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()

    def put(self, name, text):
        path = self.scripts / name
        path.write_text(text)
        return path

    def run_it(self, *arguments, **environment):
        return subprocess.run(
            [program(), *arguments], cwd=self.folder, text=True,
            env={"PATH": "/usr/bin:/bin", **environment}, timeout=DEADLINE,
            stdin=subprocess.DEVNULL, capture_output=True)

    def refused(self, sentence, *arguments, status=2):
        done = self.run_it(*arguments)
        self.assertEqual(f"lunex: {sentence}\n", done.stderr)
        self.assertEqual("", done.stdout)
        self.assertEqual(status, done.returncode)


class Folder(Scripts):
    def test_every_script_in_it_is_an_exporter(self):
        self.put("b.lua", script("b", 'config.x', 'config = { x = { 1, env = '
                                 '"SPEC_X" } },'))
        self.put("a.lua", script("a", "7"))
        self.put("notes.txt", "no script")
        self.put(".hidden.lua", "return")
        (self.scripts / "folder.lua").mkdir()
        os.mkfifo(self.scripts / "pipe.lua")
        (self.scripts / "gone.lua").symlink_to("nowhere")
        (self.folder / "elsewhere.lua").write_text(script("linked", "9"))
        (self.scripts / "linked.lua").symlink_to("../elsewhere.lua")
        lunex = self.lunex("--scripts", "scripts", cwd=self.folder,
                           env={"SPEC_X": "3"})
        samples = lunex.samples()
        self.assertEqual([7, 3, 9], [samples[f"{name}_value"]
                                     for name in ("a", "b", "linked")])
        shown = [name for name in samples
                 if name.startswith("lunex_exporter_reload_success")]
        self.assertEqual(3, len(shown), shown)
        self.assertIn('lunex_exporter_info{exporter="a",'
                      'script="scripts/a.lua"}', samples)

    def test_a_script_with_a_mistake_does_not_stop_the_others(self):
        self.put("bad.lua", "return {\n = 1 }\n")
        self.put("good.lua", script("good"))
        self.put("loop.lua", "while true do end")
        self.put("needs.lua", script(
            "needs", top='config = { key = { env = "SPEC_KEY", required = '
            'true, type = "string" } },'))
        self.put("twin.lua", script("twin", top='name = "good",'))
        lunex = self.lunex("--scripts", self.scripts)
        samples = lunex.samples()
        self.assertEqual(1, samples["good_value"])
        for name, good in (("bad", 0), ("good", 1), ("loop", 0), ("needs", 0),
                           ("twin", 0)):
            self.assertEqual(good, samples[
                f'lunex_exporter_reload_success{{exporter="{name}"}}'])
        for sentence in (
                f"{self.scripts}/bad.lua:2: unexpected symbol near '='",
                f"{self.scripts}/loop.lua:1: script ran for more than 1 s",
                f"{self.scripts}/needs.lua: config.key is missing; the "
                "variable SPEC_KEY would do, too",
                f"{self.scripts}/twin.lua:4: the name 'good' is taken by "
                f"{self.scripts}/good.lua: give this script another name"):
            lunex.wait_said(sentence)

    def test_it_stands_beside_a_configuration(self):
        self.put("a.lua", script("a"))
        self.put("b.lua", script("b"))
        (self.folder / "lunex.lua").write_text(
            'return { scripts = "scripts", exporters = {\n'
            '  { "scripts/a.lua", name = "x", labels = { site = "x" } } } }\n')
        samples = self.lunex("--config",
                             self.folder / "lunex.lua").samples()
        self.assertEqual(1, samples['a_value{site="x"}'])
        self.assertEqual(1, samples["b_value"])
        self.assertNotIn("a_value", samples)

    def test_it_is_collected_once(self):
        self.put("a.lua", script("a", "5"))
        done = self.run_it("once", "--scripts", "scripts")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("\na_value 5\n", done.stdout)
        self.put("bad.lua", "x")
        done = self.run_it("once", "--scripts", "scripts")
        self.assertEqual(1, done.returncode)
        self.assertIn("\na_value 5\n", done.stdout)
        self.assertIn("scripts/bad.lua:1: ", done.stderr)

    def test_it_is_checked(self):
        self.put("a.lua", script("a"))
        self.put("bad.lua", "return {\n = 1 }\n")
        done = self.run_it("check", "scripts")
        self.assertEqual("scripts/a.lua: ok\n", done.stdout)
        self.assertEqual("lunex: scripts/bad.lua:2: unexpected symbol near "
                         "'='\n", done.stderr)
        self.assertEqual(1, done.returncode)


    def test_a_mistake_takes_no_name_from_others(self):
        """What a script is called that does not load, after its file."""
        path = self.put("a.lua", script("thermo", top='name = "thermo",'))
        self.put("b.lua", script("a", top='name = "a",'))
        lunex = self.lunex("--scripts", self.scripts, "--watch=off",
                           "--web.enable-lifecycle")
        lunex.wait_log("listening")
        path.write_text("return {{")
        answer = lunex.get("/-/reload", method="POST")
        self.assertRegex(answer.text, r"failed thermo .*a\.lua:1:")
        self.assertIn("1 unchanged\n", answer.text)
        for name in ("thermo", "a"):
            self.assertIn(f"{name}_value 1",
                          lunex.get(f"/metrics?exporter={name}").text)

    def test_a_mistake_does_not_take_the_name(self):
        """Of a script that has another one than its file."""
        top = 'name = "%s",'
        path = self.put("t.lua", script("thermo", top=top % "thermo"))
        self.put("other.lua", script("other"))
        lunex = self.lunex("--scripts", self.scripts, "--watch=off",
                           "--web.enable-lifecycle")
        lunex.wait_log("listening")
        for text in ("return {{", script("thermo", top=top % "other")):
            path.write_text(text)
            answer = lunex.get("/-/reload", method="POST")
            self.assertIn("failed thermo (", answer.text)
            lunex.wait_log("reload failed.* exporter=thermo ")
            self.assertEqual(
                200, lunex.get("/metrics?exporter=thermo").status)
            lunex.lines.clear()
        path.write_text(script("thermo", top=top % "thermo"))
        self.assertEqual(200, lunex.get("/-/reload", method="POST").status)
        self.assertEqual(1, lunex.samples()[
            'lunex_exporter_reload_success{exporter="thermo"}'])


class Mistakes(Scripts):
    def test_a_folder_must_be_there(self):
        for words in ([], ["once"]):
            self.refused("cannot read gone: No such file or directory",
                         *words, "--scripts", "gone")
        (self.folder / "lunex.lua").write_text(
            'return {\n  scripts = "gone" }\n')
        self.refused("lunex.lua:2: scripts: cannot read gone: No such file or "
                     "directory", "--config", "lunex.lua")
        self.refused("cannot read lunex.lua: Not a directory",
                     "--scripts", "lunex.lua")

    def test_who_forgets_the_flag_is_told(self):
        self.refused("./scripts is a folder: lunex --scripts ./scripts",
                     "./scripts")
        self.refused("--scripts and 'mirth' exclude each other",
                     "--scripts", "scripts", "mirth")

    def test_there_must_be_a_script_to_collect_from(self):
        self.refused("scripts: there is no script",
                     "once", "--scripts", "scripts")

    def test_flags_of_a_reload_are_words(self):
        self.put("a.lua", script("a"))
        self.refused("--watch: expected one of auto, poll, off, got 'often'",
                     "--scripts", "scripts", "--watch=often")
        (self.folder / "lunex.lua").write_text(
            'return {\n  scripts = "scripts", lifecycle = "yes" }\n')
        self.refused("lunex.lua:2: lifecycle: expected true or false, got a "
                     "string", "--config", "lunex.lua")


class Signals(Scripts):
    def test_sighup_while_it_starts_does_not_end_it(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        path = self.put("a.lua", f'io.open("{pipe}"):read "a"\n{script("a")}')
        lunex = self.lunex(path, "--watch=off")
        writer = os.open(pipe, os.O_WRONLY)  # waits for the script
        lunex.process.send_signal(signal.SIGHUP)
        pipe.unlink()
        pipe.touch()
        os.close(writer)
        self.assertEqual(1, lunex.samples()["a_value"])

    def test_sighup_does_not_end_it(self):
        self.put("a.lua", script("a"))
        lunex = self.lunex("--scripts", self.scripts, "--watch=off")
        self.assertEqual(1, lunex.samples()["a_value"])
        lunex.process.send_signal(signal.SIGHUP)
        eventually(lambda: lunex.samples()["a_value"] == 1, "it serves on")
        lunex.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, lunex.process.wait(DEADLINE))
