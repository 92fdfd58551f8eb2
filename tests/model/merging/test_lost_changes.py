"""Changes that a merge by keys alone would lose or mix, made through zarr in two sessions."""

import numpy as np
import pytest

zarr = pytest.importorskip("zarr", minversion="3")

from ipldstore import CommitConflictError, MappingCAStore, Repository  # noqa: E402


@pytest.fixture(params=[2, 3])
def version(request):
    return request.param


@pytest.fixture
def repo():
    return Repository.create(MappingCAStore())


def make(group, data, chunk, **options):
    data = np.asarray(data, dtype="f8")
    options = {"fill_value": 0, "overwrite": True} | options
    array = group.create_array("x", shape=data.shape, chunks=(chunk,), dtype="f8", **options)
    array[:] = data
    return array


def begin(repo, version, data, chunk, attributes=None):
    """Commit an array, and return two sessions that begin from it, as groups."""
    with repo.writable(message="base") as session:
        array = make(zarr.open_group(session, mode="w", zarr_format=version), data, chunk)
        array.attrs.update(attributes or {})
    sessions = repo.writable(message="a"), repo.writable(message="b")
    return *sessions, *(zarr.open_group(session, mode="r+") for session in sessions)


def conflict(a, b, why):
    a.commit()
    with pytest.raises(CommitConflictError, match=why):
        b.commit()


def values(repo):
    return list(zarr.open_array(repo.readonly(), path="x", mode="r")[:])


def test_an_array_that_is_held_across_a_merge(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1], 2)
    held = ours["x"]
    held.attrs["n"] = 1
    theirs["x"].attrs["note"] = "b"
    b.commit()
    a.commit()
    held.attrs["n"] = 2
    a.commit()
    attributes = dict(zarr.open_array(repo.readonly(), path="x", mode="r").attrs)
    assert attributes == {"n": 2, "note": "b"}


def test_a_held_array_that_is_appended_to(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1], 2)
    held = ours["x"]
    theirs["x"].append(np.full(2, 2.0))
    b.commit()
    held.attrs["n"] = 1
    a.commit()
    held.append(np.full(2, 3.0))
    with pytest.raises(CommitConflictError, match="both resized it"):
        a.commit()
    assert values(repo) == [1, 1, 2, 2]


@pytest.mark.parametrize("data", [[7, 7], [0, 0]])
def test_two_appends_of_one_length(repo, version, data):
    a, b, ours, theirs = begin(repo, version, [1, 1], 2)
    ours["x"].append(np.array(data, dtype="f8"))
    theirs["x"].append(np.array([7.0, 7.0]) - data)
    conflict(a, b, "both resized it")


def test_two_appends_of_zeros_here_and_there(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1], 2)
    ours["x"].append(np.array([5.0, 5, 0, 0]))
    theirs["x"].append(np.array([0.0, 0, 6, 6]))
    conflict(a, b, "both resized it")


def test_the_same_resize_without_chunks(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1, 1, 1], 2)
    ours["x"].resize((8,))
    theirs["x"].resize((8,))
    theirs["x"].attrs["note"] = "b"
    a.commit()
    b.commit()
    assert values(repo) == [1, 1, 1, 1, 0, 0, 0, 0]


def test_arrays_made_by_both(repo, version):
    a, b = repo.writable(message="a"), repo.writable(message="b")
    make(zarr.open_group(a, mode="w", zarr_format=version), [1, 1, 0, 0], 2)
    make(zarr.open_group(b, mode="w", zarr_format=version), [0, 0, 2, 2], 2)
    conflict(a, b, "added by both")


@pytest.mark.parametrize("fill_value", [0, 9])
def test_zeros_beside_an_array_made_anew(repo, version, fill_value):
    a, b, ours, theirs = begin(repo, version, [1, 1, 2, 2], 2)
    ours["x"][2:] = 0
    make(theirs, [1, 1, 2, 2], 4, fill_value=fill_value)
    conflict(a, b, "changed by (ours|theirs), its chunks changed by")


def test_zeros_beside_a_deletion(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1, 2, 2], 2)
    ours["x"][:] = 0
    del theirs["x"]
    conflict(a, b, "deleted by ours, changed by theirs")


def test_zeros_where_it_shrinks(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1, 2, 2], 2)
    ours["x"][2:] = 0
    theirs["x"].resize((2,))
    conflict(a, b, "changed by ours, its chunks changed by theirs")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"units": "days since 2000-01-01"}, {"units": "hours since 2000-01-01"}),
        ({}, {"units": "hours since 2000-01-01"}),
        ({"units": "m"}, {"units": "km"}),
        ({"units": "m"}, {"units": None}),
        ({"scale_factor": 1.0}, {"scale_factor": 0.1}),
        ({}, {"add_offset": 5.0}),
        ({}, {"_FillValue": 1.0}),
        ({"calendar": "standard"}, {"calendar": "noleap"}),
    ],
)
@pytest.mark.parametrize("change", ["chunk", "append"])
def test_attributes_that_say_what_values_are(repo, version, before, after, change):
    a, b, ours, theirs = begin(repo, version, [1, 1, 2, 2], 2, before)
    for name, value in after.items():
        if value is None:
            del ours["x"].attrs[name]
        else:
            ours["x"].attrs[name] = value
    if change == "chunk":
        theirs["x"][:2] = 5
    else:
        theirs["x"].append(np.zeros(2))
    conflict(a, b, f"attribute '{next(iter(after))}' changed by theirs, its chunks changed by ours")


