# SPDX-License-Identifier: Apache-2.0
"""A scrape in a form of one's choice, and all readers of what comes back."""

import gzip
import subprocess

from spec.e2e import metric_proto, python_client, strict
from spec.e2e.strict import OPENMETRICS, OPENMETRICS2, TEXT
from spec.e2e.truth import PROTOBUF, UTF8

FORMS = (TEXT, OPENMETRICS, OPENMETRICS2, PROTOBUF)
ENCODINGS = ("identity", "gzip", "zstd")
ACCEPT = {
    TEXT: "text/plain;version=0.0.4",
    OPENMETRICS: "application/openmetrics-text;version=1.0.0",
    OPENMETRICS2: "application/openmetrics-text;version=2.0.0",
    PROTOBUF: "application/vnd.google.protobuf;"
              "proto=io.prometheus.client.MetricFamily;encoding=delimited",
}
TYPE = {
    TEXT: "text/plain; version=0.0.4; charset=utf-8",
    OPENMETRICS:
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    OPENMETRICS2:
        "application/openmetrics-text; version=2.0.0; charset=utf-8",
    PROTOBUF: "application/vnd.google.protobuf; "
              "proto=io.prometheus.client.MetricFamily; encoding=delimited",
}


def body_of(answer):
    """As it was before it was compressed."""
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding == "gzip":
        return gzip.decompress(answer.body)
    if encoding == "zstd":
        return subprocess.run(["zstd", "-dcq"], input=answer.body, check=True,
                              stdout=subprocess.PIPE).stdout
    return answer.body


def scrape(lunex, form, scheme=UTF8, encoding="identity",
           path="/metrics"):
    """The answer to a request for just that."""
    return lunex.get(path, {
        "Accept": f"{ACCEPT[form]};escaping={scheme}",
        "Accept-Encoding": encoding})


def readings(body, form, scheme):
    """(name of the reader, facts) of each reader that knows such a body."""
    if form == PROTOBUF:
        yield "protoc", metric_proto.read(body)
        metric_proto.families(body, newer=False)  # parses
        return
    text = body.decode()
    yield "strict", strict.read(text, form)
    if scheme != UTF8 and form == TEXT:
        yield "python text", python_client.read_text(text)
    if scheme != UTF8 and form == OPENMETRICS:
        yield "python openmetrics", python_client.read_openmetrics(text)
