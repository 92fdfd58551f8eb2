"""The rights that docs/how-to/buckets.md gives to readers, writers and collectors."""

import hashlib
import hmac
import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from faulty_store import FaultyStore, s3_error
from obstore.exceptions import BaseError
from servers import S3

from ipldstore import BackendError, BlockNotFoundError, IPLDStore, copy, verify
from ipldstore.backends.objects.store import ObjectCAStore
from ipldstore.cid import make_link

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "buckets.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROLES = {
    role: re.findall(r"s3:\w+", row)
    for role, row in re.findall(r"^\| (reader|writer|collector) \|(.+)$", TEXT, re.MULTILINE)
}
WRITER = json.loads(re.search(r"writer\.json\n\n(.+?)```", TEXT, re.DOTALL)[1])
REFUSED = (BackendError, BaseError)
SECRET = "a-secret-of-somebody"
THERE, ABSENT = make_link(b"there"), make_link(b"absent")
ROOT = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"


class ManyUsersS3(S3):
    def command(self):
        (self.folder / "users").mkdir()
        program, *rest = super().command()
        return [program, f"--iam-dir={self.folder / 'users'}", *rest]

    def add_user(self, name):
        own = ["--access", self.key, "--secret", self.secret, "--endpoint-url", self.endpoint]
        user = ["--access", name, "--secret", SECRET, "--role", "user"]
        subprocess.run([self.find(), "admin", *own, "create-user", *user], check=True)

    def put_policy(self, bucket, policy):
        path, body = f"/{bucket}", json.dumps(policy).encode()
        headers = self._sign("PUT", path, "policy=", body)
        answer = requests.put(f"{self.endpoint}{path}?policy=", data=body, headers=headers)
        assert answer.status_code == 204, answer.text

    def _sign(self, method, path, query, body):
        """Return the headers of a request that is signed by AWS Signature Version 4."""
        time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"x-amz-content-sha256": digest, "x-amz-date": time}
        signed = {"host": f"127.0.0.1:{self.port}"} | headers
        names = ";".join(signed)
        lines = [f"{name}:{value}" for name, value in signed.items()]
        request = "\n".join([method, path, query, *lines, "", names, digest])
        scope = f"{time[:8]}/us-east-1/s3/aws4_request"
        told = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", time, scope, told])
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), hashlib.sha256)
        signature = hmac.digest(key, text.encode(), hashlib.sha256).hex()
        credential = f"Credential={self.key}/{scope}"
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        )
        return headers


def bucket_policy(bucket, user, actions):
    """Return the policy of the page for other actions, as one of a bucket and for one user."""
    on_objects, on_bucket = WRITER["Statement"]
    listing = [action for action in actions if action == on_bucket["Action"]]
    others = [action for action in actions if action not in listing]
    statements = [on_objects | {"Action": others}, on_bucket | {"Action": listing}]
    text = json.dumps(WRITER | {"Statement": [s for s in statements if s["Action"]]})
    policy = json.loads(text.replace("climate", bucket))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": [user]}
    return policy


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ManyUsersS3(tmp_path_factory.mktemp("users")) as running:
        for role in ROLES:
            running.add_user(role)
        yield running


@pytest.fixture
def open_as(server):
    """Open a bucket that holds a root and one more block as a user with some rights on it."""
    url = server.make_bucket()

    def open_store(user, actions):
        bucket = url.removeprefix("s3://")
        server.put_policy(bucket, bucket_policy(bucket, user, actions))
        options = server.make_options(access_key_id=user, secret_access_key=SECRET)
        return ObjectCAStore(f"{url}/blocks", buffer_bytes=0, patience=0, **options)

    with ObjectCAStore(f"{url}/blocks", **server.make_options()) as blocks:
        blocks.put(b"there")
        blocks.put({})
    return open_store


def read(blocks):
    assert blocks.get_block(THERE) == b"there"
    assert blocks.size_of(THERE) == 5
    assert not blocks.has(ABSENT)
    assert len(list(blocks.iter_blocks())) == 2


def write(blocks):
    blocks.put(b"there")
    store = IPLDStore(blocks)
    store["a/0"] = b"a chunk"
    store.freeze()
    assert copy(store, blocks).blocks == 0
    assert len(list(blocks.iter_blocks())) > 2


def collect(blocks):
    assert blocks.get(ROOT) == {}
    assert verify(ROOT, blocks, extra=True).extra == (str(THERE),)
    delete(blocks)


def delete(blocks):
    for batch in list(blocks.store.list(blocks.prefix)):
        blocks.store.delete([found["path"] for found in batch])


WORK = {"reader": read, "writer": write, "collector": collect}


def test_the_policy_of_the_page_is_that_of_a_writer():
    on_objects, on_bucket = WRITER["Statement"]
    assert [*on_objects["Action"], on_bucket["Action"]] == ROLES["writer"]
    assert list(ROLES) == list(WORK)


@pytest.mark.parametrize("role", WORK)
def test_the_rights_are_enough(open_as, role):
    WORK[role](open_as(role, ROLES[role]))


@pytest.mark.parametrize(
    ("role", "action"), [(role, action) for role in WORK for action in ROLES[role]]
)
def test_each_right_is_needed(open_as, role, action):
    blocks = open_as(role, [right for right in ROLES[role] if right != action])
    with pytest.raises(REFUSED, match=r"403|AccessDenied"):
        WORK[role](blocks)


@pytest.mark.parametrize(
    ("role", "work"), [("reader", write), ("reader", delete), ("writer", delete)]
)
def test_the_rights_are_for_nothing_else(open_as, role, work):
    with pytest.raises(REFUSED, match=r"403|AccessDenied"):
        work(open_as(role, ROLES[role]))


@pytest.mark.parametrize(
    "look",
    [
        lambda blocks: blocks.get_block(ABSENT),
        lambda blocks: blocks.has(ABSENT),
        lambda blocks: blocks.find_missing([ABSENT]),
    ],
)
def test_what_amazon_refuses_without_the_right_to_list_is_not_taken_for_missing(server, look):
    with FaultyStore(server.port) as front:
        options = server.make_options(endpoint=front.endpoint)
        blocks = ObjectCAStore(server.make_bucket(), patience=0, **options)
        front.faults = [(403, s3_error("AccessDenied"))]
        with pytest.raises(BackendError, match="list") as caught:
            look(blocks)
    assert not isinstance(caught.value, BlockNotFoundError)
    assert not caught.value.retryable
