"""Repair: blocks that are missing or corrupt, in every kind of block store, fetched from others."""

import shutil
import sqlite3
from hashlib import sha256

import pytest
from hierarchy_blocks import LARGE, fill

from ipldstore import (
    BackendError,
    CachingCAStore,
    CARStore,
    CorruptBlockError,
    DirectoryCAStore,
    IPLDStore,
    MappingCAStore,
    SQLiteCAStore,
    UnionCAStore,
    info,
    verify,
)
from ipldstore.cid import as_link
from ipldstore.testing import Fail, FaultyStore, FlipBit, Lose, at

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def sound():
    """A store that has everything, and the root."""
    store = IPLDStore()
    return fill(store), store.backend


@pytest.fixture(scope="module")
def chosen(sound):
    """A block of each kind: what it is for, and its CID."""
    root, backend = sound
    blocks = backend.mapping

    def find(what):
        return next(cid for cid, data in blocks.items() if what(cid, data))

    return {
        "root": str(root),
        "page": find(lambda cid, data: cid.startswith("bafyrei") and b"\x649.33\xd8" in data),
        "directory": find(lambda cid, data: b"\x63299\xd8" in data),
        "document": find(lambda cid, data: b"dtext" in data[:8]),
        "file": find(lambda cid, data: cid.startswith("bafybei")),
        "leaf": find(lambda cid, data: data == LARGE[1 << 20 : 2 << 20]),
        "value": find(lambda cid, data: data == b"single"),
    }


def damage_file(path, data):
    """Change bytes in a file, where the block's bytes stand in it."""
    content = path.read_bytes()
    assert content.count(data) == 1
    last = content.index(data) + len(data) - 1
    path.write_bytes(content[:last] + bytes([content[last] ^ 4]) + content[last + 1 :])


class Kind:
    """A kind of block store: how one is made, how a block in it is damaged, and how it is gone."""

    def make(self, folder):
        raise NotImplementedError

    def damage(self, store, cid, data):
        raise NotImplementedError

    def remove(self, store, cid):
        raise NotImplementedError


class InMapping(Kind):
    def make(self, folder):
        return MappingCAStore()

    def damage(self, store, cid, data):
        store.mapping[cid] = data[:-1] + b"!"

    def remove(self, store, cid):
        del store.mapping[cid]


class InDirectory(Kind):
    def make(self, folder):
        return DirectoryCAStore(folder / "blocks")

    def damage(self, store, cid, data):
        damage_file(self.file_of(store, cid), data)

    def remove(self, store, cid):
        self.file_of(store, cid).unlink()

    def file_of(self, store, cid):
        name = store._file_name(as_link(cid))
        return store.path / name


class InSQLite(Kind):
    def make(self, folder):
        return SQLiteCAStore(folder / "blocks.sqlite")

    def damage(self, store, cid, data):
        self.run(store, cid, "UPDATE blocks SET data = x'00' WHERE multihash = ?")

    def remove(self, store, cid):
        self.run(store, cid, "DELETE FROM blocks WHERE multihash = ?")

    def run(self, store, cid, command):
        store.close()
        connection = sqlite3.connect(store.path)
        changed = connection.execute(command, (bytes(as_link(cid)[2:]),)).rowcount
        connection.commit()
        connection.close()
        assert changed == 1


class InCAR(Kind):
    def make(self, folder):
        return CARStore(folder / "blocks.car")

    def damage(self, store, cid, data):
        store.close()
        damage_file(store.path, as_link(cid) + data)

    def remove(self, store, cid):
        """Write the archive anew without the block."""
        blocks = [(block.cid, store.get_block(block.cid)) for block in store.iter_blocks()]
        store.close()
        store.path.unlink()
        store.put_many(block for block in blocks if str(block[0]) != cid)


class InObjects(Kind):
    def make(self, folder):
        obstore = pytest.importorskip("obstore")
        from ipldstore import ObjectCAStore

        (folder / "objects").mkdir()
        self.folder = folder / "objects"
        return ObjectCAStore(obstore.store.LocalStore(self.folder), prefix="deep")

    def damage(self, store, cid, data):
        damage_file(self.folder / store._path(as_link(cid)), data)

    def remove(self, store, cid):
        (self.folder / store._path(as_link(cid))).unlink()


class InFirstOfUnion(InDirectory):
    def make(self, folder):
        return UnionCAStore(super().make(folder), MappingCAStore())

    def damage(self, store, cid, data):
        super().damage(store.stores[0], cid, data)

    def remove(self, store, cid):
        super().remove(store.stores[0], cid)


