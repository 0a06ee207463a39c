# SPDX-License-Identifier: Apache-2.0
"""What lunex check says about metrics, beside what promtool says about the page
that shows them."""

import os
import random
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

LUNEX = os.path.abspath(os.environ["LUNEX"])
ROOT = Path(__file__).parents[2]

# Each declaration, a call that shows it, and nothing of another's mistake.
# Two units in one name are missing: promtool 2.42 takes one of them by chance.
MISTAKES = {
    "m_mute": ("gauge", "{}"),
    "m_blank": ("gauge", "{ '  ' }"),
    "m_wait_milliseconds": ("gauge", "{ 'x' }"),
    "m_long_hours_total": ("counter", "{ 'x' }"),
    "m_kibibytes": ("gauge", "{ 'x' }"),
    "m_heat_fahrenheit": ("gauge", "{ 'x' }"),
    "m_bits_seen": ("unknown", "{ 'x' }"),
    "milliseconds": ("gauge", "{ 'x' }"),
    "m_thermometers": ("gauge", "{ 'x' }"),
    "m_requests": ("counter", "{ 'x' }"),
    "m_size_total": ("gauge", "{ 'x' }"),
    "m_wait_total": ("histogram", "{ 'x' }"),
    "m_word_total": ("info", "{ 'x', labels = { 'a' } }"),
    "m_odd_total": ("unknown", "{ 'x' }"),
    "_total": ("gauge", "{ 'x' }"),
    "m_a_bucket": ("gauge", "{ 'x' }"),
    "m_b_count": ("gauge", "{ 'x' }"),
    "m_c_sum": ("counter", "{ 'x' }"),
    "m_d_bucket": ("summary", "{ 'x' }"),
    "m_e_count": ("summary", "{ 'x' }"),
    "m_f_sum": ("histogram", "{ 'x' }"),
    "m_g_count": ("unknown", "{ 'x' }"),
    "m_limit": ("gauge", "{ 'x', labels = { 'le' } }"),
    "m_rank": ("histogram", "{ 'x', labels = { 'quantile' } }"),
    "m_both": ("unknown", "{ 'x', labels = { 'le', 'quantile' } }"),
    "m_gauge_of_things": ("gauge", "{ 'x' }"),
    "m_of_Counter": ("gauge", "{ 'x' }"),
    "m_gauge_histogram": ("gauge", "{ 'x' }"),
    "m_summary": ("unknown", "{ 'x' }"),
    "m_gauges": ("gauge", "{ 'x' }"),
    "gauge_m": ("gauge", "{ 'x' }"),
    "m:ratio": ("gauge", "{ 'x' }"),
    "m_camelCase": ("gauge", "{ 'x' }"),
    "m_Upper": ("gauge", "{ 'x' }"),
    "m_label": ("gauge", "{ 'x', labels = { 'deviceName', 'nodeName' } }"),
    "m_stateSet": ("stateset", "{ 'x', states = { 'a', 'b' } }"),
    "m_state_le": ("stateset", "{ 'x', states = { 'a' }, labels = { 'le' } }"),
    "m_wait_ms": ("gauge", "{ 'x' }"),
    "m_d_of_MB": ("gauge", "{ 'x' }"),
    "m_s_s_s": ("gauge", "{ 'x' }"),
    "m_msx": ("gauge", "{ 'x' }"),
    "m_every:Thing_oneTwo_kb_hours_gauge_count": ("counter", "{}"),
    "m_queue_ms": ("gaugehistogram", "{ 'x', buckets = { 1 } }"),
    "m_queue_total": ("gaugehistogram", "{}"),
    "m_queue_of_le": ("gaugehistogram", "{ 'x', labels = { 'quantile' } }"),
    "m_native_ms": ("histogram", "{ 'x', native = true }"),
    "m_rank_ms": ("summary", "{ 'x', quantiles = { 0.5 } }"),
    "m_good_bytes_total": ("counter", "{ 'x' }"),
    "m_good_seconds": ("histogram", "{ 'x' }"),
    "m_good_info": ("info", "{ 'x', labels = { 'version' } }"),
}

UNITS = ["amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters",
         "metres", "seconds", "volts", "minutes", "hours", "days", "weeks",
         "kelvins", "fahrenheit", "rankine", "inches", "yards", "miles", "bits",
         "calories", "pounds", "ounces"]
PREFIXES = ["pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto",
            "kilo", "kibi", "mega", "mibi", "giga", "gibi", "tera", "tebi",
            "peta", "pebi", ""]
