"""Check that this machine and its interpreters give the answers recorded in a bundle.

Needs no TensorFlow. Each model file runs on the samples in the bundle, and its answers are compared with those
recorded when the bundle was built. The exit code is 1 if the bundle was changed, a file's answers differ, or no
file can run.
"""

from __future__ import annotations

import argparse

from edgekit.bundle.selftest import PASS, Selftest, selftest
from edgekit.cli.arguments import BUNDLE_HELP, add_identity, add_json
from edgekit.cli.console import Console
from edgekit.cli.values import whole_number
from edgekit.errors import BundleError

EXAMPLE = "edgekit selftest build/shipped/model.tar.xz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help=BUNDLE_HELP)
    parser.add_argument(
        "--public-key",
        metavar="PUBLIC.pem",
        help="public key or certificate of the required signer, or certificate of an authority that "
        "must vouch for the signer (default: only hashes are checked)",
    )
    add_identity(parser)
    parser.add_argument(
        "--threads",
        type=whole_number,
        default=1,
        metavar="N",
        help="threads per inference (default: 1)",
    )
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    found = selftest(args.bundle, key=args.public_key, threads=args.threads, identity=args.identity)
    console.result(found.to_json(), _lines(args.bundle, found), args)
    return 0 if found.verdict == PASS else BundleError.exit_code


def _lines(bundle: str, found: Selftest) -> list[str]:
    lines = [f"{bundle}: {problem}" for problem in found.problems]
    for file in found.files:
        ran = f" on {file.backend.name}" if file.backend else ""
        error = f", {file.error:.2f} of what is allowed" if file.error is not None else ""
        took = f", {file.infer_ms:.3f} ms" if file.infer_ms is not None else ""
        lines.append(
            f"{file.path}: {file.verdict}{ran}{error}{took}{'; ' if file.reason else ''}{file.reason}"
        )
    best = f"; the fastest: {found.best}" if found.best else ""
    return [*lines, f"{found.name} on {found.machine}: {found.verdict}{best}"]
