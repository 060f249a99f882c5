#!/usr/bin/env python3
"""Classify frames as they come: one line of JSON a frame, until the source ends or SIGTERM comes.

    classify.py MODEL.tflite SOURCE [--shape H,W,C] [--dtype uint8] [--threshold S] [--labels FILE] [--threads N]

SOURCE is anything that yields raw frames one after the other: a FIFO that a camera program writes to,
a recording, or - for standard input. A frame is one raw sample, row by row: what the file stores of its
preparation is done here, and its class names are used. When the camera program ends, the loop waits for the next
one; a recording or standard input that ends, ends it. Needs the base install alone, and loop.py beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from loop import Source, Stop, Watchdog

import edgekit


def raw_shape(runner: edgekit.Runner, given: str | None) -> tuple[int, ...]:
    """The shape of a raw frame with a batch of 1: as given, or that of the model's input.

    Raises:
        edgekit.EdgekitError: the stored steps do not make the model's input of such a frame.
    """
    spec = runner.inputs[0]
    wanted = tuple(spec.concrete_shape())
    shape = wanted if given is None else (1, *(int(size) for size in given.split(",")))
    made = shape
    for steps in runner.metadata.for_inputs([spec.name]).preprocessing.values():
        made = tuple(steps.output_shape(shape))
    if tuple(made) != wanted:
        raise edgekit.EdgekitError(
            f"--shape: frames of {list(shape[1:])} become {list(made[1:])}, expected {list(wanted[1:])}, which "
            "the model takes."
        )
    return shape


def main() -> int:
    # First of all: what comes while the model is loaded is heard as well.
    stop, watchdog = Stop(), Watchdog()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("source")
    parser.add_argument("--shape", help="of a raw frame, such as 480,640,3 (default: the model's)")
    parser.add_argument("--dtype", default="uint8")
    parser.add_argument(
        "--threshold", type=float, help="give no class where the best score is below it"
    )
    parser.add_argument("--labels", help="a file with one class name a line (default: the model's)")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    try:
        names = Path(args.labels).read_text("utf-8").splitlines() if args.labels else None
        with edgekit.load(args.model, threads=args.threads) as runner:
            source = Source(args.source)
            watchdog.ready()
            loop(runner, source, args, names, stop, watchdog)
    except (edgekit.EdgekitError, OSError, ValueError, TypeError) as error:
        print(f"classify: {error}", file=sys.stderr)
        return 1
    return 0


def loop(
    runner: edgekit.Runner,
    source: Source,
    args: argparse.Namespace,
    names: list[str] | None,
    stop: Stop,
    watchdog: Watchdog,
) -> None:
    shape, dtype = raw_shape(runner, args.shape), np.dtype(args.dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    for number, raw in enumerate(source.blocks(size, stop, watchdog)):
        start = perf_counter()
        ((name, score),) = runner.classify(np.frombuffer(raw, dtype).reshape(shape))
        if names is not None:
            name = names[class_number(runner, name)]
        sure = args.threshold is None or score >= args.threshold
        line = {
            "frame": number,
            "class": name if sure else None,
            "score": round(float(score), 4),
            "ms": round((perf_counter() - start) * 1000, 3),
        }
        print(json.dumps(line), flush=True)


def class_number(runner: edgekit.Runner, name: str) -> int:
    """The index of a class; a file without names gives it as the name."""
    stored = runner.metadata.class_names
    return stored.index(name) if stored else int(name)


if __name__ == "__main__":
    sys.exit(main())
