"""What came of running each file beside its model when it was exported, as a table."""

from __future__ import annotations

from edgekit.manifest import OutputCheck
from edgekit.report import units
from edgekit.report.data import Report
from edgekit.report.table import Table

_COLUMNS = ("file", "output", "judged as", "largest error", "SQNR", "kept", "dead channels")


def checks_table(report: Report) -> Table | None:
    """A row for each output of each file that the manifest has a check of; None where there is none."""
    rows = []
    for row in report.rows:
        check = row.exported.check if row.exported else None
        for output in check.outputs if check else ():
            rows.append(
                (
                    row.name,
                    output.output,
                    output.kind,
                    "not finite" if output.max_error is None else f"{output.max_error:.1e}",
                    _ratio(output),
                    units.percent(output.kept),
                    f"{output.dead_count} of {output.channels}",
                )
            )
    return Table(_COLUMNS, tuple(rows)) if rows else None


def checked_with(report: Report) -> str:
    """On which samples, in which interpreters: a sentence beside the table; empty without one."""
    checks = [row.exported.check for row in report.rows if row.exported and row.exported.check]
    if not checks:
        return ""
    kernels = sorted({kernel for check in checks for kernel in check.kernels})
    origins = sorted({f"{check.samples} {check.origin} samples" for check in checks})
    return (
        f"Each file beside the model it was made of, on {' or '.join(origins)}, in "
        f"{', '.join(kernels)}. Errors are fractions of the output's range."
    )


def _ratio(output: OutputCheck) -> str:
    integers = output.kind == "integers" and output.sqnr_db is None
    if integers or output.max_error is None:
        return units.UNKNOWN
    return "identical" if output.sqnr_db is None else units.decibels(output.sqnr_db)
