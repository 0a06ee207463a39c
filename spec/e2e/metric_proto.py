# SPDX-License-Identifier: Apache-2.0
"""A reader of the Prometheus protobuf format whose decoder protoc generates
from the published metrics.proto, that of Debian's package
golang-github-prometheus-client-model-dev. What later versions of it have
besides is put in first: five fields. NEWER=False leaves the published one as it
is: what it does not know must not trouble it.
"""

import functools
import importlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.internal.decoder import _DecodeVarint

from spec.e2e.facts import Facts

PUBLISHED = Path("/usr/share/gocode/src/github.com/prometheus/client_model/io/"
                 "prometheus/client/metrics.proto")
TIMESTAMP = "optional google.protobuf.Timestamp created_timestamp"
LATER = {
    "Counter": f"{TIMESTAMP} = 3;",
    "Summary": f"{TIMESTAMP} = 4;",
    "Histogram": f"{TIMESTAMP} = 15; repeated Exemplar exemplars = 16;",
    "MetricFamily": "optional string unit = 5;",
}


@functools.cache
def generated(newer=True):
    """The module that protoc makes of it."""
    text = PUBLISHED.read_text()
    if newer:
        for message, fields in LATER.items():
            text, n = re.subn(rf"(?m)^message {message} {{", r"\g<0> " + fields,
                              text)
            if n != 1:
                raise ValueError(f"{PUBLISHED} has no message {message}")
    else:  # both may be loaded at a time
        text = text.replace("package io.prometheus.client;",
                            "package published;")
    name = "metrics_newer" if newer else "metrics_published"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, f"{name}.proto").write_text(text)
        subprocess.run(["protoc", f"--proto_path={folder}",
                        f"--python_out={folder}", f"{name}.proto"],
                       check=True, cwd=folder)
        sys.path.insert(0, folder)
        try:
            return importlib.import_module(f"{name}_pb2")
        finally:
            sys.path.remove(folder)


def families(body, newer=True):
    """The messages MetricFamily of a delimited body."""
    at, found = 0, []
    while at < len(body):
        size, at = _DecodeVarint(body, at)
        if at + size > len(body):
            raise ValueError("the body ends in a message")
        family = generated(newer).MetricFamily()
        family.ParseFromString(body[at:at + size])
        found.append(family)
        at += size
    return found


def seconds(timestamp):
    return timestamp.seconds + timestamp.nanos / 1e9


def pairs(labels):
    found = frozenset((p.name, p.value) for p in labels)
    if len(found) != len(labels):
        raise ValueError("a label twice")
    return found


class Reader:
    def __init__(self, family):
        self.family = family
        self.facts = Facts()
        self.kind = family.DESCRIPTOR.fields_by_name["type"].enum_type \
            .values_by_number[family.type].name

    def read(self):
        family = self.family
        if not family.HasField("name") or not family.HasField("type"):
            raise ValueError("a family without name or type")
        kind = self.kind.lower().replace("_", "")
        self.facts.say((family.name, "type"), kind)
        for what in ("help", "unit"):
            if getattr(family, what, ""):
                self.facts.say((family.name, what), getattr(family, what))
        field = kind.replace("gaugehistogram", "histogram")
        for metric in family.metric:
            present = {f.name for f, _ in metric.ListFields()}
            if present - {"label", "timestamp_ms"} != {field}:
                raise ValueError(f"{family.name}: a {kind} with {present}")
            getattr(self, field)(pairs(metric.label), getattr(metric, field))
            if metric.HasField("timestamp_ms"):
                self.say(pairs(metric.label),
                         timestamp=metric.timestamp_ms / 1000)
        return self.facts

    def say(self, labels, **values):
        self.facts.point(self.family.name, labels, **values)

    def created(self, message):
        return seconds(message.created_timestamp) if \
            message.HasField("created_timestamp") else None

    def gauge(self, labels, gauge):
        self.say(labels, value=gauge.value)

    untyped = gauge

    def counter(self, labels, counter):
        self.say(labels, value=counter.value, created=self.created(counter))
        if counter.HasField("exemplar"):
            self.exemplar(labels, None, counter.exemplar)

    def summary(self, labels, summary):
        self.say(labels, sum=summary.sample_sum,
                 count=float(summary.sample_count),
                 created=self.created(summary))
        for quantile in summary.quantile:
            self.facts.say((self.family.name, labels,
                            ("quantile", quantile.quantile)), quantile.value)

    def histogram(self, labels, histogram):
        count = float(histogram.sample_count)
        self.say(labels, sum=histogram.sample_sum, count=count,
                 created=self.created(histogram))
        bounds = self.buckets(labels, histogram, count)
        native = histogram.HasField("schema") or histogram.positive_span
        if native:
            self.native(labels, histogram)
        for exemplar in histogram.exemplars:
            le = next((b for b in bounds if exemplar.value <= b), float("inf"))
            if not any(b.exemplar == exemplar for b in histogram.bucket):
                self.exemplar(labels, le, exemplar)

    def buckets(self, labels, histogram, count):
        """Says them, and +Inf, which need not be there."""
        found = [(b.upper_bound, float(b.cumulative_count))
                 for b in histogram.bucket]
        if not found and histogram.HasField("schema"):
            return []  # native only
        if not found or found[-1][0] != float("inf"):
            found.append((float("inf"), count))
        if sorted(found) != found or found[-1][1] != count:
            raise ValueError(f"{self.family.name}: buckets in disorder")
        for le, value in found:
            self.facts.say((self.family.name, labels, ("bucket", le)), value)
        for bucket in histogram.bucket:
            if bucket.HasField("exemplar"):
                if not bucket.exemplar.value <= bucket.upper_bound:
                    raise ValueError("an exemplar of another bucket")
                self.exemplar(labels, bucket.upper_bound, bucket.exemplar)
        return [le for le, _ in found]

    def native(self, labels, histogram):
        self.say(labels, schema=float(histogram.schema),
                 zero_threshold=histogram.zero_threshold,
                 zero_count=float(histogram.zero_count))
        for sign in ("negative", "positive"):
            deltas = list(getattr(histogram, f"{sign}_delta"))
            index = count = 0
            for n, span in enumerate(getattr(histogram, f"{sign}_span")):
                if n and span.offset < 0:
                    raise ValueError("a span that goes back")
                index += span.offset
                for _ in range(span.length):
                    count += deltas.pop(0)
                    if count:
                        self.facts.say((self.family.name, labels,
                                        (sign, index)), float(count))
                    index += 1
            if deltas:
                raise ValueError("more buckets than the spans say")

    def exemplar(self, labels, le, exemplar):
        self.facts.exemplar(
            self.family.name, labels, le, pairs(exemplar.label), exemplar.value,
            seconds(exemplar.timestamp) if exemplar.HasField("timestamp")
            else None)


def read(body):
    facts = Facts()
    for family in families(body):
        if (family.name, "type") in facts:
            raise ValueError(f"{family.name} twice")
        facts.update(Reader(family).read())
    return facts
