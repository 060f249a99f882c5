"""Tell whether files still answer like the original model, and whether that is inside the budget."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from edgekit.cli.arguments import add_json, add_runner, load_all
from edgekit.cli.console import Console
from edgekit.drift.budget import DriftBudget
from edgekit.drift.compare import Drift, compare
from edgekit.drift.golden import Golden
from edgekit.errors import BUDGET_EXCEEDED, UsageError
from edgekit.files import refuse_existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifacts", nargs="+", metavar="ARTIFACT", help=".tflite, .onnx or Keras")
    parser.add_argument("--golden", required=True, metavar="FILE", help="made by 'edgekit golden'")
    parser.add_argument("--max-accuracy-drop", type=float, metavar="F", help="a fraction: 0.01")
    parser.add_argument("--min-agreement", type=float, metavar="F", help="a fraction: 0.99")
    parser.add_argument("--min-sqnr-db", type=float, metavar="F", help="of the worst output")
    parser.add_argument("--junit", metavar="FILE", help="write the verdicts as JUnit XML")
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    budget = DriftBudget(args.max_accuracy_drop, args.min_agreement, args.min_sqnr_db)
    if args.junit:
        if args.json and Path(args.json).absolute() == Path(args.junit).absolute():
            raise UsageError(
                f"--json and --junit: received {args.json!r} twice, expected two files."
            )
        refuse_existing([args.junit], args.overwrite)
    golden = Golden.load(args.golden)
    with ExitStack() as stack:
        runners = load_all(args, stack)
        drift = compare(golden, runners, budget, progress=console.tell)
    content = drift.to_json()
    if args.junit:
        from edgekit.report import write_junit

        write_junit(content, args.junit)
    console.result(content, _text(drift), args)
    return BUDGET_EXCEEDED if drift.verdict == "fail" else 0


def _text(drift: Drift) -> str:
    lines = []
    for candidate in drift.candidates:
        figures = [
            f"{label} {value:{form}}"
            for label, value, form in (
                ("accuracy", candidate.accuracy, ".4f"),
                ("drop", candidate.drop, "+.4f"),
                ("agreement", candidate.agreement, ".4f"),
                ("SQNR dB", candidate.sqnr_db, ".1f"),
            )
            if value is not None
        ]
        lines.append(f"{candidate.artifact.name}: {candidate.verdict}; {', '.join(figures)}")
        lines += [f"  {reason}" for reason in candidate.reasons]
        lines += [f"  warning: {warning}" for warning in candidate.warnings]
    return "\n".join(lines)
