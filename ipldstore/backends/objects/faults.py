"""What object stores answer when something is wrong, as errors of this package."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ipldstore.errors import BackendError
from ipldstore.urls import without_secrets

ABSENT = ("NoSuchKey", "BlobNotFound")
"""Codes by which a server says that the object is not there, while the bucket is."""

_ADVICE = {
    "NoSuchBucket": "make the bucket, or correct its name",
    "ContainerNotFound": "make the container, or correct its name",
    "AuthorizationHeaderMalformed": "set the bucket's region in config or AWS_REGION",
    "PermanentRedirect": "set the bucket's region in config or AWS_REGION",
    "IllegalLocationConstraintException": "set the bucket's region in config or AWS_REGION",
    "ExpiredToken": "the credentials have expired: renew them",
    "InvalidToken": "the credentials are not valid, or have expired: renew them",
    "RequestTimeTooSkewed": "set the clock of this machine right",
    "SignatureDoesNotMatch": "check the secret key",
    "InvalidAccessKeyId": "check the access key",
    "AccessDenied": "allow these credentials to read, write and list the bucket; where listing is "
    "denied, some servers answer like this for what is not there",
    "QuotaExceeded": "make room",
}
_BY_STATUS = {
    301: "set the bucket's region in config or AWS_REGION",
    400: "check the region and the credentials",
    401: "check the credentials",
    403: "check the credentials and what they allow, also to list the bucket",
    404: "check the name of the bucket, and the credentials",
    429: "the server is busy: try again later, with fewer connections",
    503: "the server is busy: try again later, with fewer connections",
}
_BUSY_CODES = ("SlowDown", "RequestTimeout", "InternalError", "ServerBusy", "OperationTimedOut")
_LONGEST = 300


def code_in(error: BaseException) -> str | None:
    """Return the code in a server's answer, such as ``NoSuchKey``, if it holds one."""
    found = re.search(
        r"<Code>(\w{1,60})</Code>|\"error\":\s*{\s*\"code\":\s*\"(\w{1,60})\"", str(error)
    )
    return found and (found[1] or found[2])


def status_in(error: BaseException) -> int | None:
    """Return the HTTP status of a server's answer, if there was an answer."""
    found = re.search(r"status code: (\d{3})", str(error))
    return int(found[1]) if found else None


def backend_error(what: str, error: BaseException, secrets: Iterable[str] = ()) -> BackendError:
    """Make the error for what obstore raised.

    Parameters
    ----------
    what
        What could not be done.
    error
        The error of obstore.
    secrets
        What the message may not show.
    """
    code, status = code_in(error), status_in(error)
    is_busy = status is not None and (status >= 500 or status in (408, 409, 425, 429))
    unanswered = status is None and _has_no_answer(error)
    advice = _ADVICE.get(code or "") or _BY_STATUS.get(status or 0)
    parts = [what, _describe(error, code, status, secrets), *([advice] if advice else [])]
    return BackendError(": ".join(parts), retryable=is_busy or unanswered or code in _BUSY_CODES)


def _has_no_answer(error: BaseException) -> bool:
    """Whether the network failed; obstore says so in its text only."""
    text = str(error)
    return isinstance(error, TimeoutError | ConnectionError) or any(
        sign in text for sign in ("HTTP error", "kind: Connect", "kind: Timeout", "error sending")
    )


def _describe(
    error: BaseException, code: str | None, status: int | None, secrets: Iterable[str]
) -> str:
    if status is not None:
        return f"the server answers with HTTP status {status}" + (f" ({code})" if code else "")
    text = str(error).partition("\n")[0] or type(error).__name__
    return without_secrets(text, secrets)[:_LONGEST]
