"""Real datasets in one file, reopened by a second process and read by other programs."""

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import xarray as xr
from kubo import Repository
from outside import skip_without

from ipldstore import IPLDStore
from ipldstore.backends.carfile.store import CARStore
from ipldstore.backends.sqlite.store import SQLiteCAStore

iris_sample_data = pytest.importorskip("iris_sample_data", reason="no real datasets")

# zarr-python says so of bytes and strings of fixed length in format 3
pytestmark = pytest.mark.filterwarnings("ignore:The data type:FutureWarning")

HERE = Path(__file__).parent
INTEROP = HERE.parents[1] / "interop"
NAMES = ["A1B_north_america.nc", "rotated_pole.nc"]
KINDS = {"car": CARStore, "sqlite": SQLiteCAStore}


def write(store, name, **options):
    source = Path(iris_sample_data.path) / name
    with xr.open_dataset(source, engine="netcdf4", decode_timedelta=False) as dataset:
        dataset.to_zarr(store, **options)
    return str(store.freeze()), str(source)


def test_second_process_opens_the_dataset(tmp_path):
    cases = []
    for kind, make in KINDS.items():
        for name in NAMES:
            path = tmp_path / f"{name}.{kind}"
            with make(path) as backend:
                cases.append([kind, str(path), *write(IPLDStore(backend), name)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "onefile_fresh_process.py")],
        input=json.dumps(cases),
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["identical"] * len(cases)


@pytest.fixture
def archive(tmp_path):
    """An archive to which a second dataset was added, and its root."""
    path = tmp_path / "data.car"
    with CARStore(path) as backend:
        write(IPLDStore(backend), NAMES[0], group="first")
    with CARStore(path) as backend:
        store = IPLDStore(backend)
        write(store, NAMES[1], group="second")
        keys = {key: sha256(store[key]).hexdigest() for key in store}
        return path, str(store.root_cid), keys


def test_kubo_imports_the_archive(archive, tmp_path):
    path, root, keys = archive
    kubo = Repository(tmp_path / "kubo")
    said = kubo.run("--offline", "dag", "import", "--stats", "--enc=json", path).decode()
    told = [json.loads(line) for line in said.splitlines()]
    assert [line["Root"]["Cid"]["/"] for line in told if line.get("Root")] == [root]
    refs = kubo.run("--offline", "refs", "--recursive", "--unique", root).decode().split()
    kubo.run("--offline", "dag", "export", "--progress=false", root)
    assert len(refs) > 10
    again = IPLDStore.from_car(kubo.run("--offline", "dag", "export", "--progress=false", root))
    assert {key: sha256(again[key]).hexdigest() for key in again} == keys


def test_js_car_reads_the_archive(archive):
    if shutil.which("node") is None:
        skip_without("no node on PATH")
    if not (INTEROP / "node_modules" / "@ipld" / "car").is_dir():
        skip_without("@ipld/car is not installed: run `npm ci` in tests/interop")
    path, root, _ = archive
    done = subprocess.run(
        ["node", "read_car.mjs", str(path)],
        cwd=INTEROP,
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    read = json.loads(done.stdout)
    assert (read["version"], read["roots"]) == (1, [root])
    cids = [block["cid"] for block in read["blocks"]]
    assert root in cids
    assert len(set(cids)) == len(cids)
    with CARStore(path) as backend:
        for block in read["blocks"]:
            data = backend.get_block(block["cid"])
            assert (sha256(data).hexdigest(), len(data)) == (block["sha256"], block["size"])
