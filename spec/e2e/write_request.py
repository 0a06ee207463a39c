# SPDX-License-Identifier: Apache-2.0
"""Requests of remote write, taken apart as far as tests look at them: which
series there are, and what of."""

SAMPLES, EXEMPLARS, HISTOGRAMS = 2, 3, 4  # fields of prometheus.TimeSeries
VARINT, BYTES = 0, 2
FIXED = {1: 8, 5: 4}


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def unpack(data):
    """Of snappy's block format:
    https://github.com/google/snappy/blob/main/format_description.txt"""
    length, at = varint(data, 0)
    out = bytearray()
    while at < len(data):
        kind, high = data[at] & 3, data[at] >> 2
        at += 1
        if kind == 0:
            extra = max(high - 59, 0)
            size = int.from_bytes(data[at:at + extra], "little") + 1 \
                if extra else high + 1
            at += extra + size
            out += data[at - size:at]
            continue
        width = (1, 2, 4)[kind - 1]
        offset = int.from_bytes(data[at:at + width], "little")
        size = high + 1
        if kind == 1:
            offset, size = offset | high >> 3 << 8, (high & 7) + 4
        at += width
        for _ in range(size):
            out.append(out[-offset])
    assert len(out) == length
    return bytes(out)


def fields(data):
    """[(number, value)] of a message."""
    at, found = 0, []
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == VARINT:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if tag & 7 == BYTES \
                else (FIXED[tag & 7], at)
            value, at = data[at:at + size], at + size
        found.append((tag >> 3, value))
    return found


def series_of(body):
    """[({label: value}, {SAMPLES, ...})]"""
    found = []
    for number, series in fields(unpack(body)):
        parts = fields(series) if number == 1 else []
        pairs = [dict(fields(part)) for field, part in parts if field == 1]
        if parts:
            found.append(({pair[1].decode(): pair[2].decode()
                           for pair in pairs},
                          {field for field, _ in parts} - {1}))
    return found


def contents(body):
    """All that is in a request."""
    return set().union(*(what for _, what in series_of(body)))
