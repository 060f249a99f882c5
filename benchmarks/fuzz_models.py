"""Mutate files and read them as a program does that does not trust them: it may not crash, hang or be misled.

    python benchmarks/fuzz_models.py [N] [--seed SEED] [-o FOLDER] [--all] [--keep DIR]

Each mutant of a model file passes through `edgekit.runtime.verify.verify`. A fresh interpreter a mutant
would take half a second, so a server that has imported the interpreters forks the trial instead; the code in
the trial and its limits are the same. What passes is loaded and run on random inputs in another
process: it stands for the calling program, is not forked and lives on from mutant to mutant. It is
supervised, so that its crash is counted, not suffered. Golden files and documents are read in it.

With `--all`, Keras files and SavedModels too: they are loaded as `edgekit.models.load` does, untrusted, in such
a process, and SavedModels are run. Bytes, configurations, HDF5 structures and graphs are mutated.

With `--watch`, strace sees what these processes and all their children open, change, start and reach; what
they do beside the mutant, their scratch folder, what is installed, and what they do with files that nobody
mutated, counts as broken.

`-o` keeps a row for each range of mutants: a run that was stopped goes on where it was. Prints how many
mutants ended how; exits with 1 if a calling process crashed, hung, met an untyped error, grew by over
2 GB or went outside.
`--only I` runs the mutant of that number alone. `--trust-structure` leaves the check of structure
out, to see what it is good for; `--python` tries other versions of the interpreters.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import tempfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from fuzzing import rows
from fuzzing.mutants import ENDINGS, HEAVY, Files, Mutant, mutant, number_of, seeds
from fuzzing.rows import Row
from fuzzing.supervised import BROKEN, Callers
from fuzzing.watch import Watch

# Mutants of a row: ten of each ending, where all are tried.
RANGE = 70


def chosen(formats: Sequence[str] | None, everything: bool) -> list[str]:
    if formats:
        return [each for each in ENDINGS if each[1:] in formats]
    plain = [each for each in ENDINGS if everything or each not in HEAVY]
    with_onnx = find_spec("onnxruntime") and find_spec("onnx")
    return plain if with_onnx else [each for each in plain if each != ".onnx"]


class Run:
    """All that the workers of one run share."""

    def __init__(self, args: argparse.Namespace, scratch: Path) -> None:
        self._args = args
        self._scratch = scratch
        self._endings = chosen(args.format, args.all)
        self._files: Files = seeds(self._endings, scratch, args.python)
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[range] = queue.SimpleQueue()
        self.rows: list[Row] = []

    def start(self) -> None:
        """Try them all; rows that are there already are taken as they are."""
        args = self._args
        if args.only is not None:
            self._endings = [ENDINGS[args.only % len(ENDINGS)]]
            place = args.only // len(ENDINGS)
            self._waiting.put(range(place, place + 1))
        else:
            last = args.start + args.count
            for first in range(args.start, last, RANGE):
                self._waiting.put(range(first, min(first + RANGE, last)))
        workers = [
            threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(args.workers)
        ]
        for each in workers:
            each.start()
        for each in workers:
            each.join()

    def _work(self, number: int) -> None:
        args = self._args
        folder = self._scratch / str(number)
        folder.mkdir()
        watches = None
        if args.watch:
            watches = [Watch(self._scratch, args.python, self._known) for _ in range(3)]
        callers = Callers(args.python, not args.trust_structure, folder, watches)
        try:
            learnt = not args.watch
            while True:
                try:
                    places = self._waiting.get_nowait()
                except queue.Empty:
                    return
                path = args.out and rows.path_of(args.out, args.seed, self._endings, places.start)
                row = rows.read(path) if path else None
                if row is None or row.mutants != len(places):
                    if not learnt:
                        self._learn(callers, folder)
                        learnt = True
                    row = self._range(places, callers, folder)
                    if path:
                        rows.write(path, row)
                with self._lock:
                    self.rows.append(row)
        finally:
            callers.close()

    def _learn(self, callers: Callers, folder: Path) -> None:
        for ending in self._endings:
            for name, data in self._files[ending]:
                path = folder / f"{name.partition('.')[0]}{ending}"
                path.write_bytes(data)
                callers.learn(path)
                path.unlink()

    def _range(self, places: range, callers: Callers, folder: Path) -> Row:
        args = self._args
        row = Row(args.seed, self._endings, places.start)
        for place in places:
            each = mutant(self._files, args.seed, number_of(place, self._endings))
            path = folder / f"{each.number}{each.ending}"
            path.write_bytes(each.data)
            kind, text = callers.outcome(path)
            path.unlink()
            row.count(each.ending, each.mutation, kind)
            if args.keep and (BROKEN in kind or "crash" in kind or "too" in kind):
                _keep(args.keep, each, kind)
            if BROKEN in kind or args.only is not None:
                line = f"mutant {each.number}, {each.mutation} of {each.name}: {kind} {text}"
                print(line, flush=True)
                row.broken += [line] * (BROKEN in kind)
        return row


def _keep(folder: Path, each: Mutant, kind: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    word = kind.rpartition(" ")[2].replace(os.sep, "_")
    (folder / f"{word}.{each.number}.{each.mutation}.{each.name}").write_bytes(each.data)


def role(words: Sequence[str]) -> None:
    """Be one of the processes that are asked, or make what TensorFlow makes."""
    from fuzzing import callers, keras_file, saved_model

    if words[0] == "make":
        keras_file.make(Path(words[1]))
        saved_model.make(Path(words[1], "saved"))
    elif words[0] == "keras":
        callers.serve_keras()
    elif words[0] == "calls":
        callers.serve_calls()
    else:
        callers.serve_checks(words[1] == "all")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--from", dest="start", type=int, default=0, metavar="I", help="leave out the first I"
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FOLDER", help="rows (default: none kept)"
    )
    parser.add_argument("--only", type=int, metavar="I", help="run mutant I alone and say all")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="mutants that crash are put here")
    parser.add_argument("--trust-structure", action="store_true")
    parser.add_argument("--watch", action="store_true", help="with strace")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--all", action="store_true", help="also what needs TensorFlow")
    parser.add_argument(
        "--format",
        action="append",
        choices=[each[1:] for each in ENDINGS],
        help="mutate such files alone; more than once for several",
    )
    parser.add_argument(
        "--python", default=sys.executable, help="an interpreter whose environment loads the files"
    )
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        role(args.role)
        return 0
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    if args.only is not None:
        args.format, args.out, args.workers = [ENDINGS[args.only % len(ENDINGS)][1:]], None, 1
    begun = perf_counter()
    with tempfile.TemporaryDirectory(prefix="edgekit-fuzz-") as name:
        scratch = Path(name).resolve()
        (scratch / "tmp").mkdir()
        run = Run(args, scratch)
        os.environ["XDG_CACHE_HOME"] = str(scratch)
        os.environ["TMPDIR"] = str(scratch / "tmp")
        run.start()
    broken = rows.summary(run.rows, args.seed, perf_counter() - begun)
    expected = args.count if args.only is None else 1
    # A worker thread that died has left mutants out: that is no success either.
    return 0 if not broken and sum(row.mutants for row in run.rows) == expected else 1


if __name__ == "__main__":
    sys.exit(main())
