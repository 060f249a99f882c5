"""Help: what each option takes and its default, and an example that works as it stands."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.cli import COMMANDS, command, main

# They take minutes or files that others made, and have tests of their own.
TRIED_ELSEWHERE = ("tune", "heal", "serve", "mcp", "demo")


def examples(name: str) -> list[list[str]]:
    """The words of each line of the example, without the program's name."""
    parser, _ = command(name)
    assert parser.epilog is not None
    title, text = parser.epilog.split("\n", 1)
    assert title == "example:"
    lines = [shlex.split(line) for line in text.replace("\\\n", " ").splitlines()]
    assert all(line[:2] == ["edgekit", name] for line in lines)
    return [line[1:] for line in lines]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    parser, _ = command(name)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        help = action.help
        assert help, action
        assert help[0] in "-.'" or help[0].islower(), help
        assert not help.endswith("."), help
        if action.option_strings and action.nargs != 0 and not action.required:
            assert "default" in help or "required with" in help, help


def options(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, str]]:
    """Each long option of a command and of its own commands, with its name and what it takes."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child, its in action.choices.items():
                yield from options(f"{name} {child}", its)
        takes = "nothing" if action.nargs == 0 else str(action.metavar)
        yield from ((text, name, takes) for text in action.option_strings if text.startswith("--"))


def test_an_option_means_one_thing_everywhere() -> None:
    meanings: dict[str, dict[str, list[str]]] = {}
    for name in COMMANDS:
        for option, where, takes in options(name, command(name)[0]):
            # A list of numbers is several of the same.
            takes = takes.removesuffix(",...")
            meanings.setdefault(option, {}).setdefault(takes, []).append(where)
    # What is written is of another kind with each command.
    del meanings["--out"]
    assert {option: found for option, found in meanings.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parser, _ = command(name)
    assert max(map(len, parser.format_help().splitlines())) <= 80
    assert "edgekit " + name in parser.format_help()


@pytest.mark.tensorflow
def test_the_examples_work_one_after_the_other(
    tmp_path: Path,
    digits: object,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("samples", "calibration"):
        digits.train.subset(200).save(tmp_path / f"{name}.npz")  # type: ignore[attr-defined]
    # `compare` may find that a model trained on so little loses too much, or that the samples are too few.
    # Nor is there an older bundle to roll back to.
    fine = {"compare": (0, 3, 5), "diagnose": (0, 3, 5), "rollback": (2,)}
    for name in [name for name in COMMANDS if name not in TRIED_ELSEWHERE]:
        for words in examples(name):
            code = main(words)
            assert code in fine.get(name, (0,)), capfd.readouterr().err
    made = {path.name for path in Path("build").iterdir()}
    assert made >= {"model.float32.tflite", "model.int8.tflite", "manifest.json", "report.html"}
    assert Path("answers.npz").exists()


@pytest.mark.parametrize("name", TRIED_ELSEWHERE)
def test_other_examples_are_calls_that_are_understood(name: str) -> None:
    ((_, *words),) = examples(name)
    parser, _ = command(name)
    args = parser.parse_args(words)
    # What they write, or read where they write nothing.
    given = next(getattr(args, name) for name in ("out", "files", "folder") if name in args)
    paths = given if isinstance(given, list) else [given]
    assert all(Path(path).parts[0] == "build" for path in paths)
