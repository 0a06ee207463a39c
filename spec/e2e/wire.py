# SPDX-License-Identifier: Apache-2.0
"""A cable between two hosts (network.py) on which everything happens that the
test plans: delay, loss, duplicates, late answers, false ones, refusals.

    wire = Wire(network, a, "10.0.1.1/24 fd01::1/64", b, "10.0.2.1/24")

    def plan(packet):  # -> (seconds from now, what then arrives) ...
        if packet.request and packet.number % 10 == 3:
            return  # is lost
        yield 0.02 if packet.request else 0, packet

    wire.plan = plan

The kernel of either host sees a TUN device; a thread forwards what it reads
from one to the other. `hops` are the addresses of routers on the way, each of
which takes one from the TTL.
"""

import collections
import errno
import fcntl
import heapq
import ipaddress
import itertools
import os
import select
import socket
import struct
import threading
import time

TUNSETIFF = 0x400454ca
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
ICMP, ICMPV6 = socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6
REQUEST, REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
REFUSALS = {  # type and code
    4: {"net": (3, 0), "host": (3, 1), "port": (3, 3), "too big": (3, 4),
        "prohibited": (3, 13), "ttl": (11, 0)},
    6: {"net": (1, 0), "prohibited": (1, 1), "host": (1, 3), "port": (1, 4),
        "too big": (2, 0), "ttl": (3, 0)},
}
QUOTED = {4: 28, 6: 1232}  # bytes of what is refused, at most


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    n = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff


class Packet:
    """An IP packet that came from end SIDE (0, 1) of the wire. `number` counts
    the echo requests to its destination since the plan was made: 0, 1, ..."""

    number = None

    def __init__(self, data, side):
        self.data, self.side = bytes(data), side
        self.version = data[0] >> 4
        v4 = self.version == 4
        self.head = (data[0] & 15) * 4 if v4 else 40
        self.protocol = data[9 if v4 else 6]
        first, self.size = (12, 4) if v4 else (8, 16)
        self.source, self.destination = (
            ipaddress.ip_address(bytes(data[at:at + self.size]))
            for at in (first, first + self.size))
        fragment = v4 and struct.unpack_from("!H", data, 6)[0] & 0x1fff
        kind = None
        if self.protocol in (ICMP, ICMPV6) and not fragment:
            kind = data[self.head]
        self.request = kind == REQUEST[self.version]
        self.reply = kind == REPLY[self.version]

    @property
    def ttl(self):
        return self.data[8 if self.version == 4 else 7]

    @property
    def dont_fragment(self):
        return self.version == 6 or bool(self.data[6] & 0x40)

    @property
    def echo(self):
        """Identifier, sequence number, payload; of a request or reply."""
        return (*struct.unpack_from("!HH", self.data, self.head + 4),
                self.data[self.head + 8:])

    def aged(self, hops):
        """The same, HOPS routers later."""
        data = bytearray(self.data)
        data[8 if self.version == 4 else 7] -= hops
        if self.version == 4:
            data[10:12] = b"\0\0"
            data[10:12] = struct.pack("!H", checksum(data[:self.head]))
        return Packet(data, self.side)

    def back(self, kind, code, rest, payload, by):
        """An ICMP message to the source, from BY or the destination."""
        by = ipaddress.ip_address(by) if by else self.destination
        ends = by.packed + self.source.packed
        icmp = struct.pack("!BBHI", kind, code, 0, rest) + payload
        if self.version == 4:
            total = struct.pack("!H", checksum(icmp))
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(icmp), 0, 0, 64,
                               ICMP, 0)
            sum4 = struct.pack("!H", checksum(head + ends))
            head = head[:10] + sum4
        else:
            total = struct.pack("!H", checksum(
                ends + struct.pack("!II", len(icmp), ICMPV6) + icmp))
            head = struct.pack("!IHBB", 6 << 28, len(icmp), ICMPV6, 64)
        return Packet(head + ends + icmp[:2] + total + icmp[4:], 1 - self.side)

    def refused(self, why, by, mtu=0):
        """What router BY says of it; WHY is a key of REFUSALS."""
        kind, code = REFUSALS[self.version][why]
        return self.back(kind, code, mtu, self.data[:QUOTED[self.version]], by)

    def answered(self, by=None, ident=None, seq=None, payload=None):
        """The reply to a request, true where nothing else is said."""
        own = self.echo
        said = [given if given is not None else true
                for given, true in zip((ident, seq, payload), own)]
        return self.back(REPLY[self.version], 0, said[0] << 16 | said[1],
                         said[2], by)

    def towards(self, destination):
        """As if it had another destination. For quotes: the checksum of what
        is inside is left as it was."""
        data = bytearray(self.data)
        at = 16 if self.version == 4 else 24
        data[at:at + self.size] = ipaddress.ip_address(destination).packed
        return Packet(data, self.side)

    def with_echo(self, ident=None, seq=None):
        """As if it had other numbers. For quotes, too."""
        own = self.echo
        data = bytearray(self.data)
        struct.pack_into("!HH", data, self.head + 4,
                         own[0] if ident is None else ident,
                         own[1] if seq is None else seq)
        return Packet(data, self.side)


