"""How URLs are shown to people: without what could be secret in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

# upper case only in URLs with two slashes: other paths may hold a colon, and one letter is a drive
_SCHEME = r"(?:[a-z][a-z0-9+.-]+|(?i:[a-z][a-z0-9+.-]+)(?=://)):"
_IS_URL = re.compile(rf"{_SCHEME}.*", re.DOTALL)

_USER = re.compile(r"(?<=//)(?:[^/?#]*@|[^@]*[:?#][^@]*@)+", re.DOTALL)
"""User and password: before the host, also where they hold characters that should be escaped."""

_PARAMETERS = re.compile(r"[?#].*", re.DOTALL)

_IN_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/{1,3})([^\s'\"<>]*)")

_SHORTEST_SECRET = 4


def show_url(url: str) -> str:
    """Return a URL without what could be secret: user and password, query and fragment.

    Text that is no URL, such as a path, is returned as it is.

    Examples
    --------
    >>> show_url("https://user:secret@example.org/x.car?X-Amz-Signature=abc")
    'https://example.org/x.car'
    """
    return bare(url) if _IS_URL.fullmatch(url) else url


def bare(url: str) -> str:
    """Return a URL that may be relative, without what could be secret in it."""
    return _PARAMETERS.sub("", _USER.sub("", url))


def show_address(address: str) -> str:
    """Return a multiaddr, URL or ``HOST:PORT`` without what could be secret, as `show_url`."""
    if address.startswith("/"):
        return re.sub(r"[^/]*@", "", _PARAMETERS.sub("", address))
    return show_url(address if "://" in address else f"http://{address}")


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Return text of others, such as of a library's error, with every URL in it as `show_url` does.

    Parameters
    ----------
    text
        The text.
    secrets
        What is left out wherever it stands.

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
