from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import document
from edgekit.errors import BridgeError, RecipeError, SamplesError, TrainingError, UsageError
from edgekit.models import load
from edgekit.models.objects import from_object
from edgekit.optimize.channels import prune_channels
from edgekit.optimize.cluster import cluster
from edgekit.optimize.prune import prune
from edgekit.recipe import ClusterRecipe, PruneRecipe
from edgekit.samples import Samples

RECIPE = PruneRecipe(0.6, epochs=3, learning_rate=0.001)


def zeros(x: np.ndarray) -> float:
    return float(np.mean(x == 0))


def kernels(model: Any) -> dict[str, np.ndarray]:
    return {
        layer.name: np.asarray(layer.kernel)
        for layer in model.layers
        if getattr(layer, "kernel", None) is not None
    }


@pytest.fixture(scope="module")
def pruned(digits_model: Path, digits: Any) -> Any:
    lines: list[str] = []
    result = prune(load(digits_model), RECIPE, digits.train, lines.append)
    assert len(lines) == 1 + RECIPE.epochs
    return result


def test_the_sparsity_is_reached_in_every_kernel(pruned: Any) -> None:
    found = {name: zeros(x) for name, x in kernels(pruned.source.model).items()}
    assert found == pytest.approx(pruned.sparsity)
    assert set(found) == {"conv1", "conv2", "conv3", "logits"}
    assert all(share == pytest.approx(0.6, abs=0.01) for share in found.values())


def test_the_accuracy_is_roughly_kept(pruned: Any, digits: Any, digits_model: Path) -> None:
    import keras

    test = digits.test

    def accuracy(model: Any) -> float:
        answers = model.predict(test.inputs["image"], verbose=0)
        return float(np.mean(answers.argmax(-1) == test.labels))

    before = accuracy(keras.saving.load_model(digits_model))
    assert accuracy(pruned.source.model) > before - 0.04
    assert pruned.source.flavour == "keras"


def test_the_zeros_are_in_the_exported_file(digits_files: Any) -> None:
    """Counted in the flatbuffer itself: an int8 kernel's zero point is zero."""
    from ai_edge_litert import schema_py_generated as schema

    content = digits_files.path("tflite", "int8", "digits.prune50").read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    int8 = schema.TensorType.INT8
    shares = [
        zeros(np.asarray(model.buffers[tensor.buffer].data).view(np.int8))
        for tensor in model.subgraphs[0].tensors
        if tensor.type == int8
        and len(tensor.shape) > 1
        and model.buffers[tensor.buffer].data is not None
    ]
    assert len(shares) == 4
    assert min(shares) >= 0.499


def test_the_pruned_int8_file_keeps_its_accuracy(digits_files: Any, digits: Any) -> None:
    with edgekit.load(digits_files.path("tflite", "int8", "digits.prune50")) as runner:
        answers = runner.infer_batch(digits.test.inputs)["probabilities"]
    assert np.mean(answers.argmax(-1) == digits.test.labels) > 0.9
    manifest = document.load(digits_files.folder / "manifest.json").to_json()
    row = next(r for r in manifest["files"] if "prune50" in r["path"])
    assert min(row["recipe"]["prune"]["sparsity_by_layer"].values()) >= 0.499


def test_the_original_file_is_not_touched(pruned: Any, digits_model: Path) -> None:
    assert pruned.source.path == digits_model
    assert max(zeros(x) for x in kernels(load(digits_model).model).values()) < 0.01


def test_keras_3_stays_the_processs_keras(pruned: Any) -> None:
    assert pruned is not None
    assert "TF_USE_LEGACY_KERAS" not in os.environ


def images(count: int = 64) -> Samples:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, 6, 6, 2)).astype(np.float32)
    return Samples({"image": x}, (x.mean((1, 2, 3)) > 0).astype(np.int64))


def test_a_model_of_tf_keras(tmp_path: Path) -> None:
    """One that Keras 3 refuses; it is its own twin and is pruned in place."""
    import tf_keras

    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            tf_keras.Input((6, 6, 2), name="image"),
            layers.DepthwiseConv2D(3, name="block/depthwise"),
            layers.Flatten(),
            layers.Dense(8, activation="relu", name="hidden"),
            layers.Dense(2, activation="softmax", name="scores"),
        ]
    )
    model.save(tmp_path / "m.h5")
    source = load(tmp_path / "m.h5")
    assert source.flavour == "tf_keras"
    result = prune(source, PruneRecipe(0.5, epochs=2, batch_size=8), images())
    assert set(result.sparsity) == {"hidden", "scores"}
    found = kernels(result.source.model)
    assert zeros(found["hidden"]) == pytest.approx(0.5, abs=0.01)
    files = edgekit.export(result.source, out=tmp_path / "out", schemes=["float32"])
    with edgekit.load(files[0].path) as runner:
        answers = runner.infer_batch(images().inputs)
    (scores,) = answers.values()
    (expected,) = result.source.call({"image": images().inputs["image"]}).values()
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_depthwise_kernels_are_pruned_where_they_are_named(small: Any, halves: Samples) -> None:
    recipe = PruneRecipe(0.5, layers={"each": 0.75}, epochs=2, batch_size=32)
    result = prune(small, recipe, halves)
    assert set(result.sparsity) == {"first", "each", "mix", "scores"}
    kernel = small.model.get_layer("each").get_weights()[0]
    assert zeros(kernel) == result.sparsity["each"] == pytest.approx(0.75, abs=0.01)


