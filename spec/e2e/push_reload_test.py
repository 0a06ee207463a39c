# SPDX-License-Identifier: Apache-2.0
"""What a reload does to pushing: a script gets another version, targets change,
come and go, with a real Pushgateway and a real Prometheus behind them."""

import re
import time

from spec.e2e.answers import Answer, Stall
from spec.e2e.gateway import Gateway
from spec.e2e.lunex import eventually
from spec.e2e.pusher_test import COUNT, Pushed
from spec.e2e.receivers import Prometheus
from spec.e2e.timely import timely

RELOADS = 20
INTERVAL = 0.5
NAME = "count_collections_total"


class Reloaded(Pushed):
    def serve(self, *entries, **options):
        return self.lunex(
            "--config", self.configuration(*entries, **options), "--watch=off",
            "--web.enable-lifecycle")

    def reload(self, lunex):
        answer = lunex.post("/-/reload", "")
        self.assertEqual(200, answer.status, answer.text + lunex.log)

    def change(self, lunex, *entries, **options):
        self.configuration(*entries, **options)
        self.reload(lunex)

    def accepting(self):
        up = self.upstream()
        up.answer("PUT", re.compile(".*"), Answer(202))
        up.answer("DELETE", re.compile(".*"), Answer(202))
        up.answer("POST", re.compile(".*"), Answer(204))
        return up

    def targets(self, lunex):
        """What lunex_push* speaks of."""
        return {match[1] for key in lunex.samples()
                if (match := re.match(r'lunex_push\w+\{.*target="([^"]*)"',
                                      key))}

    def wait_targets(self, lunex, *targets):
        eventually(lambda: self.targets(lunex) == set(targets),
                   f"targets {targets}")

    def wait_jobs(self, gateway, *jobs):
        eventually(lambda: {labels["job"] for labels, _ in gateway.groups()}
                   == set(jobs), f"groups {jobs}")


class Versions(Reloaded):
    def samples(self, receiver):
        """[(milliseconds, value)], of the only series."""
        series = receiver.raw(NAME)
        self.assertLessEqual(len(series), 1)
        return sorted(sum(series.values(), []))

    @timely
    def test_twenty_versions_lose_and_double_nothing(self):
        gateway, receiver = Gateway(self), Prometheus(self)
        lunex = self.serve(
            '{ "count.lua", push = { { url = "%s", interval = %s }, { '
            'type = "remote_write", url = "%s", interval = %s } } }'
            % (gateway.url, INTERVAL, receiver.url + receiver.WRITE, INTERVAL))
        seen, pushed = 0, []
        for version in range(RELOADS + 1):
            if version:
                self.script(COUNT + f"-- version {version}\n", "count")
                self.reload(lunex)
                lunex.wait_log(f"(?s)(exporter reloaded.*){{{version}}}")
            eventually(lambda least=seen: len(self.samples(receiver)) > least,
                       f"a sample of version {version}")
            seen = len(self.samples(receiver))
            pushed.append(gateway.value(NAME, job="count"))
        self.check_samples(self.samples(receiver))
        values = [value for value in pushed if value is not None]
        self.assertEqual(sorted(values), values)
        self.check_said(lunex)

    def check_samples(self, samples):
        """Each tick has one, and the counter goes on."""
        times = [at / 1000 for at, _ in samples]
        values = [value for _, value in samples]
        ticks = (times[-1] - times[0]) / INTERVAL
        self.assertEqual(len(samples) - 1, round(ticks), times)
        self.assertEqual(sorted(set(values)), values)
        for one, other in zip(times, times[1:]):
            self.assertAlmostEqual(INTERVAL, other - one,
                                   delta=0.9 * INTERVAL)

    def check_said(self, lunex):
        page = lunex.samples()
        for key in page:
            self.assertNotRegex(key, 'lunex_pushes_total.*"(refused|silent|'
                                'busy|down|failed|slow)"')
            self.assertNotIn("dropped_total{exporter=\"count\",reason=\"re",
                             key)
        self.assertNotIn("level=warn", lunex.log)
        samples = page[next(key for key in page
                            if key.startswith("lunex_push_samples_total"))]
        self.assertGreater(samples, RELOADS)  # its count was not begun anew


