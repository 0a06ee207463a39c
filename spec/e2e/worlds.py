# SPDX-License-Identifier: Apache-2.0
"""Random registries: families of all types, with labels, values and operations
that nobody would choose, as a script and as what it must show (truth.py). What
is counted goes on from one batch of operations to the next; what is mirrored is
stated anew in each.
"""

import bisect
import decimal
import math
import struct

from spec.e2e.facts import Within
from spec.e2e.truth import Family, cumulative

PIECES = ["", "a", "b", "Z", "0", "9", " ", "\\", '"', "\n", "\t", "\r", "{",
          "}", ",", "=", "#", "é", "日", "\N{GRINNING FACE}", "\0", "\x7f",
          "\u2028", "\ufeff", "\\n", "+Inf", "\U0010ffff", "/", ":", "."]
NAME_PIECES = ["a", "b", "Z", "_", "foo"]
UTF8_PIECES = NAME_PIECES + [".", "-", "é", " ", '"', "\\", "\n", "日", "=",
                             "}", ",", ":", "\N{GRINNING FACE}"]
SPECIAL = [0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
           math.inf, -math.inf, math.nan, 2.0 ** 53, 2.0 ** 53 - 1,
           2.0 ** 53 + 2, 2.0 ** 63, 0.1, 1 / 3, 1e21, 1e22, 1e23, -1e-7, 1e6]
E = 0.0055  # relative error of quantiles
NATIVE_EXEMPLARS = 10  # kept by a native histogram without classic buckets


def lua_number(x):
    if math.isnan(x):
        return "(0/0)"
    if math.isinf(x):
        return "math.huge" if x > 0 else "-math.huge"
    return x.hex()


def lua_text(s):
    return '"' + "".join(f"\\{b:03d}" for b in s.encode()) + '"'


def lua_table(pairs):
    return "{" + ", ".join(f"[{k}] = {v}" for k, v in pairs) + "}"


def lua_labels(labels):
    return lua_table((lua_text(k), lua_text(v)) for k, v in labels.items())


# ---- native histograms, the second time ----

decimal.getcontext().prec = 50


def native_index(value, schema):
    """Of the bucket of a positive VALUE: base^(i-1) < value <= base^i."""
    if math.isinf(value):
        return native_index(1.7976931348623157e308, schema) + 1
    mantissa, exponent = math.frexp(value)
    if mantissa == 0.5:
        log2 = decimal.Decimal(exponent - 1)
    else:
        log2 = decimal.Decimal(mantissa).ln() / decimal.Decimal(2).ln() + \
            exponent
    return math.ceil(log2 * decimal.Decimal(2) ** schema)


def native_schema(factor):
    return min(8, max(-4, -math.floor(math.log2(math.log2(factor)))))


def native_point(values, options):
    """The finest schema that has room for all."""
    schema = native_schema(options["factor"])
    threshold = options["zero_threshold"]
    outside = [v for v in values if abs(v) > threshold]
    while True:
        buckets = {}
        for v in outside:
            key = ("positive" if v > 0 else "negative",
                   native_index(abs(v), schema))
            buckets[key] = buckets.get(key, 0.0) + 1
        if len(buckets) <= options["max_buckets"] or schema == -4:
            break
        schema -= 1
    return {**buckets, "schema": float(schema), "zero_threshold": threshold,
            "zero_count": float(len(values) - len(outside))}


def quantile(values, q):
    """What an estimate may be: around an observation of that rank."""
    values = sorted(values)
    last = len(values) - 1
    ranks = [math.floor(q * last), math.ceil(q * last),
             math.ceil(q * len(values)) - 1]
    near = [values[min(last, max(0, rank))] for rank in ranks]
    low, high = min(near), max(near)
    return Within(low - abs(low) * E, high + abs(high) * E)


class Series:
    """One that is counted: what happened to it."""

    def __init__(self):
        self.value = 0.0
        self.observed = []
        self.traces = 0
        self.exemplars = {}  # slot -> (bucket, labels, value)


