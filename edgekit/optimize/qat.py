"""Quantisation-aware training: a model learns to answer well with the integers of its int8 file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.methods import Interval, Method
from edgekit.calibration.observe import observe
from edgekit.calibration.rounding import are_shared, balanced
from edgekit.errors import UsageError, require
from edgekit.models.bridge import to_tf_keras
from edgekit.models.quantizers import QUANTIZING_LAYERS, is_quantized, quantizer_classes
from edgekit.models.source import SourceModel, copied, from_keras
from edgekit.optimize.best import Kept, parted
from edgekit.optimize.finetune import fine_tune
from edgekit.optimize.layer_graph import LayerGraph, Step, layer_graph
from edgekit.optimize.objective import Teacher
from edgekit.optimize.parts import in_parts
from edgekit.optimize.placement import KERNELS, Placement, known, place
from edgekit.recipe import QatRecipe
from edgekit.samples import Samples

_PURPOSE = "Quantisation-aware training"
# Samples that the ranges are first measured on; training moves them from there.
_MEASURED = 1000
# More distinct weights than this are not shared ones.
_MOST_CLUSTERS = 256


@dataclass(frozen=True)
class QuantizeAware:
    """A model that was trained with quantised weights and activations, or one that is better without.

    Attributes:
        source: of tf_keras, with tfmot's wrappers; `export` keeps the ranges that it learned. The
            model that was given, as it was, where `kept` says that training did not win.
        kernels: names of the layers whose kernels were rounded in training; none in that case.
        in_float: layers that were not, with their kind.
        kept: which state was kept; None if there were no samples to judge by.
        again: whether the model had been trained for int8 before.
    """

    source: SourceModel
    kernels: tuple[str, ...]
    in_float: dict[str, str]
    kept: Kept | None = None
    again: bool = False

    @property
    def remarks(self) -> list[str]:
        """A line for each layer that was not trained for integers, and one for what was kept."""
        return [
            *(
                f"layer {name!r} ({kind}) was trained in float: edgekit knows no rounding for it"
                for name, kind in self.in_float.items()
            ),
            *([self._verdict(self.kept)] if self.kept else []),
        ]

    def _verdict(self, kept: Kept) -> str:
        held = f"on the {kept.samples} samples held out ({kept.figures})"
        if kept.epoch:
            return f"kept epoch {kept.epoch}, the best {held}"
        if self.again:
            return f"training for int8 did not beat the model as it came {held}; it stays as it is"
        return (
            f"training for int8 did not beat post-training int8 {held}; the file is the "
            "post-training one"
        )

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "quantized_layers": list(self.kernels),
            "in_float": [
                {"layer": name, "kind": kind, "reason": "edgekit knows no rounding for it"}
                for name, kind in self.in_float.items()
            ],
        }
        if self.kept:
            untrained = "as it came" if self.again else "post-training"
            told["kept"] = f"epoch {self.kept.epoch}" if self.kept.epoch else untrained
            told["judged"] = {
                "samples": self.kept.samples,
                "measure": self.kept.measure,
                "before": self.kept.before,
                "after": self.kept.after,
                "text": self._verdict(self.kept),
            }
        return told


def quantize_aware(
    source: SourceModel,
    recipe: QatRecipe,
    data: Samples | None,
    *,
    preserve_sparsity: bool = False,
    preserve_clusters: bool = False,
    teacher: Teacher | None = None,
    progress: Callable[[str], None] | None = None,
) -> QuantizeAware:
    """Fine-tune a model while its kernels and activations are rounded as an int8 file rounds them.

    Kernels have a symmetric range for each output channel, activations one range each, which begins
    at the one with the smallest squared error and is trained (`edgekit.models.quantizers`). Batch
    normalisation keeps its statistics, as a converter folds them; its scale and offset are
    trained. Rounding passes gradients as if it were not there (Jacob et al., "Quantization and
    Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018).

    The epoch stays that does best on samples held out. If none beats post-training int8 there, the
    result is the model that was given, without a trace of the training, and its files are those of an
    export without. What stands for post-training int8 is the rounded model before its first step: it
    rounds the same weights the same way, each channel at its own range, and the same activations, at ranges that
    the default method of calibration finds, on samples of the same kind if not the same ones.

    Args:
        source: a Sequential or Functional model of either flavour; it stays as it is. One that has
            been trained so before, with edgekit or with tfmot itself, is trained on as it is.
        recipe: the fine-tuning.
        data: samples to train on, labelled unless there is a teacher.
        preserve_sparsity: weights that are zero stay zero.
        preserve_clusters: weights of a kernel that share a value go on sharing one.
        teacher: a model to distil from as well.
        progress: called with a line of text for each epoch.

    Raises:
        UsageError: there is nothing to train on, or nothing in the model to quantise.
        BridgeError: a Keras 3 model that cannot be carried to tf_keras.
        TrainingError: the loss became NaN or infinite.
    """
    if data is None:
        raise UsageError(
            "quantisation-aware training needs samples to train on: give --data SAMPLES "
            "(data=samples)."
        )
    tf_keras = require("tf_keras", "export", _PURPOSE)
    data, held = parted(data.for_inputs(source.inputs), recipe.held_out, recipe.seed)
    training: dict[str, Any] = {"teacher": teacher, "held": held, "progress": progress}
    twin = to_tf_keras(source).source
    if is_quantized(twin.model):
        copy = copied(twin).model
        model = tf_keras.Model(copy.inputs, list(copy.outputs), name=copy.name)
        kept = fine_tune(model, source, data, recipe, **training)
        if kept and not kept.epoch:
            return QuantizeAware(source, *_found(model), kept, again=True)
        return QuantizeAware(_as_source(source, model), *_found(model), kept, again=True)
    graph, weights = in_parts(layer_graph(twin.model))
    placement = place(graph)
    kernels = tuple(dict.fromkeys(step.name for step in graph.steps if step.kind in KERNELS))
    if not kernels:
        raise UsageError(
            f"quantisation-aware training: model {twin.model.name!r} has no layer with a kernel to "
            f"quantise, expected one of {', '.join(KERNELS)}."
        )
    ranges = _measure(graph, weights, placement, source, data, recipe)
    model = _quantized(
        graph, weights, placement, ranges, source, preserve_sparsity, preserve_clusters
    )
    if held is not None:
        # Post-training each channel has its own range, shared weights or not, and errors cancel.
        other, own = in_parts(layer_graph(twin.model))
        for step in other.steps:
            if step.kind in KERNELS:
                kernel, *rest = own[id(step.layer)]
                own[id(step.layer)] = [_as_exported(kernel, KERNELS[step.kind][1]), *rest]
        # Layers are built before they are wrapped, as `_measure` does.
        other.build(_plain_call(own), lambda _, tensor: tensor)
        training["rival"] = _quantized(
            other, own, placement, ranges, source, preserve_sparsity, False
        )
    still = _scales(model) if preserve_clusters else []
    callbacks = [_hold(tf_keras, still)] if still else []
    kept = fine_tune(model, source, data, recipe, callbacks=callbacks, **training)
    if kept and not kept.epoch:
        return QuantizeAware(source, (), {}, kept)
    return QuantizeAware(_as_source(source, model), kernels, placement.in_float, kept)


def _as_exported(kernel: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """A kernel whose weights are integers times a scale a channel, rounded as in an export.

    Args:
        kernel: as Keras has it, inputs along its last axis that is none of a channel.
        axes: those of the output channels.
    """
    if are_shared(kernel):
        return kernel
    moved = np.moveaxis(kernel, axes, range(len(axes))).astype(np.float64)
    inputs = moved.shape[-1] if len(axes) == 1 else 1
    channels = moved.reshape(int(np.prod(moved.shape[: len(axes)])), 1, -1, inputs)
    scales = np.abs(channels).max((1, 2, 3), keepdims=True) / 127
    scales[scales == 0] = 1.0
    made = (balanced(channels / scales) * scales).reshape(moved.shape).astype(kernel.dtype)
    whole: NDArray[Any] = np.moveaxis(made, range(len(axes)), axes)
    return whole


def _scales(model: Any) -> list[Any]:
    """The scales of batch normalisation: folded, they would give each channel values of its own."""
    kinds = ((layer, type(layer).__name__) for layer in model.layers)
    return [layer.gamma for layer, kind in kinds if kind == "BatchNormalization" and layer.scale]


def _hold(tf_keras: Any, variables: list[Any]) -> Any:
    """Undoes what the optimiser does to `variables`."""
    values = [variable.numpy() for variable in variables]

    def restore(*_: Any) -> None:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    return tf_keras.callbacks.LambdaCallback(on_train_batch_end=restore)


def _found(model: Any) -> tuple[tuple[str, ...], dict[str, str]]:
    """Of a model with quantisers: the layers whose kernels they round, and those without any."""
    rounded = tuple(layer.name for layer in model.layers if getattr(layer, "_weight_vars", None))
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    left = {
        name: kind
        for name, kind in kinds.items()
        if kind not in QUANTIZING_LAYERS and not known(kind)
    }
    return rounded, left


class _KerasProbe:
    """A tf_keras model with the activations that will be rounded as outputs, by their numbers."""

    def __init__(self, model: Any, numbers: list[int], inputs: list[str], batch: int) -> None:
        tf = require("tensorflow", "export", _PURPOSE)
        self.batch = batch
        self._numbers, self._inputs = numbers, inputs
        self._run = tf.function(lambda tensors: model(tensors, training=False))

    def run(
        self, inputs: dict[str, NDArray[Any]], look: Callable[[str, NDArray[Any]], None]
    ) -> None:
        results = self._run([inputs[name] for name in self._inputs])
        for number, values in zip(self._numbers, results, strict=True):
            look(str(number), values.numpy())


def _measure(
    graph: LayerGraph,
    weights: dict[int, list[Any]],
    placement: Placement,
    source: SourceModel,
    data: Samples,
    recipe: QatRecipe,
) -> dict[int, Interval]:
    """The range of each activation before training, with zero inside."""
    tf_keras = require("tf_keras", "export", _PURPOSE)
    inputs, tensors = graph.build(_plain_call(weights), lambda _, tensor: tensor)
    numbers = sorted(placement.learned)
    model = tf_keras.Model(inputs, [tensors[n] for n in numbers])
    probe = _KerasProbe(model, numbers, [spec.name for spec in source.inputs], recipe.batch_size)
    chosen = observe(probe, data.subset(_MEASURED, recipe.seed), Method()).chosen
    return {
        int(number): Interval(min(interval.lowest, 0.0), max(interval.highest, 0.0))
        for number, interval in chosen.items()
        if interval.lowest < 0 or interval.highest > 0
    }


def _plain_call(weights: dict[int, list[Any]]) -> Any:
    def call(step: Step, args: Any, kwargs: Any) -> Any:
        return _call(step, step.layer, weights, args, kwargs)

    return call


def _call(step: Step, layer: Any, weights: dict[int, list[Any]], args: Any, kwargs: Any) -> Any:
    """Call `layer`, which is the step's own or holds it, and give it its weights when it is built."""
    if step.kind == "BatchNormalization":
        kwargs = {**kwargs, "training": False}
    first = not step.layer.built
    result = layer(*args, **kwargs)
    if first and weights.get(id(step.layer)):
        step.layer.set_weights(weights[id(step.layer)])
    return result


