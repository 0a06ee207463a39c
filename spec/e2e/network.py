# SPDX-License-Identifier: Apache-2.0
"""Networks of namespaces for the end-to-end tests: hosts that are the kernel's,
with routes, addresses and settings of their own.

    network = Network(self)
    a, b = network.host("a"), network.host("b")
    network.cable(a, "10.0.1.1/24", b, "10.0.1.2/24")
    a("ping", "-c1", "10.0.1.2")
    lunex = self.lunex(..., inside=a)

What a test makes is gone when it ends. What a killed one left is removed by the
next. wire.py joins two hosts by a cable that delays, loses and refuses.
"""

import contextlib
import ctypes
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

from spec.e2e.lunex import DEADLINE, eventually

NAMES = Path("/run/netns")
FILES = Path("/etc/netns")  # what `ip netns exec` shows in the place of /etc
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
CLONE_NEWNET = 0x40000000
REFUSED = ("network namespaces are not permitted here: this test wants root "
           "with CAP_SYS_ADMIN and CAP_NET_ADMIN")
NO_MOUNT = ("`ip netns` wants / to be a mount point: in a chroot, "
            "`mount --rbind FOLDER FOLDER` before FOLDER is entered")

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def _setns(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}; {REFUSED}")


def run(*command, given=""):
    """What COMMAND prints; fails with what it complained about."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True,
                          errors="replace", input=given, timeout=DEADLINE)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: status "
                             f"{done.returncode}\n{given}{done.stdout}"
                             f"{done.stderr}")
    return done.stdout


def root_is_mounted():
    with open("/proc/self/mountinfo") as mounts:
        return any(line.split()[4] == "/" for line in mounts)


def remove(name):
    """The namespace, the programs in it, and its files."""
    def empty():
        pids = run("ip", "netns", "pids", name).split()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        return not pids

    try:
        eventually(empty, f"{name} is left by its programs")
    finally:
        run("ip", "netns", "delete", name)
        shutil.rmtree(FILES / name, ignore_errors=True)


def remove_leftovers():
    """What runs left that were killed; names tell the process."""
    names = os.listdir(NAMES) if NAMES.exists() else []
    for name in names:
        match = re.fullmatch(r"lunex-(\d+)-\d+-\w+", name)
        if match and (int(match[1]) == os.getpid()
                      or not Path("/proc", match[1]).exists()):
            remove(name)


class Host:
    """A namespace. Calling it runs a program in it."""

    def __init__(self, label):
        self.label = label
        self.name = f"lunex-{os.getpid()}-{next(_numbers)}-{label}"
        if not root_is_mounted():
            raise AssertionError(NO_MOUNT)
        try:
            run("ip", "netns", "add", self.name)
        except AssertionError as e:
            raise AssertionError(f"{REFUSED} ({e})") from None
        self.prefix = ("ip", "netns", "exec", self.name)
        self.interfaces = 0

    def start_up(self):
        self.settings(("net.ipv6.conf.all.accept_dad", 0),
                      ("net.ipv6.conf.default.accept_dad", 0),
                      ("net.ipv4.icmp_ratemask", 0),
                      ("net.ipv6.icmp.ratelimit", 0))
        self.ip("link set lo up")

    def __call__(self, *command):
        return run(*self.prefix, *command)

    def ip(self, *commands):
        """ip("link set lo up", "route add default dev a0")"""
        return run("ip", "-n", self.name, "-batch", "-",
                   given="".join(command + "\n" for command in commands))

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread opens are the host's."""
        with open(NAMES / self.name) as there, \
                open("/proc/thread-self/ns/net") as here:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(here.fileno())

    def settings(self, *pairs):
        """Of /proc/sys: settings(("net.ipv4.ip_forward", 1))."""
        with self.entered():
            for name, value in pairs:
                Path("/proc/sys", name.replace(".", "/")).write_text(str(value))

    def forwards(self):
        """It is a router."""
        self.settings(("net.ipv4.ip_forward", 1),
                      ("net.ipv6.conf.all.forwarding", 1))

    def new_interface(self):
        self.interfaces += 1
        return f"{self.label}{self.interfaces - 1}"

    def has(self, interface, *addresses):
        self.settings((f"net.ipv4.neigh.{interface}.retrans_time_ms", 100),
                      (f"net.ipv6.neigh.{interface}.retrans_time_ms", 100))
        self.ip(*(f"address add {address} dev {interface}"
                  + (" nodad" if ":" in address else "")
                  for address in addresses), f"link set {interface} up")

    def is_ready(self, interface):
        """Takes IPv6's requests for neighbours, which comes a little later."""
        words = f"route show table local dev {interface} type multicast"
        eventually(lambda: run("ip", "-6", "-n", self.name, *words.split()),
                   f"{interface} is ready")

    def file(self, name, text):
        """What programs that are started in here from now on see as
        /etc/NAME. Those that run see what it says later."""
        path = FILES / self.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def socket(self, family, kind, protocol=0):
        with self.entered():
            return socket.socket(family, kind, protocol)


class Network:
    """The hosts of one test."""

    _first = threading.Lock()

    def __init__(self, case):
        self.case = case
        if Network._first.acquire(blocking=False):
            remove_leftovers()

    def host(self, label):
        host = Host(label)
        self.case.addCleanup(remove, host.name)
        host.start_up()
        return host

    def cable(self, a, a_addresses, b, b_addresses):
        """Joins A and B; addresses as in "10.0.1.1/24 fd01::1/64". Answers the
        names of the interfaces."""
        ends = a.new_interface(), b.new_interface()
        run("ip", "-n", a.name, "link", "add", ends[0], "type", "veth",
            "peer", "name", ends[1], "netns", b.name)
        a.has(ends[0], *a_addresses.split())
        b.has(ends[1], *b_addresses.split())
        a.is_ready(ends[0])
        b.is_ready(ends[1])
        return ends
