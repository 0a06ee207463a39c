# SPDX-License-Identifier: Apache-2.0
"""A reader of the text formats that takes nothing but what the specifications
have: Prometheus text 0.0.4 and 1.0.0 (TEXT), OpenMetrics 1.0 (OPENMETRICS) and
2.0 (OPENMETRICS2), names in quotes included. It says what an exposition says
(facts.py), or raises Malformed. Sources: exposition_formats, open_metrics_spec
and open_metrics_spec_2_0 of prometheus.io/docs.
"""

import math
import re

from spec.e2e.facts import Facts

TEXT, OPENMETRICS, OPENMETRICS2 = "text", "openmetrics", "openmetrics2"

LEGACY = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
                    r"|[+-]Inf|NaN")
TIME = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
MILLISECONDS = re.compile(r"-?[0-9]+")
QUOTED = re.compile(r'"((?:[^"\\\n]|\\[n"\\])*)"')
HELP = re.compile(r"(?:[^\\\n]|\\[n\\])*")
HELP_QUOTED = re.compile(r'(?:[^"\\\n]|\\[n"\\])*')
UNESCAPED = {"\\n": "\n", "\\\\": "\\", '\\"': '"'}

TYPES = {
    TEXT: {"counter", "gauge", "histogram", "summary", "untyped"},
    OPENMETRICS: {"counter", "gauge", "histogram", "gaugehistogram", "summary",
                  "info", "stateset", "unknown"},
}
TYPES[OPENMETRICS2] = TYPES[OPENMETRICS]

# What may stand behind the name of a family in the names of its samples.
SUFFIXES = {
    TEXT: {"histogram": ("_bucket", "_sum", "_count"),
           "summary": ("", "_sum", "_count")},
    OPENMETRICS: {
        "counter": ("_total", "_created"), "info": ("_info",),
        "histogram": ("_bucket", "_sum", "_count", "_created"),
        "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
        "summary": ("", "_sum", "_count", "_created")},
    OPENMETRICS2: {},
}

COMPOSITE = {"histogram", "gaugehistogram", "summary"}

# What may have exemplars, and of how many characters at most their labels are
# in OpenMetrics 1.
EXEMPLARS = {"counter", "histogram", "gaugehistogram"}
EXEMPLAR_CHARACTERS = 128

UNITLESS = {"info", "stateset"}


class Malformed(ValueError):
    pass


def unescape(text):
    return re.sub(r'\\[n"\\]', lambda m: UNESCAPED[m[0]], text)


def number(text):
    return float(text.replace("Inf", "inf"))


