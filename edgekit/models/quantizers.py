"""Quantisers: what a model's weights and activations go through while it learns to live with int8.

They are tensorflow-model-optimization's kind, so that models with them are saved and loaded as its
own are. Its default ranges begin at [-6, 6] and follow the data by a thousandth a step, which a
short fine-tuning on images of 0 to 255 never catches up with; these begin at measured ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

from edgekit.errors import require

_PURPOSE = "Quantisation-aware training"
_BASE = "tensorflow_model_optimization.python.core"
# Integers of weights are symmetric, -127 to 127: a sign flips without loss, as folding may ask.
_BITS = 8

# Layers in a file that tell of quantisation-aware training.
QUANTIZING_LAYERS = {
    "QuantizeLayer",
    "QuantizeWrapper",
    "QuantizeWrapperV2",
    "EdgekitQuantizeActivation",
    "EdgekitQuantizeLayer",
}


def is_quantized(model: Any) -> bool:
    """Whether a model was made for quantisation-aware training, by edgekit or with tfmot itself."""
    return any(type(layer).__name__ in QUANTIZING_LAYERS for layer in getattr(model, "layers", ()))


@contextmanager
def keras_kept() -> Iterator[None]:
    """Import tensorflow-model-optimization without what it does to the process.

    It switches all of the process to legacy Keras when it is imported. tf_keras is named outright
    here, and Keras 3 has to stay what it is for everybody else.
    """
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("TF_USE_LEGACY_KERAS", None)
        else:
            os.environ["TF_USE_LEGACY_KERAS"] = before


@contextmanager
def quantizers_known() -> Iterator[None]:
    """Let tf_keras load files of quantisation-aware models, with tfmot's classes or with ours."""
    with keras_kept():
        quantize = require(f"{_BASE}.quantization.keras.quantize", "export", _PURPOSE)
        base = f"{_BASE}.quantization.keras.collab_opts"
        registries = [
            require(
                f"{base}.{option}_preserve.{option}_preserve_quantize_registry", "export", _PURPOSE
            )
            for option in ("cluster", "prune")
        ]
    tf_keras = require("tf_keras", "export", _PURPOSE)
    # Those of tfmot's preserving variants, which its own scope leaves out.
    found = {
        name: value
        for registry in registries
        for name, value in vars(registry).items()
        if isinstance(value, type) and value.__module__ == registry.__name__
    }
    ours = quantizer_classes()
    found.update((cls.__name__, cls) for cls in vars(ours).values())
    # tfmot's own in all but that it can be loaded from a .keras file.
    found["QuantizeLayer"] = ours.activation
    with quantize.quantize_scope(), tf_keras.utils.custom_object_scope(found):
        yield


