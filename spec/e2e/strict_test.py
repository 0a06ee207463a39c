# SPDX-License-Identifier: Apache-2.0
"""The reader that others are measured by: what it takes, and what not."""

import math
import unittest

from spec.e2e.strict import (OPENMETRICS, OPENMETRICS2, TEXT, Malformed, read)

NONE = frozenset()
COUNTER = "# TYPE a counter\n"
HISTOGRAM = "# TYPE a histogram\n"
SUMMARY = "# TYPE a summary\n"
GAUGEHISTOGRAM = "# TYPE a gaugehistogram\n"
INF = 'a_bucket{le="+Inf"} 1\n'

MALFORMED = {
    TEXT: [
        "a 1", "a  1\n", "a 1 \n", " a 1\n", "a{} 1\n", 'a{b="1",} 1\n',
        'a{b="1" } 1\n', 'a{b="1",b="2"} 1\n', 'a{b="\\x"} 1\n', 'a{b="1} 1\n',
        'a{b=1} 1\n', "a inf\n", "a +inf\n", "a 1,5\n", "a 0x1\n", "a 1_0\n",
        "a 1 1.5\n", "a 1\na 1\n", "a 1\nb 1\na 2\n", "a\n", "\n", "# a\n",
        "# TYPE a unknown\n", "# TYPE a counter\n# TYPE a counter\n",
        "a 1\n# TYPE a gauge\n", "# UNIT a b\n", '# HELP a "\\"\n',
        "# HELP a \\x\n", '{"a"} 1\n', '{"a.b",} 1\n', '{"a.b","c"="d"} 1\n',
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\n",
        '# TYPE a histogram\na_bucket{le="+Inf"} 1\na_count 2\n',
        '# TYPE a histogram\na_bucket{le="2"} 1\na_bucket{le="1"} 1\n'
        'a_bucket{le="+Inf"} 1\n', "a 1 # {} 1\n", "é 1\n", "a ٣\n"],
    OPENMETRICS: [
        "", "a 1\n", "# EOF\n# EOF\n", "a 1\n\n# EOF\n", "# EOF", "# eof\n",
        COUNTER + "a 1\n# EOF\n", COUNTER + "a_total -1\n# EOF\n",
        COUNTER + "a_total NaN\n# EOF\n", "# TYPE a untyped\n# EOF\n",
        COUNTER + "# TYPE a_created gauge\na_created 1\n# EOF\n",
        '# HELP a "\n# EOF\n', "# UNIT a seconds\n# EOF\n",
        HISTOGRAM + 'a_bucket{le="1"} 1\na_bucket{le="+Inf"} 1\n# EOF\n',
        COUNTER + "a_total 1 # {} 1 # {} 1\n# EOF\n",
        COUNTER + 'a_total 1 # {b="c",} 1\n# EOF\n',
        '# TYPE a info\na_info{b="c"} 2\n# EOF\n',
        '# TYPE a stateset\na{b="c"} 1\n# EOF\n',
        '# TYPE a stateset\na{a="c"} 0.5\n# EOF\n',
        HISTOGRAM + 'a_bucket{b="1",le="+Inf"} 0\na_bucket{b="2",le="+Inf"} 0\n'
        'a_count{b="1"} 0\n# EOF\n',
        HISTOGRAM + 'a_bucket{le="1.0"} 1 # {} 2\na_bucket{le="+Inf"} 1\n'
        "# EOF\n",
        COUNTER + "a_created 1\n# EOF\n",
        GAUGEHISTOGRAM + 'a_bucket{le="+Inf"} -1\n# EOF\n',
        GAUGEHISTOGRAM + INF + "a_gcount 1\na_gsum NaN\n# EOF\n",
        GAUGEHISTOGRAM + INF + "a_gcount 1\na_gsum -1\n# EOF\n",
        GAUGEHISTOGRAM + INF + "a_gsum 1\n# EOF\n",
        GAUGEHISTOGRAM + INF + "a_gcount 1\n# EOF\n",
        SUMMARY + "a_sum NaN\n# EOF\n", SUMMARY + "a_sum -1\n# EOF\n",
        SUMMARY + "a_count NaN\n# EOF\n", SUMMARY + "a_count -1\n# EOF\n",
        SUMMARY + 'a{quantile="0.5"} -1\n# EOF\n',
        SUMMARY + 'a{quantile="1.01"} 0\n# EOF\n',
        SUMMARY + 'a{quantile="NaN"} 0\n# EOF\n',
        HISTOGRAM + 'a_bucket{le="-1.0"} 0\n' + INF
        + "a_count 1\na_sum 1\n# EOF\n",
        HISTOGRAM + INF + "a_count 1\na_sum -1\n# EOF\n",
        HISTOGRAM + INF + "a_sum 1\n# EOF\n",
        HISTOGRAM + INF + "a_count 1\n# EOF\n",
        HISTOGRAM + 'a_bucket{le="+INF"} 0\n# EOF\n',
        HISTOGRAM + f'a_bucket{{le="+Inf"}} 1 # {{é="{128 * "x"}"}} 1\n# EOF\n',
        HISTOGRAM + INF + "a_count 1 # {} 1\na_sum 1\n# EOF\n",
        "# TYPE a gauge\na 1 # {} 1\n# EOF\n", "a 1 # {} 1\n# EOF\n",
        '# TYPE a info\na_info{b="c"} 1 # {} 1\n# EOF\n',
        "# TYPE a_b info\n# UNIT a_b b\n# EOF\n",
        "# TYPE a_b stateset\n# UNIT a_b b\n# EOF\n"],
    OPENMETRICS2: [
        "# EOF", HISTOGRAM + "a 1\n# EOF\n",
        HISTOGRAM + "a {sum:1,count:1,bucket:[+Inf:1]}\n# EOF\n",
        HISTOGRAM + "a {count:1,sum:1}\n# EOF\n",
        HISTOGRAM + "a {count:1,sum:1,bucket:[]}\n# EOF\n",
        HISTOGRAM + "a {count:1, sum:1,bucket:[+Inf:1]}\n# EOF\n",
        HISTOGRAM + "a {count:2,sum:1,bucket:[+Inf:1]}\n# EOF\n",
        HISTOGRAM + "a {count:1,sum:1,schema:0,zero_threshold:0,zero_count:0,"
        "positive_spans:[0:2],positive_buckets:[1]}\n# EOF\n",
        HISTOGRAM + "a {count:1,sum:1,schema:0,zero_threshold:0,zero_count:0,"
        "positive_spans:[0:1,-1:1],positive_buckets:[1,1]}\n# EOF\n",
        HISTOGRAM + "a {count:1,sum:1,schema:0,zero_threshold:0,zero_count:0,"
        "bucket:[+Inf:1],positive_spans:[0:1],positive_buckets:[1]}\n# EOF\n",
        SUMMARY + "a {count:1,sum:1}\n# EOF\n",
        "# TYPE a gaugehistogram\na {count:1,sum:1,bucket:[+Inf:1]}\n# EOF\n",
        "# TYPE a gauge\na {count:1,sum:1,quantile:[]}\n# EOF\n",
        COUNTER + "a 1 # {} 1\n# EOF\n", COUNTER + "a 1 st@1 2\n# EOF\n",
        "# TYPE a gauge\na 1 # {} 1 1\n# EOF\n",
        HISTOGRAM + "a {count:-1,sum:1,bucket:[+Inf:-1]}\n# EOF\n",
        SUMMARY + "a {count:1,sum:1,quantile:[2:1]}\n# EOF\n",
        "# TYPE a info\n# UNIT a b\n# EOF\n"],
}


