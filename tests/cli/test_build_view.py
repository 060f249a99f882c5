"""What is shown of a build: a line a step on a terminal, redrawn while it works, and plain lines elsewhere."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.build.steps import Outcome
from edgekit.cli.build_view import BuildView
from edgekit.cli.console import Console
from edgekit.errors import SamplesError
from edgekit.streams import Remark


def play(view: BuildView) -> None:
    view.up_to_date("golden a")
    view.begun("export a/int8", "not done yet")
    view.heard("export a/int8", "calibrate on 40 of 40 samples")
    view.heard("export a/int8", "warning: much is clipped")
    view.heard("export a/int8", Remark("a.int8.tflite: few samples"))
    view.ended(Outcome("export a/int8", "not done yet"))
    view.begun("bench a/int8", "changed: seconds")
    view.ended(Outcome("bench a/int8", "changed: seconds", SamplesError("no samples")))
    view.ended(Outcome("report a/int8", "", missing=("bench a/int8",)))


PLAIN = """\
golden a: up to date
export a/int8: not done yet
export a/int8: calibrate on 40 of 40 samples
export a/int8: warning: much is clipped
export a/int8: a.int8.tflite: few samples
bench a/int8: changed: seconds
bench a/int8: failed: no samples
report a/int8: not begun, for bench a/int8 failed
"""


@pytest.mark.parametrize("many", [True, False])
def test_plain_lines_where_no_terminal_is(many: bool, capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(verbose=False)
    play(BuildView(console, many))
    console.close()
    lines = PLAIN if many else re.sub(r"^export a/int8: (?=cal|war|a\.)", "", PLAIN, flags=re.M)
    assert capfd.readouterr().err == lines


def test_a_line_a_step_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = on_a_terminal(lambda console: play(BuildView(console, many=True)))
    # What a terminal shows in the end: of each line what was written last into its place.
    screen = [
        line.rstrip()
        for whole in shown.replace("\r\n", "\n").split("\n")
        for line in [whole.split("\r")[-1]]
    ]
    assert screen[0] == "golden a: up to date"
    assert screen[1] == "export a/int8: warning: much is clipped"
    assert screen[2] == "export a/int8: a.int8.tflite: few samples"
    assert re.fullmatch(r"export a/int8: done in [\d.]+ s \(not done yet\)", screen[3])
    assert screen[4:] == [
        "bench a/int8: failed: no samples",
        "report a/int8: not begun, for bench a/int8 failed",
        "",
    ]
    # It was there meanwhile.
    assert "\rexport a/int8: calibrate on 40 of 40 samples" in shown


def on_a_terminal(work: Callable[[Console], None]) -> str:
    """What comes to a terminal that is the process's stderr."""
    ours, theirs = pty.openpty()
    saved = os.dup(2)
    os.dup2(theirs, 2)
    os.close(theirs)
    try:
        console = Console(verbose=False)
        work(console)
        console.close()
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    shown = b""
    try:
        while block := os.read(ours, 1 << 16):
            shown += block
    # Linux says so that the other end is closed.
    except OSError:
        pass
    os.close(ours)
    return shown.decode()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("m.keras", "-o", "out"), "--samples is missing"),
        (("p.toml", "-o", "out", "--samples", "s.npz"), "--samples: received with a pipeline"),
        (
            ("p.toml", "-o", "out", "--quantize", "int8", "--unpacked"),
            "--quantize, --unpacked: received",
        ),
        (("p.toml", "-o", "out"), "'p.toml' does not exist"),
        (("p.toml", "-o", "out", "--workers", "two"), "expected a whole number"),
    ],
)
def test_wrong_usage(
    words: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from edgekit.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["build", *words]) == 2
    assert says in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [("--workers", "0"), ("--from", "exprot"), ("--until", "x")])
def test_wrong_choices_of_a_pipeline(
    option: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from edgekit.cli import main

    monkeypatch.chdir(tmp_path)
    for name in ("m.keras", "s.npz"):
        Path(name).write_bytes(b"")
    Path("p.toml").write_text('[model]\nfile = "m.keras"\nsamples = "s.npz"\n')
    assert main(["build", "p.toml", "-o", "out", *option]) == 2
    assert "expected" in capfd.readouterr().err
    assert not Path("out/build.json").exists()
