#!/usr/bin/env python3
"""Classify frames as they come: one line of JSON a frame, until the source ends or SIGTERM comes.

    classify.py MODEL.tflite SOURCE [--dtype uint8] [--labels FILE] [--threads N]

SOURCE is anything that yields raw frames one after the other: a FIFO that a camera program writes to,
a recording, or - for standard input. A frame is one sample of the model's input, row by row.
Needs the base install alone.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import BinaryIO

import numpy as np

import edgekit


class Stop:
    """SIGTERM and SIGINT: the frame in work is finished, a wait for the next one is broken off."""

    def __init__(self) -> None:
        self.wanted = False
        self.waiting = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)

    def _set(self, number: int, frame: object) -> None:
        del number, frame
        self.wanted = True
        if self.waiting:
            raise InterruptedError


def frames(
    source: BinaryIO, shape: tuple[int, ...], dtype: str, stop: Stop
) -> Iterator[np.ndarray]:
    """Whole frames until the source ends or a stop is wanted; a torn one at the end is dropped."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    while not stop.wanted:
        stop.waiting = True
        try:
            raw = source.read(size)
        except InterruptedError:
            return
        finally:
            stop.waiting = False
        if len(raw) < size:
            return
        yield np.frombuffer(raw, dtype).reshape(shape)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("source")
    parser.add_argument("--dtype", default="uint8")
    parser.add_argument("--labels", help="a file with one class name a line")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    stop = Stop()
    names = Path(args.labels).read_text("utf-8").splitlines() if args.labels else None
    try:
        with edgekit.load(args.model, threads=args.threads) as runner:
            if args.source == "-":
                loop(runner, sys.stdin.buffer, args.dtype, names, stop)
            else:
                with Path(args.source).open("rb") as source:
                    loop(runner, source, args.dtype, names, stop)
    except (edgekit.EdgekitError, OSError) as error:
        print(f"classify: {error}", file=sys.stderr)
        return 1
    return 0


def loop(
    runner: edgekit.Runner, source: BinaryIO, dtype: str, names: list[str] | None, stop: Stop
) -> None:
    spec, output = runner.inputs[0], runner.outputs[0].name
    for number, frame in enumerate(frames(source, spec.concrete_shape(), dtype, stop)):
        start = perf_counter()
        scores = runner.infer({spec.name: frame})[output].ravel()
        best = int(scores.argmax())
        line = {
            "frame": number,
            "class": names[best] if names else best,
            "score": round(float(scores[best]), 4),
            "ms": round((perf_counter() - start) * 1000, 3),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
