"""Each format has one reader and one module of its numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgekit

PACKAGE = Path(edgekit.__file__).parent
SCHEMAS = {"onnx_schema.py", "saved_model_schema.py", "tflite_schema.py"}
# Methods and functions of the readers that take a field's number first.
TAKE_A_FIELD = {
    "content",
    "delimited",
    "find",
    "follow",
    "messages",
    "nth_table",
    "number",
    "numbers",
    "span",
    "table",
    "tables",
    "text",
    "texts",
    "vector",
}
READERS = {"edgekit.formats.flatbuffer", "edgekit.formats.protobuf", "edgekit.formats.tflite_file"}
MODULES = [p for p in sorted(PACKAGE.rglob("*.py")) if p.name not in SCHEMAS]


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""


def constants(tree: ast.Module) -> set[str]:
    """Names of a module that stand for integers which are written there."""
    found = set()
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            for name, value in zip(names, values, strict=False):
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                    found.add(name.id)
    return found


def raw(source: str) -> list[int]:
    """The lines at which a field is named by its number."""
    tree = ast.parse(source)
    if not READERS & set(imported(tree)):
        return []
    known = constants(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            called, first = node.func, node.args[0]
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            number = isinstance(first, ast.Constant) and isinstance(first.value, int)
            if name in TAKE_A_FIELD and (number or getattr(first, "id", "") in known):
                found.append(node.lineno)
    return found


def test_what_is_found() -> None:
    source = "from edgekit.formats.flatbuffer import Table\n_A, _B = 1, 2\n{}\n"
    assert raw(source.format("t.number(3, 'I')")) == [3]
    assert raw(source.format("t.tables(_B)")) == [3]
    assert raw(source.format("t.tables(schema.Model.BUFFERS)")) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_field_is_named_by_its_number(path: Path) -> None:
    assert raw(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_reader_is_used(path: Path) -> None:
    source = path.read_text("utf-8")
    for other in ("schema_py_generated", "import flatbuffers", "from flatbuffers", "GetRootAs"):
        assert other not in source