def forward(packet):
    """The plan of a wire that is only a wire."""
    yield 0, packet


class Wire:
    def __init__(self, network, a, a_addresses, b, b_addresses, hops=()):
        self.hops = list(hops)  # from a to b; of both families
        self.plan = forward
        self.failure = None
        self._due = []
        self._order = itertools.count()
        self._hosts = a, b
        self._ends = [], []
        self._ends = [self._end(a, a_addresses), self._end(b, b_addresses)]
        self._stop = os.eventfd(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        network.case.addCleanup(self.close)

    @property
    def plan(self):
        return self._plan

    @plan.setter
    def plan(self, plan):
        self._plan, self._numbers = plan, collections.Counter()

    def _end(self, host, addresses):
        name = host.new_interface()
        try:
            with host.entered():
                end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                fcntl.ioctl(end, TUNSETIFF, struct.pack(
                    "16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        except OSError as e:
            raise AssertionError("TUN devices are not permitted here, which "
                                 f"this test wants ({e})") from None
        host.has(name, *addresses.split())
        host.ip(f"link set {name} txqueuelen 20000",  # all that a test sends
                *{f"route add {'::/0' if ':' in one else '0.0.0.0/0'} "
                  f"dev {name}" for one in addresses.split()})
        return end

    def close(self):
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        for descriptor in (self._stop, *self._ends):
            os.close(descriptor)
        if self.failure:
            raise self.failure

    # ---- the thread ----

    def _run(self):
        try:
            while self._turn():
                pass
        except Exception as e:
            self.failure = e

    def _turn(self):
        wait = None
        if self._due:
            wait = max(0, self._due[0][0] - time.monotonic())
        ready, _, _ = select.select([self._stop, *self._ends], [], [], wait)
        for side, end in enumerate(self._ends):
            if end in ready:
                self._take(end, side)
        while self._due and self._due[0][0] <= time.monotonic():
            packet = heapq.heappop(self._due)[2]
            try:
                os.write(self._ends[1 - packet.side], packet.data)
            except OSError as e:
                if e.errno != errno.EIO:  # that end is down
                    raise
        return self._stop not in ready

    def _take(self, end, side):
        packet = Packet(os.read(end, 65536), side)
        now = time.monotonic()
        if packet.destination.is_multicast or packet.destination.is_link_local:
            return  # what IPv6 tells its neighbours
        for seconds, then in self._travel(packet):
            heapq.heappush(self._due,
                           (now + seconds, next(self._order), then))

    def _travel(self, packet):
        hops = [hop for hop in self.hops
                if ipaddress.ip_address(hop).version == packet.version]
        if packet.ttl <= len(hops):
            way = hops if packet.side == 0 else hops[::-1]
            return [(0, packet.refused("ttl", way[packet.ttl - 1]))]
        if hops:
            packet = packet.aged(len(hops))
        if packet.request:
            packet.number = self._numbers[packet.destination]
            self._numbers[packet.destination] += 1
        return self._plan(packet)
