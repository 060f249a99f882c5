"""How often the verdicts of `edgekit bench` are right: files of known speed, again and again.

    python benchmarks/timing_verdicts.py [--trials N] [--seconds S] [--load] [--state FILE.json]

Each trial is a benchmark of two entries: a small int8 TFLite file, and the same file again, or the same file
run with so much more work that it takes 3 or 10 % longer. The extra work is counted out by spinning in the
child for that share of each call, so that it is a real part of what is timed.

    A/A    the file against itself: an alarm is `faster` or `slower`
    3 %    `slower` is right
    10 %   `slower` is right

With --load a second process keeps a core busy for half a second of each. What was counted is kept in
--state, so that an interrupted run goes on. Ends with 1 if an A/A alarm comes in more than 2.5 % (beyond
chance: 97.5 %), 10 % is caught in less than 90 %, or 3 % in less than half of the trials.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import edgekit
from edgekit.metrics.intervals import share_ci95
from edgekit.runtime import contest, contestant
from edgekit.runtime.bench import Bench
from edgekit.runtime.benchmark import PROCESSES, SECONDS, entry_of
from edgekit.runtime.measuring import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE = Path(__file__).resolve().parents[1] / "tests/models/classifier.int8.tflite"
SHARES = {"A/A": 0.0, "3 %": 0.03, "10 %": 0.10}
_BUSY = """
import time
while True:
    end = time.perf_counter() + 0.5
    while time.perf_counter() < end: pass
    time.sleep(0.5)
"""


def serve_slower(share: str, *words: str) -> None:
    """As `contest.serve`, with every timed call made longer by a share of itself."""
    timed = contest.block

    def slower(call: Callable[[], Any]) -> Any:
        def longer() -> None:
            start = perf_counter_ns()
            call()
            until = perf_counter_ns()
            until += round((until - start) * float(share))
            while perf_counter_ns() < until:
                pass

        return timed(longer)

    contest.block = slower
    contest.serve(*words)


@contextmanager
def slowed(share: float) -> Iterator[None]:
    """Of two entries the second is slower by `share`."""
    command = contestant.command

    def chosen(function: str, words: list[str]) -> list[str]:
        del function
        # The second has another name. What spinning itself costs is in both.
        own = share if Path(words[1]).name != FILE.name else 0.0
        return command("timing_verdicts:serve_slower", [str(own), *words])

    contestant.command = chosen
    try:
        yield
    finally:
        contestant.command = command


def trial(second: Path, share: float, seconds: float) -> Bench:
    entries = []
    for path in (FILE, second):
        with edgekit.load(path) as runner:
            entries.append(entry_of(runner, None))
    with slowed(share):
        return measure(entries, seconds=seconds, warmup=5, processes=PROCESSES, tell=lambda _: None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000, help="of each kind")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--load", action="store_true", help="with a core that is busy by half")
    parser.add_argument("--state", type=Path, default=Path("build/timing_verdicts.json"))
    args = parser.parse_args()
    key = f"{args.seconds:g} s{', load' if args.load else ''}"
    state: dict[str, Any] = json.loads(args.state.read_text()) if args.state.exists() else {}
    rows = state.setdefault(key, {kind: {} for kind in SHARES})
    args.state.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgekit-timing-")))
        second = folder / "second.tflite"
        second.write_bytes(FILE.read_bytes())
        if args.load:
            busy = subprocess.Popen([sys.executable, "-c", _BUSY])
            stack.callback(busy.kill)
        while any(sum(row.values()) < args.trials for row in rows.values()):
            for kind, share in SHARES.items():
                found = trial(second, share, args.seconds).runs[1].relative
                assert found is not None
                # What a verdict would have been is counted apart where it was withheld.
                rows[kind][found.verdict] = rows[kind].get(found.verdict, 0) + 1
                args.state.write_text(json.dumps(state, indent=1))
    return report(rows)


def report(rows: dict[str, dict[str, int]]) -> int:
    """The table; 1 where a figure is beyond its limit."""
    bad = 0
    print(
        f"{'kind':6}{'trials':>7}{'faster':>8}{'slower':>8}{'same':>7}{'open':>7}{'withheld':>10}"
    )
    for kind, counts in rows.items():
        all_ = sum(counts.values())
        count = Counter(counts)
        words = ("faster", "slower", "same", "inconclusive", "withheld")
        print(
            f"{kind:6}{all_:7}"
            + "".join(f"{count[w]:{n}}" for w, n in zip(words, (8, 8, 7, 7, 10), strict=True))
        )
        low, _ = share_ci95(count["faster"] + count["slower"], all_)
        if kind == "A/A":
            bad |= low > 0.025
        elif all_ > count["withheld"]:
            bad |= count["slower"] / (all_ - count["withheld"]) < {"3 %": 0.5, "10 %": 0.9}[kind]
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
