"""Records with strace what a process does to the files in a folder."""

import os
import re
import shutil
import subprocess
from functools import cache
from itertools import count

from outside import skip_without
from power_model import Operation

CHANGES = (
    "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,rename"
    ",renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,truncate,ftruncate"
    ",fallocate,mkdir,mkdirat,rmdir,lseek,mmap,copy_file_range,sendfile,splice"
)

STRACE = ("strace", "-f", "-qq", "--seccomp-bpf")

_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)>")


@cache
def need_strace():
    """Skip the test where strace is not there, or may not trace."""
    if shutil.which("strace") is None:
        skip_without("no strace")
    done = subprocess.run([*STRACE, "-o", os.devnull, "true"], capture_output=True, check=False)
    if done.returncode:
        skip_without(f"strace may not trace here: {done.stderr.decode()}")


def record(command, folder, marks):
    """Run a command and return what it did below a folder, as operations with relative paths.

    What the command writes to the file `marks` becomes operations of the kind mark.
    """
    need_strace()
    trace = folder / "trace"
    done = subprocess.run(
        [*STRACE, "-y", "-xx", "-s", "16777216", "-o", trace, "-e", f"trace={CHANGES}", *command],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    recorder = _Recorder(str(folder), str(marks))
    with trace.open() as lines:
        for name, arguments, result in _iter_calls(lines):
            recorder.note(name, arguments, result)
    trace.unlink()
    return recorder.operations


def _iter_calls(lines):
    """Iterate the calls that succeeded: name, arguments as text, result."""
    begun = {}
    for text in lines:
        line = text
        if unfinished := _UNFINISHED.match(line):
            begun[unfinished[1]] = unfinished[0].removesuffix(" <unfinished ...>")
            continue
        if resumed := _RESUMED.match(line):
            line = begun.pop(resumed[1]) + resumed[2]
        call = _CALL.match(line)
        if call and int(call[3]) >= 0:
            yield call[1], call[2], int(call[3])


def _texts(arguments):
    return [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(arguments)]


class _Recorder:
    def __init__(self, folder, marks):
        self.folder = f"{folder}/"
        self.marks = marks
        self.operations = []
        self._files = {}
        self._positions = {}
        self._numbers = count()

    def note(self, name, arguments, result):
        handle = getattr(self, f"_{name}", None)
        if name in ("pwrite64", "write", "fsync", "fdatasync", "ftruncate", "lseek"):
            descriptor, path = self._descriptor(arguments)
            if path == self.marks:
                (text,) = _texts(arguments)
                self._add("mark", path=text.decode())
            elif self._is_watched(path):
                handle(descriptor, path.removeprefix(self.folder), arguments, result)
            return
        paths = [os.fsdecode(text) for text in _texts(arguments)]
        if name == "mmap":
            paths = [self._descriptor(part)[1] for part in arguments.split(", ") if "<" in part]
            if not any("MAP_SHARED" in part for part in arguments.split(", ")):
                return
        watched = [path for path in paths if self._is_watched(path) and path != self.marks]
        if not watched:
            return
        assert handle is not None, f"a call that this model does not know: {name}({arguments})"
        handle(*[path.removeprefix(self.folder) for path in watched], arguments, result)

    def _is_watched(self, path):
        return path.startswith(self.folder) and not path.endswith(" (deleted)")

    def _descriptor(self, arguments):
        found = _FILE.match(arguments)
        if found is None:
            return None, ""
        return int(found[1]), os.fsdecode(bytes.fromhex(found[2].replace("\\x", "")))

    def _add(self, kind, **parts):
        self.operations.append(Operation(kind, **parts))

    def _openat(self, path, arguments, result):
        self._positions[result] = 0
        assert "O_APPEND" not in arguments
        if "O_CREAT" in arguments and path not in self._files:
            self._files[path] = next(self._numbers)
            self._add("create", path=path, file=self._files[path])
        elif "O_TRUNC" in arguments:
            self._add("truncate", file=self._files[path])

    def _write(self, descriptor, path, arguments, result):
        (data,) = _texts(arguments)
        offset = self._positions[descriptor]
        self._positions[descriptor] = offset + result
        self._add("write", file=self._files[path], offset=offset, data=data[:result])

    def _pwrite64(self, descriptor, path, arguments, result):
        (data,) = _texts(arguments)
        offset = int(arguments.rsplit(", ", 1)[1])
        self._add("write", file=self._files[path], offset=offset, data=data[:result])

    def _lseek(self, descriptor, path, arguments, result):
        self._positions[descriptor] = result

    def _ftruncate(self, descriptor, path, arguments, result):
        self._add("truncate", file=self._files[path], offset=int(arguments.rsplit(", ", 1)[1]))

    def _fsync(self, descriptor, path, arguments, result):
        if path in self._files:
            self._add("sync", file=self._files[path])
        else:
            self._add("sync_folder", path=path)

    _fdatasync = _fsync

    def _mmap(self, path, arguments, result):
        assert path.endswith("-shm"), f"changed past the system's calls: {path}"

    def _mkdir(self, path, arguments, result):
        self._add("mkdir", path=path)

    def _unlink(self, path, arguments, result):
        self._add("unlink", path=path, file=self._files.pop(path))

    def _link(self, path, target, arguments, result):
        assert os.path.dirname(path) == os.path.dirname(target)
        file = self._files[target] = self._files[path]
        self._add("link", path=path, target=target, file=file)

    _linkat = _link

    def _rename(self, path, target, arguments, result):
        assert os.path.dirname(path) == os.path.dirname(target)
        file = self._files[target] = self._files.pop(path)
        self._add("rename", path=path, target=target, file=file)
