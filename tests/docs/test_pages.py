"""What the pages name is there: files, commands, options; and their lists are whole."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from edgekit.artifact import SCHEMES
from edgekit.cli import COMMANDS, command
from edgekit.models.architectures import ARCHITECTURES
from edgekit.preprocess import STEPS
from edgekit.recipe import AUGMENTATIONS, CALIBRATION_METHODS, OBJECTIVES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES = [*TOP[:3], *sorted(DOCS.rglob("*.md"))]
# Of a program or a folder of the reader's.
NOT_OURS = {"networks.py"}
# Of other programs than edgekit's commands.
OTHER_OPTIONS = {"--help", "--version", "--limit", "--held-out", "--trust-structure"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def section(page: str, heading: str = "") -> str:
    """The text of a page of docs/, or of one of its sections."""
    text = (DOCS / page).read_text("utf-8")
    if heading:
        text = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
        text = re.split(r"^#", text, flags=re.MULTILINE)[0]
    return text


def first_column(text: str) -> set[str]:
    """What stands as code in the first cells of the rows of its tables."""
    cells = re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE)
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def options() -> set[str]:
    """Every option of every command, and of the actions of one."""
    found: set[str] = set()
    parsers = [command(name)[0] for name in COMMANDS]
    while parsers:
        parser = parsers.pop()
        for action in parser._actions:
            found |= set(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
    return found | {"-vv"}


def paths(text: str) -> Iterable[str]:
    """What stands as code and is a path of the repository: a source file, or a folder that it names."""
    for word in re.findall(r"`([\w./-]+)`", text):
        first = word.split("/")[0]
        ours = first != "build" and any(
            (home / first).is_dir() for home in (ROOT, ROOT / "edgekit")
        )
        named = re.search(r"\.(py|toml|md|sh|service|css|html)$", word) and "/" in word
        if word.endswith(".py") or (named and ours) or (word.endswith("/") and ours):
            yield word


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_exist(page: Path) -> None:
    wrong = [
        path
        for path in paths(page.read_text("utf-8"))
        if path not in NOT_OURS
        and not ((ROOT / path).exists() or (ROOT / "edgekit" / path).exists())
    ]
    assert not wrong


@pytest.mark.parametrize("page", [*TOP, *PAGES[3:]], ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    assert set(re.findall(r"`edgekit ([a-z]+)", text)) <= set(COMMANDS)
    code = [word for word in re.findall(r"`([^`\n]+)`", text) if not word.startswith("python ")]
    named = {option for word in code for option in re.findall(r"(?:^|\s)(--[a-z][\w-]*)", word)}
    assert named <= options() | OTHER_OPTIONS


def test_the_readme_is_short() -> None:
    assert len(TOP[0].read_text("utf-8").splitlines()) <= 150


def test_every_path_of_the_architecture_is_looked_at() -> None:
    found = set(paths(section("explanation/architecture.md")))
    assert len(found) > 100
    assert "convert/trace/lowering.py" in found


def test_the_rooms_stand_in_their_order() -> None:
    tests = (ROOT / "tests" / "test_imports.py").read_text("utf-8")
    rooms = re.findall(r'^    "(\w+)",$', tests.split("ROOMS = [")[1].split("]")[0], re.MULTILINE)
    text = section("explanation/architecture.md", "Rooms").split("```")[1]
    assert re.findall(r"\w+", text.removeprefix("text")) == [r for r in rooms if r != "__main__"]


def test_each_of_the_five_changes_names_three_files_at_most() -> None:
    rows = re.findall(
        r"^\| (a new .+?) \| (.+) \|$",
        section("explanation/architecture.md", "A newcomer's check"),
        re.MULTILINE,
    )
    assert len(rows) == 5
    for change, files in rows:
        # Two that are joined by "and" are two.
        assert len(re.findall(r"`[\w./]+(?:\.py|/)`", files)) <= 3, change
        assert len(files.split("; ")) <= 3, change
        assert "tests/" in files.split("; ")[-1], change


@pytest.mark.parametrize(
    ("page", "heading", "known"),
    [
        ("reference/schemes.md", "", SCHEMES),
        ("reference/architectures.md", "", ARCHITECTURES),
        ("reference/tuning.md", "", OBJECTIVES),
        ("measurements/architectures.md", "Size", ARCHITECTURES),
    ],
)
def test_tables_are_whole(page: str, heading: str, known: Iterable[str]) -> None:
    assert first_column(section(page, heading)) == set(known)


@pytest.mark.parametrize(
    ("page", "heading", "known"),
    [
        ("how-to/prepare-data.md", "Describe the preparation", STEPS),
        ("reference/training.md", "Augmentation", AUGMENTATIONS),
        ("explanation/quantisation.md", "Ranges", CALIBRATION_METHODS),
    ],
)
def test_lists_are_whole(page: str, heading: str, known: Iterable[str]) -> None:
    assert set(known) <= set(re.findall(r"`([\w-]+)`", section(page, heading)))


def test_exit_codes_are_those_of_the_errors() -> None:
    from edgekit import errors
    from edgekit.interruption import INTERRUPTED

    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in classes if issubclass(kind, errors.EdgekitError)}
    rows = re.findall(r"^\| (\d+) \|", section("reference/exit-codes.md"), re.MULTILINE)
    assert set(map(int, rows)) == codes | {
        0,
        errors.BUDGET_EXCEEDED,
        errors.INCONCLUSIVE,
        INTERRUPTED,
    }


@pytest.mark.parametrize(
    "page", sorted((DOCS / "measurements").glob("[!i]*.md")), ids=lambda page: page.name
)
def test_measurements_say_when_and_where(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.search(r"^- Date: .*2026", text, re.MULTILINE)
    assert re.search(r"^- Machines?: .+", text, re.MULTILINE)
