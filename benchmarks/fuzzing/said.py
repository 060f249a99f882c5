"""Mutations of what files say beside their graphs: quantisation, signatures, metadata, golden files, documents."""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.draw import Rng, pick

JUNK = (None, True, -1, 0, 1e308, 2**70, "", "\x1b[31m", "x" * 5000, [], {}, [[]], [None], {"": 0})
NUMBERS = (0, 1, -1, 2, 3, 7, 255, 65536, 2**31 - 1, -(2**31))


def quantisation(tables: list[Any], rng: Rng) -> None:
    """Other scales, zero points and axes, and as many of each as nothing else has."""
    for _ in range(int(rng.integers(1, 4))):
        table = pick(rng, tables)
        count = int(rng.integers(0, 10))
        what = rng.random()
        if what < 0.4:
            table.scale = [float(pick(rng, (0.1, 1e-30, 1e30, -1.0, np.nan)))] * count
            table.zeroPoint = [int(pick(rng, NUMBERS))] * (count if what < 0.3 else count + 1)
        elif what < 0.7:
            table.quantizedDimension = int(pick(rng, NUMBERS))
            table.scale, table.zeroPoint = [0.1] * max(2, count), [0] * max(2, count)
        else:
            table.scale, table.zeroPoint = None, None


def signatures(model: Any, rng: Rng) -> None:
    """Names twice, names of nothing, tensors that are not there."""
    for each in model.signatureDefs or []:
        maps = [*(each.inputs or []), *(each.outputs or [])]
        what = rng.random()
        if what < 0.4 and maps:
            pick(rng, maps).tensorIndex = abs(int(pick(rng, NUMBERS)))
        elif what < 0.6 and maps:
            pick(rng, maps).name = pick(rng, (b"", b"image", b"\xff\xfe", b"\x1b[31m", None))
        elif what < 0.7:
            each.signatureKey = pick(rng, (b"", b"\xff", None))
        elif what < 0.8:
            each.subgraphIndex = abs(int(pick(rng, NUMBERS)))
        elif what < 0.9:
            each.inputs = []
        else:
            model.signatureDefs = [*model.signatureDefs, each]


def about_onnx(model: Any, rng: Rng) -> None:
    """What an ONNX file says of itself: versions, domains, and edgekit's own metadata."""
    what = rng.random()
    entry = model.metadata_props.add()
    entry.key, entry.value = "edgekit", json.dumps(JUNK[int(rng.integers(len(JUNK)))])
    if what < 0.3:
        known = {"schema": "edgekit.metadata/1", "class_names": [], "preprocessing": {}}
        entry.value = document(json.dumps(known).encode(), rng, []).decode("utf-8", "replace")
    elif what < 0.5:
        model.ir_version = abs(int(pick(rng, NUMBERS)))
    elif what < 0.7:
        model.opset_import[0].version = abs(int(pick(rng, NUMBERS)))
    elif what < 0.8:
        model.opset_import.add().domain = "x\x1b"
    else:
        for value in (*model.graph.input, *model.graph.output):
            for axis in value.type.tensor_type.shape.dim:
                axis.dim_value = int(pick(rng, (-1, 0, 2**40, -(2**63), 2**62)))


