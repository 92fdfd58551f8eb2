"""A repository that every later version has to read, and to make again to the same commits.

The CAR file of it in ``tests/data`` was written by version 0.1:
``python -m tests.repository.made_golden`` writes it anew, with other states, as these are random.
"""

from __future__ import annotations

import gzip
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from ipldstore import CARStore, ContentAddressableStore, Repository

ARCHIVE = Path(__file__).parent.parent / "data" / "repository.car.gz"

TIME = datetime(2026, 1, 5, 12, tzinfo=UTC)


def make(blocks: ContentAddressableStore) -> Repository:
    """Make the repository: two branches that are merged, a conflict that is settled, a tag."""
    repo = Repository.create(blocks, author="golden")
    _commit(repo, "main", 0, {"x/zarr.json": _array(2, "m"), "x/c/0": b"00", "x/c/1": b"11"})
    repo.branch("dev")
    _commit(repo, "main", 1, {"x/zarr.json": _array(2, "km"), "x/c/0": b"22"})
    _commit(repo, "dev", 2, {"x/zarr.json": _array(3, "m"), "x/c/2": b"33"})
    repo.merge("dev", message="merged", time=TIME.replace(hour=15))
    repo.tag("v1")
    _commit(repo, "dev", 4, {"x/c/0": b"44"})
    repo.merge("dev", message="settled", time=TIME.replace(hour=17), resolve="theirs")
    repo.reset("dev", "dev~1")
    return repo


def _commit(repo: Repository, branch: str, hours: int, items: dict[str, bytes]) -> None:
    session = repo.writable(branch)
    session.update(items)
    time = TIME.replace(hour=12 + hours)
    session.commit(f"commit {hours}", time=time, metadata={"hours": hours})


def _array(size: int, note: str) -> bytes:
    return (
        b'{"zarr_format":3,"node_type":"array","shape":[%d],"data_type":"uint8","chunk_grid":'
        b'{"name":"regular","configuration":{"chunk_shape":[1]}},"chunk_key_encoding":'
        b'{"name":"default","configuration":{"separator":"/"}},"fill_value":0,"codecs":'
        b'[{"name":"bytes"}],"attributes":{"note":"%s"}}' % (size, note.encode())
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "repository.car")
        with CARStore(file) as blocks:
            repo = make(blocks)
            print(repo.log(all=True))
            for name, commit in (repo.branches | repo.tags).items():
                print(f'    "{name}": "{commit}",')
        ARCHIVE.write_bytes(gzip.compress(file.read_bytes(), mtime=0))


if __name__ == "__main__":
    main()
