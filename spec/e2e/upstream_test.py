# SPDX-License-Identifier: Apache-2.0
"""The server that the end-to-end tests put in front of lunex is held to what it
promises, by other clients than ours."""

import gzip
import http.client
import json
import re
import ssl
import subprocess
import threading
import unittest

from spec.e2e.answers import (Delayed, HangUp, Held, Huge, Redirect,
                              RedirectLoop, Reset, RetryAfter, Sequence,
                              SlowHeaders, Stall, Truncated, WrongType)
from spec.e2e.certificates import certificates
from spec.e2e.lunex import DEADLINE
from spec.e2e.upstream import Refused, Upstream

# What curl exits with.
REFUSED, PARTIAL, TIMEOUT, REDIRECTS = 7, 18, 28, 47
EMPTY, RESET, CERTIFICATE = 52, 56, 60


def curl(url, *options):
    """(exit status, body, message)"""
    result = subprocess.run(["curl", "-sS", "--noproxy", "*", *options, url],
                            capture_output=True, check=False)
    return result.returncode, result.stdout, result.stderr.decode()


class Case(unittest.TestCase):
    def upstream(self, **options):
        return self.enterContext(Upstream(**options))

    def client(self, up):
        client = http.client.HTTPConnection("127.0.0.1", up.port,
                                            timeout=DEADLINE)
        self.addCleanup(client.close)
        return client

    def get(self, client, path="/", method="GET", **options):
        client.request(method, path, **options)
        response = client.getresponse()
        return response.status, response.read(), response.headers


class Answers(Case):
    def test_paths_patterns_and_functions_of_the_request(self):
        up = self.upstream()
        up.answer("GET", "/fixed", body="hello", headers={"X-A": ["1", "2"]})
        up.answer("GET", re.compile("/devices/.*"),
                  lambda request: {"path": request.path})
        up.answer("POST", "/fixed", 204)
        up.answer("GET", "/chunked", body="abc", chunked=True)
        client = self.client(up)
        status, body, headers = self.get(client, "/fixed?a=1&a=2&b=")
        self.assertEqual((200, b"hello", ["1", "2"]),
                         (status, body, headers.get_all("X-A")))
        self.assertEqual({"path": "/devices/7"},
                         json.loads(self.get(client, "/devices/7")[1]))
        self.assertEqual(204, self.get(client, "/fixed", "POST",
                                       body=b"x" * 5000)[0])
        self.assertEqual(b"abc", self.get(client, "/chunked")[1])
        self.assertEqual(404, self.get(client, "/other")[0])
        self.assertEqual(404, self.get(client, "/fixed", "HEAD")[0])
        self.assertEqual(1, up.connections)
        first, posted = up.requests_to("/fixed")[:2]
        self.assertEqual({"a": ["1", "2"], "b": [""]}, first.query)
        self.assertEqual((b"x" * 5000, 204), (posted.body, posted.status))
        self.assertEqual(f"127.0.0.1:{up.port}", posted.headers["host"])

    def test_the_latest_answer_to_a_path_counts(self):
        up = self.upstream()
        client = self.client(up)
        for body in ("one", "two"):
            up.answer("GET", "/", body)
            self.assertEqual(body.encode(), self.get(client)[1])

    def test_a_sequence_and_a_state_of_the_test(self):
        up = self.upstream()
        up.answer("GET", "/", Sequence([401, RetryAfter(3), b"in"]))
        client = self.client(up)
        seen = [self.get(client) for _ in range(4)]
        self.assertEqual([401, 429, 200, 200], [s for s, _, _ in seen])
        self.assertEqual("3", seen[1][2]["Retry-After"])

    def test_a_chunked_request_and_expect_100(self):
        up = self.upstream()
        up.answer("PUT", "/", lambda request: request.body)
        body = b"0123456789" * 300_000
        path = certificates().folder / "body"
        path.write_bytes(body)
        for header in ("Expect: 100-continue", "Transfer-Encoding: chunked"):
            status, got, _ = curl(up.url, "-X", "PUT", "--data-binary",
                                  f"@{path}", "-H", header)
            self.assertEqual(0, status)
            self.assertTrue(got == body, header)
        path.unlink()

    def test_it_counts_requests_that_are_open_at_the_same_time(self):
        up = self.upstream()
        held = Held(b"late")
        up.answer("GET", "/", held)
        bodies = []
        threads = [threading.Thread(target=lambda: bodies.append(
            self.get(self.client(up))[1])) for _ in range(5)]
        for thread in threads:
            thread.start()
        up.wait(lambda up: up.in_flight == 5, "five at once")
        self.assertEqual([], bodies)
        held.release()
        for thread in threads:
            thread.join()
        self.assertEqual([b"late"] * 5, bodies)
        up.wait(lambda up: up.in_flight == 0, "none is open")
        self.assertEqual((5, 5), (up.in_flight_max, up.connections))

    def test_a_unix_socket(self):
        path = str(certificates().folder / "socket")
        up = self.upstream(unix=path)
        up.answer("GET", "/", b"here")
        self.assertEqual((0, b"here", ""), curl(
            up.url, "--unix-socket", path))

    def test_an_error_in_a_test_fails_the_test(self):
        with self.assertRaisesRegex(TypeError, "not an answer: None"):
            with Upstream() as up:
                up.answer("GET", "/", lambda request: None)
                self.assertEqual(EMPTY, curl(up.url)[0])


