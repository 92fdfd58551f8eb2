"""The daemons of these tests: on loopback only, back on their ports, and gone when done."""

import ipaddress
import os
from pathlib import Path

import pytest
import requests

PROC = Path("/proc/self/net/tcp")


def sockets(pid):
    """Iterate the local and remote IP addresses of a process's sockets."""
    links = (os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir())
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links}
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes:
                yield name, address(fields[1]), address(fields[2])


def address(field):
    """Decode an address as /proc shows it: 32-bit words in the machine's order, in hex."""
    words = bytes.fromhex(field.split(":")[0])
    data = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    return ipaddress.ip_address(data)


def is_local(ip):
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback


@pytest.mark.skipif(not PROC.exists(), reason="needs Linux's /proc")
def test_daemons_use_the_loopback_interface_only(start_node):
    one, other = start_node("one"), start_node("other")
    one.connect(other)
    for node in (one, other):
        found = list(sockets(node.pid))
        assert len(found) >= 4, "API, gateway, swarm and the connection"
        for kind, local, remote in found:
            assert is_local(local), (kind, local, remote)
            assert is_local(remote) or remote.is_unspecified, (kind, local, remote)


def test_a_block_travels_between_connected_nodes(start_node):
    one, other = start_node("one"), start_node("other")
    one.connect(other)
    cid = one.put_block(b"over the wire")
    assert other.run("block", "get", cid) == b"over the wire"


@pytest.mark.parametrize("end", ["kill", "stop"])
@pytest.mark.parametrize("offline", [False, True], ids=["online", "offline"])
def test_a_node_comes_back_on_its_ports(start_node, end, offline):
    node = start_node(offline=offline)
    before = node.api, node.url, node.gateway
    cid = node.put_block(b"kept")
    pid = node.pid
    getattr(node, end)()
    assert not os.path.exists(f"/proc/{pid}")
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{before[1]}/api/v0/id", timeout=10)
    node.start()
    assert (node.api, node.url, node.gateway) == before
    answer = requests.post(f"{node.url}/api/v0/block/get", params={"arg": cid}, timeout=10)
    assert answer.content == b"kept"
    assert requests.get(f"{node.gateway}/ipfs/{cid}?format=raw", timeout=10).content == b"kept"


def test_extra_configuration_is_merged(start_node):
    node = start_node(config={"Gateway": {"NoFetch": True}})
    assert node.run("config", "Gateway.NoFetch") == b"true\n"
    assert node.run("config", "Gateway.NoDNSLink") == b"false\n"
    assert node.run("config", "Routing.Type") == b"none\n"


def test_the_shared_node_answers(node):
    answer = requests.post(f"{node.url}/api/v0/version", timeout=10)
    assert answer.status_code == 200
