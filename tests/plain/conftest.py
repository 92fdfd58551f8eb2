"""Kubo repositories and daemons in the profile in which plain files are kept."""

import pytest
from kubo import Repository
from node import Node

PROFILE = "test,unixfs-v1-2025"


@pytest.fixture(scope="session")
def kubo(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("plain") / "kubo", profile=PROFILE)


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "daemon"
    with Node(folder, offline=True, profile=PROFILE) as node:
        yield node
