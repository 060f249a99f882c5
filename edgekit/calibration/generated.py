"""Generated inputs: samples that a model's batch normalisations take for their training data.

A trained batch normalisation holds the mean and the variance of each channel that reaches it. Inputs that
begin as noise are moved, by gradient descent, until what reaches every such layer has those. They stand in
for calibration samples where there are none or few.

Source: Cai, Yao, Dong, Gholami, Mahoney and Keutzer, "ZeroQ: A Novel Zero Shot Quantization Framework",
CVPR 2020; the loss here is each channel's, in units of what the layer learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.seeded import seeded
from edgekit.errors import UsageError, require
from edgekit.models.source import SourceModel
from edgekit.samples import Samples

# Samples that calibration takes for enough.
ENOUGH = 64
# Inputs that are moved together, how often, and by how much of their spread at first and at last.
_TOGETHER, _STEPS, _FIRST, _LAST = 16, 60, 0.1, 0.01
# How inputs may begin: so many times what `seeded` draws, around so many of its standard deviations.
_FACTORS, _CENTRES = [2.0**n for n in range(10)] + [2.0**-n for n in range(1, 7)], (0.0, 1.0)
# Adam's own constants (Kingma and Ba, 2015).
_BETA_1, _BETA_2, _TINY = 0.9, 0.999, 1e-8


def enough(
    source: SourceModel, given: Samples | None, tell: Callable[[str], None]
) -> tuple[Samples | None, tuple[str, ...]]:
    """`given`, completed by generated inputs to 64; and a warning where that was done.

    Args:
        source: the model.
        given: calibration samples as the model takes them; None for none.
        tell: called with a line before inputs are generated.

    Raises:
        UsageError: there are no samples, and the model's layers hold nothing to generate some from.
    """
    count = len(given) if given is not None else 0
    if count >= ENOUGH:
        return given, ()
    made = None
    if can_generate(source):
        tell(
            f"generate {ENOUGH - count} inputs from the model's batch normalisations, to calibrate on"
        )
        made = generated(source, ENOUGH - count)
    if made is None and given is None:
        raise UsageError(
            "int8 and int16x8 need samples to find the ranges of activations: give --calibration "
            "SAMPLES (calibration=samples). The model has no trained batch normalisation, from whose "
            "statistics inputs could be generated."
        )
    if made is None or (given is not None and _shapes(given) != _shapes(made)):
        return given, ()
    what = f"{count} samples were given" if given is not None else "no samples were given"
    warning = (
        f"{what}: calibrated on {ENOUGH - count} generated inputs that have the statistics of the model's "
        f"batch normalisations. Real samples keep more: give at least {ENOUGH} (--calibration)."
    )
    if given is None:
        return made, (warning,)
    arrays = {
        name: np.concatenate([np.asarray(x), made.inputs[name].astype(x.dtype)])
        for name, x in given.inputs.items()
    }
    return Samples(arrays), (warning,)


def _shapes(samples: Samples) -> dict[str, tuple[int | None, ...]]:
    return {name: tuple(x.shape[1:]) for name, x in samples.inputs.items()}


def can_generate(source: SourceModel) -> bool:
    """Whether the model has a trained batch normalisation and a float input."""
    floats = any(spec.dtype.startswith(("float", "bfloat")) for spec in source.inputs)
    return source.flavour != "savedmodel" and floats and bool(_trained_layers(source))


def _trained_layers(source: SourceModel) -> list[Any]:
    return [layer for layer in _all_layers(source.model) if _is_trained(layer)]


def generated(source: SourceModel, count: int) -> Samples | None:
    """`count` samples under the model's input names, as its layers take them, the same in every process.

    Inputs of whole numbers stay as `seeded` draws them.

    Args:
        source: a model; dynamic dimensions other than the batch as `seeded` takes them.

    Returns:
        None where no float input reaches a trained batch normalisation.
    """
    if not can_generate(source):
        return None
    layers, start = _trained_layers(source), seeded(source, count)
    moved = [name for name, x in start.inputs.items() if x.dtype.kind == "f"]
    parts: list[dict[str, NDArray[Any]]] = []
    descent = _Descent(source, layers, moved)
    with source.from_zero():
        for first in range(0, count, _TOGETHER):
            given = {n: np.asarray(x[first : first + _TOGETHER]) for n, x in start.inputs.items()}
            made = descent.run(given)
            if made is None:
                return None
            parts.append(made)
    return Samples({name: np.concatenate([part[name] for part in parts]) for name in start.inputs})


def _all_layers(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from _all_layers(layer)


def _is_trained(layer: Any) -> bool:
    if type(layer).__name__ != "BatchNormalization":
        return False
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    return bool(mean.any() or (variance != 1).any())


@contextmanager
def _heard(layers: list[Any]) -> Iterator[dict[int, Any]]:
    """What reaches each layer, by its place in `layers`, as the model is called."""
    heard: dict[int, Any] = {}

    def call(place: int, own: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        heard[place] = inputs
        return own(inputs, *args, **kwargs)

    for place, layer in enumerate(layers):
        object.__setattr__(layer, "call", partial(call, place, layer.call))
    try:
        yield heard
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


class _Descent:
    """Moves inputs to where what reaches the layers has the statistics that they learned."""

    def __init__(self, source: SourceModel, layers: list[Any], moved: list[str]) -> None:
        tf = require("tensorflow", "export", "Generating inputs")
        wanted = [
            (
                np.asarray(layer.moving_mean, np.float32),
                np.sqrt(np.asarray(layer.moving_variance, np.float32) + layer.epsilon),
                layer.axis[0] if isinstance(layer.axis, (list, tuple)) else layer.axis,
            )
            for layer in layers
        ]

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]
        def gradients(values: list[Any], fixed: dict[str, Any]) -> Any:
            with _heard(layers) as heard, tf.GradientTape() as tape:
                tape.watch(values)
                source.call({**fixed, **dict(zip(moved, values, strict=True))})
                losses = [_loss(tf, heard[place], *wanted[place]) for place in heard]
                loss = tf.add_n(losses) / len(losses) if losses else tf.constant(0.0)
            return loss, tape.gradient(loss, values)

        self._gradients, self._moved = gradients, moved
        self._scale: tuple[float, float] | None = None

    def run(self, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]] | None:
        """`given` with the inputs that are moved where they fit; None where none reaches a layer."""
        fixed = {name: x for name, x in given.items() if name not in self._moved}
        begun = [given[name] for name in self._moved]
        if all(g is None for g in self._gradients(begun, fixed)[1]):
            return None
        factor, centre = self._scale = self._scale or self._fitting(begun, fixed)
        values = [_scaled(x, factor, centre) for x in begun]
        spread = [float(x.std()) or 1.0 for x in values]
        first, second = ([np.zeros_like(x) for x in values] for _ in range(2))
        for step in range(1, _STEPS + 1):
            _, found = self._gradients(values, fixed)
            rate = _LAST + (_FIRST - _LAST) * (1 + np.cos(np.pi * step / _STEPS)) / 2
            for i, slope in enumerate(found):
                if slope is None:
                    continue
                g = slope.numpy()
                first[i] = _BETA_1 * first[i] + (1 - _BETA_1) * g
                second[i] = _BETA_2 * second[i] + (1 - _BETA_2) * g * g
                m, v = first[i] / (1 - _BETA_1**step), second[i] / (1 - _BETA_2**step)
                change = rate * spread[i] * m / (np.sqrt(v) + _TINY)
                values[i] = (values[i] - change).astype(values[i].dtype)
        return {**given, **dict(zip(self._moved, values, strict=True))}

    def _fitting(
        self, begun: list[NDArray[Any]], fixed: dict[str, NDArray[Any]]
    ) -> tuple[float, float]:
        """By how much larger or smaller inputs fit best to begin with, and around which middle."""

        def loss(way: tuple[float, float]) -> float:
            found = float(self._gradients([_scaled(x, *way) for x in begun], fixed)[0])
            return found if np.isfinite(found) else np.inf

        return min(((factor, centre) for centre in _CENTRES for factor in _FACTORS), key=loss)


def _scaled(x: NDArray[Any], factor: float, centre: float) -> NDArray[Any]:
    scaled: NDArray[Any] = ((x + centre * x.std()) * factor).astype(x.dtype)
    return scaled


def _loss(tf: Any, seen: Any, mean: Any, deviation: Any, axis: int) -> Any:
    """How far each channel's mean and deviation are from the learned ones, in units of the latter, squared."""
    others = [i for i in range(len(seen.shape)) if i != axis % len(seen.shape)]
    seen = tf.cast(seen, tf.float32)
    mu, variance = tf.nn.moments(seen, others)
    off = (mu - mean) / deviation
    ratio = tf.sqrt(variance + 1e-8) / deviation - 1
    return tf.reduce_mean(off * off) + tf.reduce_mean(ratio * ratio)
