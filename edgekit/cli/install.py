"""Verify a bundle, place it beside the active one, test it on this machine, and switch to it.

Each bundle has its own subfolder, and the link 'current' points to the active one. The switch is atomic: even after
a power cut, one complete bundle is active. A bundle that fails its test is never activated.
"""

from __future__ import annotations

import argparse

from edgekit.bundle.install import KEPT, install
from edgekit.cli.arguments import BUNDLE_HELP, add_identity, add_json, add_key
from edgekit.cli.console import Console
from edgekit.cli.values import whole_number

EXAMPLE = """\
edgekit install build/shipped/model.tar.xz --into models/kws \\
    --allow-unsigned"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help=BUNDLE_HELP)
    parser.add_argument(
        "--into",
        required=True,
        metavar="DIR",
        help="folder for this model's bundles; created if missing",
    )
    add_key(parser)
    add_identity(parser)
    parser.add_argument(
        "--keep",
        type=whole_number,
        default=KEPT,
        metavar="N",
        help=f"number of bundles to keep, the active one included (default: {KEPT})",
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    found = install(
        args.bundle,
        args.into,
        key=args.public_key,
        allow_unsigned=args.allow_unsigned,
        keep=args.keep,
        identity=args.identity,
    )
    before = f", before it {found.before}" if found.before else ""
    lines = [f"{args.into}: active is {found.active}{before}"]
    lines += [f"{args.into}: removed {name}" for name in found.removed]
    console.result(found.to_json(), lines, args)
    return 0
