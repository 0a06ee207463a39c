# SPDX-License-Identifier: Apache-2.0
"""What spec/golden/golden.lua shows, written down a second time."""

import math

from spec.e2e.facts import Within, near
from spec.e2e.truth import Family, cumulative, states

E = 0.0055  # relative error of quantiles
SITE = {"site": 'no"r\\t\nh'}

HOSTILE = [
    "", " ", "\\", '"', "\n", "\\n", '\\"', '"\\\n', 'a"b\\c\nd', "\\\\n", "}",
    "{", "},{", ",", "=", 'a="b"', "# EOF", "\n# EOF\n", '"} 1\nx{a="',
    ' # {a="b"} 1', "\t", "\r", "\r\n", "\0", "\x7f", "\x85", "\u2028",
    "\ufeff", "é", "日本語", "\N{GRINNING FACE}",
    "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{MICROSCOPE}", "\U0010ffff",
    "e\N{COMBINING ACUTE ACCENT}", "\N{RIGHT-TO-LEFT OVERRIDE}abc", "NaN", "0",
    "total", "x" * 5000]

LARGEST = float.fromhex("0x1.fffffffffffffp+1023")
VALUES = {
    "nan": math.nan, "inf": math.inf, "minus_inf": -math.inf, "zero": 0.0,
    "minus_zero": -0.0, "smallest": 5e-324,
    "subnormal": 2.225073858507201e-308, "normal": 2.2250738585072014e-308,
    "largest": LARGEST, "minus_largest": -LARGEST, "below": 2.0 ** 53 - 1,
    "at": 2.0 ** 53, "above": 2.0 ** 53 + 2, "minus_below": 1 - 2.0 ** 53,
    "minus_above": -2 - 2.0 ** 53, "integer_below": 2.0 ** 53 - 1,
    "integer_at": 2.0 ** 53, "integer_above": 2.0 ** 53,
    "integer_least": -2.0 ** 63, "tenth": 0.1, "third": 1 / 3, "million": 1e6,
    "long": 123456789012.0, "e21": 1e21, "e22": 1e22, "e23": 1e23,
    "small": 1e-5, "smaller": 1.5e-7, "two63": 2.0 ** 63, "two64": 2.0 ** 64,
    "epsilon": 1.0000000000000002}

WIDE = {f"label_{n}": f'value "{n}"' for n in range(1, 1000)}
UTF8_NAME = 'golden "name"\\\n{x="y"} \N{GRINNING FACE}'
UTF8_LABEL = 'l"a\\b\n,=} é'

def simple(name, kind, help, *series, **more):
    """SERIES: (labels, value)."""
    return Family(name, kind, help, series=[
        (labels, {"value": float(value)}) for labels, value in series], **more)


def distribution(sum, count, buckets=None, **more):
    return {"sum": float(sum), "count": float(count),
            **(cumulative(buckets, count) if buckets else {}), **more}


def native(schema, zero_count, threshold=2.0 ** -128, **sides):
    point = {"schema": float(schema), "zero_threshold": threshold,
             "zero_count": float(zero_count)}
    for sign, buckets in sides.items():
        for index, count in buckets.items():
            point[sign, index] = float(count)
    return point


def counted(now):
    """The families of `count` in golden.lua; it counted at NOW."""
    own = {"created": now}
    trace = (None, {"trace_id": "4bf9", "span.id": "é"}, 0.5, now)
    quoted = (None, {"trace_id": '"\\\n'}, 3.0, now)
    sizes = distribution(1 + 2 + 2.5 + 1000 + 1.5 + 1e9, 7, {
        0.5: 1, 1: 2, 2: 4, 1e6: 6}, **own)
    return [
        Family("golden_counted_total", "counter", "Counted here.", series=[
            ({"method": "GET"}, {"value": 2.5, **own, "exemplars": [trace]}),
            ({"method": "PUT"}, {"value": 3.0, **own, "exemplars": [quoted]}),
            ({"method": "DELETE"}, {"value": 7.0, **own})]),
        Family("golden_bare", "counter", "A counter without _total.",
               series=[({}, {"value": 5.0, **own})]),
        Family("golden_size_bytes", "histogram", "Classic.", "bytes", [
            ({"way": "in"}, {
                **sizes, "exemplars": [
                    (2.0, {"trace_id": "a"}, 1.5, now),
                    (math.inf, {"trace_id": "b", "n": "2"}, 1e9, now)]}),
            ({"way": "out"}, {
                **distribution(3, 1, {0.5: 0, 1: 0, 2: 0, 1e6: 1}, **own),
                "exemplars": [(1e6, {}, 3.0, now)]})]),
        Family("golden_native_seconds", "histogram", "Native.", series=[({}, {
            **distribution(2000003, 10, **own), ("bucket", math.inf): 10.0,
            **native(3, 2, positive={-8: 2, 0: 1, 8: 1, 13: 1, 160: 2},
                     negative={16: 1})})], native=True, classic=False),
        Family("golden_both_seconds", "histogram", "Both.", series=[
            ({"l": "x"}, {
                **distribution(0.7 + 1 + 1.5 + 100 + 5, 5, {1: 2, 10: 4}),
                **own, **native(0, 0, positive={0: 2, 1: 1, 3: 1, 7: 1}),
                "exemplars": [(10.0, {"trace_id": "c"}, 5.0, now)]})],
            native=True),
        Family("golden_latency_seconds", "summary", "A window.", series=[
            ({"l": "r"}, {
                **distribution(5050, 100, **own), ("quantile", 0.0): near(1, E),
                ("quantile", 0.5): Within(50 * (1 - E), 51 * (1 + E)),
                ("quantile", 0.99): Within(99 * (1 - E), 100 * (1 + E)),
                ("quantile", 1.0): near(100, E)})]),
        Family("golden_plain_seconds", "summary", "No quantiles.",
               series=[({}, distribution(1262.5, 100, **own))]),
        Family("golden.size", "histogram", "Dots.", series=[
            ({"a:b": "in"}, distribution(0.25, 1, {1: 1}, **own))]),
    ]


