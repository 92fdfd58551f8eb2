"""The corpora in tests/data/fuzz: inputs that fuzzing found to reach further, one zip a target."""

import zipfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "fuzz"


def load_corpus(target: str) -> list[bytes]:
    """Return the inputs kept for a target."""
    path = FOLDER / f"{target}.zip"
    if not path.exists():
        return []
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in sorted(archive.namelist())]


def save_corpus(target: str, inputs: Iterable[bytes]) -> None:
    """Keep inputs for a target; the same ones make the same file."""
    FOLDER.mkdir(exist_ok=True)
    found = {sha256(data).hexdigest()[:16]: data for data in inputs}
    with zipfile.ZipFile(FOLDER / f"{target}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(found):
            archive.writestr(zipfile.ZipInfo(name), found[name], zipfile.ZIP_DEFLATED)
