# SPDX-License-Identifier: Apache-2.0
"""The Mirth exporter in the place of others, before an HTTPS server that shows
a certificate of a private CA and goes wrong in every way."""

import os
import subprocess
import unittest
from pathlib import Path

from spec.e2e.answers import (Answer, HangUp, Huge, RedirectLoop,
                              Reset, RetryAfter, Sequence, SlowHeaders,
                              Truncated, WrongType)
from spec.e2e.lunex import TOP, Case, program
from spec.e2e.timely import timely
from spec.e2e.upstream import Upstream

FIXTURES = TOP / "spec/fixtures/mirth"
PASSWORD = "s3cret-p4ssword"
LOGIN = "/api/users/_login"
STATISTICS = "/api/channels/statistics"
RECEIVED = 'mirth_messages_received_total{channel="ADT-Inbound"}'
PARTS = ("channel_statistics", "channel_statuses", "database_tasks", "server",
         "system_stats")
FILES = {
    "/api/channels/idsAndNames": "idsAndNames.xml",
    STATISTICS: "statistics.xml",
    "/api/channels/statuses": "statuses.xml",
    "/api/databaseTasks": "databaseTasks.xml",
    "/api/server/status": "status.xml",
    "/api/server/version": "version.txt",
    "/api/system/stats": "stats.xml",
}


def recorded(path):
    name = FILES[path]
    kind = "text/plain" if name.endswith("txt") else "application/xml"
    return Answer(200, {"Content-Type": kind}, (FIXTURES / name).read_bytes())


class Mirth(Upstream):
    """A Mirth server: header, login and cookie are what the real one wants."""

    def __init__(self, case, tls="good", **options):
        super().__init__(tls, **options)
        case.addCleanup(self.close)
        self.answer("POST", LOGIN, self.log_in)
        for path in FILES:
            self.say(path, recorded(path))

    def say(self, path, answer):
        self.answer("GET", path, Guarded(path, answer))

    def heal(self, path):
        self.say(path, recorded(path))

    def log_in(self, request):
        if "x-requested-with" not in request.headers:
            return Answer(400)
        body = request.body.decode()
        if f"password={PASSWORD}" not in body or "username=monitor" not in body:
            return Answer(401, {"Content-Type": "application/xml"},
                          (FIXTURES / "login_fail.xml").read_bytes())
        return Answer(200, {
            "Content-Type": "application/xml",
            "Set-Cookie": "JSESSIONID=node01; Path=/api; Secure",
        }, (FIXTURES / "login.xml").read_bytes())

    @property
    def logins(self):
        return len(self.requests_to(LOGIN))


class Guarded:
    """ANSWER for those who say who they are."""

    def __init__(self, path, answer):
        self.path, self.answer = path, answer

    def send(self, wire, request):
        known = request.headers.get("cookie") == "JSESSIONID=node01" \
            or self.path.startswith("/api/server/")
        if "x-requested-with" not in request.headers:
            Answer(400).send(wire, request)
        elif not known:
            Answer(401).send(wire, request)
        else:
            self.answer.send(wire, request)


def part(name):
    return f'mirth_scrape_success{{part="{name}"}}'


class MirthCase(Case):
    def environment(self, mirth, **changes):
        return {"MIRTH_ENDPOINT": mirth.url, "MIRTH_USERNAME": "monitor",
                "MIRTH_PASSWORD": PASSWORD, **changes}

    def start(self, mirth, *arguments, **changes):
        return self.lunex("mirth", f"--ca-file={mirth.ca_file}", *arguments,
                          env=self.environment(mirth, **changes))

    def check(self, lunex):
        page = lunex.samples()
        self.assertEqual(1, page["mirth_up"], lunex.log)
        self.assertEqual(10, page[RECEIVED])


class DropIn(MirthCase):
    def test_serves_over_tls_with_a_private_authority(self):
        mirth = Mirth(self)
        lunex = self.start(mirth)
        self.check(lunex)
        self.check(lunex)
        self.assertEqual(1, mirth.logins)

    def test_the_page_pleases_promtool(self):
        lunex = self.start(Mirth(self))
        text = lunex.get().text
        lines = "".join(line + "\n" for line in text.splitlines()
                        if "mirth_" in line)
        result = subprocess.run(["promtool", "check", "metrics"], input=lines,
                                capture_output=True, text=True, check=False)
        self.assertEqual((0, "", ""), (result.returncode, result.stdout,
                                       result.stderr))

    def test_takes_the_originals_flags_under_its_name(self):
        mirth = Mirth(self)
        link = Path(program()).parent / "mirth_channel_exporter"
        self.assertTrue(link.is_symlink())
        variables = self.folder / "mirth.env"
        variables.write_text(
            f"MIRTH_ENDPOINT={mirth.url}\nMIRTH_USERNAME=monitor\n"
            f"MIRTH_PASSWORD={PASSWORD}\n")
        lunex = self.renamed(link, f"-config.file-path={variables}",
                             "-web.telemetry-path=/m", "-log.level=debug",
                             f"-ca-file={mirth.ca_file}")
        self.assertEqual(10, lunex.samples("/m")[RECEIVED])

    def renamed(self, path, *arguments):
        old = os.environ["LUNEX"]
        os.environ["LUNEX"] = str(path)
        try:
            return self.lunex(*arguments)
        finally:
            os.environ["LUNEX"] = old

    def test_the_environment_beats_the_file(self):
        mirth = Mirth(self)
        variables = self.folder / "mirth.env"
        variables.write_text("MIRTH_ENDPOINT=https://127.0.0.1:1\n")
        self.check(self.start(mirth, f"--config.file-path={variables}"))

    def test_a_file_of_variables_that_is_missing_is_told(self):
        process = self.ended("mirth", "--config.file-path=/nowhere/.env")
        self.assertEqual(2, process.wait())
        process.wait_said("/nowhere/.env")

    def test_takes_the_forks_variable_and_secrets_from_files(self):
        mirth = Mirth(self)
        secret = self.folder / "password"
        secret.write_text(PASSWORD + "\n")
        self.check(self.lunex(
            "mirth", f"--ca-file={mirth.ca_file}",
            env={"MIRTH_BASE_API_URL": mirth.url + "/api",
                 "MIRTH_USERNAME": "monitor",
                 "MIRTH_PASSWORD_FILE": str(secret)}))

    def test_insecure_accepts_an_unknown_certificate(self):
        mirth = Mirth(self)
        self.check(self.lunex("mirth", "--insecure",
                              env=self.environment(mirth)))