ABBREVIATIONS = ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb",
                 "pb", "m", "h", "d"]
TYPES = ["counter", "gauge", "histogram", "summary", "untyped", "unknown",
         "gauge_histogram", "gaugehistogram", "info", "stateset"]
ENDS = ["total", "bucket", "count", "sum", "created", "info", "ratio",
        "timestamp_seconds", "timestamp", "gcount", "gsum"]
OTHERS = ["thing", "x", "o", "words", "thermometers", "kilo", "msx", "Upper",
          "camelCase", "aB", "AB", "requests_", "_", "9", "größe", "日"]
LABELS = ["a", "le", "quantile", "deviceName", "LE", "x.yZ", "aé", "Zb", "_c"]
HELPS = ["", "'x'", "'x'", "'x'", "''", "'  '", r"' \t '", r"'\n'", r"'a\nb'",
         "'é'"]
REFUSED = {"histogram": {"le"}, "gaugehistogram": {"le"},
           "summary": {"quantile"}}

# Another run of the random ones: LINT_SEED, and how many, LINT_WORLDS.
SEED = int(os.environ.get("LINT_SEED", "1"))
WORLDS = int(os.environ.get("LINT_WORLDS", "3"))

# A rule of later versions.
LATER = ('non-gauge metrics should not have "_timestamp_seconds" suffix')

SHOW = {"counter": "inc(1%s)", "gauge": "set(1%s)", "unknown": "set(1%s)",
        "histogram": "observe(1%s)", "gaugehistogram": "observe(1%s)",
        "summary": "observe(1%s)",
        "info": "set(1%s)", "stateset": "set('a'%s)"}


def units_of(name):
    """The units in NAME, without prefixes; of two promtool takes one by
    chance, which differs from one run of it to the next."""
    words = re.split("[^a-zA-Z0-9:]", name)
    return {u for w in words for u in UNITS for p in PREFIXES if w == p + u}


def random_name(choice, number):
    words = [choice.choice(choice.choice(
        [UNITS, ABBREVIATIONS, TYPES, ENDS, OTHERS]))
        for _ in range(choice.randrange(5))]
    for i, word in enumerate(words):
        if word in UNITS:
            words[i] = choice.choice(PREFIXES) + word
        change = choice.choice([str, str, str, str.upper, str.capitalize])
        words[i] = change(words[i])
    words.insert(choice.choice([0, 0, choice.randrange(len(words) + 1)]),
                 f"n{number}")
    name = words[0]
    for word in words[1:]:
        name += choice.choice(["_"] * 12 + [":", ".", "-", "__"]) + word
    return name


def random_mistakes(choice, n):
    """N declarations; the number in a name keeps samples apart."""
    mistakes = {}
    while len(mistakes) < n:
        name = random_name(choice, len(mistakes))
        if len(units_of(name)) > 1 or name[0] in "0123456789":
            continue
        kind = choice.choice(list(SHOW))
        if kind == "stateset" and ":" in name:
            continue  # its name is a label's, too
        labels = [label for label in choice.sample(LABELS, choice.choice(
            [0, 0, 1, 2])) if label not in REFUSED.get(kind, ())]
        options = [choice.choice(HELPS)]
        if labels:
            options.append(f"labels = {{ {str(labels)[1:-1]} }}")
        if kind == "stateset":
            options.append("states = { 'a', 'b' }")
        mistakes[name] = (kind, f"{{ {', '.join(filter(None, options))} }}")
    return mistakes


def script_of(mistakes, more=""):
    lines = ['local metric = require "metric"', "return {", '  name = "m",',
             more, "  metrics = {"]
    lines += [f'    ["{name}"] = metric.{kind} {options},'
              for name, (kind, options) in mistakes.items()]
    lines += ["  },", "  collect = function(m)"]
    for name, (kind, options) in mistakes.items():
        found = re.search(r"labels = {([^}]*)}", options)
        labels = ", 'v'" * (found[1].count(",") + 1 if found else 0)
        lines.append(f'    m["{name}"]:' + SHOW[kind] % labels)
    return "\n".join(lines + ["  end,", "}", ""])


