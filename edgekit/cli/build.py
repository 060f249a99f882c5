"""Build a bundle from a model: export, golden, compare, bench, report and bundle, each only if something changed.

Run again, a build does only what its inputs, options or packages have changed for; stopped, it goes on where it was.
The exit code is that of the comparison: 3 if a file exceeds the budget, 5 if the samples are too few to tell; then
there is no bundle.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from edgekit.build.chain import BUNDLE, COMPARE, NAMES, Order, drift_of, judged, steps_of
from edgekit.cli.arguments import MODEL_HELP, add_import, add_trust_code
from edgekit.cli.budget import add_budget, budget_of
from edgekit.cli.console import Console
from edgekit.cli.export_recipe import add_calibration, add_files, add_optimizing, recipe_of
from edgekit.cli.values import number, path
from edgekit.recipe import Recipe
from edgekit.runtime.benchmark import SECONDS, check_seconds
from edgekit.samples import Sources

EXAMPLE = """\
edgekit build model.keras --calibration calibration.npz \\
    --samples samples.npz -o build/shipped"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "-o",
        "--out",
        type=path,
        required=True,
        metavar="DIR",
        help="folder to build in; what an earlier build made there is used again",
    )
    add_files(parser)
    add_calibration(parser)
    add_optimizing(parser)
    parser.add_argument(
        "--samples",
        required=True,
        metavar="SAMPLES",
        help="raw samples, with labels if accuracy is to be compared: what the files are judged on",
    )
    budget = add_budget(parser, "budget")
    budget.add_argument(
        "--allow-inconclusive",
        action="store_true",
        help="make a bundle, and exit with 0, where the samples are too few to tell (default: exit code 5)",
    )
    group = parser.add_argument_group("the bundle")
    group.add_argument(
        "--folder",
        action="store_true",
        help="a folder in place of one file that ends in .tar.xz",
    )
    group.add_argument(
        "--key",
        metavar="KEY.pem",
        help="private key that signs the bundle, on one of the curves P-256, P-384 and P-521 (default: unsigned)",
    )
    group.add_argument(
        "--licence",
        metavar="FILE",
        help="licence of the model, a file of the bundle (default: none)",
    )
    group.add_argument(
        "--licence-id",
        metavar="SPDX",
        help="its SPDX identifier, such as Apache-2.0 (default: none)",
    )
    steps = parser.add_argument_group("which steps are done")
    steps.add_argument(
        "--dry-run", action="store_true", help="say which steps would be done and why, and do none"
    )
    steps.add_argument(
        "--from",
        dest="first",
        metavar="STEP",
        help=f"do this step and all behind it in any case: {', '.join(NAMES)} (default: what changed)",
    )
    steps.add_argument("--until", metavar="STEP", help="do no step behind this one (default: all)")
    parser.add_argument(
        "--seconds",
        type=number,
        default=SECONDS,
        metavar="S",
        help=f"how long each file is timed, in seconds (default: {SECONDS:g})",
    )
    add_trust_code(parser)
    add_import(parser)
    # Of a search, which a build is none.
    parser.set_defaults(minimise=None, time_operators=False)


def run(args: argparse.Namespace, console: Console) -> int:
    check_seconds(args.seconds)
    if not (args.quantize or args.file or args.calibration or args.recipe):
        # Without samples there are no ranges: the float file is what can be made.
        args.quantize = ["float32"]
    order = Order(
        model=Path(args.model),
        out=Path(args.out),
        samples=Path(args.samples),
        calibration=Path(args.calibration) if args.calibration else None,
        recipe=recipe_of(args, Sources().recipe(args.recipe) if args.recipe else Recipe()),
        budget=budget_of(args),
        seconds=args.seconds,
        archive=not args.folder,
        key=Path(args.key) if args.key else None,
        licence=Path(args.licence) if args.licence else None,
        licence_id=args.licence_id,
        allow_inconclusive=args.allow_inconclusive,
        trust_code=args.trust_code,
    )
    steps = steps_of(order, console.tell)
    if args.dry_run:
        for planned in steps.plan(args.first, args.until):
            console.write(f"{planned.name:8} {planned.reason or 'up to date'}\n")
        return 0
    try:
        done = steps.run(console.tell, args.first, args.until)
    finally:
        _summarise(order)
    if COMPARE in [step.name for step in done]:
        judged(order)
    if done[-1].name == BUNDLE:
        signed = "signed" if order.key else "unsigned: --key signs it"
        console.write(f"{order.bundle}: {drift_of(order).verdict}, {signed}\n")
    return 0


def _summarise(order: Order) -> None:
    """The report in Markdown, where a CI service asks for a summary of its step (GitHub's, and those like it)."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    documents = [path for path in order.documents if path.exists()]
    if summary and order.documents[0] in documents:
        from edgekit.report import merge, to_markdown

        with Path(summary).open("a", encoding="utf-8") as page:
            page.write(to_markdown(merge(documents)))
