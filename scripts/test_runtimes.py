"""Tests what a device installs, from the wheel, in the environments of `environments.py`.

They are made anew each time, without TensorFlow, from hash-pinned locks. One whose Python is not
found is left out with a line that says so. Exit code 1 if one failed or none ran.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from environments import ENVIRONMENTS, Environment

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".venv-runtimes"
WHEELS = WORK / "wheel"
# What a device can run: no test here needs TensorFlow.
TESTS = [
    ROOT / "tests" / name
    for name in (
        "runtime",
        "test_tensor.py",
        "samples",
        "test_device.py",
        "test_files.py",
        "test_config.py",
        "test_locks.py",
        "test_shares.py",
        "recipe/test_recipe.py",
        "preprocess/test_preprocess.py",
        "formats/test_metadata.py",
        "cli/test_on_device.py",
        "examples/test_embedded.py",
        "examples/test_embedded_detect.py",
        "examples/test_embedded_listen.py",
    )
]
_MINE = "import sys, edgekit; assert edgekit.__file__.startswith(sys.prefix), edgekit.__file__"
_SUITABLE = "import sys, venv, ensurepip; print(sys.executable, *sys.version_info[:2])"


def say(text: str) -> None:
    print(f"test-runtimes: {text}", file=sys.stderr, flush=True)


def output(*words: object) -> str:
    """What a program prints; "" if it is missing or fails."""
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    except OSError:
        return ""
    return "" if done.returncode else done.stdout.strip()


def candidates(version: str) -> Iterator[str]:
    """Where a Python of this version may be; nothing is downloaded."""
    yield sys.executable
    yield f"python{version}"
    if root := output("pyenv", "root"):
        yield from map(str, Path(root, "versions").glob(f"{version}.*/bin/python"))
    yield output("uv", "python", "find", "--no-python-downloads", version)


def find_python(version: str) -> str | None:
    """The path of a Python of this version (such as ``"3.12"``) that can make environments."""
    for candidate in filter(None, candidates(version)):
        path, *found = output(candidate, "-c", _SUITABLE).rsplit(" ", 2)
        if ".".join(found) == version:
            return path
    return None


def run(*words: object, cwd: Path = ROOT) -> str:
    """Run a program; what it printed. Raises `CalledProcessError` with that if it failed."""
    # A search path would put the checkout before the package that is installed.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=clean,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ).stdout


def install(environment: Environment, python: str) -> Path:
    """A new environment with edgekit in it; the folder of its programs."""
    run(python, "-m", "venv", "--clear", WORK / environment.name)
    bin = WORK / environment.name / "bin"
    pip = [bin / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    lock = ROOT / "locks" / f"{environment.lock}.txt"
    # Compiling all that a dependency has takes longer than the rest; what is imported is compiled then.
    run(*pip, "install", "--no-compile", "--require-hashes", "-r", lock)
    if not WHEELS.is_dir():
        run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", WHEELS, ROOT)
    # Without its dependencies: the lock has them, and one of them is the interpreter under test.
    run(*pip, "install", "--no-deps", "--no-index", *WHEELS.glob("*.whl"))
    return bin


def suite(bin: Path, jobs: int) -> str:
    """Run the checkout's tests against the package that is installed; pytest's last line."""
    # Not from the checkout, whose edgekit a `python -m` would find before the installed one.
    home = bin.parent
    run(bin / "python", "-c", _MINE, cwd=home)
    words = [bin / "pytest", "-q", "-n", jobs, "-c", ROOT / "pyproject.toml", "--rootdir", ROOT]
    return run(*words, "-p", "no:cacheprovider", *TESTS, cwd=home).splitlines()[-1]


def tried(environment: Environment, jobs: int) -> str:
    """``"passed"``, ``"failed"`` or ``"skipped"``, having said more."""
    python = find_python(environment.python)
    if python is None:
        say(f"{environment.name}: skipped, no Python {environment.python} was found")
        return "skipped"
    start = time.monotonic()
    try:
        bin = install(environment, python)
        installed = time.monotonic() - start
        result = suite(bin, jobs)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stdout)
        say(f"{environment.name}: FAILED, exit code {error.returncode} of {error.cmd[0]}")
        return "failed"
    say(f"{environment.name}: {result}, installed in {installed:.0f} s")
    return "passed"


def main(words: list[str]) -> int:
    names = [environment.name for environment in ENVIRONMENTS]
    parser = argparse.ArgumentParser(
        prog="test-runtimes", description="See docs/how-to/test-on-released-interpreters.md."
    )
    parser.add_argument(
        "only", nargs="*", metavar="NAME", help=f"environments: {', '.join(names)} (default: all)"
    )
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="processes that run the tests (default: 2)"
    )
    given = parser.parse_args(words)
    for name in given.only:
        if name not in names:
            parser.error(f"received the environment {name!r}, expected some of {', '.join(names)}")
    shutil.rmtree(WHEELS, ignore_errors=True)
    outcomes = [
        tried(environment, given.jobs)
        for environment in ENVIRONMENTS
        if not given.only or environment.name in given.only
    ]
    counts = {word: outcomes.count(word) for word in ("passed", "failed", "skipped")}
    say(", ".join(f"{count} {word}" for word, count in counts.items()))
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
