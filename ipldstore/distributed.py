"""Write datasets with dask from many threads, processes or machines."""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, overload

import numpy as np
import xarray as xr
import zarr
from xarray.backends import ZarrStore

from ipldstore.store.forks import Changes, join_changes
from ipldstore.store.hierarchy import Hierarchy

if TYPE_CHECKING:
    from ipldstore.faces import IPLDStore

_ON_ZARR_2 = zarr.__version__.startswith("2.")
_JOINED_AT_ONCE = 16
_MODES = ("w", "w-", "a", "a-", "r+")
_OPTIONS = frozenset({"align_chunks", "safe_chunks", "zarr_format"})


class _Write(NamedTuple):
    """A dask array that goes into an array of the store.

    `start` is where in the array at the path the source begins, along each dimension. The values of
    the source are as they are stored.
    """

    source: Any
    path: str
    start: tuple[int, ...]


class _Writer:
    """Takes arrays from xarray: writes those in memory and keeps the lazy ones, as `writes`."""

    def __init__(self) -> None:
        self.writes: list[_Write] = []

    def add(self, source: Any, target: Any, region: tuple[slice, ...] | None = None) -> None:
        """Write an array into an array of the store."""
        if not hasattr(source, "__dask_graph__"):
            target[region or ...] = source
            return
        region = region or (slice(None),) * len(target.shape)
        start = [part.indices(size)[0] for part, size in zip(region, target.shape, strict=True)]
        self.writes.append(_Write(source, target.path, tuple(start)))


class DelayedWrite:
    """The dask arrays of a dataset whose metadata stands in a store already.

    `to_zarr` returns it with ``compute=False``. It is no collection of dask's, whose schedulers
    could compute it in another process: what the tasks changed is merged where the store is.
    """

    def __init__(
        self, store: IPLDStore, writes: list[_Write], write_empty_chunks: bool | None
    ) -> None:
        self._store = store
        self._writes = writes
        self._write_empty_chunks = write_empty_chunks

    def compute(self, **options: Any) -> None:
        """Write the chunks and merge what that changed into the store, in this process.

        Parameters
        ----------
        options
            As for ``dask.compute``, such as ``scheduler``.

        Raises
        ------
        MergeConflictError, ReadOnlyStoreError
            As in `to_zarr`.
        """
        if self._writes:
            fork = self._store.fork()
            changes = _compute(self._writes, fork, self._write_empty_chunks, options)
            self._store.merge(changes)

    def __dask_graph__(self) -> NoReturn:
        """Refuse what dask takes for a collection and would leave uncomputed."""
        raise TypeError(
            "chunks that are to be written are no dask collection, as the store has to learn of "
            "them in its own process: call their compute(), which takes dask's options"
        )


