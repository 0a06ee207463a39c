# SPDX-License-Identifier: Apache-2.0
"""spec/golden/types.prom and types.om, which text_spec.c renders from one page,
hold the same samples for the parsers of python3-prometheus-client."""

import math
import unittest
from pathlib import Path

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as text

GOLDEN = Path(__file__).resolve().parent / "golden"


def plain(value):
    """A number that equals itself, and tells the zeros apart."""
    if math.isnan(value):
        return "NaN"
    return repr(float(value))


def samples(families):
    """{(name, labels): value} of all families; each sample is there once."""
    found = {}
    for family in families:
        for sample in family.samples:
            labels = {name: repr(float(value)) if name == "le" else value
                      for name, value in sample.labels.items()}
            key = (sample.name, tuple(sorted(labels.items())))
            assert key not in found, key
            found[key] = plain(sample.value)
    return found


def read(name, parse):
    # No translation: a carriage return is part of a label.
    with open(GOLDEN / name, encoding="utf-8", newline="\n") as file:
        return list(parse(file))


class Golden(unittest.TestCase):
    def setUp(self):
        self.text = read("types.prom", text.text_fd_to_metric_families)
        self.om = read("types.om", openmetrics.text_fd_to_metric_families)

    def test_both_formats_have_the_same_samples(self):
        self.assertEqual(samples(self.text), samples(self.om))
        self.assertGreater(len(samples(self.om)), 40)

    def test_openmetrics_knows_the_types(self):
        types = {family.name: family.type for family in self.om}
        self.assertEqual(types["golden_requests"], "counter")
        self.assertEqual(types["golden_build"], "info")
        self.assertEqual(types["golden_state"], "stateset")
        self.assertEqual(types["golden_things"], "unknown")
        self.assertEqual(types["golden_wait_seconds"], "summary")
        self.assertEqual(types["golden_duration_seconds"], "histogram")

    def test_help_reads_the_same(self):
        helps = {family.name: family.documentation for family in self.text}
        for family in self.om:
            full = {"counter": "", "info": "_info"}.get(family.type, "")
            self.assertEqual(family.documentation, helps[family.name + full])


if __name__ == "__main__":
    unittest.main()
