"""Real object stores on free ports of the loopback interface: S3, Azure and Google Cloud Storage.

Each server is a process of its own, and each has what the clients in the tests need: `url` of a new
bucket, and the `options` of `ObjectCAStore` that reach it.
"""

import base64
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import time
from email.utils import formatdate
from pathlib import Path

import requests
from gcs_uploads import Uploads
from outside import skip_without

DEADLINE = 60
HTTP = {"allow_http": True}
AZURITE = Path(__file__).parent / "interop" / "node_modules" / ".bin" / "azurite-blob"


class Server:
    """A process, from `with` to its end."""

    program = ""
    variable = ""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._buckets = 0

    def __enter__(self):
        self.log = self.folder / "server.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(),
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        self._process.terminate()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def find(self):
        found = os.environ.get(self.variable) or shutil.which(self.program)
        if found is None:
            skip_without(f"no {self.program}: {self.variable} is not set, nor is it on PATH")
        return found

    def make_bucket(self):
        """Make a new bucket and return its URL."""
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        self.create(name)
        return f"{self.scheme}://{name}"

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + DEADLINE
        while True:
            running = self._process.poll() is None and time.monotonic() < deadline
            assert running, f"the server did not start:\n{self.log.read_text()}"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)


class S3(Server):
    """The Versity S3 gateway on a folder, which checks signatures as Amazon does."""

    program, variable, scheme = "versitygw", "IPLDSTORE_S3", "s3"
    key, secret = "test-key", "very-secret-indeed"

    def command(self):
        (self.folder / "buckets").mkdir()
        (self.folder / "extra").mkdir()
        return [
            self.find(),
            f"--access={self.key}",
            f"--secret={self.secret}",
            f"--port=127.0.0.1:{self.port}",
            "--quiet",
            "posix",
            f"--sidecar={self.folder / 'extra'}",
            str(self.folder / "buckets"),
        ]

    def create(self, name):
        (self.folder / "buckets" / name).mkdir()

    def make_options(self, **config):
        own = {
            "endpoint": self.endpoint,
            "access_key_id": self.key,
            "secret_access_key": self.secret,
            "region": "us-east-1",
        }
        return {"config": own | config, "client_options": HTTP}


class Azure(Server):
    """Azurite, Microsoft's own emulator; the account and its key are those it has by itself."""

    program, variable, scheme = str(AZURITE), "IPLDSTORE_AZURITE", "az"
    account = "devstoreaccount1"
    secret = (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    )

    def find(self):
        if shutil.which("node") is None:
            skip_without("no node, which Azurite runs on")
        return super().find()

    def command(self):
        return [
            self.find(),
            "--blobHost=127.0.0.1",
            f"--blobPort={self.port}",
            "--inMemoryPersistence",
            "--disableTelemetry",
            "--skipApiVersionCheck",
            "--silent",
        ]

    def create(self, name):
        date = formatdate(usegmt=True)
        headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
        signed = "PUT" + "\n" * 12 + "".join(f"{k}:{v}\n" for k, v in headers.items())
        signed += f"/{self.account}/{self.account}/{name}\nrestype:container"
        key = base64.b64decode(self.secret)
        signature = base64.b64encode(hmac.digest(key, signed.encode(), hashlib.sha256)).decode()
        answer = requests.put(
            f"{self.endpoint}/{self.account}/{name}?restype=container",
            headers=headers | {"Authorization": f"SharedKey {self.account}:{signature}"},
            timeout=DEADLINE,
        )
        assert answer.status_code == 201, answer.text

    def make_options(self, **config):
        own = {
            "account_name": self.account,
            "account_key": self.secret,
            "endpoint": f"{self.endpoint}/{self.account}",
        }
        return {"config": own | config, "client_options": HTTP}


class GCS(Server):
    """fake-gcs-server, which asks for no credentials."""

    program, variable, scheme = "fake-gcs-server", "IPLDSTORE_GCS", "gs"

    def __enter__(self):
        super().__enter__()
        self._uploads = Uploads(self.endpoint).__enter__()
        return self

    def __exit__(self, *error):
        self._uploads.__exit__()
        super().__exit__()

    def command(self):
        return [
            self.find(),
            "-scheme=http",
            "-host=127.0.0.1",
            f"-port={self.port}",
            "-backend=memory",
            f"-public-host=127.0.0.1:{self.port}",
            "-log-level=error",
        ]

    def create(self, name):
        url = f"{self.endpoint}/storage/v1/b?project=test"
        answer = requests.post(url, json={"name": name}, timeout=DEADLINE)
        assert answer.status_code == 200, answer.text

    def make_options(self, **config):
        account = {
            "gcs_base_url": self._uploads.endpoint,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        own = {"service_account_key": json.dumps(account)}
        return {"config": own | config, "client_options": HTTP}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
