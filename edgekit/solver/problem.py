"""Problem: what each operator and each tensor of a graph costs and loses in int8 and in float."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """An operator.

    Attributes:
        name: of its first output.
        reads, gives: computed tensors, by name.
        loss: what its kernel adds to the squared error at the outputs in int8.
        saved: what it costs less in int8 than in float; negative where it costs more.
        able: whether it can compute in int8 at all.
    """

    name: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    loss: float
    saved: float
    able: bool = True


@dataclass(frozen=True)
class Wire:
    """A tensor.

    Attributes:
        name: as in the file.
        loss: what its rounding adds to the squared error at the outputs.
        quantize: what it costs to round it where a float operator gives it and one in int8 reads it.
        dequantize: what it costs to turn it into floats where one in int8 gives it and a float one reads it.
    """

    name: str
    loss: float
    quantize: float
    dequantize: float


@dataclass(frozen=True)
class Problem:
    """Parts in int8 or in float, wires between them.

    A wire is rounded if any part that gives or reads it is in int8. What no part gives, an input of the
    graph, comes as its readers want it: it is converted where some want one and some the other.
    """

    parts: tuple[Part, ...]
    wires: Mapping[str, Wire]

    @property
    def makers(self) -> dict[str, str]:
        """Of each wire that a part gives, the part's name."""
        return {wire: part.name for part in self.parts for wire in part.gives}

    @property
    def readers(self) -> dict[str, list[str]]:
        """Of each wire that is read, the parts' names."""
        found: dict[str, list[str]] = {}
        for part in self.parts:
            for wire in dict.fromkeys(part.reads):
                found.setdefault(wire, []).append(part.name)
        return found

    def loss(self, left: Collection[str]) -> float:
        """The squared error at the outputs with these parts in float."""
        rounded, _, _ = self._borders(left)
        return sum(part.loss for part in self.parts if part.name not in left) + sum(
            self.wires[wire].loss for wire in sorted(rounded)
        )

    def cost(self, left: Collection[str]) -> float:
        """What it costs more, with these parts in float, than all in int8 without a border would."""
        _, quantized, dequantized = self._borders(left)
        return (
            sum(part.saved for part in self.parts if part.name in left)
            + sum(self.wires[wire].quantize for wire in sorted(quantized))
            + sum(self.wires[wire].dequantize for wire in sorted(dequantized))
        )

    def _borders(self, left: Collection[str]) -> tuple[set[str], set[str], set[str]]:
        """The wires that are rounded; of those, the ones to quantise, and to dequantise, at a border."""
        makers, readers = self.makers, self.readers
        rounded: set[str] = set()
        quantized: set[str] = set()
        dequantized: set[str] = set()
        for wire in self.wires:
            maker, reading = makers.get(wire), readers.get(wire, [])
            in_float = [name in left for name in reading]
            integers = maker is not None and maker not in left
            if integers or not all(in_float):
                rounded.add(wire)
            if maker is None:
                if any(in_float) and not all(in_float):
                    quantized.add(wire)
            elif not integers and not all(in_float):
                quantized.add(wire)
            elif integers and any(in_float):
                dequantized.add(wire)
        return rounded, quantized, dequantized
