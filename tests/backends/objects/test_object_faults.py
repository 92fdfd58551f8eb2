"""What goes wrong with object stores: typed errors, nothing secret in them, damage is mended."""

import asyncio
import os
import pickle
import shutil
import socket
import subprocess
import sys
import traceback
from datetime import timedelta

import pytest
from faulty_store import CUT, FaultyStore, s3_error

from ipldstore import (
    BackendError,
    BlockNotFoundError,
    CorruptBlockError,
    DirectoryCAStore,
    IPLDStore,
)
from ipldstore.backends.objects.faults import backend_error
from ipldstore.backends.objects.store import ObjectCAStore
from ipldstore.cid import make_link

BLOCK = b"a block"
LINK = make_link(BLOCK)
QUICK = {"retry_config": {"backoff": {"init_backoff": timedelta(milliseconds=1)}}}
NAME = "QJ/CIQCZ4SNXJP3BIYOE3UDWKWFXHRJ4GYWDZOB7J2CLZZQIM3CSOFZQJA.data"
NO_RETRY = {"retry_config": {"max_retries": 0}, "patience": 0}


def name_of(store):
    (objects,) = store.store.list()
    (found,) = objects
    return found["path"]


def put(store):
    store.put_block(LINK, BLOCK)
    store.flush()


def get_async(store):
    return asyncio.run(store.get_block_async(LINK))


FACES = {
    "get": lambda store: store.get_block(LINK),
    "get_async": get_async,
    "has": lambda store: store.has(LINK),
    "find_missing": lambda store: store.find_missing([LINK]),
    "size_of": lambda store: store.size_of(LINK),
    "put": put,
}


@pytest.fixture(params=FACES)
def face(request):
    return FACES[request.param]


def check_secret(caught, secret):
    assert secret not in "".join(traceback.format_exception(caught.value))
    assert secret not in repr(caught.value)


def test_a_missing_bucket_is_no_missing_block(server, face):
    store = ObjectCAStore(f"{server.scheme}://no-such-bucket", **server.make_options(), **QUICK)
    with pytest.raises(BackendError):
        face(store)
    assert store.prefix == ""


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"secret_access_key": "a-wrong-secret"}, "secret key|credentials"),
        ({"access_key_id": "nobody"}, "credentials"),
        ({"region": "eu-west-1"}, "region"),
        ({"session_token": "an-expired-token"}, "credentials"),
    ],
)
def test_wrong_credentials_and_regions_say_what_to_do(s3, face, wrong, advice):
    store = ObjectCAStore(s3.make_bucket(), **s3.make_options(**wrong))
    with pytest.raises(BackendError, match=advice) as caught:
        face(store)
    assert not caught.value.retryable
    for secret in (s3.secret, *wrong.values()):
        if secret not in ("eu-west-1", "nobody"):
            check_secret(caught, secret)


@pytest.mark.parametrize("key", ["account_key", "sas_key"])
def test_azure_refuses_wrong_keys(start_kind, face, key):
    azure = start_kind("azure")
    wrong = {"account_key": "bm90IHRoZSBrZXk=", "sas_key": "sv=2021-08-06&sp=r&sig=bm8gc2ln"}[key]
    options = azure.make_options()
    del options["config"]["account_key"]
    options["config"][key] = wrong
    with pytest.raises(BackendError, match="check the credentials") as caught:
        face(ObjectCAStore(azure.make_bucket(), **options))
    check_secret(caught, wrong)


@pytest.mark.parametrize("kind", ["s3", "azure", "gcs"])
@pytest.mark.parametrize("damage", [b"", b"a blocK", b"something longer than it"])
def test_a_damaged_object_is_mended_by_the_next_put(start_kind, kind, damage):
    server = start_kind(kind)
    store = ObjectCAStore(server.make_bucket(), buffer_bytes=0, **server.make_options())
    put(store)
    store.store.put(name_of(store), damage)
    with pytest.raises(CorruptBlockError):
        store.get_block(LINK)
    put(store)
    assert store.get_block(LINK) == BLOCK


