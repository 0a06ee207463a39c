# SPDX-License-Identifier: Apache-2.0
"""Echoes in networks that the test makes: delay, loss, routers, refusals,
answers that are late, double or false."""

import functools
import json
import socket
import threading

from spec.e2e.lunex import DEADLINE, eventually
from spec.e2e.names import Names
from spec.e2e.places import (DELAY, NOISE, ROUTERS, THERE, THERE6, Here,
                             Naming, Routed, Version6, Wired)
from spec.e2e.timely import timely
from spec.e2e.wire import Packet

ECHO = """
  local icmp, json = require "icmp", require "json"
  return {
    name = "echo", metrics = {}, timeout = 30,
    collect = function() end,
    routes = {
      ["POST /icmp/:call"] = function(request)
        local given = json.decode(request.body)
        local result, message, reason =
          icmp[request.params.call](given.host, given.options)
        if request.params.call == "sweep" then -- failures, as a list
          for i = 1, #given.host do message[i] = message[i] or false end
        end
        return { json = { result = result, message = message,
          reason = reason } }
      end,
    },
  }
"""


class Answer:
    """What a function of icmp returned; fields of the result by their names."""

    def __init__(self, values):
        self.result = values.get("result")
        self.message = values.get("message")
        self.reason = values.get("reason")

    def __getattr__(self, name):
        return (self.result or {}).get(name)

    def __repr__(self):
        return f"{self.result}, {self.message}, {self.reason}"


class Asking:
    """An exporter at `here` sends the echoes that a test asks for."""

    def setUp(self):
        super().setUp()
        self.exporter = self.start(self.script(ECHO, "echo"), "--watch=off")

    def call(self, function, host, options):
        answer = self.exporter.post(
            f"/icmp/{function}", json.dumps({"host": host, "options": options}))
        self.assertEqual(200, answer.status, self.exporter.log)
        return Answer(json.loads(answer.text))

    def echo(self, host, **options):
        return self.call("echo", host, options)

    def series(self, host, **options):
        return self.call("series", host, options)

    def sweep(self, hosts, **options):
        return self.call("sweep", hosts, options)


def delayed(packet):
    yield DELAY if packet.request else 0, packet


def both(test):
    """TEST with each address of the far host."""
    test = timely(test)

    @functools.wraps(test)
    def run(self):
        for address in ROUTERS:
            with self.subTest(address):
                test(self, address)
    return run


