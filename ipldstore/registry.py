"""Block stores by URL, also those of other packages."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any
from urllib.parse import urlsplit

from ipldstore.backends.carfile import kind as carfile
from ipldstore.backends.directory import kind as directory
from ipldstore.backends.gateway import kind as gateway
from ipldstore.backends.ipfs import kind as ipfs
from ipldstore.backends.memory import kind as memory
from ipldstore.backends.objects import kind as objects
from ipldstore.backends.paths import path_of_file_url, read_path
from ipldstore.backends.sqlite import kind as sqlite
from ipldstore.basics.urls import has_user, show_url
from ipldstore.blockstore.contract import ContentAddressableStore, place_hint
from ipldstore.errors import (
    BackendError,
    BlockStoreNotFoundError,
    BlockStoreURLError,
    raise_alone,
)
from ipldstore.formats.cidtext import looks_like_cid

PLUGINS = "ipldstore.block_stores"
"""The group of entry points that name further block stores: scheme = callable(url, **options)."""

BLOCKS_VARIABLE = "IPLDSTORE_BLOCKS"
"""The environment variable that names the block store where none is given."""

# as in ipldstore.basics.urls
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+|(?i:[a-z][a-z0-9+.-]+)(?=://)):(.*)", re.DOTALL)
_MULTIADDR = re.compile("/(ip4|ip6|dns[46]?)/[^/]+/(tcp|udp)/")
_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*:[^/?#]*@", re.IGNORECASE)

_KINDS = {
    **directory.KINDS,
    **memory.KINDS,
    **carfile.KINDS,
    **sqlite.KINDS,
    **ipfs.KINDS,
    **gateway.KINDS,
    **objects.KINDS,
}


def open_block_store(
    url: str | os.PathLike[str], *, create: bool = True, **options: Any
) -> ContentAddressableStore:
    """Open the block store that a URL or a path names.

    =============================== ================================================
    ``blocks/``, ``file:///...``    a folder
    ``x.car``, ``car:PATH``         a CAR file
    ``sqlite:PATH``                 an SQLite database
    ``memory:``                     the memory of this process
    ``ipfs:``                       the local IPFS node
    ``ipfs:/ip4/...``               another one, by the multiaddr of its RPC API
    ``ipfs+http://HOST:PORT``       the same, by its URL
    ``gateway:``                    the default gateways, to read
    ``gateway+https://HOST``        one gateway; more follow after commas, as URLs
    ``s3://``, ``gs://``, ``az://`` a bucket, and a prefix in it, of an object store
    =============================== ================================================

    Further packages add theirs as entry points of the group ``ipldstore.block_stores``: the name
    is the scheme, the object a ``callable(url, **options)`` that returns the store.

    Parameters
    ----------
    url
        The URL or path. A path that looks like a URL is written ``./name:x``, and one may begin
        with ``~``, the user's home. User and password
        may stand in the URL of a node or a gateway only, and are not shown again; object stores
        take them from where their own tools keep them.
    create
        Whether a folder or file that is not there is made, and a bucket's prefix is marked with
        how blocks are laid out there.
    options
        As the block store takes them.

    Raises
    ------
    BlockStoreURLError
        If it names no block store.
    BlockStoreNotFoundError
        If there is no such folder or file and `create` is false.
    BackendError
        If the store cannot be used, or the plug-in for it is broken.
    TypeError
        If the store does not take an option.

    Examples
    --------
    >>> open_block_store("memory:")
    MappingCAStore(dict)
    >>> open_block_store("gateway+https://user:secret@example.org", timeout=5)
    GatewayCAStore(['https://example.org'])
    """
    _check_place(url)
    scheme, rest = _split(os.fspath(url))
    kind = _KINDS.get(scheme) or _KINDS.get(scheme.partition("+")[0])
    if kind is None or not kind.takes_passwords:
        refuse_password(os.fspath(url))
    if kind is None or ("+" in scheme and not kind.takes_passwords):
        return _open_plugin(scheme, os.fspath(url), options)
    place = kind.read(scheme, rest)
    if scheme == "path" and has_user(rest):
        raise BlockStoreURLError(
            f"{show_url(rest)!r} looks like a URL with a user that lacks '://': expected one "
            "such as gateway+https://HOST; a path with such a name is written ./..."
        )
    if kind.is_local and not create and not os.path.exists(place[0]):
        raise BlockStoreNotFoundError(f"no {kind.noun} {show_url(place[0])!r}")
    factory: Callable[..., ContentAddressableStore] = EntryPoint(scheme, kind.home, PLUGINS).load()
    _check_options(scheme, factory, options)
    if kind.is_marked:
        options["create"] = create
    try:
        return factory(*place, **options)
    except BackendError as error:
        if kind.takes_passwords:  # these connect later: all that can be wrong now is the address
            raise_alone(BlockStoreURLError(str(error)))
        raise


def _check_place(url: object) -> None:
    """Refuse what is meant as something else than a place, before it becomes a folder."""
    is_open = isinstance(url, ContentAddressableStore)
    if is_open or not isinstance(url, str | os.PathLike):
        hint = "which is open" if is_open else place_hint(url)
        raise TypeError(
            f"expected the URL or path of a block store, not {type(url).__name__}"
            + (f"; {hint}" if hint else "")
        )
    text = os.fspath(url)
    if isinstance(text, bytes):
        raise TypeError("expected the URL or path of a block store as str, not bytes")
    if looks_like_cid(text) and not os.path.exists(text):
        raise BlockStoreURLError(
            f"{text!r} is a root, expected what has its blocks: ipldstore.open(ROOT, BLOCKS)"
        )
    if _MULTIADDR.match(text) and not os.path.exists(text):
        raise BlockStoreURLError(
            f"{show_url(text)!r} is the address of a node, which is written ipfs:{show_url(text)}"
        )


def refuse_password(url: str) -> None:
    """Raise `BlockStoreURLError`, which does not show it, if there is a password in a URL."""
    if _PASSWORD.match(url):
        raise BlockStoreURLError(
            f"{show_url(url)!r} came with a password: credentials do not belong into this URL, "
            "give them as options or where the store's own tools keep them"
        )


def absolute(url: str) -> str:
    """Return a URL that means the same from another working folder."""
    scheme, rest = _split(url)
    kind = _KINDS.get(scheme)
    if kind is None or not kind.is_local:
        return url
    path = os.path.abspath(kind.read(scheme, rest)[0])
    return path if scheme == "path" else f"{scheme}:{path}"


def is_archive(url: str) -> bool:
    """Whether a URL or path names a CAR file."""
    return _split(url)[0] == "car"


def local_place(url: str) -> tuple[str, str] | None:
    """Return the path of a folder or CAR file, after "path" or "car"; None for other URLs."""
    scheme, rest = _split(url)
    return (scheme, read_path(scheme, rest)[0]) if scheme in ("path", "car") else None


def _split(url: str) -> tuple[str, str]:
    """Return scheme and rest; a path is a folder, or a CAR file by its name."""
    found = _SCHEME.fullmatch(url)
    scheme = "path" if found is None else found[1].lower()
    if found is not None and scheme != "file":
        return scheme, found[2]
    path = os.path.expanduser(url) if found is None else path_of_file_url(url)
    if not path:
        raise BlockStoreURLError("an empty text names no block store")
    is_archive = path.lower().endswith(".car") and not os.path.isdir(path)
    return ("car" if is_archive else "path"), path


def _check_options(scheme: str, factory: Callable[..., Any], options: dict[str, Any]) -> None:
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    taken = sorted(parameter.name for parameter in list(parameters)[1:])
    for name in options.keys() - set(taken):
        raise TypeError(f"'{scheme}:' takes no option {name!r}: expected {', '.join(taken)}")


def _open_plugin(scheme: str, url: str, options: dict[str, Any]) -> ContentAddressableStore:
    plugins = entry_points(group=PLUGINS)
    names = (scheme, scheme.partition("+")[0])
    found = next(filter(None, (list(plugins.select(name=name)) for name in names)), [])
    if not found:
        raise _unknown_scheme(scheme, url, sorted(plugins.names))
    if len({plugin.value for plugin in found}) > 1:
        raise BackendError(f"several plug-ins claim '{scheme}:': {', '.join(map(_say, found))}")
    try:
        factory = found[0].load()
    except Exception as error:
        raise BackendError(
            f"the plug-in for '{scheme}:', {_say(found[0])}, is broken: "
            f"{type(error).__name__}: {error}"
        ) from error
    store = factory(url, **options)
    if not isinstance(store, ContentAddressableStore):
        raise BackendError(
            f"the plug-in for '{scheme}:', {_say(found[0])}, gave a {type(store).__name__}, "
            "expected a ContentAddressableStore"
        )
    return store


def _say(plugin: EntryPoint) -> str:
    package = "" if plugin.dist is None else f" of {plugin.dist.name}"
    return f"{plugin.value}{package}"


def _unknown_scheme(scheme: str, url: str, plugged: list[str]) -> BlockStoreURLError:
    known = ["file", *(name for name in _KINDS if name != "path"), *plugged]
    by_extra: dict[str, list[str]] = {}
    for name, kind in _KINDS.items():
        if kind.extra:
            by_extra.setdefault(kind.extra, []).append(f"{name}:")
    needs = [
        f"{', '.join(names)} need pip install 'ipldstore[{extra}]'"
        for extra, names in by_extra.items()
    ]
    near = get_close_matches(scheme, known, 1)
    guess = f"did you mean '{near[0]}:'? " if near else ""
    if scheme in ("http", "https"):
        guess = f"did you mean 'gateway+{scheme}:' or 'ipfs+{scheme}:'? "
        if urlsplit(url).path.lower().endswith(".car"):
            guess = "a CAR file elsewhere has to be fetched first. "
    elif re.fullmatch(r"[^:/]+:\d{1,5}", url):
        guess = f"did you mean 'ipfs+http://{url}'? "
    return BlockStoreURLError(
        f"{show_url(url)!r} names no block store: {guess}There are a folder, "
        f"{', '.join(f'{name}:' for name in known)}; {', '.join(needs)}; a path with such "
        f"a name is written ./{scheme}:..."
    )


def find_blocks(
    blocks: ContentAddressableStore | str | os.PathLike[str] | None, **options: Any
) -> ContentAddressableStore:
    """Return the block store that is meant, to read; if None, ``IPLDSTORE_BLOCKS`` names it."""
    if isinstance(blocks, ContentAddressableStore):
        if options:
            raise TypeError(f"{', '.join(options)}: a block store that is open takes no options")
        return blocks
    place = os.environ.get(BLOCKS_VARIABLE) or None if blocks is None else blocks
    if place is None:
        raise BlockStoreURLError(
            "a root does not say where its blocks are: name a block store with blocks= or the "
            f"environment variable {BLOCKS_VARIABLE}, such as a folder, x.car, "
            "ipfs: for the local node, or gateway: for public gateways"
            + "".join(f" ({name}= says something else)" for name in options)
        )
    return open_block_store(place, create=False, **options)