def test_a_whole_object_is_left_alone(server):
    store = ObjectCAStore(server.make_bucket(), buffer_bytes=0, **server.make_options())
    put(store)
    ((before,),) = store.store.list()
    put(store)
    ((after,),) = store.store.list()
    assert before["last_modified"] == after["last_modified"]
    assert before["e_tag"] == after["e_tag"]


@pytest.fixture
def faulty(s3):
    with FaultyStore(s3.port) as front:
        yield front


def open_faulty(s3, faulty, **more):
    options = s3.make_options(endpoint=faulty.endpoint) | QUICK | more
    return ObjectCAStore(s3.make_bucket(), buffer_bytes=0, **options)


@pytest.mark.parametrize(
    "fault",
    [(503, s3_error("SlowDown")), (429, s3_error("SlowDown")), (500, s3_error("InternalError"))],
)
def test_a_busy_server_is_asked_again(s3, faulty, face, fault):
    store = open_faulty(s3, faulty)
    put(store)
    store = pickle.loads(pickle.dumps(store))  # which does not know what it has sent
    faulty.faults = [fault] * 2
    face(store)
    assert faulty.faults == []


@pytest.mark.parametrize("fault", [(503, s3_error("SlowDown")), (429, ""), CUT])
def test_a_server_that_stays_busy_may_be_asked_later(s3, faulty, face, fault):
    store = open_faulty(s3, faulty, **NO_RETRY)
    put(store)
    store = pickle.loads(pickle.dumps(store))
    faulty.faults = [fault] * 9
    with pytest.raises(BackendError) as caught:
        face(store)
    assert caught.value.retryable
    faulty.faults = []
    face(store)


@pytest.mark.parametrize(
    ("fault", "words", "retryable"),
    [
        ((403, s3_error("AccessDenied")), "AccessDenied.*allow these credentials", False),
        ((400, s3_error("ExpiredToken")), "ExpiredToken.*renew", False),
        ((403, s3_error("RequestTimeTooSkewed")), "clock", False),
        ((301, s3_error("PermanentRedirect")), "region", False),
        ((403, s3_error("InvalidObjectState")), "archive class: restore", False),
        ((404, s3_error("SomethingElse")), "404", False),
    ],
)
def test_refusals_say_what_to_do(s3, faulty, fault, words, retryable):
    store = open_faulty(s3, faulty, **NO_RETRY)
    put(store)
    store = pickle.loads(pickle.dumps(store))
    faulty.faults = [fault] * 9
    with pytest.raises(BackendError, match=words) as caught:
        store.get_block(LINK)
    assert caught.value.retryable is retryable


def test_who_may_not_list_still_learns_what_is_missing(s3, faulty):
    store = open_faulty(s3, faulty)
    faulty.faults = [(404, ""), (403, s3_error("AccessDenied"))]
    assert not store.has(LINK)
    assert [method for method, _ in faulty.requests] == ["HEAD", "GET", "GET"]
    assert not store.has(LINK)
    assert len(faulty.requests) == 4, "that there is a bucket, of a known layout, is asked once"


def test_a_server_without_conditions_gets_plain_puts(s3):
    options = s3.make_options(conditional_put="disabled")
    store = ObjectCAStore(s3.make_bucket(), buffer_bytes=0, **options)
    put(store)
    store.store.put(name_of(store), b"damaged")
    with pytest.raises(CorruptBlockError):
        store.get_block(LINK)
    put(store)
    assert store.get_block(LINK) == BLOCK


def test_silence_ends_at_the_timeout(s3):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = ObjectCAStore(
            "s3://bucket", timeout=0.2, **s3.make_options(endpoint=endpoint), **NO_RETRY
        )
        with pytest.raises(BackendError) as caught:
            store.get_block(LINK)
        assert caught.value.retryable
        with pytest.raises(BackendError):
            put(store)
        assert store.get_block(LINK) == BLOCK, "it is in the buffer still"


