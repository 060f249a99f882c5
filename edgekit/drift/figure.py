"""Figure: one measured number of a file, or of how its answers differ from the original model's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from edgekit.document.record import Count, Positive, Record, Text

UNITS = ("share", "difference", "dB", "output", "ms", "bytes", "count", "number")
HIGHER, LOWER = BETTER = ("higher", "lower")


class Kind(NamedTuple):
    """What a figure's name says of it: its unit, which way is better, and what sentences call it."""

    unit: str
    better: str
    words: str


KINDS = {
    "accuracy": Kind("share", HIGHER, "accuracy"),
    "accuracy_drop": Kind("difference", LOWER, "accuracy drop"),
    "top5_accuracy": Kind("share", HIGHER, "top-5 accuracy"),
    "top5_accuracy_drop": Kind("difference", LOWER, "top-5 accuracy drop"),
    "decision_changes": Kind("share", LOWER, "share of decisions at the threshold that change"),
    "agreement": Kind("share", HIGHER, "agreement"),
    "ece": Kind("share", LOWER, "calibration error"),
    "ece_rise": Kind("difference", LOWER, "rise of the calibration error"),
    "flips": Kind("count", LOWER, "number of flips"),
    "sqnr_db": Kind("dB", HIGHER, "SQNR"),
    "worst_channel_db": Kind("dB", HIGHER, "SQNR of the worst channel"),
    "dead_channels": Kind("count", LOWER, "number of dead channels"),
    "clipped": Kind("share", LOWER, "share of clipped answers"),
    "max_abs": Kind("output", LOWER, "largest step"),
    "output_rmse": Kind("output", LOWER, "RMSE to the original's answers"),
    "rmse": Kind("output", LOWER, "RMSE"),
    "rmse_rise": Kind("output", LOWER, "rise of the RMSE"),
    "mae": Kind("output", LOWER, "MAE"),
    "mae_rise": Kind("output", LOWER, "rise of the MAE"),
    "mse_rise": Kind("output", LOWER, "rise of the reconstruction's mean square error"),
    "r2": Kind("number", HIGHER, "R2"),
    "r2_drop": Kind("number", LOWER, "drop of R2"),
    "pixel_accuracy": Kind("share", HIGHER, "pixel accuracy"),
    "pixel_accuracy_drop": Kind("difference", LOWER, "pixel accuracy drop"),
    "miou": Kind("share", HIGHER, "mean IoU"),
    "miou_drop": Kind("difference", LOWER, "drop of the mean IoU"),
    "iou": Kind("share", HIGHER, "IoU"),
    "iou_drop": Kind("difference", LOWER, "drop of the IoU"),
    "f1": Kind("share", HIGHER, "F1"),
    "f1_drop": Kind("difference", LOWER, "drop of F1"),
    "auc": Kind("share", HIGHER, "AUC"),
    "auc_drop": Kind("difference", LOWER, "drop of the AUC"),
    "box_agreement": Kind("share", HIGHER, "agreement of boxes"),
    "box_iou": Kind("share", HIGHER, "overlap of boxes that both have"),
    "score_change": Kind("number", LOWER, "mean change of scores"),
    "box_map50": Kind("share", HIGHER, "mAP at 0.5, the original's boxes being the truth"),
    "box_map": Kind("share", HIGHER, "mAP, the original's boxes being the truth"),
    "map50": Kind("share", HIGHER, "mAP at 0.5"),
    "map50_drop": Kind("difference", LOWER, "drop of the mAP at 0.5"),
    "map": Kind("share", HIGHER, "mAP"),
    "map_drop": Kind("difference", LOWER, "drop of the mAP"),
    "cosine": Kind("number", HIGHER, "mean cosine similarity"),
    "neighbour_agreement": Kind("share", HIGHER, "agreement of neighbours"),
    "neighbour_accuracy": Kind("share", HIGHER, "accuracy of the nearest neighbour"),
    "neighbour_accuracy_drop": Kind("difference", LOWER, "accuracy drop of the nearest neighbour"),
    "token_agreement": Kind("share", HIGHER, "agreement of tokens"),
    "same_sequences": Kind("share", HIGHER, "share of equal sequences"),
    "edit_distance": Kind("number", LOWER, "mean edit distance"),
    "token_error_rate": Kind("number", LOWER, "token error rate"),
    "token_error_rate_rise": Kind("number", LOWER, "rise of the token error rate"),
    "size_bytes": Kind("bytes", LOWER, "size"),
    "packed_bytes": Kind("bytes", LOWER, "packed size"),
    "p50_ms": Kind("ms", LOWER, "p50 latency"),
    "p99_ms": Kind("ms", LOWER, "p99 latency"),
    "peak_rss_bytes": Kind("bytes", LOWER, "peak memory"),
}
"""Every figure by its name; a kind of task adds its own here."""

MEASURED_BY_BENCH = ("p50_ms", "p99_ms", "peak_rss_bytes")
# Those of the file itself, which no sample has a part in.
OF_THE_FILE = ("size_bytes", "packed_bytes", *MEASURED_BY_BENCH)


@dataclass(frozen=True)
class Figure(Record):
    """One measured number.

    Attributes:
        name: such as ``"accuracy"``, ``"agreement"``, ``"miou"`` or ``"size_bytes"``. One that ends in
            ``_drop`` is the original's value minus the file's, of a number that is better when higher;
            one that ends in ``_rise`` the file's minus the original's, of one that is better when lower.
        unit: ``"share"`` from 0 to 1, ``"difference"`` of two shares, from -1 to 1, ``"output"`` for
            the output's own unit, ``"dB"``, ``"ms"``, ``"bytes"``, ``"count"``, or ``"number"`` for one without a
            unit.
        better: ``"higher"`` or ``"lower"``.
        value: None where it could not be measured, as of answers that are not finite.
        reference: what the original model has; None where that says nothing, as for a difference.
        ci95: both ends of the value's 95 % interval; None where the number is exact.
        count: samples that it rests on; None for a number that no samples make.
        changed: of a difference of shares, the samples that only one of the two gets right; None for
            every other number.
        output: as the reference calls it; None for the whole file.
        identical: the answers are the same to the bit, so that an SQNR is infinite, and null in JSON.
        group: empty for all samples, else ``"class=3"``, or ``"column=value"`` of a slice.
    """

    name: Text
    unit: Annotated[str, ("enum", UNITS)]
    better: Annotated[str, ("enum", BETTER)]
    value: float | None
    reference: float | None = None
    ci95: tuple[float, float] | None = None
    count: Positive | None = None
    changed: Count | None = None
    output: str | None = None
    group: str = ""
    identical: bool = False

    @property
    def place(self) -> str:
        """Which output and group it is of, in words; empty for the whole file."""
        parts = [f"output {self.output!r}"] if self.output else []
        parts += [self.group.replace("=", " ", 1)] if self.group else []
        return ", ".join(parts)

    @classmethod
    def of(cls, name: str, value: float | None, **known: Any) -> Figure:
        """A figure of a known name, with its unit and the way that is better."""
        kind = KINDS[name]
        if kind.unit == "share" and (ends := known.get("ci95")) is not None:
            # An interval that goes on for what was not seen ends where shares do.
            known["ci95"] = max(0.0, ends[0]), min(1.0, ends[1])
        return cls(name, kind.unit, kind.better, value, **known)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Figure:
        """As `Record.of_json`; JSON has no infinity."""
        if values["identical"] and values["value"] is None:
            values["value"] = math.inf
        return cls(**values)
