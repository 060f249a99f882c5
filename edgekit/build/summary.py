"""Summary: what a build came to, cell by cell, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekit.build.order import Order
from edgekit.build.plan import BUNDLE, named
from edgekit.build.steps import Outcome
from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    from edgekit.report.table import Table


def summary_of(orders: Sequence[Order], outcomes: Sequence[Outcome]) -> str:
    """A table with a row for each file of each cell, what became of each bundle, and what failed.

    Args:
        outcomes: of the steps that were done.
    """
    from edgekit.report.table import Table, escape_markdown

    by_name = {outcome.name: outcome for outcome in outcomes}
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    columns: list[str] = []
    rows: list[dict[str, str]] = []
    for order in orders:
        outcome = by_name.get(named(BUNDLE, order.cell))
        made = order.bundle.exists() and (outcome is None or outcome.done)
        of_cell = {"cell": order.cell, "bundle": "yes" if made else "no"}
        table = _files(order)
        columns += [name for name in table.columns if name not in columns]
        found = [dict(zip(table.columns, cells, strict=True)) for cells in table.rows]
        rows += [{**of_cell, **each} for each in found or [{}]]
    parts = [f"# Build of {len(orders)} combinations\n"]
    if rows:
        columns = ["cell", *columns, "bundle"]
        shown = tuple(tuple(row.get(name, "") for name in columns) for row in rows)
        parts.append(Table(tuple(columns), shown).to_markdown())
    if failed:
        lines = (
            f"- **{escape_markdown(each.name)}**: {escape_markdown(str(each.error))}\n"
            for each in failed
        )
        parts.append(f"## Failed\n\n{''.join(lines)}")
    return "\n".join(parts)


def _files(order: Order) -> Table:
    """The files of a cell; none where its report cannot be made, as where the build was stopped before."""
    from edgekit.report import merge
    from edgekit.report.table import Table, rows_table

    documents = [path for path in order.documents if path.exists()]
    if order.drift not in documents:
        return Table((), ())
    try:
        return rows_table(merge(documents))
    except EdgekitError:
        # Of a build that was stopped in between, they need not belong together.
        return Table((), ())