def functional(reloaded: Callable[[Any], Any], last: str | None, units: int) -> Any:
    import keras

    layers = keras.layers
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Dense(8, activation="relu")(layers.Flatten()(image))
    return reloaded(keras.Model(image, layers.Dense(units, activation=last, name="out")(x)))


@pytest.fixture
def reloaded(tmp_path: Path) -> Callable[[Any], Any]:
    def of(model: Any) -> Any:
        model.save(tmp_path / "m.keras")
        return load(tmp_path / "m.keras")

    return of


@pytest.mark.parametrize(("last", "units"), [(None, 2), ("softmax", 2), ("sigmoid", 1), (None, 1)])
def test_logits_probabilities_and_a_single_score(
    reloaded: Callable[[Any], Any], last: str | None, units: int
) -> None:
    source = functional(reloaded, last, units)
    result = prune(source, PruneRecipe(0.5, epochs=2, batch_size=16), images())
    assert min(result.sparsity.values()) >= 0.49


def test_real_labels_in_the_outputs_shape(reloaded: Callable[[Any], Any]) -> None:
    source = functional(reloaded, None, 3)
    given = images()
    labels = np.random.default_rng(0).random((len(given), 3), np.float32)
    result = prune(source, PruneRecipe(0.5, epochs=2, batch_size=16), Samples(given.inputs, labels))
    assert min(result.sparsity.values()) >= 0.49


def test_no_labels(digits_model: Path, digits: Any) -> None:
    source = load(digits_model)
    for data in (None, Samples(digits.train.inputs)):
        with pytest.raises(UsageError, match="no labels to fine-tune with"):
            prune(source, RECIPE, data)


def test_labels_out_of_range(digits_model: Path, digits: Any) -> None:
    labels = digits.train.labels.copy()
    labels[7] = 10
    with pytest.raises(SamplesError, match=r"received 10 at sample 7.*expected 0 to 9"):
        prune(load(digits_model), RECIPE, Samples(digits.train.inputs, labels))


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 50, float("nan")])
def test_a_sparsity_outside_its_range(sparsity: float) -> None:
    with pytest.raises(RecipeError, match=r"sparsity: received .*a share in \[0, 1\)"):
        PruneRecipe(sparsity)


