"""Merge the JSON results of other commands into a table, one HTML page, Markdown, or JSON.

Without --out the table of files goes to the terminal. With --history, show the results of several builds.
"""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import add_json
from edgekit.cli.console import Console
from edgekit.cli.values import STDOUT
from edgekit.errors import UsageError

EXAMPLE = """\
edgekit report build/drift.json build/bench.json build/manifest.json \\
    -o build/report.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "documents",
        nargs="*",
        metavar="JSON",
        help="results of other commands for one model: compare, bench, export (manifest.json), train, "
        "evaluate and others",
    )
    parser.add_argument(
        "--history",
        metavar="DIR",
        help="show the builds in DIR instead, sorted by name, oldest first; each is a folder of such "
        "results, or a file that 'report --json' wrote (default: the documents)",
    )
    parser.add_argument(
        "--golden",
        metavar="FILE",
        help="golden file of the comparison, so that an HTML page shows the samples whose answers "
        "flipped (default: only their numbers)",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="FILE",
        help="page to write, FILE.html or FILE.md; '-' writes Markdown to stdout (default: a table on "
        "the terminal)",
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.report import check_page

    if args.out not in (None, STDOUT):
        check_page(args.out, args.overwrite)
    if args.out == args.json == STDOUT:
        raise UsageError("--out and --json: received '-' for both, expected one result for stdout.")
    if args.history is not None:
        return _history(args, console)
    return _report(args, console)


def _report(args: argparse.Namespace, console: Console) -> int:
    from edgekit.report import (
        ReportResult,
        golden_for,
        merge,
        terminal_lines,
        to_markdown,
        write_page,
    )

    report = merge(args.documents)
    golden = None if args.golden is None else golden_for(report, args.golden)
    if args.out == STDOUT:
        console.write(to_markdown(report))
    elif args.out is not None:
        write_page(report, args.out, golden)
        console.tell(args.out)
    if args.out is None or args.json:
        content = ReportResult.of(report).to_json()
        lines = terminal_lines(report) if args.out is None else []
        console.result(content, lines, args, stdout=args.out != STDOUT)
    return 0


def _history(args: argparse.Namespace, console: Console) -> int:
    from edgekit.report import history_lines, history_markdown, read_history, write_history

    if args.documents or args.json:
        given = "documents" if args.documents else "--json"
        raise UsageError(f"--history: received {given} beside it, expected one of the two.")
    history = read_history(args.history)
    if args.out == STDOUT:
        console.write(history_markdown(history))
    elif args.out is None:
        console.lines(history_lines(history))
    else:
        write_history(history, args.out)
        console.tell(args.out)
    return 0