class Targets(Reloaded):
    FORM = ('{ "count.lua", push = { url = "%s", job = "%s", interval = %s, '
            'on_shutdown = "%s" } }')

    def entry(self, url, job="count", interval=0.1, shutdown="delete"):
        return self.FORM % (url, job, interval, shutdown)

    def test_the_group_of_the_old_target_goes_and_the_new_one_appears(self):
        gateway = Gateway(self)
        lunex = self.serve(self.entry(gateway.url, "old"))
        self.wait_jobs(gateway, "old")
        self.change(lunex, self.entry(gateway.url, "new", shutdown="leave"))
        self.wait_jobs(gateway, "new")
        self.change(lunex, self.entry(gateway.url, "third"))
        self.wait_jobs(gateway, "new", "third")
        self.wait_targets(lunex, gateway.url)
        page = lunex.get("/").text
        self.assertEqual(1, page.count(gateway.url), page)

    def test_a_farewell_comes_before_what_is_pushed_to_the_same_group(self):
        up = self.accepting()
        lunex = self.serve(self.entry(up.url))
        up.wait(lambda u: len(u.requests) >= 3, "pushes")
        self.change(lunex, self.entry(up.url, interval=0.2))
        up.wait(lambda u: "DELETE" in [r.method for r in u.requests],
                "the farewell")
        gone = [r.method for r in up.requests].index("DELETE")
        up.wait(lambda u: len(u.requests) >= gone + 4, "pushes again")
        self.assertEqual({"PUT"}, {r.method for r in up.requests[:gone]})
        self.assertEqual({"PUT"}, {r.method for r in up.requests[gone + 1:]})

    def test_targets_are_removed_and_added(self):
        gateway, up = Gateway(self), self.accepting()
        both = ('{ "count.lua", push = { { url = "%s", interval = 0.1, '
                'on_shutdown = "delete" }, { url = "%s", interval = 0.1 } } }'
                % (gateway.url, up.url))
        lunex = self.serve('{ "count.lua" }')
        self.assertEqual(set(), self.targets(lunex))
        self.change(lunex, both)
        self.wait_jobs(gateway, "count")
        self.wait_targets(lunex, gateway.url, up.url)
        self.change(lunex, '{ "count.lua", push = { { url = "%s", '
                    'interval = 0.1 } } }' % up.url)
        self.wait_jobs(gateway)
        self.wait_targets(lunex, up.url)
        lunex.wait_log("other targets are pushed to.* new=0 gone=1")
        self.assertNotIn(gateway.url, lunex.get("/").text)
        self.change(lunex, '{ "count.lua" }')
        self.wait_targets(lunex)
        self.assertEqual({"PUT"}, {r.method for r in up.requests})
        count = len(up.requests)
        self.change(lunex, both)
        self.wait_jobs(gateway, "count")
        up.wait(lambda u: len(u.requests) > count, "pushes again")
        self.assertEqual(0, lunex.stop())
        self.wait_jobs(gateway)

    def test_an_exporter_that_is_removed_says_farewell(self):
        gateway = Gateway(self)
        top = ('push = { url = "%s", interval = 0.1, on_shutdown = "delete" },'
               % gateway.url)
        form = '{ "count.lua", name = "%s", labels = { n = "%s" } }'
        lunex = self.serve(form % ("a", 1), form % ("b", 2), top=top)
        self.wait_jobs(gateway, "a", "b")
        self.change(lunex, form % ("b", 2), top=top)
        self.wait_jobs(gateway, "b")
        self.change(lunex, form % ("c", 2), top=top)  # another name
        self.wait_jobs(gateway, "c")
        eventually(lambda: not any('exporter="b"' in key
                                   for key in lunex.samples()), "b is gone")
        self.assertEqual(0, lunex.stop())

    def test_series_end_that_are_not_written_any_more(self):
        receiver = Prometheus(self)
        form = ('{ "count.lua", push = { type = "remote_write", url = "%s", '
                'interval = 0.2, labels = { job = "%s" }, '
                'on_shutdown = "delete" } }')
        url = receiver.url + receiver.WRITE
        lunex = self.serve(form % (url, "old"))
        eventually(lambda: receiver.present(NAME + '{job="old"}'), "old")
        self.change(lunex, form % (url, "new"))
        eventually(lambda: receiver.present(NAME + '{job="new"}'), "new")
        eventually(lambda: not receiver.present(NAME + '{job="old"}'),
                   "the old series has ended")
        self.change(lunex, '{ "count.lua" }')
        eventually(lambda: not receiver.present(NAME), "none is left")
        self.assertNotIn("level=warn", lunex.log)

    def test_a_queue_goes_to_the_target_that_has_its_folder(self):
        receiver = Prometheus(self, started=False)
        form = ('{ "count.lua", push = { type = "remote_write", url = "%s", '
                'interval = 0.2, queue = "%s" } }')
        lunex = self.serve(form % ("http://127.0.0.1:1/write", "queue"))
        key = ('lunex_push_queue_samples{exporter="count",target="http://'
               '127.0.0.1:1/write"}')
        eventually(lambda: lunex.samples().get(key, 0) > 100, "a queue")
        before = time.time()
        receiver.start()
        url = receiver.url + receiver.WRITE
        self.change(lunex, form % (url, "./queue/"))
        eventually(lambda: receiver.raw(NAME), "samples of the queue")
        (samples,) = receiver.raw(NAME).values()
        self.assertLess(samples[0][0] / 1000, before - 1)
        self.assertNotIn("the queue is in memory", lunex.log)
        self.wait_targets(lunex, url)

    def test_what_is_lost_with_a_queue_in_memory_is_told(self):
        form = ('{ "count.lua", push = { type = "remote_write", url = '
                '"http://127.0.0.1:1/write", interval = %s } }')
        lunex = self.serve(form % 0.1)
        self.wait_pushes(lunex, "down")
        self.reload(lunex)
        self.assertNotIn("samples are lost", lunex.log)
        self.change(lunex, form % 0.2)
        lunex.wait_log("samples are lost: the queue was in memory.* "
                       "exporter=count.* samples=[1-9]|samples are lost.*"
                       "samples=[1-9].* exporter=count")
        self.wait_pushes(lunex, "down")


