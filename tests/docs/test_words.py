"""The field's terms, and no words of our own in their place: in help, messages, documents and pages."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgekit
from edgekit.cli import COMMANDS, command

ROOT = Path(__file__).parents[2]
PACKAGE = Path(edgekit.__file__).parent

# What is not to be read, and the term.
TERMS = {
    r"real ends?|real (in|out)puts?": "float inputs and outputs",
    r"open (axis|axes)|(axis|axes) open": "dynamic dimension",
    r"one grid|grain": "per tensor, per channel",
    r"ways? down": "fallback",
    r"misfits?": "incompatibility",
    r"Mind": "Warnings",
    r"Asked for and not made": "Skipped files",
    r"cancelling errors": "bias correction, error-aware rounding",
    r"hiding|made hard to quanti[sz]e": "attention masking, outlier channels",
    r"no number any more": "NaN or infinite",
    r"imitat\w+": "distil",
    r"(?<!be )(?<!is )(?<!are )told(?! apart)|asked": "warned, requested, run",
}


def texts_of_help() -> Iterator[tuple[str, str]]:
    parsers = [command(name)[0] for name in COMMANDS]
    while parsers:
        parser = parsers.pop()
        yield parser.prog, f"{parser.description} {parser.epilog}"
        for action in parser._actions:
            yield f"{parser.prog} {action.dest}", action.help or ""
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()


def texts_of_messages() -> Iterator[tuple[str, str]]:
    """Texts in the code that are no docstrings: sentences, not names."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        nodes = list(ast.walk(tree))
        alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        # What an assertion says is for whoever changes the code.
        alone |= {id(node.msg) for node in nodes if isinstance(node, ast.Assert)}
        for node in nodes:
            if not isinstance(node, ast.Constant) or id(node) in alone:
                continue
            if isinstance(node.value, str) and " " in node.value.strip():
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def texts_of_schemas() -> Iterator[tuple[str, str]]:
    def described(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (text for key, text in value.items() if key == "description")
        for inner in value.values() if isinstance(value, dict) else value:  # type: ignore[attr-defined]
            if isinstance(inner, (dict, list)):
                yield from described(inner)

    for path in sorted((PACKAGE / "schemas").glob("*.json")):
        for text in described(json.loads(path.read_text("utf-8"))):
            if isinstance(text, str):
                yield path.name, text


def texts_of_pages() -> Iterator[tuple[str, str]]:
    tops = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    for path in [*tops, *sorted((ROOT / "docs").rglob("*.md"))]:
        text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text("utf-8"), flags=re.DOTALL)
        for paragraph in text.split("\n\n"):
            yield str(path.relative_to(ROOT)), paragraph


def wrong(text: str) -> Iterator[str]:
    flat = " ".join(text.split())
    for pattern, term in TERMS.items():
        if found := re.search(rf"\b({pattern})\b", flat):
            yield f"{found[0]!r} for {term}: ...{flat[max(0, found.start() - 40) : found.end() + 40]}..."


@pytest.mark.parametrize(
    "texts", [texts_of_help, texts_of_messages, texts_of_schemas, texts_of_pages]
)
def test_the_terms_are_the_fields(texts: object) -> None:
    found = list(texts())  # type: ignore[operator]
    assert len(found) > 100
    assert [f"{where}: {each}" for where, text in found for each in wrong(text)] == []


def test_it_sees_what_it_is_for() -> None:
    assert list(wrong("A file that leaves axes\nopen"))
    assert list(wrong("Samples were asked for"))
    assert not list(wrong("two files are told apart; a grained Mindset"))
