"""The check of a .tflite file's structure: whole files pass, others are refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.formats.tflite_check import tflite_fault


def test_no_file_of_ours_is_refused(models: Path) -> None:
    for path in models.glob("*.tflite"):
        assert tflite_fault(path.read_bytes()) is None, path


@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_upset_the_check_of_structure(models: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = np.frombuffer((models / "classifier.int8.tflite").read_bytes(), np.uint8)
    found = 0
    for _ in range(250):
        data = whole.copy()
        places = rng.integers(0, len(data) // 3, rng.integers(1, 8))
        data[places] = rng.integers(0, 256, len(places))
        found += (
            tflite_fault(data[: rng.integers(len(data) // 2, len(data) * 2)].tobytes()) is not None
        )
    assert found > 100


def test_parts_used_over_and_over_are_refused() -> None:
    """20,000 subgraphs, all at one place, that hold 20,000 tensors, all at one place, in 160 kB:
    followed one by one, 400 million tables."""
    n = 20_000
    graphs = 64
    graph = graphs + 4 + 4 * n
    tensors = graph + 16
    buffers = tensors + 4 + 4 * n
    tensor = buffers + 8
    words = np.zeros(tensor // 4 + 1, np.uint32)
    words[0], words[1] = 48, int.from_bytes(b"TFL3", "little")
    halves = words.view(np.uint16)
    # VTables: of the model with fields 2 and 4, of a subgraph with field 0, of a table with none.
    halves[8:15] = [14, 12, 0, 0, 4, 0, 8]
    halves[16:19] = [6, 8, 4]
    halves[20:22] = [4, 4]
    words[12:15] = [48 - 16, graphs - 52, buffers - 56]
    words[graph // 4 : graph // 4 + 2] = [graph - 32, tensors - (graph + 4)]
    words[tensor // 4] = tensor - 40
    for start, target, count in ((graphs, graph, n), (tensors, tensor, n), (buffers, tensor, 1)):
        places = np.arange(start + 4, start + 4 + 4 * count, 4)
        words[start // 4] = count
        words[places // 4] = target - places
    assert tflite_fault(words.tobytes()) == (
        "its parts are used over and over beyond what its size explains"
    )
