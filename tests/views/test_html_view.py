"""The HTML view, read with parsers: its parts, its escapes, its bounds, and broken hierarchies."""

import json
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
from shown_hierarchies import ARRAY, Counting, small, write_array

from ipldstore import BackendError, IPLDStore, MappingCAStore
from ipldstore.store.hierarchy import Hierarchy
from ipldstore.views import html
from ipldstore.views.html import MAX_ROWS, to_html

TAGS = {"div", "style", "dl", "dt", "dd", "code", "ul", "li", "details", "summary", "span"}
HOSTILE = '</summary><script>alert(1)</script><img src=x onerror="a()">&amp;\'\x1b[1m\u202e'


class Reader(HTMLParser):
    """Collects what a browser sees, and whether every element is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.tags, self.classes, self.names = [], [], [], set()
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.stack.append(tag)
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.classes += [value for name, value in attrs if name == "class"]

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def read(text):
    """Parse a view as HTML and as XML, and return the latter's root element."""
    found = Reader(text)
    assert set(found.tags) <= TAGS
    assert found.names <= {"class", "open", "style"}
    return ElementTree.fromstring(text)


def texts(element, kind):
    return ["".join(found.itertext()) for found in element.iterfind(f".//*[@class='{kind}']")]


def terms(element):
    """Return names and what is said of them in the first list."""
    listed = element.find("dl")
    names, said = listed.findall("dt"), listed.findall("dd")
    return {"".join(a.itertext()): "".join(b.itertext()) for a, b in zip(names, said, strict=True)}


def view(store):
    return read(to_html(store))


def test_a_small_hierarchy():
    store = small()
    root = store.freeze()
    text = store._repr_html_()
    found = read(text)
    assert len(text) < 9_000
    said = terms(found)
    assert (said["Root"], said["Blocks"]) == (str(root), "MappingCAStore(dict), writable")
    assert said["Content"].startswith("1 group, 4 arrays, ")
    assert texts(found, "cid") == [str(root)]
    assert texts(found, "name") == ["model", "none", "one", "u", "t"]
    assert texts(found, "count") == ["0/0", "1/1", "6/6", "2/2"]
    assert texts(found, "type")[1:] == ["float64", "uint8", "int16", "float64"]
    details = found.findall(".//details")
    assert [("open" in item.attrib, item.get("class")) for item in details] == [
        (True, "group"), *[(False, "array")] * 4,
    ]  # fmt: skip
    assert "user-select: all" in found.find("style").text


def test_not_frozen():
    store = small()
    assert terms(view(store))["Root"].startswith("not frozen")
    assert store.root_cid is None
    assert terms(view(small().with_read_only(True)))["Blocks"].endswith("read-only")


def test_an_empty_hierarchy():
    assert terms(view(IPLDStore()))["Content"] == "no groups or arrays"


def test_an_array_as_root():
    store = Hierarchy()
    store[".zarray"] = ARRAY % (b"4", b"2")
    store["1"] = b"x"
    found = view(store)
    assert texts(found, "count") == ["1/2"]
    assert terms(found)["Content"] == "1 array, 1 byte in chunks"


def test_bars():
    store = Hierarchy()
    for name, written in (("none", 0), ("one", 1), ("half", 500), ("all", 1000)):
        store[f"{name}/.zarray"] = ARRAY % (b"1000", b"1")
        for i in range(written):
            store[f"{name}/{i}"] = b"x"
    found = view(store)
    widths = [bar.get("style") for bar in found.iterfind(".//*[@style]")]
    by_name = dict(zip(texts(found, "name"), widths, strict=True))
    assert by_name == {
        "none": "width:0%", "one": "width:2%", "half": "width:50%", "all": "width:100%",
    }  # fmt: skip


