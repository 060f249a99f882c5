"""Compare the answers of model files with the original model's, and judge them by a budget.

The exit code is 3 if a file exceeds the budget, and 1 if one could not be judged. With too few samples to prove that a file stays
within it, the verdict is 'inconclusive' and the exit code 0.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from edgekit.artifact import told_apart
from edgekit.cli.arguments import FILE_HELP, add_json, add_runner, load_runner, pairs
from edgekit.cli.console import Console
from edgekit.cli.values import STDOUT, json_path, number, share
from edgekit.drift.budget import DriftBudget
from edgekit.drift.compare import compare
from edgekit.drift.drift import Drift, Failure
from edgekit.drift.golden import Golden
from edgekit.errors import BUDGET_EXCEEDED, EdgekitError, MissingDependencyError, UsageError
from edgekit.outputs import refuse_existing

EXAMPLE = """\
edgekit compare build/model.float32.tflite build/model.int8.tflite \\
    --golden golden.npz --max-accuracy-drop 1% --json build/drift.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help=FILE_HELP)
    parser.add_argument(
        "--golden",
        required=True,
        metavar="FILE",
        help="samples and the original model's answers, as 'edgekit golden' stores them",
    )
    budget = parser.add_argument_group("budget")
    budget.add_argument(
        "--max-accuracy-drop",
        type=share,
        metavar="SHARE",
        help="accuracy that a file may lose: 1%% or 0.01 is one percentage point "
        "(default: no limit)",
    )
    budget.add_argument(
        "--min-agreement",
        type=share,
        metavar="SHARE",
        help="share of the samples for which a file has to give the original's class: 99%% or 0.99 "
        "(default: no limit)",
    )
    budget.add_argument(
        "--min-sqnr-db",
        type=number,
        metavar="DB",
        help="signal-to-quantisation-noise ratio that every output has to reach, in dB "
        "(default: no limit)",
    )
    parser.add_argument(
        "--junit",
        type=json_path,
        metavar="FILE",
        help="write the verdicts as JUnit XML to FILE, or to stdout if FILE is '-' (default: none)",
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="ORIGINAL=NAME",
        help="the files' own name for an input or output of the original model; may be repeated "
        "(default: the same names, or the only way that shapes leave)",
    )
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    budget = DriftBudget(args.max_accuracy_drop, args.min_agreement, args.min_sqnr_db)
    _check_outputs(args)
    if budget.limits:
        console.tell(f"budget: {', '.join(budget.limits)}")
    golden = Golden.load(args.golden)
    drift = _drift(args, golden, budget, console)
    if args.junit:
        from edgekit.report import to_junit, write_junit

        if args.junit == STDOUT:
            console.write(to_junit(drift))
        else:
            write_junit(drift, args.junit)
    console.result(drift.to_json(), _lines(drift), args, stdout=args.junit != STDOUT)
    if drift.failed:
        return EdgekitError.exit_code
    return BUDGET_EXCEEDED if drift.verdict == "fail" else 0


def _drift(
    args: argparse.Namespace, golden: Golden, budget: DriftBudget, console: Console
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
        drift = compare(golden, runners, budget, progress=console.tell, names=names)
    return replace(drift, failed=(*failed, *drift.failed))


def _check_outputs(args: argparse.Namespace) -> None:
    if not args.junit:
        return
    if args.json and Path(args.json).absolute() == Path(args.junit).absolute():
        raise UsageError(
            f"--json and --junit: received {args.json!r} for both, expected two files."
        )
    if args.junit != STDOUT:
        refuse_existing([args.junit], args.overwrite)


def _lines(drift: Drift) -> list[str]:
    lines = []
    shown = told_apart([candidate.artifact.file for candidate in drift.candidates])
    for name, candidate in zip(shown, drift.candidates, strict=True):
        figures = [
            f"{label} {factor * value:.{digits}f} {unit}"
            for label, value, factor, digits, unit in (
                ("accuracy", candidate.accuracy, 100, 2, "%"),
                ("drop", candidate.drop, 100, 2, "pt"),
                ("agreement", candidate.agreement, 100, 2, "%"),
                ("SQNR", candidate.sqnr_db, 1, 1, "dB"),
            )
            if value is not None
        ]
        lines.append(f"{name}: {candidate.verdict}; {', '.join(figures)}")
        lines += [f"  {reason}" for reason in candidate.reasons]
        lines += [f"  warning: {warning}" for warning in candidate.warnings]
    lines += [f"{row.path}: failed; {row.reason}" for row in drift.failed]
    return lines
