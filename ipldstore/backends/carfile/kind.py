"""CAR files, named by ``car:PATH``, or by a path that ends in ``.car``."""

from __future__ import annotations

from ipldstore.backends.kinds import Kind
from ipldstore.backends.paths import read_path

KINDS = {
    "car": Kind(read_path, "ipldstore.backends.carfile.store:CARStore", "CAR file", is_local=True)
}
