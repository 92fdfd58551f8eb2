"""Where the RPC API of an IPFS node is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from ipldstore.backends.http.secrets import Auth
from ipldstore.basics.urls import show_address
from ipldstore.errors import BackendError, raise_alone

DEFAULT_URL = "http://127.0.0.1:5001"

_MULTIADDR = re.compile(
    r"/(?P<kind>ip4|ip6|dns|dns4|dns6)/(?P<host>[^/@]+)/tcp/(?P<port>\d{1,5})"
    r"(?P<rest>(?:/tls)?/https?|)/?"
)


class Address(NamedTuple):
    """Where a node is: the base URL of its RPC API, and the user and password that came with it."""

    url: str
    auth: Auth


def find_address(address: str | None = None) -> Address:
    """Find the node that is meant.

    An address is a URL or a multiaddr, such as ``/ip4/127.0.0.1/tcp/5001``. If None, it is the
    environment variable ``IPFS_API``, else the file ``api`` of the node's repository
    (``IPFS_PATH``, by default ``~/.ipfs``), which a running Kubo keeps there, else
    ``http://127.0.0.1:5001``. Raises `BackendError` if it is malformed.
    """
    if not isinstance(address, str | None):
        raise TypeError(
            f"expected the URL or multiaddr of an IPFS node, not {type(address).__name__}"
        )
    return parse_address(address or os.environ.get("IPFS_API") or _read_api_file() or DEFAULT_URL)


def _read_api_file() -> str | None:
    repository = Path(os.environ.get("IPFS_PATH") or "~/.ipfs").expanduser()
    try:
        return (repository / "api").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        return None


def parse_address(address: str) -> Address:
    """Read a URL or a multiaddr."""
    if address.startswith("/"):
        return Address(_url_of_multiaddr(address), None)
    if "://" not in address:
        address = f"http://{address}"
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise_alone(_malformed(f"host or port of {show_address(address)!r}"))
    host_is_plain = parts.hostname and not re.search(r"\s", parts.netloc)
    if parts.scheme not in ("http", "https") or not host_is_plain or _has_more(parts):
        host = urlsplit(show_address(address)).hostname
        raise _malformed(f"scheme {parts.scheme!r}, host {host!r}")
    auth = None
    if parts.username is not None:
        auth = unquote(parts.username), unquote(parts.password or "")
    host = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/").removesuffix("/api/v0")
    return Address(urlunsplit((parts.scheme, host, path, "", "")), auth)


def _has_more(parts: SplitResult) -> bool:
    """Whether a URL has what has no place in it; a user in its path is a mistake in the host."""
    return bool(parts.query or parts.fragment or "@" in parts.path)


def _url_of_multiaddr(address: str) -> str:
    found = _MULTIADDR.fullmatch(address)
    if found is None or int(found["port"]) > 65535:
        raise _malformed(repr(show_address(address)))
    host = f"[{found['host']}]" if found["kind"] == "ip6" else found["host"]
    scheme = "https" if found["rest"] in ("/https", "/tls/http", "/tls/https") else "http"
    return f"{scheme}://{host}:{found['port']}"


def _malformed(what: object) -> BackendError:
    return BackendError(
        f"malformed address of an IPFS node: {what}; expected a URL such as {DEFAULT_URL} or a "
        "multiaddr such as /ip4/127.0.0.1/tcp/5001"
    )
