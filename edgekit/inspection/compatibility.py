"""Compatibility: which interpreters load and rightly run a file, from a table that was measured.

The table, ``compatibility.json``, is made by ``benchmarks/compatibility``: released wheels tried a
corpus of small files, and each answer was compared with that of the newest. A file runs if all that it
holds was seen to run, and does not if something of it was seen to fail; what nobody tried is unmeasured.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError, nearest
from edgekit.formats.graph import Model
from edgekit.formats.tflite_schema import OPERATORS
from edgekit.inspection.needs import Need
from edgekit.inspection.needs_onnx import onnx_needs
from edgekit.inspection.needs_tflite import tflite_needs

# What runs files of each format, by the names their wheels carry.
INTERPRETERS = {
    "tflite": ("ai-edge-litert", "tflite-runtime"),
    "onnx": ("onnxruntime",),
}


# Of onnxruntime's operators beside ONNX' own.
_DOMAINS = ("com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml")
_CUSTOM = "a custom operator, which runs where its maker's kernel is registered"


@dataclass(frozen=True)
class Target:
    """One released interpreter.

    Attributes:
        interpreter: the name of its wheel.
        version: as released.
    """

    interpreter: str
    version: str

    def __str__(self) -> str:
        return f"{self.interpreter}=={self.version}"

    @property
    def format(self) -> str:
        """The format of the files it runs."""
        return next(f for f, names in INTERPRETERS.items() if self.interpreter in names)

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``"tflite-runtime==2.14"``. A version cut short stands for the newest it begins.

        Raises:
            UsageError: an interpreter or a version that the table does not hold.
        """
        name, _, version = (part.strip() for part in text.partition("=="))
        known = _Table.read().versions
        if name not in known:
            raise UsageError(
                f"target {text!r}: interpreter {name!r} is unknown, expected one of "
                f"{', '.join(known)}.{nearest(name, known)}"
            )
        if not version:
            raise UsageError(
                f"target {text!r}: names no version, expected one such as "
                f"{name}=={known[name][-1]}."
            )
        found = [v for v in known[name] if v == version or v.startswith(f"{version}.")]
        if not found:
            raise UsageError(
                f"target {text!r}: version {version} was not measured, expected one of "
                f"{', '.join(known[name])}."
            )
        return cls(name, found[-1])


@dataclass(frozen=True)
class Incompatibility:
    """Why a target does not run a file, or is not known to.

    Attributes:
        op: the operator; "" if it is the file as a whole.
        tensor: the name of the operator's first output, which carries its layer's name in TFLite.
        reason: in words.
        measured: whether it was seen to fail; it may run where it was not.
    """

    op: str
    tensor: str
    reason: str
    measured: bool


def needs_of(model: Model) -> tuple[Need, ...]:
    """What every operator of a file asks of its interpreter."""
    return onnx_needs(model) if model.format == "onnx" else tflite_needs(model)


def check(model: Model, target: Target) -> tuple[Incompatibility, ...]:
    """Why `target` does not load a file of its format, answers wrongly, or is not known to be right.

    Returns:
        What was seen to fail first, then what is unmeasured; empty if all was seen to run.
    """
    table = _Table.read()
    needs = dict.fromkeys(needs_of(model))
    found = table.incompatibilities_of_file(model, target)
    found += [i for need in needs if (i := table.incompatibility(need, target))]
    return tuple(sorted(found, key=lambda each: not each.measured))


def loadable_by(model: Model) -> dict[str, tuple[str, ...]]:
    """The versions of each interpreter that load a file and rightly run it, the oldest first.

    Returns:
        Versions by interpreter, those of `INTERPRETERS[model.format]`; an empty tuple where none does.
    """
    return {
        name: tuple(version for version, obstacles in row.items() if not obstacles)
        for name, row in obstacles_by_version(model).items()
    }


def obstacles_by_version(model: Model) -> dict[str, dict[str, list[Incompatibility]]]:
    """What `check` finds for every version of each interpreter of `INTERPRETERS[model.format]`.

    Of operators that ask the same, the first alone is named.
    """
    table = _Table.read()
    # A file repeats the same few operators.
    distinct = {(n.op, n.types, n.version, n.rank): n for n in reversed(needs_of(model))}.values()

    def obstacles(target: Target) -> list[Incompatibility]:
        found = table.incompatibilities_of_file(model, target)
        return found + [i for need in distinct if (i := table.incompatibility(need, target))]

    return {
        name: {version: obstacles(Target(name, version)) for version in table.versions[name]}
        for name in INTERPRETERS[model.format]
    }


def limits_of(target: Target) -> dict[str, int]:
    """The highest ``"ir_version"`` and ``"opset"`` that an onnxruntime is known to run."""
    limits = _Table.read().files[target]
    return {
        "ir_version": limits["ir_version"],
        "opset": min(limits["opset"], limits["tried_opset"]),
    }


