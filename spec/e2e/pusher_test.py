# SPDX-License-Identifier: Apache-2.0
"""`push` of the configuration file, to a real Pushgateway and to stand-ins
that are slow, silent or rude."""

import re
import subprocess
import time
from pathlib import Path

from spec.e2e.answers import Answer, Stall
from spec.e2e.gateway import PASSWORD, USER, WEB_CONFIG, Gateway
from spec.e2e.lunex import Case, eventually, program
from spec.e2e.timely import timely
from spec.e2e.upstream import Upstream

SECRET = "hunter2-of-a-file"

COUNT = """\
local metric = require "metric"

return {
  name = "count",
  config = { fail = { false } },
  metrics = {
    count_collections_total = metric.counter { "Collections." },
    count_value = metric.gauge { "A value." },
  },
  collect = function(m, config)
    m.count_collections_total:inc()
    m.count_value:set(7)
    if config.fail then error "it fails" end
  end,
}
"""

# The second collection takes its time.
SLOW = """\
local metric = require "metric"
local task = require "task"
local times = 0

return {
  name = "slow",
  metrics = { slow_value = metric.gauge { "A value." } },
  collect = function(m, config)
    m.slow_value:set(1)
    times = times + 1
    if times > 1 then
      print "it begins"
      task.sleep(60)
    end
  end,
}
"""

STUCK = """\
local metric = require "metric"

return {
  name = "stuck",
  limits = { cpu = 1000 },
  metrics = { stuck_value = metric.gauge { "A value." } },
  collect = function(m)
    m.stuck_value:set(1)
    while not io.open "%s" do end
  end,
}
"""


class Pushed(Case):
    def setUp(self):
        super().setUp()
        self.script(COUNT, "count")

    def configuration(self, *entries, top=""):
        lines = "\n".join(f"  {entry}," for entry in entries)
        path = self.folder / "lunex.lua"
        path.write_text(f"return {{ {top}\nexporters = {{\n{lines}\n}} }}\n")
        return str(path)

    def serve(self, *entries, top="", **options):
        return self.lunex("--config", self.configuration(*entries, top=top),
                          **options)

    def upstream(self, **options):
        up = Upstream(**options)
        self.addCleanup(up.close)
        return up

    def pushes(self, lunex, result, exporter="count"):
        """How many pushes of the exporter had this result, to all targets."""
        name = re.compile(r'lunex_pushes_total\{exporter="%s",'
                          r'target="[^"]*",result="%s"' % (exporter, result))
        return sum(value for key, value in lunex.samples().items()
                   if name.match(key))

    def wait_pushes(self, lunex, result, count=1, **options):
        eventually(lambda: self.pushes(lunex, result, **options) >= count,
                   f"{count} pushes with {result}\n{lunex.log}")


