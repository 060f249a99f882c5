"""Commands on folders and recipes in the place of samples, without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_tflite
from edgekit.preprocess import Preprocessing, Rescale, Resize

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def file(models: Path, tmp_path: Path) -> Path:
    """A classifier that says it takes images of any size, halved, and names its classes."""
    steps = Preprocessing((Resize(8, 8, "nearest"), Rescale(0.5)))
    about = Metadata(class_names=NAMES, preprocessing={"image": steps})
    path = tmp_path / "classifier.float32.tflite"
    path.write_bytes(write_tflite((models / path.name).read_bytes(), about))
    return path


@pytest.fixture
def folder(file: Path, tmp_path: Path) -> Path:
    """A class folder of images of two sizes, in the classes that the file finds in them."""
    module = needs.package("PIL.Image")
    rng = np.random.default_rng(0)
    with edgekit.load(file) as runner:
        for i in range(40):
            image = rng.integers(0, 16, (16 + i % 2, 16, 1)).astype(np.uint8)
            ((name, _),) = runner.classify(image[None])
            (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
            module.fromarray(image[..., 0]).save(tmp_path / "set" / name / f"{i}_{i % 4}.png")
    return tmp_path / "set"


def test_a_folder_serves_as_samples(command, file: Path, folder: Path, tmp_path: Path) -> None:
    evaluation = command("evaluate", file, "--samples", folder).json()
    assert (evaluation["accuracy"], evaluation["count"]) == (1.0, 40)
    assert [row["name"] for row in evaluation["per_class"]] == list(NAMES)
    out, golden = tmp_path / "out.npz", tmp_path / "golden.npz"
    assert command("run", file, "--samples", folder, "-o", out).code == 0
    with np.load(out) as arrays:
        assert arrays["digit"].shape == (40, 5)
    assert command("golden", file, "--samples", folder, "-o", golden).code == 0
    drift = command("compare", file, "--golden", golden).json()
    assert drift["candidates"][0]["task"]["candidate"] == 1.0
    one = next(folder.rglob("*.png"))
    assert command("run", file, "--samples", one, "-o", out, "--overwrite").code == 0


def test_a_recipe_serves_as_its_test_samples(command, fails, file: Path, folder: Path) -> None:
    recipe = folder.parent / "r.toml"
    recipe.write_text("[data]\ntrain = 'set'\ntest_pattern = '_0[.]png$'\n")
    evaluation = command("evaluate", file, "--samples", recipe).json()
    assert (evaluation["accuracy"], evaluation["count"]) == (1.0, 10)
    recipe.write_text("[data]\ntrain = 'set'\n")
    assert "keeps no test samples apart" in fails(2, "evaluate", file, "--samples", recipe)
    recipe.write_text("[data]\ntrain = 'set'\nlabel_pattern = 'x'\n")
    assert "a group in parentheses" in fails(2, "evaluate", file, "--samples", recipe)


def test_data_that_cannot_be_used_end_with_a_message(
    fails, file: Path, folder: Path, tmp_path: Path
) -> None:
    evaluate = ("evaluate", file, "--samples")
    (folder / "a" / "broken.png").write_bytes(b"no image")
    assert "broken.png: cannot be read as an image" in fails(1, *evaluate, folder)
    (folder / "a" / "broken.png").unlink()
    (folder / "a").rename(folder / "aa")
    assert "class 'aa': the model has no such class" in fails(1, *evaluate, folder)
    (tmp_path / "empty").mkdir()
    assert "holds no images" in fails(1, *evaluate, tmp_path / "empty")
    assert "have no labels" in fails(2, *evaluate, folder / "aa")
    assert "does not exist" in fails(2, *evaluate, tmp_path / "nowhere")
