"""The loop that draws boxes: frames of a recording, of a camera, and what is drawn."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import children
from support.patience import patience

import edgekit
from edgekit.detection import DecodedBoxes, Detection
from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_tflite
from edgekit.preprocess import Preprocessing, Rescale, Resize

# They start processes.
pytestmark = pytest.mark.processes

FOLDER = Path(__file__).parents[2] / "examples" / "embedded"
SHAPE = (12, 16, 5)
PIPES = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
# What edgekit's loop asks of picamera2; the frames are those of a file.
PICAMERA2 = """
import numpy as np
class Picamera2:
    def create_video_configuration(self, main):
        assert main["format"] == "BGR888"
        return main
    def configure(self, main):
        width, height = main["size"]
        self.frames = iter(np.fromfile("frames", np.uint8).reshape(-1, height, width, 5))
    def start(self):
        print("on")
    def stop(self):
        print("off")
    def close(self):
        print("closed")
    def capture_array(self, stream):
        assert stream == "main"
        try:
            return next(self.frames)
        except StopIteration:
            raise OSError("no more frames") from None
"""


@pytest.fixture
def detector(models: Path, tmp_path: Path) -> Path:
    """A file that knows its decoder, that raw frames are scaled to its size, and its classes."""
    boxes = DecodedBoxes(
        boxes="boxes",
        scores="scores",
        classes="classes",
        count="count",
        layout="yxyx",
        score_threshold=0.0,
    )
    steps = Preprocessing((Resize(2, 2), Rescale(1 / 255)))
    metadata = Metadata(("cat", "dog"), {"image": steps}, decoder=boxes)
    path = tmp_path / "detector.tflite"
    content = (models / "detector.float32.tflite").read_bytes()
    path.write_bytes(write_tflite(content, metadata))
    return path


@pytest.fixture
def frames(tmp_path: Path) -> np.ndarray:
    corners = np.random.default_rng(0).integers(0, 256, (8, 2, 2, SHAPE[2])).astype(np.uint8)
    found = corners.repeat(SHAPE[0] // 2, axis=1).repeat(SHAPE[1] // 2, axis=2)
    found.tofile(tmp_path / "frames")
    return found


def run(folder: Path, *words: object) -> tuple[int, bytes, str]:
    more = {"PYTHONPATH": str(folder)}
    with children.python(
        FOLDER / "detect.py", *words, "--shape", "12,16,5", environment=more, cwd=folder, **PIPES
    ) as process:
        out, err = process.communicate(timeout=patience(120))
    return process.returncode, out, err.decode()


def test_a_recording_gives_the_boxes_of_the_runner(
    detector: Path, frames: np.ndarray, tmp_path: Path
) -> None:
    with edgekit.load(detector) as runner:
        expected = [runner.detect(frame) for frame in frames]
    scores = sorted(each.score for found in expected for each in found)
    assert len(scores) > 3
    least = scores[1]
    words = (detector, "frames", "--threshold", repr(least), "--draw", "drawn")
    code, out, err = run(tmp_path, *words)
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(8))
    for line, found in zip(lines, expected, strict=True):
        kept = [each for each in found if each.score >= least]
        assert [each["class"] for each in line["objects"]] == [each.name for each in kept]
        for row, each in zip(line["objects"], kept, strict=True):
            np.testing.assert_allclose(row["box"], each.box, atol=0.051)
    assert (tmp_path / "drawn").stat().st_size == frames.nbytes
    # With pictures on standard output the words are elsewhere.
    code, out, err = run(tmp_path, *words[:-1], "-")
    assert code == 0
    assert out == (tmp_path / "drawn").read_bytes()
    said = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert [line["objects"] for line in said] == [line["objects"] for line in lines]


def test_a_camera_is_on_as_long_as_the_loop_runs(
    detector: Path, frames: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "picamera2.py").write_text(PICAMERA2)
    code, out, err = run(tmp_path, detector, "picamera2")
    assert (code, err.splitlines()[-1]) == (1, "detect: no more frames")
    first, *lines, off, closed = out.decode().splitlines()
    assert (first, off, closed) == ("on", "off", "closed")
    with edgekit.load(detector) as runner:
        for line, frame in zip(lines, frames, strict=True):
            found = [each for each in runner.detect(frame) if each.score >= 0.5]
            assert len(json.loads(line)["objects"]) == len(found)


def test_without_picamera2_it_says_what_to_install(detector: Path, tmp_path: Path) -> None:
    (tmp_path / "picamera2.py").write_text("raise ImportError('no libcamera')")
    code, _, err = run(tmp_path, detector, "picamera2")
    assert code == 1
    assert "no libcamera" in err
    assert "apt-get install python3-picamera2" in err
    assert "Traceback" not in err


def test_a_file_without_a_decoder_is_one_line(models: Path, tmp_path: Path) -> None:
    np.zeros(8 * 8, np.uint8).tofile(tmp_path / "frame")
    with children.python(
        FOLDER / "detect.py", models / "classifier.int8.tflite", tmp_path / "frame", **PIPES
    ) as process:
        _, err = process.communicate(timeout=patience(120))
    assert process.returncode == 1
    assert b"decoder" in err
    assert b"Traceback" not in err


def test_who_looks_may_leave(detector: Path, frames: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "frames").write_bytes(frames.tobytes() * 200)
    words = (detector, tmp_path / "frames", "--shape", "12,16,5", "--draw", "-")
    with children.python(FOLDER / "detect.py", *words, **PIPES) as process:
        process.stdout.read(1)
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=patience(120))
    assert process.returncode == 0, err
    assert b"Exception" not in err


def test_a_signal_ends_it(detector: Path) -> None:
    words = (detector, "-", "--shape", "12,16,5")
    with children.python(FOLDER / "detect.py", *words, **PIPES) as process:
        process.stdin.write(bytes(12 * 16 * 5))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["frame"] == 0
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=patience(120))
    assert process.returncode == 0
    assert b"Traceback" not in err


def test_lines_lie_inside_of_the_box_and_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    for name in ("detect", "loop", "camera"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import detect

    frame = np.zeros((10, 12, 3), np.uint8)
    box = Detection("cat", 0.9, (2.2, 1.0, 9.9, 8.0), 1)
    drawn = detect.with_boxes(frame, [box], width=1)
    assert not frame.any()
    expected = np.zeros((10, 12), bool)
    expected[1:8, 2:10] = True
    expected[2:7, 3:9] = False
    np.testing.assert_array_equal(drawn.any(-1), expected)
    assert set(map(tuple, drawn[expected])) == {detect.COLOURS[1]}
    # One that leaves the frame, as decoders may find.
    outside = Detection("dog", 0.5, (-4.0, -3.0, 40.0, 5.0), 0)
    grey = detect.with_boxes(frame[..., :1], [outside], width=2)
    expected = np.zeros((10, 12), bool)
    expected[:5] = True
    expected[2:3, 2:12] = False
    np.testing.assert_array_equal(grey[..., 0] > 0, expected)
