"""The embedded example, as systemd would run it: a process, a FIFO, SIGTERM."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from support import children
from support.patience import patience

from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_tflite
from edgekit.preprocess import Preprocessing, Rescale, Resize

# They start processes.
pytestmark = pytest.mark.processes

CLASSIFY = Path(__file__).parents[2] / "examples" / "embedded" / "classify.py"


def start(
    model: Path, source: Path | str, *more: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return children.python(CLASSIFY, model, source, *more, **pipes)


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
        out, _ = process.communicate(timeout=patience(30))
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
        _, err = process.communicate(timeout=patience(30))
    assert process.returncode == 0
    assert b"Traceback" not in err


def test_a_missing_source_is_one_line(model, tmp_path):
    with start(model, tmp_path / "nothing") as process:
        _, err = process.communicate(timeout=patience(30))
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert b"nothing" in err


@pytest.fixture
def prepared(model, tmp_path):
    """The same file, which knows that raw pixels are divided by 255 and scaled to its size, and its classes."""
    steps = Preprocessing((Resize(8, 8), Rescale(16 / 255)))
    metadata = Metadata(tuple(f"digit {k}" for k in range(5)), {"x": steps})
    path = tmp_path / "prepared.tflite"
    path.write_bytes(write_tflite(model.read_bytes(), metadata))
    return path


def test_stored_steps_and_class_names_are_used(prepared, tmp_path):
    import edgekit

    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 12, 1)).astype(np.uint8)
    recording = tmp_path / "frames"
    recording.write_bytes(frames.tobytes())
    with edgekit.load(prepared) as runner:
        expected = [runner.classify(frame[None])[0] for frame in frames]
    with start(prepared, recording, "--shape", "16,12,1") as process:
        out, err = process.communicate(timeout=patience(60))
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["class"] for line in lines] == [name for name, _ in expected]
    assert all(name.startswith("digit ") for name, _ in expected)
    np.testing.assert_allclose([x["score"] for x in lines], [s for _, s in expected], atol=1e-4)
    # Of a class that is not sure enough nothing is said.
    middle = sorted(score for _, score in expected)[2]
    more = ("--shape", "16,12,1", "--threshold", str(middle))
    with start(prepared, recording, *more) as process:
        out, _ = process.communicate(timeout=patience(60))
    named = [json.loads(line)["class"] for line in out.splitlines()]
    assert named == [name if score >= middle else None for name, score in expected]


def test_frames_that_the_steps_cannot_take_are_one_line(model, frame, tmp_path):
    recording = tmp_path / "frames"
    recording.write_bytes(frame)
    with start(model, recording, "--shape", "4,4,1") as process:
        _, err = process.communicate(timeout=patience(60))
    assert process.returncode == 1
    assert b"frames of [4, 4, 1] become [4, 4, 1], expected [8, 8, 1]" in err
    assert b"Traceback" not in err


def test_it_outlives_its_camera(model, frame, tmp_path):
    fifo = tmp_path / "camera"
    os.mkfifo(fifo)
    with start(model, fifo) as process:
        for number in range(3):
            # Each camera tears its last frame.
            with fifo.open("wb") as camera:
                camera.write(frame + frame[:7])
                camera.flush()
                assert json.loads(process.stdout.readline())["frame"] == number
            said = iter(process.stderr.readline, b"")
            assert any(b"the source is gone" in line for line in said)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=patience(60))
    assert process.returncode == 0


def test_a_signal_is_heard_while_no_camera_is_there(model, tmp_path):
    fifo = tmp_path / "camera"
    os.mkfifo(fifo)
    with start(model, fifo) as process:
        until_it_waits(process.pid)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=patience(60))
    assert process.returncode == 0
    assert b"Traceback" not in err


def until_it_waits(pid: int) -> None:
    """Until it has the FIFO open, and so nothing more to do before it waits."""
    opened = Path(f"/proc/{pid}/fd")
    while True:
        # One that was closed since it was listed is gone.
        with contextlib.suppress(FileNotFoundError):
            if any(each.readlink().name == "camera" for each in opened.iterdir()):
                return
        time.sleep(0.02)


def test_standard_input_ends_it(model, frame):
    with start(model, "-") as process:
        out, _ = process.communicate(frame * 2, timeout=patience(60))
    assert process.returncode == 0
    assert [json.loads(line)["frame"] for line in out.splitlines()] == [0, 1]


def test_systemd_is_told_that_it_is_ready_and_alive(model, frame, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = "\0edgekit-" + tmp_path.name + str(os.getpid())
        systemd.bind(address)
        systemd.settimeout(120)
        # Silence of the camera is none of the program: it goes on telling.
        variables = {"NOTIFY_SOCKET": address.replace("\0", "@"), "WATCHDOG_USEC": "400000"}
        fifo = tmp_path / "camera"
        os.mkfifo(fifo)
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        with children.python(CLASSIFY, model, fifo, environment=variables, **pipes) as process:
            assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", *[b"WATCHDOG=1"] * 2]
            with fifo.open("wb") as camera:
                camera.write(frame)
                camera.flush()
                assert json.loads(process.stdout.readline())["frame"] == 0
            assert systemd.recv(100) == b"WATCHDOG=1"
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=patience(120))
        assert process.returncode == 0
