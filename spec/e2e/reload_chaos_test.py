# SPDX-License-Identifier: Apache-2.0
"""Random changes under load: what exporters count goes on exactly, whatever is
edited, broken, renamed, removed and listed again meanwhile. RELOAD_SEED says
which changes, RELOAD_STEPS how many."""

import os
import random
import re
import socket
import threading
import time

from spec.e2e.lunex import Case, free_port

SEED = int(os.environ.get("RELOAD_SEED", "1"))
STEPS = int(os.environ.get("RELOAD_STEPS", "40"))

# A script that counts in everything that runs code of it.
TEXT = """
local metric, task, udp = require "metric", require "task", require "udp"
return {
  name = "%(name)s", limits = { cpu = 0.2 },
  %(keys)s
  metrics = {
    %(name)s_total = metric.counter { "Collections." },
    %(name)s_seconds = metric.histogram { "Times.", buckets = { 0.5, 1 } },
    %(name)s_ticks_total = metric.counter { "Of start." },
    %(name)s_hits_total = metric.counter { "Of the route." },
    %(name)s_sum_total = metric.counter { "Of what came by UDP." },
    %(name)s_version = metric.gauge { "Of the script." },
    %(more)s
  },
  routes = {
    ["POST /%(route)s/hit"] = function(_, m)
      task.sleep(%(pause)s)
      m.%(name)s_hits_total:inc()
      return "hit"
    end,
  },
  start = function(m)
    %(start)s
    local server <close> = assert(udp.listen("127.0.0.1", %(port)d))
    while true do
      local data = server:receive(0.01)
      m.%(name)s_ticks_total:inc()
      if data then m.%(name)s_sum_total:inc(tonumber(data)) end
    end
  end,
  collect = function(m)
    task.sleep(%(pause)s)
    m.%(name)s_total:inc()
    m.%(name)s_seconds:observe(0.75)
    m.%(name)s_version:set(%(version)d)
    %(collect)s
  end,
}
"""

# What breaks a version, and what is said about it.
BROKEN = [
    ({"keys": "{{"}, r"expected"),
    ({"keys": "intreval = 1,"}, r"intreval"),
    ({"collect": 'error "no idea"'}, r"no idea"),
    ({"start": 'error "no start"'}, r"no start"),
    ({"collect": "while true do end"}, r"wait"),
    ({"more": 'a_seconds = metric.gauge { "Of another type." },'},
     r"a_seconds"),
    ({"route": "-"}, r"route|/-/"),
]

COUNTED = ("total", "seconds_count", "seconds_sum", "ticks_total",
           "hits_total", "sum_total")


class Exporter:
    """What the test knows of one."""

    def __init__(self, name, port, interval):
        self.name, self.port, self.interval = name, port, interval
        self.lock = threading.Lock()
        self.here = True
        self.path = f"{name}.lua"
        self.version = 0
        self.begin()

    def begin(self):
        self.era = time.monotonic()
        self.hits = self.sum = 0

    def text(self, **different):
        values = {"name": self.name, "route": self.name, "port": self.port,
                  "version": self.version, "pause": "0.001", "keys": "",
                  "more": "", "start": "", "collect": ""}
        if self.interval:
            values["keys"] = f"interval = {self.interval},"
        values.update(different)
        return TEXT % values


