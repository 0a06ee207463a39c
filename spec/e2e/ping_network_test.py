# SPDX-License-Identifier: Apache-2.0
"""The ping exporter in networks that the test makes."""

import http.client
import json
import re
import subprocess

from spec.e2e.lunex import Answer, eventually
from spec.e2e.places import (DELAY, NOISE, THERE, THERE6, Naming, Routed,
                             Version6, Wired)
from spec.e2e.timely import timely

DOWN = 4321  # value_dev_down


def series(name, target, ip=None):
    """As on the page. An IP of "" stands for a name that has none."""
    ip = target if ip is None else ip
    version = "6" if ":" in ip else "4" if ip else ""
    return f'{name}{{target="{target}",ip="{ip}",ip_version="{version}"}}'


def loss(target, ip=None):
    return series("ping_loss_ratio", target, ip)


def best(target, ip=None):
    return series("ping_rtt_best_seconds", target, ip)


class Pinging:
    """Help for tests of the exporter; a page has all targets at once."""

    def ping(self, *arguments, **options):
        return self.start("ping", "--wait=0.5", *arguments, **options)

    def page(self, lunex, *targets):
        return lunex.page_with(
            lambda page: all(loss(target) in page for target in targets),
            "all targets were pinged")

    def assertDown(self, page, target, ip=None):
        self.assertEqual(1, page[loss(target, ip)])
        self.assertNotIn(best(target, ip), page)


class Pull(Pinging, Wired):
    @timely
    def test_delay(self):
        def plan(packet):
            yield DELAY if packet.request else 0, packet

        self.wire.plan = plan
        page = self.page(self.ping(THERE, THERE6), THERE, THERE6)
        for address in (THERE, THERE6):
            values = [page[series(f"ping_rtt_{name}_seconds", address)]
                      for name in ("best", "mean", "worst")]
            self.assertWithin(DELAY, DELAY + 0.003, values[0])
            self.assertEqual(sorted(values), values)
            self.assertLess(values[2], DELAY + NOISE)
            self.assertEqual(0, page[loss(address)])
            self.assertEqual(5, page[series("ping_rtt_seconds_count",
                                            address)])
        self.assertEqual(1, page["ping_up"])

    @timely
    def test_loss(self):
        def plan(packet):
            if not packet.request or packet.number % 10 != 3:
                yield 0, packet

        self.wire.plan = plan
        page = self.page(self.ping(THERE, THERE6, "--count=10"), THERE, THERE6)
        for address in (THERE, THERE6):
            self.assertAlmostEqual(0.1, page[loss(address)], 12)
            self.assertEqual(9, page[series("ping_rtt_seconds_count",
                                            address)])
            self.assertEqual(10, page[series("ping_echoes_total", address)])

    @timely
    def test_late_and_double_answers(self):
        def plan(packet):
            late = packet.request and packet.number == 0
            yield 0.7 if late else 0, packet
            if packet.request and packet.number == 1:
                yield 0.01, packet

        self.wire.plan = plan
        page = self.page(self.ping(THERE), THERE)
        self.assertAlmostEqual(0.2, page[loss(THERE)], 12)
        self.assertEqual(1, page[series("ping_late_total", THERE)])
        self.assertEqual(1, page[series("ping_duplicates_total", THERE)])
        self.assertLess(page[series("ping_rtt_worst_seconds", THERE)], 0.5)

    def test_a_host_that_goes_and_comes_back(self):
        lunex = self.ping(THERE, "--count=1", "--wait=0.2", "--interval=0.3")
        up = (lambda page: page.get(loss(THERE)) == 0)
        down = (lambda page: page.get(loss(THERE)) == 1)
        lunex.page_with(up, "it is up")
        plan, self.wire.plan = self.wire.plan, lambda packet: ()
        self.assertDown(lunex.page_with(down, "it is down"), THERE)
        self.wire.plan = plan
        self.assertIn(best(THERE), lunex.page_with(up, "it is up again"))

    @timely
    def test_a_probe(self):
        def plan(packet):
            yield DELAY if packet.request else 0, packet

        self.wire.plan = plan
        lunex = self.ping()
        for address, version in ((THERE, 4), (THERE6, 6)):
            rtts = []
            for _ in range(5):
                page = lunex.samples(f"/probe?target={address}")
                self.assertEqual(1, page["probe_success"])
                rtts.append(page['probe_icmp_duration_seconds{phase="rtt"}'])
            self.assertWithin(DELAY, DELAY + 0.003, min(rtts))
            self.assertEqual(version, page["probe_ip_protocol"])
            self.assertEqual(64, page["probe_icmp_reply_hop_limit"])
            self.assertLess(DELAY, page["probe_duration_seconds"])
        self.wire.plan = lambda packet: ()
        page = lunex.samples(f"/probe?target={THERE}")
        self.assertEqual(0, page["probe_success"])


