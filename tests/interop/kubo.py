"""A repository of Kubo's, used without a network and without a daemon."""

import json
import os
import shutil
import subprocess

from outside import skip_without

OFFLINE = {
    "AutoConf": {"Enabled": False},
    "AutoTLS": {"Enabled": False},
    "Bootstrap": [],
    "Routing": {"Type": "none"},
    "Version": {"SwarmCheckEnabled": False},
}


class Repository:
    """Kubo's files under a path, and its command line on them."""

    def __init__(self, path):
        self.path = path
        self.blocks = path / "blocks"
        self._program = os.environ.get("IPLDSTORE_KUBO") or shutil.which("ipfs")
        if self._program is None:
            skip_without("no Kubo: neither IPLDSTORE_KUBO is set nor is `ipfs` on PATH")
        self.run("init", "--profile=test", "--empty-repo")
        config = json.loads((path / "config").read_text())
        config.update(OFFLINE)
        config["Discovery"]["MDNS"]["Enabled"] = False
        (path / "config").write_text(json.dumps(config))

    def run(self, *arguments, data=None):
        """Run one command and return what it prints, as bytes."""
        result = subprocess.run(
            [self._program, *map(str, arguments)],
            env={"IPFS_PATH": str(self.path), "IPFS_TELEMETRY": "off", "HOME": str(self.path)},
            input=data,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout

    def put_block(self, data, *options):
        return self.run("block", "put", *options, data=data).decode().strip()

    def get_block(self, cid):
        return self.run("--offline", "block", "get", cid)
