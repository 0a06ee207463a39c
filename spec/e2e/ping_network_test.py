# SPDX-License-Identifier: Apache-2.0
"""The ping exporter in networks that the test makes: what its metrics say of
delay, loss, hops, silence and names that move."""

import json
import re
import unittest

from spec.e2e.lunex import TOP
from spec.e2e.names import Names
from spec.e2e.network_test import DELAY, THERE, THERE6, Wired, delayed

MOVED = "10.0.2.2"
GATEWAY = TOP / "spec/fixtures/ping/gateway.lua"


def of(name, target, ip, version="4"):
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
            self.assertWithin(0, NOISE, page[best(address)])
        for address, why in down.items():
            self.assertDown(page, address)
            lunex.wait_log(f"{re.escape(address)}: {why}")
        self.assertEqual(1, page["ping_up"])


class RawPaths(Paths, Routed):
    kind = "raw"


class DatagramPaths(Paths, Routed):
    kind = "datagram"

    def ping(self, *arguments, **options):
        self.ping_process = self.start("ping", *arguments, **options)
        return self.ping_process

    def counted(self, *counters, more=1):
        """The page once these counters have risen by that much."""
        before = self.ping_process.samples()
        return self.ping_process.page_with(
            lambda page: all(page.get(c, 0) >= before.get(c, 0) + more
                             for c in counters), "more echoes")


class Pull(PingExporter):
    def test_delay(self):
        self.wire.plan = delayed
        page = self.ping(THERE, THERE6).samples()
        for ip, version in ((THERE, "4"), (THERE6, "6")):
            def at(name):
                return page[of(name, ip, ip, version)]
            best, mean = at("ping_rtt_best_seconds"), at("ping_rtt_mean_seconds")
            self.assertWithin(DELAY, DELAY + 0.01, best)
            self.assertWithin(best, DELAY + 0.1, mean)
            self.assertLessEqual(mean, at("ping_rtt_worst_seconds"))
            self.assertEqual(0, at("ping_loss_ratio"))
            at_most = {
                float(bound): count for bound, count in
                ((re.search(r'le="([^"]+)"', name)[1], count)
                 for name, count in page.items()
                 if name.startswith(f'ping_rtt_seconds_bucket{{target="{ip}"'))}
            self.assertEqual(0, at_most[0.01])
            self.assertEqual(5, at_most[float("inf")])

    def test_loss_is_loss(self):
        def lossy(packet):
            if packet.request and packet.number % 10 == 3:
                return
            yield 0, packet
        self.wire.plan = lossy
        page = self.ping(THERE, "--count=20", "--wait=0.5").samples()
        self.assertAlmostEqual(0.1, page[of("ping_loss_ratio", THERE, THERE)])
        self.assertEqual(20, page[of("ping_echoes_total", THERE, THERE)])
        self.assertEqual(18, page[of("ping_rtt_seconds_count", THERE, THERE)])
        self.assertLess(page[of("ping_rtt_worst_seconds", THERE, THERE)], 0.5)

    def test_what_was_answered_is_not_shown_when_nothing_is(self):
        lunex = self.ping(THERE, "--interval=0.3", "--wait=0.1", "--count=1")
        mean = of("ping_rtt_mean_seconds", THERE, THERE)
        lunex.page_with(lambda p: mean in p, "it answers")
        self.wire.plan = lambda packet: ()
        page = lunex.page_with(lambda p: mean not in p, "it is silent")
        self.assertEqual(1, page[of("ping_loss_ratio", THERE, THERE)])
        self.assertGreater(page[of("ping_rtt_seconds_count", THERE, THERE)], 0)

    def test_late_and_second_answers(self):
        def late(packet):
            yield 0, packet
            if packet.request:
                yield 0.05, packet
        self.wire.plan = late
        lunex = self.ping(THERE, "--interval=0.5", "--count=5")
        lunex.page_with(
            lambda p: p.get(of("ping_duplicates_total", THERE, THERE), 0) >= 3,
            "second answers")
        self.wire.plan = lambda packet: [(0.15, packet)]
        lunex = self.ping(THERE, "--interval=1", "--count=4", "--wait=0.1")
        page = lunex.page_with(
            lambda p: p.get(of("ping_late_total", THERE, THERE), 0) >= 2,
            "late answers")
        self.assertEqual(1, page[of("ping_loss_ratio", THERE, THERE)])

    def test_a_name_that_moves_is_followed(self):
        names, name = Names(self.network, self.here), "moves.test"
        names[name] = THERE
        self.there.ip(f"address add {MOVED}/24 dev there0")
        lunex = self.ping(name, "--interval=0.2", "--count=1")
        before = THERE
        lunex.page_with(lambda p: of("ping_loss_ratio", name, THERE) in p,
                        "it is there")
        for ip, version in ((MOVED, "4"), (THERE6, "6"), (THERE, "4")):
            names[name] = ip
            page = lunex.page_with(
                lambda p: of("ping_loss_ratio", name, ip, version) in p,
                f"it is at {ip}")
            self.assertEqual([], [n for n in page if f'ip="{before}"' in n])
            before = ip
        self.assertNotIn("no ping", lunex.log)

    def test_a_name_that_is_gone_is_lost_where_it_was(self):
        names, name = Names(self.network, self.here), "goes.test"
        names[name] = THERE
        lunex = self.ping(name, "--interval=0.2", "--count=1")
        loss = of("ping_loss_ratio", name, THERE)
        lunex.page_with(lambda p: p.get(loss) == 0, "it is there")
        for times in (1, 2):
            del names[name]
            lunex.page_with(lambda p: p.get(loss) == 1, "nobody knows it")
            self.assertEqual(times, lunex.log.count("no ping"), lunex.log)
            names[name] = THERE
            lunex.page_with(lambda p: p.get(loss) == 0, "it is there again")
        count = of("ping_rtt_seconds_count", name, THERE)
        self.assertGreater(lunex.samples()[count], 1)

    def test_who_may_not_ping_is_down_and_told_how(self):
        lunex = self.ping(THERE, "--interval=0.2", kind="none")
        page = lunex.page_with(lambda p: "ping_up" in p, "it tried")
        self.assertEqual(0, page["ping_up"])
        self.assertRegex(lunex.log, "ping_group_range.*cap_net_raw")
        self.here.settings(("net.ipv4.ping_group_range", "0 2147483647"))
        lunex.page_with(lambda p: p["ping_up"] == 1, "it may")


