"""Models: load and save every format, build architectures, cross between the flavours of Keras.

TensorFlow is imported when a model is, not before. Names are resolved when they are first used: the child that
reads a file of others needs none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.models.loading import load
    from edgekit.models.objects import from_object
    from edgekit.models.saving import save

__all__ = ["from_object", "load", "save"]

_HOMES = {"from_object": "objects", "load": "loading", "save": "saving"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
