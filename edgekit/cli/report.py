"""Merge JSON results of other commands into one page: an HTML file, or Markdown."""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import add_overwrite
from edgekit.cli.console import Console
from edgekit.cli.values import STDOUT

EXAMPLE = """\
edgekit report build/drift.json build/bench.json build/manifest.json \\
    -o build/report.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "documents",
        nargs="+",
        metavar="JSON",
        help="results of compare, bench, export (manifest.json), train and tune, of one model",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="FILE",
        help="page to write, FILE.html or FILE.md; '-' writes Markdown to stdout",
    )
    add_overwrite(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.report import merge, to_markdown, write_report

    if args.out == STDOUT:
        console.write(to_markdown(merge(args.documents)))
    else:
        write_report(args.documents, args.out, overwrite=args.overwrite)
        console.tell(args.out)
    return 0