class Trouble(Reloaded):
    @timely
    def test_a_hanging_target_holds_up_nobody_while_it_is_replaced(self):
        slow, good = self.upstream(), self.accepting()
        slow.answer("PUT", re.compile(".*"), Stall())
        form = '{ "count.lua", push = { { url = "%s", interval = 0.1%s } %s } }'
        other = ', { url = "%s", job = "%s", interval = 0.1 }'
        lunex = self.serve(form % (slow.url, ", timeout = 60",
                                   other % (good.url, "a")))
        slow.wait_requests(1)
        good.wait_requests(2)
        begin = time.monotonic()
        self.change(lunex, form % (slow.url, "", other % (good.url, "a") +
                                   other % (good.url, "b")))
        good.wait(lambda u: len(u.requests_to("/metrics/job/b")) > 3, "b")
        seen = len(good.requests_to("/metrics/job/a"))
        good.wait(lambda u: len(u.requests_to("/metrics/job/a")) > seen + 3,
                  "a goes on")
        self.assertLess(time.monotonic() - begin, 4)
        slow.wait_requests(2)
        self.assertGreater(time.monotonic() - begin, 4.5)
        lunex.wait_log("the last push did not end in time.*target="
                       + re.escape(slow.url))

    def test_a_version_that_replaces_a_stuck_one_is_pushed(self):
        up = self.accepting()
        free = self.folder / "free"
        text = COUNT.replace(
            "m.count_value:set(7)",
            f'm.count_value:set(7) while not io.open "{free}" do end')
        self.addCleanup(free.touch)
        self.script(text.replace("return {", "return { limits = { cpu = 1000 "
                                 "},", 1), "count")
        lunex = self.serve('{ "count.lua", timeout = 0.3, push = { url = "%s",'
                           ' interval = 0.1 } }' % up.url)
        self.wait_pushes(lunex, "silent")
        self.script(COUNT, "count")
        self.reload(lunex)
        up.wait_requests(3)
        self.assertIn(b"count_value 7", up.requests[-1].body)
        self.assertEqual(0, self.pushes(lunex, "failed"))
