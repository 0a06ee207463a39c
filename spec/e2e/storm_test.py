# SPDX-License-Identifier: Apache-2.0
"""Random datagrams from the meter's own address, 200 kB a second, leave the
exporter serving. STORM_SECONDS says for how long (5)."""

import os
import random
import threading
import time
from pathlib import Path

from spec.e2e.lunex import Case
from spec.e2e.meter import Esp32, Gateway, message
from spec.e2e.timely import timely

SECONDS = float(os.environ.get("STORM_SECONDS", "5"))
RATE = 200_000  # bytes a second
SEED = message(987654321, 304000, 1600)
MALFORMED = 'powerexporter_datagrams_total{result="malformed"}'


class Storm:
    """Sends from the meter's socket to whoever asked it last."""

    def __init__(self, meter):
        self.meter = meter
        self.sent = 0
        self.random = random.Random(1)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.end = time.monotonic() + SECONDS
        self.thread.start()

    def run(self):
        started = time.monotonic()
        while time.monotonic() < self.end:
            if self.sent > (time.monotonic() - started) * RATE:
                time.sleep(0.001)
                continue
            size = self.random.choice((0, 1, 20, 300, 1400, 9000, 60000))
            data = self.random.randbytes(self.random.randint(0, size))
            try:
                self.meter.send(data, self.meter.received[-1][1])
            except OSError:
                pass  # the socket is closed between collections
            self.sent += len(data) + 1


def resident(lunex):
    status = Path(f"/proc/{lunex.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


class DatagramStorm(Case):
    def weather(self, lunex, meter):
        lunex.page_with(lambda p: p.get("powerexporter_up") == 1, "it is calm")
        before = resident(lunex)
        if isinstance(meter, Gateway):
            meter.answer = None  # else it always is the first to be heard
        storm = Storm(meter)
        scrapes = 0
        while storm.thread.is_alive():
            started = time.monotonic()
            self.assertEqual(200, lunex.get("/metrics").status)
            self.assertLess(time.monotonic() - started, 2)
            scrapes += 1
            time.sleep(0.02)  # a scraper is not a storm itself
        storm.thread.join()
        if isinstance(meter, Gateway):
            meter.answer = SEED
        self.assertGreater(storm.sent, SECONDS * RATE / 2)
        self.assertGreater(scrapes, SECONDS)
        page = lunex.page_with(lambda p: p.get("powerexporter_up") == 1,
                               "it is calm again")
        self.assertGreater(page[MALFORMED], 0)
        self.assertLess(resident(lunex) - before, 64 << 20)
        return page

    @timely
    def test_into_the_socket_that_asks(self):
        meter = Gateway(self, SEED)
        lunex = self.lunex("powerexporter", "127.0.0.1", meter.port,
                           "--interval=0.05")
        self.weather(lunex, meter)
        page = lunex.page_with(
            lambda p: p.get("powerexporter_current_ampere") == 1.6, "the truth")
        self.assertEqual(1, page["powerexporter_up"])

    @timely
    def test_into_the_socket_that_is_subscribed(self):
        meter = Esp32(self, {"1": SEED})
        lunex = self.lunex("powerexporter", f"--meter=127.0.0.1:{meter.port}",
                           "--interval=0.2")
        page = self.weather(lunex, meter)
        self.assertGreater(page[MALFORMED], 100)
        lunex.page_with(
            lambda p: p.get('powerexporter_current_ampere{channel="1"}') == 1.6,
            "the truth")
