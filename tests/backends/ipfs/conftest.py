"""Kubo daemons for the tests of this folder."""

from contextlib import ExitStack

import pytest
from node import Node


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """One daemon for all tests that leave it as they found it."""
    with Node(tmp_path_factory.mktemp("shared") / "node") as node:
        yield node


@pytest.fixture
def start_node(tmp_path):
    """Start daemons of the test's own, named by their folders; they end with the test."""
    with ExitStack() as nodes:

        def start(name="node", config=None, *, offline=False):
            return nodes.enter_context(Node(tmp_path / name, config, offline=offline))

        yield start
