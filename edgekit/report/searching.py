"""What a search made on its way to the smallest or fastest file: every file's cost against its drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekit.report import units
from edgekit.report.charts import Tick, round_steps
from edgekit.report.data import VERDICT_WORDS, Report
from edgekit.report.table import Table
from edgekit.report.tradeoff import Dot, Panel, TradeOff, dodged, logarithmic

# What is minimised, its key in the record, and its text.
_COSTS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("size", "size_bytes", units.size),
    ("latency (p50)", "p50_ms", units.duration),
)


@dataclass(frozen=True)
class Searched:
    """One search.

    Attributes:
        title: the file that was written.
        text: what was requested, and with how many samples.
        picture: None where the files have no share of answers, or costs, to show.
        table: a row for each file that was made.
    """

    title: str
    text: str
    picture: TradeOff | None
    table: Table


def searches(report: Report) -> tuple[Searched, ...]:
    """One for each file that came of a search."""
    return tuple(
        _searched(row.name, row.recipe["search"]) for row in report.rows if "search" in row.recipe
    )


def _searched(name: str, record: dict[str, Any]) -> Searched:
    tried = record.get("tried", [])
    unmade = record.get("unmade", {})
    text = (
        f"Least {record['minimise']} with {' and '.join(record['budget'])}; searched with "
        f"{units.plural(record['searched'], 'sample')}, judged on {record['judged']} others. Times of operators: "
        f"{record['costs']}."
    )
    if unmade:
        text += f" Not made: {'; '.join(f'{file}, {reason}' for file, reason in unmade.items())}"
    return Searched(name, text, _picture(tried), _table(tried))


def _letter(at: int) -> str:
    return chr(ord("A") + at) if at < 26 else str(at + 1)


def _table(tried: list[dict[str, Any]]) -> Table:
    columns = ("file", "verdict", "in float", "size", "packed", "p50", "drop", "agreement", "SQNR")
    rows = []
    for at, row in enumerate(tried):
        chosen = ", chosen" if row.get("chosen") else ""
        level = row.get("sqnr_db")
        rows.append(
            (
                f"{_letter(at)}  {row['name']}{chosen}",
                VERDICT_WORDS[row["verdict"]],
                str(len(row.get("left_in_float", ()))),
                units.size(row["size_bytes"]),
                units.size(row.get("compressed_size_bytes")),
                units.duration(row.get("p50_ms")),
                units.points(row.get("drop")),
                units.percent(row.get("agreement")),
                units.UNKNOWN if level is None else f"{level:.1f} dB",
            )
        )
    return Table(columns, tuple(rows))


def _picture(tried: list[dict[str, Any]]) -> TradeOff | None:
    """Agreement with the original against each cost that is known of two files at least."""
    rows = [(at, row) for at, row in enumerate(tried) if row.get("agreement") is not None]
    shares = [float(row["agreement"]) for _, row in rows]
    if len(rows) < 2:
        return None
    pad = 0.12 * (max(shares) - min(shares)) or 0.005
    low, high = min(shares) - pad, max(shares) + pad

    def height(share: float) -> float:
        return 100 * (high - share) / (high - low)

    steps = [step for step in round_steps(100 * low, 100 * high) if 0 <= step <= 100]
    ticks = tuple(Tick(height(step / 100), f"{step:g} %") for step in steps)
    panels = []
    for title, key, text in _COSTS:
        known = [(at, row) for at, row in rows if row.get(key)]
        if len(known) < 2:
            continue
        across, marks = logarithmic([row[key] for _, row in known], text)
        places = [(across(row[key]), height(row["agreement"])) for _, row in known]
        dots = tuple(
            Dot(
                letter=_letter(at),
                x=x,
                y=y,
                low=None,
                high=None,
                dx=dx,
                dy=dy,
                verdict=row["verdict"],
                best=bool(row.get("chosen")),
                text=f"{row['name']}: {units.percent(row['agreement'])} agreement, {text(row[key])}",
            )
            for (at, row), (x, y), (dx, dy) in zip(known, places, dodged(places, []), strict=True)
        )
        panels.append(Panel(title, dots, None, marks))
    return TradeOff("agreement", tuple(panels), ticks, None) if panels else None
