#!/usr/bin/env python3
"""Hear words in a stream of sound: one line of JSON when one begins, until the source ends or SIGTERM comes.

    arecord -q -t raw -f S16_LE -c 1 -r 16000 | listen.py MODEL.tflite - --rate 16000 [--window SECONDS]
        [--hop SECONDS] [--mean N] [--threshold S] [--release S] [--ignore NAME ...] [--threads N]

SOURCE is a FIFO, a recording, or - for standard input: samples of 16 bits (signed, little end first), one channel. Each
`hop`, the last `window` of sound is classified, by the steps that the file stores; the scores of the last `mean`
windows are averaged. A class is heard when its mean reaches the threshold, and not again before it has fallen below
the release: one word is one line. Needs the base install alone, and loop.py beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator
from time import perf_counter

import numpy as np
from loop import Source, Stop, Watchdog

import edgekit


def main() -> int:
    # First of all: what comes while the model is loaded is heard as well.
    stop, watchdog = Stop(), Watchdog()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("source")
    parser.add_argument("--rate", type=int, required=True, help="samples a second")
    parser.add_argument("--window", type=float, default=1.0, help="seconds (default: 1)")
    parser.add_argument("--hop", type=float, default=0.25, help="seconds (default: 0.25)")
    parser.add_argument("--mean", type=int, default=3, help="windows (default: 3)")
    parser.add_argument("--threshold", type=float, default=0.6, help="mean score (default: 0.6)")
    parser.add_argument("--release", type=float, default=0.4, help="mean score (default: 0.4)")
    parser.add_argument("--ignore", nargs="*", default=[], help="classes that are no words")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if not (0 < args.hop <= args.window and args.mean > 0 and args.rate > 0):
        parser.error("expected 0 < --hop <= --window, --mean and --rate from 1")
    if not args.release <= args.threshold:
        parser.error("--release: expected no more than --threshold")
    try:
        with edgekit.load(args.model, threads=args.threads) as runner:
            source = Source(args.source)
            watchdog.ready()
            words = Words(args.mean, args.threshold, args.release, args.ignore)
            hop, window = (round(seconds * args.rate) for seconds in (args.hop, args.window))
            for end, sound in windows(source.blocks(2 * hop, stop, watchdog), window):
                watchdog.alive()
                start = perf_counter()
                scores = dict(runner.classify(sound[None], top=sys.maxsize))
                for name, score in words.heard(scores):
                    line = {
                        "seconds": round(end / args.rate, 3),
                        "class": name,
                        "score": round(score, 4),
                        "ms": round((perf_counter() - start) * 1000, 3),
                    }
                    print(json.dumps(line), flush=True)
    except (edgekit.EdgekitError, OSError, ValueError, TypeError) as error:
        print(f"listen: {error}", file=sys.stderr)
        return 1
    return 0


def windows(blocks: Iterator[bytes], size: int) -> Iterator[tuple[int, np.ndarray]]:
    """With each block the last `size` samples (size,) from -1 to 1, and how many came until there.

    Silence is what came before the first one.
    """
    sound = np.zeros(size, np.float32)
    end = 0
    for block in blocks:
        new = np.frombuffer(block, "<i2").astype(np.float32) / 32768
        sound = np.concatenate([sound, new])[-size:]
        end += len(new)
        yield end, sound


class Words:
    """Which classes begin to be heard: averaged over windows, with a threshold that holds.

    Args:
        mean: over how many windows; the ones before the first count as 0.
        threshold: the mean that a class has to reach.
        release: below which it has to fall before it is heard again.
        ignored: names of classes that are no words.
    """

    def __init__(self, mean: int, threshold: float, release: float, ignored: list[str]) -> None:
        self._last: deque[dict[str, float]] = deque(maxlen=mean)
        self._threshold, self._release = threshold, release
        self._ignored = frozenset(ignored)
        self._held: set[str] = set()

    def heard(self, scores: dict[str, float]) -> list[tuple[str, float]]:
        """Those that begin with this window, with their mean scores.

        Raises:
            ValueError: an ignored name is no class.
        """
        if unknown := self._ignored - scores.keys():
            raise ValueError(
                f"--ignore: received {', '.join(sorted(unknown))}, expected some of {', '.join(sorted(scores))}"
            )
        self._last.append(scores)
        count = self._last.maxlen or 1
        means = {name: sum(each[name] for each in self._last) / count for name in scores}
        self._held = {name for name in self._held if means[name] >= self._release}
        begun = [
            (name, mean)
            for name, mean in means.items()
            if mean >= self._threshold and name not in self._held | self._ignored
        ]
        self._held |= {name for name, _ in begun}
        return begun


if __name__ == "__main__":
    sys.exit(main())
