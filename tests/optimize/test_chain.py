"""The chain as `edgekit export` runs it: names, files that are taken up again, what is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import OutputExistsError
from edgekit.files import compressed_size
from edgekit.models import load
from edgekit.models.metadata import write
from edgekit.models.source import SourceModel, from_keras
from edgekit.optimize.chain import optimize
from edgekit.optimize.shelf import Shelf
from edgekit.optimize.steps import steps, suffix
from edgekit.recipe import ClusterRecipe, ExportRecipe, PruneRecipe, QatRecipe
from edgekit.samples import Samples

PRUNE = PruneRecipe(
    0.5, channels=0.25, multiple=4, epochs=1, batch_size=32, learning_rate=0.002, end=4
)
CLUSTER = ClusterRecipe(8, epochs=1, batch_size=32)
RECIPE = ExportRecipe(prune=PRUNE, cluster=CLUSTER)

Right = Callable[[SourceModel], float]


def test_names_of_steps() -> None:
    assert suffix(ExportRecipe()) == ""
    assert suffix(ExportRecipe(prune=PruneRecipe(0.8))) == ".prune80"
    whole = replace(RECIPE, qat=QatRecipe())
    assert suffix(whole) == ".channels25.prune50.cluster8.qat"
    assert [step.table for step in steps(whole)] == ["prune", "prune", "cluster", "qat"]


@pytest.fixture(scope="module")
def made(once: Callable[..., Path], small_model: Path, halves: Samples) -> Path:
    """All steps but the training for int8, exported as float32 and int8. Read only."""

    def make(folder: Path) -> None:
        lines: list[str] = []
        edgekit.export(
            small_model,
            out=folder,
            schemes=["float32", "int8"],
            calibration=halves,
            data=halves,
            recipe=RECIPE,
            progress=lines.append,
        )
        (folder / "lines.txt").write_text("\n".join(lines))

    return once("small-chain", make)


def test_every_step_leaves_a_model_that_loads(made: Path, right: Right) -> None:
    widths, zeros, kinds = [], [], []
    for name in ("channels25", "channels25.prune50", "channels25.prune50.cluster8"):
        source = load(made / f"small.{name}.keras")
        assert source.flavour == "keras"
        kernel = np.asarray(source.model.get_layer("mix").kernel)
        widths.append(kernel.shape[-1])
        zeros.append(round(float(np.mean(kernel == 0)), 2))
        kinds.append(len(np.unique(kernel)))
        assert right(source) > 0.9
    assert widths == [12, 12, 12]
    assert zeros[0] == 0
    assert min(zeros[1:]) >= 0.49
    assert kinds[0] > kinds[1] > 8 >= kinds[2]


def test_the_manifest_tells_what_each_step_came_to(made: Path) -> None:
    rows = json.loads((made / "manifest.json").read_text())["files"]
    assert [row["path"] for row in rows] == [
        "small.channels25.prune50.cluster8.float32.tflite",
        "small.channels25.prune50.cluster8.int8.tflite",
    ]
    for row in rows:
        content = (made / row["path"]).read_bytes()
        assert row["compressed_size_bytes"] == compressed_size(content) < row["size_bytes"]
        recipe = row["recipe"]
        assert recipe["optimized"] == ["channels25", "prune50", "cluster8"]
        assert recipe["prune"]["channels_by_layer"]["first"] == [16, 12]
        assert min(recipe["prune"]["sparsity_by_layer"].values()) >= 0.49
        assert max(recipe["cluster"]["distinct_by_layer"].values()) <= 8
        figures = recipe["prune"]["channels_expected"]
        assert figures["macs_after"] < figures["macs_before"]
        # A file's own metadata stay short: they are part of every update.
        assert b"sparsity_by_layer" not in content
        assert b"prune50" in content


def test_what_it_will_bring_is_said_before(made: Path) -> None:
    lines = (made / "lines.txt").read_text().splitlines()
    expected = [i for i, line in enumerate(lines) if line.startswith("expected:")]
    assert ["fewer MACs" in lines[i] for i in expected] == [True, False, False]
    assert "dense kernels as slow" in lines[expected[1]]
    for i in expected:
        assert lines[i + 1].startswith("fine-tune epoch 1/")


@pytest.mark.slow
def test_a_stopped_chain_goes_on_where_it_was(
    made: Path, small_model: Path, halves: Samples, tmp_path: Path
) -> None:
    """Stopped in its last step; the ones before are not done again, and the end is the same."""
    keys: dict[str, Any] = {"folder": tmp_path, "stem": "small", "origin": "same"}
    with pytest.raises(KeyboardInterrupt):
        optimize(load(small_model), RECIPE, halves, shelf=Shelf(**keys), progress=_stop_at("share"))
    assert not (tmp_path / "small.channels25.prune50.cluster8.keras").exists()
    lines: list[str] = []
    result = optimize(load(small_model), RECIPE, halves, shelf=Shelf(**keys), progress=lines.append)
    assert lines[0] == "small.channels25.prune50.keras: as made before"
    assert lines[1].startswith("share 8 weights")
    assert set(result.report["prune"]) > {"channels_by_layer", "sparsity_by_layer"}
    expected = load(made / "small.channels25.prune50.cluster8.keras").model.get_weights()
    for got, wanted in zip(result.source.model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    # All of it lies there now.
    again = optimize(load(small_model), RECIPE, halves, shelf=Shelf(**keys))
    assert again.report == result.report


def _stop_at(word: str) -> Callable[[str], None]:
    def tell(line: str) -> None:
        if line.startswith(word):
            raise KeyboardInterrupt

    return tell


def test_files_of_another_origin_are_neither_taken_nor_replaced(
    made: Path, small_model: Path, halves: Samples, tmp_path: Path
) -> None:
    name = "small.channels25.keras"
    content = (made / name).read_bytes()
    (tmp_path / name).write_bytes(content)
    source = load(small_model)
    for origin in ("another", None):
        with pytest.raises(OutputExistsError, match=r"channels25\.keras"):
            optimize(source, RECIPE, halves, shelf=Shelf(tmp_path, "small", origin))
    assert (tmp_path / name).read_bytes() == content
    (tmp_path / name).write_bytes(content[:-100])
    with pytest.raises(OutputExistsError):
        optimize(source, RECIPE, halves, shelf=Shelf(tmp_path, "small", "another"))


def test_a_model_keeps_what_it_says_about_itself(
    small_model: Path, halves: Samples, tmp_path: Path
) -> None:
    path = tmp_path / "named.keras"
    path.write_bytes(small_model.read_bytes())
    write(path, edgekit.formats.metadata.Metadata(class_names=("upper", "lower")))
    recipe = ExportRecipe(prune=replace(PRUNE, sparsity=None))
    shelf = Shelf(tmp_path, "named", None)
    result = optimize(load(path), recipe, halves, shelf=shelf)
    assert result.source.metadata.class_names == ("upper", "lower")
    assert load(tmp_path / "named.channels25.keras").metadata.class_names == ("upper", "lower")


@pytest.mark.parametrize(
    "recipe",
    [
        ExportRecipe(prune=PruneRecipe(channels=0.5, multiple=1, epochs=1, batch_size=32)),
        ExportRecipe(prune=PruneRecipe(0.5, epochs=1, batch_size=32)),
        ExportRecipe(cluster=ClusterRecipe(8, epochs=1, batch_size=32)),
        ExportRecipe(qat=QatRecipe(epochs=1, batch_size=32)),
    ],
    ids=["channels", "zeros", "clusters", "qat"],
)
def test_the_same_seed_gives_the_same_weights(recipe: ExportRecipe, halves: Samples) -> None:
    import keras

    def weights(drawn_before: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(0)
        layers = keras.layers
        image = keras.Input((8, 8, 2), name="image")
        x = layers.Conv2D(8, 3, activation="relu")(image)
        x = layers.Dropout(0.5)(layers.Flatten()(x))
        model = keras.Model(image, layers.Dense(2, activation="softmax")(x))
        keras.utils.set_random_seed(drawn_before)
        source = from_keras(Path("m.keras"), "keras", model)
        changed = optimize(source, recipe, halves).source.model
        return [np.asarray(weight) for weight in changed.get_weights()]

    for one, other in zip(weights(1), weights(2), strict=True):
        np.testing.assert_array_equal(one, other)
