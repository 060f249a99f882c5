"""Flips one can look at, and what changed into what."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.drift.evidence import Flip
from edgekit.drift.golden import Golden
from edgekit.errors import DocumentError
from edgekit.report import units
from edgekit.report.data import VERDICTS, Report, Row
from edgekit.report.hashes import short
from edgekit.report.pictures import Picture, picture
from edgekit.report.table import Table

# Of each file and of all: a page stays small enough to be sent.
_OF_A_FILE, _OF_ALL, _CHANGES = 6, 18, 12


@dataclass(frozen=True)
class ShownFlip:
    """A sample with both answers.

    Attributes:
        sample: its index in the golden file.
        facts: what is right and what each model said, with its margin.
        picture: None where no golden file was given.
    """

    file: str
    sample: int
    facts: tuple[tuple[str, str], ...]
    picture: Picture | None


def golden_for(report: Report, path: str | os.PathLike[str]) -> Golden:
    """Read the golden file that the documents were made with.

    Raises:
        UsageError: nothing is at `path`.
        DocumentError: it is no golden file, or another one.
    """
    golden = Golden.load(path)
    if report.golden_sha256 not in (None, golden.sha256):
        raise DocumentError(
            f"{path}: has sha256 {short(golden.sha256 or '')}, and the files were compared with "
            f"{short(report.golden_sha256 or '')}. Give the golden file that 'edgekit compare' had."
        )
    return golden


def shown_flips(report: Report, golden: Golden | None) -> tuple[ShownFlip, ...]:
    """Those of the gravest files first, and of each those of which the original was surest."""
    names = class_names(report)
    rows = sorted(report.rows, key=lambda row: VERDICTS.index(row.verdict or "none"))
    found: list[ShownFlip] = []
    for row in rows:
        for flip in _flips(row)[:_OF_A_FILE]:
            pictured = golden is not None and flip.sample < len(golden.samples)
            found.append(
                ShownFlip(
                    row.name,
                    flip.sample,
                    tuple(_facts(flip, names)),
                    picture(golden.samples.inputs, flip.sample) if golden and pictured else None,
                )
            )
    return tuple(found[:_OF_ALL])


def flips_table(flips: tuple[ShownFlip, ...]) -> Table:
    """The same without pictures."""
    columns = list(dict.fromkeys(about for flip in flips for about, _ in flip.facts))
    return Table(
        ("file", "sample", *columns),
        tuple(
            (
                flip.file,
                f"{flip.sample:,}",
                *(dict(flip.facts).get(column, units.UNKNOWN) for column in columns),
            )
            for flip in flips
        ),
    )


def change_tables(report: Report) -> list[tuple[str, Table]]:
    """For each file with flips its name and which class became which, the most frequent first."""
    names = class_names(report)
    tables = []
    for row in report.rows:
        found = row.candidate.evidence if row.candidate else None
        if found is None or not found.changes:
            continue
        labelled = any(change.lost is not None for change in found.changes)
        columns = ("from", "to", "samples", *(("right before", "right now") if labelled else ()))
        tables.append(
            (
                row.name,
                Table(
                    columns,
                    tuple(
                        (
                            _name(change.reference, names),
                            _name(change.candidate, names),
                            f"{change.count:,}",
                            *((f"{change.lost:,}", f"{change.gained:,}") if labelled else ()),
                        )
                        for change in found.changes[:_CHANGES]
                    ),
                ),
            )
        )
    return tables


def class_names(report: Report) -> dict[int, str]:
    """What an evaluation calls each class."""
    return {
        each.label: each.name
        for row in report.evaluations
        for each in row.document.per_class
        if each.name
    }


def _flips(row: Row) -> tuple[Flip, ...]:
    found = row.candidate.evidence if row.candidate else None
    return found.flips if found else ()


def _facts(flip: Flip, names: dict[int, str]) -> Iterator[tuple[str, str]]:
    if flip.label is not None:
        yield "right", _name(flip.label, names)
    yield "original", _answer(flip.reference, flip.reference_margin, names)
    yield "file", _answer(flip.candidate, flip.candidate_margin, names)


def _answer(answer: int, margin: float, names: dict[int, str]) -> str:
    return f"{_name(answer, names)}, ahead by {margin:.3g}"


def _name(answer: int, names: dict[int, str]) -> str:
    return names.get(answer) or f"class {answer}"
