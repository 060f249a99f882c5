"""What a benchmark found, as lines: a table with the columns that say something, and what to know beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from edgekit.artifact import told_apart
from edgekit.drift.words import name_of, value_of
from edgekit.report import units
from edgekit.runtime.baseline import Change
from edgekit.runtime.bench import Bench, Run
from edgekit.runtime.sustained import Sustained

# Operators of a file that are listed; all are in the document.
_SLOWEST = 8


def bench_lines(result: Bench) -> list[str]:
    """The table, and a line for each thing that makes it less than it seems."""
    names = _names(result.runs)
    return [*_table(names, result.runs), *_remarks(result)]


def change_lines(found: Sequence[Change]) -> list[str]:
    """What became of the files of an earlier benchmark."""
    return [
        f"baseline: {change.file}: {change.verdict}, {change.ratio:.3g} of what it was "
        f"({change.low:.3g} to {change.high:.3g})"
        for change in found
    ]


def _names(runs: Sequence[Run]) -> list[str]:
    """Of files, as short as tells them apart; a file may be run in several ways."""
    files = list(dict.fromkeys(run.artifact.file for run in runs))
    names = dict(zip(files, told_apart(files), strict=True))
    return [names[run.artifact.file] for run in runs]


def _full_names(runs: Sequence[Run]) -> list[str]:
    """The same, with the threads and the samples of an inference where these differ."""
    names = _names(runs)
    for what in ("threads", "batch"):
        if len({getattr(run, what) for run in runs}) > 1:
            names = [
                f"{name} ({what} {getattr(run, what)})"
                for name, run in zip(names, runs, strict=True)
            ]
    return names


def _table(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    columns: list[tuple[str, list[str]]] = [("file", [*names])]

    def column(title: str, text: Callable[[Run], str]) -> None:
        columns.append((title, [text(run) for run in runs]))

    several = any(run.threads != 1 or run.batch != 1 for run in runs)
    if any(run.threads != 1 for run in runs):
        column("threads", lambda run: str(run.threads))
    if any(run.batch != 1 for run in runs):
        column("batch", lambda run: str(run.batch))
    column("size", lambda run: units.size(run.artifact.size_bytes))
    for figure in dict.fromkeys(run.answers.figure for run in runs if run.answers):
        column(name_of(figure), lambda run, figure=figure: _answer(run, figure))  # type: ignore[misc]
    column("p50 ms", lambda run: f"{run.latency.p50_ms:.4f}")
    column("p99 ms", lambda run: f"{run.latency.p99_ms:.4f}")
    if several:
        column("per s", lambda run: _number(run.throughput_per_s))
    if any(run.energy_mj is not None for run in runs):
        column("mJ", lambda run: _number(run.energy_mj))
    column("load ms", lambda run: f"{run.load_ms:.1f}")
    column("MB", lambda run: f"{(run.peak_rss_bytes or 0) / 1e6:.0f}")
    verdicts = [_verdict(run) for run in runs]
    widths = [max(map(len, (title, *cells))) for title, cells in columns]
    rows = zip(*([title, *cells] for title, cells in columns), strict=True)
    lines = []
    for cells, verdict in zip(rows, ("ratio", *verdicts), strict=True):
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append("  ".join([first, *rest, verdict]))
    return lines


def _remarks(result: Bench) -> Iterator[str]:
    names = _full_names(result.runs)
    for failure in result.failures:
        yield f"failed: {failure.file}: {failure.reason.removeprefix(f'{failure.file}: ')}"
    for name, run in zip(names, result.runs, strict=True):
        if run.open_shapes:
            shapes = ", ".join(_shown(*each) for each in run.open_shapes.items())
            yield f"shape: {name} was timed with {shapes}"
    for name in dict.fromkeys(run.artifact.name for run in result.runs if run.exact):
        yield (
            f"exact: {name} ran in onnxruntime's exact mode: its int8 sums saturate on this processor in the "
            "fast mode"
        )
    for name, run in zip(names, result.runs, strict=True):
        for operator in run.operators[:_SLOWEST]:
            yield (
                f"operator: {name}: {operator.mean_us:.1f} us, {operator.share:.0%}: {operator.type} "
                f"{operator.name}"
            )
    if result.sustained is not None:
        yield from _sustained(names, result.sustained)
    for reason in result.noise:
        yield f"noise: {reason}"
    for reason in result.disturbed:
        yield f"disturbed, no verdict: {reason}"


def _sustained(names: Sequence[str], found: Sustained) -> Iterator[str]:
    ends = (found.windows[0], found.windows[-1])
    for i, name in enumerate(names):
        first, last = (window.medians_ms[i] for window in ends)
        yield f"sustained: {name}: p50 {first:.4f} ms at first, {last:.4f} ms after {found.seconds:.0f} s"
    if found.held_back_s is not None:
        yield f"sustained: the machine held back from {found.held_back_s:.0f} s on"
    clocks = [window.clock_mhz for window in ends if window.clock_mhz is not None]
    heat = [window.temperature_c for window in ends if window.temperature_c is not None]
    if len(clocks) == 2:
        yield f"sustained: clock {clocks[0]:.0f} MHz at first, {clocks[1]:.0f} MHz at last"
    if len(heat) == 2:
        yield f"sustained: {heat[0]:.0f} °C at first, {heat[1]:.0f} °C at last"
    orders = [" < ".join(names[i] for i in order) for order in (found.first, found.last)]
    if orders[0] == orders[1]:
        yield f"sustained: the same order at first and at last: {orders[0]}"
    else:
        yield f"sustained: order at first {orders[0]}, at last {orders[1]}"


def _answer(run: Run, figure: str) -> str:
    if run.answers is None or run.answers.figure != figure or run.answers.value is None:
        return units.UNKNOWN
    return value_of(run.answers.value, run.answers.unit)


def _verdict(run: Run) -> str:
    return "1" if run.relative is None else f"{run.relative.ratio:.3g} {run.relative}"


def _number(value: float | None) -> str:
    return units.UNKNOWN if value is None else f"{value:.4g}"


def _shown(name: str, sizes: Sequence[int]) -> str:
    return f"{name} {'x'.join(map(str, sizes))}"
