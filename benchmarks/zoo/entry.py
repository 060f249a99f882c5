"""Entry: one small model of the zoo, its inputs declared, its weights seeded by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Input:
    """One input of a model.

    Attributes:
        shape: without the batch.
        dtype: numpy's name.
        low, high: what random values lie between; integers stay below `high`.
        whole: whole numbers, whatever the dtype: ids as Keras' Sequential takes them.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float = -1.0
    high: float = 1.0
    whole: bool = False

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[Any]:
        """Random values of shape (count, *shape)."""
        shape = (count, *self.shape)
        if self.dtype == "bool":
            return rng.random(shape) < 0.5
        if self.whole or "int" in self.dtype:
            return rng.integers(int(self.low), int(self.high), shape).astype(self.dtype)
        return rng.uniform(self.low, self.high, shape).astype(self.dtype)


@dataclass(frozen=True)
class Entry:
    """One model.

    Attributes:
        name: unique; ``group/what-is-special``.
        inputs: by name, in the order of the model's.
        body: Keras tensors, one for each input, to the output: a tensor, a list or a dictionary.
        code: the saved model holds Python code, so that it loads with ``trust_code`` only.
        policy: the dtype policy that the model is built under.
    """

    name: str
    inputs: Mapping[str, Input]
    body: Callable[..., Any]
    code: bool = False
    policy: str = "float32"

    def build(self) -> Any:
        """A fresh Keras 3 model with the same names and weights each time."""
        return self._built(self.policy)

    def truth(self, model: Any) -> Any:
        """What files made of `model`, which is `build`'s, have to answer as: the same in float32."""
        if self.policy == "float32":
            return model
        plain = self._built("float32")
        plain.set_weights([np.asarray(w).astype(np.float32) for w in model.get_weights()])
        return plain

    def _built(self, policy: str) -> Any:
        import keras

        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return self._plain()
        finally:
            keras.config.set_dtype_policy(before)

    def _plain(self) -> Any:
        import keras

        # Layers are numbered in the order in which a process makes them.
        keras.utils.clear_session(free_memory=False)
        seed = crc32(self.name.encode())
        keras.utils.set_random_seed(seed)
        inputs = {
            name: keras.Input(given.shape, dtype=given.dtype, name=name)
            for name, given in self.inputs.items()
        }
        outputs = self.body(*inputs.values())
        # One input as it is, several as a dictionary: both are what users write.
        given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        model = keras.Model(given, outputs, name="model")
        _unsettle(model, np.random.default_rng(seed))
        return model


def inputs(entry: Entry, count: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """`count` random samples by input name, each array of shape (count, *shape)."""
    rng = np.random.default_rng([seed, crc32(entry.name.encode())])
    return {name: given.draw(count, rng) for name, given in entry.inputs.items()}


def layer(
    name: str, make: Callable[[Any], Any], *shapes: tuple[int, ...] | Input, code: bool = False
) -> Entry:
    """An entry of one layer, ``y``, or any other callable, on inputs ``x``, or ``a``, ``b``, ...

    Args:
        name: the entry's.
        make: ``keras.layers`` to the layer.
        shapes: one for each input; several go to the layer as one list.
        code: as `Entry` has it.
    """
    given = [shape if isinstance(shape, Input) else Input(shape) for shape in shapes]
    names = ["x"] if len(given) == 1 else [chr(ord("a") + number) for number in range(len(given))]

    def body(*tensors: Any) -> Any:
        import keras

        built = make(keras.layers)
        if isinstance(built, keras.layers.Layer):
            built.name = "y"
        return built(tensors[0] if len(tensors) == 1 else list(tensors))

    return Entry(name, dict(zip(names, given, strict=True)), body, code)


def _unsettle(model: Any, rng: np.random.Generator) -> None:
    """Move weights that start all equal, such as biases: a lost one would not show."""
    for variable in model.weights:
        value = np.asarray(variable)
        if value.dtype.kind == "f" and value.size and np.ptp(value) == 0:
            moved = value + rng.uniform(0.0, 0.5, value.shape)
            variable.assign(moved.astype(value.dtype))