class InSecondOfUnion(InMapping):
    def make(self, folder):
        self.second = MappingCAStore()
        self.first = DirectoryCAStore(folder / "blocks")
        return UnionCAStore(self.first, self.second)

    def damage(self, store, cid, data):
        self.second.mapping[cid] = data + b"!"
        InDirectory().remove(self.first, cid)

    def remove(self, store, cid):
        InDirectory().remove(self.first, cid)


class InSourceOfCache(InDirectory):
    """The cache is empty, as that of another machine."""

    def make(self, folder):
        return CachingCAStore(super().make(folder), MappingCAStore())

    def damage(self, store, cid, data):
        store.cache.mapping.clear()
        super().damage(store.source, cid, data)

    def remove(self, store, cid):
        store.cache.mapping.clear()
        super().remove(store.source, cid)


KINDS = [
    InMapping,
    InDirectory,
    InSQLite,
    InCAR,
    InObjects,
    InFirstOfUnion,
    InSecondOfUnion,
    InSourceOfCache,
]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param()


@pytest.fixture
def target(kind, sound, tmp_path):
    """A store that has everything, before it is damaged."""
    with kind.make(tmp_path) as store:
        store.put_many((as_link(cid), data) for cid, data in sound[1].mapping.items())
        store.flush()
        yield store


@pytest.mark.parametrize("fault", ["damage", "remove"])
def test_what_is_wrong_is_fetched_and_put(kind, target, sound, chosen, fault):
    root, source = sound
    for cid in chosen.values():
        if fault == "damage":
            kind.damage(target, cid, source.mapping[cid])
        else:
            kind.remove(target, cid)
    broken = verify(root, target)
    assert {problem.kind for problem in broken.problems} == {
        "corrupt" if fault == "damage" else "missing"
    }
    # nothing below the root is known then
    assert [problem.cid for problem in broken.problems] == [str(root)]
    report = verify(root, target, repair_from=source)
    assert report.ok, report.problems
    assert set(report.repaired) == set(chosen.values())
    assert report.blocks == len(source.mapping)
    target.close()
    assert verify(root, target).ok
    for cid in chosen.values():
        assert sha256(target.get_block(cid)).digest() == as_link(cid)[4:]


def test_reads_succeed_after_a_repair(kind, target, sound, chosen):
    root, source = sound
    for cid in chosen.values():
        kind.damage(target, cid, source.mapping[cid])
    verify(root, target, repair_from=source)
    store = IPLDStore(target, root=root, read_only=True)
    assert store["large/0"] == LARGE
    assert store["single/0"] == b"single"
    assert len(store) == info(store).arrays["paged"].chunks + 307


def test_an_empty_store_is_filled(sound, tmp_path):
    root, source = sound
    with DirectoryCAStore(tmp_path / "blocks") as target:
        report = verify(root, target, repair_from=source)
        assert report.ok
        assert len(report.repaired) == report.blocks == len(source.mapping)
        assert verify(root, target, extra=True).extra == ()


def test_a_damaged_cache_before_a_sound_source_mends_itself(sound, chosen):
    root, source = sound
    cache = MappingCAStore({**source.mapping, chosen["page"]: b"damaged"})
    assert verify(root, CachingCAStore(source, cache)).ok
    assert cache.mapping[chosen["page"]] == source.mapping[chosen["page"]]


@pytest.mark.parametrize("content", [b"", b"\0" * 100, None], ids=["empty", "zeros", "cut"])
def test_files_as_a_crash_leaves_them(sound, chosen, tmp_path, content):
    root, source = sound
    target = DirectoryCAStore(tmp_path / "blocks")
    target.put_many((as_link(cid), data) for cid, data in source.mapping.items())
    for cid in chosen.values():
        file = InDirectory().file_of(target, cid)
        file.write_bytes(source.mapping[cid][:-1] if content is None else content)
    report = verify(root, target, repair_from=source)
    assert report.ok
    assert set(report.repaired) == set(chosen.values())


def test_a_folder_in_the_place_of_a_block_is_no_missing_block(sound, chosen, tmp_path):
    root, source = sound
    target = DirectoryCAStore(tmp_path / "blocks")
    target.put_many((as_link(cid), data) for cid, data in source.mapping.items())
    file = InDirectory().file_of(target, chosen["value"])
    file.unlink()
    file.mkdir()
    (problem,) = verify(root, target, repair_from=source).problems
    assert (problem.kind, problem.keys) == ("unreachable", ("single/0",))
    shutil.rmtree(file)
    assert verify(root, target, repair_from=source).ok


