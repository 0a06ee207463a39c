# SPDX-License-Identifier: Apache-2.0
"""A private CA and what it signs, for the end-to-end tests: made once in a test
run by the command openssl, in a folder that goes away with the process."""

import atexit
import functools
import shutil
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

DAY = 86400
OURS = "DNS:localhost,IP:127.0.0.1"

# name -> (signed by, subjectAltName, days from now: begins, ends)
LEAVES = {
    "good": ("ca", OURS, -1, 30),
    "expired": ("ca", OURS, -30, -1),
    "other-name": ("ca", "DNS:other.example", -1, 30),
    "unknown-ca": ("unknown", OURS, -1, 30),
    "client": ("client-ca", "DNS:client.example", -1, 30),
}

CONFIG = """
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[ca]
default_ca = files
[files]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
"""

LEAF = """
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certificates:
    """FOLDER/NAME.pem and NAME.key for "ca", "client-ca", "unknown" and each
    name of LEAVES."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "index.txt").touch()
        for authority in ("ca", "client-ca", "unknown"):
            self._authority(authority)
        for name, leaf in LEAVES.items():
            self._leaf(name, *leaf)

    def file(self, name):
        """The path of the certificate NAME."""
        return str(self.folder / f"{name}.pem")

    def key(self, name):
        return str(self.folder / f"{name}.key")

    def expiry(self, name):
        """When the certificate NAME ends, seconds since 1970."""
        text = self._openssl("x509", "-in", f"{name}.pem", "-noout", "-enddate")
        return ssl.cert_time_to_seconds(text.strip().split("=")[1])

    def _openssl(self, *arguments):
        result = subprocess.run(["openssl", *arguments], cwd=self.folder,
                                capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"openssl {arguments[0]}: {result.stderr}")
        return result.stdout

    def _config(self, text):
        (self.folder / "openssl.cnf").write_text(text)
        return "-config", "openssl.cnf"

    def _authority(self, name):
        self._openssl("req", "-x509", *self._config(CONFIG), *KEY,
                      "-subj", f"/CN={name}", "-days", "40",
                      "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def _leaf(self, name, authority, names, begins, ends):
        config = self._config(CONFIG + LEAF.format(names=names))
        self._openssl("req", "-new", *config, *KEY, "-subj", f"/CN={name}",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("ca", "-batch", "-notext", *config, "-extensions", "leaf",
                      "-cert", f"{authority}.pem", "-keyfile",
                      f"{authority}.key", "-startdate", date(begins),
                      "-enddate", date(ends), "-in", f"{name}.csr",
                      "-out", f"{name}.pem")


def date(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY))


@functools.cache
def certificates():
    """Those of this test run."""
    folder = tempfile.mkdtemp(prefix="lunex-e2e-ca-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Certificates(Path(folder))
