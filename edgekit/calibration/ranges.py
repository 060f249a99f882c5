"""Ranges: what calibration found, and whether there were samples enough to find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.calibration.methods import Interval, Method
from edgekit.calibration.resemblance import Resemblance

# A range wider by 1 / (1 - 0.1) has steps as much wider: 20 * log10 of it is 0.9 dB of SQNR.
_AGREEING = 0.1
_WORST = 3


@dataclass(frozen=True)
class Stability:
    """The split-half check: whether two halves of the calibration samples give the same ranges.

    The disagreement of a tensor is 1 - |A ∩ B| / |A ∪ B| of its two ranges: the share of their
    common width that only one half knows of. In words of quantisation: with one half in place of
    the other, steps are up to 1 / (1 - d) times as wide, or values in that share are cut off.

    Attributes:
        disagreement: mean over the tensors, in [0, 1].
        worst: the tensors that disagree the most, largest first, with their disagreement.
    """

    disagreement: float
    worst: tuple[tuple[str, float], ...]

    @property
    def enough(self) -> bool:
        """At most a tenth: less than 1 dB of SQNR is at stake (20 * log10(1 / 0.9) = 0.9)."""
        return self.disagreement <= _AGREEING

    def to_json(self) -> dict[str, Any]:
        return {
            "disagreement": round(self.disagreement, 4),
            "enough": self.enough,
            "worst": [
                {"tensor": name, "disagreement": round(share, 4)} for name, share in self.worst
            ],
        }


@dataclass(frozen=True)
class Ranges:
    """The range of each tensor of one file, by the tensor's name.

    Attributes:
        method: how they were chosen.
        samples: how many they were found from.
        chosen: what the method chose.
        seen: smallest and largest value.
        split_half: what the method chose for either half of the samples; empty for a single sample.
        resemblance: how validation samples lie in the ranges, if there were any.
        learned: how many of the ranges chosen are those that the model was trained with.
        oddities: what cannot be right about the samples, in words.
    """

    method: Method
    samples: int
    chosen: Mapping[str, Interval]
    seen: Mapping[str, Interval]
    split_half: tuple[Mapping[str, Interval], ...] = ()
    resemblance: Resemblance | None = None
    learned: int = 0
    oddities: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What to tell a user whose samples are too few, or of another kind than those to come."""
        found = list(self.oddities)
        if self.samples == 1 and not self.learned:
            found.append(
                "1 calibration sample does not tell how far values reach in others. Give more samples."
            )
        stability = self.stability
        if stability is not None and not stability.enough:
            name, share = stability.worst[0]
            found.append(
                f"{self.samples} calibration samples are not enough: ranges from either half of "
                f"them differ by {stability.disagreement:.1%}, expected {_AGREEING:.0%} at most "
                f"({name!r} by {share:.1%}). Give more samples."
            )
        if self.resemblance is not None and self.resemblance.warning:
            found.append(self.resemblance.warning)
        return found

    def to_json(self) -> dict[str, Any]:
        row: dict[str, Any] = {"samples": self.samples, "method": self.method.name}
        if self.method.name == "percentile":
            row["percentile"] = self.method.percentile
        if self.learned:
            row["learned"] = self.learned
        if self.stability is not None:
            row["split_half"] = self.stability.to_json()
        if self.resemblance is not None:
            row["validation"] = self.resemblance.to_json()
        return row

    def of(self, scheme: str) -> Mapping[str, Interval]:
        """The ranges for files of `scheme`.

        16-bit integers take all that was seen: they have steps to spare, cutting off gains nothing.
        """
        return self.seen if scheme == "int16x8" else self.chosen

    @property
    def stability(self) -> Stability | None:
        """Whether two halves give the same ranges; None where they could not be told apart."""
        if not self.split_half:
            return None
        first, second = self.split_half
        shares = {name: disagreement(first[name], second[name]) for name in first if name in second}
        if not shares:
            return None
        ranked = sorted(shares.items(), key=lambda row: (-row[1], row[0]))
        return Stability(sum(shares.values()) / len(shares), tuple(ranked[:_WORST]))


def disagreement(a: Interval, b: Interval) -> float:
    """1 - |A ∩ B| / |A ∪ B|, where the union is the hull; 0 for two equal points (Jaccard distance)."""
    hull = max(a.highest, b.highest) - min(a.lowest, b.lowest)
    common = max(0.0, min(a.highest, b.highest) - max(a.lowest, b.lowest))
    return 1 - common / hull if hull > 0 else 0.0