def document(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Values of other kinds, keys that are gone, twice as much, nested without end."""
    try:
        content = json.loads(data)
    except ValueError:
        return data
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(content))
        if not places:
            break
        holder, key = pick(rng, places)
        what = rng.random()
        if what < 0.6:
            holder[key] = deepcopy(pick(rng, JUNK))
        elif what < 0.8:
            del holder[key]
        elif isinstance(holder, dict):
            holder["more"] = deepcopy(holder[key])
        else:
            holder.append(deepcopy(holder[key]))
    text = json.dumps(content)
    return (text[:-1] + "," + '"a":' + "[" * 10**5 if rng.random() < 0.02 else text).encode()


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


def golden(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Fields that are gone, of another kind or shape, and another story in `meta`."""
    arrays = dict(np.load(io.BytesIO(data)))
    name = pick(rng, sorted(arrays))
    what = rng.random()
    if what < 0.3:
        arrays["meta"] = np.frombuffer(document(arrays["meta"].tobytes(), rng, []), np.uint8)
    elif what < 0.5:
        del arrays[name]
    elif what < 0.7:
        kinds = ("?", "i1", "u8", "f2", "c8", "M8[s]", "U3", "V4")
        arrays[name] = np.zeros(arrays[name].shape, pick(rng, kinds))
    elif what < 0.9:
        arrays[name] = np.zeros(tuple(rng.integers(0, 4, int(rng.integers(0, 5)))), np.float32)
    else:
        arrays[f"output/{chr(27)}"] = arrays[name]
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def members(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """An archive as numpy writes none: other endings, names twice, headers that announce more than there is."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = [(name, archive.read(name)) for name in archive.namelist()]
    name, content = pick(rng, found)
    if rng.random() < 0.6:
        kinds = ("<f4", "|u1", "|S0", "<U0", "<U9", "|V0", "|O", "<M8[s]")
        shapes = ((2**40,), (2**31, 2**31), (10**9,), (8, 10**8), (0, 2**60), (-1,), (1,) * 70)
        stream = io.BytesIO()
        header = {"descr": pick(rng, kinds), "fortran_order": False, "shape": pick(rng, shapes)}
        np.lib.format.write_array_header_1_0(stream, header)
        content = stream.getvalue()
    if rng.random() < 0.3:
        found = [each for each in found if each[0] != name]
    ending = pick(rng, (".npy", "", ".NPY", ".txt", "/"))
    found.append((name.removesuffix(".npy") + ending, content))
    packed = io.BytesIO()
    # What comes twice is no mistake here.
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)
        for each, bytes_ in found:
            archive.writestr(zipfile.ZipInfo(each), bytes_)
    return packed.getvalue()


def made(models: Path, folder: Path) -> dict[str, list[tuple[str, bytes]]]:
    """Golden files and documents of every kind, made in `folder`.

    Those of commands that need TensorFlow are the tests' own, made by hand.
    """
    import edgekit
    from edgekit import document
    from edgekit.artifact import Artifact
    from edgekit.cli import main
    from edgekit.streams import quiet

    rng = np.random.default_rng(0)
    x = rng.random((8, 8, 8, 1), np.float32)
    np.savez(folder / "s.npz", image=x, y=np.arange(8) % 5)
    file = models / "classifier.int8.tflite"
    edgekit.Golden.of(file, folder / "s.npz").save(folder / "g.npz")
    words: dict[str, tuple[Any, ...]] = {
        "bench": ("bench", file, "--seconds", "0.01"),
        "evaluation": ("evaluate", file, "--samples", folder / "s.npz"),
        "drift": ("compare", file, "--golden", folder / "g.npz"),
        "host": ("doctor",),
    }
    conftest = _module(models.parent / "document" / "conftest.py")
    every = conftest.every(Artifact.of(file).recorded(), edgekit.inspect(file))
    assert set(every) == set(document.KINDS), set(document.KINDS) ^ set(every)
    for kind, by_hand in every.items():
        path = folder / f"{kind}.json"
        if kind not in words:
            document.write(path, by_hand.to_json())
            continue
        with quiet():
            main([*map(str, words[kind]), "--json", str(path)])
    return {
        ".npz": [("g.npz", (folder / "g.npz").read_bytes())],
        ".json": [(path.name, path.read_bytes()) for path in sorted(folder.glob("*.json"))],
    }


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("documents_by_hand", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: Path) -> Callable[[], int]:
    """What a caller does with a golden file or a document."""

    def golden_file() -> int:
        import edgekit

        return len(edgekit.Golden.load(path).samples)

    def json_file() -> int:
        from edgekit import document
        from edgekit.report import merge, to_junit, to_markdown
        from edgekit.report.html import to_html

        found = document.load(path)
        report = merge([path])
        pages = len(to_markdown(report)) + len(to_html(report))
        return pages + (len(to_junit(found)) if type(found).__name__ == "Drift" else 0)

    return golden_file if path.suffix == ".npz" else json_file
