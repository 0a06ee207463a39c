# SPDX-License-Identifier: Apache-2.0
"""What a user copies first must run."""

import socket
import subprocess

from spec.e2e.answers import Reset
from spec.e2e.lunex import DEADLINE, TOP, Case, Demo, free_port, program
from spec.e2e.upstream import Upstream


class Examples(Case):
    def test_hello(self):
        page = self.lunex("examples/hello.lua").samples()
        self.assertEqual(1, page["hello_up"])
        self.assertGreaterEqual(page["hello_running_seconds"], 0)

    def test_network(self):
        received = 'network_received_bytes_total{interface="%s"}'
        lunex = self.lunex("examples/network.lua")
        page = lunex.samples()
        self.assertEqual(1, page["network_up"])
        self.assertIn(received % "lo", page)
        self.assertIn('network_sent_bytes_total{interface="lo"}', page)

    def test_network_reads_the_first_and_the_ninth_number(self):
        table = self.folder / "dev"
        table.write_text(
            "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n"
            "    lo: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n"
            "enp0s3:9007199254740993 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n")
        lunex = self.lunex("examples/network.lua", "--file", table,
                           "--skip=lo")
        page = {n: v for n, v in lunex.samples().items()
                if n.startswith("network_") and "bytes" in n}
        self.assertEqual({
            'network_received_bytes_total{interface="enp0s3"}': 2.0 ** 53,
            'network_sent_bytes_total{interface="enp0s3"}': 7}, page)
        table.unlink()
        page = lunex.samples()
        self.assertEqual(0, page["network_up"])
        self.assertFalse([n for n in page if "bytes_total{interface" in n])

    def test_events(self):
        port = free_port(socket.SOCK_DGRAM)
        lunex = self.lunex("examples/events.lua", f"--port={port}")
        lunex.page_with(lambda p: "events_malformed_total" in p, "it listens")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for line in (b"checkout 0.25", b"checkout 0.75\n", b"nonsense",
                         b"", b"checkout 1.2.3", b"login 0.001"):
                s.sendto(line, ("127.0.0.1", port))
        page = lunex.page_with(
            lambda p: p.get('events_duration_seconds_count{event="login"}'),
            "the last line")
        self.assertEqual(
            (2, 1, 3),
            (page['events_duration_seconds_count{event="checkout"}'],
             page['events_duration_seconds_sum{event="checkout"}'],
             page["events_malformed_total"]))

    def test_ping_hosts(self):
        lunex = self.lunex("examples/ping_hosts.lua", "--host=127.0.0.1",
                           "--host=nobody.invalid")
        page = lunex.samples()
        self.assertEqual(
            (1, 0), (page['ping_hosts_answered{host="127.0.0.1"}'],
                     page['ping_hosts_answered{host="nobody.invalid"}']))
        self.assertGreater(page['ping_hosts_rtt_seconds{host="127.0.0.1"}'], 0)
        self.assertNotIn('ping_hosts_rtt_seconds{host="nobody.invalid"}', page)
        lunex.wait_log("ping nobody.invalid: ")

    def test_each_is_valid(self):
        for script in sorted(TOP.glob("examples/**/*.lua")):
            result = subprocess.run([program(), "check", script],
                                    capture_output=True, text=True, check=False)
            self.assertEqual((0, ""), (result.returncode, result.stderr))
            self.assertEqual(f"{script}: ok\n", result.stdout)


