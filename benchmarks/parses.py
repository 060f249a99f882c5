"""How often one int8 TFLite export reads whole model files: prints the count, ends with 1 above the limit.

    python benchmarks/parses.py

A small network like the demo's is exported as int8 TFLite, without cache, in this process and the worker
that it starts. Counted is each time that code of edgekit's begins at the root of a file's bytes:
`Table.root`, where every reader of TFLite files begins, and the readers that flatbuffers generates
(`Model.GetRootAs`, `ModelT.InitFromObj`) when edgekit calls them. A walk through what was read before is
none. Told apart and not counted is what others do: ai-edge-quantizer and TensorFlow with the generated
readers, and interpreters, which read a file in C++ when they open it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import edgekit

LIMIT = 4
# Names the file that all processes write to, a line for each time.
LOG = "EDGEKIT_PARSES"
PACKAGE = Path(edgekit.__file__).parent
READERS = {
    "edgekit.formats.flatbuffer": {"Table": ["root"]},
    "ai_edge_litert.schema_py_generated": {"Model": ["GetRootAs"], "ModelT": ["InitFromObj"]},
    "ai_edge_quantizer.qtyping": {"Model": ["GetRootAs"], "ModelT": ["InitFromObj"]},
    "tensorflow.lite.python.schema_py_generated": {
        "Model": ["GetRootAs"],
        "ModelT": ["InitFromObj"],
    },
}
INTERPRETER = "ai_edge_litert.interpreter"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "parses")
        log.touch()
        os.environ[LOG] = str(log)
        export(Path(folder))
        lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    counted = [line for line in lines if line["by"] == "edgekit"]
    for line in counted:
        print(f"edgekit: {line['what']} in {line['where']}")
    others = Counter((line["by"], line["what"]) for line in lines if line["by"] != "edgekit")
    for (by, what), count in sorted(others.items()):
        print(f"not counted: {by}: {what}: {count}")
    print(f"{len(counted)} times edgekit read a whole file, at most {LIMIT}")
    sys.exit(len(counted) > LIMIT)


def export(folder: Path) -> None:
    """The export itself, counted in this process and its worker."""
    import keras
    import numpy as np

    from edgekit.convert import worker
    from edgekit.models.architectures import Task, build
    from edgekit.recipe import ModelRecipe

    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    network = build(Task(input_shape=(8, 8, 1), classes=10), ModelRecipe("cnn", width=0.5))
    # Biases of zeros would be left out of the file, and with them the steps that shift them.
    network.set_weights([w + rng.uniform(0, 0.1, w.shape) for w in network.get_weights()])
    images = rng.random((64, 8, 8, 1), np.float32)
    path = folder / "digits.keras"
    network.save(path)
    watch()
    worker.command = command
    edgekit.export(
        path,
        out=folder / "out",
        schemes=["int8"],
        formats=["tflite"],
        calibration=edgekit.Samples({network.inputs[0].name: images}),
        cache=False,
    )


def command(function: str, words: Sequence[str]) -> list[str]:
    """In place of `edgekit.runtime.child.command`: a process of this file's, which counts as well."""
    return [sys.executable, __file__, json.dumps(sys.path), function, *words]


def serve(path: str, function: str, *words: str) -> None:
    """In the worker."""
    sys.path[:] = json.loads(path)
    watch()
    module, name = function.split(":")
    getattr(import_module(module), name)(*words)


def watch() -> None:
    """Write a line for each time that a file is read from here on."""
    for module, classes in READERS.items():
        try:
            found = import_module(module)
        except ImportError:
            continue
        for name, methods in classes.items():
            owner = getattr(found, name)
            for method in methods:
                plain = getattr(owner, method)
                if not hasattr(plain, "watched"):
                    watched = noting(plain, f"{name}.{method}")
                    setattr(owner, method, staticmethod(watched))
    opened = import_module(INTERPRETER).Interpreter
    opened.__init__ = noting(opened.__init__, "Interpreter", "interpreters")


def noting(function: Callable[..., Any], what: str, by: str | None = None) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        frame = caller(sys._getframe(1))
        file = Path(frame.f_code.co_filename)
        ours = file.is_relative_to(PACKAGE)
        line = {
            "by": by or ("edgekit" if ours else f"called from {file.parent.name}/{file.name}"),
            "what": what,
            "where": f"{file.relative_to(PACKAGE) if ours else file.name}:{frame.f_code.co_name}",
        }
        with Path(os.environ[LOG]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        return function(*args, **kwargs)

    noted.watched = True  # type: ignore[attr-defined]
    return noted


def caller(frame: FrameType) -> FrameType:
    """The frame that reads, past those of the generated readers and of this file."""
    while frame.f_back and Path(frame.f_code.co_filename).name in (
        "schema_py_generated.py",
        Path(__file__).name,
    ):
        frame = frame.f_back
    return frame


if __name__ == "__main__":
    if sys.argv[1:]:
        serve(*sys.argv[1:])
    else:
        main()
