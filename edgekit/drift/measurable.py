"""Measurable: the figures that a file's answers can have with a golden, known before any file is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from edgekit.drift import columns
from edgekit.drift.candidate import OutputDrift
from edgekit.drift.figure import OF_THE_FILE, Figure
from edgekit.drift.golden import Golden
from edgekit.drift.limit import Limit
from edgekit.drift.tasks.detection import detection_figures
from edgekit.drift.tasks.figures import task_figures
from edgekit.errors import UsageError
from edgekit.tasks import DETECTION

# Samples that tell most figures; one that is missing there is looked for among all of them.
_SOME = 64
# Figures that need what no golden has: a score at which the device decides.
_ASKED_FOR = ("decision_changes",)


def check_limits(golden: Golden, limits: tuple[Limit, ...], names: list[str]) -> None:
    """Ask this before the work: will there be a figure for every limit?

    Args:
        golden: the original's answers.
        limits: on what files are judged by.
        names: columns that limits name.

    Raises:
        UsageError: there will be none, because the task has no such figure, or the column has no such value.
    """
    wanted = [limit for limit in limits if limit.figure not in (*OF_THE_FILE, *_ASKED_FOR)]
    wanted = [limit for limit in wanted if not _read_by_the_file(golden, limit)]
    groups = columns.slices(golden.columns, names) if wanted else {}
    count = len(golden.samples)
    if count > _SOME and not names:
        wanted = _unmet(wanted, list(_measured(golden.subset(_SOME), {})))
    if not wanted:
        return
    figures = list(_measured(golden, groups))
    for limit in _unmet(wanted, figures):
        own = sorted({f.group for f in figures if f.name == limit.figure and f.group})
        known = ", ".join(sorted({f.name for f in figures if not f.group}))
        raise UsageError(
            f"limit of {limit.words}: "
            + (
                f"not measured there, only for {', '.join(own)}."
                if own
                else f"no such figure of the task {golden.task!r}. There are {known}."
            )
        )


def _read_by_the_file(golden: Golden, limit: Limit) -> bool:
    """Whether it is of boxes, for which a file may bring a decoder that the golden does not have."""
    return golden.decoder is None and (limit.figure.startswith("box_") or "map" in limit.figure)


def _unmet(limits: list[Limit], figures: list[Figure]) -> list[Limit]:
    return [
        limit
        for limit in limits
        if not any(limit.concerns(f.name, f.output, f.group) for f in figures)
    ]


def _measured(golden: Golden, groups: Mapping[str, NDArray[np.bool_]]) -> Iterator[Figure]:
    """The figures of the original beside itself."""
    for name, x in golden.outputs.items():
        some = np.asarray(x[:_SOME])
        yield from OutputDrift.of(name, some, some).figures(len(golden.samples))
    for each in golden.each():
        if each.task_output is not None:
            yield from task_figures(each, each.outputs[each.task_output], groups)
    if golden.decoder is not None:
        boxes, labelled = golden.boxes(), golden.task == DETECTION
        labels = golden.labels if labelled else None
        yield from detection_figures(boxes, boxes, labels, golden.task_output if labelled else None)
