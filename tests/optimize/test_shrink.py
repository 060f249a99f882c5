"""Kernels that are cut: what stays lies where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import RecipeError, UsageError
from edgekit.models.source import SourceModel, from_keras
from edgekit.optimize.channels import slim
from edgekit.optimize.graph import graph_of
from edgekit.optimize.shrink import windows
from edgekit.optimize.steps import suffix
from edgekit.recipe import ExportRecipe, PruneRecipe


def network(keras: Any, kind: str, size: int, places: int, stride: int, **given: Any) -> Any:
    axes = int(kind[-2])
    image = keras.Input((*[places] * axes, 2), name="image")
    count = {} if kind.startswith("Depthwise") else {"filters": 4}
    options = {"padding": "same", "use_bias": False, "name": "looks", **given}
    layer = getattr(keras.layers, kind)(kernel_size=size, strides=stride, **count, **options)
    return keras.Model(image, layer(image))


def answers(source: SourceModel, x: np.ndarray) -> np.ndarray:
    (result,) = source.call({"image": x}).values()
    return np.asarray(result)


@settings(max_examples=15)
@given(
    st.sampled_from(["Conv1D", "Conv2D", "DepthwiseConv2D", "Conv3D"]),
    st.sampled_from(["keras", "tf_keras"]),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(4, 7),
    st.integers(1, 3),
)
def test_without_products_that_were_zero_nothing_changes(
    kind: str, flavour: str, size: int, less: int, places: int, stride: int
) -> None:
    """Strides, odd and even kernels: zeros outside of what stays can go."""
    model = network(__import__(flavour), kind, size, places, stride)
    source = from_keras(Path("m.keras"), flavour, model)
    after = max(1, size - less)
    axes = int(kind[-2])
    asked = {"looks": (after,) * axes}
    window = windows(graph_of(source), asked)["looks"]
    kernel = np.zeros(model.get_layer("looks").get_weights()[0].shape, np.float32)
    rng = np.random.default_rng(0)
    kernel[window] = rng.random(kernel[window].shape, np.float32)
    model.get_layer("looks").set_weights([kernel])
    small = slim(source, PruneRecipe(kernels=asked))
    x = rng.random((2, *[places] * axes, 2), np.float32)
    np.testing.assert_allclose(answers(small.source, x), answers(source, x), atol=1e-5)
    assert small.kernels == {"looks": ([size] * axes, [after] * axes)}
    assert small.effect.figures["macs_after"] * size**axes == pytest.approx(
        small.effect.figures["macs_before"] * after**axes
    )


def test_kernels_and_channels_at_once(digits_model: Path) -> None:
    from edgekit.models import load

    asked = PruneRecipe(channels=0.5, multiple=8, kernels={"conv2": (1, 3)})
    small = slim(load(digits_model), asked)
    layer = small.source.model.get_layer("conv2")
    assert np.asarray(layer.kernel).shape == (1, 3, 8, 16)
    assert layer.output.shape[1:3] == load(digits_model).model.get_layer("conv2").output.shape[1:3]


@pytest.mark.parametrize(
    ("kernels", "given", "says"),
    [
        ({"lokos": (1, 1)}, {}, r"prune.kernels.*'lokos'.*Did you mean 'looks'\?"),
        ({"looks": (4, 1)}, {}, r"kernels of \[3, 3\], received \[4, 1\]"),
        ({"looks": (1,)}, {}, r"received \[1\], expected 2 numbers"),
        ({"looks": (1, 1)}, {"padding": "valid"}, "the padding 'valid'"),
        ({"looks": (1, 1)}, {"dilation_rate": 2}, r"the dilation \[2, 2\]"),
    ],
)
def test_what_cannot_be_cut(kernels: Any, given: Any, says: str) -> None:
    import keras

    model = network(keras, "Conv2D", 3, 6, 1, **given)
    with pytest.raises(UsageError, match=says):
        slim(from_keras(Path("m.keras"), "keras", model), PruneRecipe(kernels=kernels))


def test_recipes() -> None:
    assert suffix(ExportRecipe(prune=PruneRecipe(kernels={"a": (1, 1)}))) == ".kernels"
    both = PruneRecipe(kernels={"a": (1, 1)}, channels=0.5)
    assert suffix(ExportRecipe(prune=both)) == ".channels50"
    with pytest.raises(RecipeError, match=r"kernels.a: received .*numbers of at least 1"):
        PruneRecipe(kernels={"a": (0, 1)})