class Gateways(Pushed):
    def test_pages_are_pushed_at_intervals_and_counted(self):
        gateway = Gateway(self)
        lunex = self.serve(
            '{ "count.lua", labels = { site = "a" }, push = { url = "%s", '
            'job = "a job/", grouping = { instance = "" }, interval = 0.2 } }'
            % gateway.url)
        key = '{instance="",job="a job/",site="a"}'
        eventually(lambda: gateway.samples().get(
            f"count_collections_total{key}", 0) >= 3, "three pushes")
        self.assertIsNotNone(gateway.group(instance="", job="a job/"))
        self.assertEqual(1, len(gateway.groups()))
        pushed = gateway.samples()
        self.assertEqual((7, 1), (pushed[f"count_value{key}"],
                                  pushed[f"count_up{key}"]))
        self.wait_pushes(lunex, "success", 3)
        samples = lunex.samples()
        labels = f'{{exporter="count",target="{gateway.url}"}}'
        name = "lunex_push_last_success_timestamp_seconds"
        self.assertLess(abs(time.time() - samples[name + labels]), 5)
        self.assertLess(samples["lunex_push_duration_seconds" + labels], 5)
        page = lunex.get("/").text
        self.assertRegex(page, r">\d s ago</time> to "
                         + re.escape(gateway.url))
        self.assertNotIn("level=warn", lunex.log)
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=lunex.get().text,
            text=True, capture_output=True, check=False)
        self.assertNotIn("lunex_push", checked.stdout + checked.stderr)

    def test_put_replaces_and_post_adds(self):
        gateway = Gateway(self)
        for method, left in (("PUT", False), ("POST", True)):
            subprocess.run(
                ["curl", "-sf", "--data-binary", "@-",
                 f"{gateway.url}/metrics/job/{method}"], check=True,
                input=b"older 1\n")
            self.serve('{ "count.lua", push = { url = "%s", job = "%s", '
                       'method = "%s", interval = 0.1 } }'
                       % (gateway.url, method, method))
            eventually(lambda m=method: f'count_value{{instance="",job="{m}"}}'
                       in gateway.samples(), "a push")
            self.assertEqual(left, f'older{{instance="",job="{method}"}}'
                             in gateway.samples())

    def test_one_push_at_the_top_is_for_all_who_have_none(self):
        gateway = Gateway(self)
        self.serve(
            '{ "count.lua", name = "a", labels = { n = "1" } }',
            '{ "count.lua", name = "b", labels = { n = "2" }, push = false }',
            '{ "count.lua", name = "c", labels = { n = "3" }, push = { '
            'url = "%s", job = "own", interval = 0.2 } }' % gateway.url,
            '{ "count.lua", name = "d", labels = { n = "4" }, '
            'config = { fail = true } }',
            top='push = { url = "%s", interval = 0.2 },' % gateway.url)
        eventually(lambda: len(gateway.groups()) == 3, "three groups")
        self.assertEqual({"a", "d", "own"}, {
            labels["job"] for labels, _ in gateway.groups()})
        samples = gateway.samples()
        self.assertEqual(0, samples['count_up{instance="",job="d",n="4"}'])
        self.assertNotIn('count_value{instance="",job="d",n="4"}', samples)

    def test_a_last_page_is_pushed_at_the_end(self):
        gateway = Gateway(self)
        lunex = self.serve('{ "count.lua", push = { url = "%s", '
                           'interval = "1h" } }' % gateway.url)
        lunex.samples()
        lunex.samples()
        self.assertEqual(0, self.pushes(lunex, "success"))
        self.assertEqual(0, lunex.stop())
        self.assertEqual(4, gateway.samples()[
            'count_collections_total{instance="",job="count"}'])

    def test_a_slow_collection_is_neither_cut_short_nor_awaited_at_the_end(
            self):
        gateway = Gateway(self)
        self.script(SLOW, "slow")
        form = ('{ "slow.lua", name = "%s", labels = { n = "%s" }, '
                'timeout = 60, push = { url = "%s", interval = 0.1, '
                'on_shutdown = "%s" } }')
        lunex = self.serve(form % ("gone", "1", gateway.url, "delete"),
                           form % ("left", "2", gateway.url, "leave"))
        for name in ("gone", "left"):
            lunex.wait_log(f"it begins.*exporter={name}")
        self.assertEqual(2, len(gateway.groups()))
        self.assertEqual(0, lunex.stop())
        self.assertNotIn("did not end in time", lunex.log)
        self.assertEqual(2, lunex.log.count("nothing to push"))
        eventually(lambda: [labels for labels, _ in gateway.groups()] ==
                   [{"job": "left"}], "one is left")

    def test_delete_at_the_end_removes_the_group_and_no_other(self):
        gateway = Gateway(self)
        lunex = self.serve(
            '{ "count.lua", push = { { url = "%s", interval = 0.2, '
            'on_shutdown = "delete" }, { url = "%s", interval = 0.2, '
            'grouping = { instance = "kept" } } } }'
            % (gateway.url, gateway.url))
        eventually(lambda: len(gateway.groups()) == 2, "two groups")
        lunex.page_with(
            lambda page: f'target="{gateway.url} #2"' in "\n".join(page),
            "the second target of one URL has a name of its own")
        self.assertEqual(0, lunex.stop())
        eventually(lambda: len(gateway.groups()) == 1, "one group")
        self.assertEqual({"instance": "kept", "job": "count"},
                         gateway.groups()[0][0])

    def test_a_wrong_password_is_told_once_and_the_exporters_go_on(self):
        gateway = Gateway(self, web_config=WEB_CONFIG)
        (self.folder / "secret").write_text(SECRET)
        (self.folder / "right").write_text(PASSWORD)
        form = ('{ "count.lua", name = "%s", labels = { n = "%s" }, push = { '
                'url = "%s", interval = 0.1, username = "%s", '
                'password = file "%s" } }')
        lunex = self.serve(form % ("a", "1", gateway.url, USER, "secret"),
                           form % ("b", "2", gateway.url, USER, "right"))
        self.wait_pushes(lunex, "refused", 3, exporter="a")
        self.wait_pushes(lunex, "success", 3, exporter="b")
        told = [line for line in lunex.log.splitlines() if "refuses" in line]
        self.assertEqual(1, len(told), lunex.log)
        self.assertRegex(told[0], "level=warn .*error=\"PUT "
                         f"{gateway.url}/metrics/job/a: 401 Unauthorized.* "
                         f"exporter=a target={gateway.url}$")
        self.assertEqual(1, lunex.samples()['count_up{n="1"}'])
        self.assertIn("401 Unauthorized", lunex.get("/").text)
        lunex.stop()
        for text in (lunex.log, *lunex.lines):
            self.assertNotIn(SECRET, text)
            self.assertNotIn(PASSWORD, text)

    def test_a_gateway_that_is_down_is_told_once_and_pushed_to_later(self):
        gateway = Gateway(self)
        gateway.kill()
        lunex = self.serve('{ "count.lua", push = { url = "%s", '
                           'interval = 0.1 } }' % gateway.url)
        self.wait_pushes(lunex, "down", 4)
        self.assertEqual(1, lunex.log.count("the target does not answer"))
        self.assertIn("refused", lunex.get("/").text)
        gateway.start()
        lunex.wait_log("pushing again.*exporter=count")
        self.assertIn('count_value{instance="",job="count"}',
                      gateway.samples())
        gateway.kill()
        lunex.wait_log("(?s)pushing again.*the target does not answer")
        gateway.start()
        lunex.wait_log("(?s)pushing again.*pushing again")

    def test_what_the_gateway_says_about_a_refusal_is_told(self):
        gateway = Gateway(self)
        subprocess.run(["curl", "-sf", "--data-binary", "@-",
                        f"{gateway.url}/metrics/job/other"], check=True,
                       input=b"# TYPE count_value counter\ncount_value 1\n")
        lunex = self.serve('{ "count.lua", push = { url = "%s", '
                           'interval = 0.1 } }' % gateway.url)
        lunex.wait_log("400 Bad Request: pushed metrics are invalid or "
                       "inconsistent")


