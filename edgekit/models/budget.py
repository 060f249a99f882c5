"""Budget: how many numbers the layers of an untrusted file may make while they are built.

A layer says how large its weights are to be, and Keras makes them before it looks into the file. So each is
counted when it is requested, and one that the file cannot fill is not made.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from edgekit.errors import UntrustedCodeError, require
from edgekit.models.untrusted import refusals

# Beside the weights there are states of recurrent layers and of random generators, which no file holds.
_SHARE, _FREE = 1.25, 4_000_000


class _Budget:
    """What may still be made, and why it was not enough if it was not."""

    def __init__(self, numbers: int) -> None:
        self._held = numbers
        self._allowed = int(numbers * _SHARE) + _FREE
        self._made = 0
        self.refusal: UntrustedCodeError | None = None

    def take(self, shape: Any) -> None:
        """Count a variable before it is made.

        Raises:
            UntrustedCodeError: the file cannot hold so many.
        """
        if None in shape:
            return
        self._made += math.prod(int(size) for size in shape)
        if self._made > self._allowed:
            self.refusal = refusals.too_much(
                f"its layers want weights of {self._made:,} numbers and more, the last of shape "
                f"{list(shape)}",
                f"the file holds {self._held:,}",
                f"{self._allowed:,} for that",
            )
            raise self.refusal


_budget: contextvars.ContextVar[_Budget | None] = contextvars.ContextVar("budget", default=None)


@contextmanager
def bounded(numbers: int) -> Iterator[None]:
    """Let this thread's layers of either flavour make weights as for a file that holds `numbers`.

    Raises:
        UntrustedCodeError: they want more than the file can fill.
    """
    tf = require("tensorflow", "export", "Loading a Keras model")
    _watch_keras()
    budget = _Budget(numbers)

    def creator(make: Callable[..., Any], **options: Any) -> Any:
        shape = options.get("shape")
        if shape is not None and callable(options.get("initial_value")):
            budget.take(tuple(shape))
        return make(**options)

    token = _budget.set(budget)
    try:
        with tf.variable_creator_scope(creator):
            yield
    except Exception:
        # Keras wraps what is raised in errors of its own.
        if budget.refusal is not None:
            raise budget.refusal from None
        raise
    finally:
        _budget.reset(token)


@cache
def _watch_keras() -> None:
    """Keras 3 tells TensorFlow no shapes: its variables are counted where it makes them."""
    keras = require("keras", "export", "Loading a Keras model")
    make = keras.Variable.__init__

    def counted(self: Any, initializer: Any, shape: Any = None, *args: Any, **kwargs: Any) -> None:
        budget = _budget.get()
        if budget is not None and callable(initializer) and isinstance(shape, (list, tuple)):
            budget.take(tuple(shape))
        make(self, initializer, shape, *args, **kwargs)

    keras.Variable.__init__ = counted
