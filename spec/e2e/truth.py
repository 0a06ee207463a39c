# SPDX-License-Identifier: Apache-2.0
"""What a script has, and what each format must say of it: the second opinion
that golden_test.py and roundtrip_test.py hold against the program.
"""

import re

from spec.e2e.facts import Facts
from spec.e2e.strict import LABEL, LEGACY, OPENMETRICS, OPENMETRICS2, TEXT

PROTOBUF = "protobuf"
UTF8 = "allow-utf-8"
SCHEMES = ("underscores", "dots", "values", UTF8)

# What is not shown at all.
NATIVE = {"schema", "zero_threshold", "zero_count", "positive", "negative"}
OMITTED = {
    TEXT: NATIVE | {"created"},
    OPENMETRICS: NATIVE,
    OPENMETRICS2: set(),
    PROTOBUF: set(),
}
TYPES = {
    TEXT: {"info": "gauge", "stateset": "gauge", "unknown": "untyped",
           "gaugehistogram": "histogram"},
    PROTOBUF: {"info": "gauge", "stateset": "gauge", "unknown": "untyped"},
}


def escaped(name, scheme, legacy):
    """As https://prometheus.io/docs/instrumenting/escaping_schemes/ has it, and
    prometheus/common where that differs."""
    if scheme == UTF8 or legacy.fullmatch(name):
        return name
    colon = ":" if legacy is LEGACY else ""
    good = [bool(re.fullmatch(f"[a-zA-Z_{colon}]" if i == 0 else
                              f"[a-zA-Z0-9_{colon}]", c))
            for i, c in enumerate(name)]
    if scheme == "underscores":
        return "".join(c if ok else "_" for c, ok in zip(name, good))
    if scheme == "dots":
        return "".join("_dot_" if c == "." else c if ok and c != "_" else "__"
                       for c, ok in zip(name, good))
    return "U__" + "".join("__" if c == "_" else c if ok else f"_{ord(c):x}_"
                           for c, ok in zip(name, good))


class Family:
    """SERIES: pairs of labels (a dict) and a point: what -> value, as in
    facts.py, and "exemplars", a list of (bucket, labels, value, time), oldest
    first. CLASHES: in OpenMetrics 1.0 another family has its name."""

    def __init__(self, name, kind, help="", unit="", series=(), native=False,
                 classic=True, clashes=False):
        self.name, self.kind, self.help, self.unit = name, kind, help, unit
        self.series = series
        self.native_only = native and not classic
        self.clashes = clashes

    def shown_kind(self, form):
        kind = self.kind
        if form == OPENMETRICS and kind == "counter" and (
                self.clashes or not self.name.endswith("_total")):
            return "unknown"
        if form in (OPENMETRICS, OPENMETRICS2) and kind == "info" and \
                not self.name.endswith("_info"):
            return "gauge"
        return TYPES.get(form, {}).get(kind, kind)

    def omitted(self, form, created):
        what = set(OMITTED[form])
        if form == OPENMETRICS and (
                not created or self.shown_kind(form) == "unknown"):
            what.add("created")
        if form in (OPENMETRICS2, PROTOBUF) and self.native_only:
            what.add("bucket")
        return what

    def illegal(self, form, point):
        """What OpenMetrics 1.0 forbids to show of it."""
        if form != OPENMETRICS or "sum" not in point or point["sum"] >= 0 and \
                not (self.kind == "histogram" and self.below_zero(point)):
            return set()
        if self.kind == "summary":
            return {"sum"}
        if self.kind == "gaugehistogram" and self.below_zero(point):
            return set()
        return {"sum", "count"}

    def below_zero(self, point):
        """Has it a bucket with a bound below 0?"""
        return any(what[0] == "bucket" and what[1] < 0 for what in point)

    def exemplars(self, form, point):
        """A native histogram keeps several, of which OpenMetrics 1.0 has a
        place for the last."""
        if form == TEXT or self.shown_kind(form) == "unknown":
            return []
        found = point.get("exemplars", [])
        return found[-1:] if form == OPENMETRICS and self.native_only else found

    def facts(self, form, scheme, created=True):
        facts = Facts()
        name = escaped(self.name, scheme, LEGACY)
        self.describe(facts, form, name)
        omitted = self.omitted(form, created)
        for labels, point in self.series:
            key = label_set(labels, scheme)
            for what, value in point.items():
                if (what[0] if isinstance(what, tuple) else what) not in (
                        omitted | {"exemplars"} | self.illegal(form, point)):
                    facts.say((name, key, what), value)
            for le, own, value, time in self.exemplars(form, point):
                facts.exemplar(name, key, le, label_set(own, scheme), value,
                               time)
        if form == TEXT and self.kind == "gaugehistogram":
            self.split(facts, name)
        return facts

    def describe(self, facts, form, name):
        facts.say((name, "type"), self.shown_kind(form))
        if self.help:
            facts.say((name, "help"), self.help)
        if self.unit and form != TEXT:
            facts.say((name, "unit"), self.unit)

    def split(self, facts, name):
        """In the text format a gauge histogram is three families."""
        for what in ("count", "sum"):
            own = f"{name}_g{what}"
            facts.say((own, "type"), "gauge")
            if self.help:
                facts.say((own, "help"), self.help)
            for key in [k for k in facts if k[-1] == what]:
                facts.say((own, key[1], "value"), facts.pop(key))
        for key in [k for k in facts if k[-1] == "timestamp"]:
            for what in ("count", "sum"):
                facts.say((f"{name}_g{what}", *key[1:]), facts[key])


def states(name, all_states, on, labels=None):
    """The series of a state set."""
    return [({**(labels or {}), name: state}, {"value": float(state == on)})
            for state in all_states]


def cumulative(buckets, total):
    """{ 0.1: 8 } and the count of all -> facts of buckets."""
    return {**{("bucket", float(le)): float(n) for le, n in buckets.items()},
            ("bucket", float("inf")): float(total)}


def label_set(labels, scheme):
    return frozenset((escaped(n, scheme, LABEL), v) for n, v in labels.items())


def facts(families, form, scheme, created=True):
    """Of families that have series."""
    all_of_them = Facts()
    for family in families:
        if family.series:
            for key, value in family.facts(form, scheme, created).items():
                all_of_them.say(key, value)
    return all_of_them