@overload
def to_zarr(
    dataset: xr.Dataset,
    store: IPLDStore,
    *,
    compute: Literal[True] = True,
    mode: Literal["w", "w-", "a", "a-", "r+"] | None = None,
    group: str | None = None,
    encoding: Mapping[Hashable, Any] | None = None,
    consolidated: bool | None = None,
    append_dim: Hashable | None = None,
    region: Mapping[str, slice | Literal["auto"]] | Literal["auto"] | None = None,
    write_empty_chunks: bool | None = None,
    **options: Any,
) -> None: ...
@overload
def to_zarr(
    dataset: xr.Dataset,
    store: IPLDStore,
    *,
    compute: Literal[False],
    mode: Literal["w", "w-", "a", "a-", "r+"] | None = None,
    group: str | None = None,
    encoding: Mapping[Hashable, Any] | None = None,
    consolidated: bool | None = None,
    append_dim: Hashable | None = None,
    region: Mapping[str, slice | Literal["auto"]] | Literal["auto"] | None = None,
    write_empty_chunks: bool | None = None,
    **options: Any,
) -> DelayedWrite: ...
def to_zarr(
    dataset: xr.Dataset,
    store: IPLDStore,
    *,
    compute: bool = True,
    mode: Literal["w", "w-", "a", "a-", "r+"] | None = None,
    group: str | None = None,
    encoding: Mapping[Hashable, Any] | None = None,
    consolidated: bool | None = None,
    append_dim: Hashable | None = None,
    region: Mapping[str, slice | Literal["auto"]] | Literal["auto"] | None = None,
    write_empty_chunks: bool | None = None,
    **options: Any,
) -> DelayedWrite | None:
    """Write a dataset into a store, its dask arrays by whatever scheduler dask is set to.

    As ``dataset.to_zarr(store, ...)``, but the tasks that write may run in other processes and on
    other machines: each writes through a fork of the store and returns what it changed, which is
    merged at the end. Other processes must reach the store's block store. As after any write,
    `IPLDStore.freeze` gives the root. If a task fails, the metadata may be written, and no chunks.

    Parameters
    ----------
    dataset
        The dataset.
    store
        Where it goes.
    compute
        Whether to write the dask arrays now. If not, only metadata and what is in memory is
        written, and the rest by ``compute()`` of what is returned. A root that is frozen before
        that names arrays without chunks.
    mode, group, encoding, consolidated, append_dim, region, write_empty_chunks
        As for `xarray.Dataset.to_zarr`.
    options
        Those of ``safe_chunks``, ``align_chunks`` and ``zarr_format`` that xarray knows.

    Returns
    -------
    DelayedWrite or None
        What remains to be written, if `compute` is False.

    Raises
    ------
    TypeError
        If it is no dataset or no store, or an option is not known.
    ValueError
        As xarray raises it.
    MergeConflictError
        If two tasks wrote into the same chunk, which ``safe_chunks=False`` allows.
    ReadOnlyStoreError
        If tasks run in processes that do not reach the block store.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from ipldstore import IPLDStore, distributed
    >>> dataset = xr.Dataset({"a": ("x", np.arange(4))}).chunk(x=2)
    >>> store = IPLDStore()
    >>> distributed.to_zarr(dataset, store)
    >>> xr.open_zarr(store).a.values
    array([0, 1, 2, 3])
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"expected an xarray.Dataset, not {type(dataset).__name__}")
    if not isinstance(store, Hierarchy):
        raise TypeError(
            f"expected an IPLDStore, not {type(store).__name__}: "
            "ipldstore.open(BLOCKS, read_only=False) begins one"
        )
    if mode not in (None, *_MODES):
        raise ValueError(f"mode {mode!r} is not one of {', '.join(_MODES)}")
    if unknown := sorted(options.keys() - _OPTIONS):
        raise TypeError(
            f"distributed.to_zarr() takes no {', '.join(unknown)}: of the options of xarray's "
            f"to_zarr() that it does not name itself it takes {', '.join(sorted(_OPTIONS))}"
        )
    mode = mode or _default_mode(append_dim, region)
    target = ZarrStore.open_group(
        store,
        mode=mode,
        group=group,
        consolidated=consolidated if mode == "r+" else False,
        consolidate_on_close=mode != "r+" and consolidated is not False,
        append_dim=append_dim,
        write_region=region,
        write_empty=write_empty_chunks,
        **options,
    )
    writer = _Writer()
    dataset = target._validate_and_autodetect_region(_without_empty(dataset))
    target._validate_encoding(encoding or {})
    dataset.dump_to_store(target, writer=writer, encoding=encoding)
    delayed = DelayedWrite(store, writer.writes, write_empty_chunks)
    if not compute:
        return delayed
    delayed.compute()
    return None


def _default_mode(append_dim: Any, region: Any) -> Literal["a", "r+", "w-"]:
    if append_dim is not None:
        return "a"
    return "w-" if region is None else "r+"


def _without_empty(dataset: xr.Dataset) -> xr.Dataset:
    """Load the arrays of no size, which have no blocks to write."""
    dataset = dataset.copy()
    for variable in dataset.variables.values():
        if variable.size == 0:
            variable.load()
    return dataset


def _compute(
    writes: list[_Write],
    fork: IPLDStore,
    write_empty_chunks: bool | None,
    options: Mapping[str, Any],
) -> Changes:
    """Write all blocks of dask arrays, and return what that changed."""
    dask: Any = import_module("dask")
    tasks = [
        write.source.map_blocks(
            _write_block,
            fork=fork,
            path=write.path,
            start=write.start,
            write_empty_chunks=write_empty_chunks,
            dtype=object,
            meta=np.empty((0,) * write.source.ndim, object),
            name=f"write-{uuid.uuid4().hex}",
        )
        for write in writes
    ]
    parts = [
        part
        for task in dask.optimize(*tasks)
        for part in task.to_delayed(optimize_graph=False).ravel()
    ]
    while len(parts) > 1:
        batches = [parts[i : i + _JOINED_AT_ONCE] for i in range(0, len(parts), _JOINED_AT_ONCE)]
        parts = [dask.delayed(join_changes, pure=False)(batch) for batch in batches]
    (changes,) = dask.compute(*parts, **options)
    return changes  # type: ignore[no-any-return]


def _write_block(
    block: Any,
    *,
    fork: IPLDStore,
    path: str,
    start: tuple[int, ...],
    write_empty_chunks: bool | None,
    block_info: Any = None,
) -> Changes:
    """Write a block through a fork of its own, and return what that changed."""
    places = zip(start, block_info[0]["array-location"], strict=True)
    region = tuple(slice(offset + first, offset + end) for offset, (first, end) in places)
    part = fork.fork()
    part._check_writable()  # zarr would say less
    _open_array(part, path, write_empty_chunks)[region] = block
    changes = part.take_changes()
    part.abandon()
    return changes


def _open_array(store: IPLDStore, path: str, write_empty_chunks: bool | None) -> Any:
    options: dict[str, Any] = {}
    if write_empty_chunks is not None:
        options["write_empty_chunks"] = write_empty_chunks
    if options and not _ON_ZARR_2:
        options = {"config": options}
    return zarr.open_array(store, path=path, mode="r+", **options)
