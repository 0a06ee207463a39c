# SPDX-License-Identifier: Apache-2.0
"""The Particle exporter in the place of another one, before a cloud that speaks
HTTPS with a certificate of a private CA, and that fails in every way."""

import json
import re
import subprocess
from pathlib import Path

from spec.e2e.answers import (Answer, Huge, Redirect, RedirectLoop, Reset,
                              RetryAfter, Sequence, SlowHeaders, Stall,
                              Truncated, WrongType)
from spec.e2e.lunex import DEADLINE, TOP, Case, Lunex, free_port, program
from spec.e2e.timely import timely
from spec.e2e.upstream import Upstream

FIXTURES = TOP / "spec/fixtures/particle"
TOKEN = "E2ETOKEN0123456789"
PHOTON = "0123456789abcdef01234567"
BORON = "e00fce68aaaaaaaaaaaaaaaa"
HOOK = "58b9a3c1aaaaaaaaaaaaaaaa"
ALARM = "58b9a3c1bbbbbbbbbbbbbbbb"
UPTIME = "device_uptime{core_id=\"%s\"}"
CONNECTED = "particle_connected{core_id=\"%s\"}"
VITALS = "particle_device_vitals_success{core_id=\"%s\"}"
SENDS = ("particle_integration_sends_total"
         f"{{integration_id=\"{HOOK}\",result=\"success\"}}")
SECRETS = (TOKEN, "MOBILESECRET123", "HEADERSECRET123", "QUERYSECRET123",
           "AUTHSECRET123")


def fixture(name):
    return json.loads((FIXTURES / name).read_text())


def refusal(body, status=401):
    return Answer(status, json=body)


class Cloud(Upstream):
    """An Upstream with the answers of the fixtures, for whoever has TOKEN."""

    def __init__(self, tls="good"):
        super().__init__(tls=tls)
        self.says("/v1/devices", fixture("devices.json"))
        self.says(f"/v1/diagnostics/{PHOTON}/last",
                  fixture("vitals_wifi.json"))
        self.says(f"/v1/diagnostics/{BORON}/last",
                  fixture("vitals_cellular.json"))
        self.says("/v1/integrations", fixture("integrations.json"))
        self.says(f"/v1/integrations/{HOOK}", fixture("integration_a.json"))
        self.says(f"/v1/integrations/{ALARM}", fixture("integration_b.json"))

    def says(self, path, answer):
        def look(request):
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return refusal({"error": "invalid_token"})
            return answer
        self.answer("GET", path, look)


class Particle(Case):
    def setUp(self):
        super().setUp()
        self.cloud = Cloud()
        self.addCleanup(self.cloud.close)

    def start(self, *arguments, token=TOKEN, **options):
        options.setdefault("env", {})
        if token:
            options["env"]["PARTICLE_TOKEN"] = token
        return self.lunex("particle", f"--api-url={self.cloud.url}",
                          f"--ca-file={self.cloud.ca_file}", *arguments,
                          **options)

    def good(self, page):
        self.assertEqual(1, page["particle_up"])
        self.assertEqual(2567461, page[UPTIME % PHOTON])
        self.assertEqual(1, page[CONNECTED % BORON])
        self.assertEqual(120, page[SENDS])

    def bad(self, lunex, *sentences):
        """The devices fail with the sentence, the integrations are served, and
        the next good answer ends it."""
        page = lunex.samples()
        self.assertEqual(0, page["particle_up"])
        self.assertNotIn(CONNECTED % BORON, page)
        self.assertEqual(120, page[SENDS])
        for sentence in sentences:
            lunex.wait_log(sentence)
        lunex.wait_log(r"collection failed.*/v1/devices")
        self.cloud.says("/v1/devices", fixture("devices.json"))
        self.good(lunex.samples())


