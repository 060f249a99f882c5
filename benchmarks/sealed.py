"""What a sealed bundle costs a cold start: a process that loads it and answers once, beside the same unsealed.

    python benchmarks/sealed.py FILE.tflite ... [--turns N]

For each file a bundle of it alone is made, and sealed. Fresh processes load one and the other in turns, the hashes of
both checked as always. Medians of wall and of processor time, and of the differences turn by turn; on a busy machine
trust the processor's. Exit code 1 where the difference of processor time is above 60 ms.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import bundles

LIMIT_MS = 60
_COLD = """
import sys, numpy as np, edgekit
with edgekit.load(sys.argv[1], identity=sys.argv[2] if len(sys.argv) > 2 else None) as runner:
    (given,) = runner.inputs
    runner.infer_raw({given.name: np.zeros(given.concrete_shape(), given.dtype)})
"""

# Wall and processor milliseconds.
Times = tuple[float, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.tflite")
    parser.add_argument("--turns", type=int, default=21)
    args = parser.parse_args()
    print(
        f"{'file':<36}{'bytes':>12}  {'':<10}{'unsealed':>10}{'sealed':>10}{'more':>8}  (ms, medians)"
    )
    worst = max(_compare(path, args.turns) for path in args.files)
    print(f"at most {worst:.1f} ms of processor time more, {LIMIT_MS} are allowed")
    return 0 if worst <= LIMIT_MS else 1


def _compare(path: Path, turns: int) -> float:
    import pyrage

    import edgekit

    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        key = pyrage.x25519.Identity.generate()
        identity = scratch / "key.txt"
        identity.write_text(f"{key}\n")
        plain = bundles.make([path], scratch / "plain", scratch)
        sealed = scratch / "sealed"
        edgekit.seal(plain, sealed, [str(key.to_public())])
        ways = ([str(plain)], [str(sealed), str(identity)])
        log = scratch / "log"
        for words in ways:
            _cold(words, log)
        rows = [[_cold(words, log) for words in ways] for _ in range(turns)]
    more = 0.0
    for place, kind in enumerate(("wall", "processor")):
        one, two = ([row[side][place] for row in rows] for side in (0, 1))
        more = statistics.median(b - a for a, b in zip(one, two, strict=True))
        label = (path.name, f"{path.stat().st_size:,}") if place == 0 else ("", "")
        print(
            f"{label[0]:<36}{label[1]:>12}  {kind:<10}{statistics.median(one):>10.1f}"
            f"{statistics.median(two):>10.1f}{more:>8.1f}"
        )
    return more


def _cold(words: list[str], log: Path) -> Times:
    """A fresh Python that loads a bundle and answers once; what it says goes to `log`."""
    program = [sys.executable, "-c", _COLD, *words]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    said = [(os.POSIX_SPAWN_OPEN, 2, log, flags, 0o600)]
    start = perf_counter()
    process = os.posix_spawn(sys.executable, program, os.environ, file_actions=said)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"the process that loads {words[0]} failed:\n{log.read_text()}")
    return 1000 * (perf_counter() - start), 1000 * (usage.ru_utime + usage.ru_stime)


if __name__ == "__main__":
    sys.exit(main())