class Cursor:
    """What is left of a line."""

    def __init__(self, line):
        self.line, self.at = line, 0

    def fail(self, what):
        raise Malformed(f"{what} at {self.at} in {self.line[:300]!r}")

    def take(self, pattern, what):
        match = pattern.match(self.line, self.at)
        if not match:
            self.fail(f"no {what}")
        self.at = match.end()
        return match

    def skip(self, text):
        found = self.line.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def want(self, text):
        if not self.skip(text):
            self.fail(f"no {text!r}")

    def end(self):
        if self.at != len(self.line):
            self.fail("more than expected")

    def quoted(self, legacy):
        """A name in quotes, which must need them."""
        name = unescape(self.take(QUOTED, "quoted name")[1])
        if not name or legacy.fullmatch(name):
            self.fail("quotes around a name that needs none")
        return name

    def label(self, into):
        name = self.quoted(LABEL) if self.line.startswith('"', self.at) else \
            self.take(LABEL, "label")[0]
        self.want("=")
        if name in into:
            self.fail(f"label {name} twice")
        into[name] = unescape(self.take(QUOTED, "value of a label")[1])

    def labels(self, into):
        """Up to the brace that closes."""
        while not self.skip("}"):
            if into:
                self.want(",")
            self.label(into)

    def name_and_labels(self):
        labels = {}
        if not self.skip("{"):
            name = self.take(LEGACY, "name")[0]
            if self.skip("{"):
                self.label(labels)  # none: no braces
                self.labels(labels)
            return name, labels
        name = self.quoted(LEGACY)
        while not self.skip("}"):
            self.want(",")
            self.label(labels)
        return name, labels

    def time(self, pattern=TIME):
        return float(self.take(pattern, "time")[0])

    def exemplar(self, time_is_optional):
        labels = {}
        self.want("{")
        self.labels(labels)
        self.want(" ")
        value = number(self.take(NUMBER, "value")[0])
        time = None
        if self.skip(" "):
            time = self.time()
        elif not time_is_optional:
            self.fail("an exemplar without its time")
        return frozenset(labels.items()), value, time

    # ---- composite values ----

    def pair(self, key):
        """key:number"""
        self.want(key + ":")
        return number(self.take(NUMBER, key)[0])

    def list(self, key, element):
        self.want(key + ":[")
        found = []
        while not self.skip("]"):
            if found:
                self.want(",")
            found.append(element())
        return found

    def two(self):
        """number:number"""
        first = self.take(NUMBER, "number")[0]
        self.want(":")
        return number(first), number(self.take(NUMBER, "number")[0])

    def value(self):
        return number(self.take(NUMBER, "number")[0])

    def side(self, sign):
        """Spans and buckets of a native histogram: index -> count."""
        spans = self.list(f"{sign}_spans", self.two)
        self.want(",")
        counts = self.list(f"{sign}_buckets", self.value)
        found, index = {}, 0
        for n, (offset, length) in enumerate(spans):
            if (n and offset < 0) or length < 1:
                self.fail("a span that goes back, or is empty")
            index += int(offset)
            for _ in range(int(length)):
                if not counts:
                    self.fail("fewer buckets than the spans say")
                found[index] = counts.pop(0)
                index += 1
        if counts:
            self.fail("more buckets than the spans say")
        return found

    def composite(self, kind):
        """-> what, and its value, one by one. The brace is behind us."""
        g = "g" if kind == "gaugehistogram" else ""
        yield "count", self.pair(g + "count")
        self.want(",")
        yield "sum", self.pair(g + "sum")
        if kind == "summary":
            self.want(",")
            for rank, value in self.list("quantile", self.two):
                yield ("quantile", rank), value
        elif kind in ("histogram", "gaugehistogram"):
            yield from self.buckets()
        else:
            self.fail(f"a composite value of type {kind}")
        self.want("}")

    def buckets(self):
        self.want(",")
        if self.line.startswith("schema:", self.at):
            yield "schema", self.pair("schema")
            for key in ("zero_threshold", "zero_count"):
                self.want(",")
                yield key, self.pair(key)
            more = self.skip(",")
            for sign in ("negative", "positive"):
                if more and self.line.startswith(sign, self.at):
                    for index, count in self.side(sign).items():
                        if count:
                            yield (sign, index), count
                    more = self.skip(",")
            if not more:
                return
        for le, count in self.list("bucket", self.two):
            yield ("bucket", le), count


class Reader:
    """One exposition, line by line. Families are closed when the next begins,
    and may not come again."""

    def __init__(self, form):
        self.form = form
        self.facts = Facts()
        self.seen = set()
        self.samples = set()
        self.family = None

    def read(self, text):
        if text and not text.endswith("\n"):
            raise Malformed("no line feed at the end")
        lines = text.split("\n")[:-1]
        if self.form != TEXT:
            if not lines or lines.pop() != "# EOF":
                raise Malformed("no # EOF at the end")
        for line in lines:
            if line.startswith("#"):
                self.comment(Cursor(line))
            else:
                self.sample(Cursor(line))
        self.close()
        return self.facts

    # ---- families ----

    def open(self, name, cursor):
        self.close()
        if name in self.seen:
            cursor.fail(f"{name} again")
        self.seen.add(name)
        self.family = Open(name, self.form)

    def close(self):
        if self.family:
            self.family.say(self.facts)
            for name in self.family.names:
                if name in self.samples:
                    raise Malformed(f"{name} is of two families")
                self.samples.add(name)
        self.family = None

    def comment(self, cursor):
        cursor.want("# ")
        what = cursor.take(re.compile("HELP|TYPE|UNIT"), "HELP, TYPE or UNIT")
        what = what[0].lower()
        cursor.want(" ")
        name = cursor.quoted(LEGACY) if cursor.line.startswith('"', cursor.at) \
            else cursor.take(LEGACY, "name")[0]
        cursor.want(" ")
        if not self.family or self.family.name != name:
            self.open(name, cursor)
        self.family.describe(what, cursor)

    def sample(self, cursor):
        name, labels = cursor.name_and_labels()
        if not self.family or not self.family.takes(name):
            self.open(name, cursor)
        self.family.sample(name, labels, cursor)


