"""Merge the JSON of other commands into one page for a person to read."""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import add_overwrite
from edgekit.cli.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "documents",
        nargs="+",
        metavar="JSON",
        help="drift, bench, manifest, training and tuning documents",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="report.html or .md")
    add_overwrite(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.report import write_report

    write_report(args.documents, args.output, overwrite=args.overwrite)
    console.tell(args.output)
    return 0
