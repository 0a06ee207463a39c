# SPDX-License-Identifier: Apache-2.0
"""The demo, and power exporters in front of a meter, as the tools of Prometheus
see them. PROMETHEUS_SECONDS says for how long the real server scrapes (20)."""

import os
import shutil
import subprocess
import time

from spec.e2e.lunex import Case, Demo, eventually, free_port
from spec.e2e.prometheus import Server
from spec.e2e.timely import timely

SECONDS = float(os.environ.get("PROMETHEUS_SECONDS", "20"))
CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
  - job_name: power
    static_configs: [ {{ targets: ["127.0.0.1:{gateway}"] }} ]
  - job_name: channels
    static_configs: [ {{ targets: ["127.0.0.1:{channels}"] }} ]
  - job_name: meter
    static_configs: [ {{ targets: ["127.0.0.1:{meter}"] }} ]
  - job_name: demo
    static_configs: [ {{ targets: ["127.0.0.1:8000"] }} ]
  - job_name: world
    static_configs: [ {{ targets: ["127.0.0.1:8001"] }} ]
"""


DEMO = ("powerexporter", "particle", "mirth")

# Names that another exporter has introduced.
ORIGINAL = {"device_system_memory_total"} | {
    f"particle_integration_{n}_count" for n in ("counters", "errors", "logs")}


def is_up(samples):
    return samples.get("powerexporter_up") == 1


def is_all_up(samples):
    return all(samples.get(f"{name}_up") == 1 for name in DEMO)


class Prometheus(Case):
    def setUp(self):
        super().setUp()
        self.assertTrue(shutil.which("promtool") and shutil.which("prometheus"),
                        "the Debian package 'prometheus' is not installed")
        port, subscription = (free_port(2), free_port(2))  # SOCK_DGRAM
        self.meter = self.lunex("examples/demo/meter.lua", f"--port={port}",
                                f"--subscription-port={subscription}")
        self.gateway = self.lunex("powerexporter", "127.0.0.1", port)
        self.channels = self.lunex(
            "powerexporter", f"--meter=127.0.0.1:{subscription}",
            "--channel=1", "--channel=2", "--channel=3")
        self.demo = Demo()
        self.addCleanup(self.finish, self.demo)
        self.demo.wait_log(self.demo.ADDRESS)
        self.gateway.page_with(is_up, "the gateway answers")
        self.channels.page_with(is_up, "three channels are heard")
        self.demo.page_with(is_all_up, "the demo shows everything")

    def pages(self):
        """The text of each page, after a first look at it: requests have been
        counted."""
        for get in (self.gateway.get, self.channels.get, self.meter.get,
                    self.demo.get, self.demo.world):
            get("/metrics")
            yield get("/metrics").text

    def test_promtool_has_nothing_to_say_about_the_pages(self):
        for page in self.pages():
            result = subprocess.run(
                ["promtool", "check", "metrics"], input=page, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            about = {line.split()[0] for line in result.stdout.splitlines()}
            self.assertLessEqual(about, ORIGINAL, result.stdout)
            self.assertEqual(3 if about else 0, result.returncode)

    def test_the_parser_of_the_python_client_reads_the_pages(self):
        from prometheus_client.parser import text_string_to_metric_families
        families = {}
        for page in self.pages():
            for family in text_string_to_metric_families(page):
                families[family.name] = family
                self.assertTrue(family.documentation, family.name)
                self.assertNotEqual("unknown", family.type, family.name)
        self.assertEqual(
            ("counter", "gauge", "histogram"),
            tuple(families[f"powerexporter_{n}"].type for n in (
                "power_consumption_ampere_seconds", "current_ampere",
                "round_trip_seconds")))

    def test_the_demo_shows_a_load_that_changes(self):
        first = self.gateway.samples()
        total = "powerexporter_power_consumption_ampere_seconds_total"
        page = self.gateway.page_with(
            lambda p: p.get(total, 0) > first[total], "the total rises")
        self.assertTrue(0.05 < page["powerexporter_current_ampere"] < 2)
        page = self.channels.samples()
        self.assertEqual(3, sum(n.startswith("powerexporter_current_ampere{")
                                for n in page))

    @timely
    def test_a_real_server_scrapes_them_without_a_complaint(self):
        server = Server(self, CONFIG.format(
            gateway=self.gateway.port, channels=self.channels.port,
            meter=self.meter.port))
        eventually(lambda: len(server.query("up == 1")) == 5,
                   "five targets are up")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            self.assertIsNone(server.process.poll(), server.log())
            for target in server.targets():
                self.assertEqual(("up", ""),
                                 (target["health"], target["lastError"]))
            time.sleep(0.5)
        window = f"[{int(SECONDS)}s]"
        self.assertEqual([1.0] * 5, server.query(f"min_over_time(up{window})"))
        scrapes = server.query(f"count_over_time(up{window})")
        self.assertGreaterEqual(min(scrapes), SECONDS * 0.8)
        total = "powerexporter_power_consumption_ampere_seconds_total"
        rates = server.query(f"rate({total}{window})")
        self.assertEqual(5, len(rates))  # two gateways and three channels
        self.assertTrue(all(0.001 < rate < 2 for rate in rates), rates)
        self.assertEqual([1.0] * 3, server.query("powerexporter_up"))
        for name in DEMO:
            ups = server.query(
                f'min_over_time({name}_up{{job="demo"}}{window})')
            self.assertEqual([1.0], ups, name)
        for word in ("level=error", "level=warn", "Append failed"):
            self.assertNotIn(word, server.log())
