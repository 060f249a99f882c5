"""Defaults from a project's file, which may be anybody's; -q and --color."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.cli import COMMANDS, _parse, command, main
from edgekit.cli.console import Console
from edgekit.cli.defaults import OF_ALL, OF_COMMANDS, Defaults
from edgekit.errors import RecipeError
from edgekit.streams import Remark, Styled

# What runs code or trusts some, lifts a limit or a gate, reaches out, or says where is written.
NEVER = {
    *("trust_code", "imports", "verify", "max_unpacked", "allow_unsigned", "key", "delegate"),
    *(
        "delegate_option",
        "backend",
        "recipe",
        "budget",
        "out",
        "json",
        "junit",
        "node_data",
        "overwrite",
    ),
    *(
        "tensorboard",
        "host",
        "port",
        "token_file",
        "isolated",
        "hosts",
        "address",
        "executor",
        "into",
    ),
    *(
        "allow_inconclusive",
        "allow_setup",
        "allow_flex",
        "allow_inaccurate",
        "cache",
        "weight_cache",
    ),
}


def parsed(folder: Path, text: str, *words: str) -> argparse.Namespace:
    (folder / "pyproject.toml").write_text(text, "utf-8")
    args: argparse.Namespace = _parse(list(words))[0]
    return args


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_is_not_given_is_as_the_file_says(tmp_path: Path) -> None:
    text = """