class Echoes(Asking):
    """What scripts get, with either kind of sockets."""

    hops = ROUTERS[THERE] + ROUTERS[THERE6]

    @both
    def test_a_reply(self, address):
        reply = self.echo(address, size=100)
        self.assertEqual(address, reply.address, reply)
        self.assertEqual(62, reply.ttl)
        self.assertEqual(100, reply.size)
        self.assertWithin(0, NOISE, reply.rtt)

    @both
    def test_delay(self, address):
        self.wire.plan = delayed
        series = self.series(address, count=10, interval=0.01)
        self.assertEqual((10, 10, 0), (series.sent, series.received,
                                       series.loss))
        self.assertWithin(DELAY, DELAY + 0.003, series.min)
        self.assertWithin(series.min, DELAY + NOISE, series.max)

    @both
    def test_delays_that_vary(self, address):
        delays = 0.01, 0.06, 0.02, 0.04, 0.01

        def plan(packet):
            yield delays[packet.number] if packet.request else 0, packet

        self.wire.plan = plan
        series = self.series(address, count=5, interval=0.05)
        for rtt, delay in zip(series.rtts, delays, strict=True):
            self.assertWithin(delay, delay + NOISE, rtt)
        mean = sum(series.rtts) / 5
        self.assertAlmostEqual(mean, series.mean, 9)
        self.assertEqual(min(series.rtts), series.min)
        self.assertEqual(max(series.rtts), series.max)
        self.assertAlmostEqual(
            (sum((rtt - mean) ** 2 for rtt in series.rtts) / 5) ** 0.5,
            series.stddev, 9)
        steps = [abs(b - a) for a, b in zip(series.rtts, series.rtts[1:])]
        self.assertAlmostEqual(sum(steps) / 4, series.jitter, 9)

    @both
    def test_loss(self, address):
        def plan(packet):
            if not packet.request or packet.number % 10 != 3:
                yield 0, packet

        self.wire.plan = plan
        series = self.series(address, count=20, interval=0.01, timeout=0.2)
        self.assertEqual((20, 18), (series.sent, series.received))
        self.assertAlmostEqual(0.1, series.loss, 12)
        lost = [i for i, rtt in enumerate(series.rtts) if not rtt]
        self.assertEqual([3, 13], lost)
        self.assertIn("no answer within 0.2 s", series.error)
        self.assertEqual("timeout", series.result["reason"])

    @both
    def test_nothing_but_loss(self, address):
        self.wire.plan = lambda packet: ()
        series = self.series(address, count=3, interval=0.01, timeout=0.1)
        self.assertEqual((3, 0, 1), (series.sent, series.received,
                                     series.loss))
        for name in ("min", "mean", "max", "stddev", "jitter", "ttl"):
            self.assertIsNone(getattr(series, name))
        self.assertEqual([False] * 3, series.rtts)

    @both
    def test_answers_in_reverse_order(self, address):
        def plan(packet):
            yield 0.2 - packet.number / 20 if packet.request else 0, packet

        self.wire.plan = plan
        series = self.series(address, count=4, interval=0.005)
        self.assertEqual((4, 0), (series.received, series.duplicates))
        for i, rtt in enumerate(series.rtts):
            self.assertWithin(0.2 - i / 20, 0.2 - i / 20 + NOISE, rtt)

    @both
    def test_duplicates(self, address):
        def plan(packet):
            yield 0, packet
            if packet.reply:
                yield 0.001, packet

        self.wire.plan = plan
        series = self.series(address, count=5, interval=0.03)
        self.assertEqual((5, 0), (series.received, series.loss))
        self.assertIn(series.duplicates, (4, 5))  # the last may be too late

    @both
    def test_late_answers_are_counted_and_not_believed(self, address):
        def plan(packet):
            yield 0.3 if packet.request and packet.number < 2 else 0, packet

        self.wire.plan = plan
        series = self.series(address, count=6, interval=0.1, timeout=0.2)
        self.assertEqual((6, 4, 2), (series.sent, series.received,
                                     series.late))
        self.assertEqual([False, False], series.rtts[:2])
        self.assertLess(max(series.rtts[2:]), NOISE)
        self.assertIn("no answer within 0.2 s", series.error)
        self.assertEqual(0, series.duplicates)

    @both
    def test_false_answers_are_not_believed(self, address):
        def plan(packet):
            if not packet.request:
                yield 0, packet
                return
            ident, seq, payload = packet.echo
            yield 0, packet.answered(payload=bytes(len(payload)))
            yield 0, packet.answered(payload=payload[:7])
            yield 0, packet.answered(payload=b"")
            yield 0, packet.answered(ident=ident ^ 1)
            yield 0, packet.answered(seq=seq ^ 1)
            yield 0, packet.answered(by=ROUTERS[address][0])
            yield DELAY, packet

        self.wire.plan = plan
        series = self.series(address, count=3, interval=0.05)
        self.assertEqual((3, 0), (series.received, series.duplicates))
        self.assertWithin(DELAY, DELAY + NOISE, series.min)

    @both
    def test_a_liar_alone_is_no_answer(self, address):
        def plan(packet):
            ident, seq, payload = packet.echo
            yield 0, packet.answered(payload=bytes(len(payload)))
            yield 0, packet.answered(by=ROUTERS[address][0])

        self.wire.plan = plan
        answer = self.echo(address, timeout=0.1)
        self.assertEqual("timeout", answer.reason)

    @both
    def test_false_refusals_are_not_believed(self, address):
        def plan(packet):
            if not packet.request:
                yield 0, packet
                return
            by = ROUTERS[address][0]
            for changed in (packet.with_echo(ident=packet.echo[0] ^ 1),
                            packet.with_echo(seq=packet.echo[1] ^ 1),
                            packet.towards(by)):
                yield 0, changed.refused("host", by)
            yield DELAY, packet

        self.wire.plan = plan
        series = self.series(address, count=3, interval=0.05)
        self.assertEqual((3, None), (series.received, series.error))

    @both
    def test_a_ttl_that_ends_on_the_way(self, address):
        for ttl, router in enumerate(ROUTERS[address], 1):
            answer = self.echo(address, ttl=ttl)
            self.assertEqual("ttl", answer.reason, answer)
            self.assertTrue(answer.message.endswith(
                f"TTL exceeded at {router}"), answer)
        self.assertEqual(62, self.echo(address, ttl=3).ttl)

    @both
    def test_refusals_say_what_and_who(self, address):
        def plan(packet):
            yield 0, packet.refused(why, ROUTERS[address][0])

        self.wire.plan = plan
        for why, said in (("net", "network unreachable|no route"),
                          ("host", "host unreachable|address unreachable"),
                          ("port", "port unreachable"),
                          ("prohibited", "prohibited")):
            answer = self.echo(address)
            self.assertEqual("unreachable", answer.reason, answer)
            self.assertRegex(answer.message, f"{said}.* {ROUTERS[address][0]}$")

    @both
    def test_a_packet_that_is_too_big_on_the_way(self, address):
        def plan(packet):
            if packet.request and len(packet.data) > 1400:
                yield 0, packet.refused("too big", ROUTERS[address][0], 1400)
            else:
                yield 0, packet

        self.wire.plan = plan
        self.assertEqual(1000, self.echo(address, size=1000).size)
        answer = self.echo(address, size=1430, dont_fragment=True)
        self.assertEqual("too big", answer.reason, answer)
        self.assertIn("1400", answer.message)

    @both
    def test_sizes(self, address):
        for size in (16, 17, 1452, 5000, 60000):
            self.assertEqual(size, self.echo(address, size=size).size)

    def test_an_interface_that_is_down_for_a_moment(self):
        def plan(packet):
            yield 0, packet
            if packet.request and packet.number == 5:
                self.here.ip("link set here0 down", "link set here0 up",
                             "route add default dev here0")

        self.wire.plan = plan
        series = self.series(THERE, count=30, interval=0.01, timeout=0.3)
        self.assertEqual(30, series.sent)
        self.assertNotIn(False, series.rtts[:5] + series.rtts[-5:])

    def test_many_whose_answers_come_all_at_once(self):
        def plan(packet):
            if packet.reply:
                yield 0, packet
                return
            kept.append(packet)
            if len(kept) == len(hosts):
                for one in kept:
                    yield 0, one

        kept = []
        self.wire.plan = plan
        self.there.ip("route add local 10.3.0.0/16 dev lo")
        hosts = [f"10.3.{n >> 8}.{n & 255}" for n in range(1, 3001)]
        answer = self.sweep(hosts, timeout=10)
        self.assertEqual(set(), set(answer.message) - {False})


