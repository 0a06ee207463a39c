# SPDX-License-Identifier: Apache-2.0
"""The power exporter in the place of another one, and where it is better."""

import socket
import time

from spec.e2e.lunex import DEADLINE, TOP, Case, free_port
from spec.e2e.meter import Esp32, Gateway, message
from spec.e2e.timely import timely

TOTAL = "powerexporter_power_consumption_ampere_seconds_total"
CURRENT = "powerexporter_current_ampere"
UPTIME = "powerexporter_device_uptime_seconds"
LAST = "powerexporter_last_measurement_timestamp_seconds"
UP = "powerexporter_up"
TIMEOUTS = "powerexporter_request_timeouts_total"
OK = 'powerexporter_datagrams_total{result="ok"}'
MALFORMED = 'powerexporter_datagrams_total{result="malformed"}'
SEED = message(987654321, 304000, 1600)
HELP = {
    TOTAL: ("counter", "The total power consumption given in ampere-seconds."),
    CURRENT: ("gauge", "The electric current given in ampere."),
}


def is_up(samples):
    return samples.get(UP) == 1


def is_down(samples):
    return samples.get(UP) == 0


class DropIn(Case):
    def check(self, lunex):
        page = lunex.page_with(is_up, "the meter is heard")
        self.assertEqual((304.0, 1.6), (page[TOTAL], page[CURRENT]))

    def test_takes_address_and_port_as_arguments(self):
        meter = Gateway(self, SEED)
        self.check(self.lunex("powerexporter", "127.0.0.1", meter.port))
        self.assertEqual(b"DATA_REQUEST", meter.received[0][0])

    def test_takes_address_and_port_as_flags(self):
        meter = Gateway(self, SEED)
        self.check(self.lunex("powerexporter", "--device-ip", "127.0.0.1",
                              f"--device-port={meter.port}"))

    def test_takes_address_and_port_from_the_environment(self):
        meter = Gateway(self, SEED)
        self.check(self.lunex("powerexporter", env={
            "DEVICE_UDP_IP": "127.0.0.1", "DEVICE_UDP_PORT": str(meter.port)}))

    def test_shows_the_two_metrics_as_the_original_does(self):
        meter = Gateway(self, SEED)
        lunex = self.lunex("powerexporter", "127.0.0.1", meter.port)
        lunex.page_with(is_up, "the meter is heard")
        text = lunex.get().text
        for name, (kind, help_text) in HELP.items():
            self.assertIn(f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
                          f"{name} ", text)
        self.assertIn(f"\n{CURRENT} 1.6\n", text)
        self.assertIn(f"\n{TOTAL} 304\n", text)

    def test_root_says_ok_to_a_program(self):
        meter = Gateway(self, SEED)
        lunex = self.lunex("powerexporter", "127.0.0.1", meter.port)
        for headers in ({"Accept": "*/*"}, {}):
            answer = lunex.get("/", headers)
            self.assertEqual((200, "OK"), (answer.status, answer.text.strip()))
            self.assertTrue(
                answer.headers["Content-Type"].startswith("text/plain"))

    def test_root_is_a_page_in_a_browser(self):
        meter = Gateway(self, SEED)
        lunex = self.lunex("powerexporter", "127.0.0.1", meter.port)
        answer = lunex.get("/", {
            "Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        self.assertEqual(200, answer.status)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/html"))
        self.assertIn('href="/metrics"', answer.text)

    def test_a_page_for_each_datagram_of_a_real_gateway(self):
        story = TOP / "spec/fixtures/powerexporter/datagrams.tsv"
        meter = Gateway(self)
        lunex = self.lunex("powerexporter", "127.0.0.1", meter.port,
                           "--interval=0.05")
        for line in story.read_text().splitlines():
            if not line or line[0] == "#":
                continue
            name, datagram, total, current, uptime = line.split("\t")
            expected = {TOTAL: float(total), CURRENT: float(current), UP: 1.0}
            if uptime != "-":
                expected[UPTIME] = float(uptime)
            meter.answer = bytes.fromhex(datagram.strip("-"))
            lunex.page_with(
                lambda page: {k: page.get(k) for k in
                              (TOTAL, CURRENT, UP, UPTIME)
                              if k in page} == expected, name)


