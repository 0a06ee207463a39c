# SPDX-License-Identifier: Apache-2.0
"""What lunex pushes to, as real programs that a test ends and begins again:
Pushgateway, Prometheus and VictoriaMetrics. Each keeps its port and its data.
"""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from spec.e2e.lunex import SAMPLE, eventually, free_port

# The password is "right".
WEB_CONFIG = """\
basic_auth_users:
  u: $2b$04$abcdefghijklmnopqrstuuFmEfrkTQnczNzw475xE2VhDrK1uwJiC
"""


class Receiver:
    """A program on a port of 127.0.0.1; STARTED=False: begun by start()."""

    READY = "/-/ready"

    def __init__(self, case, started=True):
        self.folder = case.folder / type(self).__name__.lower()
        self.folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = self.folder / "log"
        self.process = None
        case.addCleanup(self.stop)
        if started:
            self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        eventually(self.ready, f"{self.command()[0]} is ready")

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def get(self, path, method="GET"):
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.read().decode()

    def ready(self):
        try:
            self.get(self.READY)
            return True
        except urllib.error.HTTPError as e:
            return e.code == 401  # it serves, but not us
        except OSError:
            if self.process.poll() is not None:
                raise AssertionError(self.log()) from None
            return False


class Pushgateway(Receiver):
    """PASSWORD: it wants the user u and the password right."""

    def __init__(self, case, started=True, password=False):
        self.password = password
        super().__init__(case, started)

    def command(self):
        command = ["prometheus-pushgateway",
                   f"--web.listen-address=127.0.0.1:{self.port}",
                   f"--persistence.file={self.folder}/groups"]
        if self.password:
            config = self.folder / "web.yml"
            config.write_text(WEB_CONFIG)
            command.append(f"--web.config.file={config}")
        return command

    def samples(self):
        """As on its page."""
        return {name: float(value)
                for name, value in SAMPLE.findall(self.get("/metrics"))}

    def groups(self):
        """The labels of each group, as sorted pairs."""
        answer = json.loads(self.get("/api/v1/metrics"))
        return sorted(sorted(g["labels"].items()) for g in answer["data"])


class Prometheus(Receiver):
    """One that is written to."""

    WRITE = "/api/v1/write"

    def command(self):
        (self.folder / "prometheus.yml").write_text("{}\n")
        return ["prometheus", f"--config.file={self.folder}/prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-remote-write-receiver"]

    def raw(self, selector):
        """{labels as sorted pairs: [(milliseconds, value), ...]}"""
        query = urllib.parse.urlencode({"query": f"{selector}[2h]"})
        answer = json.loads(self.get(f"/api/v1/query?{query}"))
        return {tuple(sorted(r["metric"].items())): [
            (round(at * 1000), float(value)) for at, value in r["values"]]
            for r in answer["data"]["result"]}

    def present(self, selector):
        """How many series there are just now."""
        query = urllib.parse.urlencode({"query": selector})
        answer = json.loads(self.get(f"/api/v1/query?{query}"))
        return len(answer["data"]["result"])


class VictoriaMetrics(Receiver):
    WRITE = "/api/v1/write"
    READY = "/health"

    def command(self):
        return ["victoria-metrics",
                f"-httpListenAddr=127.0.0.1:{self.port}",
                f"-storageDataPath={self.folder}/data"]

    def raw(self, selector):
        """As of Prometheus, without the ends of series."""
        self.get("/internal/force_flush")
        query = urllib.parse.urlencode({"match[]": selector})
        series = {}
        for line in self.get(f"/api/v1/export?{query}").splitlines():
            one = json.loads(line)
            pairs = [(at, value) for at, value
                     in zip(one["timestamps"], one["values"])
                     if isinstance(value, (int, float))]
            labels = tuple(sorted(one["metric"].items()))
            series[labels] = sorted(series.get(labels, []) + pairs)
        return series