class RawEchoes(Echoes, Wired):
    kind = "raw"


class DatagramEchoes(Echoes, Wired):
    kind = "datagram"


class Paths(Asking):
    """Three hops, and what is beyond them."""

    def test_three_hops(self):
        for address in ("10.0.3.2", "fd03::2"):
            with self.subTest(address):
                reply = self.echo(address)
                self.assertEqual((address, 62), (reply.address, reply.ttl))

    def test_a_ttl_that_ends_on_the_way(self):
        for address, ttl, router in (
                ("10.0.3.2", 1, "10.0.1.2"), ("10.0.3.2", 2, "10.0.2.2"),
                ("fd03::2", 1, "fd01::2"), ("fd03::2", 2, "fd02::2")):
            with self.subTest(address, ttl=ttl):
                answer = self.echo(address, ttl=ttl)
                self.assertEqual("ttl", answer.reason, answer)
                self.assertTrue(answer.message.endswith(
                    f"TTL exceeded at {router}"), answer)

    def test_refusals(self):
        self.middle.ip("route add unreachable 10.7.1.0/24",
                       "route add prohibit 10.7.2.0/24",
                       "route add prohibit fd07::2:0/112")
        for address, why, router in (
                ("10.9.9.9", "network unreachable|no route", "10.0.1.2"),
                ("10.7.1.1", "host unreachable", "10.0.2.2"),
                ("10.7.2.1", "prohibited", "10.0.2.2"),
                ("10.7.3.1", "network unreachable|no route", "10.0.2.2"),
                ("10.0.3.9", "host unreachable", "10.0.2.2"),
                ("fd09::9", "network unreachable|no route", "fd01::2"),
                ("fd07::2:1", "prohibited", "fd02::2"),
                ("fd03::9", "host unreachable|address unreachable",
                 "fd02::2")):
            with self.subTest(address):
                answer = self.echo(address)
                self.assertEqual("unreachable", answer.reason, answer)
                self.assertRegex(answer.message, f"{why}.* {router}$")

    def test_nobody_at_a_neighbour_s_address(self):
        for address in ("10.0.1.9", "fd01::9"):
            with self.subTest(address):
                answer = self.echo(address)
                self.assertEqual("unreachable", answer.reason, answer)

    def test_no_route_at_all(self):
        self.here.ip("route delete 0.0.0.0/0", "route delete ::/0")
        for address in ("10.0.3.2", "fd03::2"):
            with self.subTest(address):
                answer = self.echo(address)
                self.assertRegex(answer.message, "network|Network|route")
                self.assertIn(answer.reason, ("unreachable", "not sent"))

    def test_a_packet_that_is_too_big_on_the_way(self):
        self.middle.ip("link set middle1 mtu 1400")
        for address, router in (("10.0.3.2", "10.0.2.2"),
                                ("fd03::2", "fd02::2")):
            with self.subTest(address):
                self.assertEqual(1300, self.echo(address, size=1300).size)
                answer = self.echo(address, size=1430, dont_fragment=True)
                self.assertEqual("too big", answer.reason, answer)
                self.assertIn("1400", answer.message)
                self.assertIn(router, answer.message)
                answer = self.echo(address, size=1430, dont_fragment=True)
                self.assertEqual("too big", answer.reason, answer)

    def test_a_source_that_goes_away(self):
        self.here.ip("address add 10.0.1.7/24 dev here0")
        self.assertEqual(62, self.echo("10.0.3.2", source="10.0.1.7").ttl)
        self.here.ip("address delete 10.0.1.7/24 dev here0")
        answer = self.echo("10.0.3.2", source="10.0.1.7")
        self.assertEqual("not sent", answer.reason, answer)
        self.assertEqual(62, self.echo("10.0.3.2").ttl)

    def test_an_interface_that_is_down_for_a_while(self):
        self.here.ip("link set here0 down")
        answer = self.echo("10.0.3.2", timeout=0.1)
        self.assertIsNone(answer.result, answer)
        self.here.ip("link set here0 up")
        self.here.ip("route replace default via 10.0.1.2")
        eventually(lambda: self.echo("10.0.3.2", timeout=0.1).result,
                   "answers are back")


