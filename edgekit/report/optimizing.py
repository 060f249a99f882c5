"""What was done to a model before its export: what it was to bring, and what each layer came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit.report import units
from edgekit.report.data import Report
from edgekit.report.table import Table

_TABLES = ("prune", "cluster", "qat")
# Keys of the manifest's tables that say what a step was expected to bring, and what was kept of a training.
_TOLD = ("channels_expected", "sparsity_expected", "expected", "judged")


@dataclass(frozen=True)
class Treatment:
    """One chain of steps.

    Attributes:
        title: its steps, such as ``"prune80, cluster16, qat"``.
        lines: what each step said it would bring, and what is to be known of it.
        layers: a row for each layer that a step changed, a column for each kind of change.
    """

    title: str
    lines: tuple[str, ...]
    layers: Table | None


def treatments(report: Report) -> tuple[Treatment, ...]:
    """Each chain once: files of several schemes share it."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in report.rows:
        if steps := row.recipe.get("optimized"):
            found.setdefault(tuple(steps), row.recipe)
    return tuple(_treatment(steps, recipe) for steps, recipe in found.items())


def _treatment(steps: tuple[str, ...], recipe: dict[str, Any]) -> Treatment:
    prune, cluster, qat = (recipe.get(name, {}) for name in _TABLES)
    columns: dict[str, dict[str, str]] = {
        "channels": {
            name: f"{before} to {after}"
            for name, (before, after) in prune.get("channels_by_layer", {}).items()
        },
        "kernel": _sizes(prune.get("kernels_by_layer", {})),
        "stride": _sizes(prune.get("strides_by_layer", {})),
        "zeros": {
            name: units.percent(share) for name, share in prune.get("sparsity_by_layer", {}).items()
        },
        "values": {
            name: str(count) for name, count in cluster.get("distinct_by_layer", {}).items()
        },
        "trained": {
            **dict.fromkeys(qat.get("quantized_layers", ()), "rounded"),
            **{each["layer"]: f"in float: {each['kind']}" for each in qat.get("in_float", ())},
        },
    }
    columns = {title: cells for title, cells in columns.items() if cells}
    names = list(dict.fromkeys(name for cells in columns.values() for name in cells))
    lines = [table[key]["text"] for table in (prune, cluster, qat) for key in _TOLD if key in table]
    return Treatment(
        ", ".join(steps),
        tuple(lines),
        Table(
            ("layer", *columns),
            tuple(
                (name, *(cells.get(name, units.UNKNOWN) for cells in columns.values()))
                for name in names
            ),
        )
        if names
        else None,
    )


def _sizes(by_layer: dict[str, list[list[int]]]) -> dict[str, str]:
    """``"3x3 to 1x3"``: along each axis, before and after."""
    return {
        name: " to ".join("x".join(map(str, size)) for size in sizes)
        for name, sizes in by_layer.items()
    }
