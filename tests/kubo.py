"""A repository of Kubo's that stays off the network, and Kubo's command line on it."""

import json
import os
import shutil
import subprocess

from outside import skip_without

OFFLINE = {
    "AutoConf": {"Enabled": False},
    "AutoTLS": {"Enabled": False},
    "Bootstrap": [],
    "Discovery": {"MDNS": {"Enabled": False}},
    "Routing": {"Type": "none"},
    "Version": {"SwarmCheckEnabled": False},
}


class Repository:
    """Kubo's files under a path, and its command line on them.

    `config` is merged into the configuration that `ipfs init` wrote.
    """

    def __init__(self, path, config=None, *, profile="test"):
        self.path = path
        self.blocks = path / "blocks"
        self.program = os.environ.get("IPLDSTORE_KUBO") or shutil.which("ipfs")
        if self.program is None:
            skip_without("no Kubo: neither IPLDSTORE_KUBO is set nor is `ipfs` on PATH")
        self.environment = {
            "IPFS_PATH": str(path),
            "IPFS_TELEMETRY": "off",
            "HOME": str(path),
        }
        self.run("init", f"--profile={profile}", "--empty-repo")
        self.configure(OFFLINE)
        self.configure(config or {})

    def configure(self, changes):
        file = self.path / "config"
        file.write_text(json.dumps(merged(json.loads(file.read_text()), changes)))

    def run(self, *arguments, data=None):
        """Run one command and return what it prints, as bytes."""
        result = self.attempt(*arguments, data=data)
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout

    def attempt(self, *arguments, data=None, timeout=60):
        """Run one command that may fail."""
        return subprocess.run(
            [self.program, *map(str, arguments)],
            env=self.environment,
            input=data,
            capture_output=True,
            check=False,
            timeout=timeout,
        )

    def put_block(self, data, *options):
        return self.run("block", "put", *options, data=data).decode().strip()

    def get_block(self, cid):
        return self.run("--offline", "block", "get", cid)


def merged(old, new):
    """Return one nested dict with another's values put over its own."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: merged(old.get(key), value) for key, value in new.items()}
