# SPDX-License-Identifier: Apache-2.0
"""What a user copies first must run."""

import socket
import subprocess

from spec.e2e.lunex import TOP, Case, Demo, free_port, program


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


class Meter(Case):
    def test_the_simulated_meter_answers_anything(self):
        port = free_port(socket.SOCK_DGRAM)
        lunex = self.lunex("examples/demo/meter.lua", f"--port={port}")
        lunex.page_with(lambda p: 'meter_current_ampere{channel="1"}' in p,
                        "it measures")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(20)
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
            s.settimeout(20)
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
                self.assertIn(says, demo.log)
                self.assertNotIn("Ctrl-C", demo.log)
