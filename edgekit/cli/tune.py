"""Search the hyperparameters that a recipe's [tune] table names.

The study is kept in a folder. Run the same command again to resume it, or to join it from other terminals or
machines.
"""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import add_executor, add_json, add_out
from edgekit.cli.console import Console
from edgekit.cli.values import whole_number

EXAMPLE = "edgekit tune recipe.toml --workers 2 -o build/study"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe", metavar="RECIPE.toml", help="recipe with the tables [data] and [tune]"
    )
    add_out(parser, "DIR", "folder of the study: a new one, or one to continue or join")
    parser.add_argument(
        "--trials",
        type=whole_number,
        metavar="N",
        help="total number of trials, over all processes (default: what the recipe says)",
    )
    parser.add_argument(
        "--workers",
        type=whole_number,
        metavar="N",
        help="number of processes that run trials in parallel (default: what the recipe says)",
    )
    add_executor(parser, "processes", "the trials run")
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.report.tuning import front_table
    from edgekit.tune.tuning import tune

    tuning = tune(
        args.recipe,
        args.out,
        trials=args.trials,
        workers=args.workers,
        executor=args.executor,
        address=args.address,
        progress=console.tell,
    )
    console.result(tuning.to_json(), front_table(tuning).to_text().splitlines(), args)
    return 0