MIRRORED = [
    Family("golden_mirrored_total", "counter", "Counted elsewhere.",
           series=[({}, {"value": 42.0, "created": 1700000000.25})]),
    Family("golden_mirrored_seconds", "histogram", "Kept elsewhere.",
           "seconds", [
        ({"l": "a"}, distribution(3.5, 17, {0.1: 8, 1: 12},
                                  created=1600000000.5)),
        ({"l": "b"}, distribution(0.5, 2.0 ** 53 - 1,
                                  {0.1: 0, 1: 2.0 ** 53 - 1}))]),
    Family("golden_wait_seconds", "summary", "Mirrored.", series=[
        ({}, distribution(9.25, 4, **{}) | {
            ("quantile", 0.5): 1.0, ("quantile", 1.0): math.nan})]),
    Family("golden_age_seconds", "gaugehistogram", "Ages.", series=[
        ({"l": "mirrored"}, distribution(12, 3, {-1: 0, 0: 0, 10: 2})),
        ({"l": "observed"}, distribution(19, 5, {-1: 1, 0: 2, 10: 4}))]),
    Family("golden_timed", "gauge", "With times.", series=[
        ({"l": "a"}, {"value": 1.0, "timestamp": 1700000000.125}),
        ({"l": "b"}, {"value": 2.0, "timestamp": 0.001}),
        ({"l": "c"}, {"value": 3.0})]),
    simple("golden_hostile", "gauge",
           'Back\\slash, "quotes",\nline feed, \\n, €, \N{GRINNING FACE}.',
           *(({"text": text}, n) for n, text in enumerate(HOSTILE, 1))),
    simple("golden_version_info", "info", "Texts.",
           *(({"text": text, "v": "x"}, 1) for text in HOSTILE)),
    simple("golden_values", "gauge", "Numbers.",
           *(({"n": name}, value) for name, value in VALUES.items())),
    simple("golden_wide", "gauge", "Many labels.", (WIDE, 1)),
    simple("golden_many", "gauge", "Many series.",
           *(({"n": str(n)}, n) for n in range(1, 1001))),
    Family("golden_empty", "gauge", "Nobody sets it."),
    Family("golden_mode", "stateset", "No labels.", series=states(
        "golden_mode", ["on", "off", 'o"d\\d\n'], 'o"d\\d\n')),
    Family("golden_state", "stateset", "One label.", series=[
        s for device, on in (("lamp", "on"), ("la\nmp", "an-\N{GRINNING FACE}"))
        for s in states("golden_state", ["on", "", "an-\N{GRINNING FACE}"], on,
                        {"device": device})]),
    simple("golden_unknown", "unknown", "What is it?", ({}, -0.0)),
    simple("golden_clash", "gauge", "Beside the next.", ({}, 1)),
    simple("golden.http.requests_total", "counter", "Dots.",
           ({"http.method": "GET", "http_path": '/"'}, 6)),
    simple(UTF8_NAME, "gauge", "Hostile.", ({UTF8_LABEL: "v"}, 7)),
    Family("2golden.é", "stateset", "A digit first.", series=states(
        "2golden.é", ["a", "b"], "b", {"1st": "w"})),
]


def table(now):
    clash = Family("golden_clash_total", "counter", "Beside the one before.",
                   series=[({}, {"value": 0.0, "created": now})], clashes=True)
    families = [*counted(now), *MIRRORED, clash]
    for family in families:
        family.series = [({**labels, **SITE}, point)
                         for labels, point in family.series]
    return families
