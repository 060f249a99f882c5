"""Compare the speed of model files on this machine: all are loaded and take turns.

A time is of one inference, from float inputs to float outputs.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from numpy.typing import NDArray

from edgekit.artifact import told_apart
from edgekit.cli.arguments import FILE_HELP, add_json, add_runner, add_samples, load_all
from edgekit.cli.console import Console
from edgekit.cli.values import number
from edgekit.runtime.bench import Bench
from edgekit.runtime.benchmark import benchmark
from edgekit.runtime.runner import Runner

EXAMPLE = """\
edgekit bench build/model.float32.tflite build/model.int8.tflite \\
    --json build/bench.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help=FILE_HELP)
    parser.add_argument(
        "--seconds",
        type=number,
        default=1.0,
        metavar="S",
        help="how long each file is timed, in seconds (default: 1)",
    )
    add_samples(parser, "raw samples, the first of which are the inputs", otherwise="random inputs")
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    # A benchmark is of the board: it takes what the board's profile says.
    args.device = args.device or "detect"
    with ExitStack() as stack:
        runners = load_all(args, stack)
        inputs = None if args.samples is None else _first_batch(args.samples, runners[0])
        result = benchmark(runners, inputs=inputs, seconds=args.seconds, progress=console.tell)
    console.result(result.to_json(), _lines(result), args)
    return 0


def _first_batch(samples: str, runner: Runner) -> dict[str, NDArray[Any]]:
    """As many samples as one inference of the runner takes, as it takes them."""
    from edgekit.samples import load_samples
    from edgekit.samples.prepare import prepared

    fitting = prepared(load_samples(samples), runner.metadata, runner.inputs)
    return {
        spec.name: fitting.inputs[spec.name][: (spec.concrete_shape() or (1,))[0]]
        for spec in runner.inputs
    }


def _lines(result: Bench) -> list[str]:
    names = told_apart([run.artifact.file for run in result.runs])
    width = max(map(len, names))
    lines = [
        f"{'file':{width}}  {'p50 ms':>9} {'p90 ms':>9} {'p99 ms':>9} {'load ms':>9} {'RSS MB':>6}"
    ]
    for name, run in zip(names, result.runs, strict=True):
        latency = run.latency
        lines.append(
            f"{name:{width}}  {latency.p50_ms:9.4f} {latency.p90_ms:9.4f} "
            f"{latency.p99_ms:9.4f} {run.load_ms:9.1f} {(run.peak_rss_bytes or 0) / 1e6:6.0f}"
        )
    lines += [
        f"exact: {run.artifact.name} ran in onnxruntime's exact mode: its int8 sums saturate on this "
        "processor in the fast mode"
        for run in result.runs
        if run.exact
    ]
    lines += [f"noise: {reason}" for reason in result.noise]
    return lines
