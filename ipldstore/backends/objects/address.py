"""URLs of object stores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ipldstore.backends.objects.kind import SCHEMES
from ipldstore.errors import BackendError, raise_alone
from ipldstore.limits import STALL_SECONDS

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CONNECT_SECONDS = 5
_ALLOW_HTTP = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}
_CLIENT_OPTIONS = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "default_content_type",
        "default_headers",
        "http1_only",
        "http2_keep_alive_interval",
        "http2_keep_alive_timeout",
        "http2_keep_alive_while_idle",
        "http2_only",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "randomize_addresses",
        "read_timeout",
        "root_certificate",
        "timeout",
        "user_agent",
    }
)
_RETRIES = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=10),
        "base": 2,
    },
}


def open_store(
    url: str,
    *,
    timeout: float,
    config: Mapping[str, Any] | None = None,
    client_options: Mapping[str, Any] | None = None,
    retry_config: Mapping[str, Any] | None = None,
    credential_provider: Any = None,
) -> ObjectStore:
    """Open what a URL names; parameters as in `ObjectCAStore`.

    Raises `BackendError` if the URL or the configuration is malformed, or obstore is not installed.
    """
    _check_url(url)
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise BackendError(
            "object stores need the package obstore: pip install 'ipldstore[objects]'"
        ) from None
    _check_config(config or {})
    own: dict[str, Any] = {
        "timeout": timedelta(seconds=timeout),
        "connect_timeout": timedelta(seconds=min(timeout, _CONNECT_SECONDS)),
    }
    # obstore reads this variable only where it is given no options of its client at all
    if os.environ.get(_ALLOW_HTTP[urlsplit(url).scheme], "").lower() == "true":
        own["allow_http"] = True
    arguments: dict[str, Any] = {
        "config": dict(config or {}),
        "client_options": own | dict(client_options or {}),
        "retry_config": _RETRIES | dict(retry_config or {}),
    }
    if credential_provider is not None:
        arguments["credential_provider"] = credential_provider
    try:
        store: ObjectStore = from_url(url, **arguments)
    except (BaseError, ValueError, TypeError, OSError) as error:
        # what obstore says may repeat a value of the configuration
        kind, names = type(error).__name__, sorted(config or {})
        why = f"cannot open {url!r} ({kind}): check the URL, and the values for {names}"
        raise_alone(BackendError(why))
    return store


class Untried(NamedTuple):
    """Stores that try nothing again by themselves, for callers that do.

    With `reader` a read fails that brings no byte for `STALL_SECONDS`; with `writer` none does so:
    while something is sent, nothing comes.
    """

    reader: ObjectStore
    writer: ObjectStore


def open_untried(
    url: str,
    *,
    client_options: Mapping[str, Any] | None = None,
    retry_config: Mapping[str, Any] | None = None,
    **options: Any,
) -> Untried:
    """Open what a URL names, as `open_store`, to read from and to write to."""
    retries = {"max_retries": 0} | dict(retry_config or {})
    stalls = {"read_timeout": timedelta(seconds=STALL_SECONDS)} | dict(client_options or {})
    return Untried(
        open_store(url, client_options=stalls, retry_config=retries, **options),
        open_store(url, client_options=client_options, retry_config=retries, **options),
    )


def _check_url(url: str) -> None:
    """Refuse what is no URL of a bucket, without repeating what may be secret in it."""
    expected = "expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
    try:
        parts = urlsplit(url)
        has_secret = "@" in url or parts.query or parts.fragment
    except ValueError:
        raise_alone(BackendError(f"the URL of an object store is malformed: {expected}"))
    if has_secret:
        raise BackendError(
            "the URL of an object store carries a user, a password, a signature or other "
            f"parameters, which would be printed with it: {expected}; credentials are taken from "
            "the environment or given as config"
        )
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise BackendError(f"{url!r} names no bucket: {expected}")


def _check_config(config: Mapping[str, Any]) -> None:
    """Refuse what belongs elsewhere; obstore 0.12 panics on it."""
    if misplaced := sorted(_CLIENT_OPTIONS.intersection(config)):
        raise BackendError(f"{misplaced} belong into client_options, not into config")


def secrets_of(store: ObjectStore) -> tuple[str, ...]:
    """Return the values in an obstore store's configuration that no message may show."""
    config = getattr(store, "config", None) or {}
    found = {str(value) for name, value in config.items() if _is_secret(name)}
    found.update(*map(_strings_in, found))
    return tuple(sorted((text for text in found if len(text) > 3), key=len, reverse=True))


def _is_secret(name: str) -> bool:
    return any(part in name for part in ("key", "secret", "token", "sas", "password", "bearer"))


def _strings_in(text: str) -> list[str]:
    """Return the private parts of a service account's key, which is JSON."""
    try:
        document = json.loads(text)
    except ValueError:
        return []
    names = document if isinstance(document, dict) else {}
    return [value for name, value in names.items() if _is_secret(name) and isinstance(value, str)]