class Names(Pinging, Naming):
    def test_a_name_that_moves(self):
        names = self.names
        names["moves.test"] = last = THERE
        lunex = self.ping("moves.test", "--count=1", "--interval=0.3")
        for address in (THERE, "10.0.2.2", THERE6):
            names["moves.test"] = address
            page = lunex.page_with(
                lambda page: page.get(loss("moves.test", address)) == 0,
                f"it is at {address}")
            if last != address:
                self.assertNotIn(loss("moves.test", last), page)
            last = address
        del names["moves.test"]
        lunex.page_with(lambda page: page.get(loss("moves.test", last)) == 1,
                        "it is lost where it was")
        lunex.wait_log("moves.test: no such name")
        self.assertEqual(1, lunex.log.count("no ping"), lunex.log)

    def test_a_name_that_goes_is_told_each_time(self):
        self.names["goes.test"] = THERE
        lunex = self.ping("goes.test", "--count=1", "--interval=0.3")
        for times in (1, 2):
            lunex.page_with(lambda page: page.get(
                loss("goes.test", THERE)) == 0, "it is there")
            del self.names["goes.test"]
            lunex.page_with(lambda page: page.get(
                loss("goes.test", THERE)) == 1, "nobody knows it")
            self.assertEqual(times, lunex.log.count("no ping"), lunex.log)
            self.names["goes.test"] = THERE
        count = series("ping_rtt_seconds_count", "goes.test", THERE)
        lunex.page_with(lambda page: page[count] > 2, "it goes on counting")


class OnlyVersion6(Pinging, Version6):
    def test_a_name_of_both_families(self):
        lunex = self.ping("both.test", THERE6, THERE, "--count=1")
        page = self.page(lunex, THERE6)
        self.assertEqual(0, page[loss("both.test", THERE6)])
        self.assertEqual(0, page[loss(THERE6)])
        self.assertDown(page, THERE)


class Paths(Pinging):
    """Three hops, and what is beyond them."""

    def test_up_and_down(self):
        self.middle.ip("route add prohibit 10.7.2.0/24")
        up = "10.0.1.2", "10.0.3.2", "fd03::2"
        down = {"10.9.9.9": "network unreachable, says 10.0.1.2",
                "10.7.2.1": "prohibited by a filter, says 10.0.2.2",
                "10.0.3.9": "host unreachable, says 10.0.2.2",
                "fd09::9": "no route, says fd01::2",
                "fd03::9": "address unreachable, says fd02::2"}
        lunex = self.ping(*up, *down, "--count=1", "--debug", "--wait=2")
        page = self.page(lunex, *up, *down)
        for address in up:
            self.assertEqual(0, page[loss(address)])
            self.assertWithin(0, 1, page[best(address)])
        for address, why in down.items():
            self.assertDown(page, address)
            lunex.wait_log(f"{re.escape(address)}: {why}")
        self.assertEqual(1, page["ping_up"])


class RawPaths(Paths, Routed):
    kind = "raw"


class DatagramPaths(Paths, Routed):
    kind = "datagram"


class Sockets(Pinging, Wired):
    def test_neither_kind_is_allowed_and_then_one_is(self):
        lunex = self.ping(THERE, "--count=1", "--interval=0.2", kind="none")
        lunex.page_with(lambda page: page.get("ping_up") == 0, "it is down")
        lunex.wait_log(r"net\.ipv4\.ping_group_range.*cap_net_raw")
        self.here.settings(("net.ipv4.ping_group_range", "0 2147483647"))
        page = lunex.page_with(lambda page: page["ping_up"] == 1, "it is up")
        self.assertEqual(0, page[loss(THERE)])


