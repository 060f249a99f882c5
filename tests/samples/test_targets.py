"""Labels that lie apart: masks, COCO's boxes and arrays, matched with their samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.errors import SamplesError, UsageError
from edgekit.samples import Samples, load_samples
from edgekit.samples.targets import with_labels

Image: Any = needs.package("PIL.Image")


@pytest.fixture
def images(tmp_path: Path) -> Samples:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("b.png", "a.png", "c.jpg"):
        Image.new("L", (6, 4)).save(folder / name)
    return load_samples(folder)


def coco(path: Path, **changes: Any) -> Path:
    content = {
        "images": [
            {"id": 7, "file_name": "c.jpg"},
            {"id": 3, "file_name": "data/b.png"},
            {"id": 5, "file_name": "a.png"},
        ],
        "categories": [{"id": 20, "name": "cat"}, {"id": 10, "name": "dog"}],
        "annotations": [
            {"image_id": 7, "category_id": 20, "bbox": [1, 2, 3, 1.5]},
            {"image_id": 3, "category_id": 10, "bbox": [0, 0, 2, 2], "iscrowd": 1},
            {"image_id": 7, "category_id": 10, "bbox": [0, 1, 2, 3]},
        ],
    }
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_masks_belong_to_the_images_of_their_names(images: Samples, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for value, name in enumerate("abc"):
        Image.new("L", (6, 4), value).save(masks / f"{name}.png")
    palette = Image.new("P", (6, 4), 9)
    palette.putpalette(list(range(30)))
    palette.save(masks / "b.png")
    found = with_labels(images, masks)
    assert found.labels is not None
    assert found.labels.shape == (3, 4, 6)
    np.testing.assert_array_equal(np.asarray(found.labels)[:, 0, 0], [0, 9, 2])
    Image.new("RGB", (6, 4)).save(masks / "b.png")
    with pytest.raises(SamplesError, match=r"b\.png.*one number a pixel"):
        with_labels(images, masks)
    (masks / "b.png").unlink()
    with pytest.raises(SamplesError, match=r"no mask 'b\.png'"):
        with_labels(images, masks)
    with pytest.raises(UsageError, match="folder of images"):
        with_labels(Samples({"x": np.zeros((3, 4, 6, 1))}), masks)


def test_boxes_belong_to_the_images_of_their_names(images: Samples, tmp_path: Path) -> None:
    labels = with_labels(images, coco(tmp_path / "labels.json")).labels
    assert labels is not None
    # In the order of the images: a, b, c; classes in that of the ids.
    expected = np.zeros((3, 2, 6))
    expected[..., 4] = -1
    expected[1, 0] = [0, 0, 2, 2, 0, 1]
    expected[2] = [[1, 2, 4, 3.5, 1, 0], [0, 1, 2, 4, 0, 0]]
    np.testing.assert_array_equal(labels, expected)
    named = with_labels(images, coco(tmp_path / "labels.json"), ["cat", "mouse"]).labels
    assert named is not None
    assert named.shape == (3, 1, 6)
    np.testing.assert_array_equal(named[2, 0], [1, 2, 4, 3.5, 0, 0])


def test_arrays_without_names_are_taken_in_order(tmp_path: Path) -> None:
    samples = Samples({"x": np.zeros((3, 4, 6, 1))})
    labels = with_labels(samples, coco(tmp_path / "labels.json")).labels
    assert labels is not None
    np.testing.assert_array_equal((labels[..., 4] >= 0).sum(1), [2, 1, 0])
    with pytest.raises(SamplesError, match="3 images, expected 2"):
        with_labels(samples[:2], tmp_path / "labels.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "no COCO file"),
        ({"images": [{"id": 1}]}, "'file_name'"),
        ({"images": [{"id": 1, "file_name": "z.png"}]}, "no image called 'a.png'"),
        ({"categories": [{"id": "x"}]}, "categories"),
        ({"annotations": [{"image_id": 7, "category_id": 99, "bbox": [0, 0, 1, 1]}]}, "annotation"),
        ({"annotations": [{"image_id": 7, "category_id": 10, "bbox": [0, 1]}]}, "annotation"),
    ],
)
def test_what_is_no_coco_file_is_refused(
    images: Samples, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SamplesError, match=message):
        with_labels(images, coco(tmp_path / "labels.json", **changes))


def test_classes_that_the_model_does_not_know(images: Samples, tmp_path: Path) -> None:
    with pytest.raises(SamplesError, match="expected some of the model's"):
        with_labels(images, coco(tmp_path / "labels.json"), ["bird"])


def test_labels_of_an_npz_replace_those_of_the_samples(tmp_path: Path) -> None:
    hot = np.array([[1, 1, 0], [0, 0, 1], [0, 1, 1]])
    np.savez(tmp_path / "labels.npz", **{"y": hot, "y/box": np.ones((3, 2, 5))})
    samples = Samples({"x": np.zeros((3, 2))}, np.array([0, 1, 0]), ("a", "b"))
    found = with_labels(samples, tmp_path / "labels.npz")
    np.testing.assert_array_equal(found.labels, hot)
    np.testing.assert_array_equal(found.output_labels["box"], np.ones((3, 2, 5)))
    assert found[1:].output_labels["box"].shape == (2, 2, 5)
    found.save(tmp_path / "all.npz")
    again = load_samples(tmp_path / "all.npz")
    np.testing.assert_array_equal(again.output_labels["box"], np.ones((3, 2, 5)))
    np.savez(tmp_path / "none.npz", x=np.ones(3))
    with pytest.raises(SamplesError, match="expected labels 'y'"):
        with_labels(samples, tmp_path / "none.npz")
    with pytest.raises(SamplesError, match="samples"):
        with_labels(samples[:2], tmp_path / "labels.npz")
    (tmp_path / "bad.json").write_text("[")
    with pytest.raises(SamplesError, match="cannot be read as labels"):
        with_labels(samples, tmp_path / "bad.json")
    (tmp_path / "labels.txt").write_text("")
    with pytest.raises(UsageError, match=r"\.json"):
        with_labels(samples, tmp_path / "labels.txt")