class Open:
    """A family that is being read."""

    def __init__(self, name, form):
        self.name, self.form = name, form
        self.about = {}
        self.points = {}   # labels -> what -> value
        self.last = None   # labels of the last sample
        self.exemplars = []

    @property
    def type(self):
        return self.about.get(
            "type", "untyped" if self.form == TEXT else "unknown")

    @property
    def suffixes(self):
        return SUFFIXES[self.form].get(self.type, ("",))

    @property
    def names(self):
        """Those that it may have in the exposition."""
        return {self.name} | {self.name + s for s in self.suffixes}

    @property
    def full_name(self):
        suffix = {"counter": "_total", "info": "_info"}.get(self.type, "")
        return self.name + (suffix if self.form == OPENMETRICS else "")

    def describe(self, what, cursor):
        if what in self.about or self.points:
            cursor.fail(f"{what} twice, or behind samples")
        if what == "type":
            self.about[what] = cursor.take(re.compile(r"[a-z]+"), "type")[0]
            if self.type not in TYPES[self.form]:
                cursor.fail("no such type")
        elif what == "unit" and self.form == TEXT:
            cursor.fail("a unit")
        else:
            pattern = HELP if self.form == TEXT else HELP_QUOTED
            self.about[what] = unescape(cursor.take(pattern, what)[0])
        cursor.end()

    def takes(self, name):
        return name in {self.name + s for s in self.suffixes}

    # ---- samples ----

    def sample(self, name, labels, cursor):
        suffix = name[len(self.name):]
        extra = self.extra(suffix, labels, cursor)
        key = frozenset(labels.items())
        if key in self.points and key != self.last:
            cursor.fail("metrics mixed")
        self.last = key
        point = self.points.setdefault(key, {})
        cursor.want(" ")
        if self.form == OPENMETRICS2 and cursor.skip("{"):
            for what, value in cursor.composite(self.type):
                self.state(point, what, value, cursor)
        elif self.form == OPENMETRICS2 and self.type in COMPOSITE:
            cursor.fail("no composite value")
        else:
            self.state(point, extra, cursor.value(), cursor)
        self.rest(key, point, extra, cursor)
        cursor.end()

    def state(self, point, what, value, cursor):
        if what in point:
            cursor.fail(f"{what} twice")
        point[what] = value

    def extra(self, suffix, labels, cursor):
        """What a sample says of its series."""
        what = suffix.replace("_g", "_").lstrip("_")
        if what == "bucket":
            return "bucket", self.canonical(labels, "le", cursor)
        if self.type == "summary" and not suffix and self.form != OPENMETRICS2:
            return "quantile", self.canonical(labels, "quantile", cursor)
        return what if what in ("sum", "count", "created") else "value"

    def canonical(self, labels, name, cursor):
        if name not in labels:
            cursor.fail(f"no {name}")
        text = labels.pop(name)
        if not NUMBER.fullmatch(text):
            cursor.fail(f"{name}={text} is no number")
        value = number(text)
        plain = self.form == OPENMETRICS and math.isfinite(value)
        if plain and "." not in text and "e" not in text:
            cursor.fail(f"{name}={text} is not canonical")
        return value

    def rest(self, key, point, extra, cursor):
        """Times and exemplars."""
        if self.form == TEXT:
            if cursor.skip(" "):
                time = cursor.time(MILLISECONDS) / 1000
                self.time(point, time, cursor)
            return
        if re.compile(r" -?[0-9]").match(cursor.line, cursor.at):
            cursor.want(" ")
            self.time(point, cursor.time(), cursor)
        if self.form == OPENMETRICS2 and cursor.skip(" st@"):
            self.state(point, "created", cursor.time(), cursor)
        while cursor.skip(" # "):
            found = cursor.exemplar(self.form == OPENMETRICS)
            self.check_exemplar(extra, found[0], cursor)
            self.exemplars.append((key, extra, found))
            if self.form == OPENMETRICS:
                break

    def check_exemplar(self, extra, labels, cursor):
        if self.type not in EXEMPLARS:
            cursor.fail(f"an exemplar of type {self.type}")
        if self.form != OPENMETRICS:
            return
        if extra != "value" and extra[0] != "bucket":
            cursor.fail(f"an exemplar of a {extra}")
        if sum(len(n) + len(v) for n, v in labels) > EXEMPLAR_CHARACTERS:
            cursor.fail("an exemplar that is too long")

    def time(self, point, time, cursor):
        if point.setdefault("timestamp", time) != time:
            cursor.fail("two times of one point")

    # ---- when all is read ----

    def say(self, facts):
        name = self.full_name
        for what in ("type", "help", "unit"):
            if self.about.get(what):
                facts.say((name, what), self.about[what])
        unit = self.about.get("unit")
        if unit and self.form == OPENMETRICS and \
                not self.name.endswith("_" + unit):
            raise Malformed(f"{self.name} does not end in its unit {unit}")
        if unit and self.type in UNITLESS:
            raise Malformed(f"{self.name}: a unit of type {self.type}")
        for labels, point in self.points.items():
            self.check(labels, point)
            for what, value in point.items():
                facts.say((name, labels, what), value)
        for labels, extra, (own, value, time) in self.exemplars:
            le = self.bucket_of(labels, extra, value)
            facts.exemplar(name, labels, le, own, value, time)

    def bucket_of(self, labels, extra, value):
        bounds = sorted(what[1] for what in self.points[labels]
                        if what[0] == "bucket")
        if self.type == "counter":
            return None
        if not bounds:
            return math.inf
        le = next((b for b in bounds if value <= b), math.inf)
        if isinstance(extra, tuple) and extra != ("bucket", le):
            raise Malformed(f"{self.name}: exemplar {value} in {extra}")
        return le

    def check(self, labels, point):
        where = f"{self.name}{dict(labels)}"
        if self.type in ("counter", "info", "stateset") and \
                "value" not in point:
            raise Malformed(f"{where}: no value")
        if self.type == "counter" and not point["value"] >= 0:
            raise Malformed(f"{where}: a counter of {point['value']}")
        if self.type == "info" and point["value"] != 1:
            raise Malformed(f"{where}: {point['value']} is not 1")
        if self.type == "stateset":
            if self.name not in dict(labels) or point["value"] not in (0, 1):
                raise Malformed(f"{where}: no state")
        if "histogram" in self.type:
            self.check_buckets(where, point)
        if self.form != TEXT and self.type in COMPOSITE:
            self.check_counts(where, point)
        if self.form == OPENMETRICS and self.type in COMPOSITE:
            self.check_sum(where, point)

    def check_counts(self, where, point):
        """What counts is a number from 0 on, and what a quantile is of is
        none beyond 1."""
        for what, value in point.items():
            if (what == "count" or what[0] == "bucket") and not value >= 0:
                raise Malformed(f"{where}: {what} is {value}")
            if what[0] == "quantile" and not 0 <= what[1] <= 1:
                raise Malformed(f"{where}: no such quantile")

    def check_sum(self, where, point):
        """A sum is one of what may be negative only where buckets say so, and
        then a counter has none."""
        total = point.get("sum", 0)
        negative = any(w[0] == "bucket" and w[1] < 0 for w in point)
        if math.isnan(total) or (total < 0 and not negative):
            raise Malformed(f"{where}: a sum of {total}")
        if any(w[0] == "quantile" and v < 0 for w, v in point.items()):
            raise Malformed(f"{where}: a negative quantile")
        if self.type == "summary":
            return
        if ("sum" in point) != ("count" in point):
            raise Malformed(f"{where}: a sum or a count alone")
        if self.type == "histogram" and negative and "sum" in point:
            raise Malformed(f"{where}: a sum beside negative buckets")

    def check_buckets(self, where, point):
        buckets = [(w[1], v) for w, v in point.items() if w[0] == "bucket"]
        if buckets != sorted(buckets) or \
                sorted(v for _, v in buckets) != [v for _, v in buckets]:
            raise Malformed(f"{where}: buckets that are not in order")
        if not buckets and self.form == OPENMETRICS2 and "schema" in point:
            return
        if not buckets or buckets[-1][0] != math.inf:
            raise Malformed(f"{where}: no bucket +Inf")
        if buckets[-1][1] != point.get("count", buckets[-1][1]):
            raise Malformed(f"{where}: count is not what the buckets have")


def read(text, form):
    return Reader(form).read(text)