def test_a_freeze_that_fails_is_completed_by_the_next(s3, faulty):
    options = s3.make_options(endpoint=faulty.endpoint) | NO_RETRY
    backend = ObjectCAStore(s3.make_bucket(), **options)
    store = IPLDStore(backend)
    for i in range(50):
        store[f"a/{i}"] = b"%d" % i
    faulty.faults = [(503, s3_error("SlowDown"))] * 40
    with pytest.raises(BackendError, match=r"could not be sent|cannot look for"):
        store.freeze()
    assert store.root_cid is None
    faulty.faults = []
    root = store.freeze()
    assert dict(IPLDStore(pickle.loads(pickle.dumps(backend)), root=root)) == dict(store)


SECRET_URLS = [
    "s3://user:hunter2@bucket/prefix",
    "s3://hunter2@bucket",
    "s3://bucket/prefix?X-Amz-Signature=hunter2",
    "az://container?sig=hunter2",
    "gs://bucket#hunter2",
]


@pytest.mark.parametrize("url", SECRET_URLS)
def test_a_url_with_a_secret_is_refused_and_not_repeated(url):
    with pytest.raises(BackendError, match="carries a user, a password") as caught:
        ObjectCAStore(url)
    check_secret(caught, "hunter2")


@pytest.mark.parametrize("url", ["s3://", "s4://bucket", "bucket", "", "https://example.org/b"])
def test_what_is_no_bucket_is_refused(url):
    with pytest.raises(BackendError, match="expected s3://BUCKET/PREFIX"):
        ObjectCAStore(url)


def test_mistaken_options_are_refused():
    with pytest.raises(BackendError, match="client_options"):
        ObjectCAStore("s3://bucket", config={"timeout": "3s"})
    secret = "hunter" + str(2)  # the traceback shows this file
    with pytest.raises(BackendError, match="regoin") as caught:
        ObjectCAStore("s3://bucket", config={"regoin": secret})
    check_secret(caught, secret)
    with pytest.raises(ValueError, match="positive"):
        ObjectCAStore("s3://bucket", connections=0)


def test_texts_hold_no_secrets(s3):
    store = ObjectCAStore(s3.make_bucket() + "/a", prefix="b", **s3.make_options())
    assert s3.secret not in repr(store) + str(store) + repr(IPLDStore(store))
    assert s3.secret.encode() in pickle.dumps(store), "workers of a cluster need it"


def test_credentials_of_the_environment_are_in_no_pickle(s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret)
    options = s3.make_options()
    for name in ("access_key_id", "secret_access_key"):
        del options["config"][name]
    store = ObjectCAStore(s3.make_bucket(), **options)
    put(store)
    pickled = pickle.dumps(store)
    assert s3.secret.encode() not in pickled
    assert pickle.loads(pickled).get_block(LINK) == BLOCK


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_is_told_instead_of_hanging(s3):
    script = """
import os, sys
from ipldstore.backends.objects.store import ObjectCAStore
from ipldstore import BackendError
from ipldstore.cid import make_link
from obstore.store import MemoryStore
store = ObjectCAStore(MemoryStore())
store.put(b"hello")
child = os.fork()
if child == 0:
    try:
        store.get_block(make_link(b"hello"))
    except BackendError as error:
        os._exit(7 if "spawn" in str(error) else 1)
    os._exit(2)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 7


def test_a_missing_block_says_where(server):
    store = ObjectCAStore(server.make_bucket(), **server.make_options())
    with pytest.raises(BlockNotFoundError, match="bucket-"):
        store.get_block(LINK)
    with pytest.raises(BlockNotFoundError):
        get_async(store)
    assert store.find_missing([LINK]) == {LINK}


def test_a_folder_of_blocks_is_a_store_as_it_is(s3, tmp_path):
    with DirectoryCAStore(tmp_path) as folder:
        folder.put(b"hello")
        (file,) = tmp_path.glob("??/*.data")
        store = ObjectCAStore(s3.make_bucket(), **s3.make_options())
        store.store.put(file.relative_to(tmp_path).as_posix(), file.read_bytes())
        assert store.get_block(make_link(b"hello")) == b"hello"
        store.put(b"hello")
        assert name_of(store) == NAME


def test_blocks_are_named_by_their_multihash_under_a_prefix(s3):
    store = ObjectCAStore(s3.make_bucket(), prefix="p", **s3.make_options())
    store.put(b"hello")
    assert name_of(store) == f"p/{NAME}"


ENDPOINT = {
    "s3": ("aws_endpoint", {"access_key_id": "a", "secret_access_key": "b", "region": "eu"}),
    "az": ("endpoint", {"account_name": "a", "account_key": "YQ=="}),
}


@pytest.fixture
def unheard_port():
    """A port that is bound, and on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def fault_at(endpoint, scheme="s3", **client):
    name, config = ENDPOINT[scheme]
    config = config | {name: endpoint}
    store = ObjectCAStore(f"{scheme}://bucket", config=config, client_options=client, **NO_RETRY)
    with pytest.raises(BackendError) as caught:
        store.get_block(LINK)
    return caught.value


