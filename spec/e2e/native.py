# SPDX-License-Identifier: Apache-2.0
"""Observations, and whether a Prometheus that has them as a native histogram of
factor 1.1 says what is true of them. SERVER has query() and results()."""

import bisect
import math

BASE = 2 ** (1 / 8)  # the finest below 1.1
OBSERVED = [0.001 * 1.065 ** n for n in range(200)] + [-2.5, 0, 1e-300]


def bucket(value):
    """The bounds of the bucket that VALUE falls into."""
    upper = BASE ** math.ceil(math.log(abs(value), BASE))
    return (upper / BASE, upper) if value > 0 else (-upper, -upper / BASE)


def check_quantiles(case, server, name):
    case.assertEqual([len(OBSERVED)], server.query(f"histogram_count({name})"))
    total, = server.query(f"histogram_sum({name})")
    case.assertAlmostEqual(sum(OBSERVED), total, 6)
    values = sorted(OBSERVED)
    for q in (0.25, 0.5, 0.9, 0.99):
        found, = server.query(f"histogram_quantile({q}, {name})")
        low, high = bucket(values[math.ceil(q * len(values)) - 1])
        case.assertTrue(low * 0.999999 <= found <= high * 1.000001,
                        f"{q}: {found} is not from {low} to {high}")


def check_buckets(case, server, name):
    """Each holds what was observed within its bounds, and no other."""
    (_, histogram), = (r["histogram"] for r in server.results(name))
    values, counted = sorted(OBSERVED), 0
    for _, low, high, count in histogram["buckets"]:
        expected = bisect.bisect_right(values, float(high)) - \
            bisect.bisect_left(values, float(low))
        case.assertEqual(expected, int(count), (low, high))
        counted += expected
    case.assertEqual(len(OBSERVED), counted)
