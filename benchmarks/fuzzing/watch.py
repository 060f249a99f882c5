"""What a process and its children open, change, start and talk to, seen from outside by strace."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

# System calls by what they do with the paths that they are given.
OPENING = ("open", "openat", "openat2", "creat")
CHANGING = (
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "link",
    "linkat", "symlink", "symlinkat", "truncate", "mknod", "mknodat", "chmod", "fchmodat", "chown",
    "fchownat", "setxattr",
)  # fmt: skip
REACHING = ("execve", "execveat", "connect", "bind")
_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (?:\d+<(.*)>|\d+)$")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')


class Watch:
    """One strace and what it has told so far.

    Args:
        scratch: the folder with all that may be read and written, current folder included.
        python: the interpreter; what is installed with it may be read.
        known: what is opened by runs on files as they were made, numbers left out; shared by watches.
    """

    def __init__(self, scratch: Path, python: str, known: set[str]) -> None:
        self._scratch = scratch.resolve()
        self._code = (*_installed(python), Path(__file__).resolve().parents[2])
        self._known = known
        self._log = scratch / f"strace.{id(self)}"
        self._log.touch()
        self._read = 0

    @property
    def words(self) -> list[str]:
        """What goes before a command."""
        calls = ",".join(f"?{name}" for name in (*OPENING, *CHANGING, *REACHING))
        return ["strace", "-f", "-qq", "-z", "-y", "--seccomp-bpf", "-s", "4096", "-A",
                "-e", f"trace={calls}", "-e", "signal=none", "-o", str(self._log)]  # fmt: skip

    def learn(self) -> None:
        """What happened since the last time is what happens with any file."""
        self._known.update(_plain(each) for each in self._since())

    def outside(self) -> list[str]:
        """What happened since the last time and is none of the process's business."""
        return sorted({each for each in self._since() if _plain(each) not in self._known})

    def _since(self) -> list[str]:
        with self._log.open("rb") as stream:
            stream.seek(self._read)
            lines = stream.read()
        # The last line may be half there.
        lines = lines[: lines.rfind(b"\n") + 1]
        self._read += len(lines)
        beside = re.compile(rf'{re.escape(str(self._scratch))}[^"\\]*')
        return [
            beside.sub("(scratch)", f"{what} {path}")
            for line in lines.decode("utf-8", "replace").splitlines()
            for what, path in told(line, self._scratch)
            if not self._granted(what, Path(path))
        ]

    def _granted(self, what: str, path: Path) -> bool:
        if what in ("read", "wrote") and path.is_relative_to(self._scratch):
            return True
        if what != "read":
            return False
        library = re.search(r"\.so(\.\d+)*$", path.name) and path.parts[1:2] in (("usr",), ("lib",))
        return bool(library) or any(path.is_relative_to(each) for each in self._code)


def told(line: str, current: Path) -> Iterator[tuple[str, str]]:
    """What one line of strace says: ("read" | "wrote" | "reached", what).

    Args:
        line: a system call that succeeded.
        current: the folder that bare relative paths start from.
    """
    found = _CALL.match(line)
    if found is None:
        return
    name, arguments, opened = found.groups()
    if name in OPENING:
        # The kernel's own word for what it is, links followed.
        changed = name == "creat" or _WRITING.search(arguments.rpartition('"')[2])
        yield "wrote" if changed else "read", (opened or arguments).removesuffix(" (deleted)")
    elif name in CHANGING:
        for folder, path in _PATH.findall(arguments):
            yield "wrote", str(current / folder / path)
    elif name in REACHING:
        yield "reached", f"{name} {arguments.partition(', 0x')[0]}"


def _plain(what: str) -> str:
    """Without what differs from process to process: numbers, and the names of semaphores, which are drawn."""
    return re.sub(r"\d+", "N", re.sub(r"(/dev/shm/sem\.).+", r"\1*", what))


def _installed(python: str) -> tuple[Path, ...]:
    code = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix]))"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    return tuple(Path(each).resolve() for each in json.loads(said))
