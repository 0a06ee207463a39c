# SPDX-License-Identifier: Apache-2.0
"""The module push, and registries, against a real Pushgateway."""

import json
import subprocess

from spec.e2e.certificates import certificates
from spec.e2e.gateway import PASSWORD, USER, WEB_CONFIG, Gateway
from spec.e2e.lunex import Case, eventually

# What it is told to do comes as JSON, and what became of it goes back.
PUSHER = """
local json = require "json"
local metric = require "metric"
local push = require "push"
local task = require "task"

local registry = metric.registry {
  namespace = "own", labels = { site = "a" },
  ping = metric.gauge "A gauge.",
  sent_total = metric.counter { "A counter.", labels = { "code" } },
  rtt_seconds = metric.histogram { "A histogram.", buckets = { 0.1, 1 } },
  size_bytes = metric.summary "A summary.",
  build_info = metric.info { "An info.", labels = { "version" } },
  door = metric.stateset { "A stateset.", states = { "open", "shut" } },
}
registry.ping:set(1.5)
registry.sent_total:inc(3, 'a"b\\\\c\\nd')
registry.rtt_seconds:observe(0.5)
registry.size_bytes:observe(7)
registry.build_info:set(1, "1.0")
registry.door:set "shut"

local orders = {
  send = function(order)
    return push.send(order.url, order.text, order.options)
  end,
  delete = function(order)
    return push.delete(order.url, order.options)
  end,
  registry = function(order)
    return registry:push(order.url, order.options)
  end,
  registry_delete = function(order)
    return registry:delete(order.url, order.options)
  end,
  many = function(order)
    local jobs = {}
    for i = 1, order.count do
      jobs[i] = i
    end
    task.each(jobs, function(i)
      local one = metric.registry { many_value = metric.gauge "Many." }
      one.many_value:set(i)
      assert(one:push(order.url, { job = "job " .. i }))
    end)
    return true
  end,
}

return {
  name = "pusher",
  timeout = 60,
  metrics = {},
  routes = {
    ["POST /order"] = function(request)
      local order = assert(json.decode(request.body))
      local ok, message, answer = orders[order.what](order)
      return { json = { ok = ok or false, message = message,
        status = answer and answer.status } }
    end,
  },
}
"""

TEXT = "# TYPE {0} gauge\n{0} {1}\n"

HOSTILE = (
    "Loop 01", "site/with space", "/", "//", "/var/tmp/", "50%", "%2F", "a+b",
    "a%20b", "Zürich", "日本", "🙂", ".", "..", "...", "../..", "a.b", "line\nfeed",
    "tab\tbed", '"quoted"', "back\\slash", "?query", "#fragment", "a;b=c&d",
    "job@base64", "=", "==", "{}", "[::1]:9100", "-._~!$&'()*", " ", "a\x01b",
    "x" * 500, "é" * 300 + "/",
)