class DropIn(Particle):
    def test_listens_where_endpoint_says_and_serves_what_path_says(self):
        for dashes in ("-", "--"):
            port = free_port()
            lunex = self.start(f"{dashes}endpoint=127.0.0.1:{port}",
                               f"{dashes}path", "numbers", listen=None)
            self.good(lunex.get("/numbers").samples)
            self.assertEqual(port, lunex.port)
            self.assertEqual(404, lunex.get("/metrics").status)
            self.assertEqual("ok\n", lunex.get("/healthz").text)

    def test_takes_the_token_in_every_way(self):
        path = self.folder / "token"
        path.write_text(TOKEN + "\n")
        for arguments, env in (
                (["--token", TOKEN], {}), ([f"-token={TOKEN}"], {}),
                ([f"--token-file={path}"], {}),
                ([], {"PARTICLE_TOKEN": TOKEN}),
                ([], {"PARTICLE_TOKEN_FILE": str(path)})):
            with self.subTest(arguments=arguments, env=env):
                self.good(self.start(*arguments, token=None,
                                     env=env).samples())

    def test_a_missing_token_is_told_and_ends_it(self):
        for arguments in ([], ["--token="], ["--token", ""]):
            process = self.ended("particle", *arguments,
                                 env={"PARTICLE_TOKEN": ""})
            self.assertEqual(2, process.wait())
            self.assertEqual("lunex: particle: missing --token, --token-file "
                             "or the variable PARTICLE_TOKEN", process.log)

    def test_runs_under_the_names_of_the_original(self):
        for name in ("particle-exporter", "particle_exporter", "particle"):
            link = self.folder / name
            link.symlink_to(Path(program()).resolve())
            done = subprocess.run([str(link), "--help"], capture_output=True,
                                  text=True, timeout=DEADLINE)
            self.assertEqual(0, done.returncode, done.stderr)
            for flag in ("--endpoint", "--path", "--token", "--products",
                         "--api-url"):
                self.assertIn(flag, done.stdout)

    def test_sends_the_token_in_the_header_alone(self):
        self.good(self.start().samples())
        self.assertGreater(len(self.cloud.requests), 6)
        for request in self.cloud.requests:
            self.assertEqual(f"Bearer {TOKEN}",
                             request.headers["authorization"])
            self.assertNotIn(TOKEN, request.target)

    def test_keeps_connections(self):
        lunex = self.start()
        for _ in range(5):
            self.good(lunex.samples())
        self.assertEqual(35, len(self.cloud.requests))
        self.assertLessEqual(self.cloud.connections, 6)  # at the same time

    def test_shows_a_secret_nowhere(self):
        self.cloud.says(f"/v1/diagnostics/{PHOTON}/last",
                        refusal({"error": TOKEN}, 400))
        lunex = self.start("--token", TOKEN, "--log.level=debug", token=None)
        page = lunex.get().text
        self.cloud.says("/v1/devices", refusal({"error": TOKEN}))
        page += lunex.get().text + lunex.get("/").text
        lunex.wait_log("collection failed")
        arguments = Path(f"/proc/{lunex.process.pid}/cmdline").read_text()
        for secret in SECRETS:
            for text in (page, lunex.log, arguments):
                self.assertNotIn(secret, text)

    def test_promtool_accepts_the_page(self):
        page = self.start().get().text
        done = subprocess.run(["promtool", "check", "metrics"], input=page,
                              capture_output=True, text=True)
        names = {line.split()[0] for line in done.stderr.splitlines()}
        self.assertEqual({  # the original's
            "device_system_memory_total", "particle_integration_logs_count",
            "particle_integration_errors_count",
            "particle_integration_counters_count"}, names)


