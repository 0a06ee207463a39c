# SPDX-License-Identifier: Apache-2.0
"""A name server inside a host (network.py), whose zone a test changes.

    names = Names(network, a)
    names["moves.test"] = "10.0.2.1"
    names["six.test"] = "fd02::1"
"""

import ipaddress
import socket
import struct
import threading

A, AAAA = 1, 28
NO_SUCH_NAME = 3


class Names(dict):
    """Name -> addresses, with spaces between. `ttl` is theirs; `questions` has
    the names that were asked for."""

    def __init__(self, network, host, address="127.0.0.1", ttl=0):
        super().__init__()
        self.ttl = ttl
        self.questions = []
        self.failure = None
        self._socket = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._address = self._socket.getsockname()
        host.file("resolv.conf", f"nameserver {address}\n")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        network.case.addCleanup(self.close)

    def _run(self):
        try:
            while True:
                query, asker = self._socket.recvfrom(4096)
                if asker == self._address:
                    return
                self._socket.sendto(self._answer(query), asker)
        except Exception as e:
            self.failure = e

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name = ".".join(labels)
        kind, = struct.unpack_from("!H", query, at + 1)
        self.questions.append(name)
        found = [ipaddress.ip_address(text).packed
                 for text in self.get(name, "").split()]
        fitting = [packed for packed in found
                   if kind == {4: A, 16: AAAA}[len(packed)]]
        code = 0 if name in self else NO_SUCH_NAME
        head = struct.pack("!2sHHHHH", query[:2], 0x8580 | code, 1,
                           len(fitting), 0, 0)
        return head + query[12:at + 5] + b"".join(
            struct.pack("!HHHIH", 0xc00c, kind, 1, self.ttl, len(packed))
            + packed for packed in fitting)

    def close(self):
        self._socket.sendto(b"", self._address)
        self._thread.join()
        self._socket.close()
        if self.failure:
            raise self.failure
