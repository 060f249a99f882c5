"""Check that every file of a bundle is unchanged, and that the owner of a key signed it.

The exit code is 1 if a file was changed, added or removed, or if another key signed; the message says which. With
--allow-unsigned only hashes are checked, and whoever changes a file can change its hash too.
"""

from __future__ import annotations

import argparse

from edgekit.bundle.verification import verify_bundle
from edgekit.cli.arguments import BUNDLE_HELP, add_json, add_key
from edgekit.cli.console import Console
from edgekit.errors import BundleError

EXAMPLE = "edgekit verify build/shipped/model.tar.xz --allow-unsigned"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help=BUNDLE_HELP)
    add_key(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    found = verify_bundle(args.bundle, key=args.public_key, allow_unsigned=args.allow_unsigned)
    word = (
        "signed by this key"
        if found.signed
        else "hashes are right; nobody is known to have signed it"
    )
    lines = [f"{args.bundle}: {problem}" for problem in found.problems]
    console.result(found.to_json(), lines or [f"{args.bundle}: {found.name}: {word}"], args)
    return BundleError.exit_code if found.problems else 0
