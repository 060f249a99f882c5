"""Lambda layers of files that are trusted: the names of libraries that their code has from its own program.

A file holds the code of a function, not what its names meant where it was written: ``tf`` in
``Lambda(lambda x: tf.reduce_mean(x, 1))`` is unknown once Keras 3 has read it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from edgekit.models.source import layers_of

# Modules by the names that everybody gives them; those of Keras are the flavour's own.
_USUAL = {
    "K": ".backend",
    "keras": "",
    "layers": ".layers",
    "math": "math",
    "np": "numpy",
    "numpy": "numpy",
    "ops": ".ops",
    "tensorflow": "tensorflow",
    "tf": "tensorflow",
}


def know_libraries(model: Any, flavour: str) -> None:
    """Let the functions of a model's Lambda layers find the usual libraries by their usual names, in place.

    Args:
        model: loaded from a file whose code is trusted; names that its functions know stay what they are.
        flavour: ``"keras"`` or ``"tf_keras"``.
    """
    for layer in layers_of(model):
        function = getattr(layer, "function", None)
        if type(layer).__name__ != "Lambda" or not isinstance(function, FunctionType):
            continue
        missing = {*_names(function.__code__)} & _USUAL.keys() - function.__globals__.keys()
        found = {name: _module(_USUAL[name], flavour) for name in missing}
        if any(found.values()):
            layer.function = FunctionType(
                function.__code__,
                {**function.__globals__, **{name: each for name, each in found.items() if each}},
                function.__name__,
                function.__defaults__,
                function.__closure__,
            )
            layer.function.__kwdefaults__ = function.__kwdefaults__


def _names(code: CodeType) -> Iterator[str]:
    """Global names in a function and in those inside of it."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _module(name: str, flavour: str) -> Any:
    try:
        return importlib.import_module(f"{flavour}{name}" if name[:1] in (".", "") else name)
    except ImportError:
        return None