class Faults(Particle):
    """What happens to the list of devices."""

    def fault(self, answer, *sentences):
        lunex = self.start("--timeout=2")
        self.good(lunex.samples())
        self.cloud.says("/v1/devices", answer)
        self.bad(lunex, *sentences)

    def test_reset_in_mid_body(self):
        self.fault(Reset(after=100))

    @timely
    def test_slow_headers(self):
        self.fault(SlowHeaders(), "no answer|time")

    @timely
    def test_a_stall_in_mid_body(self):
        self.fault(Stall(after=100), "time")

    def test_an_expired_token_that_is_good_again(self):
        self.fault(refusal(fixture("error_401.json")),
                   r"401 Unauthorized \(invalid_token\)")

    def test_401_once(self):
        self.fault(Sequence([refusal(fixture("error_401.json")),
                             fixture("devices.json")]), "401 Unauthorized")

    def test_429_without_a_time(self):
        self.fault(refusal(fixture("error_429.json"), 429),
                   r"429 Too Many Requests \(rate_limit_exceeded\)")

    def test_a_wrong_content_type(self):
        self.fault(WrongType(), "expected JSON, got text/html")

    def test_an_error_page(self):
        self.fault(WrongType(502), "502 Bad Gateway")

    def test_truncated_json(self):
        body = (FIXTURES / "devices.json").read_bytes()
        self.fault(body[:300], "expected JSON, got broken")
        self.fault(Truncated(body, 300))

    @timely
    def test_20_megabytes(self):
        self.fault(Huge(), "16777216|16 MiB")

    @timely
    def test_20_megabytes_in_20_kilobytes(self):
        self.fault(Huge(how="gzip"), "16777216|16 MiB")

    def test_a_redirect_loop(self):
        self.fault(RedirectLoop(), "redirect")

    def test_a_redirect_to_a_stranger_does_not_take_the_token_along(self):
        stranger = Upstream()
        self.addCleanup(stranger.close)
        stranger.answer("GET", "/v1/devices", json=[])
        self.cloud.says("/v1/devices", Redirect(stranger.url + "/v1/devices"))
        self.start().samples()
        for request in stranger.requests:
            self.assertNotIn("authorization", request.headers)

    def test_an_error_object_with_status_200(self):
        self.fault(fixture("error_200.json"), r"\(bad_request\)")

    def test_refused(self):
        lunex = self.start()
        self.good(lunex.samples())
        self.cloud.close()
        page = lunex.samples()
        self.assertEqual(0, page["particle_up"])
        self.assertNotIn(SENDS, page)
        lunex.wait_log("/v1/devices: .*refused")
        self.cloud.listen()
        self.good(lunex.samples())

    def test_429_with_a_time_is_waited_for(self):
        self.cloud.says("/v1/devices", Sequence([
            RetryAfter(1), fixture("devices.json")]))
        page = self.start().samples()
        self.good(page)
        self.assertEqual(1, page["particle_api_rate_limited_total"])
        self.assertEqual(1, page["particle_api_requests_total{"
                                 "endpoint=\"devices\",code=\"429\"}"])
        first, second = self.cloud.requests_to("/v1/devices")
        self.assertGreaterEqual(second.time - first.time, 1)

    def test_certificates_that_prove_nothing(self):
        for tls in ("expired", "other-name", "unknown-ca"):
            with self.subTest(tls=tls):
                cloud = Cloud(tls=tls)
                self.addCleanup(cloud.close)
                lunex = self.lunex(
                    "particle", f"--api-url={cloud.url}",
                    f"--ca-file={cloud.ca_file}",
                    env={"PARTICLE_TOKEN": TOKEN})
                self.assertEqual(0, lunex.samples()["particle_up"])
                lunex.wait_log("/v1/devices: .*certificate")
                self.assertEqual([], cloud.requests)


class OneDevice(Particle):
    @timely
    def test_one_that_fails_costs_its_own_vitals(self):
        path = f"/v1/diagnostics/{PHOTON}/last"
        lunex = self.start("--timeout=2")
        self.good(lunex.samples())
        for answer in (Reset(), Reset(after=100), WrongType(), RedirectLoop(),
                       Truncated(), Huge(), refusal({}, 500),
                       Stall()):
            with self.subTest(answer=answer):
                self.cloud.says(path, answer)
                page = lunex.samples()
                self.assertEqual(1, page["particle_up"])
                self.assertEqual(0, page[VITALS % PHOTON])
                self.assertNotIn(UPTIME % PHOTON, page)
                self.assertEqual(0, page[CONNECTED % PHOTON])
                self.assertEqual(15, page[UPTIME % BORON])
                self.assertEqual(120, page[SENDS])
                lunex.wait_log("vitals are missing.*" + re.escape(path))
        self.cloud.says(path, fixture("vitals_wifi.json"))
        self.good(lunex.samples())


class ManyDevices(Case):
    def start(self, devices):
        cloud = Lunex("examples/demo/particle_cloud.lua",
                      f"--devices={devices}", "--delay=0.01")
        self.addCleanup(self.finish, cloud)
        self.cloud = cloud
        return self.lunex("particle", "--token=demo",
                          f"--api-url=http://127.0.0.1:{cloud.port}")

    def test_every_device_is_asked_once_in_each_collection(self):
        lunex = self.start(300)
        for times in (1, 2, 3):
            page = lunex.samples()
            self.assertEqual(1, page["particle_up"])
            self.assertEqual(300, sum(
                name.startswith("device_uptime{") for name in page))
            self.assertEqual(300 * times, self.cloud.samples()[
                "particle_cloud_requests_total{endpoint=\"diagnostics\"}"])
