"""Search the hyperparameters that a recipe's [tune] table names; many processes can share a study."""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import add_json
from edgekit.cli.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE.toml", help="with the tables [data] and [tune]")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="the study: new, or one to join"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="in all, whoever runs them")
    parser.add_argument("--workers", type=int, metavar="N", help="trials at a time")
    parser.add_argument(
        "--executor",
        choices=("processes", "ray"),
        default="processes",
        help="where trials run: processes on this machine (default), or a Ray cluster",
    )
    parser.add_argument(
        "--address", metavar="ADDRESS", help="of the Ray cluster; without it, one is started here"
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.tune.tuning import tune

    tuning = tune(
        args.recipe,
        args.output,
        trials=args.trials,
        workers=args.workers,
        executor=args.executor,
        address=args.address,
        progress=console.tell,
    )
    from edgekit.report.tuning import front_table

    console.result(tuning.to_json(), front_table(tuning.to_json()).to_text(), args)
    return 0