class Sensors(Case):
    """examples/sensor.lua, in front of a folder as Linux has one."""

    def device(self, n, **files):
        folder = self.folder / f"iio:device{n}"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        return folder

    def setUp(self):
        super().setUp()
        self.bme680 = self.device(
            0, name="bme680\n", in_temp_input="24736\n",
            in_humidityrelative_input="49406.2\n", in_pressure_input="98.325\n",
            in_resistance_input="1060948", in_temp_oversampling_ratio="2\n")
        self.si7021 = self.device(7, name="si7021", in_temp_input="-24333")
        self.exporter = self.lunex("examples/sensor.lua", "--devices",
                                   self.folder, "--room=lab")

    def shown(self, page=None):
        """What the sensors say, by (metric, sensor)."""
        page = page or self.exporter.samples()
        found = {}
        for name, value in page.items():
            family, _, labels = name.partition("{")
            family = family.replace("prom_express_", "")
            if family in ("temperature", "humidity", "pressure", "gas"):
                found[family, labels[8:-2]] = round(value, 9)
        return found

    def test_shows_what_there_is_and_no_more(self):
        everything = {("temperature", "bme680"): 24.736,
                      ("humidity", "bme680"): 49.4062,
                      ("pressure", "bme680"): 983.25,
                      ("gas", "bme680"): 1060948,
                      ("temperature", "si7021"): -24.333}
        self.assertEqual(everything, self.shown())
        page = self.exporter.samples()
        for sensor, values in (("bme680", 8), ("si7021", 2)):
            labels = '{sensor="%s"}' % sensor
            self.assertEqual(values, page[
                f"prom_express_reading_seconds_count{labels}"])
            self.assertEqual(0, page[f"prom_express_failures_total{labels}"])

    def test_counts_a_chip_that_does_not_answer_and_shows_the_others(self):
        (self.si7021 / "in_temp_input").write_text("")
        page = self.exporter.samples()
        self.assertEqual(
            1, page['prom_express_failures_total{sensor="si7021"}'])
        self.assertEqual({"bme680"}, {s for _, s in self.shown(page)})
        self.assertEqual(1, page["prom_express_up"])

    def test_forgets_a_chip_that_was_unplugged(self):
        self.assertIn(("temperature", "si7021"), self.shown())
        for file in self.si7021.iterdir():
            file.unlink()
        self.si7021.rmdir()
        self.assertEqual({"bme680"}, {s for _, s in self.shown()})

    def test_takes_the_label_of_a_chip_whatever_is_in_it(self):
        (self.si7021 / "label").write_text('"out\\side" \N{DEGREE SIGN}\n')
        self.assertIn(("temperature", '\\"out\\\\side\\" \N{DEGREE SIGN}'),
                      self.shown())

    def test_is_down_without_devices(self):
        lunex = self.lunex("examples/sensor.lua", "--devices=/nowhere")
        page = lunex.samples()
        self.assertEqual(0, page["prom_express_up"])
        lunex.wait_log("/nowhere: No such file or directory")

    def test_has_a_page_of_its_own_of_the_same_values(self):
        self.shown()
        for looks in (1, 2):
            page = self.exporter.get("/climate").samples
            self.assertEqual(
                {("temperature", "bme680"), ("temperature", "si7021"),
                 ("humidity", "bme680")}, set(self.shown(page)))
            self.assertEqual(looks, page['climate_looks_total{room="lab"}'])
        (self.bme680 / "in_temp_input").write_text("1000")
        self.shown()
        page = self.exporter.get("/climate").samples
        self.assertEqual(1, page['prom_express_temperature{sensor="bme680"}'])


class Application(Case):
    """examples/app.lua, and an application that says what the test wants."""

    STATUS = {"current_requests": 10, "pending_requests": 2,
              "total_uptime": 25.99274135, "health": "healthy"}
    OWN = {"app_requests_current": 10, "app_requests_pending": 2,
           "app_uptime": 25.99274135, 'app_health{app_health="healthy"}': 1,
           'app_health{app_health="unhealthy"}': 0}

    def setUp(self):
        super().setUp()
        self.app = Upstream()
        self.addCleanup(self.app.close)
        self.app.answer("GET", "/status", json=self.STATUS)

    def start(self, **env):
        return self.lunex("examples/app.lua", env={
            "APP_PORT": str(self.app.port), "POLLING_INTERVAL_SECONDS": "0.05",
            **env})

    def own(self, page):
        return {n: v for n, v in page.items() if n in self.OWN}

    def test_shows_what_the_application_says(self):
        page = self.start().page_with(lambda p: p.get("app_up"), "it is up")
        self.assertEqual(self.OWN, self.own(page))

    def test_polls_by_itself_and_shows_what_changed(self):
        lunex = self.start()
        lunex.page_with(lambda p: p.get("app_up"), "it is up")
        self.app.answer("GET", "/status", status=503, json={
            **self.STATUS, "current_requests": 0, "health": "unhealthy"})
        page = lunex.page_with(
            lambda p: p['app_health{app_health="unhealthy"}'], "it is ill")
        self.assertEqual((1, 0, 0), (
            page["app_up"], page["app_requests_current"],
            page['app_health{app_health="healthy"}']))

    def test_shows_nothing_old_while_the_application_is_down(self):
        lunex = self.start()
        lunex.page_with(lambda p: p.get("app_up"), "it is up")
        for says, breaks in (
                ("connection was reset", Reset()),
                ("expected JSON", "<html>"),
                ("no such health", {**self.STATUS, "health": "so so"}),
                ("app_requests_pending: expected a number",
                 {"current_requests": 1})):
            self.app.answer("GET", "/status", breaks)
            page = lunex.page_with(lambda p: p.get("app_up") == 0, "it is down")
            self.assertEqual({}, self.own(page))
            lunex.wait_log(says)
            self.app.answer("GET", "/status", self.STATUS)
            page = lunex.page_with(lambda p: p.get("app_up"), "it is up again")
            self.assertEqual(self.OWN, self.own(page))

    def test_waits_for_an_application_that_is_not_there(self):
        self.app.refuse()
        lunex = self.start()
        self.assertEqual({}, self.own(lunex.samples()))
        lunex.wait_log("connection refused")
        self.app.listen()
        page = lunex.page_with(lambda p: p.get("app_up"), "it is up")
        self.assertEqual(self.OWN, self.own(page))

    def test_listens_where_the_environment_says(self):
        port = free_port()
        lunex = self.lunex("examples/app.lua", listen=None, env={
            "APP_PORT": str(self.app.port), "EXPORTER_PORT": str(port)})
        lunex.wait_log(f"listening.*:{port}")


