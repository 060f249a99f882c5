"""Modules that lie in a folder and say so when they are imported."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# What Python, edgekit and the libraries below it import: early, late, or if it is there.
NAMES = (
    *(
        "argparse",
        "ast",
        "codecs",
        "ctypes",
        "dataclasses",
        "edgekit",
        "encodings",
        "enum",
        "functools",
    ),
    *(
        "importlib",
        "inspect",
        "io",
        "json",
        "logging",
        "os",
        "pickle",
        "random",
        "re",
        "runpy",
        "select",
    ),
    *("signal", "site", "sitecustomize", "socket", "struct", "subprocess", "tempfile", "threading"),
    *("tomllib", "types", "typing", "usercustomize", "weakref", "zipfile", "zlib"),
    *(
        "absl",
        "ai_edge_litert",
        "ai_edge_quantizer",
        "flatbuffers",
        "google",
        "h5py",
        "jinja2",
        "keras",
    ),
    *(
        "numpy",
        "onnx",
        "onnxruntime",
        "optuna",
        "scipy",
        "sklearn",
        "tensorflow",
        "tf2onnx",
        "tf_keras",
    ),
    *("tensorflow_model_optimization", "tflite_runtime", "typing_extensions"),
)


def lay(folder: Path) -> Path:
    """Lay a trap for each of `NAMES` in `folder`. Returns the folder that caught names appear in."""
    folder.mkdir()
    caught = folder.with_name(f"{folder.name}-caught")
    caught.mkdir()
    for name in NAMES:
        # Nothing else is imported by it.
        code = f"open({str(caught / name)!r}, 'w').close()\n"
        (folder / f"{name}.py").write_text(code)
    return caught


@contextmanager
def console(folder: Path) -> Iterator[Callable[..., str]]:
    """`edgekit("inspect", path)`: the console script, in a folder of traps inside of `folder`; what it prints.

    Args of what it gives: the words; ``codes``, the exit codes that will do. None of the names was imported in the
    end.
    """
    caught = lay(folder / "traps")
    script = Path(sysconfig.get_path("scripts"), "edgekit")
    variables = {**os.environ, "PYTHONPATH": "", "XDG_CACHE_HOME": str(folder / "cache")}

    def run(*words: object, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [str(script), *map(str, words)],
            cwd=folder / "traps",
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in codes, done.stderr
        return done.stdout

    yield run
    assert [path.name for path in caught.iterdir()] == []