class Declared:
    """A random family. `lua` collects statements of the present batch."""

    def __init__(self, world, number):
        self.world, self.random = world, world.random
        r = self.random
        self.kind = r.choice(("counter", "gauge", "histogram", "gaugehistogram",
                              "summary", "info", "stateset", "unknown"))
        self.utf8 = r.random() < 0.3
        self.name = self.random_name(f"f{number}x") + self.suffix()
        self.help = world.text(6).replace("\0", "").strip()
        self.labels = [self.random_name(f"l{n}x") for n in range(r.choice(
            (0, 1, 1, 2, 3, 7)))]
        self.states = self.bounds = self.quantiles = ()
        self.native = None
        # The parser of the Python client takes all infos for one metric.
        self.times = self.kind not in ("stateset", "info") and \
            r.random() < 0.2
        self.counted = self.kind in ("counter", "histogram", "summary") and \
            not self.times and r.random() < 0.6
        getattr(self, f"with_{self.kind}", lambda: None)()
        self.series = {}  # label values -> Series, of what is counted
        self.points = {}  # label values -> point, of what is mirrored

    # ---- the declaration ----

    def random_name(self, begin):
        pieces = UTF8_PIECES if self.utf8 else NAME_PIECES
        return begin + "".join(self.random.choices(
            pieces, k=self.random.randrange(4))) + "z"

    def suffix(self):
        if self.kind == "counter":
            return "_total" if self.random.random() < 0.8 else ""
        return "_info" if self.kind == "info" else ""

    def with_stateset(self):
        self.states = self.world.texts(self.random.randrange(1, 6))
        self.name = self.name.replace(":", ".")

    def some_bounds(self, least):
        count = self.random.randrange(0, 8)
        return sorted({self.random.choice((
            least, 0.0, 0.005, 0.1, 1.0, 2.5, 10.0, 1e6, 1e-5,
            self.random.uniform(least, 100))) for _ in range(count)})

    def with_histogram(self):
        self.bounds = self.some_bounds(0.0)
        # What is mirrored has no native buckets.
        if self.counted and self.random.random() < 0.6:
            self.native = {
                "factor": self.random.choice((1.005, 1.1, 1.5, 2, 20, 1e6)),
                "max_buckets": self.random.choice((20, 40, 160)),
                "zero_threshold": self.random.choice((2.0 ** -128, 0.0, 0.01))}
        if self.native and self.random.random() < 0.5:
            self.bounds = None  # native only

    def with_gaugehistogram(self):
        self.bounds = self.some_bounds(-10.0)

    def with_summary(self):
        self.quantiles = sorted(self.random.sample(
            (0.0, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0), self.random.randrange(4)))

    def lua_declaration(self):
        said = [lua_text(self.help),
                "labels = {" + ", ".join(map(lua_text, self.labels)) + "}"]
        if self.states:
            said.append(f"states = {{{', '.join(map(lua_text, self.states))}}}")
        if self.bounds or (self.kind == "histogram" and not self.native):
            said.append("buckets = {" + ", ".join(map(lua_number, self.bounds))
                        + "}")
        elif self.bounds is not None and "histogram" in self.kind:
            said.append("buckets = {}")
        if self.native:
            said.append("native = {" + ", ".join(
                f"{k} = {lua_number(float(v)) if k != 'max_buckets' else v}"
                for k, v in self.native.items()) + "}")
        if self.quantiles:
            said.append("quantiles = {" + ", ".join(
                map(lua_number, self.quantiles)) + "}")
        if self.times:
            said.append("timestamps = true")
        return f"metric.{self.kind} {{ {', '.join(said)} }}"

    # ---- operations ----

    def call(self, method, values, *arguments):
        """The statement m.name:method(arguments..., labels..., last)."""
        *first, last = arguments
        args = [*first, *map(lua_text, values), *([last] if last else [])]
        return f"m[{lua_text(self.name)}]:{method}({', '.join(args)})"

    def key(self, fresh=0.5):
        known = list(self.series if self.counted else self.points)
        if known and (not self.labels or self.random.random() > fresh):
            return self.random.choice(known)
        return tuple(self.world.text() for _ in self.labels)

    def batch(self):
        """The statements of one batch."""
        if self.counted:
            return [self.count() for _ in range(self.random.randrange(12))]
        self.points = {}
        many = self.random.choice((0, 1, 2, 5, 5, 5))
        if self.random.random() < 0.03:
            many = 530  # more than a chunk has
        return [s for _ in range(many) for s in self.mirror(self.key(1))]

    def count(self):
        key = self.key()
        if key in self.series and self.random.random() < 0.1:
            del self.series[key]
            return self.call("remove", key, None)
        series = self.series.setdefault(key, Series())
        trace, value = self.random_exemplar(), self.amount()
        if self.kind == "counter":
            series.value += value
            slot = None
        else:
            series.observed.append(value)
            slot = self.slot(value)
        if trace is not None and self.kind != "summary":
            if self.native_only:
                series.traces += 1
                series.exemplars.pop(series.traces - NATIVE_EXEMPLARS, None)
                series.exemplars[series.traces] = (slot, trace, value)
            else:
                series.exemplars[slot] = (slot, trace, value)
            return self.call(self.verb, key, lua_number(value),
                             lua_labels(trace))
        return self.call(self.verb, key, lua_number(value), None)

    @property
    def native_only(self):
        return self.native and not self.bounds

    @property
    def verb(self):
        return "inc" if self.kind == "counter" else "observe"

    def amount(self):
        """Of an increment or observation."""
        r = self.random
        value = r.choice((0.0, 1.0, 0.1, 1 / 3, 2.5, 10.0, 1024.0, 1e-5,
                          r.uniform(0, 100), 2 ** r.uniform(-20, 20),
                          float(r.randrange(2 ** 40))))
        if self.kind == "histogram" and r.random() < 0.02:
            return math.inf
        return value

    def random_exemplar(self):
        if self.random.random() > 0.3:
            return None
        # For the parser of the Python client, a brace always ends them.
        return {self.random_name(f"e{n}x"):
                self.world.text(5).replace("\0", "").replace("}", "]")
                for n in range(self.random.randrange(3))}

    def slot(self, value):
        bounds = [*(self.bounds or ()), math.inf]
        return bounds[bisect.bisect_left(bounds, value)]

    def mirror(self, key):
        """States a series anew; gauge histograms may observe instead."""
        if key in self.points:
            return
        options, point = self.random_times()
        more = lua_table((f'"{k}"', v) for k, v in options.items()) \
            if options else None
        value = getattr(self, f"mirror_{self.kind}", self.mirror_simple)(
            key, point)
        self.points[key] = point
        if isinstance(value, list):
            yield from value
        else:
            yield self.call("set", key, value, more)

    def random_times(self):
        options, point = {}, {}
        if self.times and self.random.random() < 0.7:
            time = self.random.randrange(1, 2 * 10 ** 12) / 1000
            options["timestamp"], point["timestamp"] = lua_number(time), time
        if self.kind in ("counter", "histogram", "summary") and \
                self.random.random() < 0.5:
            time = self.random.randrange(1, 2 * 10 ** 12) / 1000
            options["created"], point["created"] = lua_number(time), time
        return options, point

    def number(self):
        r = self.random
        if self.kind == "counter":
            return abs(r.choice((self.amount(), float(r.randrange(2 ** 60)))))
        bits, = struct.unpack("d", r.randbytes(8))
        return r.choice((r.choice(SPECIAL), bits, r.uniform(-1e6, 1e6),
                         float(r.randrange(-1000, 1000))))

    def mirror_simple(self, _, point):
        point["value"] = self.number()
        return lua_number(point["value"])

    def mirror_info(self, _, point):
        point["value"] = 1.0
        return "1"

    def mirror_stateset(self, _, point):
        point["state"] = self.random.choice(self.states)
        return lua_text(point["state"])

    def mirror_histogram(self, _, point):
        counts = sorted(self.random.choices(
            (0, 1, 2, 17, 10 ** 6, 2 ** 53 - 1), k=len(self.bounds) + 1))
        total = abs(self.amount()) if counts[-1] else 0.0
        point.update(sum=total, count=float(counts[-1]),
                     **{})
        point.update(cumulative(dict(zip(self.bounds, counts)), counts[-1]))
        buckets = lua_table(zip(map(lua_number, self.bounds),
                                map(str, counts)))
        return (f"{{ sum = {lua_number(total)}, count = {counts[-1]}, "
                f"buckets = {buckets} }}")

    def mirror_gaugehistogram(self, key, point):
        if self.times or self.random.random() < 0.5:
            return self.mirror_histogram(key, point)
        values = [self.random.uniform(-1, 1) * self.amount() for _ in range(3)]
        values = [v if math.isfinite(v) else 1.0 for v in values]
        if sum(values) < 0:
            values.append(1e15)  # a sum below 0 is for bounds below 0
        self.distribute(point, values)
        return [self.call("observe", key, lua_number(v), None) for v in values]

    def mirror_summary(self, _, point):
        values = [abs(self.amount()) for _ in self.quantiles]
        count = self.random.randrange(1000)
        total = abs(self.amount())
        point.update(sum=total, count=float(count))
        point.update({("quantile", q): v
                      for q, v in zip(self.quantiles, values)})
        ranks = lua_table(zip(map(lua_number, self.quantiles),
                              map(lua_number, values)))
        return (f"{{ sum = {lua_number(total)}, count = {count}, "
                f"quantiles = {ranks} }}")

    # ---- the truth ----

    def distribute(self, point, values):
        total = 0.0
        for v in values:
            total += v
        counts = {le: sum(v <= le for v in values)
                  for le in (self.bounds or ())}
        point.update(sum=total, count=float(len(values)))
        point.update(cumulative(counts, len(values)))

    def counted_point(self, series, created):
        point = {"created": created, "exemplars": [
            (*said, created) for said in series.exemplars.values()]}
        if self.kind == "counter":
            point["value"] = series.value
        elif self.kind == "histogram":
            self.distribute(point, series.observed)
            if self.native:
                point.update(native_point(series.observed, self.native))
        else:
            self.distribute(point, series.observed)
            del point["bucket", math.inf]
            for q in self.quantiles:
                point["quantile", q] = quantile(series.observed, q)
        return point

    def truth(self, created):
        shown = {k: self.counted_point(s, created)
                 for k, s in self.series.items()} if self.counted \
            else self.points
        series = [(dict(zip(self.labels, key)), point)
                  for key, point in shown.items()]
        if self.kind == "stateset":
            series = [({**labels, self.name: state},
                       {"value": float(state == point["state"])})
                      for labels, point in series for state in self.states]
        return Family(self.name, self.kind, self.help, series=series,
                      native=bool(self.native), classic=not self.native_only)


