# SPDX-License-Identifier: Apache-2.0
"""The ping exporter in the place of PingExporter, before a real Pushgateway;
and scraped, as a program of its own."""

import json
import os
import re
import subprocess
import unittest
from pathlib import Path

from spec.e2e.gateway import PASSWORD, USER, WEB_CONFIG, Gateway
from spec.e2e.lunex import SAMPLE, TOP, Case, eventually, program
from spec.e2e.timely import timely

FIXTURES = TOP / "spec/fixtures/ping"
SECOND = 'dev_ping{instance="198.51.100.80",job="MyDevice01"}'
FAILS, WORKS = "pushing fails", "pushing works again"


def conf(**changes):
    return {"prom_id": "group", "interval": 0.2, "timeout": 1,
            "value_dev_down": 3000, **changes}


def job(name="a", ip="127.0.0.1", **changes):
    return {"job": name, "ip": ip, "metrics": ["ping"], **changes}


def outline(page):
    """HELP, TYPE and names of what belongs to pushed groups: no values."""
    own = re.compile(r"(# \w+ )?(dev_|exporter_|push_(failure_)?time_seconds)")
    return {line if line.startswith("#") else line.rsplit(" ", 1)[0]
            for line in page.splitlines() if own.match(line)}


def samples(page):
    return {name: float(value) for name, value in SAMPLE.findall(page)}


class PingCase(Case):
    def setUp(self):
        super().setUp()
        self.configs = self.folder / "configs"
        self.configs.mkdir()

    def write(self, name, content):
        path = self.folder / name
        path.write_text(content if isinstance(content, str)
                        else json.dumps(content))
        return path

    def push_config(self, port, **changes):
        return self.write("push.json", {
            "ip_pushgateway": "127.0.0.1", "port_pushgateway": port,
            "username_pushgateway": USER, "pass_pushgateway": PASSWORD,
            **changes})

    def arguments(self, port, **changes):
        return ("ping", "--push-config", self.push_config(port, **changes),
                "--configs", self.configs)

    def renamed(self, name, *arguments, **options):
        """A process of the program by another of its names."""
        old = os.environ["LUNEX"]
        os.environ["LUNEX"] = str(Path(program()).parent / name)
        try:
            return self.lunex(*arguments, **options)
        finally:
            os.environ["LUNEX"] = old


