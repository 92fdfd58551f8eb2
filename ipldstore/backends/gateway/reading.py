"""One block out of several gateways: what counts as an answer, and what it means if none does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from ipldstore.backends.gateway.address import Gateway
from ipldstore.backends.gateway.redirects import Answer, ask
from ipldstore.backends.gateway.steps import Steps
from ipldstore.backends.health import FAILURE, LIE, Health
from ipldstore.backends.http.answers import Reply, check_busy
from ipldstore.backends.retries import TransientError
from ipldstore.cid import Link, to_text, verify_block
from ipldstore.errors import (
    BackendError,
    BlockNotFoundError,
    CarFormatError,
    CorruptBlockError,
    IPLDStoreError,
)
from ipldstore.limits import MAX_IPFS_BLOCK_BYTES

FAULTS = (BackendError, BlockNotFoundError, CarFormatError, CorruptBlockError)
"""What a gateway may do wrong."""

Faults: TypeAlias = dict[Gateway, IPLDStoreError]

_RAW = "application/vnd.ipld.raw"
_MEDIA_TYPE = re.compile(r"[a-z]+/[\w.+-]+(\s*;\s*charset=[\w-]+)?|", re.ASCII)


def read_block(
    link: Link, gateways: Sequence[Gateway], health: Health, faults: Faults, *, method: str = "GET"
) -> Steps[bytes]:
    """Ask one gateway after the other until one serves a block.

    `faults` are what went wrong before: a gateway is asked again only where that was transient.
    With the method ``"HEAD"``, which asks for the block's existence alone, nothing is returned;
    else the block, verified. Raises `BlockNotFoundError` if all gateways say that they do not have
    it, `CorruptBlockError` if none did anything but that or serve other bytes, and `BackendError`
    in any other case: a `TransientError` if to try again at once is worth it.
    """
    for gateway in health.order(gateways):
        if not isinstance(faults.get(gateway), TransientError | None):
            continue
        try:
            reply: Reply = yield from ask(
                gateway, link, "format=raw", _RAW, method, MAX_IPFS_BLOCK_BYTES
            )
            check_answer(reply, _RAW)
            if method == "GET":
                verify_block(link, reply.body)
        except FAULTS as error:
            faults[gateway] = error
            hold_against(gateway, error, health)
        else:
            health.clear(gateway)
            return reply.body
    raise _failure(link, faults)


def check_answer(answer: Answer, media_type: str) -> None:
    """Raise what an answer means that has another status or type than was asked for."""
    status = answer.status
    if status in (404, 410):
        raise BlockNotFoundError(f"HTTP status {status}")
    if status == 504:
        raise BackendError("HTTP status 504, not found in time", retryable=True)
    check_busy(answer, "busy")
    if status >= 500:
        raise TransientError(f"HTTP status {status}")
    if status != 200:
        raise BackendError(f"HTTP status {status}")
    found = answer.headers.get("Content-Type", "")
    if found.partition(";")[0].strip().lower() != media_type:
        # a server may say anything there, such as what it was sent
        shown = repr(found[:80]) if _MEDIA_TYPE.fullmatch(found) else "that is malformed"
        raise BackendError(f"an answer of type {shown}, expected {media_type}")


def hold_against(gateway: Gateway, error: IPLDStoreError, health: Health) -> None:
    """Ask a gateway after the others for a while if it failed or lied; not to have is no fault."""
    if isinstance(error, BackendError):
        health.punish(gateway, FAILURE)
    elif not isinstance(error, BlockNotFoundError):
        health.punish(gateway, LIE)


def _failure(link: Link, faults: Faults) -> IPLDStoreError:
    errors = list(faults.values())
    reasons = "; ".join(f"{gateway.url}: {error}" for gateway, error in faults.items())
    text = f"no gateway serves block {to_text(link)}: {reasons}"
    if all(isinstance(error, BlockNotFoundError) for error in errors):
        return BlockNotFoundError(text)
    if not any(isinstance(error, BackendError) for error in errors):
        return CorruptBlockError(text)
    waits = [error.wait for error in errors if isinstance(error, TransientError)]
    if waits:
        return TransientError(text, wait=min(waits))
    retryable = any(isinstance(error, BackendError) and error.retryable for error in errors)
    return BackendError(text, retryable=retryable)
