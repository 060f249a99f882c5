"""Switch back to the bundle that was installed before the active one."""

from __future__ import annotations

import argparse

from edgekit.bundle.install import rollback
from edgekit.cli.arguments import add_json
from edgekit.cli.console import Console

EXAMPLE = "edgekit rollback models/kws"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="DIR", help="folder that was given to 'edgekit install --into'"
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    found = rollback(args.folder)
    console.result(
        found.to_json(), [f"{args.folder}: active is {found.active}, no more {found.before}"], args
    )
    return 0
