"""What a report comes to, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.report import units
from edgekit.report.data import Report, Row
from edgekit.report.next_step import is_judged


def summary(report: Report) -> str:
    """Two or three sentences: what holds, what does not, and what the smallest good file gives."""
    parts = [_judgement(report), _best(report)]
    return " ".join(part for part in parts if part)


def _judgement(report: Report) -> str:
    rows = report.rows
    if not rows:
        return "The documents hold no exported files."
    compared = [row for row in rows if row.verdict is not None]
    if not compared:
        return f"{_files(len(rows))} not compared with the original model."
    text = _judged(compared) if is_judged(compared) else _unjudged(report, compared)
    missing = [row for row in rows if row.verdict is None]
    return f"{text} Not compared: {_names(missing)}." if missing else text


def _judged(compared: Sequence[Row]) -> str:
    good, total = sum(row.verdict == "pass" for row in compared), len(compared)
    if good == total:
        text = "The file stays" if total == 1 else f"All {total} files stay"
    elif good == 0:
        text = "No file is shown to stay"
    else:
        text = f"{good} of {units.plural(total, 'file')} stay{'' if good > 1 else 's'}"
    text += " within the budget"
    for verdict, words in (
        ("fail", "failed"),
        ("inconclusive", "too few samples to tell"),
        ("none", "not judged"),
    ):
        if found := [row for row in compared if row.verdict == verdict]:
            text += f"; {words}: {_names(found)}"
    return f"{text}."


def _unjudged(report: Report, compared: Sequence[Row]) -> str:
    text = (
        f"{_files(len(compared))} compared with the original model on "
        f"{units.plural(report.samples or 0, 'sample')}; no budget is set"
    )
    # What is not finite fails without any budget.
    failed = [row for row in compared if row.verdict == "fail"]
    return f"{text}, but failed: {_names(failed)}." if failed else f"{text}."


def _best(report: Report) -> str:
    """Of the smallest file within the budget or, where there is none, of all that were compared."""
    wanted = "pass" if is_judged(report.rows) else "none"
    good = [row for row in report.rows if row.verdict == wanted and row.size_bytes]
    if not good:
        return ""
    row = min(good, key=lambda row: row.size_bytes or 0)
    original = report.reference.size_bytes if report.reference else None
    who = row.name
    if len(good) > 1:
        where = " within budget" if len(good) < len(report.rows) and wanted == "pass" else ""
        who = f"The smallest{where}, {row.name},"
    text = f"{who} is {units.size(row.size_bytes)}"
    if original and row.size_bytes and original > row.size_bytes:
        text += f" ({original / row.size_bytes:.1f}x smaller than the original)"
    facts = [text, *_answers(row), *_speed(row)]
    return f"{', '.join(facts[:-1])} and {facts[-1]}." if len(facts) > 1 else f"{text}."


def _answers(row: Row) -> list[str]:
    if row.drop is None or row.accuracy is None:
        if row.agreement is None:
            return []
        return [f"gives the original's answer to {units.percent(row.agreement)} of the samples"]
    change = units.hundredths(abs(row.drop))
    if float(change) == 0:
        return [f"keeps the accuracy of {units.percent(row.accuracy)}"]
    verb = "loses" if row.drop > 0 else "gains"
    return [f"{verb} {change} points of accuracy (now {units.percent(row.accuracy)})"]


def _speed(row: Row) -> list[str]:
    if row.measurement is None:
        return []
    text = f"answers in {units.duration(row.p50_ms)}"
    if row.speedup is not None:
        text += f", {units.speedup(row.speedup)} as fast as the original"
    return [text]


def _files(count: int) -> str:
    return f"{units.plural(count, 'file')} {'was' if count == 1 else 'were'}"


def _names(rows: Sequence[Row]) -> str:
    shown = ", ".join(row.name for row in rows[:4])
    return f"{shown} and {len(rows) - 4} more" if len(rows) > 4 else shown
