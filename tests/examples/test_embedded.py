"""The embedded example, as systemd would run it: a process, a FIFO, SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from support import children

CLASSIFY = Path(__file__).parents[2] / "examples" / "embedded" / "classify.py"


def start(model: Path, source: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return children.python(CLASSIFY, model, source, **pipes)


@pytest.fixture
def model(models):
    return models / "classifier.int8.tflite"


@pytest.fixture
def frame(model):
    import edgekit

    with edgekit.load(model) as runner:
        return np.zeros(runner.inputs[0].concrete_shape(), np.uint8).tobytes()


def test_a_recording_gives_a_line_a_frame(model, frame, tmp_path):
    recording = tmp_path / "frames"
    recording.write_bytes(frame * 3 + frame[:5])
    with start(model, recording) as process:
        out, _ = process.communicate(timeout=30)
    lines = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert {"class", "score", "ms"} <= set(lines[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_the_next_frame(model, frame, tmp_path, number):
    fifo = tmp_path / "camera"
    os.mkfifo(fifo)
    with start(model, fifo) as process, fifo.open("wb") as camera:
        camera.write(frame)
        camera.flush()
        first = json.loads(process.stdout.readline())
        assert first["frame"] == 0
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"Traceback" not in err


def test_a_missing_source_is_one_line(model, tmp_path):
    with start(model, tmp_path / "nothing") as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert b"nothing" in err
