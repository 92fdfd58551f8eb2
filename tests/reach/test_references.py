"""References into a CAR file, read by plain zarr and fsspec, and archives that give none."""

import base64
import io
import json
import struct
import subprocess
import sys
import threading
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from ipldstore import (
    BlockNotFoundError,
    CarFormatError,
    InvalidNodeError,
    IPLDStore,
    LimitExceededError,
)
from ipldstore.cid import codec_of, to_text
from ipldstore.errors import BlockStoreURLError
from ipldstore.formats.car import CarReader, write_car
from ipldstore.references import car_reference_fs, references

RAW = 0x55


def write_json(folder, refs):
    path = folder / "refs.json"
    path.write_text(json.dumps(refs))
    return str(path)


def read_elsewhere(url, array):
    script = Path(__file__).with_name("read_references.py")
    command = [sys.executable, "-W", "ignore", str(script), url, array]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_plain_zarr_reads_the_archive(real, dataset, tmp_path):
    refs = references(real.car)
    shape, dtype, digest, keys = read_elsewhere(
        write_json(tmp_path, refs), "models/A1B/air_temperature"
    )
    values = dataset.air_temperature.values
    assert (tuple(shape), dtype) == (values.shape, str(values.dtype))
    assert digest == sha256(values.tobytes()).hexdigest()
    assert keys == sorted(refs["refs"])


def test_every_reference_is_where_the_value_is(mixed, values):
    found = references(mixed.car)
    assert found.keys() == {"version", "refs"}
    assert found["version"] == 1
    archive = Path(mixed.car).read_bytes()
    read = {}
    for key, ref in found["refs"].items():
        if isinstance(ref, str):
            is_binary = ref.startswith("base64:")
            read[key] = base64.b64decode(ref[7:]) if is_binary else ref.encode()
        else:
            assert ref[0] == mixed.car
            read[key] = archive[ref[1] : ref[1] + ref[2]]
    assert read == values
    inlined = {key for key, ref in found["refs"].items() if isinstance(ref, str)}
    assert inlined == {".zgroup", ".zattrs", "a/.zarray", "many/.zattrs", "a/1", "large/0"}


def test_the_file_system(real, mixed, values, dataset):
    files = car_reference_fs(mixed.car)
    assert files.cat(files.find("")) == values
    assert files.cat_file("large/0", start=10, end=20) == values["large/0"][10:20]
    mapper = car_reference_fs(real.car).get_mapper("models/A1B")
    with xr.open_zarr(mapper, consolidated=False, decode_timedelta=False) as opened:
        xr.testing.assert_identical(opened.load(), dataset)
    array = zarr.open(mapper, mode="r")["air_temperature"]
    np.testing.assert_array_equal(array[7], dataset.air_temperature[7])


async def test_the_file_system_on_the_callers_own_loop(mixed):
    files = car_reference_fs(mixed.car, asynchronous=True)
    assert await files._cat_file("a/0") == b"first"


