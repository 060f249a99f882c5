"""Node data for Google's Model Explorer, which colours a graph by it.

The format is that of ``node_data_builder.py`` in its package ``model_explorer``: by graph, a number for each
tensor that an operator gives, and thresholds up to which a colour goes.
"""

from __future__ import annotations

from typing import Any

from edgekit.document.layer_errors import LayerErrors

# What it calls the main graph of a file.
_GRAPH = "main"
# In decibel, from bad to good.
_COLOURS = ((10, "#e57373"), (20, "#ffb74d"), (30, "#fff176"), (200, "#aed581"))
# Stands for an error of nothing, which has no decibels.
_EXACT = 200.0


def node_data(errors: LayerErrors) -> dict[str, Any]:
    """The error that each operator causes itself, in dB, as Model Explorer reads it.

    Where an operator cannot be run by itself, its accumulated error; where that is no number either, the
    operator is left out, unless it is exact.
    """
    results = {}
    for layer in errors.layers:
        value = layer.own_db if layer.own_db is not None else layer.accumulated_db
        if value is None and not layer.equal:
            continue
        results[layer.tensor] = {"value": _EXACT if value is None else round(value, 2)}
    colours = [{"value": value, "bgColor": colour} for value, colour in _COLOURS]
    return {_GRAPH: {"results": results, "thresholds": colours}}
