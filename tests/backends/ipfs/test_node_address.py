"""Where the node is: addresses in every form, and where they come from."""

import pytest

from ipldstore import BackendError, IPFSStore
from ipldstore.backends.ipfs.address import DEFAULT_URL, find_address, parse_address


@pytest.fixture(autouse=True)
def no_node_here(monkeypatch, tmp_path):
    monkeypatch.delenv("IPFS_API", raising=False)
    monkeypatch.setenv("IPFS_PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://127.0.0.1:5001", "http://127.0.0.1:5001"),
        ("http://127.0.0.1:5001/", "http://127.0.0.1:5001"),
        ("http://127.0.0.1:5001/api/v0", "http://127.0.0.1:5001"),
        ("https://node.example.org/ipfs/api/v0/", "https://node.example.org/ipfs"),
        ("http://[::1]:5001", "http://[::1]:5001"),
        ("localhost:5001", "http://localhost:5001"),
        ("node.example.org", "http://node.example.org"),
        ("/ip4/127.0.0.1/tcp/5001", "http://127.0.0.1:5001"),
        ("/ip4/127.0.0.1/tcp/5001/", "http://127.0.0.1:5001"),
        ("/ip4/127.0.0.1/tcp/5001/http", "http://127.0.0.1:5001"),
        ("/ip6/::1/tcp/5001", "http://[::1]:5001"),
        ("/dns/node.example.org/tcp/443/https", "https://node.example.org:443"),
        ("/dns4/node.example.org/tcp/443/tls/http", "https://node.example.org:443"),
        ("/dns6/node.example.org/tcp/80", "http://node.example.org:80"),
    ],
)
def test_addresses(address, url):
    assert parse_address(address) == (url, None)
    assert IPFSStore(address).url == url


@pytest.mark.parametrize(
    "address",
    [
        "ftp://127.0.0.1:5001",
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://127.0.0.1:5001?a=b",
        "/ip4/127.0.0.1",
        "/ip4/127.0.0.1/tcp/99999",
        "/ip4/127.0.0.1/udp/5001/quic",
        "/unix/run/ipfs.sock",
        "/",
        "http://[::1",
    ],
)
def test_malformed_addresses(address):
    with pytest.raises(BackendError, match="malformed address of an IPFS node") as caught:
        IPFSStore(address)
    assert not caught.value.retryable


def test_credentials_in_the_address_are_taken_out():
    assert parse_address("https://me:p%40ss@node.example.org:5001") == (
        "https://node.example.org:5001",
        ("me", "p@ss"),
    )
    assert parse_address("https://token@node.example.org").auth == ("token", "")


def test_malformed_addresses_are_not_quoted_with_their_password():
    with pytest.raises(BackendError) as caught:
        parse_address("ftp://me:secret@node.example.org")
    assert "secret" not in str(caught.value)


def test_order_of_places(monkeypatch, tmp_path):
    assert find_address().url == DEFAULT_URL == "http://127.0.0.1:5001"
    (tmp_path / "api").write_text("/ip4/127.0.0.1/tcp/5002\n")
    assert find_address().url == "http://127.0.0.1:5002"
    monkeypatch.setenv("IPFS_API", "/ip4/127.0.0.1/tcp/5003")
    assert find_address().url == "http://127.0.0.1:5003"
    assert find_address("http://127.0.0.1:5004").url == "http://127.0.0.1:5004"


def test_the_repository_of_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("IPFS_PATH")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ipfs").mkdir()
    (tmp_path / ".ipfs" / "api").write_text("/ip4/127.0.0.1/tcp/5005")
    assert find_address().url == "http://127.0.0.1:5005"


def test_an_api_file_that_is_no_address_is_an_error(tmp_path):
    (tmp_path / "api").write_text("nonsense of a file")
    with pytest.raises(BackendError):
        find_address()
