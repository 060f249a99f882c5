from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.errors import RecipeError, UsageError
from edgekit.models.bridge import to_tf_keras
from edgekit.models.source import SourceModel
from edgekit.optimize.cluster import cluster
from edgekit.optimize.fold import fold_batchnorm, kernel_of
from edgekit.optimize.prune import prune
from edgekit.recipe import ClusterRecipe, PruneRecipe
from edgekit.samples import Samples

RECIPE = ClusterRecipe(6, epochs=1, batch_size=32, learning_rate=0.001)

Right = Callable[[SourceModel], float]


def distinct(source: SourceModel) -> dict[str, int]:
    return {
        layer.name: len(np.unique(np.asarray(kernel_of(layer))))
        for layer in source.model.layers
        if kernel_of(layer) is not None
    }


def test_each_kernel_shares_its_values_even_in_the_file(
    small: SourceModel, halves: Samples, right: Right, tmp_path: Path
) -> None:
    """BatchNormalization's factors would make six values six for each channel."""
    before, lines = right(small), []
    result = cluster(small, RECIPE, halves, lines.append)
    assert "6 values a kernel" in lines[0]
    assert result.source.flavour == "keras"
    assert set(result.distinct) == {"first", "each", "mix", "scores"}
    assert result.distinct == distinct(result.source)
    assert max(result.distinct.values()) <= 6
    assert right(result.source) > before - 0.05

    from ai_edge_litert import schema_py_generated as schema

    (file,) = edgekit.export(result.source, out=tmp_path, schemes=["float32"])
    model = schema.ModelT.InitFromPackedBuf(Path(file.path).read_bytes(), 0)
    shared = [
        len(np.unique(np.asarray(model.buffers[tensor.buffer].data).view(np.float32)))
        for tensor in model.subgraphs[0].tensors
        if len(tensor.shape) > 1 and model.buffers[tensor.buffer].data is not None
    ]
    assert len(shared) == 4
    assert max(shared) <= 6


def test_zeros_of_a_pruned_kernel_stay(small: SourceModel, halves: Samples) -> None:
    recipe = PruneRecipe(0.6, epochs=2, batch_size=32, exclude=("scores",))
    prune(small, recipe, halves)
    zeros = np.asarray(small.model.get_layer("mix").kernel) == 0
    result = cluster(small, replace(RECIPE, exclude=("scores",)), halves)
    mix = np.asarray(result.source.model.get_layer("mix").kernel)
    assert (mix[zeros] == 0).all()
    assert zeros.mean() >= 0.59
    assert len(np.unique(mix)) <= 6
    assert "scores" not in result.distinct
    assert distinct(result.source)["scores"] > 6


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_folding_changes_weights_and_no_answer(
    small: SourceModel, halves: Samples, flavour: str
) -> None:
    source = small if flavour == "keras" else to_tf_keras(small).source
    x = {"image": halves.inputs["image"][:8]}
    (before,) = source.call(x).values()
    offsets = fold_batchnorm(source)
    assert set(offsets) == {"norm1", "norm2"}
    (after,) = source.call(x).values()
    np.testing.assert_allclose(after, before, atol=1e-5)
    norm = source.model.get_layer("norm1")
    factor = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    # Equal for all channels is what counts.
    assert np.ptp(factor) == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"exclude": ("frist",)}, r"'frist'.*Did you mean 'first'\?"),
        ({}, "no labels to fine-tune with"),
    ],
)
def test_what_cannot_be(
    small: SourceModel, halves: Samples, change: dict[str, tuple[str, ...]], says: str
) -> None:
    data = halves if change else Samples(halves.inputs)
    with pytest.raises(UsageError, match=says):
        cluster(small, replace(RECIPE, **change), data)


@pytest.mark.parametrize("clusters", [0, 2, 257])
def test_too_few_or_too_many(clusters: int) -> None:
    with pytest.raises(RecipeError, match=r"clusters: received .*from 3 to 256"):
        ClusterRecipe(clusters)