class Lint(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, text):
        Path(self.folder, "m.lua").write_text(text, encoding="utf-8")

    def lunex(self, *arguments):
        done = subprocess.run([LUNEX, *arguments], cwd=self.folder, text=True,
                              capture_output=True, timeout=60, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout

    def promtool(self, page):
        """A set of (metric, text)."""
        done = subprocess.run(["promtool", "check", "metrics"], input=page,
                              text=True, capture_output=True, timeout=60,
                              check=False)
        self.assertIn(done.returncode, (0, 3), done.stderr)
        found = {tuple(line.split(" ", 1)) for line in
                 done.stderr.splitlines()}
        self.assertEqual(done.returncode == 3, bool(found))
        return found

    def check(self, path="m.lua"):
        """promtool's part as triples (line, metric, text), and the rest."""
        own, further = [], []
        for line in self.lunex("check", path).splitlines():
            found = re.fullmatch(
                r"\S+?\.lua(?::(\d+))?: (\S*[^ :]) (.+)", line)
            if found:
                own.append((int(found[1] or 0), found[2], found[3]))
            else:
                further.append(line)
        return own, further

    def same(self):
        own, further = self.check()
        page = self.promtool(self.lunex("once", "m.lua"))
        self.assertEqual(sorted(page), sorted(
            {f[1:] for f in own if f[2] != LATER}))
        return own, further

    def test_it_says_what_promtool_says_of_every_mistake(self):
        script = script_of(MISTAKES)
        self.write(script)
        own, _ = self.same()
        self.assertGreater(len({text for _, _, text in own}), 20)
        lines = script.split("\n")
        for line, metric, _ in own:
            family = re.sub("_(gcount|gsum)$", "", metric)
            self.assertIn(f'["{family}"] = ', lines[line - 1])
        self.assertEqual(own, sorted(own, key=lambda f: f[1:]))

    def test_it_says_what_promtool_says_of_whatever_there_is(self):
        for seed in range(SEED, SEED + WORLDS):
            with self.subTest(f"LINT_SEED={seed} LINT_WORLDS=1"):
                choice = random.Random(seed)
                self.write(script_of(random_mistakes(choice, 200)))
                own, _ = self.same()
                self.assertGreater(len({text for _, _, text in own}), 20)

    def test_it_says_each_thing_once(self):
        self.write(script_of(MISTAKES))
        own, _ = self.check()
        self.assertEqual(len(own), len(set(own)))

    def test_constant_labels_and_the_families_of_the_host_count(self):
        self.write(script_of({"m_good": ("gauge", "{ 'x' }")},
                             'labels = { siteName = "a", le = "b" },'))
        own, _ = self.same()
        self.assertIn((0, "m_up", 'non-histogram metrics should not have "le" '
                       "label"), own)
        self.write(script_of({"m_ms_good": ("gauge", "{ 'x' }")}).replace(
            'name = "m"', 'name = "m_ms"'))
        own, _ = self.same()
        self.assertIn((0, "m_ms_up", "metric names should not contain "
                       "abbreviated units"), own)

    def test_names_are_as_readers_of_legacy_names_see_them(self):
        self.write(script_of({
            "m.größe_ms": ("gauge", "{ 'x', labels = { 'a.bC' } }"),
            "m.requests": ("counter", "{ 'x', labels = { 'http.method' } }"),
        }))
        own, further = self.same()
        self.assertEqual({(6, "m_gr__e_ms"), (7, "m_requests")},
                         {f[:2] for f in own})
        legacy = ("to readers that do not ask for UTF-8 names, as Prometheus "
                  "before 3.0")
        self.assertEqual([
            f"m.lua:6: m.größe_ms: 'm.größe_ms' is 'm_gr__e_ms' {legacy}",
            f"m.lua:6: m.größe_ms: the label 'a.bC' is 'a_bC' {legacy}",
            f"m.lua:7: m.requests: 'm.requests' is 'm_requests' {legacy}",
            f"m.lua:7: m.requests: the label 'http.method' is 'http_method' "
            f"{legacy}",
        ], further)

    def test_it_knows_what_later_versions_say(self):
        self.write(script_of({"m_timestamp_seconds": ("summary", "{ 'x' }")}))
        self.assertEqual(set(), self.promtool(self.lunex("once", "m.lua")))
        self.assertEqual([(6, "m_timestamp_seconds", LATER)], self.check()[0])

    def test_both_have_nothing_to_say_about_what_is_in_order(self):
        self.write(script_of({"m_good_seconds": ("gauge", "{ 'x' }")}))
        self.assertEqual("m.lua: ok\n", self.lunex("check", "m.lua"))
        self.assertEqual([], self.same()[0])
        for path in (*(ROOT / "examples").glob("*.lua"),
                     ROOT / "exporters/ping.lua",
                     ROOT / "exporters/powerexporter.lua"):
            self.assertEqual(f"{path}: ok\n", self.lunex("check", str(path)))

    def advice(self, mistakes, more=""):
        """What is said beside promtool's part."""
        self.write(script_of(mistakes, more))
        return self.check()[1]

    def test_it_advises_about_units(self):
        self.assertEqual([
            "m.lua:6: m_a: its unit is bytes, so OpenMetrics wants the name "
            "m_a_bytes",
            "m.lua:7: m_b_total: its unit is joules, so OpenMetrics wants the "
            "name m_b_joules_total",
            'm.lua:9: m_d_seconds: unit = "seconds" is missing, which other '
            "metrics of this script have",
            'm.lua:10: m_e_bytes_total: unit = "bytes" is missing, which other '
            "metrics of this script have",
            "m.lua:12: m_g_info: an info has no unit in OpenMetrics",
            "m.lua:13: m_h: its unit is not one of OpenMetrics, where it is "
            "left out: [a-zA-Z0-9_:]+",
        ], self.advice({
            "m_a": ("gauge", "{ 'x', unit = 'bytes' }"),
            "m_b_total": ("counter", "{ 'x', unit = 'joules' }"),
            "m_c_seconds": ("histogram", "{ 'x', unit = 'seconds' }"),
            "m_d_seconds": ("gauge", "{ 'x' }"),
            "m_e_bytes_total": ("counter", "{ 'x' }"),
            "m_f_bytes_free": ("gauge", "{ 'x' }"),
            "m_g_info": ("info", "{ 'x', unit = 'seconds' }"),
            "m_h": ("gauge", r"{ 'x', unit = 'a\nb' }"),
        }))
        self.assertEqual([
            "m.lua:6: m_a: neither the name nor a unit says in what it is "
            "measured",
            "m.lua:9: m_load_percent: use the base unit ratio instead of "
            "percent",
        ], self.advice({
            "m_a": ("histogram", "{ 'x' }"),
            "m_c_ratio": ("summary", "{ 'x' }"),
            "m_d_bytes": ("summary", "{ 'x' }"),
            "m_load_percent": ("gauge", "{ 'x' }"),
        }))

    def test_it_advises_about_names_that_meet_in_openmetrics(self):
        another = ("because its names there are those of another metric, "
                   "too")
        self.assertEqual([
            f"m.lua:7: m_a_total: OpenMetrics shows it as unknown, {another}",
            f"m.lua:8: m_b_info: OpenMetrics shows it as a gauge, {another}",
            f"m.lua:10: m_c_total: OpenMetrics shows it as unknown, {another}",
        ], self.advice({
            "m_a": ("gauge", "{ 'x' }"),
            "m_a_total": ("counter", "{ 'x' }"),
            "m_b_info": ("info", "{ 'x', labels = { 'v' } }"),
            "m_b": ("gauge", "{ 'x' }"),
            "m_c_total": ("counter", "{ 'x' }"),
            "m_c_created": ("gauge", "{ 'x' }"),
            "m_d_total": ("counter", "{ 'x' }"),
            "m_e_info": ("info", "{ 'x', labels = { 'v' } }"),
        }))

    def test_it_advises_about_names_and_labels(self):
        self.assertEqual([
            "m.lua:9: lunex_m: names that begin with lunex_ are the host's, "
            "which shows one of the two alone",
            "m.lua:6: m_A: names are written in snake_case",
            "m.lua:7: m_b: the name of an info ends in _info",
            "m.lua:8: m_c: OpenMetrics reserves label names that begin with "
            "_, such as '_x'",
            "m.lua:8: m_c: Prometheus adds a label 'job' of its own; it "
            "renames this one to 'exported_job'",
        ], self.advice({
            "m_A": ("gauge", "{ 'x' }"),
            "m_b": ("info", "{ 'x', labels = { 'v' } }"),
            "m_c": ("gauge", "{ 'x', labels = { '_x', 'job' } }"),
            "lunex_m": ("gauge", "{ 'x' }"),
        }))
        self.assertEqual([
            f"m.lua:{line}: {name}: Prometheus has metrics of its own that are "
            "called up, or begin with scrape_"
            for line, name in ((7, "scrape_duration_seconds"), (6, "up"))
        ], self.advice({
            "up": ("gauge", "{ 'x' }"),
            "scrape_duration_seconds": ("gauge", "{ 'x' }"),
            "upper": ("gauge", "{ 'x' }"),
        }))

    def test_nothing_that_a_script_says_controls_a_terminal(self):
        self.write(script_of({
            r"m_\n_seconds": ("gauge", "{}"),
            r"m_\27[2J\u{9b}_seconds": ("gauge", r"{ labels = { 'l\b' } }"),
            "m_é\u00a0_seconds": ("gauge", "{ '\x1b[2J' }"),
        }))
        said = self.lunex("check", "m.lua")
        self.assertEqual([], re.findall(r"[\0-\x09\x0b-\x1f\x7f-\x9f]", said))
        self.assertIn("m.lua:6: m_\\n_seconds: 'm_\\n_seconds' is "
                      "'m___seconds' to readers", said)
        self.assertIn("'m_\\x1b[2J\\u009b_seconds' is 'm___2J__seconds' to",
                      said)
        self.assertIn("label 'l\\x08' is 'l_'", said)
        self.assertIn("'m_é\u00a0_seconds' is", said)
        for line in said.splitlines():
            self.assertRegex(line, r"^m\.lua:\d+: ")

    def test_registries_of_the_script_count(self):
        script = """\
local metric = require "metric"
local own = metric.registry {
  namespace = "m",
  labels = { siteName = "a" },
  wait_ms = metric.gauge {},
}
local m = { metric.registry { m_size_total = metric.gauge { "Size." } } }
for i = 1, 30 do metric.registry { m_lost_total = metric.gauge {} } end
return {
  sandbox = true,
  routes = { ["GET /line"] = function() return own:render(), m end },
}
"""
        for text in (script, script.replace("  sandbox = true,\n", "")):
            self.write(text)
            self.assertEqual(
                "m.lua:7: m_size_total non-counter metrics should not have "
                '"_total" suffix\n'
                "m.lua:2: m_wait_ms label names should be written in "
                "'snake_case' not 'camelCase'\n"
                "m.lua:2: m_wait_ms metric names should not contain abbreviated "
                "units\n"
                "m.lua:2: m_wait_ms no help text\n",
                self.lunex("check", "m.lua"))
        Path(self.folder, "n.lua").write_text(
            "return { collect = function() end }", encoding="utf-8")
        said = self.lunex("check", "m.lua", "m.lua", "n.lua")
        self.assertEqual(8, said.count("m_"), said)
        self.assertTrue(said.endswith("n.lua: ok\n"), said)

    def refused(self, script):
        self.write(script)
        done = subprocess.run([LUNEX, "check", "m.lua"], cwd=self.folder,
                              text=True, capture_output=True, timeout=60,
                              check=False)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        return done.stderr

    def test_it_refuses_what_would_not_run(self):
        probe = 'probe = function() end,'
        self.assertEqual(
            "lunex: m.lua:6: probe_success is set by the host\n",
            self.refused(script_of({"probe_success": ("gauge", "{ 'x' }")},
                                   probe)))
        self.assertEqual(
            "lunex: m.lua:6: m_up is set by the host; declare it as a gauge "
            "without labels\n",
            self.refused(script_of({"m_up": ("counter", "{ 'x' }")})))
        self.assertIn(
            "m_a: a histogram has the label 'le' already",
            self.refused(script_of({"m_a": ("histogram", "{ 'x' }")},
                                   "labels = { le = 'x' },")))

    def test_metrics_may_be_a_function(self):
        made = script_of({"m_a": ("gauge", "{}")}).replace(
            "metrics = {", "metrics = function(config) return {").replace(
                "  },\n  collect", "  } end,\n  collect")
        self.write(made)
        self.assertEqual("m.lua:6: m_a no help text\n",
                         self.lunex("check", "m.lua"))
        self.write(made.replace('name = "m",', 'name = "m", config = { '
                                'where = { required = true } },'))
        self.assertEqual(
            "m.lua:5: its metrics were not looked at, which depend on the "
            "configuration (m: 'where' must be given)\n",
            self.lunex("check", "m.lua"))

    def test_what_is_made_by_a_function_has_the_place_of_its_call(self):
        self.write("""\
local metric = require "metric"
local metrics = {}
for _, name in ipairs { "a", "c" } do
  metrics["m_" .. name] = metric.gauge {}
end
return { metrics = metrics, collect = function() end }
""")
        self.assertEqual("m.lua:4: m_a no help text\n"
                         "m.lua:4: m_c no help text\n",
                         self.lunex("check", "m.lua"))
        self.write("return { sandbox = true, metrics = setmetatable({}, { "
                   "__index = function() error 'x' end }), "
                   "collect = function() end }")
        self.assertEqual("m.lua: ok\n", self.lunex("check", "m.lua"))