class Push(Case):
    def setUp(self):
        super().setUp()
        self.pusher = self.lunex(self.script(PUSHER))

    def order(self, gateway, what, **order):
        """What lunex says about it: { ok, message, status }."""
        options = {"job": "j", **order.pop("options", {})}
        body = {"what": what, "options": options,
                "url": getattr(gateway, "url", gateway), **order}
        connection = self.pusher.connect()
        try:
            connection.request("POST", "/order", json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
            self.assertEqual(200, answer.status, self.pusher.log)
            return json.loads(text)
        finally:
            connection.close()

    def done(self, gateway, what, **order):
        self.assertEqual({"ok": True}, self.order(gateway, what, **order))

    def gone(self, gateway, **labels):
        """A Pushgateway says 202 to DELETE, and does it when it comes to it."""
        eventually(lambda: gateway.group(**labels) is None, labels)

    def refused(self, gateway, what, **order):
        """The sentence about it, and the status."""
        said = self.order(gateway, what, **order)
        self.assertFalse(said["ok"])
        return said["message"], said.get("status")

    # ---- what PUT, POST and DELETE do ----

    def test_put_replaces_the_group_and_post_what_it_names(self):
        gateway = Gateway(self)
        self.done(gateway, "send", text=TEXT.format("a", 1))
        self.done(gateway, "send", text=TEXT.format("b", 2))
        self.assertEqual((None, 2), (gateway.value("a", job="j"),
                                     gateway.value("b", job="j")))
        post = {"method": "POST"}
        self.done(gateway, "send", text=TEXT.format("a", 3), options=post)
        self.done(gateway, "send", text=TEXT.format("a", 4), options=post)
        self.assertEqual((4, 2), (gateway.value("a", job="j"),
                                  gateway.value("b", job="j")))
        self.done(gateway, "send", text="", options=post)
        self.assertEqual((4, 2), (gateway.value("a", job="j"),
                                  gateway.value("b", job="j")))
        self.done(gateway, "send", text="")
        self.assertEqual({"push_time_seconds", "push_failure_time_seconds"},
                         set(gateway.group(job="j")))

    def test_delete_removes_just_that_group(self):
        gateway = Gateway(self)
        longer = {"grouping": {"instance": "i"}}
        self.done(gateway, "send", text=TEXT.format("a", 1))
        self.done(gateway, "send", text=TEXT.format("a", 2), options=longer)
        self.done(gateway, "delete")
        self.gone(gateway, job="j")
        self.assertEqual(2, gateway.value("a", job="j", instance="i"))
        self.done(gateway, "delete")  # nothing is there: no failure
        self.done(gateway, "delete", options=longer)
        eventually(lambda: not gateway.groups(), "no group")

    def test_a_gateway_below_a_path_that_checks_nothing(self):
        gateway = Gateway(self, "--push.disable-consistency-check",
                          prefix="/deep/gateway")
        self.done(gateway, "send", text=TEXT.format("a", 1))
        self.done(gateway.url + "/", "send", text=TEXT.format("a", 2))
        self.done(gateway, "delete", options={"job": "other"})
        self.assertEqual(2, gateway.value("a", job="j"))
        message, status = self.refused(gateway.address, "send",
                                       text=TEXT.format("a", 3))
        self.assertEqual(404, status)
        self.assertIn(f"PUT {gateway.address}/metrics/job/j: 404 ", message)

    # ---- what a group may be called ----

    def test_every_name_arrives_as_it_is(self):
        gateway = Gateway(self)
        for n, name in enumerate(HOSTILE):
            self.done(gateway, "send", text=TEXT.format("a", n), options={
                "job": name, "grouping": {"device": name, "n": n}})
            self.done(gateway, "send", text=TEXT.format("a", n), options={
                "job": name})
        for n, name in enumerate(HOSTILE):
            self.assertEqual(n, gateway.value("a", job=name, device=name,
                                              n=str(n)), name)
            self.assertEqual(n, gateway.value("a", job=name), name)
        self.assertEqual(2 * len(HOSTILE), len(gateway.groups()))
        for n, name in enumerate(HOSTILE):
            self.done(gateway, "delete", options={
                "job": name, "grouping": {"device": name, "n": n}})
            self.gone(gateway, job=name, device=name, n=str(n))
        self.assertEqual(len(HOSTILE), len(gateway.groups()))

    def test_an_empty_label_is_one(self):
        gateway = Gateway(self)
        self.done(gateway, "send", text=TEXT.format("a", 1), options={
            "grouping": {"instance": "", "z": "x"}})
        self.assertEqual(1, gateway.value("a", job="j", instance="", z="x"))
        self.done(gateway, "delete", options={
            "grouping": {"z": "x", "instance": ""}})
        eventually(lambda: not gateway.groups(), "no group")

    # ---- registries ----

    def test_a_registry_is_shown_with_the_labels_of_the_group(self):
        gateway = Gateway(self)
        self.done(gateway, "registry", options={"grouping": {"instance": "i"}})
        group = 'instance="i",job="j",'
        shown = {name: value for name, value in gateway.samples().items()
                 if name.startswith("own_")}
        self.assertEqual({
            f'own_ping{{{group}site="a"}}': 1.5,
            f'own_sent_total{{code="a\\"b\\\\c\\nd",{group}site="a"}}': 3,
            f'own_rtt_seconds_bucket{{{group}site="a",le="0.1"}}': 0,
            f'own_rtt_seconds_bucket{{{group}site="a",le="1"}}': 1,
            f'own_rtt_seconds_bucket{{{group}site="a",le="+Inf"}}': 1,
            f'own_rtt_seconds_sum{{{group}site="a"}}': 0.5,
            f'own_rtt_seconds_count{{{group}site="a"}}': 1,
            f'own_size_bytes_sum{{{group}site="a"}}': 7,
            f'own_size_bytes_count{{{group}site="a"}}': 1,
            f'own_build_info{{{group}site="a",version="1.0"}}': 1,
            f'own_door{{{group}own_door="open",site="a"}}': 0,
            f'own_door{{{group}own_door="shut",site="a"}}': 1,
        }, shown)
        types = dict(line.split()[2:] for line in gateway.page().splitlines()
                     if line.startswith("# TYPE own_"))
        self.assertEqual({
            "own_ping": "gauge", "own_sent_total": "counter",
            "own_rtt_seconds": "histogram", "own_size_bytes": "summary",
            "own_build_info": "gauge", "own_door": "gauge"}, types)
        self.done(gateway, "registry_delete",
                  options={"grouping": {"instance": "i"}})
        eventually(lambda: not gateway.groups(), "no group")

    def test_promtool_has_nothing_to_add_about_the_page(self):
        gateway = Gateway(self)
        own = self.promtool(gateway.page())
        self.done(gateway, "registry", options={"job": "a/b"})
        self.assertEqual(own, self.promtool(gateway.page()))

    def promtool(self, page):
        """What it says, which is about the gateway's own names."""
        result = subprocess.run(
            ["promtool", "check", "metrics"], input=page, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertNotIn("parsing", result.stdout)
        return set(result.stdout.splitlines())

    def test_a_hundred_pushes_at_a_time(self):
        gateway = Gateway(self)
        self.done(gateway, "many", count=100)
        groups = {labels["job"]: families["many_value"][0]["value"]
                  for labels, families in gateway.groups()}
        self.assertEqual({f"job {i}": str(i) for i in range(1, 101)}, groups)

    # ---- refusals ----

    def test_a_refusal_is_told_in_the_words_of_the_gateway(self):
        gateway = Gateway(self)
        place = f"PUT {gateway.url}/metrics/job/j: 400 Bad Request: "
        self.done(gateway, "send", text=TEXT.format("a", 1))
        message, status = self.refused(
            gateway, "send", text="# TYPE a counter\na 1\n",
            options={"grouping": {"instance": "i"}})
        self.assertEqual(400, status)
        self.assertIn(": 400 Bad Request: pushed metrics are invalid or "
                      "inconsistent with existing metrics: ", message)
        self.assertRegex(message, r"is not a (GAUGE|COUNTER)$")
        self.assertEqual(1, gateway.value("a", job="j"))
        for text, why in ((TEXT.format("a", "x"), "text format parsing error"),
                          ("a 1 1700000000000\n", "pushed metrics"),
                          ("a 1\na 2\n", "pushed metrics"),
                          ("a 1\r\n", "text format parsing error")):
            message, status = self.refused(gateway, "send", text=text)
            self.assertEqual(400, status)
            self.assertTrue(message.startswith(place + why), message)
        self.assertIn("push_failure_time_seconds", gateway.group(job="j"))

    def test_what_the_group_would_replace_never_arrives(self):
        gateway = Gateway(self)
        message, status = self.refused(
            gateway, "registry", options={"grouping": {"site": "b"}})
        self.assertIsNone(status)
        self.assertIn("has the label 'site', which the group would replace",
                      message)
        self.assertEqual([], gateway.groups())

    def test_a_wrong_password_is_a_refusal_that_does_not_show_it(self):
        gateway = Gateway(self, web_config=WEB_CONFIG)
        place = f"PUT {gateway.url}/metrics/job/j: "
        for username, password in ((USER, "wr0ngWord"), ("other", PASSWORD)):
            message, status = self.refused(
                gateway, "send", text=TEXT.format("a", 1),
                options={"username": username, "password": password})
            self.assertEqual((place + "401 Unauthorized", 401),
                             (message, status))
        message, status = self.refused(gateway, "send", text="")
        self.assertEqual(401, status)
        inside = gateway.url.replace("//", "//user:wr0ngWord@")
        message, status = self.refused(inside, "send", text="")
        self.assertEqual((place + "401 Unauthorized", 401), (message, status))
        login = {"username": USER, "password": PASSWORD}
        self.done(gateway, "send", text=TEXT.format("a", 5), options=login)
        self.assertEqual(5, gateway.value("a", job="j"))
        self.done(gateway.url.replace("//", f"//{USER}:{PASSWORD}@"), "send",
                  text=TEXT.format("a", 6))
        self.assertEqual(6, gateway.value("a", job="j"))
        for word in ("wr0ngWord", PASSWORD):
            self.assertNotIn(word, self.pusher.log)

    def test_a_gateway_with_a_certificate(self):
        made = certificates()
        gateway = Gateway(self, web_config=(
            f"tls_server_config:\n  cert_file: {made.file('good')}\n"
            f"  key_file: {made.key('good')}\n"))
        secure = gateway.url.replace("http:", "https:")
        self.done(secure, "send", text=TEXT.format("a", 1),
                  options={"ca_file": made.file("ca")})
        self.done(secure, "send", text=TEXT.format("a", 1),
                  options={"insecure": True})
        message, status = self.refused(secure, "send", text="")
        self.assertIsNone(status)
        self.assertIn("certificate", message)

    # ---- a gateway that dies ----

    def test_a_gateway_that_is_killed_in_between(self):
        gateway = Gateway(self)
        self.done(gateway, "send", text=TEXT.format("a", 1))
        gateway.kill()
        message, status = self.refused(gateway, "send",
                                       text=TEXT.format("a", 2))
        self.assertIsNone(status)
        self.assertEqual(f"PUT {gateway.url}/metrics/job/j: connection refused",
                         message)
        gateway.start()
        self.done(gateway, "send", text=TEXT.format("a", 3))
        self.assertEqual(3, gateway.value("a", job="j"))
        gateway.kill()
        gateway.start()  # the connection that was kept is dead
        self.done(gateway, "send", text=TEXT.format("a", 4))
        self.assertEqual(4, gateway.value("a", job="j"))
