"""Three reports of real comparisons, as the pictures in docs/: on a desk, in the dark, on a phone.

Needs Chromium, the extras `report` and `images`, and the folder of data that the tests read
(``EDGEKIT_DATA``): MNIST's test images, and two pairs of TFLite files, float and int8, that other
people made.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgekit
from edgekit import document
from edgekit.report import write_report

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import needs  # noqa: E402
from support.browser import Browser, chromium  # noqa: E402

# Name of the picture, the pair's float and int8 file, width in pixels, height, dark.
REPORTS = (
    ("report-conv", "conv_fc_mnist.tflite", "conv_fc_mnist_srq_a8w8.tflite", 1200, 2250, False),
    ("report-dark", "conv_fc_mnist.tflite", "conv_fc_mnist_srq_a8w8.tflite", 1200, 1150, True),
    ("report-phone", "trained_lstm.tflite", "trained_lstm_int8.tflite", 390, 1700, False),
)
SAMPLES = 10_000


def main(docs: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for name, reference, candidate, width, height, dark in REPORTS:
            page = report(Path(folder) / name, reference, candidate)
            picture(browser, page, docs / f"{name}.png", width, height, dark)


def report(folder: Path, reference: str, candidate: str) -> Path:
    """Compare a pair on MNIST's test images, time both files, and write the page."""
    folder.mkdir()
    models = needs.data() / "models" / "mnist_tflite_pairs"
    with edgekit.load(models / reference) as float32, edgekit.load(models / candidate) as int8:
        (spec,) = float32.inputs
        shape = tuple(size for size in spec.shape[1:] if size is not None)
        inputs = (images() / 255).astype(np.float32).reshape(-1, *shape)
        samples = edgekit.Samples({spec.name: inputs}, labels())
        golden = edgekit.Golden.of(float32, samples).save(folder / "golden.npz")
        budget = edgekit.DriftBudget(max_accuracy_drop=0.01)
        drift = edgekit.compare(golden, [int8], budget)
        bench = edgekit.benchmark([float32, int8])
    document.write(folder / "drift.json", drift.to_json())
    document.write(folder / "bench.json", bench.to_json())
    paths = (folder / "drift.json", folder / "bench.json")
    write_report(paths, folder / "report.html", golden=folder / "golden.npz")
    return folder / "report.html"


def picture(
    browser: Browser, page: Path, output: Path, width: int, height: int, dark: bool
) -> None:
    """The upper part of a page, in 128 colours: a third of the size, and no eye sees it."""
    from PIL import Image

    browser.open(page, width, dark=dark)
    browser.picture(output, height)
    with Image.open(output) as shot:
        shot.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(output, optimize=True)
    print(f"{output}: {output.stat().st_size / 1000:.1f} KB")


def images() -> NDArray[np.uint8]:
    return read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[:SAMPLES]


def labels() -> NDArray[np.int64]:
    return read("t10k-labels-idx1-ubyte.gz", 8).astype(np.int64)[:SAMPLES]


def read(name: str, header: int) -> NDArray[Any]:
    """The bytes of an IDX file after its header (http://yann.lecun.com/exdb/mnist)."""
    with gzip.open(needs.data() / "mnist" / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


if __name__ == "__main__":
    main(ROOT / "docs")
