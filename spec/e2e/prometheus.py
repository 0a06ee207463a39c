# SPDX-License-Identifier: Apache-2.0
"""The real Prometheus of Debian."""

import json
import subprocess
import urllib.parse
import urllib.request

from spec.e2e.lunex import DEADLINE, eventually, free_port


class Server:
    """A Prometheus of its own, with the text of a configuration and more FLAGS;
    forgotten when the test ends. One for each test."""

    def __init__(self, case, config, *flags):
        self.port = free_port()
        (case.folder / "prometheus.yml").write_text(config)
        self.path = case.folder / "prometheus.log"
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={case.folder}/prometheus.yml",
                 f"--storage.tsdb.path={case.folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}",
                 "--log.level=debug", *flags],
                cwd=case.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        case.addCleanup(self.stop)
        eventually(self.ready, "Prometheus is ready")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self):
        return self.path.read_text(errors="replace")

    def get(self, path):
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=DEADLINE) as response:
            return response.read()

    def ready(self):
        try:
            return self.get("/-/ready")
        except OSError:
            if self.process.poll() is not None:
                raise AssertionError(self.log()) from None
            return None

    def results(self, expression):
        """The answer as it is."""
        query = urllib.parse.urlencode({"query": expression})
        answer = json.loads(self.get(f"/api/v1/query?{query}"))
        return answer["data"]["result"]

    def query(self, expression):
        """The values of the answer."""
        return [float(r["value"][1]) for r in self.results(expression)]

    def targets(self):
        answer = json.loads(self.get("/api/v1/targets?state=active"))
        return answer["data"]["activeTargets"]
