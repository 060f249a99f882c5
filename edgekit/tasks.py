"""Tasks: what the outputs of a model are for, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgekit.errors import UsageError, nearest

CLASSIFICATION = "classification"
MULTI_LABEL = "multi-label"
REGRESSION = "regression"
SEGMENTATION = "segmentation"
DETECTION = "detection"
EMBEDDING = "embedding"
SEQUENCE = "sequence"
CTC = "ctc"
ANOMALY = "anomaly"
# Of answers that no labels say anything of.
UNLABELLED = "unlabelled"
# In the place of a task: none, whatever labels and outputs look like.
NONE = "none"

CHOICES = (
    CLASSIFICATION,
    MULTI_LABEL,
    REGRESSION,
    SEGMENTATION,
    DETECTION,
    EMBEDDING,
    SEQUENCE,
    CTC,
    ANOMALY,
    NONE,
)
"""What may be asked for."""

TASKS = (
    CLASSIFICATION,
    REGRESSION,
    SEGMENTATION,
    MULTI_LABEL,
    ANOMALY,
    UNLABELLED,
    DETECTION,
    EMBEDDING,
    SEQUENCE,
    CTC,
)
"""What documents name."""

# For the output that a task is of, where there is only one that it fits.
ANY_OUTPUT = ""


def check_tasks(tasks: Mapping[str, str]) -> None:
    """Refuse what is no task.

    Args:
        tasks: by output; `ANY_OUTPUT` for the one that it fits.

    Raises:
        UsageError: an unknown task; the nearest known one is named.
    """
    for output, kind in tasks.items():
        if kind not in CHOICES:
            place = f" of output {output!r}" if output else ""
            raise UsageError(
                f"task{place}: received {kind!r}, expected one of {', '.join(CHOICES)}."
                f"{nearest(str(kind), CHOICES)}"
            )


def parse_tasks(texts: Iterable[str]) -> dict[str, str]:
    """Read ``"segmentation"`` or ``"mask=segmentation"``, an output and its task.

    Raises:
        UsageError: an unknown task, or two for one output.
    """
    found: dict[str, str] = {}
    for text in texts:
        output, _, kind = text.rpartition("=")
        if found.get(output, kind) != kind:
            place = f"output {output!r}" if output else "any output"
            raise UsageError(
                f"task: received {found[output]!r} and {kind!r} for {place}, expected one."
            )
        found[output] = kind
    check_tasks(found)
    return found
