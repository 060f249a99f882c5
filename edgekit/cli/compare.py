"""Compare the answers of model files with the original model's, and judge them by a budget.

The exit code is 0 only if every file provably stays within the budget, 3 if a file exceeds it, 5 if there are too
few samples to tell (verdict 'inconclusive'), and 1 if a file could not be judged.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from edgekit import document
from edgekit.artifact import FORMATS, told_apart
from edgekit.cli.arguments import FILE_HELP, add_json, add_map, add_runner, load_runner, pairs
from edgekit.cli.budget import add_budget, budget_of
from edgekit.cli.compare_on import add_on, check_alone, run_on_machines
from edgekit.cli.console import Console
from edgekit.cli.figures import figure_lines
from edgekit.cli.values import STDOUT, json_path, number, path
from edgekit.drift.budget import DriftBudget
from edgekit.drift.candidate import Candidate
from edgekit.drift.columns import CLASS
from edgekit.drift.compare import compare
from edgekit.drift.drift import Drift, Failure
from edgekit.drift.golden import Golden
from edgekit.drift.words import name_of, range_of, value_of
from edgekit.errors import (
    BUDGET_EXCEEDED,
    INCONCLUSIVE,
    EdgekitError,
    MissingDependencyError,
    UsageError,
)
from edgekit.outputs import refuse_existing
from edgekit.report.units import plural
from edgekit.runtime.bench import Bench
from edgekit.runtime.runner import Runner

EXAMPLE = """\
edgekit compare build/model.float32.tflite build/model.int8.tflite \\
    --golden golden.npz --max-accuracy-drop 1% --json build/drift.json"""

# What --layers means without a value: one of the files themselves.
_AMONG_THEM = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help=FILE_HELP)
    parser.add_argument(
        "--golden",
        required=True,
        metavar="FILE",
        help="golden file from 'edgekit golden', with samples and the original model's answers",
    )
    budget = add_budget(parser, "budget")
    budget.add_argument(
        "--timings",
        metavar="BENCH.json",
        help="output of 'edgekit bench --json' for these files, for limits on latency and memory "
        "(default: none)",
    )
    budget.add_argument(
        "--allow-inconclusive",
        action="store_true",
        help="exit with 0 if there are too few samples to tell (default: exit code 5)",
    )
    parser.add_argument(
        "--slice",
        action="append",
        default=[],
        metavar="COLUMN",
        help="also show the task's metrics for each value of a column that 'edgekit golden --columns' "
        "stored; may be repeated (default: columns that a limit names)",
    )
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="[OUTPUT=]SCORE",
        help="score above which the device acts on an answer: reports the share of decisions that "
        "change at it, and the F1 of a binary output; may be repeated for several outputs "
        "(default: none)",
    )
    parser.add_argument(
        "--allow-setup",
        action="store_true",
        help="only warn of a set-up that proves nothing, such as an original no better than guessing, "
        "wrongly prepared samples, or another model's file (default: the verdict is 'fail')",
    )
    parser.add_argument(
        "--junit",
        type=json_path,
        metavar="FILE",
        help="write the verdicts as JUnit XML to FILE, or to stdout if FILE is '-' (default: none)",
    )
    parser.add_argument(
        "--answers",
        type=path,
        metavar="DIR",
        help="write each file's answers to DIR, as an .npz file of the same name (default: no)",
    )
    add_map(parser)
    add_on(parser)
    layers = parser.add_argument_group("layer by layer")
    layers.add_argument(
        "--layers",
        nargs="?",
        const=_AMONG_THEM,
        metavar="FLOAT",
        help="compare every operator of the files with a float file of the same format: shows the "
        "accumulated error and the operator's own (without FLOAT: the float32 file among the "
        "files; default: no)",
    )
    layers.add_argument(
        "--node-data",
        type=json_path,
        metavar="FILE",
        help="with --layers and one other file: write each operator's error for Google's Model Explorer to "
        "FILE (default: none)",
    )
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    budget = budget_of(args)
    _check_outputs(args)
    if budget.words:
        console.tell(f"budget: {', '.join(budget.words)}")
    if args.on is not None:
        return run_on_machines(args, budget, console)
    check_alone(args)
    measured = None if args.timings is None else Bench.load(args.timings)
    golden = Golden.load(args.golden)
    drift = _drift(args, golden, budget, measured, console)
    if args.junit:
        from edgekit.report import to_junit, write_junit

        if args.junit == STDOUT:
            console.write(to_junit(drift, args.allow_inconclusive))
        else:
            write_junit(drift, args.junit, args.allow_inconclusive)
    console.result(
        drift.to_json(), _lines(drift), args, stdout=STDOUT not in (args.junit, args.node_data)
    )
    if drift.failed:
        return EdgekitError.exit_code
    codes = {
        "fail": BUDGET_EXCEEDED,
        "inconclusive": 0 if args.allow_inconclusive else INCONCLUSIVE,
    }
    return codes.get(drift.verdict, 0)


def _drift(
    args: argparse.Namespace,
    golden: Golden,
    budget: DriftBudget,
    measured: Bench | None,
    console: Console,
) -> Drift:
    """All files that can be loaded, compared; and those that cannot."""
    names = pairs("--map", args.map)
    failed, runners = [], []
    first: EdgekitError | None = None
    with ExitStack() as stack:
        for path in args.files:
            try:
                runners.append(stack.enter_context(load_runner(args, path)))
            except (UsageError, MissingDependencyError):
                raise
            except EdgekitError as error:
                first = first or error
                failed.append(Failure(path, str(error)))
        if first and not runners:
            raise first
        plain = None if args.layers is None else _plain(args, runners, stack)
        drift = compare(
            golden,
            runners,
            budget,
            progress=console.tell,
            names=names,
            bench=measured,
            slices=args.slice,
            allow_setup=args.allow_setup,
            thresholds=_thresholds(args.threshold),
            answers=args.answers,
        )
        if plain is not None:
            drift = _with_layers(args, golden, drift, runners, plain, console)
    return replace(drift, failed=(*failed, *drift.failed))


def _thresholds(given: list[str]) -> dict[str, float]:
    found = {}
    for text in given:
        output, _, score = text.rpartition("=")
        try:
            found[output] = number(score)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"--threshold: {error}, such as 0.8 or scores=0.8.") from None
    return found


def _plain(args: argparse.Namespace, runners: Sequence[Runner], stack: ExitStack) -> list[Runner]:
    """The float files that others are held against.

    Raises:
        UsageError: there is none, or no other file of the format of one.
    """
    if args.layers == _AMONG_THEM:
        plain = [r for r in runners if r.artifact.scheme == "float32"]
        if not plain:
            raise UsageError(
                "--layers: none of the files is called float32, expected one, or the float file's path: --layers FLOAT."
            )
    else:
        plain = [stack.enter_context(load_runner(args, args.layers))]
    formats = {r.artifact.format for r in plain} & set(FORMATS)
    loaded = len(runners) == len(args.files)
    if loaded and not any(r.artifact.format in formats and r not in plain for r in runners):
        raise UsageError(
            f"--layers: received {plain[0].artifact.file} and no other file to hold against it, expected a float "
            ".tflite or .onnx file, and one of the same format."
        )
    return plain


def _with_layers(
    args: argparse.Namespace,
    golden: Golden,
    drift: Drift,
    runners: Sequence[Runner],
    plain: Sequence[Runner],
    console: Console,
) -> Drift:
    """What was compared, with every operator of a file held against the float file of its format."""
    from edgekit.diagnose.comparing import compared_layers
    from edgekit.diagnose.model_explorer import node_data

    names = pairs("--map", args.map)
    candidates, data = [], []
    by_sha = {runner.artifact.sha256: runner for runner in runners}
    for candidate in drift.candidates:
        runner = by_sha.get(candidate.artifact.sha256)
        theirs = next((r for r in plain if r.artifact.format == candidate.artifact.format), None)
        if runner is not None and theirs is not None and runner is not theirs:
            console.tell(f"layer by layer: {candidate.artifact.file}")
            layers = compared_layers(golden, runner, theirs, names)
            candidate = replace(candidate, layers=layers)
            data.append(node_data(layers))
        candidates.append(candidate)
    if args.node_data:
        if len(data) != 1:
            raise UsageError(
                f"--node-data: {len(data)} files were held against the float file, expected one."
            )
        if args.node_data == STDOUT:
            console.write(document.dumps(data[0]))
        else:
            document.write(args.node_data, data[0])
    return replace(drift, candidates=tuple(candidates))


def _slices(candidate: Candidate) -> list[str]:
    """A line for each slice, with the interval of its drop; classes are in the report."""
    groups = dict.fromkeys(f.group for f in candidate.figures if "=" in f.group)
    lines = []
    for group in groups:
        if group.startswith((f"{CLASS}=", "target=")):
            continue
        own = [f for f in candidate.figures if f.group == group]
        said = [
            f"{name_of(f.name)} {value_of(round(f.value, 6), f.unit)}"
            + (f" ({range_of(f.ci95, f.unit)})" if f.ci95 and f.unit == "difference" else "")
            for f in own
            if f.value is not None
        ]
        count = max(f.count or 0 for f in own)
        lines.append(f"{group}: {', '.join(said)}; {plural(count, 'sample')}")
    return lines


def _check_outputs(args: argparse.Namespace) -> None:
    if args.node_data:
        if args.layers is None:
            raise UsageError("--node-data: needs --layers, which measures what is written.")
        if args.node_data == STDOUT and STDOUT in (args.json, args.junit):
            raise UsageError(
                "--node-data and another option: received '-' for both, expected one result for stdout."
            )
        if args.node_data != STDOUT:
            refuse_existing([args.node_data], args.overwrite)
    if not args.junit:
        return
    if args.json and Path(args.json).absolute() == Path(args.junit).absolute():
        raise UsageError(
            f"--json and --junit: received {args.json!r} for both, expected two files."
        )
    if args.junit != STDOUT:
        refuse_existing([args.junit], args.overwrite)


# Figures that the table shows, and those of the report alone.
_SHOWN = {"accuracy", "accuracy_drop", "agreement", "flips", "sqnr_db", "worst_channel_db"}
_SHOWN |= {
    "dead_channels",
    "clipped",
    "ece",
    "ece_rise",
    "max_abs",
    "output_rmse",
    "size_bytes",
    "packed_bytes",
    "peak_rss_bytes",
}


def _lines(drift: Drift) -> list[str]:
    from edgekit.report import of_drift, terminal_lines
    from edgekit.report.data import VERDICT_WORDS
    from edgekit.report.layers import layer_lines

    found = drift.setup.of(None) if drift.setup else ()
    lines = [f"reference: {finding.severity}; {finding.sentence}" for finding in found]
    shown = told_apart([candidate.artifact.file for candidate in drift.candidates])
    for name, candidate in zip(shown, drift.candidates, strict=True):
        more = [*figure_lines(candidate.figures, _SHOWN), *_slices(candidate)]
        lines += [f"{name}: {line}" for line in more]
        if candidate.layers is not None:
            lines += layer_lines(candidate.layers)
    report = of_drift(drift)
    if len(report.rows) < len(drift.candidates):
        # Files of the same bytes, or of the original's own, share a row of the table.
        pairs_shown = zip(shown, drift.candidates, strict=True)
        lines += [f"{name}: {VERDICT_WORDS[c.verdict].lower()}" for name, c in pairs_shown]
    lines += terminal_lines(report)
    return [*lines, *(f"{row.path}: failed; {row.reason}" for row in drift.failed)]
