# SPDX-License-Identifier: Apache-2.0
"""What the parsers of python3-prometheus-client make of an exposition, as facts
(facts.py). They know legacy names alone.
"""

import re

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from spec.e2e.facts import Facts


def sample_facts(facts, family, name, suffix, sample):
    labels = dict(sample.labels)
    what = suffix.replace("_g", "_").lstrip("_")
    if what == "bucket":
        what = ("bucket", float(labels.pop("le")))
    elif family.type == "summary" and not suffix:
        what = ("quantile", float(labels.pop("quantile")))
    elif what not in ("sum", "count", "created"):
        what = "value"
    key = frozenset(labels.items())
    facts.say((name, key, what), float(sample.value))
    if sample.timestamp is not None:
        time = float(sample.timestamp)
        if facts.setdefault((name, key, "timestamp"), time) != time:
            raise ValueError(f"{name}: two times of one point")
    if sample.exemplar:
        exemplar = sample.exemplar
        facts.exemplar(
            name, key, what[1] if isinstance(what, tuple) else None,
            frozenset(exemplar.labels.items()), float(exemplar.value),
            exemplar.timestamp and float(exemplar.timestamp))


def family_facts(facts, family, name, kind):
    facts.say((name, "type"), kind)
    if family.documentation:
        facts.say((name, "help"), family.documentation)
    if family.unit:
        facts.say((name, "unit"), family.unit)
    for sample in family.samples:
        if not sample.name.startswith(family.name):
            raise ValueError(f"{sample.name} in {family.name}")
        sample_facts(facts, family, name, sample.name[len(family.name):],
                     sample)


def read_text(text):
    """Format 0.0.4. The parser takes _total from counters, or adds it."""
    facts = Facts()
    types = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
    for family in parser.text_string_to_metric_families(text):
        name = family.name
        if family.type == "counter" and types.get(name + "_total") == "counter":
            name += "_total"
        family_facts(facts, family, name, types.get(name, "untyped"))
    return facts


def read_openmetrics(text):
    facts = Facts()
    for family in openmetrics_parser.text_string_to_metric_families(text):
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        family_facts(facts, family, family.name + suffix, family.type)
    return facts