[tool.edgekit]
color = "never"
quiet = true
[tool.edgekit.build]
workers = 2
samples = "s.npz"
max-accuracy-drop = "1%"
quantize = ["int8", "float32"]
keep-going = true
[tool.edgekit.golden]
samples = "g.npz"
"""
    args = parsed(tmp_path, text, "build", "m.keras", "-o", "out")
    assert (args.color, args.quiet, args.workers, args.samples) == ("never", True, 2, "s.npz")
    assert (args.max_accuracy_drop, args.keep_going) == (0.01, True)
    assert args.quantize == ["int8", "float32"]
    given = ("--workers", "1", "--quantize", "float16", "--samples", "t.npz", "--color", "auto")
    args = parsed(tmp_path, text, "build", "m.keras", "-o", "out", *given)
    # What is given replaces it, as whole, even where it is the default.
    assert (args.workers, args.quantize, args.samples, args.color) == (
        1,
        ["float16"],
        "t.npz",
        "auto",
    )
    # An option that is required is not, where the file gives it.
    assert parsed(tmp_path, text, "golden", "m.keras", "-o", "g.npz").samples == "g.npz"
    assert parsed(tmp_path, text, "inspect", "m.tflite").color == "never"


def test_of_a_pipeline_nothing_is_in_its_way(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("m.keras", "s.npz"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "p.toml").write_text('[model]\nfile = "m.keras"\nsamples = "s.npz"\n')
    (tmp_path / "pyproject.toml").write_text(
        '[tool.edgekit.build]\nquantize = ["int8"]\nseconds = 3\nlimit = ["accuracy >= 90%"]\n'
    )
    assert main(["build", "p.toml", "-o", "out", "--dry-run"]) == 0
    assert main(["build", "p.toml", "-o", "out", "--dry-run", "--seconds", "4"]) == 2
    assert "--seconds: received with a pipeline" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[tool.edgekit]\ncolour = 'never'\n",
            "tool.edgekit.colour: received an unknown option.*'color'",
        ),
        (
            "[tool.edgekit]\nworkers = 2\n",
            "tool.edgekit.workers: received one that a file may not set",
        ),
        ("[tool.edgekit.build]\nworkres = 2\n", "build.workres: received an unknown.*'workers'"),
        (
            "[tool.edgekit.build]\nworkers = 'two'\n",
            "build.workers: received 'two', expected a whole number",
        ),
        ("[tool.edgekit.build]\nworkers = true\n", "received True, expected a text or a number"),
        ("[tool.edgekit.build]\nkeep-going = 'yes'\n", "received 'yes', expected true or false"),
        (
            "[tool.edgekit.build]\nquality = 'worst'\n",
            "build.quality: received 'worst', expected one of fast",
        ),
        ("[tool.edgekit.build]\nlimit = ['acuracy >= 1']\n", "build.limit: "),
        (
            "[tool.edgekit.build]\ntrust-code = true\n",
            "trust-code: received one that a file may not set",
        ),
        ("[tool.edgekit]\nbuild = 3\n", "tool.edgekit.build: received 3, expected a table"),
        ("[tool]\nedgekit = 3\n", "tool.edgekit: received 3, expected a table"),
        ("[tool\n", "not TOML"),
        ("x = " + "[" * 5000, "not TOML"),
        ("#" * (1 << 20) + "#\n", "expected 1,048,576 at most"),
    ],
)
def test_what_is_wrong_is_refused(
    tmp_path: Path, text: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RecipeError, match=says):
        parsed(tmp_path, text, "build", "m.keras", "-o", "out")
    assert main(["build", "m.keras", "-o", "out"]) == 2
    assert capfd.readouterr().err.startswith("edgekit: pyproject.toml: ")


def test_other_files_of_that_name_are_nobodys(tmp_path: Path) -> None:
    assert parsed(tmp_path, "[tool.other]\nx = 1\n", "build", "m", "-o", "o").workers == 1
    assert parsed(tmp_path, "tool = 3\n", "build", "m", "-o", "o").workers == 1
    (tmp_path / "pyproject.toml").unlink()
    os.mkfifo(tmp_path / "pyproject.toml")
    assert _parse(["build", "m", "-o", "o"])[0].workers == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_that_runs_code_or_lifts_a_limit_can_be_set(name: str, tmp_path: Path) -> None:
    parser, _ = command(name)
    for option, action in parser._option_string_actions.items():
        if action.dest in NEVER and option.startswith("--"):
            path = tmp_path / "p.toml"
            path.write_text(f'[tool.edgekit.{name}]\n{option[2:]} = "x"\n')
            with pytest.raises(RecipeError, match="that a file may not set"):
                Defaults(parser, name, COMMANDS, path)


def test_every_option_that_may_be_set_is_one_and_none_is_of_those() -> None:
    found = {action.dest for name in COMMANDS for action in command(name)[0]._actions}
    assert found >= OF_ALL | OF_COMMANDS | NEVER
    assert not (OF_ALL | OF_COMMANDS) & NEVER


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    path = Path("any.toml")
    path.write_bytes(b"[tool.edgekit.build]\n" + content)
    parser, _ = command("build")
    with suppress(RecipeError):
        Defaults(parser, "build", COMMANDS, path)


@pytest.mark.processes
def test_quiet(capfd: pytest.CaptureFixture[str], models: Path) -> None:
    file = str(models / "classifier.int8.tflite")
    assert main(["bench", file, "--seconds", "0.01", "--json", "b.json"]) == 0
    assert "classifier.int8" in capfd.readouterr().err
    assert main(["bench", file, "--seconds", "0.01", "--json", "b.json", "-q", "--overwrite"]) == 0
    assert capfd.readouterr() == ("", "")
    assert main(["bench", "none.tflite", "-q"]) == 2
    assert "does not exist" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("colour", "shown"),
    [("always", "\x1b[32mfine\x1b[0m\n"), ("never", "fine\n"), ("auto", "fine\n")],
)
def test_colours(colour: str, shown: str, capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(False, colour=colour)
    console.lines([Styled(("fine", "pass"))])
    console.tell(Styled(("fine", "pass")))
    console.close()
    assert capfd.readouterr() == (shown, shown)


def test_what_is_to_be_known_is_said_to_who_wants_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(False, quiet=True)
    for line in ("at work", Remark("a.tflite: few samples"), "warning: clipped"):
        console.tell(line)
    console.close()
    assert capfd.readouterr().err == "a.tflite: few samples\nwarning: clipped\n"