def test_units_that_were_never_said(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1, 2, 2], 2)
    ours["x"].attrs["units"] = "mm"
    theirs["x"][:2] = 5
    a.commit()
    b.commit()
    assert values(repo) == [5, 5, 2, 2]
    assert zarr.open_array(repo.readonly(), path="x", mode="r").attrs["units"] == "mm"


def test_halves_of_one_scale(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1], 2)
    ours["x"].attrs["scale_factor"] = 0.1
    theirs["x"].attrs["add_offset"] = 5.0
    conflict(a, b, "both changed how its values are decoded")


def test_both_set_the_same_scale(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1, 2, 2], 2)
    ours["x"].attrs["scale_factor"] = theirs["x"].attrs["scale_factor"] = 0.1
    theirs["x"][:2] = 5
    a.commit()
    b.commit()
    assert values(repo) == [5, 5, 2, 2]


NAN = {"missing_value": float("nan")}


def test_units_of_an_array_with_an_attribute_that_is_no_json(repo, version):
    before = {"units": "days since 2000-01-01", **NAN}
    a, b, ours, theirs = begin(repo, version, [1, 2, 3, 4], 2, before)
    ours["x"].attrs["units"] = "hours since 2000-01-01"
    theirs["x"][:2] = 9
    conflict(a, b, "changed by theirs, its chunks changed by ours")


def test_a_missing_value_that_is_no_json_beside_chunks(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 2, 3, 4], 2)
    ours["x"].attrs.update(NAN)
    theirs["x"][:2] = 9
    conflict(a, b, "changed by theirs, its chunks changed by ours")


def test_settling_takes_one_array_whole_also_with_an_attribute_that_is_no_json(repo, version):
    a, b, ours, theirs = begin(repo, version, [1, 1], 2, NAN)
    ours["x"].append(np.array([5.0, 5, 0, 0]))
    theirs["x"].append(np.array([0.0, 0, 6, 6]))
    a.commit()
    b.commit(resolve="ours")
    assert values(repo) == [1, 1, 0, 0, 6, 6]


def test_consolidated_metadata_that_is_no_json_is_left_out(repo):
    a, b, ours, theirs = begin(repo, 2, [1, 1], 2, NAN)
    for group, session in ((ours, a), (theirs, b)):
        group.create_array(f"y{len(list(session))}", shape=(1,), chunks=(1,), dtype="f8")
        group.attrs[session.branch + str(id(session))] = 1
        zarr.consolidate_metadata(session, zarr_format=2)
    a.commit()
    b.commit()
    assert ".zmetadata" not in repo.readonly()
    assert len(dict(zarr.open_group(repo.readonly(), mode="r").attrs)) == 2


def test_flags_and_dimensions_beside_chunks(repo, version):
    before = {"flag_values": [0, 1]}
    a, b, ours, theirs = begin(repo, version, [0, 1], 2, before)
    ours["x"].attrs["flag_values"] = [1, 0]
    theirs["x"][:1] = 1
    conflict(a, b, "attribute 'flag_values' changed by theirs")


SUFFIX = (
    b'{"zarr_format":3,"node_type":"array","shape":[%d],"data_type":"uint8","chunk_grid":{"name":'
    b'"regular","configuration":{"chunk_shape":[2]}},"chunk_key_encoding":{"name":"suffix",'
    b'"configuration":{"suffix":".bin"}},"fill_value":0,"codecs":[{"name":"bytes"}],'
    b'"attributes":{"units":"%b"}}'
)


@pytest.mark.parametrize(
    ("size", "units", "why"),
    [
        (4, b"hours since 2000-01-01", "attribute 'units' changed by theirs"),
        (2, b"m", "changed by theirs, its chunks changed by ours"),
    ],
)
def test_chunks_under_keys_of_an_unknown_encoding(repo, size, units, why):
    with repo.writable(message="base") as session:
        session["x/zarr.json"] = SUFFIX % (4, b"m")
        session["x/c/0.bin"], session["x/c/1.bin"] = b"ab", b"cd"
    a, b = repo.writable(), repo.writable()
    a["x/zarr.json"] = SUFFIX % (size, units)
    b["x/c/0.bin"] = b"ef"
    conflict(a, b, why)
