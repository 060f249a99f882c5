"""Channels that are removed: what belongs together goes together, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.models.source import SourceModel, from_keras
from edgekit.optimize.channels import prune_channels, slim
from edgekit.optimize.coupling import couple
from edgekit.optimize.graph import graph_of
from edgekit.optimize.rebuild import rebuild
from edgekit.recipe import PruneRecipe
from edgekit.samples import Samples

HALF = PruneRecipe(channels=0.5, multiple=1, epochs=2, learning_rate=0.002)

Layers = Any


def source_of(model: Any, flavour: str = "keras") -> SourceModel:
    """With weights and statistics that no two channels share."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) / 8 for w in model.get_weights()])
    return from_keras(Path("m.keras"), flavour, model)


def plain(layers: Layers, x: Any) -> Any:
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.MaxPooling2D(name="pool")(layers.ReLU(name="relu")(x))
    return layers.Conv2D(6, 3, activation="relu", name="second")(x)


def residual(layers: Layers, x: Any) -> Any:
    x = layers.Conv2D(8, 1, name="stem")(x)
    for i in range(2):
        y = layers.Conv2D(8, 3, padding="same", activation="relu", name=f"a{i}")(x)
        x = layers.Add(name=f"add{i}")([x, layers.Conv2D(8, 3, padding="same", name=f"b{i}")(y)])
    return x


def depthwise(layers: Layers, x: Any) -> Any:
    x = layers.Conv2D(6, 1, name="wide")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="each")(x)
    x = layers.BatchNormalization(name="norm")(x)
    return layers.SeparableConv2D(8, 3, depth_multiplier=2, name="separable")(x)


def joined(layers: Layers, x: Any) -> Any:
    a = layers.Conv2D(6, 1, activation="relu", name="left")(x)
    b = layers.Conv2D(4, 1, activation="relu", name="right")(x)
    x = layers.Concatenate(name="both")([a, b, a])
    return layers.Conv2DTranspose(6, 2, strides=2, name="turned")(x)


def shaped(layers: Layers, x: Any) -> Any:
    x = layers.Conv2D(6, 1, name="images")(x)
    x = layers.Conv1D(6, 3, name="rows")(layers.Reshape((36, 6), name="flat")(x))
    return layers.Reshape((1, -1), name="one")(layers.Reshape((204,), name="line")(x))


GRAPHS = {f.__name__: f for f in (plain, residual, depthwise, joined, shaped)}