def test_nothing_to_prune(reloaded: Callable[[Any], Any]) -> None:
    import keras

    inputs = keras.Input((6, 6, 2), name="image")
    x = keras.layers.DepthwiseConv2D(3)(inputs)
    source = reloaded(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(UsageError, match="has no layer to prune"):
        prune(source, RECIPE, images())


def test_a_layer_that_cannot_cross_is_named(reloaded: Callable[[Any], Any]) -> None:
    import keras

    inputs = keras.Input((6, 6, 2), batch_size=2, name="image")
    x = keras.layers.Reshape((12, 6))(inputs)
    x = keras.layers.Dense(2)(keras.layers.LSTM(2, stateful=True, name="keeps")(x))
    with pytest.raises(BridgeError, match=r"layer 'keeps' \(LSTM\) is stateful"):
        prune(reloaded(keras.Model(inputs, x)), RECIPE, images())


def test_a_loss_that_is_no_number(reloaded: Callable[[Any], Any]) -> None:
    source = functional(reloaded, None, 3)
    given = images()
    labels = np.full((len(given), 3), 1e38, np.float32)
    with pytest.raises(TrainingError, match="became NaN or infinite"):
        prune(source, RECIPE, Samples(given.inputs, labels))


def test_sparsity_by_layer_and_layers_left_alone(small: Any, halves: Samples) -> None:
    recipe = PruneRecipe(
        0.5, epochs=1, batch_size=32, schedule="constant", layers={"mix": 0.75}, exclude=("scores",)
    )
    lines: list[str] = []
    result = prune(small, recipe, halves, lines.append)
    assert result.sparsity == pytest.approx({"first": 0.5, "mix": 0.75}, abs=0.01)
    assert zeros(kernels(small.model)["scores"]) == 0
    assert lines[0].startswith("expected: ")
    assert result.effect.figures["zeros_share"] == pytest.approx(
        (0.5 * 288 + 0.75 * 256) / (288 + 144 + 256 + 128)
    )


def test_two_zeros_in_four(small: Any, halves: Samples) -> None:
    recipe = PruneRecipe(pattern="2:4", epochs=1, batch_size=32, schedule="constant")
    result = prune(small, recipe, halves)
    assert min(result.sparsity.values()) >= 0.5
    # The first has two input channels only.
    assert result.by_weight == ("first",)
    # Along the inputs of each unit, as kernels for it read them.
    scores = np.asarray(small.model.get_layer("scores").kernel)
    assert (np.count_nonzero(scores.T.reshape(2, -1, 4) == 0, axis=-1) >= 2).all()


def test_blocks(small: Any, halves: Samples) -> None:
    recipe = PruneRecipe(
        0.5, epochs=1, batch_size=32, schedule="constant", block=(4, 1), block_pooling="max"
    )
    result = prune(small, recipe, halves)
    assert result.by_weight == ("first", "mix")
    kernel = np.asarray(small.model.get_layer("scores").kernel)
    blocks = np.count_nonzero(kernel.reshape(16, 4, 2), axis=1)
    assert set(np.unique(blocks)) == {0, 4}


def test_blocks_that_do_not_fit_a_kernel(small: Any, halves: Samples) -> None:
    recipe = PruneRecipe(0.5, epochs=1, batch_size=32, schedule="constant", block=(5, 1))
    result = prune(small, recipe, halves)
    assert result.by_weight == ("first", "mix", "scores")
    assert min(result.sparsity.values()) >= 0.49


def test_blocks_and_a_layer_with_one_unit() -> None:
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, name="mix"), layers.Dense(1, name="value")]
    )
    x = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    data = Samples({"x": x}, x[:, :1])
    recipe = PruneRecipe(0.5, epochs=1, batch_size=32, schedule="constant", block=(4, 1))
    result = prune(from_object(model), recipe, data)
    assert result.by_weight == ("value",)
    assert result.sparsity == {"mix": 0.5, "value": 0.5}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"exclude": ("frist",)}, r"prune.exclude: .*'frist'.*Did you mean 'first'\?"),
        ({"layers": {"mixx": 0.5}}, r"prune.layers: .*'mixx'.*Did you mean 'mix'\?"),
        ({"exclude": ("each",)}, r"no layer 'each' that this could be done to"),
        ({"exclude": ("first", "mix", "scores")}, "leaves no layer"),
        ({"end": 8}, r"at step 8, the training has 8 steps \(1 epochs, batches of 32\)"),
        ({"schedule": "constant", "begin": 20}, "Train for more epochs"),
    ],
)
def test_what_is_asked_in_vain(
    small: Any, halves: Samples, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        prune(small, PruneRecipe(0.5, epochs=1, batch_size=32, **change), halves)


def test_an_autoencoder_needs_no_labels() -> None:
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8,), name="x"),
            layers.Dense(8, "relu", name="code"),
            layers.Dense(8, name="again"),
        ]
    )
    data = Samples({"x": np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)})
    recipe = PruneRecipe(
        0.5, epochs=1, batch_size=32, schedule="constant", channels=0.5, multiple=4
    )
    slimmed = prune_channels(from_object(model), recipe, data)
    assert slimmed.channels == {"code": (8, 4), "again": (8, 8)}
    result = prune(slimmed.source, recipe, data)
    assert result.sparsity == {"code": 0.5, "again": 0.5}
    shared = cluster(slimmed.source, ClusterRecipe(clusters=4, epochs=1), data)
    assert max(shared.distinct.values()) <= 4


def test_a_layer_with_a_pattern_has_its_sparsity(small: Any, halves: Samples) -> None:
    recipe = PruneRecipe(pattern="2:4", layers={"first": 0.25, "scores": 0.8})
    with pytest.raises(UsageError, match=r"'scores' received 0.8, expected 0.5 with .*'2:4'"):
        prune(small, recipe, halves)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"channels": 1.0}, r"channels: received 1.0.*\[0, 1\)"),
        ({"sparsity": 0.5, "layers": {"mix": 2.0}}, r"layers.mix: received 2.0"),
        ({"sparsity": 0.7, "pattern": "2:4"}, "0.5 with the pattern"),
        ({"pattern": "2:4", "block": (4, 1)}, "block: .*none with the pattern"),
        ({"sparsity": 0.5, "layers": {"a": 0.4}, "exclude": ("a",)}, r"layers: received \['a'\]"),
        ({"pattern": "1:4"}, "pattern: received '1:4'"),
        ({"sparsity": 0.5, "schedule": "cubic"}, "schedule: received 'cubic'"),
        ({"sparsity": 0.5, "begin": 5, "end": 5}, "end: received 5, expected above begin 5"),
        ({"sparsity": 0.5, "block": (4,)}, "two numbers"),
        ({"channels": 0.5, "criterion": "l3"}, "expected one of batchnorm, l1, l2"),
        ({"channels": 0.5, "multiple": 0}, "multiple"),
    ],
)
def test_recipes_that_cannot_be(values: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        PruneRecipe(**values)