def test_names_and_attributes_of_others():
    store = Hierarchy()
    name = HOSTILE.replace("/", "|")
    store[f"{name}/zarr.json"] = _v3_array(HOSTILE)
    for _ in range(2):
        found = view(store)
        shown = name.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
        assert texts(found, "name") == [shown]
        escaped = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
        inner = found.find(".//li/details/dl")
        assert escaped in ["".join(item.itertext()) for item in inner.findall("dt")]
        assert escaped in ["".join(item.itertext()) for item in inner.findall("dd")]
        assert texts(found, "type") == [escaped]
        assert texts(found, "shape") == [f"{escaped}: 4"]
        store.freeze()


def _v3_array(text):
    return json.dumps(
        {"node_type": "array", "shape": [4], "data_type": text, "dimension_names": [text],
         "attributes": {text: text}},
    ).encode()  # fmt: skip


def test_the_block_store_of_others_is_escaped():
    class Odd(MappingCAStore):
        def __repr__(self):
            return "<b onclick='x'>\x00"

    class Broken(MappingCAStore):
        def __repr__(self):
            raise RuntimeError("<no name>")

    assert terms(view(IPLDStore(Odd({}))))["Blocks"] == "<b onclick='x'>\\x00, writable"
    assert terms(view(IPLDStore(Broken({}))))["Blocks"] == "RuntimeError: <no name>, writable"


def test_many_groups_are_bounded():
    store = Hierarchy()
    for i in range(MAX_ROWS + 500):
        store[f"group {i}/.zgroup"] = b"{}"
    text = to_html(store)
    found = read(text)
    assert len(texts(found, "name")) == MAX_ROWS - 1
    assert texts(found, "more") == ["and 501 more"]
    assert len(text) < 100_000


@pytest.fixture(scope="module")
def two_long_arrays():
    store = Hierarchy()
    for name in "ab":
        store[f"{name}/.zarray"] = ARRAY % (b"20000", b"1")
        for i in range(20_000):
            store[f"{name}/{i}"] = name.encode()
    store.freeze()
    return store


@pytest.mark.parametrize("is_local", [True, False])
def test_few_blocks_are_loaded(two_long_arrays, monkeypatch, is_local):
    monkeypatch.setattr(html, "NETWORK_NODES", 4)
    mapping, root = two_long_arrays.backend.mapping, two_long_arrays.root_cid
    backend = Counting(mapping, inline_limit=1 << 20 if is_local else 0)
    store = Hierarchy(backend, root=root)
    backend.nodes = 0
    found = view(store)
    if is_local:
        assert texts(found, "count") == ["20000/20000"] * 2
    else:
        assert backend.nodes <= 4 + 1, "the root besides"
        assert backend.sizes <= 4
        assert texts(found, "count") == ["not counted"] * 2
    assert backend.values == 0


@pytest.mark.parametrize("fault", ["missing", "corrupt", "unreachable"])
def test_a_broken_hierarchy_shows_why(fault):
    class Failing(MappingCAStore):
        def get_raw(self, cid):
            if fault == "unreachable" and self.fails:
                raise BackendError("the <server> is gone", retryable=True)
            return super().get_raw(cid)

    backend = Failing({})
    backend.fails = False
    store = small(backend)
    root = store.freeze()
    if fault == "missing":
        backend.mapping.clear()
    elif fault == "corrupt":
        backend.mapping[str(root)] += b"x"
    backend.fails = True
    found = view(store)
    (message,) = texts(found, "error")
    expected = {"missing": "BlockNotFoundError: no block ", "corrupt": "CorruptBlockError: ",
                "unreachable": "BackendError: the <server> is gone"}  # fmt: skip
    assert message.startswith(expected[fault])
    assert terms(found)["Root"] == str(root)


def test_a_large_hierarchy_is_folded():
    store = Hierarchy()
    for i in range(50):
        store[f"g/{i}/.zarray"] = ARRAY % (b"1", b"1")
    found = view(store)
    assert not any("open" in item.attrib for item in found.iterfind(".//details"))


def test_nothing_is_written_by_looking():
    backend = Counting({})
    store = IPLDStore(backend)
    write_array(store, "a", np.ones(3), chunks=(2,))
    before = dict(backend.mapping)
    to_html(store)
    assert backend.mapping == before