@pytest.mark.parametrize(("scheme", "name"), [("s3", "AWS"), ("az", "AZURE")])
def test_an_endpoint_of_http_has_to_be_allowed(monkeypatch, unheard_port, scheme, name):
    monkeypatch.delenv(f"{name}_ALLOW_HTTP", raising=False)
    fault = fault_at(f"http://127.0.0.1:{unheard_port}", scheme)
    advice = f"set {name}_ALLOW_HTTP=true, or give client_options={{'allow_http': True}}"
    assert advice in str(fault)
    assert not fault.retryable
    allowed = fault_at(f"http://127.0.0.1:{unheard_port}", scheme, allow_http=True)
    assert "nothing listens there" in str(allowed)
    assert allowed.retryable


def test_a_server_that_does_not_speak_tls():
    with FaultyStore(0) as front:
        fault = fault_at(front.endpoint.replace("http:", "https:"))
    assert "does not speak TLS: if it is meant, give the endpoint as http://" in str(fault)
    assert not fault.retryable


def test_a_host_that_is_not_known():
    """The text is what obstore 0.12 gives; to ask for a name would leave this machine."""
    text = "Generic S3 error: Error performing GET http://x.invalid/ in 1ms - HTTP error: error "
    text += 'sending request\n\nDebug source:\nkind: Connect ConnectError("dns error", ...)'
    fault = backend_error("cannot read", OSError(text))
    assert str(fault).endswith("no host of this name is known: check the endpoint, and the network")
    assert fault.retryable


@pytest.fixture
def front(s3):
    with FaultyStore(s3.port) as front:
        yield front


@pytest.fixture
def behind(s3, front):
    """A bucket that is known to be there, with one block, behind what injures answers."""
    with ObjectCAStore(s3.make_bucket(), **s3.make_options(endpoint=front.endpoint)) as blocks:
        blocks.put_block(LINK, BLOCK)
        blocks.flush()
        assert not blocks.has(make_link(b"none"))
        yield blocks


@pytest.mark.parametrize("read", ["get", "get_async"])
@pytest.mark.parametrize("page", ["", "<html>not found</html>"])
def test_a_404_of_something_between_is_no_absence(front, behind, read, page):
    front.faults[:] = [(404, page)]
    assert FACES[read](behind) == BLOCK
    with pytest.raises(BlockNotFoundError):
        behind.get_block(make_link(b"none"))


def test_a_bucket_that_was_removed_is_no_absence(s3, behind, monkeypatch):
    monkeypatch.setattr("ipldstore.backends.objects.store._BUCKET_SECONDS", 0)
    url = behind.store.config["bucket"]
    shutil.rmtree(s3.folder / "buckets" / url)
    for name in ("get", "has", "find_missing"):
        with pytest.raises(BackendError, match="NoSuchBucket"):
            FACES[name](behind)
