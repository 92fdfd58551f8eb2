"""Random histories of several processes in one session, some of which are killed.

Each operation ends before the next one begins, so that the content is that of a dict to which all
were done. Where two processes set a key and neither knew of the other, the commit says so, and
writing the key again settles it.
"""

from __future__ import annotations

import multiprocessing
import os
import random
from contextlib import suppress
from typing import Any

import pytest

from ipldstore import CommitConflictError, DirectoryCAStore, Repository, SQLiteCAStore

SPAWN = multiprocessing.get_context("spawn")
SEEDS = range(40) if os.environ.get("IPLDSTORE_MANY") else range(2)
KEYS = ["zarr.json", "a/zarr.json", "a/c/0", "a/c/1", "a/c/2", "b/zarr.json", "b/c/0"]


def serve(session: Any, pipe: Any) -> None:
    """Do in another process what a pipe says, and say what came of it."""
    with suppress(EOFError):
        while True:
            pipe.send(act(session, *pipe.recv()))


def act(store: Any, name: str, arguments: Any) -> Any:
    """Do one operation, on a session or on a dict."""
    if name == "set":
        key, value = arguments
        store[key] = value
        return None
    if name == "get":
        return store.get(arguments)
    if name == "pop":
        return store.pop(arguments, None)
    if name == "list":
        return sorted(store)
    for key in [key for key in store if key.startswith(arguments)]:
        store.pop(key, None)
    return None


class Worker:
    """Another process with the session."""

    def __init__(self, session: Any) -> None:
        self.pipe, other = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve, args=(session, other), daemon=True)
        self.process.start()

    def act(self, name: str, arguments: Any) -> Any:
        self.pipe.send((name, arguments))
        assert self.pipe.poll(60)
        return self.pipe.recv()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def choose(chance: random.Random) -> tuple[str, Any]:
    name = chance.choice(["set", "set", "set", "get", "pop", "list", "remove"])
    if name == "set":
        key = chance.choice(KEYS)
        value = b'{"a":%d}' if key.endswith("json") else b"%d"
        return name, (key, value % chance.randrange(4))
    if name == "remove":
        return name, chance.choice(["a/", "b/", "a/c/"])
    return name, chance.choice(KEYS)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["folder", "sqlite"])
def test_content_is_that_of_a_dict_or_a_conflict(tmp_path: Any, kind: str, seed: int) -> None:
    chance = random.Random(f"{kind} {seed}")
    blocks: Any = (
        DirectoryCAStore(tmp_path / "blocks")
        if kind == "folder"
        else SQLiteCAStore(tmp_path / "blocks.sqlite")
    )
    with Repository.create(blocks) as repo:
        model: dict[str, bytes] = {}
        for commit in range(2):
            session = repo.writable(message=f"commit {commit}")
            session["number"] = model["number"] = b"%d" % commit
            workers = [Worker(session) for _ in range(2)]
            for _ in range(40):
                operation = choose(chance)
                who = chance.randrange(3)
                # a key of a chunk may be in conflict until the end
                found = act(session, *operation) if who == 2 else workers[who].act(*operation)
                expected = act(model, *operation)
                if operation[0] == "list":
                    assert found == expected
                if chance.random() < 0.03:
                    index = chance.randrange(2)
                    workers[index].kill()
                    workers[index] = Worker(session)
            try:
                session.commit()
            except CommitConflictError as error:
                for key in error.keys:
                    assert "/c/" in key
                    if key in model:
                        session[key] = model[key]
                    else:
                        session.pop(key, None)
                session.commit()
            for worker in workers:
                worker.kill()
            assert dict(repo.readonly()) == model
        assert len(list(repo.log())) == 2
        assert repo.sessions() == []
