"""Object stores for the tests of this folder, one process of each kind."""

import pytest
from servers import GCS, S3, Azure

KINDS = {"s3": S3, "azure": Azure, "gcs": GCS}


@pytest.fixture(scope="session")
def start_kind(tmp_path_factory):
    """Start each server when it is first asked for."""
    running = {}

    def start(kind):
        if kind not in running:
            running[kind] = KINDS[kind](tmp_path_factory.mktemp(kind)).__enter__()
        return running[kind]

    yield start
    for server in running.values():
        server.__exit__()


@pytest.fixture
def s3(start_kind):
    return start_kind("s3")


@pytest.fixture(params=KINDS)
def server(request, start_kind):
    """Each of the servers in turn."""
    return start_kind(request.param)
