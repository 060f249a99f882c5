"""The README's commands and Python, run as they stand there."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.cli import main

# The commands of the two blocks, in order.
PIPELINE = ("export", "golden", "compare", "bench", "evaluate", "report")
FROM_DATA = ("train", "tune", "export", "evaluate")

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def commands() -> list[list[str]]:
    """Every `edgekit ...` line of the shell blocks, continuation lines joined."""
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    words = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [line[1:] for line in words if line[:1] == ["edgekit"]]


@pytest.fixture
def workplace(digits_model, tmp_path, monkeypatch):
    """A folder with what the README's user has: model.keras and samples.npz."""
    from edgekit.pipeline.demo import digits

    shutil.copy(digits_model, tmp_path / "model.keras")
    samples = digits().test
    edgekit.Samples({"x": samples.inputs["image"]}, samples.labels).save(tmp_path / "samples.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_shell_commands_do_what_they_say(workplace):
    found = commands()
    assert [line[0] for line in found] == [*PIPELINE, *FROM_DATA]
    for line in found[: len(PIPELINE)]:
        assert main(line) == 0, line
    made = {path.name for path in (workplace / "build").iterdir()}
    assert made >= {
        "model.float32.tflite",
        "model.int8.tflite",
        "model.float32.onnx",
        "model.int8.onnx",
        "manifest.json",
        "golden.npz",
        "drift.json",
        "drift.xml",
        "bench.json",
        "report.html",
    }


def test_from_data_to_a_smaller_model(workplace, digits, monkeypatch, capfd):
    """The commands as they stand, on recordings of tones and on a search of two short trials."""
    recordings = workplace / "fsdd" / "recordings"
    recordings.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for digit, take in itertools.product(range(10), range(12)):
        hertz = 200 * (digit + 1) + rng.uniform(-20, 20)
        tone = 8000 * np.sin(2 * np.pi * hertz * np.arange(4000) / 8000)
        with wave.open(str(recordings / f"{digit}_ann_{take}.wav"), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(tone.astype("<i2").tobytes())
    monkeypatch.setenv("EDGEKIT_DATA", str(workplace))
    examples = workplace / "examples"
    shutil.copytree(README.parent / "examples", examples)
    search = (examples / "tune_digits.toml").read_text()
    shorter = search.replace("trials = 24", "trials = 2").replace("epochs = 10", "epochs = 1")
    assert shorter.count("= 2\n") == shorter.count("= 1\n") == 1
    (examples / "tune_digits.toml").write_text(shorter)
    (workplace / "build" / "demo").mkdir(parents=True)
    digits.train.subset(200).save(workplace / "build" / "demo" / "digits.train.npz")
    for line in commands()[len(PIPELINE) :]:
        capfd.readouterr()
        assert main(line) == 0, line
    evaluation = json.loads(capfd.readouterr().out)
    assert evaluation["artifact"]["path"].endswith("kws.prune80.cluster16.qat.int8.tflite")
    assert evaluation["count"] == 50


def test_python_does_what_it_says(workplace, capsys):
    device, engineer = blocks("python")
    exec(compile(engineer, "README.md", "exec"), {"edgekit": edgekit})
    verdict, drop, p50 = capsys.readouterr().out.split()
    assert verdict in ("pass", "inconclusive")
    assert abs(float(drop)) <= 0.01
    assert float(p50) > 0
    x = np.zeros((1, 8, 8, 1), np.float32)
    names = {"x": x, "q": x.astype(np.int8), "xs": x.repeat(3, 0), "edgekit": edgekit}
    shutil.copy(workplace / "build" / "model.int8.tflite", workplace)
    exec(compile(device, "README.md", "exec"), names)
    assert names["scores"]["probabilities"].dtype == np.float32
    assert names["raw"]["probabilities"].dtype == np.int8
    assert names["many"]["probabilities"].shape == (3, 10)
    assert len(names["best"]) == 3
    assert names["answer"]["probabilities"].shape == (1, 10)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text("utf-8")):
        assert (README.parent / target).exists(), target


def test_commands_named_in_the_text_exist():
    from edgekit.cli import COMMANDS

    named = set(re.findall(r"`edgekit (\w+)", README.read_text("utf-8")))
    assert named <= set(COMMANDS)
    assert {"inspect", "doctor", "devices"} <= named
