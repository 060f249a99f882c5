"""Measures which released interpreters run what, and writes ``edgekit/inspection/compatibility.json``.

    python benchmarks/compatibility.py WORK [SCHEME.FORMAT ... | others]

With kinds of files, such as ``float16.onnx dynamic.onnx``, these alone are made and tried, and what they
tell of operators and of types that the table does not hold is added to it. ``others`` stands for files
that the zoo does not lead to (``benchmarks/wheels/others.py``).

WORK keeps the corpus, the environments and the trials: what is there is not made again. About 40
minutes and 6 GB the first time. Prints what fails where, and how well a table that never saw the composed
models (``model/*``) foretells what becomes of their files.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wheels import onnx_limits, racers, versions
from wheels.environments import RELEASES, Environment, environments
from wheels.table import (
    Row,
    Trial,
    document,
    rows_of,
    text,
    verdicts,
    working_rows,
)

from edgekit.formats.graph import Model
from edgekit.formats.model_file import read_model
from edgekit.inspection import compatibility
from edgekit.inspection.compatibility import Target, _Table, needs_of

HERE = Path(__file__).parent
TABLE = Path(compatibility.__file__).with_suffix(".json")
HELD_OUT = "model/"
OTHERS = "others"
_RACING, _SLOWER = ("float32", "int8"), 1.1


def main(work: Path) -> None:
    corpus = work / "corpus"
    if not (work / "corpus.done").exists():
        subprocess.run([sys.executable, HERE / "wheels" / "corpus.py", corpus], check=True)
        (work / "corpus.done").touch()
    models = _models(corpus)
    found = list(environments(work / "env"))
    trials = {env: _trial(work / "trials", env, corpus) for env in found}
    newest = _judges(list(trials.values()), tuple(RELEASES))
    operators = {file: needs_of(model) for file, model in models.items()}
    ends = {
        trial.target: verdicts(trial, newest[trial.target.interpreter], operators)
        for trial in trials.values()
    }
    smallest = _smallest(corpus, operators, newest["ai-edge-litert"])
    claims = work / "claims"
    if not claims.exists():
        versions.write(smallest, claims)
        onnx_limits.write(claims)
    highest, limits = {}, {}
    for env in found:
        trial = _trial(work / "claims-tried", env, claims)
        ran = [file for file, end in trial.ends.items() if end == "runs"]
        if env.interpreter == "onnxruntime":
            limits[trial.target] = onnx_limits.highest(ran)
            tried = [
                models[file].opsets[""] for file, end in ends[trial.target].items() if end == "runs"
            ]
            limits[trial.target]["tried_opset"] = max(tried)
        else:
            highest[trial.target] = versions.highest(ran)
            # Where a file of the corpus claims more than the raised copies, it has been seen to run.
            for file, end in ends[trial.target].items():
                for need in operators[file] if end == "runs" else ():
                    known = highest[trial.target].get(need.op, 0)
                    highest[trial.target][need.op] = max(known, need.version)
    slower = _slower(work / "race", found)
    pythons = {trial.target: trial.python for trial in trials.values()}

    def table(files: Sequence[str]) -> dict[str, Any]:
        working = {}
        for target, end in ends.items():
            part = {file: end[file] for file in files if file in end}
            rows: dict[str, frozenset[Row]] = {file: rows_of(operators[file]) for file in part}
            working[target], blamed = working_rows(part, rows)
            if len(files) == len(models):
                for line in blamed:
                    print(f"{target}: not all of {line}")
        return document(pythons, working, highest, limits, slower)

    whole = table(list(models))
    TABLE.write_text(text(whole), "utf-8")
    print(f"wrote {TABLE.name}: {TABLE.stat().st_size} bytes")
    _report("whole corpus", whole, list(models), ends, models)
    seen = [file for file in models if not file.startswith(HELD_OUT)]
    unseen = [file for file in models if file.startswith(HELD_OUT)]
    _report("held out", table(seen), unseen, ends, models)


def add(work: Path, kinds: Sequence[str]) -> None:
    """Try files of these kinds alone, and add to the table what it does not say."""
    others = list(kinds) == [OTHERS]
    corpus, table = work / (OTHERS if others else "added"), json.loads(TABLE.read_text("utf-8"))
    script = [HERE / "wheels" / "others.py", corpus]
    if not others:
        script = [HERE / "wheels" / "corpus.py", corpus, "0/1", *kinds]
    subprocess.run([sys.executable, *script], check=True)
    models = _models(corpus)
    operators = {file: needs_of(model) for file, model in models.items()}
    formats = {model.format for model in models.values()}
    names = [n for format in sorted(formats) for n in compatibility.INTERPRETERS[format]]
    found = list(environments(work / "env", names))
    trials = [_trial(work / f"{corpus.name}-tried", env, corpus) for env in found]
    judges = _judges(trials, names)
    ends = {t.target: verdicts(t, judges[t.target.interpreter], operators) for t in trials}
    working = {}
    for target, end in ends.items():
        rows: dict[str, frozenset[Row]] = {file: rows_of(operators[file]) for file in end}
        working[target], blamed = working_rows(end, rows)
        for line in blamed:
            print(f"{target}: not all of {line}")
    pythons = {trial.target: trial.python for trial in trials}
    highest = _new_versions(work / f"{corpus.name}-claims", corpus, operators, trials, found, table)
    new = document(pythons, working, highest, {}, set())
    table["operators"] = dict(sorted({**table["operators"], **new["operators"]}.items()))
    for op, types in new["types"].items():
        known = table["types"].setdefault(op, {})
        # What the larger corpus said of a type stands: it saw more of it fail.
        known.update({kind: rows for kind, rows in types.items() if kind not in known})
        table["types"][op] = dict(sorted(known.items()))
    table["types"] = dict(sorted(table["types"].items()))
    TABLE.write_text(text(table), "utf-8")
    print(f"wrote {TABLE.name}: {TABLE.stat().st_size} bytes")
    _report("added files", table, list(models), ends, models)


def _new_versions(
    claims: Path,
    corpus: Path,
    operators: Mapping[str, Sequence[Any]],
    trials: Sequence[Trial],
    found: Sequence[Environment],
    table: Mapping[str, Any],
) -> dict[Target, dict[str, int]]:
    """The highest version of each TFLite operator that the table does not hold, by interpreter."""
    newest = next((t for t in reversed(trials) if t.target.interpreter == "ai-edge-litert"), None)
    if newest is None:
        return {}
    smallest = _smallest(corpus, operators, newest)
    versions.write({op: p for op, p in smallest.items() if op not in table["operators"]}, claims)
    highest = {}
    for env in found:
        if env.interpreter != "onnxruntime":
            trial = _trial(claims.with_name(f"{claims.name}-tried"), env, claims)
            ran = [file for file, end in trial.ends.items() if end == "runs"]
            highest[trial.target] = versions.highest(ran)
    return highest


def _slower(folder: Path, found: Sequence[Environment]) -> set[Target]:
    """Where int8 takes longer than float, beyond what a busy machine explains."""
    if not folder.exists():
        racers.write(folder)
    slower = set()
    for env in found:
        format = "onnx" if env.interpreter == "onnxruntime" else "tflite"
        out = folder / f"{env.interpreter}-{env.version}.json"
        if not out.exists():
            pair = [str(folder / f"{racers.NAME}.{scheme}.{format}") for scheme in _RACING]
            env.run(HERE / "wheels" / "race.py", *pair, str(out))
        ratio = json.loads(out.read_text("utf-8"))["ratio"]
        print(f"{env.interpreter} {env.version}: int8 takes {ratio:.2f} times as long as float")
        if ratio > _SLOWER:
            slower.add(Target(env.interpreter, env.version))
    return slower


def _report(
    title: str,
    table: dict[str, Any],
    files: Sequence[str],
    ends: Mapping[Target, Mapping[str, str]],
    models: Mapping[str, Model],
) -> None:
    """How often the table is right about `files`."""
    unfolded = _Table.of(table)
    print(f"\n{title}\n{'':24}{'runs':>8}{'fails':>8}{'false loads':>14}{'false refusals':>16}")
    why: Counter[str] = Counter()
    for target, end in ends.items():
        counts: Counter[tuple[bool, bool]] = Counter()
        for file in files:
            if file not in end:
                continue
            incompatibilities = unfolded.incompatibilities_of_file(models[file], target)
            reasons = [m.reason for m in incompatibilities]
            reasons += [
                f"{need.op} ({need.types}) {reason.reason}"
                for need in needs_of(models[file])
                if (reason := unfolded.incompatibility(need, target))
            ]
            counts[end[file] == "runs", not reasons] += 1
            if end[file] != "runs" and not reasons:
                print(f"FALSE LOAD {target} {file}: {end[file]}")
            if end[file] == "runs" and reasons:
                why.update(set(reasons))
        runs = counts[True, True] + counts[True, False]
        fails = counts[False, True] + counts[False, False]
        print(f"{target!s:24}{runs:8}{fails:8}{counts[False, True]:14}{counts[True, False]:16}")
    for reason, count in why.most_common(25):
        print(f"  refused in vain {count:5}: {reason}")


def _files(folder: Path) -> list[Path]:
    return sorted([*folder.rglob("*.tflite"), *folder.rglob("*.onnx")])


def _models(folder: Path) -> dict[str, Model]:
    return {
        str(path.relative_to(folder)): read_model(path.read_bytes(), path.suffix.lstrip("."))
        for path in _files(folder)
    }


def _trial(folder: Path, env: Environment, corpus: Path) -> Trial:
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{env.interpreter}-{env.version}"
    env.run(HERE / "wheels" / "trial.py", str(corpus), str(out))
    return Trial.read(out)


def _judges(trials: Sequence[Trial], interpreters: Sequence[str]) -> dict[str, Trial]:
    """Whose answers each interpreter's are held against."""
    # There is no newer tflite-runtime: its successor is the judge.
    successor = {"tflite-runtime": "ai-edge-litert"}
    return {name: _newest(trials, successor.get(name, name)) for name in interpreters}


def _newest(trials: Sequence[Trial], interpreter: str) -> Trial:
    return [trial for trial in trials if trial.target.interpreter == interpreter][-1]


def _smallest(
    corpus: Path, operators: Mapping[str, Sequence[Any]], newest: Trial
) -> dict[str, Path]:
    """By operator, the smallest file with the fewest operators that holds it."""
    found: dict[str, tuple[int, int, Path]] = {}
    for file, needs in operators.items():
        if newest.ends.get(file) != "runs":
            continue
        path = corpus / file
        size = (len(needs), path.stat().st_size, path)
        for need in needs:
            found[need.op] = min(size, found.get(need.op, size))
    return {op: path for op, (_, _, path) in sorted(found.items())}


if __name__ == "__main__":
    if sys.argv[2:]:
        add(Path(sys.argv[1]).absolute(), sys.argv[2:])
    else:
        main(Path(sys.argv[1]).absolute())