class Meter(Case):
    def test_the_simulated_meter_answers_anything(self):
        port = free_port(socket.SOCK_DGRAM)
        lunex = self.lunex("examples/demo/meter.lua", f"--port={port}")
        lunex.page_with(lambda p: 'meter_current_ampere{channel="1"}' in p,
                        "it measures")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(DEADLINE)
            for question in (b"DATA_REQUEST", b"", b"x" * 1500):
                s.sendto(question, ("127.0.0.1", port))
                self.assertEqual(b"\x08", s.recv(100)[:1])
        page = lunex.samples()
        self.assertEqual(3, page['meter_messages_total{protocol="answer"}'])

    def test_the_simulated_esp32_sends_a_channel_every_second(self):
        port = free_port(socket.SOCK_DGRAM)
        lunex = self.lunex("examples/demo/meter.lua",
                           f"--port={free_port(socket.SOCK_DGRAM)}",
                           f"--subscription-port={port}")
        lunex.page_with(lambda p: 'meter_current_ampere{channel="1"}' in p,
                        "it measures")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(DEADLINE)
            s.sendto(b"2\0", ("127.0.0.1", port))
            first, second = s.recv(100), s.recv(100)
        self.assertNotEqual(first, second)


class TheDemo(Case):
    def demo(self):
        demo = Demo()
        self.addCleanup(self.finish, demo)
        return demo

    def test_it_shows_four_exporters_until_it_is_interrupted(self):
        demo = self.demo()
        demo.wait_log(demo.ADDRESS)
        page = demo.page_with(
            lambda p: all(p.get(f"{name}_up") == 1
                          for name in ("powerexporter", "particle", "mirth",
                                       "ping")),
            "all of them are up")
        for name in ("powerexporter_current_ampere", "particle_device_online{",
                     "mirth_messages_received_total{"):
            self.assertTrue([n for n in page if n.startswith(name)], name)
        for ip, loss in (("127.0.0.1", 0), ("::1", 0), ("198.51.100.1", 1)):
            version = 6 if ":" in ip else 4
            self.assertEqual(loss, page[f'ping_loss_ratio{{target="{ip}",'
                                        f'ip="{ip}",ip_version="{version}"}}'])
        alone = demo.samples("/metrics?exporter=mirth")
        self.assertIn("mirth_up", alone)
        self.assertNotIn("particle_up", alone)
        self.assertEqual(200, demo.world().status)

    def test_it_says_which_port_is_taken(self):
        for kind, port, says in (
                (socket.SOCK_STREAM, 8000, ":8000: address already in use"),
                (socket.SOCK_STREAM, 8001, ":8001: address already in use"),
                (socket.SOCK_DGRAM, 5000, "another program has udp port 5000")):
            with socket.socket(socket.AF_INET, kind) as other:
                if kind == socket.SOCK_STREAM:  # former connections linger
                    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("127.0.0.1", port))
                if kind == socket.SOCK_STREAM:
                    other.listen()
                demo = Demo()
                self.addCleanup(demo.kill)
                self.assertEqual(1, demo.wait(), demo.log)
                demo.wait_said(says)
                self.assertNotIn("Ctrl-C", demo.log)
