"""Every command, program and recipe of the documentation runs as it stands there, or says why not.

A page is run in a folder of its own, its blocks in their order. A block that cannot be run has a
line ``<!-- not run: reason -->`` in front of it; its commands still have to be ones that there are.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgekit.build.pipeline import read_pipeline
from edgekit.cli import _parse, main
from edgekit.config import read_toml
from edgekit.recipe import Recipe

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = ("sh", "python", "toml")
# What a program prints.
SHOWN = ("text",)
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>\S+)\")?\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
# Where a page takes long: fewer trials and epochs of the same.
SHORTER = {
    "docs/how-to/detect-objects.md": {"epochs=10": "epochs=5"},
    "docs/how-to/prepare-data.md": {"epochs = 15": "epochs = 2"},
    "docs/how-to/train.md": {"epochs = 12": "epochs = 4"},
    "docs/how-to/tune.md": {"trials = 24": "trials = 2", "epochs = 10": "epochs = 1"},
}
# Options whose value is a file or folder that the command writes.
WRITTEN = ("-o", "--out", "--json", "--junit")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        title: the file that it is the content of; "" for none.
        reason: why it is not run; "" for one that is.
        line: of its first line of text, counted from one.
    """

    language: str
    title: str
    reason: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        return self.language in RUN and not self.reason


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(content: str) -> list[Block]:
    return [
        Block(
            found["language"],
            found["title"] or "",
            found["reason"] or "",
            re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            content.count("\n", 0, found.start("text")) + 1,
        )
        for found in BLOCK.finditer(content)
    ]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each line; one that ends in a backslash is joined with the next."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(os.path.expandvars(line), comments=True):
            yield words


def matching(word: str) -> list[str]:
    """The files that a pattern stands for, as a shell has it; the word itself for what is none."""
    found = sorted(map(str, Path().glob(word))) if "*" in word and not word.startswith("/") else []
    return found or [word]


def run_shell(block: Block) -> None:
    for program, *given in commands(block.text):
        assert program == "edgekit", f"{program}: only edgekit's commands are run here"
        words = [found for word in given for found in matching(word)]
        assert main(words) == 0, shlex.join(words)
        written = [file for option, file in pairwise(words) if option in WRITTEN and file != "-"]
        assert all(Path(file).exists() for file in written), shlex.join(words)


def run_block(block: Block, names: dict[str, Any]) -> None:
    """Run commands; run a program with `names`; read a recipe. One with a title is kept as that file."""
    path = Path(block.title or "untitled")
    if block.title or block.language == "toml":
        path.write_text(block.text, "utf-8")
    if block.language == "toml":
        if block.title.startswith("pipeline"):
            read_pipeline(path)
        else:
            read_toml(path, Recipe)
    elif block.language == "sh":
        run_shell(block)
    elif not block.title:
        exec(compile(block.text, "block", "exec"), names)


def shorter(block: Block, changes: dict[str, str]) -> Block:
    """The block with those of `changes` that apply, which are taken out of it."""
    for long in [long for long in changes if long in block.text]:
        block = replace(block, text=block.text.replace(long, changes.pop(long)))
    return block


RUNNABLE = [page for page in PAGES if any(block.runs for block in blocks(page.read_text("utf-8")))]


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_what_a_page_says_runs(page: Path, place: Path) -> None:
    assert Path.cwd() == place
    changes = dict(SHORTER.get(name_of(page), {}))
    names: dict[str, Any] = {}
    for block in blocks(page.read_text("utf-8")):
        if block.runs:
            try:
                run_block(shorter(block, changes), names)
            except Exception as error:
                raise AssertionError(f"{name_of(page)}:{block.line}: {error}") from error
    assert not changes, "SHORTER changes what the page does not say"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_are_of_known_languages(page: Path) -> None:
    content = page.read_text("utf-8")
    found = blocks(content)
    assert len(re.findall(r"^ *```", content, re.MULTILINE)) == 2 * len(found)
    assert {block.language for block in found} <= {*RUN, *SHOWN}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_that_are_not_run_are_commands(page: Path) -> None:
    for block in blocks(page.read_text("utf-8")):
        if block.language == "sh" and block.reason:
            lines = block.text.replace("\\\n", " ").splitlines()
            for _, *words in commands("\n".join(x for x in lines if x.startswith("edgekit "))):
                _parse(words)


def test_an_unmarked_block_of_other_programs_fails() -> None:
    (block,) = blocks("```sh\npip install something\n```\n")
    with pytest.raises(AssertionError, match="only edgekit's commands"):
        run_shell(block)


def test_a_reason_belongs_to_the_block_behind_it() -> None:
    content = "<!-- not run: a board -->\n```sh\nssh board\n```\n\n```sh\nedgekit doctor\n```\n"
    assert [block.reason for block in blocks(content)] == ["a board", ""]
    apart = content.replace("-->\n", "-->\n\n", 1)
    assert [block.reason for block in blocks(apart)] == ["", ""]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_reason_stands_right_before_a_block(page: Path) -> None:
    """One that stands apart marks nothing, and what it was meant for is run."""
    content = page.read_text("utf-8")
    marked = [block for block in blocks(content) if block.reason]
    marks = re.findall(r"^ *<!-- not run: .+? -->", content, re.MULTILINE | re.DOTALL)
    assert len(marked) == len(marks)