class TestSources:
    def broken(self, sound, chosen, *names):
        root, source = sound
        lost = {chosen[name] for name in names}
        kept = {cid: data for cid, data in source.mapping.items() if cid not in lost}
        return root, MappingCAStore(kept)

    def test_several_are_asked_in_turn(self, sound, chosen):
        root, target = self.broken(sound, chosen, "value", "leaf", "page")
        one = MappingCAStore({cid: sound[1].mapping[cid] for cid in [chosen["value"]]})
        two = MappingCAStore({cid: sound[1].mapping[cid] for cid in [chosen["leaf"]]})
        down = FaultyStore(sound[1], lambda call: Fail(BackendError("down")))
        report = verify(root, target, repair_from=[down, one, two])
        assert set(report.repaired) == {chosen["value"], chosen["leaf"]}
        (problem,) = report.problems
        assert (problem.kind, problem.cid) == ("missing", chosen["page"])
        assert "not repaired: FaultyStore(MappingCAStore(dict)): BackendError: down" in (
            problem.message
        )
        assert problem.message.count("BlockNotFoundError") == 2
        assert verify(root, target, repair_from=(down, one, sound[1])).ok

    def test_one_that_lies_is_not_believed(self, sound, chosen):
        root, target = self.broken(sound, chosen, "value")
        liar = FaultyStore(sound[1], lambda call: FlipBit() if call.operation == "get" else None)
        (problem,) = verify(root, target, repair_from=liar).problems
        assert problem.kind == "missing"
        assert "CorruptBlockError" in problem.message
        assert chosen["value"] not in target.mapping
        assert verify(root, target, repair_from=[liar, sound[1]]).ok

    def test_what_is_malformed_or_out_of_reach_is_not_fetched(self, sound, chosen):
        root, source = sound
        value = as_link(chosen["value"])
        fault = Fail(BackendError("no route"))
        target = FaultyStore(source, lambda call: fault if call.cid == value else None)
        (problem,) = verify(root, target, repair_from=source).problems
        assert (problem.kind, problem.message) == ("unreachable", f"block {value}: no route")
        assert [call for call in target.calls if call.operation == "put"] == []


class TestTargets:
    @pytest.mark.parametrize(
        ("schedule", "kind"),
        [
            (lambda: at(1, Fail(BackendError("disk full")), on=["put"]), "corrupt"),
            (lambda: at(1, Fail(OSError(28, "No space left")), on=["put"]), "corrupt"),
            (lambda: at(1, Fail(BackendError("disk full")), on=["flush"]), "corrupt"),
            (lambda: at(1, Lose()), "corrupt"),
            (lambda: at(1, FlipBit(), on=["put"]), "corrupt"),
        ],
    )
    def test_what_is_not_kept_stays_in_the_report(self, sound, chosen, schedule, kind):
        root, source = sound
        value = chosen["value"]
        target = FaultyStore(MappingCAStore({**source.mapping, value: b"!"}), schedule())
        report = verify(root, target, repair_from=source)
        (problem,) = report.problems
        assert (problem.kind, problem.cid, report.repaired) == (kind, value, ())
        assert "does not keep it" in problem.message
        again = verify(root, target, repair_from=source)
        assert again.ok
        assert set(again.repaired) <= {value}

    def test_a_store_that_only_reads(self, sound, chosen, tmp_path):
        root, source = sound
        with CARStore(tmp_path / "blocks.car") as archive:
            archive.put_many((as_link(cid), data) for cid, data in source.mapping.items())
            archive.note_root(as_link(root))
        damage_file(tmp_path / "blocks.car", LARGE[1 << 20 : 2 << 20])
        with CARStore(tmp_path / "blocks.car", read_only=True) as archive:
            (problem,) = verify(root, archive, repair_from=source).problems
            assert (problem.kind, problem.keys) == ("corrupt", ("large/0",))
            assert "was opened in read-only mode" in problem.message
            with pytest.raises(CorruptBlockError):
                archive.get_block(chosen["leaf"])


def test_a_repair_with_a_journal(sound, chosen, tmp_path):
    root, source = sound
    target = MappingCAStore({**source.mapping, chosen["value"]: b"!"})
    path = tmp_path / "journal"
    assert not verify(root, target, journal=path).ok
    report = verify(root, target, journal=path, repair_from=source)
    assert (report.ok, report.repaired) == (True, (chosen["value"],))
    assert report.skipped > 500
    assert not path.exists()
