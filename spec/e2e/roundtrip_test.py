# SPDX-License-Identifier: Apache-2.0
"""Random registries (worlds.py) go through every format, and every reader finds
what was put in. The same ones each time; ROUNDTRIP_SEED says which others (a
failure prints it), ROUNDTRIP_WORLDS how many."""

import copy
import os
import random
import time

from spec.e2e.facts import Within, differences
from spec.e2e.formats import ENCODINGS, FORMS, body_of, readings, scrape
from spec.e2e.lunex import Case
from spec.e2e.truth import SCHEMES, UTF8, Family, cumulative, facts
from spec.e2e.worlds import World

SEED = int(os.environ.get("ROUNDTRIP_SEED", "1"))
WORLDS = int(os.environ.get("ROUNDTRIP_WORLDS", "10"))
BATCHES = 3
HOST = ("world_up", "world_scrape_duration_seconds", "world_scrape_success",
        "world_last_success_timestamp_seconds")


class Roundtrip(Case):
    def test_random_registries_are_read_back_from_every_format(self):
        for number in range(WORLDS):
            seed = SEED + number
            with self.subTest(f"ROUNDTRIP_SEED={seed} ROUNDTRIP_WORLDS=1"):
                self.one(random.Random(seed), f"world{number}")

    def one(self, choice, name):
        world = World(choice)
        states, text = [], None
        for text in world.script(BATCHES):
            if text is None:  # a batch is made
                states.append(copy.deepcopy(world.families))
        path = self.script(text, name)
        exporter = self.lunex(path)
        began = time.time() - 1
        for batch, families in enumerate(states, 1):
            answer = exporter.post("/next", "")
            self.assertEqual(204, answer.status, exporter.log)
            self.check(exporter, families, Within(began, time.time() + 1),
                       choice, batch)

    def check(self, exporter, families, created, choice, batch):
        truth = [family.truth(created) for family in families]
        for form in FORMS:
            for scheme in choice.sample(SCHEMES, 2):
                answer = scrape(exporter, form, scheme,
                                choice.choice(ENCODINGS),
                                "/metrics?exporter=world")
                self.assertEqual(200, answer.status, answer.body[:200])
                expected = facts(truth, form, scheme)
                for reader, found in readings(body_of(answer), form, scheme):
                    said = differences(expected, found.without(*HOST))
                    if said:
                        self.fail("\n".join(
                            [f"{reader}, {form}, {scheme}, batch {batch}",
                             *said, exporter.log[-2000:]]))


GAUGES, HISTOGRAMS, BOUNDS = 6000, 500, (0.5, 1, 2, 5, 10, 100)
LARGE = """
local metric = require "metric"
local gauges, histograms = %d, %d
return {
  name = "world",
  metrics = {
    large_gauge = metric.gauge { "Many.", labels = { "n", "text" } },
    large_seconds = metric.histogram { "Wide.", labels = { "n" },
      buckets = { 0.5, 1, 2, 5, 10, 100 } },
  },
  start = function(m)
    for n = 1, gauges do m.large_gauge:set(n / 8, n, "a\\"b\\\\" .. n) end
    for n = 1, histograms do m.large_seconds:observe(n / 4, n) end
  end,
  routes = {
    ["PUT /gauge/:n/:value"] = function(request, m)
      local n = tonumber(request.params.n)
      m.large_gauge:set(request.params.value, n, "a\\"b\\\\" .. n)
      return { status = 204 }
    end,
    ["POST /observe/:n"] = function(request, m)
      m.large_seconds:observe(7, request.params.n)
      return { status = 204 }
    end,
  },
}
""" % (GAUGES, HISTOGRAMS)


class Large(Case):
    """A page of many blocks, of which few change from one scrape to the next:
    the others are those that were rendered and compressed before."""

    def setUp(self):
        super().setUp()
        self.began = time.time() - 1
        self.random = random.Random(SEED)
        self.gauges = {n: n / 8 for n in range(1, GAUGES + 1)}
        self.observed = {n: [n / 4] for n in range(1, HISTOGRAMS + 1)}
        self.exporter = self.lunex(self.script(LARGE, "large"))
        self.exporter.page_with(
            lambda p: f'large_seconds_count{{n="{HISTOGRAMS}"}}' in p, "all")

    def truth(self):
        created = Within(self.began, time.time() + 1)
        return [
            Family("large_gauge", "gauge", "Many.", series=[
                ({"n": str(n), "text": f'a"b\\{n}'}, {"value": float(v)})
                for n, v in self.gauges.items()]),
            Family("large_seconds", "histogram", "Wide.", series=[
                ({"n": str(n)}, {
                    "sum": float(sum(seen)), "count": float(len(seen)),
                    "created": created, **cumulative(
                        {le: sum(v <= le for v in seen) for le in BOUNDS},
                        len(seen))})
                for n, seen in self.observed.items()])]

    def change(self):
        n = self.random.randrange(1, GAUGES + 1)
        self.gauges[n] = self.random.choice((n / 8, 1.5e300, n, -n))
        path = f"/gauge/{n}/{self.gauges[n]!r}"
        self.assertEqual(204, self.exporter.get(path, method="PUT").status)
        n = self.random.randrange(1, HISTOGRAMS + 1)
        self.observed[n].append(7)
        self.assertEqual(204, self.exporter.post(f"/observe/{n}", "").status)

    def test_is_read_back_while_it_changes(self):
        for encoding in ENCODINGS:
            for form in FORMS:
                with self.subTest(f"ROUNDTRIP_SEED={SEED}", form=form,
                                  encoding=encoding):
                    self.change()
                    body = body_of(scrape(self.exporter, form, UTF8, encoding,
                                          "/metrics?exporter=world"))
                    expected = facts(self.truth(), form, UTF8)
                    for _, found in readings(body, form, UTF8):
                        self.assertEqual([], differences(
                            expected, found.without(*HOST)))
