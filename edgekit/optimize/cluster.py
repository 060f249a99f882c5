"""Clustering with tensorflow-model-optimization: kernels that hold a few distinct values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import TrainingError, UsageError, require
from edgekit.models.bridge import copy_back, to_tf_keras
from edgekit.models.source import SourceModel
from edgekit.optimize.effects import Effect, of_clusters
from edgekit.optimize.finetune import fine_tune
from edgekit.optimize.fold import fold_batchnorm, kernel_of, set_offset
from edgekit.optimize.names import check_layers
from edgekit.optimize.objective import Teacher, trainable
from edgekit.optimize.tfmot import tfmot
from edgekit.recipe import ClusterRecipe
from edgekit.samples import Samples

_PURPOSE = "Clustering"

CLUSTERED = (
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "Dense",
    "Embedding",
)

# A kernel with more zeros than this was pruned, and keeps them.
_PRUNED_SHARE = 0.1


@dataclass(frozen=True)
class Clustered:
    """A model with shared weights.

    Attributes:
        source: of the flavour that went in.
        distinct: how many different values each clustered kernel holds, by layer name.
        effect: what that brings, as told before.
    """

    source: SourceModel
    distinct: dict[str, int]
    effect: Effect


def cluster(
    source: SourceModel,
    recipe: ClusterRecipe,
    data: Samples | None,
    progress: Callable[[str], None] | None = None,
    *,
    teacher: Teacher | None = None,
) -> Clustered:
    """Let each kernel share `recipe.clusters` values, found by k-means++ and fine-tuned.

    Scales of BatchNormalization are folded into the kernels first (`edgekit.optimize.fold`), so that
    the values are still shared in the exported file. A kernel that was pruned keeps its zeros,
    which are one of the values. The model in `source` is changed in place.

    Args:
        source: a model of Keras 3, or tf_keras' own.
        recipe: how many values, which layers not, and the fine-tuning.
        data: samples as `fine_tune` takes them.
        progress: called with a line of text for what it will bring, and for each epoch.
        teacher: a model to distil from as well.

    Raises:
        UsageError: there are no labels, no layer to cluster, or none of a name given.
        BridgeError: a Keras 3 model that cannot be carried to tf_keras and back.
        TrainingError: the loss became NaN or infinite, or a kernel has too many values.
    """
    data = trainable("clustering", source, data, teacher)
    tf_keras = require("tf_keras", "export", _PURPOSE)
    wrapper = tfmot("clustering.keras.cluster_wrapper", _PURPOSE)
    twin = to_tf_keras(source)
    model = twin.source.model
    chosen = _chosen(model, recipe)
    effect = of_clusters(twin.source, chosen, recipe.clusters)
    if progress:
        progress(effect.text)
    offsets = fold_batchnorm(twin.source)
    zeros = {name: np.asarray(kernel_of(model.get_layer(name))) == 0 for name in chosen}
    adding = _offset_layer(tf_keras)
    # What tfmot makes of a layer loses its kernel while it trains.
    order = {layer.name: list(layer._trainable_weights) for layer in model.layers}

    def wrap(layer: Any) -> Any:
        if layer.name in offsets:
            return adding(offsets[layer.name], name=layer.name)
        if layer.name not in chosen:
            return layer
        wrapped = wrapper.ClusterWeights(
            layer,
            recipe.clusters,
            preserve_sparsity=bool(zeros[layer.name].mean() > _PRUNED_SHARE),
        )
        if type(layer).__name__ == "DepthwiseConv2D":
            # tfmot leaves these out of its registry.
            layer.get_clusterable_weights = lambda: [("depthwise_kernel", layer.depthwise_kernel)]
        return wrapped

    tf_keras.utils.set_random_seed(recipe.seed)
    shared = tf_keras.models.clone_model(model, clone_function=wrap)
    fine_tune(shared, twin.source, data, recipe, teacher=teacher, progress=progress)
    distinct = {}
    for layer in shared.layers:
        if isinstance(layer, wrapper.ClusterWeights):
            inner = layer.layer
            kernel = _unwrap(layer, order[inner.name])
            distinct[inner.name] = len(np.unique(kernel))
            lost = (
                int(np.count_nonzero(kernel[zeros[inner.name]])) if layer.preserve_sparsity else 0
            )
            if distinct[inner.name] > recipe.clusters or lost:
                raise TrainingError(
                    f"clustering: layer {inner.name!r} holds {distinct[inner.name]} distinct weights and "
                    f"lost {lost} zeros, expected at most {recipe.clusters} and none."
                )
        elif isinstance(layer, adding):
            set_offset(model.get_layer(layer.name), layer.offset.numpy())
    copy_back(twin)
    return Clustered(source, distinct, effect)


def _chosen(model: Any, recipe: ClusterRecipe) -> list[str]:
    known = [layer.name for layer in model.layers if type(layer).__name__ in CLUSTERED]
    if not known:
        raise UsageError(
            f"clustering: {model.name!r} has no layer to cluster, expected one of "
            f"{', '.join(CLUSTERED)}."
        )
    check_layers("cluster.exclude", recipe.exclude, known)
    chosen = [name for name in known if name not in recipe.exclude]
    # Few values need no clusters, and k-means++ wants more of them than centroids.
    return [
        name
        for name in chosen
        if len(np.unique(np.asarray(kernel_of(model.get_layer(name))))) > recipe.clusters
    ]


def _unwrap(wrapped: Any, order: list[Any]) -> Any:
    """Give the inner layer its kernel back, with shared values; returns them."""
    wrapped.update_clustered_weights_associations()
    inner = wrapped.layer
    for name, variable in wrapped.original_clusterable_weights.items():
        variable.assign(np.asarray(getattr(inner, name)))
        setattr(inner, name, variable)
    inner._trainable_weights[:] = order
    return np.asarray(kernel_of(inner))


def _offset_layer(tf_keras: Any) -> Any:
    class Offset(tf_keras.layers.Layer):  # type: ignore[misc]
        """Adds a trainable number to each channel: what is left of a BatchNormalization."""

        def __init__(self, offset: Any, name: str) -> None:
            super().__init__(name=name)
            start = tf_keras.initializers.Constant(offset)
            self.offset = self.add_weight("offset", offset.shape, initializer=start)

        def call(self, inputs: Any) -> Any:
            return inputs + self.offset

    return Offset
