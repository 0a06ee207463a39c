# SPDX-License-Identifier: Apache-2.0
"""Exporters of a configuration get other names while lunex runs."""

import socket
from pathlib import Path

from spec.e2e.lunex import Case, eventually, free_port

SCRIPT = """
local metric, udp = require "metric", require "udp"
return {
  config = { port = { 1, help = "Where it listens." } },
  metrics = { sum_total = metric.counter { "Of the numbers that came." } },
  start = function(m, config)
    local server <close> = assert(udp.listen("127.0.0.1", config.port))
    while true do m.sum_total:inc(tonumber((server:receive()))) end
  end,
}
"""


class Names(Case):
    def setUp(self):
        super().setUp()
        self.script(SCRIPT)
        self.ports = [free_port(socket.SOCK_DGRAM) for _ in range(2)]
        self.config = self.folder / "lunex.lua"
        self.configure("a", "b")
        self.host = self.lunex("--config", self.config, "--watch=off",
                               "--web.enable-lifecycle")
        self.host.samples()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.sums = [0, 0]

    def configure(self, *names):
        lines = "".join(
            f'{{ "script.lua", name = "{name}", labels = {{ at = "{i}" }}, '
            f'config = {{ port = {port} }} }},\n'
            for i, (name, port) in enumerate(zip(names, self.ports)))
        self.config.write_text(f"return {{ exporters = {{\n{lines}}} }}\n")

    def send(self, which, number):
        self.socket.sendto(str(number).encode(),
                           ("127.0.0.1", self.ports[which]))
        self.sums[which] += number

    def check(self):
        self.host.page_with(
            lambda p: all(p.get(f'sum_total{{at="{i}"}}') == self.sums[i]
                          for i in range(2)), f"{self.sums}")

    def rename(self, *names):
        self.configure(*names)
        answer = self.host.post("/-/reload", "")
        self.assertEqual(200, answer.status, answer.text)
        for i in range(2):
            self.send(i, 10)
        self.check()
        for name in names:
            self.assertEqual(1, self.host.samples()[
                f'lunex_exporter_reload_success{{exporter="{name}"}}'])

    def test_what_it_counts_and_its_port_go_along(self):
        eventually(lambda: all(
            f":{port:04X} " in Path("/proc/net/udp").read_text()
            for port in self.ports), "both listen")
        self.send(0, 1)
        self.send(1, 2)
        self.check()
        self.rename("a", "c")
        self.rename("b", "c")  # one whose name another one had
        self.rename("d", "e")
