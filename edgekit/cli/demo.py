"""Build a bundle of a digit classifier from scikit-learn's 1,797 real images, verify it and test it here.

The demo writes a pipeline with its data and a throwaway key, and runs 'edgekit build' on it: train, prune, export,
compare, time, report and bundle. A second run repeats only what changed. The folder then holds the model, its
files, their JSON results, report.html and the signed bundle.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edgekit.build.chain import judged
from edgekit.build.matrix import orders_of
from edgekit.build.pipeline import read_pipeline
from edgekit.build.plan import steps_of
from edgekit.bundle.selftest import FAIL, PASS, selftest
from edgekit.cli.arguments import add_out, add_overwrite
from edgekit.cli.build_view import BuildView
from edgekit.cli.console import Console
from edgekit.errors import BundleError
from edgekit.report import merge, terminal_lines

EXAMPLE = "edgekit demo -o build/demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_out(parser, "DIR", "folder to write to (default: build/demo)", default="build/demo")
    add_overwrite(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.build.demo import OUTPUTS, PUBLIC_KEY, prepare

    out = Path(args.out)
    if not args.overwrite:
        pipeline = prepare(out)
    else:
        # What another version of the demo left stands where a build would write, and no build made it.
        pipeline = prepare(out, overwrite=True)
        for name in OUTPUTS:
            (out / name).unlink(missing_ok=True)
    (order,) = orders_of(read_pipeline(pipeline), out)
    steps_of(out, [order]).run(BuildView(console, many=False))
    console.lines(terminal_lines(merge(order.documents)))
    drift = judged(order)
    tested = selftest(order.bundle, key=out / PUBLIC_KEY)
    failed = [file for file in tested.files if file.verdict == FAIL]
    console.lines(
        [*tested.problems, *(f"{file.path}: {file.verdict}; {file.reason}" for file in failed)]
    )
    console.write(
        f"{order.bundle}: {drift.verdict}; {PUBLIC_KEY} signed it; its self-test here: {tested.verdict}\n"
    )
    return 0 if tested.verdict == PASS else BundleError.exit_code