class Strict(unittest.TestCase):
    def test_takes_nothing_malformed(self):
        for form, texts in MALFORMED.items():
            for text in texts:
                with self.subTest(form, text=text), \
                        self.assertRaises((Malformed, ValueError)):
                    read(text, form)

    def test_takes_what_is_almost_malformed(self):
        for text in (
                SUMMARY + "a_sum 0\n# EOF\n", SUMMARY + "a_count 1\n# EOF\n",
                SUMMARY + 'a{quantile="0.5"} NaN\n# EOF\n',
                GAUGEHISTOGRAM + 'a_bucket{le="-1.0"} 0\n' + INF
                + "a_gcount 1\na_gsum -1\n# EOF\n",
                GAUGEHISTOGRAM + 'a_bucket{le="+Inf"} 1 # {} 1\n# EOF\n',
                HISTOGRAM + 'a_bucket{le="-1.0"} 0\n' + INF + "# EOF\n",
                HISTOGRAM + f'a_bucket{{le="+Inf"}} 1 # {{e="{127 * "é"}"}} 1\n'
                "# EOF\n"):
            with self.subTest(text=text):
                self.assertTrue(read(text, OPENMETRICS))

    def test_reads_text(self):
        self.assertEqual({
            ("a_total", "type"): "counter",
            ("a_total", "help"): "b\\\n\"c\"",
            ("a_total", frozenset({("b", '"\\\n'), ("x.y", "")}), "value"): 1.5,
            ("a_total", frozenset({("b", '"\\\n'), ("x.y", "")}), "timestamp"):
                -0.001,
            ("é \"", "type"): "untyped", ("é \"", NONE, "value"): math.inf,
        }, read('# HELP a_total b\\\\\\n"c"\n# TYPE a_total counter\n'
                'a_total{b="\\"\\\\\\n","x.y"=""} 1.5 -1\n'
                '# TYPE "é \\"" untyped\n{"é \\""} +Inf\n', TEXT))
        self.assertEqual({}, read("", TEXT))

    def test_reads_openmetrics(self):
        one = frozenset({("b", "1")})
        self.assertEqual({
            ("a_total", "type"): "counter", ("a_total", one, "value"): 1.0,
            ("a_total", one, "created"): 5.25,
            ("a_total", one, ("exemplar", None, NONE, 3.0, 0)): None,
            ("h_seconds", "type"): "histogram",
            ("h_seconds", "unit"): "seconds",
            ("h_seconds", NONE, ("bucket", 1.0)): 1.0,
            ("h_seconds", NONE, ("bucket", math.inf)): 2.0,
            ("h_seconds", NONE, "count"): 2.0,
            ("h_seconds", NONE, "sum"): 3.5,
            ("h_seconds", NONE,
             ("exemplar", 1.0, frozenset({("t", "x")}), 0.5, 0)): 7.5,
        }, read(COUNTER + 'a_total{b="1"} 1 # {} 3\na_created{b="1"} 5.25\n'
                "# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n"
                'h_seconds_bucket{le="1.0"} 1 # {t="x"} 0.5 7.5\n'
                'h_seconds_bucket{le="+Inf"} 2\nh_seconds_count 2\n'
                "h_seconds_sum 3.5\n# EOF\n", OPENMETRICS))

    def test_reads_openmetrics_2(self):
        facts = read(
            HISTOGRAM + "a {count:59,sum:1.2e2,schema:7,zero_threshold:1e-4,"
            "zero_count:22,negative_spans:[1:2],negative_buckets:[5,7],"
            "positive_spans:[-1:2,3:1],positive_buckets:[5,0,10],"
            "bucket:[0.5:20,+Inf:59]} 2.5 st@1.5 # {} 0.25 7 # {b=\"c\"} 9 8\n"
            '# TYPE "a.b" summary\n{"a.b","l.m"="n"} '
            "{count:0,sum:0.0,quantile:[0.5:NaN]}\n# EOF\n", OPENMETRICS2)
        expected = {
            "count": 59, "sum": 120, "schema": 7, "zero_threshold": 1e-4,
            "zero_count": 22, ("negative", 1): 5, ("negative", 2): 7,
            ("positive", -1): 5, ("positive", 4): 10, ("bucket", 0.5): 20,
            ("bucket", math.inf): 59, "timestamp": 2.5, "created": 1.5,
            ("exemplar", 0.5, NONE, 0.25, 0): 7,
            ("exemplar", math.inf, frozenset({("b", "c")}), 9, 0): 8}
        self.assertEqual(expected, {k[2]: v for k, v in facts.items()
                                    if k[0] == "a" and len(k) == 3})
        dotted = frozenset({("l.m", "n")})
        self.assertTrue(math.isnan(facts["a.b", dotted, ("quantile", 0.5)]))
