"""Pins of a node, and of pinning services that it is told of.

A node keeps what is pinned; everything else goes when it collects garbage.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

from ipldstore.backends.ipfs.rpc import KuboRPC, expect, expect_cid
from ipldstore.basics.urls import secrets_in, without_secrets
from ipldstore.cid import CIDLike, Link, as_link, to_text
from ipldstore.errors import BackendError, raise_alone
from ipldstore.limits import LONG_SECONDS, MAX_PINS

LONG_TIMEOUT = LONG_SECONDS

_STATUSES = ("queued", "pinning", "pinned", "failed")


class Pin(NamedTuple):
    """What a node keeps: a root with all that it leads to.

    Attributes
    ----------
    cid : Link
        The root.
    name : str or None
        The name of the pin, if it has one. Several pins may have the same name.
    """

    cid: Link
    name: str | None


class RemotePin(NamedTuple):
    """What a pinning service keeps, or is about to.

    Attributes
    ----------
    cid : Link
        The root.
    name : str or None
        The name of the pin, if it has one.
    status : str
        ``"queued"``, ``"pinning"``, ``"pinned"`` or ``"failed"``.
    """

    cid: Link
    name: str | None
    status: str


class Pins:
    """The recursive pins of a node."""

    def __init__(self, rpc: KuboRPC) -> None:
        self._rpc = rpc

    def __iter__(self) -> Iterator[Pin]:
        return iter(self.list())

    def list(self, name: str | None = None) -> list[Pin]:
        """List the pins.

        Parameters
        ----------
        name
            Only those of exactly this name; all if None.
        """
        # not as a stream: an error in the middle of one would look like its end
        answer = self._rpc.call_json("pin/ls", type="recursive", names=True, name=name)
        keys = expect(answer, "Keys", dict) if answer.get("Keys") else {}
        pins = [Pin(expect_cid(text), _name_in(entry)) for text, entry in keys.items()]
        return [pin for pin in pins if name is None or pin.name == name]

    def add(self, cid: CIDLike, name: str | None = None, *, timeout: float | None = None) -> None:
        """Pin a root with all that it leads to; what is missing is fetched from the network.

        When it returns, every block is in the node.

        Parameters
        ----------
        cid
            The root.
        name
            The name of the pin. What is pinned already gets the new name.
        timeout
            How many seconds may pass without a further block; the node's own if None. The whole
            may take as long as it needs.

        Raises
        ------
        BlockNotFoundError
            If a block is missing and the node is offline. Nothing is pinned then.
        BackendError
            If the node fails, or blocks do not arrive in time. Nothing is pinned then.
        """
        text = to_text(as_link(cid))
        seconds = timeout or self._rpc.timeout
        if not self._watch(text, name, seconds):
            # what went wrong stands in an HTTP trailer, which HTTP libraries drop: ask once more
            answer = self._rpc.call_json("pin/add", text, name=name, timeout=seconds)
            expect(answer, "Pins", list)

    def add_all(self, cids: Iterable[CIDLike], *, recursive: bool) -> None:
        """Pin several CIDs, those that are not pinned yet; if not `recursive`, each block alone.

        Errors are those of `add`. What was pinned before one stays so.
        """
        pinned = {pin.cid for pin in self}
        if not recursive:
            answer = self._rpc.call_json("pin/ls", type="direct")
            pinned |= {expect_cid(text) for text in answer.get("Keys") or {}}
        for link in dict.fromkeys(map(as_link, cids)):
            if link not in pinned and recursive:
                self.add(link)
            elif link not in pinned:
                text = to_text(link)
                expect(self._rpc.call_json("pin/add", text, recursive=False), "Pins", list)

    def _watch(self, text: str, name: str | None, seconds: float) -> bool:
        """Pin, watching the number of blocks, and return whether that was successful."""
        answers = self._rpc.iter_json("pin/add", text, name=name, progress=True, timeout=seconds)
        blocks, deadline = 0, time.monotonic() + seconds
        with closing(answers):
            for answer in answers:
                if "Pins" in answer:
                    return True
                done = answer.get("Progress")
                if isinstance(done, int) and done > blocks:
                    blocks, deadline = done, time.monotonic() + seconds
                elif time.monotonic() > deadline:
                    raise BackendError(
                        f"IPFS node {self._rpc.url} did not pin {text}: after {blocks} blocks "
                        f"there was no further one within {seconds:g} s",
                        retryable=True,
                    )
        return False

    def update(
        self, old: CIDLike, new: CIDLike, name: str | None = None, *, timeout: float = LONG_TIMEOUT
    ) -> None:
        """Pin a new root in the place of an old one, looking only at what differs.

        Parameters
        ----------
        old
            The root that is pinned, and will not be.
        new
            The root that will be.
        name
            The name of the new pin; that of the old one if None.
        timeout
            How many seconds it may take.

        Raises
        ------
        BlockNotFoundError
            If a block of the new root is missing and the node is offline. The old one stays
            pinned then.
        BackendError
            If the old root is not pinned, the node fails, or blocks do not arrive in time. What
            was pinned stays so.
        """
        before, after = as_link(old), as_link(new)
        pinned = {pin.cid for pin in self}
        if before not in pinned:
            raise BackendError(
                f"IPFS node {self._rpc.url}: {to_text(before)}, which is to be replaced, is not "
                "pinned"
            )
        if after not in pinned:
            texts = to_text(before), to_text(after)
            expect(self._rpc.call_once("pin/update", *texts, timeout=timeout), "Pins", list)
        elif before != after:
            self.remove(before)
        if name is not None:
            self.add(after, name)

    def remove(self, cid: CIDLike) -> None:
        """Unpin a root; its blocks stay until the node collects garbage.

        Raises
        ------
        BackendError
            If it is not pinned, or only as a part of something else.
        """
        expect(self._rpc.call_once("pin/rm", to_text(as_link(cid))), "Pins", list)

    def remote(self, service: str) -> RemotePins:
        """Return the pins of a service that the node knows by a name."""
        return RemotePins(self._rpc, service)

    def list_services(self) -> dict[str, str]:
        """Return the pinning services that the node knows: their names and URLs."""
        answer = self._rpc.call_json("pin/remote/service/ls")
        return {
            expect(service, "Service", str): expect(service, "ApiEndpoint", str)
            for service in _services_in(answer)
        }

    def add_service(self, service: str, url: str, token: str) -> None:
        """Tell the node of a service with the IPFS Pinning Service API.

        Parameters
        ----------
        service
            The name that it gets.
        url
            Where it is.
        token
            What authorizes; the node keeps it.
        """
        try:
            self._rpc.call("pin/remote/service/add", service, url, token)
        except BackendError as error:
            text = without_secrets(str(error), (token, *secrets_in(url)))
            raise_alone(BackendError(text, retryable=error.retryable))

    def remove_service(self, service: str) -> None:
        """Have the node forget a service; what it pinned stays."""
        self._rpc.call("pin/remote/service/rm", service)


class RemotePins:
    """The pins of a pinning service, through a node that knows it by a name."""

    def __init__(self, rpc: KuboRPC, service: str) -> None:
        self._rpc = rpc
        self._service = service

    def __iter__(self) -> Iterator[RemotePin]:
        return iter(self.list())

    def list(self, name: str | None = None) -> list[RemotePin]:
        """List the pins, those that are not done and those that failed too.

        Parameters
        ----------
        name
            Only those of exactly this name; all if None.

        Raises
        ------
        BackendError
            If the service cannot be reached, or fails in the middle.
        """
        # nodes do not say in a readable place that a list broke off, but they can count
        expected = self._count()
        pins = []
        for pin in self._iter_pins():
            pins.append(pin)
            if len(pins) > MAX_PINS:
                raise BackendError(
                    f"pinning service {self._service!r}: more than {MAX_PINS} pins are listed"
                )
        if len(pins) < expected:
            raise BackendError(
                f"pinning service {self._service!r}: {len(pins)} of {expected} pins were listed",
                retryable=True,
            )
        return [pin for pin in pins if name is None or pin.name == name]

    def add(
        self,
        cid: CIDLike,
        name: str | None = None,
        *,
        background: bool = False,
        timeout: float = LONG_TIMEOUT,
    ) -> RemotePin:
        """Have the service pin a root with all that it leads to, which it fetches from the node.

        Parameters
        ----------
        cid
            The root.
        name
            The name of the pin.
        background
            Whether to return as soon as the service has taken the order.
        timeout
            How many seconds it may take until the root is pinned.

        Returns
        -------
        RemotePin
            The pin with its status.

        Raises
        ------
        BackendError
            If the service refuses or fails, or cannot be reached.
        """
        answer = self._rpc.call_json(
            "pin/remote/add",
            to_text(as_link(cid)),
            service=self._service,
            name=name,
            background=background,
            timeout=timeout,
        )
        return _remote_pin(answer)

    def remove(self, cid: CIDLike) -> None:
        """Have the service forget its pins of a root.

        Raises
        ------
        BackendError
            If there is none, or the service cannot be reached.
        """
        text = to_text(as_link(cid))
        if not any(True for _ in self._iter_pins(cid=text)):
            raise BackendError(f"pinning service {self._service!r}: {text} is not pinned")
        self._rpc.call(
            "pin/remote/rm", service=self._service, cid=text, status=_STATUSES, force=True
        )

    def _count(self) -> int:
        answer = self._rpc.call_json("pin/remote/service/ls", stat=True)
        for service in _services_in(answer):
            if service.get("Service") == self._service:
                # a service that cannot be asked has no counts; the list itself then says why
                counts = expect(service, "Stat", dict).get("PinCount")
                known = counts.values() if isinstance(counts, dict) else ()
                return sum(count for count in known if isinstance(count, int))
        return 0

    def _iter_pins(self, **options: Any) -> Iterator[RemotePin]:
        for answer in self._rpc.iter_json(
            "pin/remote/ls", service=self._service, status=_STATUSES, **options
        ):
            yield _remote_pin(answer)


def _remote_pin(answer: dict[str, Any]) -> RemotePin:
    return RemotePin(expect_cid(answer.get("Cid")), _name_in(answer), expect(answer, "Status", str))


def _name_in(answer: Any) -> str | None:
    """Return the name of a pin, None if it has none."""
    name = answer.get("Name") if isinstance(answer, dict) else None
    return name if name and isinstance(name, str) else None


def _services_in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    services = expect(answer, "RemoteServices", list) if answer.get("RemoteServices") else []
    return [service for service in services if isinstance(service, dict)]
