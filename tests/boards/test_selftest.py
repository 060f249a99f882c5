"""`devices run --selftest`: a bundle is tested where it is to run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from boards.conftest import Board, working_in
from bundle.conftest import keys, packed, parts  # noqa: F401

from edgekit.boards.deploy import Setup, run_on
from edgekit.boards.job import Work
from edgekit.boards.outcome import BoardRuns
from edgekit.boards.tables import lines_of
from edgekit.bundle.archive import write_archive
from edgekit.bundle.contents import NAME
from edgekit.bundle.selftest import Selftest
from edgekit.cli import main
from edgekit.document import load
from edgekit.drift.budget import DriftBudget

pytestmark = pytest.mark.processes


@pytest.fixture
def archive(packed: Path, tmp_path: Path) -> Path:  # noqa: F811
    write_archive(packed, tmp_path / "classifier.tar.xz")
    return tmp_path / "classifier.tar.xz"


def test_by_its_command(
    board: Board, archive: Path, python: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["devices", "run", board.host, "--ssh-config", board.config, "--python", python]
    words += ["--selftest", archive, "--json", archive.with_name("boards.json")]
    assert main(list(map(str, words))) == 0
    lines = capfd.readouterr().err.splitlines()
    assert any(line.startswith("self-test ") and "board" in line for line in lines)
    outcome = load(archive.with_name("boards.json"))
    assert isinstance(outcome, BoardRuns)
    (run,) = outcome.boards
    assert [step.name for step in run.steps] == ["doctor", "selftest"]
    assert (run.failure, run.exit_code) == (None, 0)
    (tested,) = (d for path in run.documents if isinstance(d := load(path), Selftest))
    assert tested.verdict == "pass"
    assert {file.path for file in tested.files} == set(outcome.files)
    for name in outcome.files:
        assert any(line.startswith(name) and "pass" in line for line in lines)
    # Where nobody says otherwise, beside the bundle.
    assert (archive.parent / "boards" / "board" / "selftest.json").exists()
    assert board.left() == []
    assert working_in(board.runs) == []


def test_a_folder_that_was_changed_on_its_way_fails_there(
    board: Board,
    packed: Path,  # noqa: F811
    tmp_path: Path,
    python: str,
) -> None:
    changed = tmp_path / "changed.bundle"
    changed.mkdir()
    for path in packed.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    contents = json.loads((changed / NAME).read_text())
    models = tuple(file["path"] for file in contents["files"] if file["role"] == "model")
    content = bytearray((changed / models[0]).read_bytes())
    content[-1] ^= 1
    (changed / models[0]).write_bytes(content)
    work = Work((), None, DriftBudget(), None, bundle=changed, bundled=models)
    setup = Setup(ssh_config=board.config, python=python, patience_s=8.0, grace_s=30.0)
    (run,) = run_on([board.host], work, tmp_path / "out", setup, lambda _: None)
    assert run.exit_code == 1
    assert run.failure is not None
    assert "selftest: exit code 1" in run.failure
    lines = lines_of(BoardRuns(work.names, (run,)))
    assert any(line.startswith("failed: board: selftest") for line in lines)
    assert board.left() == []


def test_one_that_is_not_as_it_was_made_is_not_sent(
    packed: Path,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    changed = tmp_path / "changed.bundle"
    changed.mkdir()
    for path in packed.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    (changed / "drift.json").write_bytes(b"{}")
    assert main(["devices", "run", "nowhere", "--selftest", str(changed)]) == 1
    assert "drift.json" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "expected --build DIR, --selftest BUNDLE, or both"),
        (("--bench",), "expected --build DIR, --selftest BUNDLE, or both"),
        (("--selftest", "{bundle}", "--compare"), "expected --build DIR too"),
        (("--selftest", "none.tar.xz"), "does not exist"),
    ],
)
def test_wrong_usage(
    words: tuple[str, ...],
    says: str,
    packed: Path,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = [word.format(bundle=packed) for word in words]
    assert main(["devices", "run", "nowhere", *given]) == 2
    assert says in capfd.readouterr().err
