"""Throw-away environments: released wheels in a folder each, under the Python they are made for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

# Built for numpy 1: they crash or refuse under numpy 2.
_NUMPY_1 = (
    "tflite-runtime",
    "ai-edge-litert 1.0",
    "onnxruntime 1.16",
    "onnxruntime 1.17",
    "onnxruntime 1.18",
)

# The last patch of each onnxruntime; all that was released of the others.
RELEASES = {
    "tflite-runtime": ["2.11.0", "2.12.0", "2.13.0", "2.14.0"],
    "ai-edge-litert": [
        "1.0.0",
        "1.0.1",
        "1.1.0",
        "1.1.1",
        "1.1.2",
        "1.2.0",
        "1.3.0",
        "1.4.0",
        "2.0.2",
        "2.0.3",
        "2.1.0",
        "2.1.1",
        "2.1.2",
        "2.1.3",
        "2.1.4",
        "2.1.5",
        "2.1.6",
        "2.2.0",
        "2.3.0",
    ],
    "onnxruntime": [
        "1.16.3",
        "1.17.3",
        "1.18.1",
        "1.19.2",
        "1.20.1",
        "1.21.1",
        "1.22.1",
        "1.23.2",
        "1.24.4",
        "1.25.1",
        "1.26.0",
        "1.27.0",
        "1.28.0",
        "1.29.0",
        "1.30.0",
        "1.31.1",
        "1.32.0",
    ],
}
# tflite-runtime 2.11 and 2.12 were never built for a newer one.
PYTHONS = ("3.11", "3.12", "3.13", "3.10", "3.9")


@dataclass(frozen=True)
class Environment:
    """An interpreter that was installed.

    Attributes:
        folder: what goes to PYTHONPATH.
        python: the program.
    """

    interpreter: str
    version: str
    folder: Path
    python: Path

    def run(self, script: Path, *words: str) -> None:
        """Run a script there, with nothing else of this machine's Python packages."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONNOUSERSITE": "1"}
        environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
        subprocess.run(
            [str(self.python), "-S", str(script), *words],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def environments(work: Path, names: Collection[str] = tuple(RELEASES)) -> Iterator[Environment]:
    """Install each release for the first Python that has a wheel of it; say which have none."""
    for interpreter in names:
        for version in RELEASES[interpreter]:
            found = _install(work / f"{interpreter}-{version}", interpreter, version)
            if found is None:
                print(
                    f"{interpreter} {version}: no wheel for {', '.join(PYTHONS)}", file=sys.stderr
                )
            else:
                yield found


def _install(folder: Path, interpreter: str, version: str) -> Environment | None:
    done = folder / "python.json"
    if done.exists():
        return Environment(interpreter, version, folder, Path(json.loads(done.read_text("utf-8"))))
    old = f"{interpreter} {version}".startswith(_NUMPY_1)
    for name in PYTHONS:
        python = _python(name)
        if python is None:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        # A folder, not a virtual environment: made in a second, and all that an import needs.
        command = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        command += ["--target", str(folder), f"{interpreter}=={version}"]
        command += ["numpy<2" if old else "numpy"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            done.write_text(json.dumps(str(python)), "utf-8")
            return Environment(interpreter, version, folder, python)
    return None


def _python(version: str) -> Path | None:
    found = shutil.which(f"python{version}")
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    candidates = [Path(found)] if found else []
    candidates += sorted(versions.glob(f"{version}.*/bin/python"))
    for candidate in candidates:
        # pyenv's shims are there for versions that are switched off.
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([str(candidate), "-c", code], capture_output=True, check=False)
        if done.stdout.decode().strip() == version:
            return candidate
    return None
