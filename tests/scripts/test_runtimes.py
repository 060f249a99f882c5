"""The environments that a device's package is tested in: the table, its locks, and who is left out."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scripts(monkeypatch):
    """The scripts' folder, importable as it is for a script that runs."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    yield ROOT / "scripts"
    for name in ("environments", "test_runtimes"):
        sys.modules.pop(name, None)


@pytest.fixture
def table(scripts):  # noqa: ARG001
    import environments

    return environments


@pytest.fixture
def runner(scripts):  # noqa: ARG001
    import test_runtimes

    return test_runtimes


def test_the_tests_that_a_device_runs_exist(runner):
    assert [path for path in runner.TESTS if not path.exists()] == []


def test_they_import_at_once_what_every_environment_has_alone(runner):
    """The rest is asked for by `needs.package`: a board may lack it."""
    files = {
        file for path in runner.TESTS for file in (path.rglob("*.py") if path.is_dir() else (path,))
    }
    always = {*sys.stdlib_module_names, "edgekit", "support", "hypothesis", "numpy", "pytest"}
    for file in files:
        of_siblings = {sibling.stem for sibling in file.parent.glob("*.py")}
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = {str(node.module).partition(".")[0]}
            else:
                continue
            assert names <= always | of_siblings, file


def pins(lock: str) -> str:
    return (ROOT / "locks" / f"{lock}.txt").read_text("utf-8")


def test_the_locks_are_those_of_the_table_and_hold_hashes_but_no_address(table):
    names = {lock.name for lock in table.LOCKS}
    assert {path.stem for path in (ROOT / "locks").iterdir()} == names
    assert {environment.lock for environment in table.ENVIRONMENTS} == names - {"dev", "demo"}
    for name in names:
        text = pins(name)
        pinned = re.findall(r"^[\w.-]+==", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^\S", text, re.MULTILINE)) > 10
        assert len(re.findall(r"\\\n    --hash=sha256:", text)) >= len(pinned)
        assert "://" not in text


def test_the_demo_has_the_versions_that_all_have():
    def pinned(name):
        return set(re.findall(r"^([\w.-]+==[^ ;\\]+)", pins(name), re.MULTILINE))

    assert pinned("demo") < pinned("dev")


def test_every_python_that_edgekit_names_has_an_environment(table):
    classified = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))
    newest = {each.python for each in table.ENVIRONMENTS if each.lock == "newest"}
    assert newest == set(classified)


def test_the_oldest_environment_has_the_versions_that_pyproject_starts_from(table):  # noqa: ARG001
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for package in ("ai-edge-litert", "onnxruntime", "numpy"):
        floor = re.search(rf'"{package}>=([\d.]+)', text)[1]
        assert re.search(rf"^{package}=={re.escape(floor)}[.0]* ", pins("oldest"), re.MULTILINE)


def test_the_document_and_ci_name_environments_of_the_table(table):
    names = [each.name for each in table.ENVIRONMENTS]
    document = (ROOT / "docs/measurements/interpreters.md").read_text("utf-8")
    assert re.findall(r"^\| `([\w.-]+)` \|", document, re.MULTILINE) == names
    given = re.findall(r'ONLY="(.*)"', (ROOT / ".ci/run").read_text("utf-8"))
    assert given
    assert set(given[0].split()) <= set(names)


def test_a_python_is_found_by_its_version(runner):
    version = "{}.{}".format(*sys.version_info)
    found = runner.find_python(version)
    assert Path(found).is_file()
    code = "import sys; print('{}.{}'.format(*sys.version_info))"
    assert runner.output(found, "-c", code) == version
    assert runner.find_python("3.99") is None


def test_an_environment_without_its_python_is_left_out_in_one_line(
    runner, table, monkeypatch, capsys
):
    missing = table.Environment("litert-3.99", "3.99", "newest")
    monkeypatch.setattr(runner, "ENVIRONMENTS", (missing,))
    assert runner.main([]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "test-runtimes: litert-3.99: skipped, no Python 3.99 was found",
        "test-runtimes: 0 passed, 0 failed, 1 skipped",
    ]


@pytest.mark.slow
def test_what_fails_is_shown_and_counted(runner, table, monkeypatch, tmp_path, capsys):
    version = "{}.{}".format(*sys.version_info)
    broken = table.Environment("broken", version, "there-is-no-such-lock")
    monkeypatch.setattr(runner, "ENVIRONMENTS", (broken,))
    monkeypatch.setattr(runner, "WORK", tmp_path)
    monkeypatch.setattr(runner, "WHEELS", tmp_path / "wheel")
    assert runner.main(["broken"]) == 1
    said = capsys.readouterr().err
    assert "there-is-no-such-lock.txt" in said
    assert said.splitlines()[-1] == "test-runtimes: 0 passed, 1 failed, 0 skipped"


def test_an_unknown_name_is_refused_with_those_that_exist(scripts):
    words = [sys.executable, scripts / "test_runtimes.py", "litert-2.7"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    assert "'litert-2.7'" in done.stderr
    assert "litert-oldest" in done.stderr
