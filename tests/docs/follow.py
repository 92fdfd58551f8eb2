"""Follow a page literally: python follow.py PAGE BIN FOLDER.

BIN is the folder of the programs of an environment that has what the page says to install. To be
called in a network namespace of its own, where the usual ports are free and nothing leads out, with
tests/ among the folders of modules.
"""

import fcntl
import os
import shutil
import socket
import struct
import sys
from contextlib import ExitStack
from pathlib import Path

from kubo import OFFLINE
from page import read_page
from reader import Reader
from servers import GCS, S3
from shell import MismatchError

_IPFS = """#!{python}
import json, os, subprocess, sys

os.environ["IPFS_TELEMETRY"] = "off"
arguments = [{program!r}, *sys.argv[1:]]
if sys.argv[1:2] == ["init"]:
    subprocess.run(arguments, check=True)
    for key, value in {settings!r}.items():
        subprocess.run([arguments[0], "config", "--json", key, json.dumps(value)], check=True)
else:
    os.execv(arguments[0], arguments)
"""


def use_loopback():
    """Switch the loopback interface of this network namespace on."""
    get_flags, set_flags, up = 0x8913, 0x8914, 1
    with socket.socket() as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(any_socket, get_flags, request))
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", flags | up))


def prepare(needs, folder, programs, stack):
    """Start what a page needs and return the variables that lead to it."""
    variables = {}
    for need in needs:
        kind, _, bucket = need.partition(":")
        if kind == "ipfs":
            make_ipfs(programs)
        elif kind == "s3":
            variables |= start_s3(stack, folder, bucket)
        elif kind == "gs":
            variables |= start_gcs(stack, folder, bucket)
    return variables


def make_ipfs(programs):
    """Make an `ipfs` whose `init` sets up a node that looks for nobody."""
    found = os.environ.get("IPLDSTORE_KUBO") or shutil.which("ipfs")
    settings = {}
    # names need a kind of routing; nobody is reached by it from here
    for section, values in (OFFLINE | {"Routing": {"Type": "dht"}}).items():
        nested = values if isinstance(values, dict) else None
        settings |= (
            {f"{section}.{k}": v for k, v in nested.items()} if nested else {section: values}
        )
    text = _IPFS.format(python=sys.executable, program=found, settings=settings)
    (programs / "ipfs").write_text(text)
    (programs / "ipfs").chmod(0o755)


def start_s3(stack, folder, bucket):
    server = stack.enter_context(S3(_made(folder / "s3")))
    server.create(bucket)
    return {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": server.key,
        "AWS_SECRET_ACCESS_KEY": server.secret,
        "AWS_REGION": "us-east-1",
    }


def start_gcs(stack, folder, bucket):
    server = stack.enter_context(GCS(_made(folder / "gcs")))
    server.create(bucket)
    key = server.make_options()["config"]["service_account_key"]
    return {"GOOGLE_SERVICE_ACCOUNT_KEY": key, "GOOGLE_ALLOW_HTTP": "true"}


def _made(folder):
    folder.mkdir()
    return folder


def main(path, programs, folder):
    use_loopback()
    own = _made(folder / "programs")
    with ExitStack() as stack:
        page = read_page(path)
        environment = {
            "PATH": f"{programs}:{own}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(_made(folder / "home")),
            "LANG": "C.UTF-8",
            "COLUMNS": "80",
            "MPLCONFIGDIR": str(folder),
            **prepare(page.needs, folder, own, stack),
        }
        try:
            stack.enter_context(Reader(folder, environment)).follow(page)
        except MismatchError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