class Push(PingExporter):
    # More hops than the original's echoes had TTL for: it took that for down.
    hops = ("10.9.0.1", "10.9.0.2", "10.9.0.3")

    def setUp(self):
        super().setUp()
        self.gateway = self.start(GATEWAY)
        self.push_config = self.write("push.json", {
            "ip_pushgateway": "127.0.0.1", "port_pushgateway": self.gateway.port,
            "username_pushgateway": "u", "pass_pushgateway": "p"})

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    def push(self, **conf):
        self.write("configs/a.json", {
            "conf": {"prom_id": "all", "interval": 0.5, "timeout": 0.2,
                     "value_dev_down": 3000, **conf},
            "jobs": [{"job": "far", "ip": THERE, "metrics": ["ping"]},
                     {"job": "six", "ip": THERE6, "metrics": ["ping"]}]})
        return self.start("ping", "--push-config", self.push_config,
                          "--configs", self.folder / "configs")

    def milliseconds(self, condition):
        """What was pushed for the far device, once CONDITION holds for it."""
        found = []

        def look():
            answer = json.loads(self.gateway.get("/stand-in/seen").text)
            for request in answer["list"] or []:
                if request["path"] == "/metrics/job/far":
                    found[:] = [float(request["body"].split()[-1])]
            return found and condition(found[0])

        self.gateway.page_with(lambda _: look(), "such a push")
        return found[0]

    def test_three_hops_are_not_down(self):
        self.wire.plan = delayed
        self.push()
        self.assertWithin(1000 * DELAY, 200, self.milliseconds(lambda ms: True))

    def test_silence_is_the_value_for_it_and_ends(self):
        lunex = self.push()
        self.milliseconds(lambda ms: ms < 200)
        self.wire.plan = lambda packet: ()
        self.milliseconds(lambda ms: ms == 3000)
        self.wire.plan = delayed
        self.milliseconds(lambda ms: ms < 200)
        self.assertNotIn("does not fit", lunex.log)

    def test_the_timeout_is_heeded_and_may_be_too_long(self):
        self.wire.plan = lambda packet: ()
        lunex = self.push(timeout=0.6)
        match = lunex.wait_log(
            '"a cycle does not fit its interval".*seconds=([0-9.]+)')
        self.assertWithin(0.6, 5, float(match[1]))


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