class DropIn(PingCase):
    def captured(self, gateway, *arguments):
        """The page of the gateway after a cycle of the captured devices."""
        (self.configs / "project.json").symlink_to(
            FIXTURES / "captured/project.json")
        self.renamed("PingExporter", "-push-config",
                     self.push_config(str(gateway.port)),
                     f"-configs={self.configs}/", *arguments)
        eventually(lambda: gateway.value("exporter_jobs",
                                         job="ExporterINFO_PROJECT"),
                   "a cycle is pushed")
        return gateway.page()

    def test_the_gateway_shows_what_it_showed_for_the_original(self):
        page = self.captured(Gateway(self, web_config=WEB_CONFIG))
        recorded = (FIXTURES / "gateway.prom").read_text()
        more = {SECOND} | {
            SECOND.replace("dev_ping", f"push_{kind}time_seconds")
            for kind in ("", "failure_")}
        self.assertEqual(outline(recorded) | more, outline(page))
        values, before = samples(page), samples(recorded)
        for name in ("Blackhole", "NoRoute", "BadName"):
            series = f'dev_ping{{instance="",job="{name}"}}'
            self.assertEqual(before[series], values[series])
        self.assertEqual(3000, values[SECOND])
        for name in ("Loop01", "Loop02", "site/with space", "MyDevice01"):
            series = f'dev_ping{{instance="",job="{name}"}}'
            self.assertTrue(0 < values[series] < 1000, series)
        for name, value in values.items():
            if name.startswith("push_failure_time_seconds"):
                self.assertEqual(0, value, name)

    def test_the_page_of_the_gateway_pleases_promtool(self):
        page = self.captured(Gateway(self), "--debug")
        result = subprocess.run(["promtool", "check", "metrics"], input=page,
                                capture_output=True, text=True, check=False)
        self.assertEqual((0, "", ""), (result.returncode, result.stdout,
                                       result.stderr))

    def test_with_debug_it_tells_each_ping(self):
        (self.configs / "a.json").write_text(json.dumps(
            {"conf": conf(), "jobs": [job(ip="127.0.0.5")]}))
        gateway = Gateway(self)
        lunex = self.lunex(*self.arguments(gateway.port), "--debug")
        lunex.wait_log(r"level=info msg=pinged .*target=127\.0\.0\.5")
        quiet = self.lunex(*self.arguments(gateway.port))
        quiet.page_with(lambda p: p.get('ping_pushes_total{result="ok"}'),
                        "a push")
        self.assertNotIn("pinged", quiet.log)

    def test_two_jobs_of_one_name_are_told_once_and_kept(self):
        for name in ("a", "b"):
            (self.configs / f"{name}.json").write_text(json.dumps(
                {"conf": conf(prom_id=name * 3),
                 "jobs": [job("same", f"127.0.0.{ord(name)}"), job(name)]}))
        gateway = Gateway(self)
        lunex = self.lunex(*self.arguments(gateway.port))
        for labels in ({"job": "same"}, {"job": "a"}, {"job": "b"},
                       {"job": "same", "instance": "127.0.0.98"}):
            eventually(lambda: gateway.value("dev_ping", **labels), labels)
        lunex.page_with(
            lambda p: p.get('ping_pushes_total{result="ok"}', 0) > 20,
            "some cycles")
        self.assertEqual(1, lunex.log.count("two jobs have one name"))
        lunex.wait_said("instance=127.0.0.98 job=same")

    def test_an_unknown_metric_is_told_once_and_skipped(self):
        (self.configs / "a.json").write_text(json.dumps(
            {"conf": conf(), "jobs": [
                job("a", metrics=["smoke"]), job("b", metrics=["smoke"]),
                job("c", metrics=["smoke", "ping"])]}))
        gateway = Gateway(self)
        lunex = self.lunex(*self.arguments(gateway.port))
        eventually(lambda: gateway.value("exporter_jobs", job="group"),
                   "a cycle")
        self.assertIsNotNone(gateway.value("dev_ping", job="c"))
        self.assertIsNone(gateway.value("dev_ping", job="a"))
        self.assertEqual(1, lunex.log.count("metric=smoke"))

    def test_a_cycle_that_does_not_fit_is_told(self):
        (self.configs / "a.json").write_text(json.dumps(
            {"conf": conf(interval=0.0001), "jobs": [job()]}))
        lunex = self.lunex(*self.arguments(Gateway(self).port))
        lunex.wait_log("level=warn msg=\"a cycle does not fit its interval\" "
                       "exporter=ping prom_id=group seconds=0")

    def test_a_minus_value_and_other_units_are_pushed_as_they_are(self):
        (self.configs / "a.json").write_text(json.dumps(
            {"conf": conf(value_dev_down=-1.5),
             "jobs": [job("down", "198.51.100.77")]}))
        gateway = Gateway(self)
        self.lunex(*self.arguments(gateway.port))
        eventually(lambda: gateway.value("dev_ping", job="down") == -1.5,
                   "the device is down")


class Troubles(PingCase):
    def setUp(self):
        super().setUp()
        for name in ("one", "two"):  # checking a password takes the gateway time
            (self.configs / f"{name}.json").write_text(json.dumps(
                {"conf": conf(prom_id=name, interval=0.5),
                 "jobs": [job(f"{name}_{i}") for i in range(5)]}))

    def cycles(self, lunex, result, more=30):
        """Waits until so many pushes more had that result."""
        name = f'ping_pushes_total{{result="{result}"}}'
        before = lunex.samples().get(name, 0)
        lunex.page_with(lambda p: p.get(name, 0) >= before + more,
                        f"{more} pushes: {result}")

    @timely
    def test_a_wrong_password_is_told_once(self):
        gateway = Gateway(self, web_config=WEB_CONFIG)
        lunex = self.lunex(*self.arguments(gateway.port,
                                           pass_pushgateway="wr0ng-secret"))
        self.cycles(lunex, "refused")
        self.assertEqual(1, lunex.log.count(FAILS), lunex.log)
        lunex.wait_log(FAILS + r'.*/metrics/job/\w+: '
                       "401 Unauthorized")
        self.assertNotIn("wr0ng", lunex.log + lunex.get().text)
        self.assertEqual([], gateway.groups())
        page = lunex.samples()
        self.assertEqual(0, page['ping_loss_ratio{target="127.0.0.1",'
                                 'ip="127.0.0.1",ip_version="4"}'])

    @timely
    def test_a_gateway_that_goes_and_comes_is_told_each_time(self):
        gateway = Gateway(self)
        lunex = self.lunex(*self.arguments(gateway.port))
        self.cycles(lunex, "ok", 1)
        for times in (1, 2):
            gateway.kill()
            self.cycles(lunex, "unanswered")
            self.assertEqual(times, lunex.log.count(FAILS), lunex.log)
            gateway.start()
            self.cycles(lunex, "ok")
            self.assertEqual(times, lunex.log.count(WORKS), lunex.log)
        self.assertEqual(times, lunex.log.count(FAILS), lunex.log)
        self.assertEqual(12, len(gateway.groups()))

    @timely
    def test_another_trouble_is_told_as_such(self):
        gateway = Gateway(self, web_config=WEB_CONFIG)
        lunex = self.lunex(*self.arguments(gateway.port,
                                           username_pushgateway="nobody"))
        self.cycles(lunex, "refused", 1)
        gateway.kill()
        self.cycles(lunex, "unanswered")
        self.assertEqual(2, lunex.log.count(FAILS), lunex.log)
        lunex.wait_log(FAILS + r".*/metrics/job/\w+: "
                       "(the )?connection (was closed|refused)")


