"""How URLs are shown to people: without what could be secret in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

# upper case only in URLs with two slashes: other paths may hold a colon, and one letter is a drive
_SCHEME = r"(?:[a-z][a-z0-9+.-]+|(?i:[a-z][a-z0-9+.-]+)(?=://)):"

_USER = re.compile(r"(?<=//)(?:[^/?#]*@|[^@]*[:?#][^@]*@)+", re.DOTALL)
"""User and password: before the host, also where they hold characters that should be escaped."""

_PARAMETERS = re.compile(r"[?#].*", re.DOTALL)

_NETLOC = re.compile(r"\A((?:[a-z][a-z0-9+.-]*:)?//)((?:(?!,https?:)[^/])*)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(?:\[[^]]*\]|[^:[]*)(?::(?:\d+|PORT)?)?")
_MULTIADDR = re.compile(r"(/(?:ip[46]|dns[a-z0-9]*)/[^/]*/(?:tcp|udp)/\d*)[^/]*")

_LOOSE_USER = re.compile(r"(?<![^/])[^/@]{2,}:[^@]*@|(?<=//)[^/@]*@", re.DOTALL)
"""What looks like user and password in an address that is mistyped."""

_LIKE_URL = re.compile(rf"{_SCHEME}|(?i:[a-z][a-z0-9+.-]+)//")
_BEGINNING = re.compile(r"[a-z][a-z0-9+.-]*://|(?:car|file|sqlite):", re.IGNORECASE)

_IN_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*(?::/{1,3}|//))([^\s'\"<>]*)")

_SHORTEST_SECRET = 4


def show_url(url: str) -> str:
    """Return a URL without what could be secret: user and password, query and fragment.

    Text that is no URL, such as a path, is returned as it is, but for what looks like a user and
    a password: it may be an address that is mistyped.

    Examples
    --------
    >>> show_url("https://user:secret@example.org/x.car?X-Amz-Signature=abc")
    'https://example.org/x.car'
    >>> show_url("gateway+http//user:secret@example.org")
    'gateway+http//***@example.org'
    """
    return bare(url) if _LIKE_URL.match(url) else _hide_users(url)


def bare(url: str) -> str:
    """Return a URL that may be relative, without what could be secret in it."""
    url = _PARAMETERS.sub("", _USER.sub("", url) if "://" in url or url[:2] == "//" else url)
    return _hide_users(_MULTIADDR.sub(r"\1", _NETLOC.sub(_without_more, url)))


def _without_more(found: re.Match[str]) -> str:
    """Return the beginning of a URL without what follows its port but punctuation."""
    kept = _HOST_AND_PORT.match(found[2])
    end = 0 if kept is None else kept.end()
    is_more = any(map(str.isalnum, found[2][end:]))
    return found[1] + (found[2][:end] if is_more else found[2])


def _hide_users(text: str) -> str:
    if "@" not in text:
        return text
    found = _BEGINNING.match(text)
    start = 0 if found is None else found.end()
    return text[:start] + _LOOSE_USER.sub("***@", text[start:])


def is_url(text: str) -> bool:
    """Whether text begins with a scheme and two slashes, as no path does that is meant."""
    return re.match("[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def has_user(text: str) -> bool:
    """Whether text that is no URL looks like a mistyped one with a user or a password."""
    return _hide_users(text) != text and not text.startswith((".", "/"))


def show_address(address: str) -> str:
    """Return a multiaddr, URL or ``HOST:PORT`` without what could be secret, as `show_url`."""
    if address.startswith("/"):
        return re.sub(r"[^/]*@", "", bare(address))
    return show_url(address if "://" in address else f"http://{address}")


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Return text of others, such as of a library's error, with every URL in it as `show_url` does.

    `secrets` are left out wherever they stand.

    Examples
    --------
    >>> without_secrets("407, url='http://user:secret@proxy:3128'")
    "407, url='http://proxy:3128'"
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return _IN_TEXT.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    return found[1] + bare("//" + found[2])[2:]


def secrets_in(url: str) -> tuple[str, ...]:
    """Return what in a URL `without_secrets` has to leave out wherever it stands."""
    found: set[str] = set()
    for part in _USER.findall(url):
        name, _, password = part.removesuffix("@").partition(":")
        found |= {part, password or name, unquote(password or name), quote(password, safe="")}
    found.update(part[1:] for part in _PARAMETERS.findall(_USER.sub("", url)))
    return tuple(
        sorted((text for text in found if len(text) >= _SHORTEST_SECRET), key=len, reverse=True)
    )