class Mistakes(Pushed):
    def test_each_is_a_sentence_with_its_line_and_no_secret(self):
        (self.folder / "secret").write_text(SECRET)
        for sentence, push in (
                ("unknown key 'urll' of push; did you mean 'url'?",
                 '{ urll = "http://g" }'),
                ("push.url: expected http:// or https://, a host and at most "
                 "a path", '{ url = "u:hunter2@gateway" }'),
                ("push.interval: expected seconds, got the text of a file",
                 '{ url = "http://g", interval = file "secret" }'),
                ("push.password: there is no push.username",
                 '{ url = "http://g", password = file "secret" }')):
            path = self.configuration('{ "count.lua",\n push = ' + push + ' }')
            for words in (["--config", path], ["once", "--config", path],
                          ["check", path]):
                done = subprocess.run([program(), *words], text=True,
                                      capture_output=True, check=False)
                self.assertEqual((2, f"lunex: {path}:4: {sentence}\n", ""),
                                 (done.returncode, done.stderr, done.stdout))

    def test_once_pushes_nothing(self):
        path = self.configuration('{ "count.lua", push = { url = '
                                  '"http://127.0.0.1:1" } }')
        done = subprocess.run([program(), "once", "--config", path], text=True,
                              capture_output=True, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn("count_value 7\n", done.stdout)


class Trouble(Pushed):
    @timely
    def test_slow_targets_delay_nobody_and_the_end_by_five_seconds(self):
        slow, good = self.upstream(), self.upstream()
        slow.answer("PUT", re.compile(".*"), Stall())
        slow.answer("POST", "/write", Stall())
        good.answer("PUT", re.compile(".*"), Answer(202))
        form = '{ type = "%s", url = "%s", interval = 0.1, timeout = 60 }'
        lunex = self.serve('{ "count.lua", push = { %s } }' % ", ".join((
            form % ("pushgateway", slow.url),
            form % ("remote_write", slow.url + "/write"),
            form % ("pushgateway", good.url))))
        slow.wait_requests(2)
        good.wait_requests(8)
        self.assertEqual(2, len(slow.requests))
        begin = time.monotonic()
        self.assertEqual(0, lunex.stop())
        self.assertTrue(4.5 < time.monotonic() - begin < 8)
        lunex.wait_log("the last push did not end in time.* "
                       "count=2")
        lunex.wait_said("samples are lost: the queue was in memory")

    def test_a_gateway_that_does_not_answer_in_time_is_told_once(self):
        slow = self.upstream()
        slow.answer("PUT", re.compile(".*"), Stall())
        lunex = self.serve('{ "count.lua", push = { url = "%s", '
                           'interval = 0.1, timeout = 0.2 } }' % slow.url)
        self.wait_pushes(lunex, "slow", 3)
        self.assertEqual(1, lunex.log.count("does not answer in time"))
        lunex.wait_said("timed out after 0.2 s")

    def test_a_script_that_is_stuck_is_left_out_and_stops_no_other(self):
        up = self.upstream()
        up.answer("PUT", re.compile(".*"), Answer(200))
        self.script(STUCK % (self.folder / "free"), "stuck")
        lunex = self.serve(
            '{ "stuck.lua", timeout = 0.3 }', '{ "count.lua" }',
            top='push = { url = "%s", interval = 0.1 },' % up.url)
        lunex.wait_log("nothing to push.*does not answer.*exporter=stuck")
        seen = len(up.requests_to("/metrics/job/count"))
        up.wait(lambda u: len(u.requests_to("/metrics/job/count")) > seen + 5,
                "others are pushed")
        self.assertEqual([], up.requests_to("/metrics/job/stuck"))
        self.wait_pushes(lunex, "silent", 3, exporter="stuck")
        self.assertEqual(1, lunex.log.count("nothing to push"))
        (self.folder / "free").touch()
        lunex.wait_log("there is something to push again.*exporter=stuck")
        up.wait(lambda u: u.requests_to("/metrics/job/stuck"), "it is pushed")

    def test_an_exporter_that_cannot_run_has_nothing_to_push(self):
        up = self.upstream()
        up.answer("PUT", re.compile(".*"), Answer(200))
        self.script("return { collect = 1 }\n", "broken")
        lunex = self.serve(
            '{ "broken.lua" }', '{ "count.lua" }',
            top='push = { url = "%s", interval = 0.1 },' % up.url)
        lunex.wait_log("nothing to push: the exporter cannot run.*"
                       "exporter=broken")
        up.wait_requests(2)
        self.assertEqual({"/metrics/job/count"}, {r.path for r in up.requests})

    @timely
    def test_streams_of_one_interval_are_spread_over_it(self):
        up = self.upstream()
        up.answer("PUT", re.compile(".*"), Answer(200))
        lunex = self.serve(*(
            f'{{ "count.lua", name = "n{i}", labels = {{ n = "{i}" }} }}'
            for i in range(30)),
            top='push = { url = "%s", interval = 1 },' % up.url)
        up.wait(lambda u: len({r.path for r in u.requests}) == 30, "all came")
        first = {}
        for request in up.requests:
            first.setdefault(request.path, request.time)
        times = sorted(first.values())
        self.assertTrue(0.6 < times[-1] - times[0] < 1.2, times)
        again = [r.time for r in up.requests if r.path == "/metrics/job/n0"]
        up.wait(lambda u: len(u.requests_to("/metrics/job/n0")) >
                len(again), "it goes on")
        later = [r.time for r in up.requests_to("/metrics/job/n0")]
        for one, other in zip(later, later[1:]):
            self.assertAlmostEqual(1, other - one, delta=0.3)
        self.assertEqual(0, lunex.stop())

    def test_a_gateway_is_trusted_by_its_own_authority(self):
        up = self.upstream(tls="good")
        up.answer("PUT", re.compile(".*"), Answer(200))
        (self.folder / "ca.pem").write_bytes(Path(up.ca_file).read_bytes())
        url = up.url.replace("https://", "https://u:hunter2@")
        lunex = self.serve(
            '{ "count.lua", name = "a", labels = { n = "1" }, push = { '
            'url = "%s", interval = 0.1, ca_file = "ca.pem" } }' % url,
            '{ "count.lua", name = "b", labels = { n = "2" }, push = { '
            'url = "%s", interval = 0.1 } }' % url)
        up.wait_requests(2)
        self.assertEqual({"/metrics/job/a"}, {r.path for r in up.requests})
        lunex.wait_log("is not signed by a known authority.*exporter=b")
        self.wait_pushes(lunex, "down", exporter="b")
        page = lunex.get("/").text + lunex.get().text
        self.assertNotIn("hunter2", page + lunex.log)
        self.assertIn(f'exporter="b",target="{up.url}"', page)

    def test_a_header_and_a_login_go_along(self):
        up = self.upstream()
        up.answer("PUT", re.compile(".*"), Answer(200))
        self.serve('{ "count.lua", push = { { url = "%s/base/", '
                   'interval = 0.1, bearer = "t", headers = { ["X-Tenant"] = "a" } } } }'
                   % up.url)
        up.wait_requests(1)
        request = up.requests[0]
        self.assertEqual(
            ("/base/metrics/job/count", "Bearer t", "a"),
            (request.path, request.headers["authorization"],
             request.headers["x-tenant"]))