class Faults(Case):
    def fault(self, answer, *options, **server):
        up = self.upstream(**server)
        up.answer("GET", "/", answer)
        return curl(up.url + "/", "--cacert", certificates().file("ca"),
                    *options)

    def test_the_body_ends_early(self):
        for tls in (None, "good"):
            status, body, _ = self.fault(Truncated(b"12345678", sent=3),
                                         tls=tls)
            self.assertEqual((PARTIAL, b"123"), (status, body), tls)
            status, body, _ = self.fault(
                Truncated(b"12345678", sent=3, chunked=True), tls=tls)
            self.assertEqual((PARTIAL, b"123"), (status, body), tls)

    def test_the_connection_is_reset(self):
        for tls in (None, "good"):
            status, body, message = self.fault(Reset(after=100), tls=tls)
            self.assertEqual((RESET, b"x" * 100), (status, body), message)
            status, _, message = self.fault(Reset(), tls=tls)
            self.assertEqual(RESET, status, message)
            self.assertRegex(message, "(?i)reset|errno 104")
            self.assertEqual(EMPTY, self.fault(HangUp(), tls=tls)[0])

    def test_the_answer_does_not_come(self):
        for tls in (None, "good"):
            for fault in (Stall(), Stall(after=3), SlowHeaders(0.01),
                          SlowHeaders(0.01, body=True), Delayed(60, b"")):
                self.assertEqual(TIMEOUT, self.fault(fault, "-m0.2",
                                                     tls=tls)[0])

    def test_the_answer_is_huge(self):
        size = (20 << 20) + 1
        body = b'"' + b"a" * (size - 2) + b'"'
        for tls in (None, "good"):
            for how in ("length", "chunked"):
                answer = self.fault(Huge(size, how), tls=tls)
                self.assertEqual((0, ""), answer[::2])
                self.assertTrue(answer[1] == body, how)
        status, packed, _ = self.fault(Huge(size, "gzip"))
        self.assertEqual(0, status)
        self.assertLess(len(packed), 32 << 10)
        self.assertTrue(gzip.decompress(packed) == body)
        self.assertEqual(63, self.fault(Huge(), "--max-filesize", "1000")[0])

    def test_the_answer_leads_nowhere(self):
        up = self.upstream()
        up.answer("GET", "/loop", RedirectLoop())
        up.answer("GET", "/away", Redirect("/there"))
        up.answer("GET", "/there", WrongType())
        status, _, _ = curl(up.url + "/loop", "-L", "--max-redirs", "4")
        self.assertEqual((REDIRECTS, 5),
                         (status, len(up.requests_to("/loop"))))
        status, body, _ = curl(up.url + "/away", "-L")
        self.assertEqual((0, b"<!DOC"), (status, body[:5]))

    def test_nobody_listens_for_a_while_or_ever(self):
        with Refused() as never:
            self.assertEqual(REFUSED, curl(never.url)[0])
        for tls in (None, "good"):
            up = self.upstream(tls=tls)
            up.answer("GET", "/", b"here")
            ca = ("--cacert", up.ca_file)
            for _ in range(2):
                self.assertEqual((0, b"here", ""), curl(up.url, *ca))
                up.refuse()
                self.assertEqual(REFUSED, curl(up.url, *ca)[0])
                up.listen()

    def test_a_test_may_end_while_its_answers_have_not(self):
        for tls in (None, "good"):
            clients = []
            with Upstream(tls=tls) as up:
                for number, fault in enumerate((
                        Stall(), SlowHeaders(), Held(b""), Delayed(1000, b""),
                        Huge(1 << 40))):
                    up.answer("GET", f"/{number}", fault)
                    client = subprocess.Popen(
                        ["curl", "-sk", f"{up.url}/{number}"],
                        stdout=subprocess.DEVNULL)
                    self.addCleanup(client.kill)
                    clients.append(client)
                up.wait(lambda up: up.in_flight == 5, "five are waiting")
            for client in clients:
                client.wait(DEADLINE)

    def test_a_client_that_says_nothing_does_not_hold_the_test(self):
        for tls in (None, "good"):
            up = self.upstream(tls=tls)
            client = self.client(up)
            client.connect()
            up.wait(lambda up: up.connections == 1, "it is there")


