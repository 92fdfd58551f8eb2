"""Credentials, and what is left out of messages so that they are not shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias
from urllib.parse import quote

from ipldstore.basics.urls import without_secrets

Auth: TypeAlias = "tuple[str, str] | str | None"
"""A user's name and password, or a bearer token."""

_SHORTEST_SECRET = 4
_AUTH_SCHEMES = ("basic", "bearer", "digest", "token", "negotiate")
_HARMLESS = (
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "host",
    "origin",
    "range",
    "user-agent",
)


def authorization(auth: Auth) -> dict[str, str]:
    """Return the header that carries credentials, if there are any."""
    if auth is None:
        return {}
    if isinstance(auth, str):
        return {"Authorization": f"Bearer {auth}"}
    user, password = auth
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def without_sent(text: str, headers: Mapping[str, str], secrets: Iterable[str] = ()) -> str:
    """Return text of others without `secrets` and headers that are not known to be harmless."""
    for secret in sorted({*secrets, *_secrets_sent(headers)}, key=len, reverse=True):
        text = re.sub(_however_quoted(secret), "***", text)
    return without_secrets(text)


def _however_quoted(secret: str) -> str:
    """Return a pattern of a text that was quoted, maybe more than once."""
    parts = (char if char.isalnum() else rf"\\*{re.escape(char)}" for char in secret)
    return "".join(parts)


def _secrets_sent(headers: Mapping[str, str]) -> set[str]:
    words: list[str] = []
    for name, value in headers.items():
        if name.lower() not in _HARMLESS:
            words += [value, *re.split(r"[\s;,]+", value), *re.split(r"[\s;,=:]+", value)]
    words += [word for text in words for word in _in_base64(text)]
    return spellings(word for word in words if word.lower() not in _AUTH_SCHEMES)


def _in_base64(text: str) -> list[str]:
    """Return user and password of basic authentication, and the password."""
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except ValueError:
        return []
    return [decoded, decoded.partition(":")[2]] if ":" in decoded else []


def spellings(words: Iterable[str]) -> set[str]:
    """Return how a library may spell words in a message, but for those too short to tell apart."""
    found: set[str] = set()
    for word in words:
        bare = word.strip()
        found |= {bare, repr(bare)[1:-1], repr(bare.encode())[2:-1], quote(bare, safe="")}
    return {word for word in found if len(word) >= _SHORTEST_SECRET}
