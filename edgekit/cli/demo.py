"""Train, prune, export, compare and time a digit classifier on scikit-learn's 1,797 real images."""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import add_overwrite
from edgekit.cli.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="build/demo", metavar="DIR")
    add_overwrite(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.pipeline.demo import run_demo

    table = run_demo(args.output, overwrite=args.overwrite, progress=console.tell)
    print(table, file=console.out, flush=True)
    return 0