class Push(Pinging):
    """To a Pushgateway at the far end, as PingExporter does."""

    def setUp(self):
        super().setUp()
        self.run_gateway()
        (self.folder / "push.json").write_text(json.dumps({
            "ip_pushgateway": THERE, "port_pushgateway": 9091,
            "username_pushgateway": "u", "pass_pushgateway": "p"}))
        configs = self.folder / "configs"
        configs.mkdir()
        configs.chmod(0o755)
        (configs / "a.json").write_text(json.dumps({
            "conf": {"prom_id": "loop", "interval": 1, "timeout": 0.3,
                     "value_dev_down": DOWN},
            "jobs": [{"job": "up", "ip": THERE, "metrics": ["ping"]},
                     {"job": "lost", "ip": "10.0.2.9", "metrics": ["ping"]}]}))

    def run_gateway(self):
        gateway = subprocess.Popen(
            [*self.there.prefix, "prometheus-pushgateway",
             f"--web.listen-address={THERE}:9091"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(gateway.wait)
        self.addCleanup(gateway.kill)

    def gateway(self):
        """The samples of its page; none while it starts."""
        connection = http.client.HTTPConnection(THERE, 9091, timeout=5)
        try:
            with self.there.entered():
                connection.connect()
            connection.request("GET", "/metrics")
            return Answer(connection.getresponse()).samples
        except ConnectionRefusedError:
            return {}
        finally:
            connection.close()

    def value(self, name, job):
        return self.gateway().get(f'{name}{{instance="",job="{job}"}}')

    def start_push(self, *arguments, **options):
        eventually(self.gateway, "the gateway has started")
        return self.start("ping", f"--push-config={self.folder}/push.json",
                          f"--configs={self.folder}/configs", *arguments,
                          **options)

    def test_values_in_milliseconds(self):
        def plan(packet):
            yield DELAY if packet.request else 0, packet

        self.wire.plan = plan
        self.start_push()
        eventually(lambda: self.value("dev_ping", "lost") == DOWN,
                   "the value of a device that is down")
        eventually(lambda: 20 <= self.value("dev_ping", "up") < 23,
                   "a round trip of 20 ms")
        eventually(lambda: self.value("exporter_jobs", "loop") == 2,
                   "both jobs are counted")


class DeniedPush(Push, Wired):
    kind = "none"

    def test_values_in_milliseconds(self):
        """There are none."""
        lunex = self.start_push("--interval=0.2")
        lunex.page_with(lambda page: page.get("ping_up") == 0, "it is down")
        lunex.wait_log(r"net\.ipv4\.ping_group_range.*cap_net_raw")
        self.assertIsNone(self.value("dev_ping", "up"))
        self.here.settings(("net.ipv4.ping_group_range", "0 2147483647"))
        eventually(lambda: self.value("dev_ping", "up"), "now there are some")
        lunex.page_with(lambda page: page.get("ping_up") == 1, "it is up")


class RawPush(Push, Wired):
    kind = "raw"

    def test_a_gateway_that_goes_and_comes_back(self):
        lunex = self.start_push()
        eventually(lambda: self.value("dev_ping", "up"), "the first push")
        plan, self.wire.plan = self.wire.plan, self.only_echoes
        lunex.wait_log("pushing fails, and is tried again")
        failed = 'ping_pushes_total{result="unanswered"}'
        lunex.page_with(lambda page: page.get(failed, 0) > 5, "more fail")
        self.assertEqual(1, lunex.log.count("pushing fails"), lunex.log)
        before = self.value("push_time_seconds", "up")
        self.wire.plan = plan
        lunex.wait_log("pushing works again")
        eventually(lambda: self.value("push_time_seconds", "up") > before,
                   "it is pushed again")

    def test_a_timeout_beyond_the_interval_is_heeded_and_told(self):
        path = self.folder / "configs/a.json"
        path.write_text(path.read_text().replace('"timeout": 0.3',
                                                 '"timeout": 1.5'))
        lunex = self.start_push()
        match = lunex.wait_log('"a cycle does not fit its interval" '
                               "exporter=ping prom_id=loop seconds=([0-9.]+)")
        self.assertWithin(1.5, 1.5 + 5, float(match[1]))

    @staticmethod
    def only_echoes(packet):
        if packet.request or packet.reply:
            yield 0, packet


class DatagramPush(Push, Wired):
    kind = "datagram"


class FarPush(Push, Wired):
    """The TTL of the original's echoes was 2: it took this for down."""

    hops = "10.9.0.1", "10.9.0.2", "10.9.0.3"

    def test_three_hops(self):
        self.start_push()
        eventually(lambda: self.value("dev_ping", "lost") == DOWN,
                   "the value of a device that is down")
        eventually(lambda: 0 < self.value("dev_ping", "up") < 1000 * NOISE,
                   "a round trip")