@pytest.fixture
def site(tmp_path):
    """A web server for a folder, and its URL."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def send_head(self):
            """Serve ranges, as the standard library does not."""
            wanted = self.headers.get("Range")
            if wanted is None:
                return super().send_head()
            data = Path(self.translate_path(self.path)).read_bytes()
            first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
            last = min(last, len(data) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.send_header("Content-Length", str(last + 1 - first))
            self.end_headers()
            return io.BytesIO(data[first : last + 1])

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_archive_at_a_url(site, real, dataset, tmp_path, is_zarr2):
    Path(tmp_path / "real.car").write_bytes(Path(real.car).read_bytes())
    url = f"{site}/real.car"
    refs = references(url)
    assert refs == references(real.car, url=url)
    array = "models/A1B/air_temperature"
    digest = read_elsewhere(write_json(tmp_path, refs), array)[2]
    assert digest == sha256(dataset.air_temperature.values.tobytes()).hexdigest()
    mapper = car_reference_fs(url, asynchronous=not is_zarr2).get_mapper(array)
    np.testing.assert_array_equal(zarr.open(mapper, mode="r")[3], dataset.air_temperature[3])


def read_blocks(path):
    with open(path, "rb") as file:
        reader = CarReader(file)
        return reader.roots[0], list(reader)


def write_blocks(path, root, blocks):
    with open(path, "wb") as file:
        write_car(file, root, blocks)
    return path


def test_version_2(mixed, tmp_path):
    payload = Path(mixed.car).read_bytes()
    pragma = bytes.fromhex("0aa16776657273696f6e02")
    head = struct.pack("<16xQQQ", 100, len(payload), 0)
    path = tmp_path / "v2.car"
    path.write_bytes(pragma + head + bytes(100 - len(pragma) - len(head)) + payload + b"index")
    plain, moved = references(mixed.car)["refs"], references(path)["refs"]
    for key, ref in plain.items():
        expected = ref if isinstance(ref, str) else [str(path), ref[1] + 100, ref[2]]
        assert moved[key] == expected


def test_roots(mixed, values, tmp_path):
    root, blocks = read_blocks(mixed.car)
    other = IPLDStore()
    other["x"] = b"y"
    other.freeze()
    both = tmp_path / "both.car"
    other.to_car(tmp_path / "other.car")
    other_root, more = read_blocks(tmp_path / "other.car")
    write_blocks(both, root, [*blocks, *more])
    assert set(references(both)["refs"]) == set(values)
    assert set(references(both, to_text(other_root))["refs"]) == {"x"}
    with pytest.raises(BlockNotFoundError):
        references(mixed.car, to_text(other_root))
    with pytest.raises(InvalidNodeError):
        references(mixed.car, next(link for link, _ in blocks if codec_of(link) == RAW))
    empty = bytes.fromhex("11a265726f6f7473806776657273696f6e01")
    (tmp_path / "none.car").write_bytes(empty)
    with pytest.raises(CarFormatError, match="archive with 0 roots, expected one"):
        references(tmp_path / "none.car")


def test_every_block_is_verified(real, tmp_path):
    data = bytearray(Path(real.car).read_bytes())
    _, start, size = next(ref for ref in references(real.car)["refs"].values() if len(ref) == 3)
    data[start + size // 2] ^= 1
    path = tmp_path / "damaged.car"
    path.write_bytes(data)
    with pytest.raises(CarFormatError, match="hash to another CID") as raised:
        references(path)
    assert raised.value.offset is not None
    path.write_bytes(data[:start])
    with pytest.raises(CarFormatError):
        references(path)


def test_a_lost_block_is_never_a_missing_key(mixed, tmp_path):
    root, blocks = read_blocks(mixed.car)
    for index in (0, len(blocks) // 2, len(blocks) - 1):
        path = write_blocks(tmp_path / "x.car", root, blocks[:index] + blocks[index + 1 :])
        lost = to_text(blocks[index][0])
        with pytest.raises(BlockNotFoundError, match=f"no block {lost} in the archive"):
            references(path)


def test_limits_and_refusals(mixed, tmp_path):
    size = 2_500_000
    assert references(mixed.car, inline_bytes=size)
    with pytest.raises(LimitExceededError, match="2500000 bytes up to key 'large/0', expected"):
        references(mixed.car, inline_bytes=size - 1)
    with pytest.raises(BlockStoreURLError, match=r"'https://example\.org/x.car' came with a pass"):
        references(mixed.car, url="https://user:secret@example.org/x.car")
    with pytest.raises(ValueError, match="take for a template"):
        references(mixed.car, url="https://example.org/{{x}}.car")
    with pytest.raises(TypeError, match="token: options are for archives at a URL"):
        references(mixed.car, token="x")
    with pytest.raises(FileNotFoundError):
        references(tmp_path / "none.car")
