"""Which mutant a number is: of which file, changed in which way."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fuzzing import keras_file, onnx_graph, raw, said, saved_model, tflite
from fuzzing.draw import Rng, pick

MODELS = Path(__file__).parents[2] / "tests" / "models"
Mutation = Callable[[bytes, Rng, list[bytes]], bytes]
Files = dict[str, list[tuple[str, bytes]]]
_ANY = (raw.flip, raw.word, raw.truncate, raw.splice)
# Those that are here twice are drawn twice as often. The order is part of what a number means.
MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    ".tflite": (*_ANY, tflite.shapes, tflite.graph, tflite.constants, tflite.quantisation, tflite.signatures),
    ".onnx": (*_ANY, onnx_graph.shapes, onnx_graph.graph, onnx_graph.constants, onnx_graph.metadata),
    ".npz": (raw.flip, raw.truncate, raw.splice, said.golden, said.golden, said.members),
    ".json": (raw.flip, raw.truncate, raw.splice, *[said.document] * 3),
    ".keras": (raw.flip, raw.splice, *[keras_file.config] * 6),
    ".h5": (raw.flip, raw.splice, *[keras_file.config_h5] * 4, *[keras_file.structure_h5] * 2),
    ".pb": (raw.flip, raw.splice, *[saved_model.graph] * 8),
}  # fmt: skip
ENDINGS = tuple(MUTATIONS)
# Files that TensorFlow makes and loads.
HEAVY = (".keras", ".h5", ".pb")


class Mutant(NamedTuple):
    """A file of a seed that is wrong somewhere."""

    number: int
    ending: str
    mutation: str
    name: str
    data: bytes


def mutant(files: Files, seed: int, number: int) -> Mutant:
    """One of a seed: the same, whatever else is tried."""
    rng = np.random.default_rng([seed, number])
    ending = ENDINGS[number % len(ENDINGS)]
    name, data = pick(rng, files[ending])
    mutate = pick(rng, MUTATIONS[ending])
    others = [content for _, content in files[ending]]
    return Mutant(
        number, ending, mutate.__name__.partition("_")[0], name, mutate(data, rng, others)
    )


def number_of(place: int, endings: Sequence[str]) -> int:
    """The number of the mutant at a place, where those of some endings alone are tried."""
    ending = endings[place % len(endings)]
    return place // len(endings) * len(ENDINGS) + ENDINGS.index(ending)


def seeds(endings: Sequence[str], scratch: Path, python: str) -> Files:
    """The files to mutate.

    Args:
        endings: of which kinds.
        scratch: where the SavedModel stays that mutants of its graph go into.
        python: has TensorFlow, for those that it makes.
    """
    files: Files = {
        ending: [(path.name, path.read_bytes()) for path in sorted(MODELS.glob(f"*{ending}"))]
        for ending in endings
        if ending in (".tflite", ".onnx")
    }
    with tempfile.TemporaryDirectory(prefix="edgekit-fuzz-") as name:
        folder = Path(name)
        if {".npz", ".json"} & {*endings}:
            files |= said.made(MODELS, folder)
        if {*HEAVY} & {*endings}:
            _make_heavy(python, folder)
            files |= {
                ending: [
                    (path.name, path.read_bytes()) for path in sorted(folder.glob(f"*{ending}"))
                ]
                for ending in (".keras", ".h5")
            }
            graph = folder / "saved" / "saved_model.pb"
            files[".pb"] = [(graph.name, graph.read_bytes())]
            saved = shutil.copytree(folder / "saved", scratch / "saved")
            os.environ[saved_model.SEED] = str(saved)
    return {ending: files[ending] for ending in endings}


def _make_heavy(python: str, folder: Path) -> None:
    script = Path(__file__).parents[1] / "fuzz_models.py"
    words = [python, str(script), "--role", "make", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
