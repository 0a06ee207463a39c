# SPDX-License-Identifier: Apache-2.0
"""A real Pushgateway, of Debian's package, and what it has."""

import base64
import json
import re
import subprocess
import threading
import urllib.request

from spec.e2e.lunex import DEADLINE, SAMPLE, eventually, free_port

PROGRAM = "prometheus-pushgateway"
USER, PASSWORD = "user", "S3cretWord"
WEB_CONFIG = """
basic_auth_users:
  user: $2b$04$GzvxBdDM2zZRZcpKh3kvV.JBtQ3S6xTPi2zAQwKE4QOef.U9MuZw.
"""


class Gateway:
    """Runs until the test ends. It keeps its port when it is started again, and
    nothing else. `web_config` asks for USER and PASSWORD."""

    def __init__(self, case, *arguments, web_config=None, prefix=""):
        self._arguments = [*arguments, "--persistence.file="]
        self._prefix = prefix
        self._headers = {}
        if web_config is not None:
            path = case.folder / "web.yml"
            path.write_text(web_config)
            self._arguments.append(f"--web.config.file={path}")
            login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"
        if prefix:
            self._arguments.append(f"--web.route-prefix={prefix}")
        self.port = free_port()
        self.process = None
        self.start()
        case.addCleanup(self.kill)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self):
        return self.address + self._prefix

    # ---- beginning and end ----

    def start(self):
        """Starts it (again), and waits until it serves."""
        self.lines = []
        self.process = subprocess.Popen(
            [PROGRAM, f"--web.listen-address=127.0.0.1:{self.port}",
             *self._arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        eventually(self._listens, "the gateway listens")

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    @property
    def log(self):
        return "\n".join(self.lines)

    def _listens(self):
        match = re.search(r'"Listening on" address=127\.0\.0\.1:(\d+)',
                          self.log)
        if not match and self.process.poll() is not None:
            raise AssertionError(f"the gateway ended:\n{self.log}")
        self.port = int(match[1]) if match else self.port
        return match

    def kill(self):
        """Without a word to anybody."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stderr.close()

    # ---- what it has ----

    def get(self, path):
        """The text at a path."""
        request = urllib.request.Request(self.url + path,
                                         headers=self._headers)
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.read().decode()

    def page(self):
        return self.get("/metrics")

    def samples(self):
        """'name{label="value"}', as on the page -> number."""
        return {name: float(value) for name, value in SAMPLE.findall(self.page())}

    def groups(self):
        """A list of (labels of the group, family -> list of its metrics)."""
        data = json.loads(self.get("/api/v1/metrics"))["data"]
        return [(group["labels"],
                 {name: family["metrics"] for name, family in group.items()
                  if isinstance(family, dict) and "metrics" in family})
                for group in data]

    def group(self, **labels):
        """The families of the group with just these labels, or None."""
        for own, families in self.groups():
            if own == labels:
                return families
        return None

    def value(self, name, **labels):
        """Of a metric without labels of its own in that group, or None."""
        families = self.group(**labels) or {}
        if name not in families:
            return None
        return float(families[name][0]["value"])