def model_of(keras: Any, name: str) -> Any:
    layers = keras.layers
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Flatten(name="flatten")(GRAPHS[name](layers, image))
    x = layers.Dense(6, activation="relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="scores")(x), name=name)


def answers(source: SourceModel, x: np.ndarray) -> np.ndarray:
    (result,) = source.call({"image": x}).values()
    return np.asarray(result)


@settings(max_examples=20)
@given(
    st.sampled_from(sorted(GRAPHS)),
    st.sampled_from(["keras", "tf_keras"]),
    st.integers(0, 2**32 - 1),
)
def test_channels_that_say_nothing_can_go(name: str, flavour: str, seed: int) -> None:
    """Any channels: with their makers' outputs zero, the model answers the same without them."""
    keras = __import__(flavour)
    source = source_of(model_of(keras, name), flavour)
    graph = graph_of(source)
    coupling = couple(graph)
    rng = np.random.default_rng(seed)
    roots = {int(r) for atoms in coupling.made.values() for r in coupling.roots(atoms)}
    free = sorted(root for root in roots if not coupling.locked(root))
    gone = {root for root in free if rng.random() < 0.4}
    # One channel of each layer stays.
    gone -= {int(coupling.roots(atoms)[0]) for atoms in coupling.made.values()}
    for layer in source.model.layers:
        atoms = coupling.made.get(layer.name, coupling.scaled.get(layer.name))
        if atoms is None:
            continue
        silent = np.array([int(root) in gone for root in coupling.roots(atoms)])
        weights = layer.get_weights()
        if layer.name in coupling.scaled:
            # gamma and beta
            weights[0], weights[1] = weights[0] * ~silent, weights[1] * ~silent
        else:
            kernel = 1 if type(layer).__name__.startswith("Separable") else 0
            axis = -2 if type(layer).__name__.endswith("Transpose") else -1
            shape = [1] * weights[kernel].ndim
            shape[axis] = len(silent)
            weights[kernel] = weights[kernel] * ~silent.reshape(shape)
            if len(weights) > kernel + 1:
                weights[-1] = weights[-1] * ~silent
        layer.set_weights(weights)
    x = rng.random((3, 6, 6, 2), np.float32)
    small = rebuild(source, graph, coupling, gone)
    # Scores of large sums: other shapes are added up in another order.
    np.testing.assert_allclose(answers(small, x), answers(source, x), atol=1e-4)
    assert [layer.name for layer in small.model.layers] == [
        layer.name for layer in source.model.layers
    ]
    assert small.inputs == source.inputs
    assert small.outputs == source.outputs
    if gone:
        assert small.model.count_params() < source.model.count_params()


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_both_flavours_lose_the_same(name: str) -> None:
    import keras
    import tf_keras

    first = slim(source_of(model_of(keras, name)), HALF)
    second = slim(source_of(model_of(tf_keras, name), "tf_keras"), HALF)
    assert first.channels == second.channels
    assert first.effect == second.effect
    assert first.effect.figures["macs_after"] < first.effect.figures["macs_before"] / 1.5
    x = np.random.default_rng(0).random((2, 6, 6, 2), np.float32)
    np.testing.assert_allclose(answers(first.source, x), answers(second.source, x), atol=1e-5)


@pytest.mark.parametrize("criterion", ["l1", "l2", "batchnorm"])
def test_the_weakest_go(criterion: str) -> None:
    import keras

    source = source_of(model_of(keras, "plain"))
    norm, first = source.model.get_layer("norm"), source.model.get_layer("first")
    weak = [1, 3, 4, 6]
    if criterion == "batchnorm":
        norm.gamma.assign([0.01 if i in weak else -1.0 for i in range(8)])
    else:
        kernel = np.array(first.kernel)
        kernel[..., weak] *= 0.1
        first.kernel.assign(kernel)
    small = slim(source, PruneRecipe(channels=0.5, multiple=1, criterion=criterion))
    kept = [0, 2, 5, 7]
    np.testing.assert_array_equal(
        small.source.model.get_layer("first").kernel, np.array(first.kernel)[..., kept]
    )


def test_what_stays_is_a_multiple(digits_model: Path) -> None:
    from edgekit.models import load

    source = load(digits_model)
    small = slim(source, PruneRecipe(channels=0.4, multiple=8))
    assert small.channels == {
        "conv1": (16, 8),
        "conv2": (32, 16),
        "conv3": (48, 32),
        "logits": (10, 10),
    }
    kept = slim(source, PruneRecipe(channels=0.5, multiple=8, exclude=("conv2",)))
    assert kept.channels["conv2"] == (32, 32)


def test_half_of_the_channels_and_most_of_the_accuracy(digits_model: Path, digits: Any) -> None:
    from edgekit.models import load
    from edgekit.optimize.objective import Teacher

    source = load(digits_model)
    lines: list[str] = []
    recipe = PruneRecipe(channels=0.5, multiple=1, epochs=3, batch_size=32, learning_rate=0.003)
    small = prune_channels(source, recipe, digits.train, lines.append, teacher=Teacher(source))
    assert "fewer MACs" in lines[0]
    assert len(lines) == 1 + recipe.epochs
    x = np.asarray(digits.test.inputs["image"])
    labels = small.source.model.predict(x, verbose=0).argmax(-1)
    assert np.mean(labels == digits.test.labels) > 0.9
    # The model that was given is as it was.
    assert source.model.get_layer("conv1").filters == 16
    assert small.source.model.count_params() < source.model.count_params() / 3


def test_layers_that_need_all_channels_keep_them() -> None:
    import keras

    layers = keras.layers
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(8, 3, name="free")(image)
    x = layers.Conv2D(8, 3, name="needed")(x)
    x = layers.LayerNormalization(name="normalise")(x)
    x = layers.Dense(3, name="scores")(layers.GlobalAveragePooling2D()(x))
    small = slim(source_of(keras.Model(image, x)), HALF)
    assert small.channels == {"free": (8, 4), "needed": (8, 8), "scores": (3, 3)}
    assert small.blocking == {"normalise": "LayerNormalization"}


def test_a_graph_without_removable_channels_names_the_layer() -> None:
    import keras

    layers = keras.layers
    image = keras.Input((6, 6, 2), name="image")
    x = layers.LayerNormalization(name="normalise")(layers.Conv2D(8, 3)(image))
    source = source_of(keras.Model(image, layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(UsageError, match=r"none that can be removed: layer 'normalise'"):
        slim(source, HALF)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (PruneRecipe(channels=0.1, multiple=2), "a multiple of 2"),
        (PruneRecipe(channels=0.5, exclude=("secnod",)), r"'secnod'.*Did you mean 'second'\?"),
    ],
)
def test_what_is_asked_in_vain(recipe: PruneRecipe, says: str) -> None:
    import keras

    with pytest.raises(UsageError, match=says):
        slim(source_of(model_of(keras, "plain")), recipe)


def test_a_model_without_a_graph() -> None:
    import keras

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 3), np.float32))
    source = SourceModel(Path("own.keras"), "keras", model, (), (), lambda x: dict(x), ())
    with pytest.raises(UsageError, match="no Sequential or Functional model"):
        prune_channels(source, HALF, Samples({"x": np.zeros((2, 3))}, np.array([0, 1])))
