"""Targets: labels that lie apart from the samples: masks as PNG files, COCO's boxes, arrays in an ``.npz``."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError, UsageError, placed, wrong_ending
from edgekit.files import existing
from edgekit.samples.images import mask_size, read_mask
from edgekit.samples.lazy import FileArray, LazyArray
from edgekit.samples.limits import require_file
from edgekit.samples.reading import UNREADABLE, labels_of
from edgekit.samples.samples import Samples

# Numbers of a box: left, top, right, bottom, class, and 1 for a crowd.
_BOX = 6
NOTHING = -1
"""The class of a box that only fills up."""


def with_labels(
    samples: Samples, path: str | os.PathLike[str], class_names: Sequence[str] = ()
) -> Samples:
    """The samples with the labels that a file or folder holds, in the place of their own.

    A folder of PNG files: a mask for each image, called like it, whose values number classes; 255 for none.
    ``.json``: COCO's annotations, whose boxes become (samples, boxes, 6): left, top, right and bottom edge in
    pixels of the image, class, and 1 for a crowd; class -1 fills up. ``.npz``: ``y``, and ``y/<output>`` for
    single outputs, in any usual form.

    Args:
        samples: of masks and COCO's boxes images in files, whose names tell which label is whose.
        path: of the labels.
        class_names: of the model's classes, by number; COCO's categories are matched by name, and
            numbered in the order of their ids if there are none.

    Raises:
        UsageError: nothing is there, or it is none of these.
        SamplesError: it cannot be read, or does not belong to the samples.
        MissingDependencyError: masks without Pillow.
    """
    path = existing(path, "labels")
    try:
        require_file(path)
        if path.is_dir():
            return _replaced(samples, _masks(path, samples))
        if path.suffix.lower() == ".json":
            return _replaced(
                samples, _boxes(json.loads(path.read_text("utf-8")), samples, class_names)
            )
        if path.suffix.lower() == ".npz":
            labels, own = labels_of(path)
            return replace(samples, labels=labels, output_labels=own, class_names=())
    except SamplesError as error:
        raise SamplesError(placed(path, error)) from error
    except (*UNREADABLE, RecursionError) as error:
        raise SamplesError(f"{path}: cannot be read as labels ({error}).") from error
    raise wrong_ending(path, path.suffix, (".npz", ".json"), ", or a folder of PNG masks")


def _replaced(samples: Samples, labels: Any) -> Samples:
    return replace(samples, labels=labels, class_names=())


def _names(samples: Samples) -> list[str] | None:
    """The names of the samples' files; None where they are none."""
    if len(samples.inputs) != 1:
        return None
    (files,) = samples.inputs.values()
    return files.names if isinstance(files, FileArray) else None


def _masks(folder: Path, samples: Samples) -> LazyArray:
    names = _names(samples)
    if names is None:
        raise UsageError(
            f"labels: {folder} is a folder of masks, expected samples that are a folder of images with the "
            "same names. Of arrays, give the masks in an .npz, as 'y'."
        )
    found = [str(PurePosixPath(name).with_suffix(".png")) for name in names]
    for name, mask in zip(names, found, strict=True):
        if not (folder / mask).is_file():
            raise SamplesError(f"has no mask {mask!r} for the image {name!r}.")
        require_file(folder / mask)
    sizes = {mask_size(folder / mask) for mask in found}
    sample = next(iter(sizes)) if len(sizes) == 1 else (None, None)
    return FileArray(folder, found, read_mask, sample, np.uint8, "Masks are of several sizes.")


def _boxes(content: Any, samples: Samples, class_names: Sequence[str]) -> NDArray[np.float64]:
    """COCO's boxes, image by image in the order of the samples."""
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    ):
        raise SamplesError(
            "is no COCO file: expected a JSON object with lists 'images', 'annotations' and 'categories'."
        )
    numbers = _numbers(content["categories"], class_names)
    images = _images(content["images"], samples)
    rows: dict[Any, list[list[float]]] = defaultdict(list)
    for each in content["annotations"]:
        try:
            left, top, width, height = (float(value) for value in each["bbox"])
            number = numbers[each["category_id"]]
            crowd = float(bool(each.get("iscrowd", 0)))
        except (KeyError, TypeError, ValueError) as error:
            raise SamplesError(
                f"annotation {str(each)[:80]}: expected 'image_id', a known 'category_id', and 'bbox' with left, "
                f"top, width and height ({type(error).__name__}: {error})."
            ) from error
        if number is not None:
            rows[each["image_id"]].append([left, top, left + width, top + height, number, crowd])
    most = max((len(rows[image]) for image in images), default=0)
    boxes = np.zeros((len(images), max(most, 1), _BOX))
    boxes[:, :, 4] = NOTHING
    for number, image in enumerate(images):
        if rows[image]:
            boxes[number, : len(rows[image])] = rows[image]
    return boxes


def _numbers(categories: list[Any], class_names: Sequence[str]) -> dict[Any, int | None]:
    """Of each category's id the class's number; None for one that the model does not know."""
    try:
        named = sorted((int(each["id"]), str(each["name"])) for each in categories)
    except (KeyError, TypeError, ValueError) as error:
        raise SamplesError(
            f"its categories: expected 'id' and 'name' in each ({error})."
        ) from error
    if not class_names:
        return {key: number for number, (key, _) in enumerate(named)}
    known = {name: number for number, name in enumerate(class_names)}
    if not any(name in known for _, name in named):
        raise SamplesError(
            f"its categories are {', '.join(name for _, name in named)[:200]}, expected some of the model's "
            f"classes: {', '.join(class_names)[:200]}."
        )
    return {key: known.get(name) for key, name in named}


def _images(images: list[Any], samples: Samples) -> list[Any]:
    """The id of each sample's image."""
    try:
        ids = {str(each["file_name"]): each["id"] for each in images}
    except (KeyError, TypeError) as error:
        raise SamplesError(
            f"its images: expected 'id' and 'file_name' in each ({error})."
        ) from error
    names = _names(samples)
    if names is None:
        if len(images) != len(samples):
            raise SamplesError(
                f"has {len(images)} images, expected {len(samples)}, as many as there are samples: they are "
                "arrays without names, and are taken in the same order."
            )
        return [each["id"] for each in images]
    short = {PurePosixPath(name).name: key for name, key in ids.items()}
    found = []
    for name in names:
        key = ids.get(name, short.get(PurePosixPath(name).name))
        if key is None:
            raise SamplesError(f"has no image called {name!r}.")
        found.append(key)
    return found