class Mistakes(PingCase):
    def told(self, *sentences, push=None):
        """What is written when the files have these mistakes, all of them."""
        path = self.write("push.json", push) if push is not None else \
            self.push_config(9091)
        lunex = self.ended("ping", "--push-config", path,
                           "--configs", self.configs)
        self.assertEqual(1, lunex.wait())
        told = [re.search(r'level=error msg="(.*)" exporter=ping', line)
                for line in lunex.lines]
        self.assertEqual(sorted(sentences),
                         sorted(match[1] for match in told if match))
        self.assertIn("the JSON files have mistakes", lunex.lines[-1])
        self.assertNotIn(PASSWORD, lunex.log)

    def config(self, name, content):
        path = self.configs / name
        path.write_text(content if isinstance(content, str)
                        else json.dumps(content))
        return path

    def test_the_file_about_the_gateway(self):
        self.config("a.json", {"conf": conf(), "jobs": []})
        path = self.folder / "push.json"
        good = {"ip_pushgateway": "127.0.0.1", "port_pushgateway": 9091,
                "username_pushgateway": "u", "pass_pushgateway": PASSWORD}
        self.told(f"{path}: JSON: Expected value but found invalid token in "
                  "line 1, column 1", push="no")
        self.told(f"{path}: missing key 'pass_pushgateway'",
                  f"{path}: unknown key 'password'",
                  push={**{k: v for k, v in good.items() if "pass" not in k},
                        "password": PASSWORD})
        self.told(f"{path}: port_pushgateway: expected a port, 1 to 65535, "
                  "got a string",
                  push={**good, "port_pushgateway": "http"})
        self.told(f"{path}: pass_pushgateway: expected a string, got a number",
                  push={**good, "pass_pushgateway": 5})

    def test_the_files_of_devices_all_at_once(self):
        first = self.config("1.json", {"conf": conf(interval=0), "jobs": {"a": 1}})
        second = self.config("2.json", '{"conf": ')
        third = self.config("3.json", {
            "conf": {"prom_id": "", "interval": "55", "timeout": 3, "x": 1},
            "jobs": [job(), job(ip=None), {"job": "b", "ip": "::1"},
                     job(metrics="ping"), job(more=True), 5]})
        fourth = self.config("4.json", [])
        fifth = self.config("5.json", {"conf": conf(), "jobs": [job("")]})
        self.config(".hidden", "not read")
        (self.configs / "folder").mkdir()
        self.told(
            f"{first}: conf.interval: expected a number above 0",
            f"{first}: jobs: expected a list, got an object",
            f"{second}: JSON: Expected value but found the end in "
            "line 1, column 10",
            f"{third}: conf.interval: expected a number above 0, got a string",
            f"{third}: conf.prom_id: expected a string, not empty, "
            "without zero bytes",
            f"{third}: missing key 'conf.value_dev_down'",
            f"{third}: unknown key 'conf.x'",
            f"{third}: jobs.2.ip: expected a string, not empty, without zero "
            "bytes, got null",
            f"{third}: missing key 'jobs.3.metrics'",
            f"{third}: jobs.4.metrics: expected a list, got a string",
            f"{third}: unknown key 'jobs.5.more'",
            f"{third}: jobs.6: expected an object, got a number",
            f"{fourth}: missing key 'conf'",
            f"{fourth}: missing key 'jobs'",
            f"{fifth}: jobs.1.job: expected a string, not empty, "
            "without zero bytes")

    def test_what_is_not_there(self):
        self.told(f"{self.configs} has no files")
        self.configs.rmdir()
        self.told(f"cannot read {self.configs}: No such file or directory")
        lunex = self.ended("ping", "--configs", self.configs)
        self.assertEqual(1, lunex.wait())
        lunex.wait_said("--push-config and --configs go together")

    def test_they_do_not_stop_other_exporters(self):
        self.config("a.json", {"conf": conf(), "jobs": 5})
        path = self.write("lunex.lua", """return { exporters = {
          { "ping", name = "pushing", config = { push_config = "%s",
            configs = "%s" } },
          { "ping", config = { targets = { "127.0.0.1" } } } } }""" % (
              self.push_config(9091), self.configs))
        lunex = self.lunex("--config", path)
        lunex.page_with(lambda p: p.get("ping_up") == 1, "the other one is up")
        lunex.wait_said("a.json: jobs: expected a list, got a number")