def _quantized(
    graph: LayerGraph,
    weights: dict[int, list[Any]],
    placement: Placement,
    ranges: dict[int, Interval],
    source: SourceModel,
    sparse: bool,
    clustered: bool,
) -> Any:
    """The model with quantisers in their places."""
    tf_keras = require("tf_keras", "export", _PURPOSE)
    classes = quantizer_classes()
    wrapped: dict[str, Any] = {}
    owners = {n: step.name for step in graph.steps for n in step.outputs}
    owners.update((n, layer.name) for layer, n in graph.inputs)

    def call(step: Step, args: Any, kwargs: Any) -> Any:
        if step.kind not in KERNELS:
            return _call(step, step.layer, weights, args, kwargs)
        if step.name not in wrapped:
            attribute, axes = KERNELS[step.kind]
            kernel = weights[id(step.layer)][0]
            values = np.unique(kernel)
            shared = clustered and len(values) <= _MOST_CLUSTERS
            quantizer = classes.weights(axes, sparse, len(values) if shared else 0)
            config = classes.config(attribute, quantizer)
            wrapped[step.name] = classes.layer(step.layer, config, name=step.name)
            result = _call(step, wrapped[step.name], weights, args, kwargs)
            ((_, _, held),) = wrapped[step.name]._weight_vars
            if sparse:
                held["mask"].assign((kernel != 0).astype(np.float32))
            if shared:
                held["values"].assign(values)
                held["members"].assign(np.searchsorted(values, kernel))
            return result
        return wrapped[step.name](*args, **kwargs)

    def after(number: int, tensor: Any) -> Any:
        if number in placement.fixed:
            lowest, highest = placement.fixed[number]
        elif number in ranges:
            lowest, highest = ranges[number]
        else:
            return tensor
        quantizer = classes.range(lowest, highest, number in placement.fixed)
        return classes.activation(quantizer, name=f"{owners[number]}_range{number}")(tensor)

    inputs, tensors = graph.build(call, after)
    return tf_keras.Model(inputs, [tensors[n] for n in graph.outputs], name=source.model.name)


def _as_source(source: SourceModel, model: Any) -> SourceModel:
    """The trained model under the names that its inputs and outputs had."""
    tf_keras = require("tf_keras", "export", _PURPOSE)
    outputs = dict(zip([spec.name for spec in source.outputs], model.outputs, strict=True))
    named = tf_keras.Model(model.inputs, outputs, name=model.name)
    return from_keras(source.path, "tf_keras", named)
