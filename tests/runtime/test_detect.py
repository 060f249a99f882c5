"""Boxes in a raw image, by the decoder in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs
from support.onnx_files import constant, onnx_file

import edgekit
from edgekit.detection import Yolo
from edgekit.errors import ArtifactError, TensorError, UsageError
from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_onnx
from edgekit.preprocess import Letterbox, Preprocessing, Rescale

STEPS = {"x": Preprocessing((Letterbox(20, 20, fill=0.0), Rescale(1 / 255)))}


@pytest.fixture
def brightness(tmp_path: Path) -> Path:
    """Two boxes, whatever the image; the second one's score is the mean of the letterboxed image."""
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    first = [[10, 10, 10, 4, 0.9, 0.0]]
    node = onnx.helper.make_node
    nodes = [
        constant("first", np.asarray([first], np.float32)),
        constant("box", np.asarray([[[2, 6, 4, 2, 0]]], np.float32)),
        constant("shape", np.asarray([1, 1, 1], np.int64)),
        node("ReduceMean", ["x"], ["mean"], keepdims=1),
        node("Reshape", ["mean", "shape"], ["score"]),
        node("Concat", ["box", "score"], ["second"], axis=2),
        node("Concat", ["first", "second"], ["y"], axis=1),
    ]
    return onnx_file(tmp_path / "two.onnx", nodes, [], x=(1, [1, 20, 20, 3]))


def stored(path: Path, **known: Any) -> Path:
    path.write_bytes(write_onnx(path.read_bytes(), Metadata(**known)))
    return path


def test_boxes_lie_in_the_raw_image(brightness: Path) -> None:
    file = stored(brightness, decoder=Yolo(), preprocessing=STEPS, class_names=("hand", "foot"))
    # 40 x 80 pixels become rows 5 to 15 of 20 x 20: four pixels to one.
    image = np.full((40, 80, 3), 255, np.uint8)
    with edgekit.load(file) as runner:
        assert runner.metadata.decoder == Yolo()
        found = runner.detect(image)
        assert runner.detect(image[None]) == found
    assert [(d.name, d.label) for d in found] == [("hand", 0), ("foot", 1)]
    np.testing.assert_allclose([d.score for d in found], [0.9, 0.5], atol=1e-6)
    np.testing.assert_allclose([d.box for d in found], [(20, 12, 60, 28), (0, 0, 16, 8)])


def test_a_file_without_a_decoder_says_so(brightness: Path) -> None:
    with edgekit.load(brightness) as runner, pytest.raises(UsageError, match=r"export\.decoder"):
        runner.detect(np.zeros((20, 20, 3), np.uint8))


def test_more_than_one_image_is_refused(brightness: Path) -> None:
    with (
        edgekit.load(stored(brightness, decoder=Yolo())) as runner,
        pytest.raises(TensorError, match=r"expected one image, \[height, width, channels\]"),
    ):
        runner.detect(np.zeros((2, 20, 20, 3), np.float32))


def test_metadata_with_a_decoder_survive_and_those_without_stay_as_they_were() -> None:
    metadata = Metadata(decoder=Yolo(coding="grid", strides=(8,)))
    assert Metadata.from_bytes(metadata.to_bytes()) == metadata
    assert b"decoder" not in Metadata().to_bytes()


@pytest.mark.parametrize("decoder", [3, [], {"kind": "?"}, {"kind": "yolo", "strides": [1]}])
def test_metadata_with_a_decoder_that_cannot_be(decoder: Any) -> None:
    with pytest.raises(ArtifactError, match=r"decoder|yolo"):
        Metadata.from_json({**Metadata().to_json(), "decoder": decoder})


def test_a_decoder_in_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        '[decoder]\nkind = "yolo"\ncoding = "grid"\nstrides = [8, 16]\n', encoding="utf-8"
    )
    from edgekit.config import read_toml
    from edgekit.recipe.export import ExportRecipe

    assert read_toml(path, ExportRecipe).decoder == Yolo(coding="grid", strides=(8, 16))
