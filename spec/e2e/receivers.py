# SPDX-License-Identifier: Apache-2.0
"""What lunex writes to, as real programs that a test ends and begins again:
Prometheus and VictoriaMetrics. Each keeps its port and its data."""

import json
import subprocess
import urllib.parse
import urllib.request

from spec.e2e.lunex import DEADLINE, eventually, free_port


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
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def get(self, path):
        with urllib.request.urlopen(self.url + path,
                                    timeout=DEADLINE) as response:
            return response.read().decode()

    def ready(self):
        try:
            self.get(self.READY)
            return True
        except OSError:
            if self.process.poll() is not None:
                raise AssertionError(self.log()) from None
            return False


class Prometheus(Receiver):
    """One that is written to, with FEATURES on."""

    WRITE = "/api/v1/write"

    def __init__(self, case, started=True, features=""):
        self.features = features
        super().__init__(case, started)

    def command(self):
        (self.folder / "prometheus.yml").write_text("{}\n")
        return ["prometheus", f"--config.file={self.folder}/prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-remote-write-receiver",
                f"--enable-feature={self.features}"]

    def answer(self, path, **parameters):
        """What is in the answer of the API."""
        parameters = urllib.parse.urlencode(parameters)
        return json.loads(self.get(f"/api/v1/{path}?{parameters}"))["data"]

    def results(self, expression):
        return self.answer("query", query=expression)["result"]

    def query(self, expression):
        """The values of the answer."""
        return [float(r["value"][1]) for r in self.results(expression)]

    def raw(self, selector):
        """{labels as sorted pairs: [(milliseconds, value), ...]}"""
        return {tuple(sorted(r["metric"].items())): [
            (round(at * 1000), float(value)) for at, value in r["values"]]
            for r in self.results(f"{selector}[2h]")}

    def present(self, selector):
        """How many series there are just now."""
        return len(self.results(selector))


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
