"""The detector of what kills leave: it is silent on the product, and trips on products that are worse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

AS_IT_IS = ""
# Results are written where they go.
IN_PLACE = """
import contextlib, pathlib
from edgekit import document
document.atomic = lambda path: contextlib.nullcontext(pathlib.Path(path))
"""
# A part of a set counts as a result.
NO_SETS = """
import contextlib
from edgekit import cli
cli.together = contextlib.nullcontext
"""
# What killed processes left stays.
NO_BROOM = """
from edgekit import outputs, scratch
outputs.remove_abandoned = scratch.remove_abandoned = lambda folder: None
"""
# What is to be replaced goes first.
OLD_FIRST = """
import contextlib, pathlib
from edgekit import document
atomic = document.atomic
@contextlib.contextmanager
def removing(path):
    pathlib.Path(path).unlink(missing_ok=True)
    with atomic(path) as temporary:
        yield temporary
document.atomic = removing
"""
# So does the link to the bundle that runs, for more operations than are left out between two kills.
NO_SWITCH = """
from edgekit.bundle import install
def switch(into, name):
    (into / "current").unlink(missing_ok=True)
    for _ in range(3):
        (into / ".edgekit-x").touch()
        (into / ".edgekit-x").unlink()
    (into / "current").symlink_to(name)
install._switch = switch
"""
# What the machine lacks is taken for a bug.
NO_WORDS = """
from edgekit import cli
failure = cli._failure
def failed(error):
    code, text = failure(error)
    return (1, f"edgekit: unexpected {error}. {cli._BUG}") if code == 1 else (code, text)
cli._failure = failed
"""


pytestmark = pytest.mark.slow


def found(product: str, tmp_path: Path, *words: str) -> tuple[int, dict[str, int]]:
    """The exit code, and how much of each kind was found."""
    code = f"import sys, kills\nkills.preload(False)\n{product}\nsys.exit(kills.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--random", "0", "--memory", "0"],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    # What the interpreter says of itself is no word of the benchmark.
    said = [line for line in done.stderr.splitlines() if not line.startswith("INFO: ")]
    assert not said, done.stderr
    summary = done.stdout.splitlines()[-1]
    return done.returncode, {
        kind: int(number) for number, kind in re.findall(r"(\d+) ([\w-]+)", summary)
    }


@pytest.mark.parametrize(
    ("product", "words", "kinds"),
    [
        (AS_IT_IS, ("--only", "junit", "--full", "1", "--every", "5"), set()),
        (IN_PLACE, ("--only", "inspect", "--full", "1"), {"half-written", "commands"}),
        (NO_SETS, ("--only", "junit", "--full", "0"), {"commands"}),
        (NO_BROOM, ("--only", "inspect", "--full", "0"), {"hidden"}),
        (OLD_FIRST, ("--only", "compare.*overwrite", "--full", "0"), {"lost"}),
        (NO_SWITCH, ("--only", "install.*keep", "--full", "0", "--every", "3"), {"lost"}),
        (NO_WORDS, ("--only", "inspect", "--full", "1", "--every", "99"), {"ends"}),
    ],
)
def test_it_trips_on_what_it_looks_for(
    product: str, words: tuple[str, ...], kinds: set[str], tmp_path: Path
) -> None:
    code, counts = found(product, tmp_path, *words)
    assert code == bool(kinds), counts
    assert {each for each, count in counts.items() if count} == kinds, counts


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    words = ("--only", "inspect", "--full", "0", "-o", str(rows))
    assert found(AS_IT_IS, tmp_path, *words)[0] == 0
    written = {path: path.stat().st_mtime_ns for path in rows.iterdir()}
    (first, *_) = sorted(written)
    first.unlink()
    assert found(AS_IT_IS, tmp_path, *words)[0] == 0
    kept = {path: path.stat().st_mtime_ns for path in rows.iterdir()}
    assert {path for path in kept if kept[path] != written[path]} == {first}
