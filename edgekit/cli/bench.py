"""Compare the speed of model files on this machine: each in a process of its own, in turns.

A time is of one inference, from float inputs to float outputs. The first file is what the others are held
against; a verdict is given where an interval over several processes allows one.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from edgekit.artifact import told_apart
from edgekit.cli.arguments import FILE_HELP, add_json, add_runner, add_samples, load_runner
from edgekit.cli.console import Console
from edgekit.cli.values import number, shape, share
from edgekit.errors import BUDGET_EXCEEDED, INCONCLUSIVE, EdgekitError, UsageError
from edgekit.recipe.export import DYNAMIC
from edgekit.report import units
from edgekit.runtime.baseline import FAIL, OPEN, Change, changes, check_baseline
from edgekit.runtime.bench import Bench, Failure, Run
from edgekit.runtime.benchmark import PROCESSES, SECONDS, check_seconds, entry_of
from edgekit.runtime.contestant import Entry
from edgekit.runtime.host import HostState
from edgekit.runtime.measuring import measure
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.runner import Runner

EXAMPLE = """\
edgekit bench build/model.float32.tflite build/model.int8.tflite \\
    --json build/bench.json"""

# Slower than the baseline by more is too much, where nobody says otherwise.
_SLOWDOWN = 0.05

Inputs = Mapping[str, NDArray[Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help=FILE_HELP)
    parser.add_argument(
        "--seconds",
        type=number,
        default=SECONDS,
        metavar="S",
        help=f"how long each file is timed, in seconds (default: {SECONDS:g})",
    )
    add_samples(parser, "raw samples, the first of which are the inputs", otherwise="random inputs")
    parser.add_argument(
        "--shape",
        action="append",
        type=shape,
        default=[],
        metavar="INPUT=N,N,...",
        help="shape of random inputs where a file leaves axes open; may be repeated (default: the first "
        "that the file takes)",
    )
    group = parser.add_argument_group("against an earlier benchmark")
    group.add_argument(
        "--baseline",
        metavar="BENCH.json",
        help="what --json wrote before, on this machine: exit with 3 where a file became slower "
        "(default: none)",
    )
    group.add_argument(
        "--max-slowdown",
        type=share,
        metavar="SHARE",
        help=f"the most that a file may have become slower (default: {_SLOWDOWN:.0%}%)",
    )
    group.add_argument(
        "--allow-inconclusive",
        action="store_true",
        help="exit with 0 where the measurements do not tell (default: exit code 5)",
    )
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    # A benchmark is of the board: it takes what the board's profile says.
    args.device = args.device or "detect"
    check_seconds(args.seconds)
    baseline = _baseline(args)
    entries, inputs, failures = _entries(args)
    if baseline is not None:
        names = [entry.artifact.name for entry in entries]
        check_baseline(baseline, HostState.read(), names)
    result = measure(
        entries,
        inputs,
        seconds=args.seconds,
        warmup=5,
        processes=PROCESSES,
        tell=console.tell,
        failures=failures,
    )
    slower = args.max_slowdown if args.max_slowdown is not None else _SLOWDOWN
    found = changes(result, baseline, slower) if baseline else []
    console.result(result.to_json(), [*_lines(result), *_changed(found)], args)
    if result.failures:
        return EdgekitError.exit_code
    verdicts = {change.verdict for change in found}
    if FAIL in verdicts:
        return BUDGET_EXCEEDED
    return INCONCLUSIVE if OPEN in verdicts and not args.allow_inconclusive else 0


def _baseline(args: argparse.Namespace) -> Bench | None:
    if args.baseline is None:
        if args.max_slowdown is not None:
            raise UsageError(
                "--max-slowdown: received without --baseline. Name one: --baseline BENCH.json."
            )
        return None
    from edgekit.document import load

    document = load(args.baseline)
    if not isinstance(document, Bench):
        raise UsageError(
            f"{args.baseline}: a document of the kind {document.kind!r}, expected what 'edgekit bench --json' "
            "wrote."
        )
    return document


def _entries(args: argparse.Namespace) -> tuple[list[Entry], Inputs | None, list[Failure]]:
    """What is to be measured, with no file left open; and files that cannot be loaded, beside others that can."""
    entries: list[Entry] = []
    failures: list[Failure] = []
    inputs: Inputs | None = None
    first: EdgekitError | None = None
    for path in args.files:
        try:
            runner = load_runner(args, path)
        except UsageError:
            raise
        except EdgekitError as error:
            first = first or error
            failures.append(Failure(path, str(error)))
            continue
        with runner:
            if inputs is None:
                inputs = _inputs(args, runner)
            entries.append(entry_of(runner, inputs))
    if first is not None and not entries:
        raise first
    return entries, inputs, failures


def _inputs(args: argparse.Namespace, runner: Runner) -> Inputs | None:
    if args.samples is not None:
        if args.shape:
            raise UsageError(
                "--shape: received beside --samples, which have shapes. Leave one out."
            )
        return _first_batch(args.samples, runner)
    if not args.shape:
        return None
    shapes = dict(args.shape)
    if any(DYNAMIC in sizes for sizes in shapes.values()):
        raise UsageError(
            f"--shape: received '{DYNAMIC}', expected sizes: an inference has one shape."
        )
    return random_inputs(runner, shapes=shapes)


def _first_batch(samples: str, runner: Runner) -> Inputs:
    """As many samples as one inference of the runner takes, as it takes them."""
    from edgekit.samples import load_samples
    from edgekit.samples.prepare import prepared

    fitting = prepared(load_samples(samples), runner.metadata, runner.inputs)
    return {
        spec.name: fitting.inputs[spec.name][: (spec.concrete_shape() or (1,))[0]]
        for spec in runner.inputs
    }


def _lines(result: Bench) -> list[str]:
    names = told_apart([run.artifact.file for run in result.runs])
    width = max(map(len, names))
    lines = [
        f"{'file':{width}}  {'size':>9} {'p50 ms':>9} {'p99 ms':>9} {'load ms':>7} {'MB':>4}  ratio"
    ]
    lines += [_row(name, run, width) for name, run in zip(names, result.runs, strict=True)]
    lines += [
        f"failed: {each.file}: {each.reason.removeprefix(f'{each.file}: ')}"
        for each in result.failures
    ]
    lines += [
        f"shape: {name} was timed with {', '.join(_shown(*each) for each in run.open_shapes.items())}"
        for name, run in zip(names, result.runs, strict=True)
        if run.open_shapes
    ]
    lines += [
        f"exact: {run.artifact.name} ran in onnxruntime's exact mode: its int8 sums saturate on this "
        "processor in the fast mode"
        for run in result.runs
        if run.exact
    ]
    lines += [f"noise: {reason}" for reason in result.noise]
    lines += [f"disturbed, no verdict: {reason}" for reason in result.disturbed]
    return lines


def _row(name: str, run: Run, width: int) -> str:
    latency, relative = run.latency, run.relative
    text = (
        f"{name:{width}}  {units.size(run.artifact.size_bytes):>9} {latency.p50_ms:9.4f} "
        f"{latency.p99_ms:9.4f} {run.load_ms:7.1f} {(run.peak_rss_bytes or 0) / 1e6:4.0f}"
    )
    return f"{text}  1" if relative is None else f"{text}  {relative.ratio:.3g} {relative}"


def _shown(name: str, sizes: Sequence[int]) -> str:
    return f"{name} {'x'.join(map(str, sizes))}"


def _changed(found: Sequence[Change]) -> list[str]:
    return [
        f"baseline: {change.file}: {change.verdict}, {change.ratio:.3g} of what it was "
        f"({change.low:.3g} to {change.high:.3g})"
        for change in found
    ]
