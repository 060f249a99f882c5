"""Export the layer zoo in every scheme and format, and hold each file against the Keras model.

    python benchmarks/corpus.py [-o FOLDER] [--only PATTERN] [--float] [--workers N] [--json FILE]

Each model's result is a file of its own in FOLDER: a run that was stopped goes on where it was, and the
summary says whether all of them are there. Another FOLDER, or none, begins anew.

The float32 files must answer as the model does: within 1e-4 of the output's range at the worst value
and 1e-5 at the median, outputs matched by name, on random inputs. Of the other schemes the table says
how far they are (SQNR), and every one that its own check at export found below 15 dB must say so in a
warning. Every file that is not made must say why in words that
tests/support/refusal_kinds.py lists. Exits with 1 for a file beyond the limits, a reason that is not listed,
an error that edgekit did not mean, or a crash. `--float` leaves the quantised schemes out.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import zoo

# Where `support` lies.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

SCHEMES = ("float32", "float16", "dynamic", "int8", "int16x8")
MAX_LIMIT, MEDIAN_LIMIT = 1e-4, 1e-5
SAMPLES, CALIBRATION = 8, 200
WARNED_DB = 15.0
PATIENCE_S = 300

Row = dict[str, Any]


def errors(expected: Any, answer: Any) -> tuple[float, float, float]:
    """Largest and median difference as shares of the expected range, and SQNR in decibel."""
    from edgekit.metrics import distances

    expected, answer = np.asarray(expected, np.float64), np.asarray(answer, np.float64)
    # An output that is the same everywhere is measured by its size.
    span = float(np.ptp(expected)) or float(np.max(np.abs(expected))) or 1.0
    difference = np.abs(expected - answer) / span
    return (
        float(difference.max()),
        float(np.median(difference)),
        distances.sqnr_db(expected, answer),
    )


def reference(model: Any, x: dict[str, Any]) -> dict[str, Any]:
    """What Keras itself answers, by name: keys of a dictionary, else names of layers."""
    given = x if len(x) > 1 else next(iter(x.values()))
    result = model(given, training=False)
    if not isinstance(result, dict):
        flat = result if isinstance(result, list) else [result]
        result = dict(zip(model.output_names, flat, strict=True))
    return {name: np.asarray(value) for name, value in result.items()}


def judge(path: Path, row: Row, expected: dict[str, Any], x: dict[str, Any]) -> Row:
    import edgekit

    with edgekit.load(path) as runner:
        answers = runner.infer_batch(x)
    if set(answers) != set(expected):
        return {**row, "defect": f"outputs {sorted(answers)}, expected {sorted(expected)}"}
    wrong = [name for name in expected if answers[name].shape != expected[name].shape]
    if wrong:
        shapes = [(answers[name].shape, expected[name].shape) for name in wrong]
        return {**row, "defect": f"outputs {wrong} have shapes {shapes}"}
    found = [errors(expected[name], answers[name]) for name in expected]
    worst, median = max(each[0] for each in found), max(each[1] for each in found)
    row = {**row, "max": worst, "median": median, "sqnr_db": min(each[2] for each in found)}
    if row["scheme"] == "float32" and not (worst <= MAX_LIMIT and median <= MEDIAN_LIMIT):
        row["defect"] = f"off by {worst:.1e} at worst, {median:.1e} at the median"
    return row


def checked(entry: dict[str, Any], scheme: str) -> Row:
    """What the manifest says of a file's own check; a defect if it should have warned."""
    if entry["check"] is None:
        return {"warnings": entry["warnings"]}
    outputs = entry["check"]["outputs"]
    ratios = [each["sqnr_db"] for each in outputs if each["sqnr_db"] is not None]
    row: Row = {"check_db": min(ratios, default=None), "warnings": entry["warnings"]}
    row["check_error"] = max((each["max_error"] or 0.0 for each in outputs), default=0.0)
    lost = [each for each in outputs if (each["sqnr_db"] or 99) < WARNED_DB or each["dead_count"]]
    quantised = scheme not in ("float32", "float16")
    if quantised and len([w for w in entry["warnings"] if "output '" in w]) < len(lost):
        row["defect"] = f"{lost[0]['sqnr_db']} dB, {lost[0]['dead_count']} dead, and no warning"
    return row


