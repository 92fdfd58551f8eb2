"""Eight processes that write the same blocks into one store, and two that freeze at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from power_script import FIRST, KINDS, SECOND, open_blocks
from power_writer import PROCESSES, values_of

from ipldstore import BackendError, IPLDStore

pytestmark = pytest.mark.once

SCRIPT = Path(__file__).with_name("power_writer.py")


@pytest.mark.parametrize("kind", KINDS)
def test_eight_processes_put_the_same_blocks_and_freeze(tmp_path, kind):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", SCRIPT, kind, tmp_path],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    roots = done.stdout.split()
    with open_blocks(kind, tmp_path) as blocks:
        found = [dict(IPLDStore(blocks, root=root)) for root in roots]
        assert sorted(values["own"] for values in found) == [b"%d" % i for i in range(PROCESSES)]
        assert all(values == values_of(int(values["own"])) for values in found)
        if kind == "car":
            assert str(blocks.noted_root) in roots
            assert dict(IPLDStore.from_car(blocks.path)) in found
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@pytest.mark.parametrize("kind", ["directory", "sqlite"])
def test_two_freeze_at_once(tmp_path, kind):
    with open_blocks(kind, tmp_path) as one, open_blocks(kind, tmp_path) as other:
        first, second = IPLDStore(one), IPLDStore(other)
        first.update(FIRST)
        second.update(SECOND)
        roots = first.freeze(), second.freeze()
        for blocks in (one, other):
            assert dict(IPLDStore(blocks, root=roots[0])) == FIRST
            assert dict(IPLDStore(blocks, root=roots[1])) == SECOND


def test_second_freeze_into_an_archive_is_refused_until_the_first_is_done(tmp_path):
    with open_blocks("car", tmp_path) as one, open_blocks("car", tmp_path) as other:
        first, second = IPLDStore(one), IPLDStore(other)
        first.update(FIRST)
        root = first.freeze()
        with pytest.raises(BackendError, match="another store is writing") as caught:
            second.update(SECOND)
        assert caught.value.retryable
        assert dict(IPLDStore.from_car(one.path)) == FIRST
        one.close()
        second.update(SECOND)
        second.freeze()
        assert dict(IPLDStore(other, root=root)) == FIRST
        assert dict(IPLDStore.from_car(one.path)) == SECOND
