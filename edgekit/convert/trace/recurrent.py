"""Recurrent layers in a trace: short loops written out step by step, nothing that only training needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from edgekit.errors import require
from edgekit.models.source import UNROLLED_STEPS

# Where each flavour's recurrent layers look up the function that runs their steps.
_BACKENDS = {"keras": "keras.src.backend", "tf_keras": "tf_keras.src.backend"}


@contextmanager
def recurrence(flavour: str, layers: Sequence[Any], *, unroll: bool) -> Iterator[list[int]]:
    """While it is open, recurrent layers trace as converters can read them.

    Dropout is left out: even in inference Keras 3 draws its masks, which changes a state. An LSTM of
    tf_keras is a plain loop instead of a function that the TFLite converter takes for a fused
    operator, because that operator carries its state from one inference to the next.

    Args:
        flavour: of the model, as in `SourceModel`.
        layers: all of the model's, those inside of layers too.
        unroll: write loops of at most `UNROLLED_STEPS` steps out, since calibration cannot see into
            loops.

    Yields:
        A list that gets the number of steps of each loop that was written out.
    """
    unrolled: list[int] = []
    with ExitStack() as stack:
        for layer in layers:
            if hasattr(layer, "get_dropout_mask"):
                stack.enter_context(_set(layer, dropout=0.0, recurrent_dropout=0.0))
            if hasattr(layer, "_could_use_gpu_kernel"):
                stack.enter_context(_set(layer, _could_use_gpu_kernel=False))
        if unroll and flavour in _BACKENDS:
            backend = import_module(_BACKENDS[flavour])
            stack.enter_context(_set(backend, rnn=_unrolling(backend.rnn, unrolled)))
        yield unrolled


def is_operator_in_onnx(flavour: str, layers: Sequence[Any]) -> bool:
    """Whether tf2onnx makes one operator of each recurrent layer's loop, smaller and faster than its steps."""
    kinds = {type(layer).__name__ for layer in layers if hasattr(layer, "cell")}
    return flavour == "tf_keras" and kinds <= {"LSTM", "GRU"}


def _unrolling(rnn: Callable[..., Any], unrolled: list[int]) -> Callable[..., Any]:
    """Keras' function with short loops written out, and with the answers of its loop.

    Its own unrolled form zeroes the outputs of a layer that goes backwards by the mask in the order
    of the input, and the loop by that of the output, which the model was trained with.
    """
    tf = require("tensorflow", "export", "Exporting a model")

    def run(
        step: Any,
        inputs: Any,
        initial_states: Any,
        go_backwards: bool = False,
        mask: Any = None,
        constants: Any = None,
        unroll: bool = False,
        input_length: Any = None,
        time_major: bool = False,
        zero_output_for_mask: bool = False,
        return_all_outputs: bool = True,
    ) -> Any:
        given = {
            "go_backwards": go_backwards,
            "mask": mask,
            "constants": constants,
            "input_length": input_length,
            "time_major": time_major,
            "return_all_outputs": return_all_outputs,
        }
        axis = 0 if time_major else 1
        steps = tf.nest.flatten(inputs)[0].shape[axis]
        short = steps is not None and steps <= UNROLLED_STEPS
        # A length that is a tensor masks as well, and the unrolled form does not look at it.
        if unroll or not short or tf.is_tensor(input_length):
            given |= {"unroll": unroll, "zero_output_for_mask": zero_output_for_mask}
            return rnn(step, inputs, initial_states, **given)
        unrolled.append(steps)
        last, outputs, states = rnn(step, inputs, initial_states, **given, unroll=True)
        if mask is None or not zero_output_for_mask:
            return last, outputs, states
        seen = tf.cast(mask, bool)
        seen = tf.reverse(seen, [axis]) if go_backwards else seen
        last = _zeroed(tf, last, tf.gather(seen, steps - 1, axis=axis))
        kept = seen if return_all_outputs else tf.gather(seen, [steps - 1], axis=axis)
        return last, _zeroed(tf, outputs, kept), states

    return run


def _zeroed(tf: Any, outputs: Any, kept: Any) -> Any:
    """`outputs` where a mask of fewer axes says so, else zeros."""
    for _ in range(outputs.shape.rank - kept.shape.rank):
        kept = kept[..., None]
    # Of one shape: TFLite's integer kernels do not broadcast a condition.
    kept = tf.logical_and(kept, tf.ones_like(outputs, dtype=bool))
    return tf.where(kept, outputs, tf.zeros_like(outputs))


@contextmanager
def _set(owner: Any, **values: Any) -> Iterator[None]:
    """The attributes, as long as it is open."""
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)