class RawPaths(Paths, Routed):
    kind = "raw"


class DatagramPaths(Paths, Routed):
    kind = "datagram"


class Sockets(Asking, Wired):
    kind = "none"
    REMEDIES = r"net\.ipv4\.ping_group_range.*cap_net_raw"

    def test_neither_kind_is_allowed_and_then_one_is(self):
        for address in (THERE, THERE6):
            answer = self.echo(address)
            self.assertEqual("denied", answer.reason, answer)
            self.assertRegex(answer.message, self.REMEDIES)
        self.here.settings(("net.ipv4.ping_group_range", "0 2147483647"))
        for address in (THERE, THERE6):
            self.assertEqual(address, self.echo(address).address)


class Descriptors(Asking, Wired):
    def test_too_few_of_them_are_not_a_denial(self):
        with self.exporter.few_descriptors(1):  # that of the connection
            answer = self.echo(THERE)
        self.assertEqual("not sent", answer.reason, answer)
        self.assertIn("too many open files", answer.message)
        self.assertEqual(THERE, self.echo(THERE).address)


class Jammed(Asking):
    """A queue that lets little through, so that the socket's buffer is full
    and most echoes wait to be sent."""

    COUNT = 400

    def setUp(self):
        super().setUp()
        self.there = self.network.host("there")
        self.network.cable(self.here, "10.0.1.1/24", self.there,
                           "10.0.1.2/24")
        self.there.ip("route add local 10.3.0.0/16 dev lo")
        self.here.ip("route add default via 10.0.1.2")
        self.here("tc", "qdisc", "add", "dev", "here0", "root", "tbf", "rate",
                  "20mbit", "burst", "3000", "latency", "60s")
        self.hosts = [f"10.3.{n >> 8}.{n & 255}"
                      for n in range(1, self.COUNT + 1)]

    def test_all_are_answered_in_the_end(self):
        answer = self.sweep(self.hosts, size=1400)
        self.assertEqual(set(), set(answer.message) - {False})

    def test_refusals_of_what_was_not_sent_yet_are_not_believed(self):
        """Someone who saw the first echo tells of the last, and quotes too
        little for the cookie."""
        ear = self.there.socket(socket.AF_INET, socket.SOCK_RAW,
                                socket.IPPROTO_ICMP)
        ear.settimeout(DEADLINE)
        self.addCleanup(ear.close)

        def lie():
            first = Packet(ear.recv(65536), 0)
            for _ in range(20):  # until all wait
                ear.recv(65536)
            for n in range(self.COUNT - 100, self.COUNT):
                false = first.with_echo(seq=first.echo[1] + n & 0xffff)
                packet = false.towards(self.hosts[n]).refused("host", None)
                ear.sendto(packet.data[20:], ("10.0.1.1", 0))

        liar = threading.Thread(target=lie)
        liar.start()
        answer = self.sweep(self.hosts, size=1400)
        liar.join()
        self.assertEqual(set(), set(answer.message) - {False})