@cache
def quantizer_classes() -> SimpleNamespace:
    """Ours, which derive from tfmot's and are made when they are first needed.

    `range` and `weights` are quantisers, `config` says what of a layer is quantised, `activation` and
    `layer` are the layers that do it.
    """
    tf = require("tensorflow", "export", _PURPOSE)
    with keras_kept():
        parts = {
            name: require(f"{_BASE}.quantization.keras.{name}", "export", _PURPOSE)
            for name in ("quantizers", "quantize_config", "quantize_layer", "quantize_wrapper")
        }

    class Range(parts["quantizers"].Quantizer):  # type: ignore[misc]
        """One range for a tensor, which is learned along with the weights.

        The ends are those given times e to the power of a trained number each, so that a step of
        the optimiser means the same to a range of [0, 1] and to one of [0, 255]. Gradients of ends
        are those of what lies beyond them (Jain et al., "Trained Quantization Thresholds for Accurate
        and Efficient Fixed-Point Inference of Deep Neural Networks", 2020).

        Args:
            lowest, highest: the ends to begin with; zero lies between them.
            fixed: the range is what interpreters prescribe, as for softmax. It is left out of training,
                where rounding small probabilities to zero would hide what was wrong.
        """

        def __init__(self, lowest: float, highest: float, fixed: bool = False) -> None:
            self.lowest, self.highest, self.fixed = lowest, highest, fixed

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            del tensor_shape
            if self.fixed:
                return {}
            growth = layer.add_weight(f"{name}_growth", (2,), initializer="zeros", trainable=True)
            return {"growth": growth}

        def __call__(self, inputs: Any, training: bool, weights: dict[str, Any], **_: Any) -> Any:
            ends = tf.constant([self.lowest, self.highest], tf.float32)
            if self.fixed:
                if training:
                    return inputs
            else:
                ends *= tf.exp(weights["growth"])
            return tf.quantization.fake_quant_with_min_max_vars(
                inputs, ends[0], ends[1], num_bits=_BITS
            )

        def get_config(self) -> dict[str, Any]:
            return {"lowest": self.lowest, "highest": self.highest, "fixed": self.fixed}

    class Weights(parts["quantizers"].Quantizer):  # type: ignore[misc]
        """A symmetric range for each output channel of a kernel: as far as its weights reach.

        Args:
            axes: those of the kernel along which channels are counted: (3,) for a convolution,
                (2, 3) for a depthwise one.
            sparse: weights that are zero at the beginning stay zero.
            clusters: how many shared values the kernel holds; they are trained, and each weight
                stays with its value. 0 for a kernel without.
        """

        def __init__(self, axes: tuple[int, ...], sparse: bool = False, clusters: int = 0) -> None:
            self.axes, self.sparse, self.clusters = tuple(axes), sparse, clusters

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            made = {}
            if self.sparse:
                made["mask"] = layer.add_weight(
                    f"{name}_mask", tensor_shape, initializer="ones", trainable=False
                )
            if self.clusters:
                made["values"] = layer.add_weight(
                    f"{name}_values", (self.clusters,), initializer="zeros", trainable=True
                )
                made["members"] = layer.add_weight(
                    f"{name}_members",
                    tensor_shape,
                    initializer="zeros",
                    trainable=False,
                    dtype=tf.int32,
                )
            return made

        def effective(self, kernel: Any, weights: dict[str, Any]) -> Any:
            """The kernel as it is used, before it is rounded."""
            if self.clusters:
                # The kernel itself rests; a product with zero keeps it in the graph of gradients.
                kernel = tf.gather(weights["values"], weights["members"]) + 0.0 * kernel
            return kernel * weights["mask"] if self.sparse else kernel

        def __call__(self, inputs: Any, training: bool, weights: dict[str, Any], **_: Any) -> Any:
            del training
            kernel = self.effective(inputs, weights)
            axes = range(len(kernel.shape))
            order = [axis for axis in axes if axis not in self.axes] + list(self.axes)
            # TensorFlow rounds by the last axis. What is in place already stays as it is, which is
            # also what TensorFlow's own converter can follow.
            in_place = order == list(axes) and len(self.axes) == 1 and len(axes) in (2, 4)
            moved = kernel if in_place else tf.transpose(kernel, order)
            flat = moved if in_place else self._by_channel(moved)
            # A channel of zeros has a range all the same.
            reach = tf.reduce_max(tf.abs(tf.stop_gradient(flat)), list(range(len(flat.shape) - 1)))
            if self.clusters:
                # One scale for the kernel: shared values stay shared.
                reach = tf.fill(reach.shape, tf.reduce_max(reach))
            reach = tf.maximum(reach, 1e-9)
            rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
                flat, -reach, reach, num_bits=_BITS, narrow_range=True
            )
            if in_place:
                return rounded
            back = [order.index(axis) for axis in axes]
            return tf.transpose(tf.reshape(rounded, moved.shape), back)

        def _by_channel(self, moved: Any) -> Any:
            channels = 1
            for size in moved.shape[len(moved.shape) - len(self.axes) :]:
                channels *= size
            return tf.reshape(moved, (-1, channels))

        def get_config(self) -> dict[str, Any]:
            return {"axes": list(self.axes), "sparse": self.sparse, "clusters": self.clusters}

    class LayerConfig(parts["quantize_config"].QuantizeConfig):  # type: ignore[misc]
        """What is quantised of a layer: its kernel. Outputs are a `QuantizeLayer`'s matter.

        Args:
            kernel: the attribute that holds the kernel.
            quantizer: of the kernel.
        """

        def __init__(self, kernel: str, quantizer: Any) -> None:
            self.kernel = kernel
            self.quantizer = (
                quantizer if isinstance(quantizer, Weights) else Weights(**quantizer["config"])
            )

        def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
            return [(getattr(layer, self.kernel), self.quantizer)]

        def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
            setattr(layer, self.kernel, quantize_weights[0])

        def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
            del layer
            return []

        def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
            del layer, quantize_activations

        def get_output_quantizers(self, layer: Any) -> list[Any]:
            del layer
            return []

        def get_config(self) -> dict[str, Any]:
            return {
                "kernel": self.kernel,
                "quantizer": {"class_name": "Weights", "config": self.quantizer.get_config()},
            }

    class Activation(parts["quantize_layer"].QuantizeLayer):  # type: ignore[misc]
        """Rounds a tensor, and hands on the mask that came with it."""

        def __init__(self, quantizer: Any, **kwargs: Any) -> None:
            super().__init__(quantizer, **kwargs)
            self.supports_masking = True

        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            # tfmot forgets it, and so builds twice what comes from a .keras file, which then has
            # more variables than the file.
            self.built = True

    class Layer(parts["quantize_wrapper"].QuantizeWrapperV2):  # type: ignore[misc]
        """Rounds the kernel of the layer inside, and hands on the mask where that layer does."""

        def __init__(self, layer: Any, quantize_config: Any, **kwargs: Any) -> None:
            super().__init__(layer, quantize_config, **kwargs)
            self.supports_masking = layer.supports_masking

        def build(self, input_shape: Any) -> None:
            # Built first and listed once: else a file's variables stand in an order that depends on
            # whether the layer had been used before.
            if not self.layer.built:
                self.layer.build(input_shape)
                self.layer.built = True
            super().build(input_shape)
            listed = self._trainable_weights
            listed[:] = self._dedup_weights(listed)

        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            # Layers with kernels take no mask; tfmot would give it to them.
            del mask
            return super().call(inputs, training=training)

    # Names in files, so that nobody's own class of such a name is taken for ours.
    classes = (Range, Weights, LayerConfig, Activation, Layer)
    for cls in classes:
        cls.__name__ = cls.__qualname__ = f"EdgekitQuantize{cls.__name__}"
    return SimpleNamespace(
        range=Range, weights=Weights, config=LayerConfig, activation=Activation, layer=Layer
    )
