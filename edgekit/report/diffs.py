"""Diffs in words and in tables of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.document.diff import DIFFERENT, EQUAL, OTHER_SHAPE, SCALED, Diff, LayerDiff
from edgekit.report import units
from edgekit.report.hashes import base_name
from edgekit.report.table import Table

_NAME = 26
# Of weights that have nothing to do with each other the difference is as large as they are, or larger.
_UNRELATED_DB = 3.0


def diff_summary(found: Diff) -> Iterator[str]:
    """What both files come to, line by line."""
    first, second = (base_name(file.file) for file in (found.first, found.second))
    if found.same_bytes:
        yield f"{first} and {second} are the same bytes."
    sizes = [file.size_bytes for file in (found.first, found.second)]
    yield f"size: {sizes[0]:,} and {sizes[1]:,} bytes"
    yield from found.ends
    for name, alone in ((first, found.only_first), (second, found.only_second)):
        if alone:
            more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
            yield f"{name} alone has {', '.join(map(_short, alone[:5]))}{more}"
    for row in found.operators:
        if row.first != row.second:
            yield f"{row.op} in {row.dtype}: {row.first} and {row.second}"
    held = [row for row in found.layers if row.weights != "none"]
    if held:
        scaled = sum(row.weights == SCALED for row in held)
        equal = len(held) - len(found.changed) - scaled
        more = f", in {scaled} up to factors of channels (equalisation)" if scaled else ""
        yield f"weights: equal in {equal} of {units.plural(len(held), 'layer')}{more}"
        if _in_common(held) is False:
            yield "weights: no layer has anything in common with the other file's, as of two trainings"
    moved = sum(not row.grid for row in found.layers)
    if moved:
        yield f"scales: others in {moved} of {units.plural(len(found.layers), 'operator')}"
    for output in found.outputs:
        yield _output(output.name, output.equal, output.max_abs, output.sqnr_db, output.agreement)
    if found.samples:
        yield f"asked {units.plural(found.samples, 'sample')}"


def diff_table(found: Diff) -> Table | None:
    """The layers that differ; None where all are alike."""
    rows = [row for row in found.layers if _differs(row)]
    if not rows:
        return None
    return Table(
        ("operator", "tensor", "dtype", "weights", "max diff", "SQNR dB", "scales"),
        tuple(
            (
                row.op,
                _short(row.first),
                _dtypes(row),
                *_weights(row),
                "-" if row.weights_sqnr_db is None else f"{row.weights_sqnr_db:.1f}",
                "same" if row.grid else "other",
            )
            for row in rows
        ),
    )


def diff_lines(found: Diff) -> list[str]:
    """All of it for a terminal of 80 columns."""
    lines = list(diff_summary(found))
    rows = [row for row in found.layers if _differs(row)]
    if not rows:
        return lines
    lines += [
        "",
        f"{'tensor':{_NAME}} {'operator':17.17} {'weights':11} {'max diff':>9} {'dB':>6} scales",
    ]
    for row in rows:
        weights, largest = _weights(row)
        ratio = "-" if row.weights_sqnr_db is None else f"{row.weights_sqnr_db:.1f}"
        name = _short(row.first)
        lines.append(
            f"{name:{_NAME}} {row.op:17.17} {weights:11} {largest:>9} {ratio:>6} "
            f"{'same' if row.grid else 'other'}"
        )
    return lines


def _weights(row: LayerDiff) -> tuple[str, str]:
    """What differs of weights and bias, and by how much at most."""
    if row.weights == EQUAL and row.bias_max_abs:
        return "bias alone", f"{row.bias_max_abs:.3g}"
    return row.weights, "-" if row.weights_max_abs is None else f"{row.weights_max_abs:.3g}"


def _in_common(held: Sequence[LayerDiff]) -> bool | None:
    """Whether weights are each other's at all; None where too few are held against each other."""
    known = [row.weights_sqnr_db for row in held if row.weights_sqnr_db is not None]
    if len(known) < 2 or len(known) < len(held):
        return None
    return any(ratio > _UNRELATED_DB for ratio in known)


def _differs(row: LayerDiff) -> bool:
    return (
        row.weights in (DIFFERENT, OTHER_SHAPE, SCALED)
        or not row.grid
        or bool(row.bias_max_abs)
        or row.first_dtype != row.second_dtype
    )


def _dtypes(row: LayerDiff) -> str:
    if row.first_dtype == row.second_dtype:
        return row.first_dtype
    return f"{row.first_dtype}, {row.second_dtype}"


def _short(name: str) -> str:
    """The end of a tensor's name, which tells it from others."""
    first = name.split(";")[0]
    return first if len(first) <= _NAME else f"…{first[1 - _NAME :]}"


def _output(
    name: str, equal: bool, largest: float | None, ratio: float | None, agreement: float | None
) -> str:
    if equal:
        return f"output {name!r}: equal"
    text = "not finite" if largest is None else f"max diff {largest:.3g}"
    if ratio is not None:
        text += f", {ratio:.1f} dB"
    if agreement is not None:
        text += f", same class for {units.percent(agreement)}"
    return f"output {name!r}: {text}"