class RawJammed(Jammed, Here):
    kind = "raw"


class DatagramJammed(Jammed, Here):
    kind = "datagram"


class Named(Asking, Naming):
    def test_a_name_that_moves_is_followed(self):
        for address in (THERE, THERE6):
            self.names["moves.test"] = address
            eventually(lambda: self.echo("moves.test").address == address,
                       f"it is at {address}")

    def test_another_name_server_is_asked_when_the_file_says_so(self):
        self.names["moves.test"] = THERE
        self.assertEqual(THERE, self.echo("moves.test").address)
        others = Names(self.network, self.here, address="127.0.0.2")
        others["moves.test"] = "10.0.2.2"
        eventually(lambda: self.echo("moves.test").address == "10.0.2.2",
                   "it is where the other name server says")

    def test_a_name_server_that_is_not_there(self):
        self.here.file("resolv.conf", "nameserver 10.0.2.77\n")
        answer = self.echo("any.test", timeout=0.2)
        self.assertEqual("name", answer.reason, answer)
        self.assertIn("10.0.2.77 did not answer within 0.2 s", answer.message)

    def test_the_file_of_hosts_comes_first(self):
        self.names["listed.test"] = "10.0.2.9"
        self.assertEqual(THERE, self.echo("listed.test").address)

    def test_a_name_that_nobody_knows(self):
        answer = self.echo("nobody.test")
        self.assertEqual("name", answer.reason, answer)
        self.assertIn("nobody.test: no such name", answer.message)

    def test_a_name_of_one_family(self):
        self.names["six.test"] = THERE6
        self.assertEqual(THERE6, self.echo("six.test").address)
        self.assertEqual("name", self.echo("six.test", family=4).reason)


class OnlyVersion6(Asking, Version6):
    def test_what_has_both_is_asked_by_6(self):
        for host in (THERE6, "both.test"):
            self.assertEqual(THERE6, self.echo(host).address)
        self.assertIn(self.echo(THERE).reason, ("not sent", "unreachable"))
