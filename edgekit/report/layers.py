"""Layer errors in tables: of 80 columns, and in a report."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.document.layer_errors import LayerError, LayerErrors
from edgekit.report import charts, units
from edgekit.report.hashes import base_name
from edgekit.report.table import Table

_NAME, _OP = 24, 17
COLUMNS = ("layer", "operator", "sum dB", "own dB", "weights", "grid dB", "clipped")


def layers_summary(errors: LayerErrors) -> Iterator[str]:
    """The two runs that tell weights from activations, and what was left out."""
    both = f"{base_name(errors.file)} beside {base_name(errors.reference)}"
    asked = f"{both}, {units.plural(errors.samples, 'sample')}"
    if errors.layers and all(layer.equal for layer in errors.layers):
        yield f"{asked}: equal in every operator"
    elif errors.output_db is None:
        yield f"{asked}: outputs are equal, or not finite"
    else:
        yield f"{asked}: worst output {_db(errors.output_db)} dB"
    runs = {
        "int8 weights alone": errors.weights_only_db,
        "rounded activations alone": errors.activations_only_db,
    }
    known = [f"{name}: {_db(level)} dB" for name, level in runs.items() if level is not None]
    if known:
        yield "; ".join(known)
    if errors.unmatched:
        count = units.plural(len(errors.unmatched), "operator")
        yield f"{count} without a counterpart: {', '.join(errors.unmatched[:3])}"


def layer_rows(errors: LayerErrors) -> tuple[tuple[str, ...], ...]:
    """A row for each operator, in the file's order."""
    return tuple(
        (
            label(layer),
            layer.op,
            "exact" if layer.equal else _db(layer.accumulated_db),
            _db(layer.own_db),
            _db(layer.weights_db),
            _db(layer.rounding_db),
            "-" if layer.clipped is None else units.percent(layer.clipped),
        )
        for layer in errors.layers
    )


def layers_table(errors: LayerErrors) -> Table:
    return Table(COLUMNS, layer_rows(errors))


def layer_lines(errors: LayerErrors) -> list[str]:
    """All of it for a terminal of 80 columns.

    ``sum`` is the error with all that came before, ``own`` what the operator causes by itself, ``weights`` that of its
    weights alone and ``grid`` that of rounding what it gives.
    """
    lines = [text for line in layers_summary(errors) for text in _folded(line)]
    for row in (COLUMNS, *layer_rows(errors)):
        name, op, *figures = row
        lines.append(
            f"{name[:_NAME]:{_NAME}} {op[:_OP]:{_OP}} "
            + " ".join(
                f"{cell:>{width}}" for cell, width in zip(figures, (6, 6, 7, 7, 7), strict=True)
            )
        )
    return lines


def label(layer: LayerError) -> str:
    """The Keras layer, or the end of the tensor's name."""
    return layer.layer or layer.tensor.split(";")[0][-_NAME:] or f"operator {layer.number}"


def _db(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _folded(text: str) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        if line and len(line) + len(word) > 78:
            yield line
            line = " "
        line = f"{line} {word}" if line else word
    yield line


def layers_curve(errors: LayerErrors) -> charts.Curve | None:
    """Both errors along the network, in dB; None where too few were measured."""
    lines = {
        "accumulated": [(x, row.accumulated_db) for x, row in enumerate(errors.layers)],
        "own": [(x, row.own_db) for x, row in enumerate(errors.layers)],
    }
    known = {name: [(x, y) for x, y in line if y is not None] for name, line in lines.items()}
    known = {name: line for name, line in known.items() if len(line) > 1}
    if not known:
        return None
    return charts.curve_of(
        "Signal to noise along the network", known, len(errors.layers), None, _in_db
    )


def _in_db(value: float | None) -> str:
    return f"{_db(value)} dB"
