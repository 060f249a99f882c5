"""Kill every command that writes, before each of its file operations, and run it again.

    python benchmarks/kills.py [-o FOLDER] [--only PATTERN] [--every N] [--slice]

A command runs in a fork of this process, in a folder of its own with all that it reads, and gets SIGKILL
before its n-th file operation, for every n; at a random moment; or it has to do with full disks (a limit
for the size of its files, and where this process may mount one, a small disk) and with little memory.
After each: every output is whole or not there, files that stood there are, and the same command, run
again, succeeds and leaves nothing hidden. That outputs exist, exit code 2, is a success where all of them
are there and whole.

Each point is a row, a file of its own in FOLDER: a run that was stopped goes on where it was. Another
FOLDER, or none, begins anew. `--slice` is what takes a few minutes: commands without TensorFlow, every twentieth
operation. Exits with 1 if anything was half-written or lost, or a command did not succeed when it was run again.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from killing.commands import commands, prepare
from killing.forks import preload
from killing.judging import Row
from killing.points import points


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FOLDER", help="rows (default: none kept)"
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="of the commands' names")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="every N-th operation only (default: 1)"
    )
    parser.add_argument(
        "--random", type=int, default=13, metavar="N", help="kills at random moments"
    )
    parser.add_argument("--full", type=int, default=4, metavar="N", help="full disks of each kind")
    parser.add_argument("--memory", type=int, default=4, metavar="N", help="limits of memory")
    parser.add_argument("--slice", action="store_true", help="what takes a few minutes")
    args = parser.parse_args()
    if args.slice:
        args = argparse.Namespace(
            **{**vars(args), "every": 20, "random": 1, "full": 1, "memory": 0}
        )
    chosen = [each for each in commands() if re.search(args.only, each.name)]
    chosen = [each for each in chosen if not (args.slice and each.tensorflow)]
    heavy = any(each.tensorflow for each in chosen)
    preload(heavy)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edgekit-kills-") as name:
        inputs = Path(name, "inputs")
        inputs.mkdir()
        prepare(inputs, heavy)
        rows = Path(args.out or Path(name, "rows"))
        rows.mkdir(parents=True, exist_ok=True)
        found = []
        for command in chosen:
            mine = [
                _row(rows / f"{command.name}.{key}.json", make)
                for key, make in points(inputs, command, args)
            ]
            broken = sum(bool(row.faults) for row in mine)
            print(f"{len(mine):4} points, {broken:3} broken  {' '.join(command.words)}", flush=True)
            found += mine
    return summary(found, time.monotonic() - start)


def _row(path: Path, make: Callable[[], Row]) -> Row:
    if path.exists():
        told = json.loads(path.read_text("utf-8"))
        return replace(Row(**told), faults=tuple(told["faults"]))
    row = make()
    for each in row.faults:
        print(f"{row.command}: {row.what}: {each}", flush=True)
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(asdict(row)), "utf-8")
    fresh.rename(path)
    return row


def summary(rows: Sequence[Row], seconds: float) -> int:
    kinds = Counter(fault.partition(":")[0] for row in rows for fault in row.faults)
    what = Counter(re.sub(r"[\d ]+.*| before.*| at most", "", row.what) for row in rows)
    print(f"\n{len(rows)} points in {seconds:.0f} s: {dict(what)}")
    print(
        f"{kinds['half-written']} half-written, {kinds['lost']} lost, {kinds['again']} commands that do "
        f"not succeed when run again, {kinds['hidden']} hidden files left, "
        f"{kinds['untold']} ends without a message"
    )
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
