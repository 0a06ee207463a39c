# SPDX-License-Identifier: Apache-2.0
"""The networks of network.py, wire.py and names.py, as ping and fping see them,
which are believed."""

import re
import subprocess

from spec.e2e.lunex import Case
from spec.e2e.names import Names
from spec.e2e.network import Network
from spec.e2e.timely import timely
from spec.e2e.wire import Wire

THERE, THERE6 = "10.0.2.1", "fd02::1"


class TheWireItself(Case):
    def setUp(self):
        super().setUp()
        self.network = Network(self)
        self.here, there = map(self.network.host, ("here", "there"))
        self.wire = Wire(self.network, self.here, "10.0.1.1/24 fd01::1/64",
                         there, f"{THERE}/24 {THERE6}/64",
                         ("10.9.0.1", "10.9.0.2", "fd09::1", "fd09::2"))

    def ping(self, *arguments):
        return subprocess.run(
            [*self.here.prefix, "ping", "-i0.01", "-W1", *arguments],
            capture_output=True, text=True).stdout

    @timely
    def test_delays(self):
        def plan(packet):
            yield 0.02 if packet.request else 0, packet

        self.wire.plan = plan
        for address in (THERE, THERE6):
            said = self.ping("-c3", address)
            best = re.search(r"= ([\d.]+)/", said)[1]
            self.assertGreaterEqual(float(best), 20)
            self.assertLess(float(best), 23)

    @timely
    def test_loses_what_it_should(self):
        def plan(packet):
            if not packet.request or packet.number % 10 != 3:
                yield 0, packet

        self.wire.plan = plan
        done = subprocess.run(
            [*self.here.prefix, "fping", "-q", "-c20", "-p10", "-t100", THERE,
             THERE6], capture_output=True, text=True)
        for address in (THERE, THERE6):
            self.assertRegex(done.stderr, address + r" +: .* = 20/18/10%")

    @timely
    def test_doubles(self):
        def plan(packet):
            yield 0, packet
            if packet.reply:
                yield 0.001, packet

        self.wire.plan = plan
        self.assertIn("+4 duplicates", self.ping("-c5", THERE))

    def test_is_a_way_of_routers(self):
        for address, second in ((THERE, "10.9.0.2"), (THERE6, "fd09::2")):
            said = self.ping("-c1", "-t2", address)
            self.assertRegex(said, f"From {second} icmp_seq=1 Time")
            self.assertIn(" ttl=62 ", self.ping("-c1", "-t3", address))

    def test_refuses(self):
        def plan(packet):
            yield 0, packet.refused(why, by[packet.version], mtu=1400)

        by = {4: "10.9.0.1", 6: "fd09::1"}
        self.wire.plan = plan
        for why, said, said6 in (
                ("net", "Net Unreachable", "No route"),
                ("host", "Host Unreachable", "Address unreachable"),
                ("port", "Port Unreachable", "Port unreachable"),
                ("prohibited", "Packet filtered",
                 "Administratively prohibited"),
                ("too big", "Frag needed", "Packet too big: mtu=1400")):
            self.assertRegex(self.ping("-c1", "-W10", THERE),
                             "10.9.0.1 .*" + said)
            self.assertRegex(self.ping("-c1", "-W10", THERE6),
                             "fd09::1 .*" + said6)

    def test_has_names_that_move(self):
        names = Names(self.network, self.here)
        for address in (THERE, "10.0.2.2", THERE6):
            names["moves.test"] = address
            said = self.here("getent", "ahosts", "moves.test")
            self.assertEqual(address, said.split()[0])
