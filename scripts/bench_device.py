#!/usr/bin/env python3
"""Check and time model files on the board this runs on; results go to OUT_DIR as JSON.

    scripts/bench_device.py OUT_DIR GOLDEN.npz MAX_ACCURACY_DROP FILE.tflite...

Exits as `edgekit compare` does: 3 where a file lost more than MAX_ACCURACY_DROP (``2%``). Needs the base install
alone. `edgekit devices run` does the same from another machine.
"""

import sys

from edgekit.cli import main


def run(out: str, golden: str, drop: str, *files: str) -> int:
    for command in (
        ["doctor", "--json", f"{out}/host.json", "--overwrite"],
        ["bench", *files, "--json", f"{out}/bench.json", "--overwrite"],
        [
            *("compare", *files, "--golden", golden, "--max-accuracy-drop", drop),
            *("--json", f"{out}/drift.json", "--overwrite"),
        ],
    ):
        if code := main(command):
            return code
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 5:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(run(*sys.argv[1:]))
