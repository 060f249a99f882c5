"""Compare the speed of model files on this machine.

Each file runs in its own process, and the files take turns. A time is of one inference, from float inputs to float
outputs. The first file is the reference for the others; the verdict comes from a confidence interval over several
processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from numpy.typing import NDArray

from edgekit.cli.arguments import FILE_HELP, add_json, add_runner, add_samples, load_runner
from edgekit.cli.bench_table import bench_lines, change_lines
from edgekit.cli.console import Console
from edgekit.cli.values import duration, number, shape, share, whole_numbers
from edgekit.drift.compare import compare
from edgekit.drift.figure import HIGHER, OF_THE_FILE
from edgekit.drift.golden import Golden
from edgekit.errors import BUDGET_EXCEEDED, INCONCLUSIVE, EdgekitError, TensorError, UsageError
from edgekit.recipe.export import DYNAMIC
from edgekit.runtime.baseline import FAIL, OPEN, changes, check_baseline
from edgekit.runtime.bench import Answers, Bench, Failure, Run
from edgekit.runtime.benchmark import PROCESSES, SECONDS, check_seconds, entry_of
from edgekit.runtime.contestant import Entry
from edgekit.runtime.host import HostState
from edgekit.runtime.measuring import measure
from edgekit.runtime.operators import operator_times, tells
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.runner import Runner
from edgekit.runtime.sustained import sustained

EXAMPLE = """\
edgekit bench build/model.float32.tflite build/model.int8.tflite \\
    --json build/bench.json"""

# Slower than the baseline by more is too much, where nobody says otherwise.
_SLOWDOWN = 0.05
# Untimed calls before.
_WARMUP = 5

Inputs = Mapping[str, NDArray[Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help=FILE_HELP)
    parser.add_argument(
        "--seconds",
        type=number,
        default=SECONDS,
        metavar="S",
        help=f"seconds to time each file (default: {SECONDS:g})",
    )
    parser.add_argument(
        "--golden",
        metavar="FILE",
        help="golden file from 'edgekit golden', to show the quality of each file's answers in the "
        "table (default: none)",
    )
    parser.add_argument(
        "--batch",
        type=whole_numbers,
        metavar="N,...",
        help="samples per inference, or several batch sizes to time, such as 1,8,32, for files that "
        "accept them (default: 1, or the file's own)",
    )
    parser.add_argument(
        "--sustained",
        type=duration,
        metavar="TIME",
        help="afterwards, keep the files running in turns for this long, such as 30m: shows latency "
        "over time, and when the machine begins to throttle (default: no)",
    )
    parser.add_argument(
        "--operators",
        action="store_true",
        help="also time each operator of .onnx files; TFLite interpreters do not report operator "
        "times (default: no)",
    )
    add_samples(parser, "raw samples, the first of which are the inputs", otherwise="random inputs")
    parser.add_argument(
        "--shape",
        action="append",
        type=shape,
        default=[],
        metavar="INPUT=N,N,...",
        help="shape of random inputs if a file has dynamic dimensions; may be repeated (default: the "
        "first shape that the file accepts)",
    )
    group = parser.add_argument_group("against an earlier benchmark")
    group.add_argument(
        "--baseline",
        metavar="BENCH.json",
        help="earlier result of --json on this machine: exit with code 3 if a file became slower "
        "(default: none)",
    )
    group.add_argument(
        "--max-slowdown",
        type=share,
        metavar="SHARE",
        help=f"largest slowdown allowed against --baseline (default: {_SLOWDOWN:.0%}%)",
    )
    group.add_argument(
        "--allow-inconclusive",
        action="store_true",
        help="exit with 0 if the measurements are inconclusive (default: exit code 5)",
    )
    add_runner(parser, several=True)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    # A benchmark is of the board: it takes what the board's profile says.
    args.device = args.device or "detect"
    check_seconds(args.seconds)
    _check_batch(args)
    baseline = _baseline(args)
    golden = Golden.load(args.golden) if args.golden else None
    entries, answers, failures = _entries(args, golden)
    if baseline is not None:
        names = [entry.artifact.name for entry in entries]
        check_baseline(baseline, HostState.read(), names)
    result = measure(
        entries,
        seconds=args.seconds,
        warmup=_WARMUP,
        processes=PROCESSES,
        tell=console.tell,
        failures=failures,
    )
    runs = tuple(replace(run, answers=answers.get(run.artifact.sha256)) for run in result.runs)
    result = replace(result, runs=runs)
    timed = [next(e for e in entries if _is_of(run, e)) for run in result.runs]
    if args.operators:
        result = replace(result, runs=tuple(map(_with_operators, result.runs, timed)))
    if args.sustained:
        found = sustained(timed, args.sustained, _WARMUP, console.tell)
        result = replace(result, sustained=found)
    slower = args.max_slowdown if args.max_slowdown is not None else _SLOWDOWN
    became = changes(result, baseline, slower) if baseline else []
    console.result(result.to_json(), [*bench_lines(result), *change_lines(became)], args)
    if result.failures:
        return EdgekitError.exit_code
    verdicts = {change.verdict for change in became}
    if FAIL in verdicts:
        return BUDGET_EXCEEDED
    return INCONCLUSIVE if OPEN in verdicts and not args.allow_inconclusive else 0


def _is_of(run: Run, entry: Entry) -> bool:
    """Whether that is what was timed."""
    return (run.artifact.path, run.threads, run.batch) == (
        entry.artifact.path,
        entry.options.threads,
        entry.batch,
    )


def _with_operators(run: Run, entry: Entry) -> Run:
    if not tells(run.backend.name):
        return run
    return replace(run, operators=operator_times(entry.artifact, entry.options, entry.inputs))


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


def _check_batch(args: argparse.Namespace) -> None:
    if not args.batch:
        return
    if args.shape:
        raise UsageError("--batch: received beside --shape, which says it too. Leave one out.")
    if min(args.batch) < 1:
        raise UsageError(f"--batch: received {min(args.batch)}, expected at least 1.")


def _entries(
    args: argparse.Namespace, golden: Golden | None
) -> tuple[list[Entry], dict[str, Answers], list[Failure]]:
    """What is to be measured, with no file left open; how good answers are, by the file's hash; and files
    that cannot be loaded, beside others that can."""
    entries: list[Entry] = []
    answers: dict[str, Answers] = {}
    failures: list[Failure] = []
    first: EdgekitError | None = None
    for path, threads in product(args.files, args.threads or [None]):
        try:
            with load_runner(args, path, threads) as runner:
                if golden is not None and runner.artifact.sha256 not in answers:
                    answers[runner.artifact.sha256] = _answers(golden, runner)
                entries += [
                    entry_of(runner, _inputs(args, runner, batch)) for batch in args.batch or [None]
                ]
        except UsageError:
            raise
        except EdgekitError as error:
            first = first or error
            failures.append(Failure(path, str(error)))
    if first is not None and not entries:
        raise first
    return entries, answers, failures


def _answers(golden: Golden, runner: Runner) -> Answers:
    """The number that the task is known by.

    The first of `compare`'s that is held against labels, else the first share of answers that stayed, else the
    SQNR of an output.
    """
    (candidate,) = compare(golden, runner).candidates
    found = [
        f
        for f in candidate.figures
        if not f.group and f.better == HIGHER and f.name not in OF_THE_FILE
    ]
    names = {f.name for f in candidate.figures}
    ranked = sorted(found, key=lambda f: (f"{f.name}_drop" not in names, f.unit == "dB"))
    figure = ranked[0]
    return Answers(figure.name, figure.unit, figure.value, figure.reference)


def _inputs(args: argparse.Namespace, runner: Runner, batch: int | None) -> Inputs | None:
    if batch is not None:
        _check_takes(runner, batch)
    if args.samples is not None:
        if args.shape:
            raise UsageError(
                "--shape: received beside --samples, which have shapes. Leave one out."
            )
        return _first_batch(args.samples, runner, batch)
    shapes = dict(args.shape)
    if batch is not None:
        shapes = {spec.name: (batch, *spec.concrete_shape()[1:]) for spec in runner.inputs}
    if not shapes:
        return None
    if any(DYNAMIC in sizes for sizes in shapes.values()):
        raise UsageError(
            f"--shape: received '{DYNAMIC}', expected sizes: an inference has one shape."
        )
    return random_inputs(runner, shapes=shapes)


def _check_takes(runner: Runner, batch: int) -> None:
    """Raises `TensorError` where one inference takes another number of samples."""
    for spec in runner.inputs:
        if not spec.shape or spec.shape[0] not in (None, batch):
            fixed = f"{spec.shape[0]} at a time" if spec.shape else "a single value"
            raise TensorError(
                f"{runner.artifact.file}: input {spec.name!r} takes {fixed}, and --batch asks for {batch}. "
                "Export it with --batch dynamic."
            )


def _first_batch(samples: str, runner: Runner, batch: int | None) -> Inputs:
    """As many samples as one inference of the runner takes, or is to take, as it takes them."""
    from edgekit.samples import load_samples
    from edgekit.samples.prepare import prepared

    fitting = prepared(load_samples(samples), runner.metadata, runner.inputs)
    found = {
        spec.name: fitting.inputs[spec.name][: batch or (spec.concrete_shape() or (1,))[0]]
        for spec in runner.inputs
    }
    if batch is not None and any(len(x) < batch for x in found.values()):
        raise UsageError(f"--batch: received {batch}, and there are fewer samples in {samples}.")
    return found
