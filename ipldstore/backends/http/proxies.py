"""The proxies that the environment names."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ipldstore.backends.http.secrets import spellings
from ipldstore.basics.urls import secrets_in
from ipldstore.errors import BackendError


def proxies_for(url: str) -> dict[str, str]:
    """Return the proxies for a URL by the schemes that they serve."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return {}
    wanted = (parts.scheme, "all")
    found = {scheme: proxy for scheme, proxy in getproxies().items() if scheme in wanted}
    return {scheme: _proxy_url(proxy) for scheme, proxy in found.items()}


def _proxy_url(proxy: str) -> str:
    """Return a proxy's address as a URL with a host, without which libraries fail in odd ways."""
    url = _with_scheme(proxy)
    try:
        parts = urlsplit(url)
        is_sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound:
        raise _malformed_proxy()
    return url


def http_proxy(proxy: str | None) -> str | None:
    """Return a proxy's URL if aiohttp takes its scheme."""
    if proxy is not None and urlsplit(proxy).scheme not in ("http", "https"):
        raise _malformed_proxy()
    return proxy


def _malformed_proxy() -> BackendError:
    return BackendError(
        "the proxy that the environment names cannot be used: expected one such as http://HOST:PORT"
    )


def _with_scheme(proxy: str) -> str:
    """Return a proxy's address as a URL: ``user:password@host:port`` is one for many programs."""
    return proxy if "://" in proxy else f"http://{proxy.lstrip('/')}"


def secrets_of_proxies() -> set[str]:
    """Return what is secret in the addresses of all proxies."""
    return {secret for proxy in getproxies().values() for secret in _secrets_of(proxy)}


def _secrets_of(proxy: str) -> set[str]:
    """Return what is secret in a proxy's address, which may lack its scheme."""
    user = proxy.rpartition("@")[0].rpartition(":")[2]
    return {*secrets_in(_with_scheme(proxy)), *spellings([user])}