class Chaos(Case):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.exporters = [Exporter("a", free_port(socket.SOCK_DGRAM), 0),
                          Exporter("b", free_port(socket.SOCK_DGRAM), 0.01),
                          Exporter("c", free_port(socket.SOCK_DGRAM), 0)]
        for exporter in self.exporters:
            self.write(exporter)
        self.configure()
        self.over = threading.Event()
        self.wrong = []

    def write(self, exporter, **different):
        path = self.folder / exporter.path
        new = path.with_suffix(".new")
        new.write_text(exporter.text(**different))
        os.rename(new, path)

    def configure(self, more="", back=None):
        listed = [e for e in self.exporters if e.here or e is back]
        self.random.shuffle(listed)
        lines = "".join(f'{{ "{e.path}" }},\n' for e in listed)
        (self.folder / "lunex.lua").write_text(
            f"return {{ exporters = {{\n{lines}{more} }} }}\n")

    # ---- the load ----

    def guarded(self, what):
        def run():
            try:
                while not self.over.is_set():
                    what()
            except Exception as e:  # pylint: disable=broad-except
                self.wrong.append(repr(e))
        thread = threading.Thread(target=run)
        thread.start()
        self.threads.append(thread)

    def scrape(self, last):
        began = time.monotonic()
        answer = self.host.get()
        if answer.status != 200:
            raise RuntimeError(f"/metrics: {answer.status}")
        page = answer.samples
        for e in self.exporters:
            era, here = e.era, e.here
            if not here or began < era:
                continue
            for what in COUNTED:
                series = f"{e.name}_{what}"
                value = page.get(series)
                before = last.get((series, era), 0)
                if era != e.era or not e.here:
                    break
                if value is None and before or (value or 0) < before:
                    raise RuntimeError(f"{series}: {before} -> {value}")
                last[series, era] = value or 0

    def hit(self, exporter):
        """Nobody is removed while it is hit, so that all hits are counted."""
        with exporter.lock:
            if exporter.here:
                answer = self.host.post(f"/{exporter.name}/hit", "")
                if answer.status != 200:
                    raise RuntimeError(f"{answer.status} {answer.text}")
                exporter.hits += 1
        time.sleep(0.002)

    def send(self, exporter, number):
        with exporter.lock:
            if exporter.here:
                self.socket.sendto(str(number).encode(),
                                   ("127.0.0.1", exporter.port))
                exporter.sum += number
        time.sleep(0.002)

    def load(self):
        self.threads = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        for _ in range(2):
            last = {}
            self.guarded(lambda last=last: self.scrape(last))
        for e in self.exporters:
            self.guarded(lambda e=e: self.hit(e))
        self.guarded(lambda: self.send(self.exporters[0],
                                       random.randrange(1, 100)))

    # ---- the changes ----

    def reload(self, pattern=None):
        answer = self.host.post("/-/reload", "")
        self.told = answer.text
        self.assertEqual(500 if pattern else 200, answer.status, answer.text)
        if pattern:
            self.assertRegex(answer.text, pattern)
        self.assertEqual([], self.wrong)

    def edit(self, exporter):
        exporter.version += 1
        self.write(exporter)
        self.reload()

    def break_it(self, exporter):
        different, said = self.random.choice(BROKEN)
        exporter.version += 1
        self.write(exporter, **different)
        self.reload(said)
        self.assertIn(f"failed {exporter.name} ", self.told)
        self.assertEqual(0, self.host.samples()[
            f'lunex_exporter_reload_success{{exporter="{exporter.name}"}}'])
        exporter.version -= 1
        self.write(exporter)
        self.reload()

    def move(self, exporter):
        """Its file gets another name."""
        former = self.folder / exporter.path
        exporter.path = f"{exporter.name}{self.random.randrange(10**6)}.lua"
        self.write(exporter)
        former.unlink()
        self.configure()
        self.reload()

    def remove(self, exporter):
        if exporter is self.exporters[0]:
            return
        with exporter.lock:
            exporter.here = False
            self.configure()
            self.reload()
            self.assertIn("removed", self.told)
        if self.random.random() < 0.5:
            self.edit(self.exporters[0])
        with exporter.lock:
            self.configure(back=exporter)
            self.reload()
            exporter.begin()
            exporter.here = True

    def spoil_configuration(self, _):
        self.configure("nonsense,,")
        self.reload("lunex.lua:")
        self.configure()
        self.reload()

    def several(self, _):
        for exporter in self.exporters:
            exporter.version += 1
            self.write(exporter)
        self.reload()

    def test_counts_go_on_whatever_changes(self):
        self.host = self.lunex("--config", self.folder / "lunex.lua",
                               "--watch=off", "--web.enable-lifecycle")
        self.host.samples()
        self.load()
        said = f"RELOAD_SEED={SEED}"
        try:
            for step in range(STEPS):
                what = self.random.choice([
                    self.edit, self.edit, self.break_it, self.move,
                    self.remove, self.spoil_configuration, self.several])
                exporter = self.random.choice(self.exporters)
                said = (f"RELOAD_SEED={SEED}, step {step}: {what.__name__} "
                        f"{exporter.name}")
                what(exporter)
        except AssertionError as e:
            log = "\n".join(self.host.lines[-12:])
            raise AssertionError(f"{said}: {e}\n{log}") from None
        finally:
            self.over.set()
            for thread in self.threads:
                thread.join()
        self.assertEqual([], self.wrong, said)
        for exporter in self.exporters:
            with self.subTest(f"{said}: {exporter.name}"):
                self.check(exporter)

    def check(self, e):
        def agree(page):
            ran = (f'lunex_exporter_collections_total{{exporter="{e.name}",'
                   f'result="success"}}')
            return (page.get(f"{e.name}_hits_total", 0) == e.hits and
                    page.get(f"{e.name}_sum_total", 0) == e.sum and
                    page[f"{e.name}_seconds_count"] == page[f"{e.name}_total"]
                    and page[f"{e.name}_version"] == e.version and
                    abs(page[ran] - page[f"{e.name}_total"]) < 2 and
                    (e.interval or page[ran] == page[f"{e.name}_total"]))
        self.host.page_with(agree, f"{e.name}: {e.hits} hits, {e.sum} summed, "
                            f"version {e.version}")
        self.assertFalse(re.search(r"assert|Sanitizer", self.host.log))
