"""Who imports whom: the direction between rooms, and what a device never needs."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import edgekit

PACKAGE = Path(edgekit.__file__).parent
MODULE_TEXT = r"edgekit(\.\w+)+(:\w*)?"

# One total order: a room may import from itself and from those before it, no other.
ROOMS = [
    "errors",
    "interruption",
    "shared",
    "shares",
    "locks",
    "scratch",
    "supervision",
    "files",
    "outputs",
    "streams",
    "config",
    "tensor",
    "artifact",
    "tasks",
    "document",
    "preprocess",
    "detection",
    "formats",
    "recipe",
    "manifest",
    "samples",
    "cache",
    "ray_cluster",
    "device",
    "runtime",
    "inspection",
    "metrics",
    "drift",
    "scoring",
    "report",
    "boards",
    "models",
    "calibration",
    "solver",
    "optimize",
    "convert",
    "diagnose",
    "train",
    "tune",
    "bundle",
    "build",
    "serve",
    "agents",
    "cli",
    "__main__",
]
LEVEL = {name: level for level, name in enumerate(ROOMS)}

DESKTOP_ONLY = {
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow_model_optimization",
    "ai_edge_quantizer",
    "tf2onnx",
    "onnx",
}
DESKTOP_ROOMS = {"models", "calibration", "optimize", "convert", "diagnose", "train"}
# onnx, where it is installed, finds shapes that a file does not declare: in a child, of that file.
ALLOWED = {("inspection", "onnx")}

MODULES = [
    path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"
]  # edgekit/__init__.py names its modules as text and imports them when asked.


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imported(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and full name of everything a module imports anywhere in it.

    `import_module("name")` and `require("name", ...)` count; modules named by a variable do not.
    """
    return tuple(name for name, is_text in _names(path) if not is_text)


@cache
def named(path: Path) -> tuple[tuple[int, str], ...]:
    """As `imported`, and what it names of edgekit's as text, ``"edgekit.room.file:name"``."""
    return tuple(name for name, _ in _names(path))


@cache
def _names(path: Path) -> tuple[tuple[tuple[int, str], bool], ...]:
    return tuple(_walked(path))


def _walked(path: Path) -> Iterator[tuple[tuple[int, str], bool]]:
    """What a module imports or names, and whether as text."""
    package = ".".join(("edgekit", *path.relative_to(PACKAGE).parent.parts))
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (node.lineno, alias.name), False
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(name, package)
            for alias in node.names:
                yield (node.lineno, f"{module}.{alias.name}"), False
        elif isinstance(node, ast.Call) and node.args:
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            first = node.args[0]
            if name in ("import_module", "require", "__import__") and (
                isinstance(first, ast.Constant) and isinstance(first.value, str)
            ):
                yield (node.lineno, first.value), False
        if isinstance(node, ast.Constant) and re.fullmatch(MODULE_TEXT, str(node.value)):
            yield (node.lineno, str(node.value).partition(":")[0]), True


@cache
def module_file(name: str) -> Path | None:
    """The file of the module that `name`, of edgekit's, is or lies in; None for what is not edgekit's."""
    top, _, rest = name.partition(".")
    if top != "edgekit" or not rest:
        return None
    word = rest.split(".")[0]
    if word in edgekit._HOMES:
        rest = edgekit._HOMES[word].removeprefix("edgekit.")
    parts = rest.split(".")
    while parts:
        base = PACKAGE.joinpath(*parts)
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
        parts.pop()
    return None


def test_every_module_is_in_a_room() -> None:
    assert {room_of(path) for path in MODULES} <= set(LEVEL), "add the new room to ROOMS above"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_to_the_left(path: Path) -> None:
    level = LEVEL[room_of(path)]
    wrong = [
        f"{path}:{line}: {name}"
        for line, name in named(path)
        if (file := module_file(name)) and LEVEL[room_of(file)] > level
    ]
    assert not wrong


def test_no_circle_of_files() -> None:
    """Imports inside functions, for types alone and by text count as well."""
    graph = {
        path: {file for _, name in named(path) if (file := module_file(name)) and file != path}
        for path in MODULES
    }
    # A file that imports none of those left, or that none of them imports, is in no circle with them.
    while free := [
        path
        for taken in [set().union(*graph.values())]
        for path, files in graph.items()
        if files.isdisjoint(graph) or path not in taken
    ]:
        for path in free:
            del graph[path]
    circles = {
        str(path.relative_to(PACKAGE)): sorted(
            str(file.relative_to(PACKAGE)) for file in files & set(graph)
        )
        for path, files in graph.items()
    }
    assert not circles


# What a room is given by one further right, without importing it: `edgekit/__init__.py` knows where it is.
GIVEN = {
    ("artifact", "external-files"),
    ("runtime", "bundle-runner"),
    ("runtime", "describe-object"),
    ("runtime", "keras-runner"),
}


def test_what_is_given_from_the_right_is_known() -> None:
    """No other edge passes the order by: a name in `edgekit._PARTS` is used nowhere else."""
    used = {
        (room_of(path), node.value)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in edgekit._PARTS
    }
    homes = {name: module_file(home.partition(":")[0]) for name, home in edgekit._PARTS.items()}
    assert None not in homes.values()
    right = {
        (room, name) for room, name in used if LEVEL[room_of(homes[name] or PACKAGE)] > LEVEL[room]
    }
    assert right == GIVEN
    assert {name for _, name in used} == set(edgekit._PARTS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_desktop_packages_stay_in_their_rooms(path: Path) -> None:
    if room_of(path) in DESKTOP_ROOMS:
        return
    wrong = [
        f"{path}:{line}: {name}"
        for line, name in imported(path)
        if (top := name.split(".")[0]) in DESKTOP_ONLY and (room_of(path), top) not in ALLOWED
    ]
    assert not wrong


BLOCKED = ("tensorflow", "keras", "tf_keras", "onnxruntime", "onnx", "jinja2", "jsonschema")
BLOCKER = f"""
import sys

BLOCKED = {BLOCKED!r}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {{name!r}}: blocked", name=name)

sys.meta_path.insert(0, Blocker())

def check():
    held = sorted(name for name in sys.modules if name.split(".")[0] in BLOCKED)
    assert not held, held
"""


def run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER + code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_blocker_blocks(tmp_path: Path) -> None:
    code = "try:\n    import jinja2\nexcept ModuleNotFoundError:\n    print('blocked')\n"
    assert run(code, tmp_path) == "blocked\n"


@pytest.mark.processes
def test_a_device_needs_no_desktop(models: Path, tmp_path: Path) -> None:
    code = f"""
import edgekit, numpy as np
runner = edgekit.load({str(models / "classifier.int8.tflite")!r})
scores = runner.infer({{"image": np.zeros((1, 8, 8, 1), np.float32)}})
print(scores["digit"].shape)
result = edgekit.benchmark([runner], seconds=0.01)
print(result.to_json()["schema"])
check()
"""
    assert run(code, tmp_path) == "(1, 5)\nedgekit.bench/1\n"


@pytest.mark.processes
def test_the_bench_command_needs_no_desktop(models: Path, tmp_path: Path) -> None:
    code = f"""
from edgekit.cli import main
try:
    code = main(["bench", {str(models / "classifier.int8.tflite")!r}])
except SystemExit as error:
    code = error.code
check()
sys.exit(code)
"""
    document = json.loads(run(code, tmp_path))
    assert document["schema"] == "edgekit.bench/1"
    assert document["runs"][0]["latency"]["count"] >= 30
