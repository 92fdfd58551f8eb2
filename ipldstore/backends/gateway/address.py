"""Where a gateway is, and what goes there only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from ipldstore.backends.http.secrets import Auth, authorization
from ipldstore.basics.urls import bare
from ipldstore.errors import BackendError, raise_alone

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, eq=False)
class Gateway:
    """One gateway.

    ``/ipfs/CID`` is appended to its URL, which has no credentials. Those are among the headers,
    which only its own host is sent.
    """

    url: str
    headers: Mapping[str, str]

    @property
    def host(self) -> str:
        """The name or IP address of its host."""
        return urlsplit(self.url).hostname or ""

    def serves(self, url: str) -> bool:
        """Whether a URL has the gateway's scheme, host and port."""
        return _origin(urlsplit(url)) == _origin(urlsplit(self.url))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def parse_gateway(url: str, headers: Mapping[str, str], auth: Auth) -> Gateway:
    """Read the URL of a gateway; `auth` goes before a user and a password in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise_alone(_malformed(f"host or port of {bare(url)!r}"))
    has_more = parts.query or parts.fragment or "@" in parts.path
    if parts.scheme not in _PORTS or not parts.hostname or has_more:
        raise _malformed(
            f"scheme {parts.scheme!r}, host {urlsplit(bare(url)).hostname!r}, query "
            f"{bool(parts.query)}"
        )
    if auth is None and parts.username is not None:
        auth = unquote(parts.username), unquote(parts.password or "")
    host = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/").removesuffix("/ipfs")
    base = urlunsplit((parts.scheme, host, path, "", ""))
    return Gateway(base, {**headers, **authorization(auth)})


def _malformed(what: str) -> BackendError:
    return BackendError(
        f"malformed URL of a gateway: {what}; expected one such as https://trustless-gateway.link"
    )
