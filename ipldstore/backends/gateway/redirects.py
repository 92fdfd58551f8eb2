"""Requests to a gateway, and where its redirects may lead."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from ipldstore.backends.gateway.address import Gateway
from ipldstore.backends.gateway.steps import Ask, LookUp, Steps
from ipldstore.backends.http.answers import Reply, Stream
from ipldstore.basics.urls import bare
from ipldstore.cid import Link, as_link, to_text
from ipldstore.errors import BackendError, InvalidCIDError, raise_alone
from ipldstore.limits import MAX_REDIRECTS

Answer: TypeAlias = "Reply | Stream"

_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = IPv6Network("64:ff9b::/96")


def ask(
    gateway: Gateway, link: Link, query: str, accept: str, method: str, limit: int
) -> Steps[Any]:
    """Ask a gateway for what a CID names, follow its redirects, and return the last answer.

    A redirect may lead from http to https but not back, and only to the same CID, as a path
    ``/ipfs/CID`` or as a subdomain ``CID.ipfs.HOST``. All addresses of its host have to be public
    ones or those of the gateway itself. Over http the request then goes to an address that was
    checked; over https to the name, whose certificate the other side has to have, so that a name
    that changes its address in between leads nowhere either way. The gateway's own headers go to
    its own scheme, host and port only. `limit` is how many bytes the answer may have. Raises
    `BackendError` if there is no answer, or a redirect is not followed.
    """
    url = f"{gateway.url}/ipfs/{to_text(link)}?{query}"
    wanted = {"Accept": accept}
    step = Ask(method, url, {**gateway.headers, **wanted}, limit)
    for _ in range(MAX_REDIRECTS + 1):
        answer: Answer = yield step
        if answer.status not in _REDIRECTS:
            return answer
        url = redirected(url, answer.headers.get("Location", ""), link)
        if gateway.serves(url):
            step = Ask(method, url, {**gateway.headers, **wanted}, limit)
        else:
            address = yield from _checked_address(urlsplit(url).hostname or "", gateway)
            url_to_ask, host = _pinned(url, address)
            step = Ask(method, url_to_ask, {**wanted, **host}, limit)
    raise BackendError(f"more than {MAX_REDIRECTS} redirects, the last one to {bare(url)[:200]!r}")


def redirected(url: str, location: str, link: Link) -> str:
    """Return where a redirect leads, if it may, whatever the address of its host."""
    try:
        target = urlsplit(urljoin(url, location))
        _ = target.port
    except ValueError:
        raise_alone(_refused(location, "it is malformed"))
    if not location or target.scheme not in ("http", "https") or not target.hostname:
        raise _refused(location, "expected a URL of http or https")
    if target.scheme == "http" and urlsplit(url).scheme == "https":
        raise _refused(location, "it leaves https for http")
    if "@" in target.netloc:
        raise _refused(location, "it holds credentials")
    if not _names(target, link):
        raise _refused(location, f"it does not name {to_text(link)}")
    return urlunsplit(target._replace(fragment=""))


def _refused(location: str, why: str) -> BackendError:
    return BackendError(f"the redirect to {bare(location)[:200]!r} is not followed: {why}")


def _names(target: SplitResult, link: Link) -> bool:
    """Whether a URL is that of a CID, on a path gateway or on a subdomain gateway."""
    label, namespace, *_ = [*(target.hostname or "").split("."), ""]
    if namespace == "ipfs" and target.path in ("", "/"):
        return _is_cid(label, link)
    *_, namespace, text = ["", *target.path.removesuffix("/").split("/")]
    return namespace == "ipfs" and _is_cid(text, link)


def _is_cid(text: str, link: Link) -> bool:
    try:
        return as_link(text) == link
    except InvalidCIDError:
        return False


def _checked_address(host: str, gateway: Gateway) -> Steps[str]:
    """Return the first address of a host all of whose addresses may be asked."""
    if host == "localhost" or host.endswith(".localhost"):
        # many resolvers do not know these names, which are always this machine
        own = yield LookUp(gateway.host)
        found = [text for text in own if ip_address(text).is_loopback] or ["127.0.0.1"]
    else:
        found = yield LookUp(host)
    inner = [text for text in found if not is_public(text)]
    if inner:
        own = yield LookUp(gateway.host)
        if not set(inner) <= set(own):
            raise _refused(host, f"its address {inner[0]} is not a public one")
    return str(found[0])


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet, also where it carries another one."""
    address = ip_address(text)
    carried = _carried(address) if isinstance(address, IPv6Address) else None
    return (
        address.is_global
        and not address.is_multicast
        and (carried is None or is_public(str(carried)))
    )


def _carried(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _pinned(url: str, address: str) -> tuple[str, dict[str, str]]:
    """Put a checked address in the place of a URL's host, which goes into a header."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return url, {}
    netloc = f"[{address}]" if ":" in address else address
    if parts.port is not None:
        netloc += f":{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc)), {"Host": parts.netloc}
