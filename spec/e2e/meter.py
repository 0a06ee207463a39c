# SPDX-License-Identifier: Apache-2.0
"""Power meters with faults, for the end-to-end tests."""

import socket
import struct
import threading
import time


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def message(timestamp=0, energy=0.0, current=0.0):
    """A measurement as the meter encodes it: zeros are left out."""
    out = b""
    if timestamp:
        out += b"\x08" + varint(timestamp)
    if energy:
        out += b"\x11" + struct.pack("<d", energy)
    if current:
        out += b"\x1d" + struct.pack("<f", current)
    return out


class Meter:
    """A UDP port. ON_DATAGRAM(meter, data, address) answers, in its thread."""

    def __init__(self, case, on_datagram):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.received = []  # (data, address)
        self.failure = None
        self._on_datagram = on_datagram
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        case.addCleanup(self.close)

    def _run(self):
        self.socket.settimeout(0.05)
        while self._open:
            try:
                data, address = self.socket.recvfrom(65535)
            except socket.timeout:
                continue
            except OSError:  # an ICMP error of an answer to a closed port
                continue
            self.received.append((data, address))
            try:
                self._on_datagram(self, data, address)
            except Exception as e:
                self.failure = e

    def send(self, data, address):
        self.socket.sendto(data, address)

    def close(self):
        if self._open:
            self._open = False
            self._thread.join()
            self.socket.close()
        if self.failure:
            raise self.failure


class Gateway(Meter):
    """Answers every datagram with what `answer` is at the moment: bytes, None
    for silence, or a function of (gateway, address) that sends by itself."""

    def __init__(self, case, answer=None):
        self.answer = answer
        super().__init__(case, Gateway._reply)

    def _reply(self, _, address):
        answer = self.answer
        if callable(answer):
            answer(self, address)
        elif answer is not None:
            self.send(answer, address)


class Esp32(Meter):
    """Sends a subscribed channel for ever, ten times as fast as a real one."""

    def __init__(self, case, channels):
        self.channels = channels  # name -> bytes, or None for silence
        self.subscribers = []     # (name, address)
        super().__init__(case, Esp32._subscribe)
        self._pusher = threading.Thread(target=self._push, daemon=True)
        self._pusher.start()

    def _subscribe(self, data, address):
        name = data[:-1].decode()
        if data[-1:] != b"\0" or name not in self.channels:
            raise AssertionError(f"no subscription: {data!r}")
        self.subscribers.append((name, address))

    def _push(self):
        while self._open:
            for name, address in list(self.subscribers):
                data = self.channels[name]
                if data is not None:
                    try:
                        self.send(data, address)
                    except OSError:
                        pass
            time.sleep(0.1)

    def reboot(self):
        """It has forgotten who wanted what."""
        self.subscribers.clear()

    def close(self):
        super().close()
        self._pusher.join()