class Pull(PingCase):
    def test_targets_are_arguments_flags_or_a_variable(self):
        series = 'ping_loss_ratio{target="%s",ip="%s",ip_version="4"}'
        for arguments, variables in (
                (("127.0.0.1", "127.0.0.2"), {}),
                (("-targets", "127.0.0.1", "--targets=127.0.0.2"), {}),
                ((), {"PING_TARGETS": "127.0.0.1, 127.0.0.2"})):
            with self.subTest(arguments=arguments):
                lunex = self.lunex("ping", *arguments, "--interval=0.5",
                                   env=variables)
                page = lunex.page_with(lambda p: "ping_up" in p, "it collects")
                for ip in ("127.0.0.1", "127.0.0.2"):
                    self.assertEqual(0, page[series % (ip, ip)])

    def test_a_scrape_never_waits_for_pings(self):
        lunex = self.lunex("ping", "127.0.0.1", "--count=25", "--interval=6",
                           "--timeout=20")
        page = lunex.samples()  # the first waits, for there is nothing yet
        self.assertGreater(page['ping_scrape_duration_seconds'
                                '{part="collect"}'], 4)
        lunex.page_with(lambda p: p.get(
            'ping_echoes_total{target="127.0.0.1",ip="127.0.0.1",'
            'ip_version="4"}', 0) > 25, "the second collection is over")

    def test_an_unknown_name_is_told_once(self):
        lunex = self.lunex("ping", "no.such.host.invalid", "--interval=0.1")
        lunex.page_with(lambda p: p.get("ping_up") == 1, "it collects")
        first = lunex.samples()["ping_last_success_timestamp_seconds"]
        lunex.page_with(
            lambda p: p["ping_last_success_timestamp_seconds"] > first + 0.5,
            "it collects again")
        self.assertEqual(1, lunex.log.count('msg="no ping"'))
        lunex.wait_said("no.such.host.invalid: no such name")

    def test_the_page_pleases_promtool(self):
        lunex = self.lunex("ping", "127.0.0.1", "::1", "198.51.100.77",
                           "--wait=0.3")
        lines = "".join(line + "\n" for line in lunex.get().text.splitlines()
                        if "ping_" in line)
        result = subprocess.run(["promtool", "check", "metrics"], input=lines,
                                capture_output=True, text=True, check=False)
        self.assertEqual((0, "", ""), (result.returncode, result.stdout,
                                       result.stderr))

    def test_the_port_is_that_of_other_ping_exporters(self):
        for name in ("ping", "ping-exporter", "PingExporter"):
            result = subprocess.run([program(), "help", name],
                                    capture_output=True, text=True, check=True)
            self.assertIn("(default: :9427)", result.stdout.replace(
                "\n" + " " * 30, " "))

    def test_the_systems_ping_stays_what_it_is(self):
        folder = Path(program()).parent
        self.assertFalse((folder / "ping").exists())
        self.assertTrue((folder / "ping-exporter").is_symlink())


if __name__ == "__main__":
    unittest.main()
