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


class PingExporter(Wired):
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


if __name__ == "__main__":
    unittest.main()