def reason_of(message: str, format: str, scheme: str) -> str:
    """One file's part of the message that no file could be made."""
    found = re.search(rf"{format} {scheme}: (.*?)(?:; (?:tflite|onnx) \w+: |$)", message, re.DOTALL)
    return found[1] if found else message


def examine(entry: zoo.Entry, schemes: list[str], folder: Path) -> Iterator[Row]:
    """A row for each file of one entry, made or not."""
    from support.refusal_kinds import kind_of

    import edgekit
    from edgekit.errors import ExportError

    model = entry.build()
    path = folder / "model.keras"
    model.save(path)
    calibration = edgekit.Samples(zoo.inputs(entry, CALIBRATION, seed=1))
    files: dict[tuple[str, str], Path] = {}
    try:
        for file in edgekit.export(
            edgekit.models.load(path, trust_code=entry.code),
            out=folder / "out",
            schemes=schemes,
            formats=["tflite", "onnx"],
            calibration=calibration,
        ):
            files[file.format, file.scheme] = file.path
        manifest = json.loads((folder / "out" / "manifest.json").read_text("utf-8"))
        skipped, entries = manifest["skipped"], {row["path"]: row for row in manifest["files"]}
    except ExportError as error:
        skipped = [
            {"format": format, "scheme": scheme, "reason": reason_of(str(error), format, scheme)}
            for format in ("tflite", "onnx")
            for scheme in schemes
        ]
    x = zoo.inputs(entry, SAMPLES)
    expected = reference(entry.truth(model), x)
    for (format, scheme), file in files.items():
        row = {"format": format, "scheme": scheme, **checked(entries[file.name], scheme)}
        yield row if "defect" in row else judge(file, row, expected, x)
    for row in skipped:
        kind = kind_of(row["reason"])
        yield {**row, "kind": kind} if kind else {**row, "defect": f"unlisted: {row['reason']}"}


def work(schemes: list[str]) -> None:
    """A worker: names of entries on stdin, a line of JSON for each on the true stdout."""
    answers = os.fdopen(os.dup(1), "w")
    # TensorFlow's converters write to stdout from C++.
    os.dup2(2, 1)
    entries = {entry.name: entry for entry in zoo.ENTRIES}
    for line in sys.stdin:
        entry = entries[line.strip()]
        start = perf_counter()
        with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
            try:
                rows = list(examine(entry, schemes, Path(folder)))
            # Whatever edgekit did not mean to raise is what this looks for.
            except Exception as error:
                rows = [{"defect": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}]
        done = {"name": entry.name, "seconds": perf_counter() - start, "rows": rows}
        print(json.dumps(done), file=answers, flush=True)


def supervise(names: queue.Queue[str], done: queue.Queue[Row], command: list[str]) -> None:
    """Feed one worker after the other: a crash costs the entry that caused it."""
    while True:
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        with worker:
            while True:
                try:
                    name = names.get_nowait()
                except queue.Empty:
                    worker.stdin.close()
                    return
                clock = threading.Timer(PATIENCE_S, worker.kill)
                clock.start()
                print(name, file=worker.stdin, flush=True)
                line = worker.stdout.readline()
                clock.cancel()
                if not line:
                    defect = f"the process ended with {worker.wait()}"
                    done.put({"name": name, "seconds": 0.0, "rows": [{"defect": defect}]})
                    break
                done.put(json.loads(line))


def run(entries: list[zoo.Entry], schemes: list[str], workers: int) -> Iterator[Row]:
    names: queue.Queue[str] = queue.Queue()
    for entry in entries:
        names.put(entry.name)
    done: queue.Queue[Row] = queue.Queue()
    command = [sys.executable, __file__, "--work", *schemes]
    for _ in range(workers):
        threading.Thread(target=supervise, args=(names, done, command), daemon=True).start()
    for _ in entries:
        yield done.get()


def cell(folder: Path, name: str) -> Path:
    return folder / f"{name.replace('/', '.')}.json"


