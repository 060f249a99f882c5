"""The table: from what every interpreter made of the corpus to ``compatibility.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.inspection.compatibility import Target
from edgekit.inspection.needs import Need

# What an operator asks: name, types, axes.
Row = tuple[str, str, int]

# Largest difference from the newest interpreter, as a share of the output's range over all samples.
# Kernels differ in float by rounding, which is 1/2048 an operator in half precision; in integers by
# steps, and a step may be wide.
FLOAT_TOLERANCE, HALF_TOLERANCE, INTEGER_TOLERANCE = 1e-3, 0.01, 0.1


@dataclass(frozen=True)
class Trial:
    """What one interpreter made of a corpus.

    Attributes:
        ends: ``"runs"``, ``"refused: ..."`` or ``"crashed: ..."`` by file.
        answers: by file and output, of each sample.
    """

    target: Target
    python: str
    ends: dict[str, str]
    answers: Mapping[str, Mapping[str, list[Any]]]

    @classmethod
    def read(cls, path: Path) -> Trial:
        document = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))
        target = Target(document["interpreter"], document["version"])
        answers: dict[str, dict[str, list[Any]]] = {}
        with np.load(f"{path}.npz", allow_pickle=False) as arrays:
            for key in sorted(arrays):
                file, which = key.rsplit(":", 1)
                outputs = answers.setdefault(file, {})
                outputs.setdefault(which.split(".")[1], []).append(arrays[key])
        python = ".".join(document["python"].split(".")[:2])
        return cls(target, python, document["ends"], answers)


def difference(found: Trial, newest: Trial, file: str) -> float:
    """The largest difference between two interpreters' answers, as a share of the output's range."""
    worst = 0.0
    for output, expected in newest.answers.get(file, {}).items():
        given = found.answers.get(file, {}).get(output, [])
        if len(given) != len(expected):
            return np.inf
        pairs = list(zip(given, expected, strict=True))
        if any(a.shape != b.shape or a.dtype != b.dtype for a, b in pairs):
            return np.inf
        a, b = (np.concatenate([np.ravel(pair[i]) for pair in pairs]) for i in (0, 1))
        if not b.size:
            continue
        if a.dtype.kind not in "biuf":
            worst = max(worst, 0.0 if np.array_equal(a, b) else np.inf)
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return np.inf
        finite = np.isfinite(b)
        a, b = a[finite], b[finite]
        if not b.size:
            continue
        size = np.ptp(b) or max(abs(b[0]), 1.0)
        worst = max(worst, float(np.abs(a - b).max() / size))
    return worst


def tolerance(needs: Sequence[Need]) -> float:
    """How far answers to a file of these operators may be apart, by the coarsest that it computes in."""
    if any("int8" in n.types or "int4" in n.types or "int16" in n.types for n in needs):
        return INTEGER_TOLERANCE
    # TFLite stores halves, `const float16`, and computes in floats.
    halves = any("float16" in n.types.replace("const float16", "") for n in needs)
    return HALF_TOLERANCE if halves else FLOAT_TOLERANCE


def verdicts(trial: Trial, newest: Trial, needs: Mapping[str, Sequence[Need]]) -> dict[str, str]:
    """``"runs"``, ``"wrong: ..."`` or how it ended, by file that the newest interpreter runs."""
    found = {}
    for file, end in trial.ends.items():
        if newest.ends.get(file) != "runs":
            continue
        if end == "runs" and trial is not newest:
            error = difference(trial, newest, file)
            if error > tolerance(needs[file]):
                end = f"wrong: off by {error:.2g} of the range"
        found[file] = end
    return found


def rows_of(needs: Iterable[Need]) -> frozenset[Row]:
    return frozenset((need.op, need.types, need.rank) for need in needs)


def working_rows(
    ends: Mapping[str, str], rows: Mapping[str, frozenset[Row]]
) -> tuple[set[Row], list[str]]:
    """What one interpreter is known to run rightly, so that no file that fails counts as running.

    An operator is known by a file that runs. Where all operators of a failing file are known, one of
    them must be to blame for something that its types do not say: the one that fails most often,
    as a share of the files that hold it, is taken out, whatever else it ran in.

    Returns:
        the rows, and a line for each that was taken out.
    """
    held: dict[tuple[str, str], list[tuple[int, bool]]] = {}
    for file, end in ends.items():
        highest: dict[tuple[str, str], int] = {}
        for op, types, rank in rows[file]:
            highest[op, types] = max(rank, highest.get((op, types), 0))
        for kind, rank in highest.items():
            held.setdefault(kind, []).append((rank, end == "runs"))

    def share_failing(row: Row) -> float:
        # Who runs it with more axes runs it with fewer.
        ran = [runs for rank, runs in held[row[:2]] if rank >= row[2]]
        return ran.count(False) / len(ran)

    working = {row for file, end in ends.items() if end == "runs" for row in rows[file]}
    blamed = []
    # Short files first: what has one operator is certain.
    failing = sorted(
        (f for f, end in ends.items() if end != "runs"), key=lambda f: (len(rows[f]), f)
    )
    for file in failing:
        known: dict[tuple[str, str], int] = {}
        for op, types, rank in working:
            known[op, types] = max(rank, known.get((op, types), 0))
        if all(known.get(row[:2], -1) >= row[2] for row in rows[file]) and rows[file]:
            guilty = max(rows[file], key=lambda row: (share_failing(row), row))
            working -= {r for r in working if r[:2] == guilty[:2] and r[2] >= guilty[2]}
            blamed.append(f"{guilty[0]} ({guilty[1]}), {guilty[2]} axes: {file} {ends[file][:120]}")
    return working, blamed


def document(
    pythons: Mapping[Target, str],
    working: Mapping[Target, set[Row]],
    highest: Mapping[Target, Mapping[str, int]],
    onnx: Mapping[Target, Mapping[str, int]],
    slower_int8: set[Target],
) -> dict[str, Any]:
    """The table as it is written; see `edgekit.inspection.compatibility`."""
    versions: dict[str, list[str]] = {}
    for target in pythons:
        versions.setdefault(target.interpreter, []).append(target.version)
    by_row: dict[Row, set[Target]] = {}
    for target, rows in working.items():
        for row in rows:
            by_row.setdefault(row, set()).add(target)
    types: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for op, kind, rank in sorted(by_row, reverse=True):
        # Who runs it with more axes runs it with fewer: only those who do not are written.
        ranks = types.setdefault(op, {}).setdefault(kind, {})
        spans = _spans(by_row[op, kind, rank], versions)
        if not any(_within(spans, more, versions) for more in ranks.values()):
            ranks[str(rank)] = spans
    ops = sorted({op for known in highest.values() for op in known})
    return {
        "interpreters": {
            name: {version: pythons[Target(name, version)] for version in versions[name]}
            for name in sorted(versions)
        },
        "onnx": {target.version: dict(limits) for target, limits in onnx.items()},
        "operators": {
            op: {
                name: " ".join(
                    str(highest[Target(name, version)].get(op, 0)) for version in versions[name]
                )
                for name in sorted(versions)
                if name != "onnxruntime"
            }
            for op in ops
        },
        "slower_int8": _spans(slower_int8, versions),
        "types": {op: dict(sorted(kinds.items())) for op, kinds in sorted(types.items())},
    }


def _spans(targets: set[Target], versions: Mapping[str, list[str]]) -> dict[str, str]:
    """``{"tflite-runtime": "2.11.0 - 2.13.0"}``: versions that follow each other become one span."""
    spans = {}
    for name in sorted({target.interpreter for target in targets}):
        runs: list[list[str]] = [[]]
        for version in versions[name]:
            if Target(name, version) in targets:
                runs[-1].append(version)
            elif runs[-1]:
                runs.append([])
        spans[name] = ", ".join(
            run[0] if len(run) == 1 else f"{run[0]} - {run[-1]}" for run in runs if run
        )
    return spans


def _within(few: dict[str, str], many: dict[str, str], versions: Mapping[str, list[str]]) -> bool:
    from edgekit.inspection.compatibility import _span

    return all(
        name in many and set(_span(text, versions[name])) <= set(_span(many[name], versions[name]))
        for name, text in few.items()
    )


def text(table: Mapping[str, Any]) -> str:
    """JSON with a line for each thing that may change by itself."""
    parts = []
    for key, value in table.items():
        if key == "slower_int8":
            parts.append(f' "{key}": {json.dumps(value)}')
            continue
        lines = []
        for name, row in value.items():
            if key == "types":
                inner = ",\n".join(f"   {json.dumps(k)}: {json.dumps(v)}" for k, v in row.items())
                lines.append(f"  {json.dumps(name)}: {{\n{inner}\n  }}")
            else:
                lines.append(f"  {json.dumps(name)}: {json.dumps(row)}")
        parts.append(f' "{key}": {{\n' + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"
