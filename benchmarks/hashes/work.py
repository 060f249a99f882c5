"""The worker: exports cell after cell with the edgekit on its path, each in a fork of its own.

A fork is made before TensorFlow has done anything, so that no cell's files depend on those before it,
and a crash costs the cell that caused it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hashes import bare
from hashes.cells import FORMATS, Cell
from hashes.models import made

# No cell takes nearly as long, on a busy machine either.
PATIENCE_S = 3600
_ENDINGS = {".tflite": "tflite", ".onnx": "onnx"}

Record = dict[str, Any]


def work(cells: Sequence[Cell], results: Path, models: Path) -> None:
    """Write the record of each cell that `results` has not yet, or only as failed."""
    missing = [cell for cell in cells if not done(results / cell.path)]
    print(f"{len(cells)} cells, {len(cells) - len(missing)} of them done before", flush=True)
    if not missing:
        return
    results.mkdir(parents=True, exist_ok=True)
    _load()
    start = time.perf_counter()
    for number, cell in enumerate(missing, 1):
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="unchanged-") as name:
            record = _run(cell, Path(name), models)
        seconds = time.perf_counter() - begun
        record = {"name": cell.name, "seconds": round(seconds, 1), **record}
        part = results / f"{cell.path}.{os.getpid()}.part"
        part.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        part.rename(results / cell.path)
        each = (time.perf_counter() - start) / number
        left = each * (len(missing) - number) / 60
        what = record.get("failed") or f"{len(record['files'])} files"
        print(
            f"{number}/{len(missing)} {cell.name}: {what}, {seconds:.1f} s, {left:.0f} min left",
            flush=True,
        )


def done(path: Path) -> bool:
    """Whether a record is there, of an export that did not fail: what was killed is tried again."""
    return path.exists() and "failed" not in json.loads(path.read_text("utf-8"))


def _load() -> None:
    """Import what every cell needs, and start nothing."""
    with _silence():
        for name in ("tensorflow", "keras", "tf2onnx"):
            importlib.import_module(name)
    import edgekit

    if not callable(edgekit.export):
        raise SystemExit("edgekit.export is not a function")
    tree = os.environ["PYTHONPATH"].split(os.pathsep)[0]
    if not Path(edgekit.__file__).is_relative_to(tree):
        raise SystemExit(f"edgekit comes from {edgekit.__file__}, expected it in {tree}")


def _run(cell: Cell, folder: Path, models: Path) -> Record:
    """Make the model where it is missing, export it, hash what comes of it; each in a fork."""
    home = models / cell.model
    if ended := _fork(lambda: made(home, cell.maker), folder):
        return {"files": {}, "skipped": [], "failed": f"model: {ended}"}
    answer = folder / "answer.json"
    ended = _fork(lambda: answer.write_text(json.dumps(_export(cell, home, folder))), folder)
    if ended:
        return {"files": {}, "skipped": [], "failed": ended}
    return json.loads(answer.read_text())


def _fork(do: Callable[[], Any], folder: Path) -> str | None:
    """Call `do` in a fork; None if it returned, else how it ended."""
    sys.stdout.flush()
    words = folder / "error.txt"
    words.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        code = 1
        try:
            signal.alarm(PATIENCE_S)
            os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
            # Keras 3 draws the seed of a Dropout that it makes anew from Python's generator.
            random.seed(0)
            with _silence():
                do()
            code = 0
        # Whatever ends a cell is part of its record.
        except BaseException as error:
            text = " ".join(str(error).split())[:500]
            words.write_text(f"{type(error).__name__}: {text}")
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if not status:
        return None
    code = os.waitstatus_to_exitcode(status)
    return words.read_text() if words.exists() else f"the process ended with {code}"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """TensorFlow's converters write to stdout and stderr from C++."""
    saved = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        for descriptor, before in zip((1, 2), saved, strict=True):
            os.dup2(before, descriptor)
            os.close(before)
        os.close(nowhere)


def _export(cell: Cell, home: Path, folder: Path) -> Record:
    import edgekit

    out = folder / "out"
    settings = cell.settings(home)
    if "recipe" in settings:
        # Whichever of the two a tree lets count, they say the same.
        asked = {"schemes": cell.schemes, "formats": FORMATS}
        settings["recipe"] = replace(settings["recipe"], **asked)
    edgekit.export(
        home / cell.file,
        out=out,
        schemes=cell.schemes,
        formats=FORMATS,
        trust_code=cell.trust_code,
        cache=False,
        **settings,
    )
    files = {path.name: _record(path) for path in sorted(out.iterdir()) if path.suffix in _ENDINGS}
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    return {
        "source": manifest["source"]["sha256"],
        "versions": manifest["versions"],
        "files": files,
        "skipped": _skipped(cell, files, manifest),
    }


def _record(path: Path) -> Record:
    content, format = path.read_bytes(), _ENDINGS[path.suffix]
    rest, metadata = bare.split(content, format)
    return {
        "format": format,
        "scheme": path.stem.rpartition(".")[2],
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "bare_sha256": hashlib.sha256(rest).hexdigest(),
        "metadata": metadata,
    }


def _skipped(cell: Cell, files: Record, manifest: Record) -> list[Record]:
    """The files that were not made, each with the kind of its reason, where the tree tells kinds."""
    try:
        kind_of = importlib.import_module("edgekit.convert.refusals").kind_of
    except (ImportError, AttributeError):
        kind_of = None
    reasons = {
        (row["format"], row["scheme"]): row.get("reason", "") for row in manifest.get("skipped", ())
    }
    there = {(row["format"], row["scheme"]) for row in files.values()}
    return [
        {
            "format": format,
            "scheme": scheme,
            "kind": kind_of(reasons.get((format, scheme), "")) if kind_of else None,
        }
        for format in FORMATS
        for scheme in cell.schemes
        if (format, scheme) not in there
    ]
