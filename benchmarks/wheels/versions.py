"""The highest version of each TFLite operator that an interpreter knows: small files that claim more and more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from shutil import copy

# Nothing released claims more.
HIGHEST = 20


def write(smallest: Mapping[str, Path], folder: Path) -> None:
    """For each operator, copies of a file that holds it which claim versions 1 to `HIGHEST`.

    Args:
        smallest: a file that the newest interpreter runs, by operator.
        folder: gets ``<operator>/<version>.tflite``, and the inputs beside each.
    """
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import Builder

    codes = {name: code for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    for op, path in smallest.items():
        if op not in codes:
            continue
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        for version in range(1, HIGHEST + 1):
            for code in model.operatorCodes:
                if max(code.builtinCode, code.deprecatedBuiltinCode) == codes[op]:
                    code.version = version
            builder = Builder(1 << 16)
            builder.Finish(model.Pack(builder), b"TFL3")
            target = folder / op / f"{version}.tflite"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(bytes(builder.Output()))
            copy(f"{path}.npz", f"{target}.npz")


def highest(ran: Iterable[str]) -> dict[str, int]:
    """The highest version that ran, by operator, of the files ``<operator>/<version>.tflite``."""
    found: dict[str, int] = {}
    for name in ran:
        op, version = name.removesuffix(".tflite").split("/")
        found[op] = max(found.get(op, 0), int(version))
    return found
