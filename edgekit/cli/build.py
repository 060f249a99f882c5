"""Build a bundle from a model, or everything that a pipeline describes.

A step runs only if its inputs changed. The steps are train, optimise, export, golden, compare, bench, report and
bundle. A second run repeats only steps whose inputs, options or packages changed, and an interrupted build resumes.
The exit code is that of the comparison: 3 if a file exceeds the budget, 5 if there are too few samples to tell; in
both cases no bundle is written. A pipeline is a TOML file with all settings, for one model or for a matrix of
models, recipes, schemes and boards.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from edgekit.boards.outcome import gravest
from edgekit.build.chain import drift_of, judged
from edgekit.build.hands import Hands, Here
from edgekit.build.matrix import orders_of
from edgekit.build.order import Order
from edgekit.build.pipeline import read_pipeline
from edgekit.build.plan import BUNDLE, COMPARE, PHASES, named, steps_of
from edgekit.build.steps import Outcome
from edgekit.cli.arguments import MODEL_HELP, add_executor, add_import, add_trust_code
from edgekit.cli.budget import add_budget, budget_of
from edgekit.cli.build_view import BuildView
from edgekit.cli.console import Console
from edgekit.cli.export_recipe import add_calibration, add_files, add_optimizing, recipe_of
from edgekit.cli.values import number, path, whole_number
from edgekit.errors import EdgekitError, UsageError
from edgekit.recipe import Recipe
from edgekit.runtime.benchmark import SECONDS, check_seconds
from edgekit.samples import Sources

EXAMPLE = """\
edgekit build model.keras --calibration calibration.npz \\
    --samples samples.npz -o build/shipped"""


SUMMARY = "summary.md"
# Options of every command.
_OF_ALL = ("help", "verbose", "max_unpacked")
# What a pipeline leaves to the command line.
_OF_BOTH = (
    "model",
    "out",
    "key",
    "first",
    "until",
    "dry_run",
    "keep_going",
    "workers",
    "executor",
    "address",
    "trust_code",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=f"{MODEL_HELP}; or a pipeline (.toml)")
    parser.add_argument(
        "-o",
        "--out",
        type=path,
        required=True,
        metavar="DIR",
        help="folder to build in; results of an earlier build there are reused",
    )
    add_files(parser)
    add_calibration(parser)
    add_optimizing(parser)
    parser.add_argument(
        "--samples",
        metavar="SAMPLES",
        help="raw samples, with labels if accuracy is to be compared: to judge the files on (default: "
        "what the pipeline says)",
    )
    budget = add_budget(parser, "budget")
    budget.add_argument(
        "--allow-inconclusive",
        action="store_true",
        help="make a bundle, and exit with 0, if there are too few samples to tell (default: exit "
        "code 5)",
    )
    _add_bundle(parser)
    _add_steps(parser)
    parser.add_argument(
        "--seconds",
        type=number,
        default=SECONDS,
        metavar="S",
        help=f"seconds to time each file (default: {SECONDS:g})",
    )
    add_trust_code(parser)
    add_import(parser)
    of_model = [action for action in parser._actions if action.dest not in _OF_BOTH]
    # Of a search, which a build is none.
    parser.set_defaults(minimise=None, time_operators=False, of_model=of_model)


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the bundle")
    group.add_argument(
        "--unpacked",
        action="store_true",
        help="write the bundle as a folder instead of a .tar.xz file",
    )
    group.add_argument(
        "--key",
        metavar="PRIVATE.pem",
        help="private key that signs the bundle, on the curve P-256, P-384 or P-521; certificates "
        "after it in the file are added to the signature (default: what the pipeline says, or "
        "unsigned)",
    )
    group.add_argument(
        "--licence",
        metavar="FILE",
        help="file with the model's licence, to include in the bundle (default: none)",
    )
    group.add_argument(
        "--licence-id",
        metavar="SPDX",
        help="the licence's SPDX identifier, such as Apache-2.0 (default: none)",
    )


def _add_steps(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which steps run, and how")
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="show which steps would run and why, and do nothing",
    )
    group.add_argument(
        "--from",
        dest="first",
        metavar="STEP",
        help=f"run this step and all later ones even if nothing changed: {', '.join(PHASES)} (default: only "
        "steps whose inputs changed)",
    )
    group.add_argument(
        "--until",
        metavar="STEP",
        help="run no step after this one (default: bundle)",
    )
    group.add_argument(
        "--keep-going",
        action="store_true",
        help="after a step fails, run all steps that do not depend on it; the exit code is that of "
        "the most severe failure (default: stop)",
    )
    group.add_argument(
        "--workers",
        type=whole_number,
        default=1,
        metavar="N",
        help="number of independent steps to run in parallel; nothing runs during a benchmark "
        "(default: 1)",
    )
    add_executor(group, "processes", "steps run")


def run(args: argparse.Namespace, console: Console) -> int:
    orders = _orders(args)
    steps = steps_of(Path(args.out), orders)
    if args.dry_run:
        planned = steps.plan(args.first, args.until)
        width = max(8, *(len(step.name) for step in planned))
        for step in planned:
            console.write(f"{step.name:{width}} {step.reason or 'up to date'}\n")
        return 0
    view = BuildView(console, many=len(orders) > 1 or args.workers > 1)
    done: list[Outcome] = []
    try:
        done = steps.run(
            view, args.first, args.until, keep_going=args.keep_going, hands=_hands(args)
        )
    finally:
        _summarise(args, orders, done)
    return _told(orders, done, console)


def _hands(args: argparse.Namespace) -> Callable[[], AbstractContextManager[Hands]]:
    if args.address is not None and args.executor != "ray":
        raise UsageError("--address: is of a Ray cluster, expected --executor ray with it.")
    if args.executor == "ray":
        from edgekit.build.on_ray import OnRay

        cluster = OnRay(args.workers, Path(args.out), args.address, args.max_unpacked)
        return lambda: cluster
    if args.workers == 1:
        return Here
    from edgekit.build.processes import Processes

    processes = Processes(args.workers, args.max_unpacked, args.verbose > 1)
    return lambda: processes


def _told(orders: Sequence[Order], done: Sequence[Outcome], console: Console) -> int:
    """A line for each bundle; gives the exit code, the gravest of what failed."""
    by_name = {outcome.name: outcome for outcome in done}
    errors = [outcome.error for outcome in done if outcome.error is not None]
    for order in orders:
        bundle, compared = (by_name.get(named(phase, order.cell)) for phase in (BUNDLE, COMPARE))
        if bundle is not None and bundle.done:
            signed = "signed" if order.key else "unsigned: --key signs it"
            console.write(f"{order.bundle}: {drift_of(order).verdict}, {signed}\n")
        elif bundle is None and compared is not None and compared.done:
            # The steps that were done end before the bundle, which would have asked.
            try:
                judged(order)
            except EdgekitError as error:
                if len(orders) == 1:
                    raise
                console.say(f"edgekit: {error}")
                errors.append(error)
    return gravest([_code(error) for error in errors])


def _code(error: Exception) -> int:
    return error.exit_code if isinstance(error, EdgekitError) else EdgekitError.exit_code


def _orders(args: argparse.Namespace) -> list[Order]:
    """What is to be built: what a pipeline says, or one model as the options say."""
    if args.model.lower().endswith(".toml"):
        given = [a for a in args.of_model if getattr(args, a.dest, a.default) != a.default]
        # Of every command.
        given = [a for a in given if a.option_strings and a.dest not in _OF_ALL]
        if given:
            options = ", ".join(action.option_strings[-1] for action in given)
            raise UsageError(
                f"{options}: received with a pipeline, expected what {args.model} says."
            )
        key = _path(args.key)
        return orders_of(
            read_pipeline(args.model), Path(args.out), key=key, trust_code=args.trust_code
        )
    if not args.samples:
        raise UsageError(
            "--samples is missing: what the files are judged on. See: edgekit build --help"
        )
    check_seconds(args.seconds)
    if not (args.quantize or args.file or args.calibration or args.recipe):
        # Without samples there are no ranges: the float file is what can be made.
        args.quantize = ["float32"]
    recipe = recipe_of(args, Sources().recipe(args.recipe) if args.recipe else Recipe())
    order = Order(
        model=Path(args.model),
        out=Path(args.out),
        samples=Path(args.samples),
        calibration=_path(args.calibration),
        data=_path(args.data),
        validation=_path(args.validation),
        recipes={"": recipe},
        budget=budget_of(args),
        seconds=args.seconds,
        archive=not args.unpacked,
        key=_path(args.key),
        licence=_path(args.licence),
        licence_id=args.licence_id,
        allow_inconclusive=args.allow_inconclusive,
        trust_code=args.trust_code,
    )
    return [order]


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None


def _summarise(args: argparse.Namespace, orders: Sequence[Order], done: Sequence[Outcome]) -> None:
    """What was built, in Markdown: of a matrix in its folder, and where a CI service asks for a summary of its step
    (GitHub's, and those like it)."""
    service = os.environ.get("GITHUB_STEP_SUMMARY")
    many = len(orders) > 1
    compared = [order for order in orders if order.drift.exists()]
    if not compared or not (service or many):
        return
    if many:
        from edgekit.build.summary import summary_of
        from edgekit.files import atomic

        text = summary_of(orders, done)
        with atomic(Path(args.out, SUMMARY)) as path:
            path.write_text(text, "utf-8")
    else:
        from edgekit.report import merge, to_markdown

        text = to_markdown(merge(path for path in orders[0].documents if path.exists()))
    if service:
        with Path(service).open("a", encoding="utf-8") as page:
            page.write(text)
