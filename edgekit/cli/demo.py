"""Train, prune, export, compare and time a digit classifier on scikit-learn's 1,797 real images.

The folder then holds the model, its files, their JSON results and report.html.
"""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import add_out, add_overwrite
from edgekit.cli.console import Console

EXAMPLE = "edgekit demo -o build/demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_out(parser, "DIR", "folder to write to (default: build/demo)", default="build/demo")
    add_overwrite(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.pipeline.demo import run_demo

    console.write(run_demo(args.out, overwrite=args.overwrite, progress=console.tell) + "\n")
    return 0