class Faults(Case):
    def start(self, answer):
        self.meter = Gateway(self, answer)
        return self.lunex("powerexporter", "127.0.0.1", self.meter.port,
                          "--interval=0.1", "--wait=0.2")

    @timely
    def test_a_silent_meter_is_down_and_its_readings_are_gone(self):
        lunex = self.start(SEED)
        before = lunex.page_with(is_up, "the meter is heard")
        self.assertEqual(0, before[TIMEOUTS])
        self.meter.answer = None
        page = lunex.page_with(is_down, "the silence is noticed")
        for name in (TOTAL, CURRENT, UPTIME):
            self.assertNotIn(name, page)
        self.assertGreaterEqual(page[TIMEOUTS], 2)
        self.assertAlmostEqual(time.time(), page[LAST], delta=60)
        self.meter.answer = message(5000000, 310000, 1.5)
        page = lunex.page_with(is_up, "the meter is back")
        self.assertEqual((310.0, 0.0015), (page[TOTAL], page[CURRENT]))

    def test_a_reset_of_the_meter_is_passed_on(self):
        lunex = self.start(message(9000000000, 310500.25, 40))
        lunex.page_with(lambda p: p.get(TOTAL) == 310.50025, "the old total")
        self.meter.answer = message(1500000, 4250, 42.5)
        page = lunex.page_with(lambda p: p.get(TOTAL) == 4.25, "the new one")
        self.assertEqual(1.5, page[UPTIME])

    def test_a_gateway_that_has_nothing_yet_resets_nothing(self):
        lunex = self.start(message(9000000000, 310500.25, 40))
        lunex.page_with(is_up, "the meter is heard")
        self.meter.answer = b""
        page = lunex.page_with(lambda p: p.get(CURRENT) == 0, "the zero")
        self.assertEqual((310.50025, 1), (page[TOTAL], page[UP]))
        self.assertNotIn(UPTIME, page)

    def test_malformed_datagrams_are_counted_and_survived(self):
        broken = [
            b"\x08",                      # a tag without its value
            b"\x11\x00\x00\x00",          # a truncated double
            b"\x08" + b"\xff" * 11,       # a number without an end
            b"\x1a\xff\xff\xff\xff\x0f",  # a length beyond the datagram
            b"\x07",                      # a wire type that there is not
            b"not protobuf at all" * 50,
            b"\xff" * 65000,
        ]
        for datagram in broken:
            with self.subTest(datagram=datagram[:16]):
                lunex = self.start(datagram)
                page = lunex.page_with(
                    lambda p: p.get(MALFORMED, 0) >= 4, "they are counted")
                self.assertEqual(0, page[UP])
                self.assertNotIn(CURRENT, page)
                self.meter.answer = SEED
                page = lunex.page_with(is_up, "the meter is understood")
                self.assertEqual(1.6, page[CURRENT])

    @timely
    def test_a_lost_answer_is_asked_for_once_more(self):
        asked = []

        def every_other(meter, address):
            asked.append(address)
            if len(asked) % 2 == 0:
                meter.send(SEED, address)
        lunex = self.start(every_other)
        page = lunex.page_with(lambda p: p.get(OK, 0) >= 2, "two readings")
        self.assertGreaterEqual(page[TIMEOUTS], 2)
        self.assertEqual(0, page["lunex_exporter_collections_total{"
                                 'exporter="powerexporter",result="failure"}'])

    @timely
    def test_a_late_answer_is_not_taken_for_the_next_one(self):
        late, fresh = message(1, 1, 111), message(2, 2, 222)
        asked = []

        def answer(meter, address):
            asked.append(address)
            if len(asked) == 3:  # the second collection
                meter.send(late, asked[0])
            if len(asked) >= 3:
                meter.send(fresh, address)
        lunex = self.start(answer)
        page = lunex.page_with(is_up, "the second collection")
        self.assertAlmostEqual(0.222, page[CURRENT])
        self.assertEqual(2, page[TIMEOUTS])
        self.assertNotEqual(asked[0], asked[2])

    def test_datagrams_of_strangers_are_not_heard(self):
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(stranger.close)

        def answer(meter, address):
            stranger.sendto(message(3, 3, 999), address)
            meter.send(SEED, address)
        lunex = self.start(answer)
        for _ in range(5):
            count = lunex.samples().get(OK, 0)
            page = lunex.page_with(lambda p: p.get(OK, 0) > count, "one more")
            self.assertEqual(1.6, page[CURRENT])

    def test_a_closed_port_is_down_at_once(self):
        port = free_port(socket.SOCK_DGRAM)
        lunex = self.lunex("powerexporter", "127.0.0.1", port)
        page = lunex.page_with(is_down, "the refusal")
        self.assertEqual(0, page[TIMEOUTS])
        lunex.wait_log("refused")

    def test_a_name_that_does_not_exist_is_down(self):
        lunex = self.lunex("powerexporter", "meter.invalid", 5000)
        lunex.page_with(is_down, "the unknown name")
        lunex.wait_log(r"meter\.invalid")

    def test_round_trips_are_measured(self):
        lunex = self.start(SEED)
        page = lunex.page_with(lambda p: p.get(OK, 0) >= 3, "three readings")
        name = "powerexporter_round_trip_seconds"
        self.assertEqual(page[OK], page[f"{name}_count"])
        self.assertEqual(page[OK], page[name + '_bucket{le="+Inf"}'])
        self.assertGreater(page[f"{name}_sum"], 0)


