"""The fingerprint of a training: what decides about its weights, in one hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from edgekit.recipe import Recipe
from edgekit.train.feeding import Feed

# Of arrays that stay on disk so many samples are read, evenly spaced.
_LOOKS = 32

# Keras numbers layers anew in each process; how they are joined shows in the weights.
_NAMES = {"name", "inbound_nodes", "input_layers", "output_layers", "build_config"}


def fingerprint(recipe: Recipe, model: Any, feeds: Iterable[Feed]) -> str:
    """SHA-256, in hex, of the recipe's part in a training, the untrained model and its data.

    Args:
        recipe: `training` without its logs, and `augmentation`.
        model: Keras 3, with the weights that the training begins with.
        feeds: prepared samples; of arrays that stay on disk some are looked at.
    """
    digest = hashlib.sha256()
    settings = asdict(recipe.training)
    del settings["tensorboard"]
    config = _nameless(_config(model))
    told = [settings, [asdict(each) for each in recipe.augmentation], config]
    digest.update(json.dumps(told, sort_keys=True, default=repr).encode())
    for weight in model.get_weights():
        _add(digest, weight)
    for feed in feeds:
        for each in feed.inputs:
            digest.update(each.name.encode())
            values = each.values
            if not each.kept:
                index = np.unique(np.linspace(0, feed.count - 1, _LOOKS).astype(np.int64))
                digest.update(str(values.shape).encode())
                values = np.asarray(values[index])
            _add(digest, values)
        for array in feed.labels:
            _add(digest, array)
    return digest.hexdigest()


def _add(digest: Any, x: Any) -> None:
    x = np.ascontiguousarray(x)
    digest.update(f"{x.dtype.str}{x.shape}".encode())
    digest.update(x.data if x.size else b"")


def _config(model: Any) -> Any:
    try:
        return model.get_config()
    except NotImplementedError:
        # A class of one's own need not say how it was made; what it is made of has to do.
        return [type(layer).__qualname__ for layer in model._flatten_layers()]


def _nameless(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _nameless(value) for key, value in config.items() if key not in _NAMES}
    if isinstance(config, (list, tuple)):
        return [_nameless(item) for item in config]
    return config
