"""Whoever follows a page: a shell, an interpreter begun from it, and an empty folder."""

import json
import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

from shell import MismatchError, Shell, end


class Reader:
    """Follows pages in a folder, between `with` and its end."""

    def __init__(self, folder, environment):
        self.folder = folder / "work"
        self._beside = folder
        for name in ("work", "logs"):
            (folder / name).mkdir()
        self._open = ExitStack()
        self.shell = self._open.enter_context(Shell(self.folder, environment, folder / "logs"))
        self._python = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._open.close()

    def follow(self, page):
        for block in page.to_run:
            try:
                if block.kind == "file":
                    self._make_file(block)
                elif block.kind == "console":
                    self.shell.run_block(block.text)
                else:
                    self._run_python(block, page.name)
            except MismatchError as error:
                raise MismatchError(f"{page.name}:{block.line}: {error}") from None

    def _make_file(self, block):
        file = self.folder / block.name
        assert file.resolve().is_relative_to(self.folder)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, encoding="utf-8")

    def _run_python(self, block, name):
        if self._python is None:
            self._start_python()
        request = {"kind": block.kind, "text": block.text, "name": name, "line": block.line}
        print(json.dumps(request), file=self._requests, flush=True)
        answer = self._answers.readline()
        if not answer:
            raise MismatchError("the interpreter ended")
        if failure := json.loads(answer):
            raise MismatchError(failure)

    def _start_python(self):
        environment = self.shell.read_environment(self._beside / "environment")
        (inner_in, outer_out), (outer_in, inner_out) = os.pipe(), os.pipe()
        self._python = subprocess.Popen(
            ["python", Path(__file__).with_name("interpreter.py"), str(inner_in), str(inner_out)],
            env=environment,
            cwd=environment["PWD"],
            executable=shutil.which("python", path=environment["PATH"]),
            stdin=subprocess.DEVNULL,
            pass_fds=(inner_in, inner_out),
        )
        self._open.callback(end, self._python)
        os.close(inner_in)
        os.close(inner_out)
        self._requests = self._open.enter_context(os.fdopen(outer_out, "w"))
        self._answers = self._open.enter_context(os.fdopen(outer_in))
