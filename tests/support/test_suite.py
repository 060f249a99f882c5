"""The suite's own rules: what fails a run that would pass, and what is told at its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]

Run = Callable[..., "tuple[int, str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a suite of one file with some of the plugins of `support`; gives exit code and output."""

    def suite(
        code: str,
        *plugins: str,
        words: tuple[str, ...] = (),
        room: str = "room",
        **variables: str,
    ) -> tuple[int, str]:
        folder = tmp_path / "tests" / room
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test_it.py").write_text(code)
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = tensorflow\n")
        (tmp_path / "tmp").mkdir(exist_ok=True)
        # Not what this run was told itself.
        mine = ("PYTEST_", "EDGEKIT_", "COVERAGE_")
        own = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
        given = [f"-psupport.{plugin}" for plugin in plugins]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-pno:cacheprovider", *given, *words, "tests"],
            cwd=tmp_path,
            env={
                **own,
                "PYTHONPATH": os.pathsep.join((str(TESTS), *filter(None, sys.path))),
                "TMPDIR": str(tmp_path / "tmp"),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return suite


LEAVES = "import tempfile\n\n\ndef test_it(tmp_path):\n    tempfile.mkstemp('.left')\n"
WELL = "import tempfile\n\n\ndef test_it(tmp_path):\n    tempfile.TemporaryFile().write(b'x')\n"


@pytest.mark.parametrize("words", [(), ("-pxdist", "-n2")], ids=["alone", "two"])
def test_what_is_left_in_the_temporary_folder_fails_the_run(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    code, out = run(WELL, "leftovers", words=words)
    assert code == 0, out
    assert list((tmp_path / "tmp").iterdir()) == []
    code, out = run(LEAVES, "leftovers", words=words)
    assert code == 1
    assert re.search(r"^(main|gw\d)/tmp.*\.left$", out, re.MULTILINE), out
    assert "1 passed" in out.splitlines()[-1]


def test_a_run_that_takes_too_long_fails(run: Run) -> None:
    code, out = run(WELL, "minutes")
    assert code == 0, out
    assert re.search(r"^room +0\.0 +1 tests$", out, re.MULTILINE), out
    code, out = run(WELL, "minutes", EDGEKIT_TEST_MINUTES="10")
    assert code == 0, out
    assert re.search(r"^start to end +0\.\d of 10 minutes$", out, re.MULTILINE), out
    code, out = run(WELL, "minutes", EDGEKIT_TEST_MINUTES="0.0001")
    assert code == 1
    assert "FAILED: that is longer than EDGEKIT_TEST_MINUTES allows" in out
    assert "1 passed" in out.splitlines()[-1]
    code, out = run(WELL, "minutes", EDGEKIT_TEST_MINUTES="ten")
    assert code == 4
    assert "received 'ten', expected a number of minutes" in out


NEEDS = "from support import needs\n\n\ndef test_it():\n    needs."


@pytest.mark.parametrize(
    ("call", "word"),
    [
        ("tool('qemu')", "qemu"),
        ("package('there_is_no_such_package')", "packages"),
        ("data()", "data"),
    ],
)
def test_what_is_missing_fails_where_it_is_required(run: Run, call: str, word: str) -> None:
    missing = {"PATH": "", "EDGEKIT_DATA": "nowhere"}
    code, out = run(NEEDS + call, "needs", **missing)
    assert code == 0, out
    assert "1 skipped" in out
    code, out = run(NEEDS + call, "needs", EDGEKIT_REQUIRE=f"strace, {word}", **missing)
    assert code == 1, out
    assert f"which EDGEKIT_REQUIRE={word} asks for" in out


def test_what_is_required_must_be_known(run: Run) -> None:
    code, out = run(WELL, "needs", EDGEKIT_REQUIRE="gcc,qmeu")
    assert code == 4
    assert (
        "received qmeu, expected some of gcc, qemu, chromium, strace, sshd, zsh, fish, age, packages, data"
        in out
    )


def test_nothing_is_skipped_past_support_needs() -> None:
    skipping = re.compile(r"importorskip|pytest\.skip|mark\.skip")
    wrong = [
        f"{path}:{number}"
        for path in sorted(TESTS.rglob("*.py"))
        if path.parent.name != "support"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if skipping.search(line)
    ]
    assert not wrong, "ask support.needs, so that EDGEKIT_REQUIRE is heard"


IMPORTS = """
import pytest


def test_it():
    with pytest.raises(ModuleNotFoundError):
        import tensorflow


@pytest.mark.tensorflow
def test_marked():
    raise AssertionError
"""


def test_without_tensorflow_nothing_imports_it(run: Run) -> None:
    code, out = run(IMPORTS, "markers", words=("--without-tensorflow",))
    assert code == 0, out
    assert "1 passed, 1 deselected" in out


TOP = """
from support import needs

keras = needs.package("keras")


def test_it():
    raise AssertionError
"""


def test_a_file_of_a_room_with_tensorflow_is_not_imported_without_it(run: Run) -> None:
    run(WELL, "markers")
    words = ("--without-tensorflow",)
    code, out = run(TOP, "markers", words=words, room="models", EDGEKIT_REQUIRE="packages")
    assert code == 0, out
    assert "1 passed" in out


CHILD = """
import subprocess, sys


def test_it():
    subprocess.run([sys.executable, "-c", "import edgekit.errors"], check=True)
"""


def test_lines_that_children_ran_are_counted(run: Run) -> None:
    code, out = run(CHILD, "minutes", "covered", words=("--coverage",))
    assert code == 1, out
    shares = dict(re.findall(r"^(\w+) +([\d.]+) % ", out, re.MULTILINE))
    assert float(shares["errors"]) > 30
    assert float(shares["train"]) == 0
    assert "FAILED: below 85 %" in out


DRAWS = """
import random
import numpy as np
import pytest


@pytest.fixture(scope="module", params=["a", "b"])
def drawn(request):
    return random.random()


def test_first(drawn):
    print("DRAWN", drawn, random.random(), np.random.random())


def test_second(drawn):
    print("DRAWN", drawn, random.random(), np.random.random())
"""


def test_what_tests_draw_hangs_on_their_names_and_the_seed_alone(run: Run) -> None:
    def drawn(*words: str, **variables: str) -> set[str]:
        code, out = run(DRAWS, "seeds", words=("-s", *words), **variables)
        assert code == 0, out
        return set(re.findall(r"DRAWN (.*)", out))

    whole, alone = drawn(), drawn("-k", "second")
    assert len(whole) == 4
    assert alone < whole
    assert drawn() == whole
    assert not {number for row in whole for number in row.split()} & {
        number for row in drawn(EDGEKIT_TEST_SEED="1") for number in row.split()
    }