def slower_in_int8(target: Target) -> bool:
    """Whether ResNet-8 took longer there as an int8 file of edgekit's than as the float32 file."""
    return target in _Table.read().slower_int8


# Versions of interpreters, as ``{"tflite-runtime": {"2.13.0", "2.14.0"}}``.
_Versions = dict[str, frozenset[str]]


@dataclass(frozen=True)
class _Table:
    """``compatibility.json``, unfolded.

    Attributes:
        versions: measured, by interpreter, the oldest first.
        highest: the highest version of a TFLite operator that an interpreter knows.
        types: who runs an operator with these types and so many axes or fewer, by (operator, types).
        files: the highest IR version and opset of each onnxruntime, and of the corpus that it ran.
        slower_int8: where ResNet-8 was slower in int8 than in float32.
    """

    versions: dict[str, list[str]]
    highest: dict[str, dict[Target, int]]
    types: dict[tuple[str, str], list[tuple[int, _Versions]]]
    files: dict[Target, dict[str, int]]
    slower_int8: frozenset[Target]

    @staticmethod
    @cache
    def read() -> _Table:
        path = Path(__file__).with_suffix(".json")
        return _Table.of(json.loads(path.read_text("utf-8")))

    @classmethod
    def of(cls, table: dict[str, Any]) -> _Table:
        versions = {name: list(pythons) for name, pythons in table["interpreters"].items()}

        def unfold(spans: dict[str, str]) -> _Versions:
            return {name: frozenset(_span(text, versions[name])) for name, text in spans.items()}

        return cls(
            versions,
            {
                op: {
                    Target(name, version): int(highest)
                    for name, row in rows.items()
                    for version, highest in zip(versions[name], row.split(), strict=True)
                }
                for op, rows in table["operators"].items()
            },
            {
                (op, types): [(int(rank), unfold(spans)) for rank, spans in rows.items()]
                for op, by_types in table["types"].items()
                for types, rows in by_types.items()
            },
            {Target("onnxruntime", version): limits for version, limits in table["onnx"].items()},
            frozenset(
                Target(name, version)
                for name, found in unfold(table["slower_int8"]).items()
                for version in found
            ),
        )

    def incompatibilities_of_file(self, model: Model, target: Target) -> list[Incompatibility]:
        """What the file as a whole asks in vain."""
        limits, opset = self.files.get(target), model.opsets.get("", 0)
        if limits is None:
            return []
        found = [
            Incompatibility("", "", f"{word} {asked} is above {limits[key]}, the highest", True)
            for key, word, asked in (
                ("ir_version", "IR version", model.ir_version),
                ("opset", "opset", opset),
            )
            if asked > limits[key]
        ]
        if limits["tried_opset"] < opset <= limits["opset"]:
            reason = f"operators of opset {opset} were not tried, of {limits['tried_opset']} were"
            found.append(Incompatibility("", "", reason, False))
        return found

    def incompatibility(self, need: Need, target: Target) -> Incompatibility | None:
        """Why `target` does not run an operator, or is not known to; None if it does."""
        found = self._of_operator(need, target) if target.format == "tflite" else None
        found = found or self._of_types(need, target)
        return found and Incompatibility(need.op, need.tensor, *found)

    def _of_operator(self, need: Need, target: Target) -> tuple[str, bool] | None:
        """A reason, and whether it was measured."""
        if need.op.startswith("Flex"):
            return "needs TensorFlow's kernels (the Flex delegate), which it does not have", True
        if need.op not in self.highest:
            # An operator of a newer schema has no name here, only its number.
            own = need.op in OPERATORS or need.op.startswith("operator ")
            return "the operator was not tried" if own else _CUSTOM, False
        highest = self.highest[need.op][target]
        if not highest:
            return "does not know the operator", True
        if need.version > highest:
            return f"version {need.version} is above {highest}, the highest that it knows", True
        return None

    def _of_types(self, need: Need, target: Target) -> tuple[str, bool] | None:
        """A reason, and whether it was measured."""
        rows = self.types.get((need.op, need.types), [])
        if not rows:
            domain = need.op.rpartition(".")[0]
            if domain and domain not in _DOMAINS:
                return _CUSTOM, False
            return f"types {need.types!r} were not tried", False
        tried = max(rank for rank, _ in rows)
        runs = [r for r, spans in rows if target.version in spans.get(target.interpreter, ())]
        if not runs:
            return f"types {need.types!r} did not run rightly", True
        if need.rank > max(runs):
            return (
                f"{need.rank} axes, and it ran rightly with {max(runs)} at most"
                + (f" ({tried} at most were tried)" if need.rank > tried else ""),
                need.rank <= tried,
            )
        return None


def _span(text: str, versions: list[str]) -> list[str]:
    """``"2.11.0 - 2.13.0, 2.14.0"`` as the versions it stands for."""
    found: list[str] = []
    for part in text.split(", "):
        first, _, last = part.partition(" - ")
        found += versions[versions.index(first) : versions.index(last or first) + 1]
    return found