class Subscription(Case):
    def channel(self, name, number):
        return f'{name}{{channel="{number}"}}'

    def start(self, channels):
        self.meter = Esp32(self, channels)
        numbers = [f"--channel={number}" for number in channels]
        return self.lunex("powerexporter",
                          f"--meter=127.0.0.1:{self.meter.port}", *numbers,
                          "--interval=0.2", "--wait=1")

    def test_hears_several_channels_in_one_process(self):
        lunex = self.start({"1": SEED, "2": message(5000000, 2500, -7)})
        page = lunex.page_with(is_up, "both channels are heard")
        self.assertEqual(
            (304.0, 1.6, 987.654321),
            tuple(page[self.channel(n, 1)] for n in (TOTAL, CURRENT, UPTIME)))
        self.assertEqual(
            (2.5, -0.007, 5.0),
            tuple(page[self.channel(n, 2)] for n in (TOTAL, CURRENT, UPTIME)))
        self.assertNotIn(CURRENT, page)
        self.assertEqual({b"1\0", b"2\0"}, {d for d, _ in self.meter.received})

    @timely
    def test_a_subscription_is_made_once_while_the_meter_sends(self):
        lunex = self.start({"1": SEED})
        lunex.page_with(lambda p: p.get(OK, 0) >= 30, "thirty messages")
        self.assertEqual(1, len(self.meter.received))

    @timely
    def test_a_meter_that_rebooted_is_subscribed_to_again(self):
        lunex = self.start({"1": SEED})
        lunex.page_with(is_up, "the channel is heard")
        self.meter.reboot()
        self.meter.channels["1"] = message(1000000, 10, 1)
        lunex.page_with(
            lambda p: p.get(self.channel(TOTAL, 1)) == 0.01 and is_up(p),
            "the meter is heard again")
        self.assertEqual([b"1\0"] * 2, [d for d, _ in self.meter.received])

    def test_a_silent_channel_disappears_and_the_other_one_stays(self):
        lunex = self.start({"1": SEED, "2": SEED})
        lunex.page_with(is_up, "both channels are heard")
        self.meter.channels["2"] = None
        page = lunex.page_with(
            lambda p: self.channel(CURRENT, 2) not in p and is_down(p),
            "channel 2 is gone")
        self.assertEqual(1.6, page[self.channel(CURRENT, 1)])
        lunex.wait_log("channel 2 of .* is silent")

    def test_malformed_messages_are_counted_and_survived(self):
        lunex = self.start({"1": b"\x08"})
        lunex.page_with(lambda p: p.get(MALFORMED, 0) >= 5, "they are counted")
        self.meter.channels["1"] = SEED
        page = lunex.page_with(is_up, "the channel is understood")
        self.assertEqual(1.6, page[self.channel(CURRENT, 1)])

    def test_a_meter_that_appears_later_is_found(self):
        port = free_port(socket.SOCK_DGRAM)
        lunex = self.lunex("powerexporter", f"--meter=127.0.0.1:{port}",
                           "--interval=0.2", "--wait=0.2")
        lunex.page_with(is_down, "nobody is there")
        late = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(late.close)
        late.bind(("127.0.0.1", port))
        late.settimeout(DEADLINE)
        data, address = late.recvfrom(100)
        self.assertEqual(b"1\0", data)
        late.sendto(SEED, address)
        lunex.page_with(is_up, "the meter is heard")

    def test_an_address_without_a_port_is_refused(self):
        process = self.ended("powerexporter", "--meter=127.0.0.1")
        self.assertIn(process.wait(), (1, 2))
        process.wait_said("HOST:PORT")
