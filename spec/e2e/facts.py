# SPDX-License-Identifier: Apache-2.0
"""What an exposition says, whatever its format: single facts, so that two of
them can be compared and every difference has a name.

    (family, "type")                        -> "counter"; also "help", "unit"
    (family, labels, "value")               -> number
    (family, labels, "count")               -> number; also "sum", "created",
                                               "timestamp"
    (family, labels, ("bucket", 0.5))       -> number, cumulative
    (family, labels, ("quantile", 0.9))     -> number
    (family, labels, ("exemplar", 0.5, its labels, value, n))
                                            -> its time, or None; of the bucket
                                               0.5, or of a counter (None); n
                                               is 0 but for one more of the same
    (family, labels, "schema")              -> of native buckets; also
                                               "zero_threshold", "zero_count"
    (family, labels, ("positive", 3))       -> number, not cumulative; also
                                               "negative"

`family` is the full name (foo_total, foo_info), `labels` a frozenset of pairs.
"""

import math
import struct


class Facts(dict):
    """Facts of which none may be stated twice."""

    def say(self, key, value):
        if key in self:
            raise ValueError(f"stated twice: {key}")
        self[key] = value

    def point(self, family, labels, **values):
        """Several facts about one series; what is None is not stated."""
        for what, value in values.items():
            if value is not None:
                self.say((family, labels, what), value)

    def exemplar(self, family, labels, le, own, value, time):
        n = 0
        while (family, labels, ("exemplar", le, own, value, n)) in self:
            n += 1
        self[family, labels, ("exemplar", le, own, value, n)] = time

    def without(self, *families):
        return Facts((k, v) for k, v in self.items() if k[0] not in families)


class Within:
    """An expectation: a number from LOW to HIGH."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def __repr__(self):
        return f"from {self.low!r} to {self.high!r}"

    def allows(self, value):
        return isinstance(value, float) and self.low <= value <= self.high


def near(value, error):
    """An expectation: VALUE, with a relative ERROR."""
    return Within(*sorted((value * (1 - error), value * (1 + error))))


def same(expected, value):
    """Numbers are equal when their bits are; a NaN is a NaN."""
    if isinstance(expected, Within):
        return expected.allows(value)
    if isinstance(expected, float) and isinstance(value, float):
        if math.isnan(expected):
            return math.isnan(value)
        return struct.pack("d", expected) == struct.pack("d", value)
    return type(expected) is type(value) and expected == value


def differences(expected, found, most=12):
    """Sentences, at most so many; none when both say the same."""
    said = []
    for key in sorted({*expected, *found}, key=repr):
        if key not in found:
            said.append(f"missing: {shown(key)} = {expected[key]!r}")
        elif key not in expected:
            said.append(f"unexpected: {shown(key)} = {found[key]!r}")
        elif not same(expected[key], found[key]):
            said.append(f"{shown(key)}: expected {expected[key]!r}, "
                        f"found {found[key]!r}")
    more = [f"... and {len(said) - most} more"] if len(said) > most else []
    return said[:most] + more


def shown(key):
    family, *labels, what = key
    text = ", ".join(f"{n}={v!r}" for n, v in sorted(*labels)) if labels else ""
    return f"{family}{{{text[:200]}}} {what}"
