"""A real Kubo daemon on free ports of the loopback interface."""

import json
import subprocess
import time

from kubo import Repository

DEADLINE = 60


class Node(Repository):
    """A repository and, between `start` and `stop`, the daemon on it.

    A node that is started again answers on the ports it had.
    """

    def __init__(self, path, config=None, *, offline=False, profile="test"):
        super().__init__(path, config, profile=profile)
        self.offline = offline
        self.log = path / "daemon.log"
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    @property
    def pid(self):
        return self._process.pid

    @property
    def api(self):
        """The multiaddr of the RPC API."""
        return (self.path / "api").read_text().strip()

    @property
    def url(self):
        """The URL of the RPC API."""
        _, _, host, _, port = self.api.split("/")
        return f"http://{host}:{port}"

    @property
    def gateway(self):
        """The URL of the gateway."""
        return (self.path / "gateway").read_text().strip()

    def start(self):
        assert self._process is None, "the daemon is running already"
        command = [self.program, "daemon", *(["--offline"] if self.offline else [])]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait_until_ready()
            self._keep_ports()
        except BaseException:
            self.kill()
            raise

    def stop(self):
        """Ask the daemon to end, and end it if it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self):
        """End the daemon at once, as a crash would."""
        self._process.kill()
        self._process.wait()
        self._process = None

    def connect(self, other):
        """Connect to another node, and return once both can exchange blocks."""
        self.run("swarm", "connect", other.run("id", "-f", "<addrs>").decode().split()[0])

    def _wait_until_ready(self):
        deadline = time.monotonic() + DEADLINE
        while b"Daemon is ready" not in self.log.read_bytes():
            running = self._process.poll() is None and time.monotonic() < deadline
            assert running, f"the daemon did not start:\n{self.log.read_text()}"
            time.sleep(0.02)

    def _keep_ports(self):
        addresses = {"API": self.api, "Gateway": f"/ip4/127.0.0.1/tcp/{self.gateway.split(':')[2]}"}
        if not self.offline:
            addresses["Swarm"] = json.loads(self.run("id"))["Addresses"]
            addresses["Swarm"] = [text.split("/p2p/")[0] for text in addresses["Swarm"]]
        self.configure({"Addresses": addresses})