class World:
    def __init__(self, random):
        self.random = random
        self.families = [Declared(self, n)
                         for n in range(random.randrange(1, 14))]

    def text(self, most=4):
        return "".join(self.random.choices(
            PIECES, k=self.random.randrange(most + 1)))

    def texts(self, count):
        """Different ones, in random order."""
        found = {self.text().replace("\0", "") for _ in range(count)}
        return self.random.sample(sorted(found), len(found))

    def script(self, batches):
        """A script that does one batch more after each POST /next. What is
        counted in a batch is counted once; what is mirrored at each scrape."""
        once, always = [], []
        for _ in range(batches):
            one, every = [], []
            for family in self.families:
                (one if family.counted else every).extend(family.batch())
            once.append(one)
            always.append(every)
            yield None
        metrics = lua_table((lua_text(f.name), f.lua_declaration())
                            for f in self.families)
        yield SCRIPT % (functions(once), functions(always), metrics)

    def truth(self, created):
        return [family.truth(created) for family in self.families]


def functions(batches):
    return ",\n".join("function(m)\n" + "\n".join(statements) + "\nend"
                      for statements in batches)


SCRIPT = """
local metric = require "metric"
local once = { %s }
local always = { %s }
local batch = 0
return {
  name = "world",
  limits = { series = 1000000 }, -- one with quantiles counts as many
  metrics = %s,
  collect = function(m)
    if batch > 0 then always[batch](m) end
  end,
  routes = {
    ["POST /next"] = function(_, m)
      batch = batch + 1
      once[batch](m)
      return { status = 204 }
    end,
  },
}
"""
