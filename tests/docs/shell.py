"""One bash session: commands as a reader types them, and whether they print what a page shows."""

import re
import subprocess
import time

DEADLINE = 120
_END = re.compile(r"\x1e(\d+)\x1e\n")


class MismatchError(AssertionError):
    """A page shows something else than what happens."""


class Shell:
    """A bash process in a folder; background jobs print into files of the folder `logs`."""

    def __init__(self, folder, environment, logs):
        self._logs = logs
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        end(self._process)

    def _send(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def run(self, command):
        """Run one command; return what it printed, and its exit status."""
        self._send(f"{{ {command}\n}} </dev/null")
        self._send("__status=$?; printf '\\036%s\\036\\n' $__status; (exit $__status)")
        lines = []
        for line in self._process.stdout:
            if found := _END.search(line):
                lines.append(line[: found.start()])
                return "".join(lines), int(found[1])
            lines.append(line)
        raise MismatchError(f"the shell ended within: {command}\n{''.join(lines)}")

    def run_block(self, text):
        """Run the commands of a console block and compare what they print."""
        steps = list(_steps(text))
        for (command, shown), following in zip(steps, [*steps[1:], ("", "")], strict=True):
            if command.startswith("pip install "):
                continue
            if command.endswith("&"):
                self._run_behind(command, shown)
                continue
            printed, status = self.run(command)
            if not matches(shown, printed):
                raise MismatchError(_compare(command, shown, printed))
            if status != 0 and following[0] != "echo $?":
                raise MismatchError(f"$ {command}\n{printed}exit status {status}")

    def _run_behind(self, command, shown):
        """Start a command that goes on, and wait until it has printed what is shown."""
        log = self._logs / f"{len(list(self._logs.iterdir()))}.log"
        self.run(f"{{ {command}\n}} </dev/null >'{log}' 2>&1")
        deadline = time.monotonic() + DEADLINE
        while not matches(shown, printed := log.read_text(errors="replace")):
            if time.monotonic() > deadline:
                raise MismatchError(_compare(command, shown, printed))
            time.sleep(0.05)

    def read_environment(self, file):
        """Return the variables that a program would get from this shell now."""
        self.run(f"env -0 > '{file}'")
        pairs = file.read_bytes().decode().split("\0")
        return dict(pair.split("=", 1) for pair in pairs if pair)


def end(process):
    """End a process and the pipes to it."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _steps(text):
    """Iterate commands and the output that is shown for each."""
    command, shown = None, []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command, "\n".join(shown)
            command, shown = line[2:], []
        elif line.startswith("> ") and not shown and command is not None:
            command += "\n" + line[2:]
        elif command is None:
            raise MismatchError(f"expected `$ command` first, not {line!r}")
        else:
            shown.append(line)
    if command is None:
        raise MismatchError("a console block without a command")
    yield command, "\n".join(shown)


def matches(shown, printed):
    """Whether output is as shown: ``...`` stands for anything in a line, or for any lines."""
    pattern = ""
    for line in shown.rstrip().splitlines():
        parts = [re.escape(part) for part in line.rstrip().split("...")]
        pattern += r"(?:.*\n)*" if line == "..." else ".*".join(parts) + r"[ \t]*\n"
    text = printed.rstrip()
    return re.fullmatch(pattern, text + "\n" if text else "") is not None


def _compare(command, shown, printed):
    return f"$ {command}\n--- shown\n{shown}\n--- printed\n{printed}"
