"""The loop that hears words: overlapping windows, means, a threshold that holds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import children
from support.patience import patience

import edgekit
from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_tflite
from edgekit.preprocess import FixedLength, Preprocessing, Rescale

# They start processes.
pytestmark = pytest.mark.processes

FOLDER = Path(__file__).parents[2] / "examples" / "embedded"
PIPES = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
NAMES = ("yes", "no", "hum")


@pytest.fixture(scope="module")
def listen() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        for name in ("listen", "loop"):
            patch.delitem(sys.modules, name, raising=False)
        import listen

        yield listen


@pytest.fixture
def model(models: Path, tmp_path: Path) -> Path:
    """Three scores of six samples of sound, made louder first."""
    steps = Preprocessing((FixedLength(6), Rescale(4.0)))
    path = tmp_path / "words.tflite"
    content = (models / "dynamic.float32.tflite").read_bytes()
    path.write_bytes(write_tflite(content, Metadata(NAMES, {"signal": steps})))
    return path


def run(*words: object, given: bytes = b"") -> tuple[int, list[dict[str, Any]], str]:
    with children.python(FOLDER / "listen.py", *words, **PIPES) as process:
        out, err = process.communicate(given, timeout=patience(120))
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


def test_each_hop_the_last_window_is_classified(model: Path, tmp_path: Path) -> None:
    sound = np.random.default_rng(0).integers(-32768, 32768, 41).astype("<i2")
    (tmp_path / "sound").write_bytes(sound.tobytes())
    # 12 samples a second: windows of 6, a new one every 2; what is torn at the end is none.
    words = ("--rate", 12, "--window", 0.5, "--hop", 0.16667, "--mean", 2)
    score = 0.2
    limits = ("--threshold", score, "--release", score)
    code, lines, err = run(model, tmp_path / "sound", *words, *limits, "--ignore", "hum")
    assert code == 0, err
    before = np.zeros(6, np.float32)
    padded = np.concatenate([before, sound.astype(np.float32) / 32768])
    expected, held, last = [], set(), dict.fromkeys(NAMES, 0.0)
    with edgekit.load(model) as runner:
        for end in range(2, 41, 2):
            window = padded[end : end + 6]
            scores = dict(runner.classify(window[None], top=3))
            now = {name for name in NAMES if (scores[name] + last[name]) / 2 >= score}
            expected += [(end / 12, name) for name in NAMES[:2] if name in now - held]
            held, last = now, scores
    assert len(expected) > 3
    found = [(line["seconds"], line["class"]) for line in lines]
    assert sorted(found) == [(round(seconds, 3), name) for seconds, name in sorted(expected)]


def test_one_word_is_one_line(listen: Any) -> None:
    words = listen.Words(mean=2, threshold=0.6, release=0.3, ignored=["hum"])
    scores = [0.9, 0.9, 0.9, 0.5, 0.9, 0.0, 0.5, 0.0, 0.9, 0.9]
    heard = [words.heard({"yes": score, "hum": 1.0}) for score in scores]
    begins = [at for at, found in enumerate(heard) if found]
    # Means: 0.45 0.9 0.9 0.7 0.7 0.45 0.25 0.25 0.45 0.9
    assert begins == [1, 9]
    assert heard[1] == [("yes", pytest.approx(0.9))]


@given(
    st.lists(st.floats(0, 1), max_size=40),
    st.integers(1, 5),
    st.floats(0.01, 1),
    st.floats(0, 1),
)
def test_between_two_of_a_word_it_was_released(
    listen: Any, scores: list[float], mean: int, threshold: float, share: float
) -> None:
    release = threshold * share
    words = listen.Words(mean, threshold, release, [])
    begins = [at for at, score in enumerate(scores) if words.heard({"yes": score})]
    padded = [0.0] * (mean - 1) + scores
    means = [sum(padded[at : at + mean]) / mean for at in range(len(scores))]
    assert all(means[at] >= threshold for at in begins)
    for first, second in pairwise(begins):
        assert any(each < release for each in means[first + 1 : second + 1])
    if any(each >= threshold for each in means):
        assert begins[0] == next(at for at, each in enumerate(means) if each >= threshold)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--hop", 2), 2, "0 < --hop <= --window"),
        (("--release", 0.9), 2, "--release: expected no more than --threshold"),
        (("--ignore", "cough"), 1, "received cough, expected some of hum, no, yes"),
        (("--window", 60.0), 0, ""),
    ],
)
def test_wrong_input_is_one_message(
    model: Path, words: tuple[object, ...], code: int, message: str
) -> None:
    done, _, err = run(model, "-", "--rate", 12, *words, given=bytes(48))
    assert done == code
    assert message in err
    assert "Traceback" not in err


def test_a_signal_ends_the_wait_for_sound(model: Path) -> None:
    more = ("--rate", "12", "--mean", "1", "--threshold", "0", "--release", "0")
    with children.python(FOLDER / "listen.py", model, "-", *more, **PIPES) as process:
        process.stdin.write(bytes(6))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["seconds"] == 0.25
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=patience(120))
    assert process.returncode == 0
    assert b"Traceback" not in err
