"""CID objects in threads that are the first to use the package multiformats in their process."""

import subprocess
import sys

import pytest

FIRST_USE = """
import sys, threading
from ipldstore import MappingCAStore
from ipldstore.cid import make_link, parse_text
from ipldstore.formats.cidobject import to_cid

sys.setswitchinterval(1e-6)
gate, failures, made = threading.Barrier(4), [], []
link = make_link(b"hello")

def use(number):
    gate.wait()
    try:
        for _ in range(20):
            cid = to_cid(link)
            made.append(str(cid))
            assert repr(cid) and hash(cid) == hash(to_cid(link)) and cid == to_cid(link)
            assert bytes(cid) == bytes(link) and cid.hashfun.name == "sha2-256"
            assert parse_text(cid.encode("base58btc")) == link
            store = MappingCAStore()
            assert store.get(store.put({"link": cid}))["link"] == cid
    except BaseException as error:
        failures.append(repr(error))

threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(failures, set(made))
"""

HELLO = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
"""As `ipfs add --raw-leaves` names the five bytes of hello."""


@pytest.mark.parametrize("attempt", range(4))
def test_first_use_in_several_threads(attempt):
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.stdout.strip() == f"[] {{'{HELLO}'}}", done.stderr


LATER_USE = """
import weakref
from ipldstore.cid import make_link
from ipldstore.formats.hashes import HASHES
from ipldstore.formats.cidobject import to_cid
to_cid(make_link(b"hello"))
from multiformats import multibase, multihash
from multiformats.multibase import raw

print(sorted(set(raw._jit_registered_encodings) - set(raw._raw_encodings)))
print(sorted(set(HASHES) - set(multihash.raw._hashfun)))
print(sorted(set(HASHES) - set(multihash.Multihash._cache)))
"""


def test_nothing_is_left_to_be_filled_in_by_what_others_do_with_a_cid():
    done = subprocess.run(
        [sys.executable, "-c", LATER_USE], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.splitlines() == ["[]"] * 3