class Tls(Case):
    def ask(self, name, *options, **server):
        up = self.upstream(tls=name, **server)
        up.answer("GET", "/", lambda request: {"client": request.client,
                                               "name": request.server_name})
        return (up, *curl(up.url, "--cacert", up.ca_file, *options))

    def test_a_good_certificate(self):
        up, status, body, message = self.ask("good")
        self.assertEqual((0, {"client": None, "name": None}),
                         (status, json.loads(body)), message)
        context = ssl.create_default_context(cafile=up.ca_file)
        client = http.client.HTTPSConnection("localhost", up.port,
                                             timeout=DEADLINE,
                                             context=context)
        self.assertEqual({"client": None, "name": "localhost"},
                         json.loads(self.get(client)[1]))
        self.assertEqual(
            certificates().expiry("good"),
            ssl.cert_time_to_seconds(client.sock.getpeercert()["notAfter"]))
        client.close()

    def test_bad_certificates(self):
        for name, says in (("expired", "certificate has expired"),
                           ("other-name", "no alternative certificate subject"),
                           ("unknown-ca", "unable to get local issuer")):
            up, status, _, message = self.ask(name)
            self.assertEqual(CERTIFICATE, status, name)
            self.assertIn(says, message)
            up.wait(lambda up: up.handshake_failures or not up.in_flight,
                    "it is over")
            self.assertEqual([], up.requests)

    def test_another_name_is_right_for_who_asks_for_it(self):
        up = self.upstream(tls="other-name")
        up.answer("GET", "/", b"here")
        there = f"other.example:{up.port}"
        self.assertEqual((0, b"here", ""), curl(
            f"https://{there}/", "--cacert", up.ca_file, "--connect-to",
            f"{there}:127.0.0.1:{up.port}"))
        self.assertEqual("other.example", up.requests[0].server_name)

    def test_a_client_certificate(self):
        made = certificates()
        up, status, _, _ = self.ask("good", client_certificate=True)
        self.assertNotEqual(0, status)
        up.wait(lambda up: up.handshake_failures, "it is refused")
        self.assertEqual([], up.requests)
        _, status, body, message = self.ask(
            "good", "--cert", made.file("client"), "--key",
            made.key("client"), client_certificate=True)
        self.assertEqual((0, "client"),
                         (status, status or json.loads(body)["client"]),
                         message)


if __name__ == "__main__":
    unittest.main()