def keep(folder: Path, schemes: list[str], result: Row) -> None:
    """Write a model's result whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = cell(folder, result["name"])
    part = path.with_suffix(".part")
    part.write_text(json.dumps({**result, "schemes": schemes}, indent=1) + "\n", "utf-8")
    part.replace(path)


def kept(folder: Path | None, entries: list[zoo.Entry], schemes: list[str]) -> list[Row]:
    """The results that are there already, of the same schemes."""
    paths = [cell(folder, entry.name) for entry in entries] if folder else []
    found = [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]
    return [result for result in found if result["schemes"] == schemes]


def line(name: str, row: Row) -> str:
    what = f"{row.get('format', ''):6} {row.get('scheme', ''):8}"
    if "defect" in row:
        return f"{name:34} {what} DEFECT {row['defect']}"
    if "reason" in row:
        return f"{name:34} {what} refused: {row['reason']}"
    return (
        f"{name:34} {what} max {row['max']:.1e}  median {row['median']:.1e}"
        f"  {row['sqnr_db']:6.1f} dB"
    )


def summarise(results: list[Row], wanted: int, seconds: float) -> int:
    rows = [{"name": result["name"], **row} for result in results for row in result["rows"]]
    made = [row for row in rows if "max" in row]
    complete = "complete" if len(results) == wanted else f"{wanted - len(results)} are missing"
    print(
        f"\n{len(results)} models ({complete}), {len(made)} files made, {seconds / 60:.1f} minutes"
    )
    print(f"\n{'files':18}  made  refused  worst max  worst median  SQNR: lowest, median")
    for format, scheme in dict.fromkeys((row["format"], row["scheme"]) for row in made):
        mine = [r for r in rows if (r.get("format"), r.get("scheme")) == (format, scheme)]
        files = [row for row in mine if "max" in row]
        sqnr = [row["sqnr_db"] for row in files]
        print(
            f"{format:6} {scheme:11} {len(files):5} {len(mine) - len(files):8}"
            f"  {max(row['max'] for row in files):9.1e}  {max(row['median'] for row in files):12.1e}"
            f"  {min(sqnr):6.1f}, {np.median(sqnr):5.1f} dB"
        )
    refused: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if "kind" in row:
            refused.setdefault((row["kind"], row["format"], row["scheme"]), []).append(row["name"])
    print("\nrefusals by reason")
    for (kind, format, scheme), names in sorted(refused.items()):
        listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        print(f"{len(names):4}  {format} {scheme}: {kind} ({listed})")
    warned = [row for row in made if any("output '" in text for text in row["warnings"])]
    print(f"\n{len(warned)} files warned of")
    for row in warned:
        texts = [text for text in row["warnings"] if "output '" in text]
        print(f"{row['name']:34} {row['format']:6} {row['scheme']:8} {texts[0][:120]}")
    defects = [row for row in rows if "defect" in row]
    print(f"\n{len(defects)} defects")
    for row in defects:
        print(line(row["name"], row))
    return 1 if defects else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="keep results, and go on")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="names such as 'conv2d/*'")
    parser.add_argument("--float", action="store_true", help="float32 files only")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="every row")
    parser.add_argument("--work", nargs="+", metavar="SCHEME", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.work)
        return 0
    entries = zoo.select(args.only)
    if not entries:
        parser.error(f"--only {args.only}: no entry of the zoo has such a name")
    schemes = ["float32"] if args.float else list(SCHEMES)
    start = perf_counter()
    results = kept(args.out, entries, schemes)
    done = {result["name"] for result in results}
    for result in run([e for e in entries if e.name not in done], schemes, args.workers):
        results.append(result)
        if args.out:
            keep(args.out, schemes, result)
        for row in result["rows"]:
            print(line(result["name"], row), flush=True)
    order = {entry.name: number for number, entry in enumerate(entries)}
    results.sort(key=lambda result: order[result["name"]])
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    slow = Counter({result["name"]: result["seconds"] for result in results}).most_common(3)
    code = summarise(results, len(entries), perf_counter() - start)
    print("slowest:", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slow))
    return code


if __name__ == "__main__":
    sys.exit(main())
