"""The options that say what a file has to meet, of 'edgekit compare' and 'edgekit export'."""

from __future__ import annotations

import argparse
from dataclasses import replace

from edgekit.cli.values import number, share
from edgekit.drift.budget import DriftBudget
from edgekit.drift.budget_table import NAMED, BudgetTable, read_budget
from edgekit.drift.limit import Limit
from edgekit.errors import UsageError


def add_budget(parser: argparse.ArgumentParser, title: str) -> argparse._ArgumentGroup:
    """``--max-accuracy-drop`` and all other limits, in a group of that title."""
    budget = parser.add_argument_group(title)
    budget.add_argument(
        "--max-accuracy-drop",
        type=share,
        metavar="SHARE",
        help="accuracy that a file may lose: 1%% or 0.01 is one percentage point "
        "(default: no limit)",
    )
    budget.add_argument(
        "--min-accuracy",
        type=share,
        metavar="SHARE",
        help="accuracy that a file must reach, whatever the original's: 90%% or 0.9 (default: no "
        "limit)",
    )
    budget.add_argument(
        "--min-agreement",
        type=share,
        metavar="SHARE",
        help="share of the samples for which a file must give the original's class: 99%% or 0.99 "
        "(default: no limit)",
    )
    budget.add_argument(
        "--min-sqnr-db",
        type=number,
        metavar="DB",
        help="signal-to-quantisation-noise ratio that every output must reach, in dB (default: no "
        "limit)",
    )
    budget.add_argument(
        "--limit",
        type=_limit,
        action="append",
        default=[],
        metavar="FIGURE<=VALUE",
        help="limit on any metric of an output, a class or a file: 'accuracy>=90%%', "
        "'accuracy_drop[class=*]<=5%%', 'sqnr_db[scores]>=30', 'size_bytes<=300000', "
        "'p50_ms<=5'; may be repeated (default: none)",
    )
    budget.add_argument(
        "--budget",
        metavar="FILE.toml",
        help="a TOML file whose table [budget] holds limits: max_accuracy_drop, min_accuracy, "
        "min_agreement, min_sqnr_db, and a list 'limits' with values of --limit; options "
        "override it (default: none)",
    )
    return budget


def budget_of(args: argparse.Namespace) -> DriftBudget:
    """What the options and the TOML file say; of a limit that both name, the option counts."""
    stored = read_budget(args.budget) if args.budget else BudgetTable()
    given = {name: getattr(args, name) for name in NAMED}
    try:
        found = stored.limits_of(**given)
    except UsageError as error:
        # What a file says was refused when it was read: the name is an option's.
        name, colon, text = str(error).partition(": ")
        option = f"--{name.replace('_', '-')}" if given.get(name) is not None else name
        raise UsageError(f"{option}{colon}{text}") from None
    # Those of options come first, as they are given.
    return replace(found, limits=(*args.limit, *found.limits)) if args.limit else found


def has_budget(args: argparse.Namespace) -> bool:
    """Whether any option names a limit."""
    named = any(getattr(args, name) is not None for name in NAMED)
    return bool(named or args.limit or args.budget)


def _limit(text: str) -> Limit:
    """``accuracy_drop[class=3]<=2%``: a figure and the most or the least that it may be."""
    try:
        return Limit.parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(
            str(error).removeprefix("limit: ").removesuffix(".")
        ) from None
