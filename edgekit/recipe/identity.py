"""What two processes have to have in common of a recipe to do the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.recipe import Recipe

# Data and code may lie elsewhere on another machine, and logs change nothing.
_PLACES = ("model.folder", "model.file", "training.tensorboard")


def comparable(recipe: Recipe) -> dict[str, Any]:
    """A recipe's values by dotted key, as JSON gives them back, without `data` and without places."""
    tables = asdict(recipe)
    del tables["data"]
    values = {key: value for key, value in _flat(tables) if key not in _PLACES}
    made: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return made


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield where, value
        return
    for key, item in value.items():
        yield from _flat(item, f"{where}.{key}" if where else str(key))
