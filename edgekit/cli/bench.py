"""Time model files against each other, in turns, on this machine."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from edgekit.cli.arguments import add_json, add_runner, load_all
from edgekit.cli.console import Console
from edgekit.runtime.benchmark import Benchmark, benchmark


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifacts", nargs="+", metavar="ARTIFACT", help=".tflite, .onnx or Keras")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="a file (1)")
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    # A benchmark is of the board: it takes what the board's profile says.
    args.device = args.device or "detect"
    with ExitStack() as stack:
        runners = load_all(args, stack)
        result = benchmark(runners, seconds=args.seconds, progress=console.tell)
    console.result(result.to_json(), _text(result), args)
    return 0


def _text(result: Benchmark) -> str:
    width = max(len(run.runner.artifact.name) for run in result.runs)
    lines = [
        f"{'file':{width}}  {'p50 ms':>9} {'p90 ms':>9} {'p99 ms':>9} {'load ms':>9} {'MB':>6}"
    ]
    for run in result.runs:
        latency, cold = run.latency, run.cold
        lines.append(
            f"{run.runner.artifact.name:{width}}  {latency.p50_ms:9.4f} {latency.p90_ms:9.4f} "
            f"{latency.p99_ms:9.4f} {cold.load_ms:9.1f} {(cold.peak_rss_bytes or 0) / 1e6:6.0f}"
        )
    lines += [f"noise: {reason}" for reason in result.host.noise]
    return "\n".join(lines)
