"""Tests what a device installs, from the wheel, on emulated Raspberry Pis: `make test-boards`.

The suite of `test_runtimes.py`, under a real Arm userland of Debian: 64 bits with Python 3.11 and 3.13, 32 bits with
3.11. It takes an hour for each on two processors, since every instruction is emulated. Exit code 1 if one failed.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from test_runtimes import ROOT, TESTS, say

from edgekit.boards.agent import __file__ as AGENT
from edgekit.boards.emulate import emulated
from edgekit.boards.own_wheel import own_wheel
from edgekit.boards.ssh import Connection, connected
from edgekit.boards.userland import userland
from edgekit.boards.wheels import Target, cached, has_onnx
from edgekit.device import load_device

# What the tests themselves need, in versions that are pure Python: others have no wheels for 32 bits.
_PURE = (
    *(
        "pytest==9.2.0",
        "pytest-xdist==3.8.0",
        "execnet==2.1.2",
        "iniconfig==2.3.1",
        "packaging==26.3",
    ),
    *(
        "pluggy==1.7.0",
        "pygments==2.21.0",
        "hypothesis==6.155.7",
        "sortedcontainers==2.4.0",
        "attrs==26.1.0",
    ),
)
_FOLDER = "suite"
# The second number of Debian 12's; what fits there fits a later one.
GLIBC = 36


@dataclass(frozen=True)
class System:
    """A board, and the Debian that it runs."""

    board: str
    bits: int
    debian: int

    @property
    def name(self) -> str:
        return f"{self.board}-{self.bits}-{self.debian}"


SYSTEMS = (
    System("raspberry-pi-4b", 64, 12),
    System("raspberry-pi-5", 64, 13),
    System("raspberry-pi-3b", 32, 12),
)


def wheels(target: Target, folder: Path) -> dict[str, Path | bytes]:
    """All wheels that go there, by name."""
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    words += ["--platform", "any", "--python-version", target.python, "--dest", str(folder)]
    subprocess.run([*words, *_PURE], check=True)
    name, content = own_wheel()
    found: dict[str, Path | bytes] = {path.name: path for path in folder.glob("*.whl")}
    others = cached(target, has_onnx(target), lambda line: say(f"{target}: {line}"))
    return found | {path.name: path for path in others} | {name: content}


def checkout() -> dict[str, Path | bytes]:
    """The files of the checkout that the tests read."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "tests", "examples", "docs", "devices", "pyproject.toml"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        name: ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()
    }


def must(connection: Connection, *words: str) -> str:
    done = connection.run(words)
    if done.code:
        raise SystemExit(f"{' '.join(words)}: {done.err or done.out}")
    return done.out


def tried(system: System, jobs: int, only: list[str]) -> bool:
    """Whether the suite passes there."""
    profile, which = load_device(system.board), userland(system.bits, system.debian)
    target = Target({64: "aarch64", 32: "armv7l"}[system.bits], which.python, GLIBC)
    names = only or [path.relative_to(ROOT).as_posix() for path in TESTS]
    with (
        tempfile.TemporaryDirectory() as scratch,
        emulated(profile, which) as board,
        connected(board.host, board.ssh_config) as connection,
    ):
        needed = {f"wheels/{name}": what for name, what in wheels(target, Path(scratch)).items()}
        connection.put(checkout() | needed | {"agent.py": Path(AGENT)}, _FOLDER)
        # On 32 bits there is no wheel of numpy: Debian's is used.
        packages = ["--system-site-packages"] if system.bits == 32 else []
        must(connection, "python3", "-m", "venv", "--without-pip", *packages, "~/environment")
        must(
            connection,
            "~/environment/bin/python",
            f"{_FOLDER}/agent.py",
            "install",
            f"{_FOLDER}/wheels",
        )
        say(f"{system.name}: {len(names)} files and folders of tests")
        last = ""

        def hear(line: str) -> None:
            nonlocal last
            last = line or last
            # An hour is long: what fails is said at once.
            if " FAILED " in line or " ERROR " in line or line.startswith(("E  ", "=")):
                print(line, flush=True)

        suite = ["-v", "-n", str(jobs), "-p", "no:cacheprovider", "-m", "not slow"]
        words = [
            "env",
            "-C",
            _FOLDER,
            "EDGEKIT_EMULATED=1",
            "~/environment/bin/python",
            "-m",
            "pytest",
        ]
        code = connection.stream([*words, *suite, *names], hear)
    say(f"{system.name}: {last}")
    return code == 0


def main(words: list[str]) -> int:
    names = [system.name for system in SYSTEMS]
    parser = argparse.ArgumentParser(
        prog="test-boards", description="See docs/how-to/test-on-released-interpreters.md."
    )
    parser.add_argument(
        "only", nargs="*", metavar="NAME", help=f"systems: {', '.join(names)} (default: all)"
    )
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="processes that run the tests (default: 2)"
    )
    parser.add_argument(
        "--tests",
        action="append",
        default=[],
        metavar="PATH",
        help="of the checkout; may be repeated (default: all)",
    )
    given = parser.parse_args(words)
    if unknown := set(given.only) - set(names):
        parser.error(f"received {', '.join(sorted(unknown))}, expected some of {', '.join(names)}")
    passed = [
        tried(system, given.jobs, given.tests)
        for system in SYSTEMS
        if not given.only or system.name in given.only
    ]
    say(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
