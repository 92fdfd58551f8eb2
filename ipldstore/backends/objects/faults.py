"""What object stores answer when something is wrong, as errors of this package."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ipldstore.basics.urls import without_secrets
from ipldstore.errors import BackendError, IPLDStoreError

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
    "InvalidObjectState": "the object is in an archive class: restore it, or copy it to another",
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
_WITHOUT_ANSWER = {
    "BadScheme": "the endpoint is one of http://, which has to be allowed: set {allow_http}=true, "
    "or give client_options={{'allow_http': True}}",
    "InvalidContentType": "the server does not speak TLS: if it is meant, give the endpoint as "
    "http:// and set {allow_http}=true",
    "InvalidCertificate": "the server's certificate is not trusted: give the one that signed it as "
    "client_options={{'root_certificate': ...}}",
    "dns error": "no host of this name is known: check the endpoint, and the network",
    "ConnectionRefused": "nothing listens there: check the endpoint, and whether the server runs",
}
"""What to do by signs in the debug text that obstore adds where there was no answer."""

_LASTING = ("BadScheme", "InvalidContentType", "InvalidCertificate")
_STORES = {"S3": "AWS", "GCS": "GOOGLE", "MicrosoftAzure": "AZURE"}
_BUSY_CODES = ("SlowDown", "RequestTimeout", "InternalError", "ServerBusy", "OperationTimedOut")
_BUSY_STATUSES = (408, 409, 425, 429)
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

    `what` is what could not be done; the message does not show `secrets`.
    """
    code, status = code_in(error), status_in(error)
    sign = _sign_in(error)
    advice = _ADVICE.get(code or "") or _BY_STATUS.get(status or 0) or _advice_on(sign, error)
    parts = [what, _describe(error, code, status, secrets), *([advice] if advice else [])]
    return BackendError(": ".join(parts), retryable=may_pass(error))


def may_pass(error: BaseException) -> bool:
    """Whether what obstore raised may be over in a moment."""
    if isinstance(error, IPLDStoreError):
        return False
    status = status_in(error)
    if status is None:
        return _is_silent(error) and _sign_in(error) not in _LASTING
    return status >= 500 or status in _BUSY_STATUSES or code_in(error) in _BUSY_CODES


def is_busy(error: BaseException) -> bool:
    """Whether a server answered that it is busy; a conflict with another writer is no load."""
    return may_pass(error) and status_in(error) not in (None, 409)


def _is_silent(error: BaseException) -> bool:
    """Whether no answer came, or not all of it."""
    return status_in(error) is None and _has_no_answer(error)


def is_unconnected(error: BaseException) -> bool:
    """Whether there was not even a connection."""
    return _is_silent(error) and "kind: Connect" in str(error)


def _sign_in(error: BaseException) -> str | None:
    if not _is_silent(error):
        return None
    return next((sign for sign in _WITHOUT_ANSWER if sign in str(error)), None)


def _advice_on(sign: str | None, error: BaseException) -> str | None:
    if sign is None:
        return None
    found = re.search(r"Generic (\w+) error", str(error))
    store = _STORES.get(found[1], "AWS") if found else "AWS"
    return _WITHOUT_ANSWER[sign].format(allow_http=f"{store}_ALLOW_HTTP")


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
