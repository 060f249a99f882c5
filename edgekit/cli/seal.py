"""Encrypt the model files of a bundle to the keys of its recipients, in the format of age.

A recipient is a public key that 'age-keygen' prints; the identity that 'age-keygen' writes opens the bundle. The
golden samples, reports and class names stay readable. An existing signature is dropped: --key signs the sealed
bundle.
"""

from __future__ import annotations

import argparse

from edgekit.bundle.contents import MODEL
from edgekit.bundle.sealing import seal
from edgekit.cli.arguments import BUNDLE_HELP, add_json, add_out
from edgekit.cli.console import Console

EXAMPLE = """\
edgekit seal build/shipped/model.tar.xz -o build/sealed.tar.xz \\
    --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help=BUNDLE_HELP)
    parser.add_argument(
        "--recipient",
        dest="recipients",
        action="append",
        required=True,
        metavar="AGE1...",
        help="public key of a recipient, as 'age-keygen' prints it; may be repeated",
    )
    add_out(parser, "BUNDLE", "the sealed bundle: a folder, or an archive ending in .tar.xz")
    parser.add_argument(
        "--key",
        metavar="PRIVATE.pem",
        help="private key that signs the sealed bundle (default: it is unsigned)",
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    sealed = seal(args.bundle, args.out, args.recipients, key=args.key, overwrite=args.overwrite)
    count = len(sealed.of_role(MODEL))
    files = "1 model file" if count == 1 else f"{count} model files"
    to = "1 recipient" if len(args.recipients) == 1 else f"{len(args.recipients)} recipients"
    signed = "signed" if args.key else "unsigned: --key signs it"
    console.result(
        sealed.to_json(), [f"{args.out}: {sealed.name}: {files} sealed to {to}, {signed}"], args
    )
    return 0
