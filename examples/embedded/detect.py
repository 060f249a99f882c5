#!/usr/bin/env python3
"""Find objects in frames as they come, and draw their boxes: one line of JSON a frame.

    detect.py MODEL.tflite SOURCE [--shape H,W,C] [--threshold S] [--draw FILE] [--threads N]

SOURCE is `picamera2`, a FIFO that a camera program writes to, a recording, or - for standard input; the last three
give raw frames of uint8, row by row. The model's file holds the decoder that makes boxes of its outputs, so that the
boxes are those that `edgekit compare` judged. --draw writes the frames with the boxes in them, raw as they came:

    detect.py model.int8.tflite picamera2 --shape 480,640,3 --draw - | ffplay -f rawvideo -pixel_format rgb24 \\
        -video_size 640x480 -

It ends on SIGTERM, after the frame in work. Needs the base install alone, and loop.py and camera.py beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from camera import Camera
from loop import Source, Stop, Watchdog

import edgekit
from edgekit.detection import Detection

# Of classes 0, 1, ...: colours that are told apart, of which grey frames take the first value.
COLOURS = ((255, 80, 0), (0, 200, 255), (120, 255, 0), (255, 0, 200), (255, 230, 0), (90, 90, 255))


def main() -> int:
    # First of all: what comes while the model is loaded is heard as well.
    stop, watchdog = Stop(), Watchdog()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("source")
    parser.add_argument("--shape", help="of a raw frame, such as 480,640,3 (default: the model's)")
    parser.add_argument("--threshold", type=float, default=0.5, help="least score (default: 0.5)")
    parser.add_argument(
        "--draw", metavar="FILE", help="raw frames with their boxes; - for standard output"
    )
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    # Where pictures go to standard output, words go to standard error.
    words = sys.stderr if args.draw == "-" else sys.stdout
    try:
        with contextlib.ExitStack() as stack:
            runner = stack.enter_context(edgekit.load(args.model, threads=args.threads))
            given = args.shape.split(",") if args.shape else runner.inputs[0].concrete_shape()[1:]
            height, width, channels = (int(size) for size in given)
            drawn = None
            if args.draw == "-":
                drawn = sys.stdout.buffer
            elif args.draw:
                drawn = stack.enter_context(Path(args.draw).open("wb"))
            if args.source == "picamera2":
                frames = stack.enter_context(Camera((width, height))).frames()
            else:
                frames = raw_frames(Source(args.source), (height, width, channels), stop, watchdog)
            watchdog.ready()
            for number, frame in enumerate(frames):
                if stop.wanted:
                    break
                watchdog.alive()
                start = perf_counter()
                found = [each for each in runner.detect(frame) if each.score >= args.threshold]
                line = {
                    "frame": number,
                    "objects": [
                        {
                            "class": each.name,
                            "score": round(each.score, 4),
                            "box": [round(edge, 1) for edge in each.box],
                        }
                        for each in found
                    ],
                    "ms": round((perf_counter() - start) * 1000, 3),
                }
                print(json.dumps(line), file=words, flush=True)
                if drawn is not None:
                    drawn.write(with_boxes(frame, found).tobytes())
                    drawn.flush()
    except BrokenPipeError:
        # Whoever looked at the pictures has closed them. What is still to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (edgekit.EdgekitError, OSError, ValueError, TypeError) as error:
        print(f"detect: {error}", file=sys.stderr)
        return 1
    return 0


def raw_frames(
    source: Source, shape: tuple[int, int, int], stop: Stop, watchdog: Watchdog
) -> Iterator[np.ndarray]:
    for block in source.blocks(int(np.prod(shape)), stop, watchdog):
        yield np.frombuffer(block, np.uint8).reshape(shape)


def with_boxes(frame: np.ndarray, found: list[Detection], width: int = 2) -> np.ndarray:
    """A copy of a frame (height, width, channels) with a line of so many pixels inside of each box's edge."""
    drawn = frame.copy()
    # The surest last: on top.
    for each in reversed(found):
        left, top, right, bottom = (max(0, round(edge)) for edge in each.box)
        colour = COLOURS[each.label % len(COLOURS)][: frame.shape[-1]]
        for rows, columns in (
            (slice(top, top + width), slice(left, right)),
            (slice(max(top, bottom - width), bottom), slice(left, right)),
            (slice(top, bottom), slice(left, left + width)),
            (slice(top, bottom), slice(max(left, right - width), right)),
        ):
            drawn[rows, columns, : len(colour)] = colour
    return drawn


if __name__ == "__main__":
    sys.exit(main())
