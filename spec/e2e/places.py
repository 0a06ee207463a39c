# SPDX-License-Identifier: Apache-2.0
"""Places in networks (network.py, wire.py) where an exporter is tested."""

import shutil
from pathlib import Path

from spec.e2e.lunex import Case, program
from spec.e2e.names import Names
from spec.e2e.network import NOBODY, Network
from spec.e2e.wire import Wire

THERE, THERE6 = "10.0.2.1", "fd02::1"
ROUTERS = {THERE: ("10.9.0.1", "10.9.0.2"), THERE6: ("fd09::1", "fd09::2")}
DELAY = 0.02
NOISE = 0.1  # what a busy machine may add to one echo, not to the fastest


class Here(Case):
    """A host."""

    kind = "raw"  # of sockets

    def setUp(self):
        super().setUp()
        self.network = Network(self)
        self.here = self.network.host("here")
        self.folder.chmod(0o755)

    def start(self, *arguments, kind=None, **options):
        """As the kind of sockets wants it: root has raw ones, whoever is in
        the range has the others, and others have none."""
        kind = kind or self.kind
        allowed = "0 2147483647" if kind == "datagram" else "1 0"
        self.here.settings(("net.ipv4.ping_group_range", allowed))
        if kind != "raw":
            options |= {"under": NOBODY, "copy": self.copy(),
                        "cwd": self.folder}
        return self.lunex(*arguments, inside=self.here, **options)

    def copy(self):
        """Of the program, for one who may not look into this tree: it may be
        in a home."""
        prefix, there = Path(program()).parent.parent, self.folder / "lunex"
        if not there.exists():
            shutil.copytree(prefix / "share/lunex", there / "share/lunex")
            (there / "bin").mkdir()
            shutil.copy(program(), there / "bin")
        return there / "bin" / Path(program()).name

    def assertWithin(self, least, most, seconds):
        self.assertIsNotNone(seconds)
        self.assertGreaterEqual(seconds, least)
        self.assertLess(seconds, most)


class Wired(Here):
    """And another host, at the far end of a wire."""

    hops = ()

    def setUp(self):
        super().setUp()
        self.there = self.network.host("there")
        self.wire = Wire(self.network, self.here, "10.0.1.1/24 fd01::1/64",
                         self.there, f"{THERE}/24 {THERE6}/64", self.hops)


class Naming(Wired):
    """A wire, and names."""

    def setUp(self):
        super().setUp()
        self.there.ip("address add 10.0.2.2/24 dev there0")
        self.names = Names(self.network, self.here)
        self.here.file("hosts",
                       f"127.0.0.1 localhost\n{THERE} listed.test\n")


class Version6(Here):
    """A wire of IPv6 alone, and a name that has an address of either."""

    def setUp(self):
        super().setUp()
        there = self.network.host("there")
        Wire(self.network, self.here, "fd01::1/64", there, f"{THERE6}/64")
        names = Names(self.network, self.here)
        names["both.test"] = f"{THERE} {THERE6}"


class Routed(Here):
    """here - near - middle - far: hosts and routers of the kernel."""

    def setUp(self):
        super().setUp()
        self.near, self.middle, self.far = hosts = [
            self.network.host(label) for label in ("near", "middle", "far")]
        for n, (a, b) in enumerate(zip((self.here, *hosts), hosts), 1):
            self.network.cable(a, f"10.0.{n}.1/24 fd0{n}::1/64",
                               b, f"10.0.{n}.2/24 fd0{n}::2/64")
        for host in (self.near, self.middle):
            host.forwards()
        self.here.ip("route add default via 10.0.1.2",
                     "route add default via fd01::2")
        self.near.ip("route add 10.0.3.0/24 via 10.0.2.2",
                     "route add 10.7.0.0/16 via 10.0.2.2",
                     "route add fd03::/64 via fd02::2",
                     "route add fd07::/64 via fd02::2")
        self.middle.ip("route add 10.0.1.0/24 via 10.0.2.1",
                       "route add fd01::/64 via fd02::1")
        self.far.ip("route add default via 10.0.3.1",
                    "route add default via fd03::1")
