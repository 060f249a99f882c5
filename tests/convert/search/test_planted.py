"""The search as a user calls it: a layer that int8 ruins stays in float, and no more than that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.drift.budget import DriftBudget
from edgekit.errors import BudgetError, UndecidedError
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples

pytestmark = pytest.mark.slow

SHAPE = (12, 12, 4)
BUDGET = DriftBudget(min_agreement=0.9)
# Of the same network without the pair that is made hard: what int8 comes to.
INT8_BYTES = {"tflite": 39_200, "onnx": 36_600}
# The pair of dense layers that is made hard, and what they would cost in float: few of all weights.
PAIR = ("squeeze", "answer")


def network(hard: bool) -> Any:
    """Convolutions with nearly all the weights, then two small dense layers.

    Where it is to be hard, a few units between the dense layers are 400 times as large, and read 400 times as
    small: the same function exactly, and one scale for all units leaves nothing of the others.
    """
    import keras

    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = keras.Input(SHAPE, name="x")
    y = keras.layers.Conv2D(48, 3, activation="relu", name="first")(x)
    y = keras.layers.Conv2D(64, 3, activation="relu", name="second")(y)
    y = keras.layers.GlobalAveragePooling2D(name="average")(y)
    y = keras.layers.Dense(16, activation="relu", name=PAIR[0])(y)
    model = keras.Model(x, keras.layers.Dense(6, activation="softmax", name=PAIR[1])(y), name="net")
    before, behind = (model.get_layer(name) for name in PAIR)
    kernel, bias = before.get_weights()
    reading, _ = behind.get_weights()
    inputs = keras.Model(x, model.get_layer("average").output).predict(images(64), verbose=0)
    # Answers that differ from sample to sample, about as often each.
    kernel = rng.normal(0, 1, kernel.shape) / inputs.std(0)[:, None] / 8
    bias = -(inputs @ kernel).mean(0) + 0.5
    reading = rng.normal(0, 1, reading.shape)
    units = np.maximum(inputs @ kernel + bias, 0)
    factors = np.ones(16)
    if hard:
        factors[:2] = 400.0
    before.set_weights([kernel * factors, bias * factors])
    behind.set_weights([reading * 2 / factors[:, None], -(units @ reading).mean(0) * 2])
    return model


def images(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 1, (count, *SHAPE)).astype(np.float32)


def samples(model: Any, count: int) -> Samples:
    """Labelled by the model itself."""
    x = images(count, seed=1)
    return Samples({"x": x}, model.predict(x, verbose=0).argmax(1).astype(np.int64))


def searched(model: Any, folder: Path, budget: DriftBudget = BUDGET, **how: Any) -> Any:
    given = {"samples": samples(model, 800), "calibration": images(128), **how}
    return edgekit.export(model, out=folder, formats=["tflite", "onnx"], budget=budget, **given)


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return searched(network(True), tmp_path_factory.mktemp("hard"), minimise="latency")


def record_of(result: Any, format: str) -> Any:
    (entry,) = (file for file in result.manifest.files if file.artifact.format == format)
    return entry, entry.recipe["search"]


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_only_what_int8_ruins_stays_in_float(hard: Any, format: str) -> None:
    _, record = record_of(hard, format)
    tried = {row["name"].split(".")[1]: row for row in record["tried"]}
    # The export itself refuses a file that answers so far off.
    assert "int8" not in tried
    assert any("int8" in name for name in record["unmade"])
    assert tried["float32"]["verdict"] == "pass"
    whole, least = tried["float32"]["size_bytes"], INT8_BYTES[format]
    mixed = [row for name, row in tried.items() if name.startswith("mixed")]
    good = [row for row in mixed if row["verdict"] == "pass"]
    assert good, "some mixed file meets the budget"
    smallest = min(good, key=lambda row: row["size_bytes"])
    assert (whole - smallest["size_bytes"]) / (whole - least) >= 0.7


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_the_file_that_was_chosen_is_written_and_meets_the_budget(hard: Any, format: str) -> None:
    entry, record = record_of(hard, format)
    (chosen,) = (row for row in record["tried"] if row["chosen"])
    assert chosen["verdict"] == "pass"
    (path,) = (file.path for file in hard if file.format == format)
    assert path.stat().st_size == chosen["size_bytes"] == entry.artifact.size_bytes
    assert path.name == entry.artifact.name
    model, x = network(True), images(200, seed=7)
    with edgekit.load(path) as runner:
        answers = next(iter(runner.infer_batch({"x": x}).values()))
    assert (answers.argmax(1) == model.predict(x, verbose=0).argmax(1)).mean() >= 0.9


def test_nothing_but_the_chosen_files_and_the_manifest_is_written(hard: Any) -> None:
    folder = hard[0].path.parent
    names = {file.artifact.name for file in hard.manifest.files}
    assert {path.name for path in folder.iterdir()} == {*names, "manifest.json"}
    assert len(names) == 2


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_the_record_counts_disjoint_samples(hard: Any, format: str) -> None:
    _, record = record_of(hard, format)
    assert record["searched"] + record["judged"] == 800
    assert record["minimise"] == "latency"
    assert all(row["p50_ms"] > 0 for row in record["tried"])
    assert record["budget"] == ["agreement at least 90.00 %"]


def test_what_is_predicted_of_mixed_files_is_what_is_measured(hard: Any) -> None:
    """The logits of a file that is predicted to be so much more exact are; the answers are after a softmax."""
    for format in ("tflite", "onnx"):
        _, record = record_of(hard, format)
        rows = [row for row in record["tried"] if row["predicted_db"] is not None]
        assert rows
        by_prediction = sorted(rows, key=lambda row: row["predicted_db"])
        assert by_prediction[-1]["searched_db"] >= by_prediction[0]["searched_db"]


@pytest.fixture(scope="module")
def easy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    recipe = ExportRecipe(time_operators=True)
    return searched(network(False), tmp_path_factory.mktemp("easy"), recipe=recipe)


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_an_easy_model_is_wholly_in_int8(easy: Any, format: str) -> None:
    entry, record = record_of(easy, format)
    (chosen,) = (row for row in record["tried"] if row["chosen"])
    (whole,) = (row for row in record["tried"] if row["name"] == f"net.int8.{format}")
    assert entry.artifact.scheme in ("int8", "dynamic")
    assert chosen["left_in_float"] == []
    assert chosen["size_bytes"] <= whole["size_bytes"] <= INT8_BYTES[format]
    assert "timed one by one" in record["costs"]


def test_a_budget_that_nothing_meets_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    model = network(False)
    wrong = samples(model, 200)
    labels = (np.asarray(wrong.labels) + (np.arange(200) % 2)) % 6
    with pytest.raises(BudgetError, match="float32") as caught:
        searched(
            model,
            tmp_path / "out",
            DriftBudget(limits=(edgekit.Limit("accuracy", at_least=0.9),)),
            samples=Samples(wrong.inputs, labels),
        )
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_too_few_samples_decide_nothing(tmp_path: Path) -> None:
    model = network(False)
    with pytest.raises(UndecidedError, match="more samples") as caught:
        searched(model, tmp_path / "out", samples=samples(model, 24))
    assert caught.value.exit_code == 5


def test_the_manifest_reads_back(easy: Any) -> None:
    folder = easy[0].path.parent
    content = json.loads((folder / "manifest.json").read_text())
    assert edgekit.Manifest.from_json(content).to_json() == content