class Faults(MirthCase):
    def broken(self, mirth, lunex, names, pattern):
        """The page while PARTS fail, and what the log says about it."""
        page = lunex.samples()
        self.assertEqual(0, page["mirth_up"])
        self.assertEqual({name: int(name not in names) for name in PARTS},
                         {name: page[part(name)] for name in PARTS},
                         lunex.log)
        lunex.wait_log(pattern)
        self.assertNotIn(PASSWORD, lunex.log)
        self.assertNotIn("node01", lunex.log)

    @timely
    def test_an_endpoint_that_goes_wrong_takes_only_its_part_along(self):
        body = (FIXTURES / "statistics.xml").read_bytes()
        for fault in (Reset(), Reset(after=100), HangUp(), WrongType(),
                      RetryAfter(1), RedirectLoop(), Huge(), Huge(how="gzip"),
                      SlowHeaders(), Answer(503), Answer(500),
                      Truncated(body, 300),
                      Answer(200, {"Content-Type": "application/xml"},
                             body[:300]),
                      Answer(200, {"Content-Type": "text/plain"}, b"no"),
                      Answer(200, {"Content-Type": "application/xml"},
                             b"<html/>")):
            with self.subTest(fault=type(fault).__name__):
                mirth = Mirth(self)
                lunex = self.start(mirth, "--timeout=2")
                self.check(lunex)
                mirth.say(STATISTICS, fault)
                self.broken(mirth, lunex, ["channel_statistics"],
                            "part=channel_statistics .*channels/statistics")
                self.assertNotIn(RECEIVED, lunex.samples())
                mirth.heal(STATISTICS)
                lunex.page_with(lambda p: p["mirth_up"] == 1, "it is well")
                self.assertEqual(1, mirth.logins)

    def test_a_session_that_ended_is_renewed(self):
        mirth = Mirth(self)
        lunex = self.start(mirth)
        self.check(lunex)
        mirth.answer("GET", STATISTICS, Sequence(
            [Answer(401), recorded(STATISTICS)]))
        self.check(lunex)
        self.assertEqual(2, mirth.logins)

    def test_a_server_that_refuses_is_down_and_found_again(self):
        mirth = Mirth(self)
        lunex = self.start(mirth)
        self.check(lunex)
        mirth.refuse()
        self.broken(mirth, lunex, PARTS, "refused")
        mirth.listen()
        self.check(lunex)

    def test_a_server_that_is_down_at_first_is_found(self):
        mirth = Mirth(self)
        mirth.refuse()
        lunex = self.start(mirth)
        self.broken(mirth, lunex, PARTS, "refused")
        mirth.listen()
        self.check(lunex)

    def test_a_certificate_that_does_not_fit_is_refused(self):
        for tls, pattern in (("expired", "expired"),
                             ("other-name", "(?i)name|match")):
            with self.subTest(tls=tls):
                mirth = Mirth(self, tls)
                lunex = self.start(mirth)
                self.broken(mirth, lunex, PARTS, pattern)
                self.assertEqual([], mirth.requests)

    def test_an_account_is_not_locked(self):
        mirth = Mirth(self)
        lunex = self.start(mirth, MIRTH_PASSWORD="wr0ng-p4ssword")
        for _ in range(3):
            self.broken(mirth, lunex, [p for p in PARTS if p != "server"],
                        "_login: 401 Unauthorized; no other login before")
        self.assertEqual(1, mirth.logins)
        self.assertNotIn("wr0ng", lunex.log)

    def configured(self, mirth, profiles):
        path = self.folder / "lunex.lua"
        path.write_text(f"""return {{ exporters = {{ {{ "mirth", config = {{
          endpoint = "{mirth.url}", ca_file = "{mirth.ca_file}",
          user = "home", password = "h0me-p4ssword",
        }}, profiles = {{ {profiles} }} }} }} }}""")
        return self.lunex("--config", path)

    def test_a_probe_asks_another_server_by_its_profile(self):
        home, other = Mirth(self), Mirth(self)
        lunex = self.configured(
            home, f'east = {{ user = "monitor", password = "{PASSWORD}" }}')
        answer = lunex.get(
            f"/probe?exporter=mirth&target={other.url}&profile=east")
        self.assertEqual(1, answer.samples["probe_success"], lunex.log)
        self.assertEqual(10, answer.samples[RECEIVED])
        self.assertEqual([], home.requests)

    def test_a_probe_without_a_profile_gives_no_password_away(self):
        home, other = Mirth(self), Mirth(self)
        lunex = self.configured(home, "")
        answer = lunex.get(
            f"/probe?exporter=mirth&target={other.url}&debug=true")
        self.assertIn("probe_success 0\n", answer.text)
        self.assertIn("to a probe, a profile", answer.text)
        self.assertEqual([], other.requests_to(LOGIN))


if __name__ == "__main__":
    unittest.main()
