"""Layer errors, held against numpy's own arithmetic and against faults that were put in."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnose.conftest import Files
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edgekit.diagnose.decibels import decibels, noise
from edgekit.diagnose.layers import clipped, layer_errors, used
from edgekit.diagnose.model_explorer import node_data
from edgekit.diagnose.network import Grid
from edgekit.diagnose.opening import open_network
from edgekit.diagnose.side_by_side import SideBySide
from edgekit.document.layer_errors import LayerErrors
from edgekit.formats.tflite_check import read_file
from edgekit.report.layers import layer_lines
from edgekit.samples import Samples

ARRAYS = npst.arrays(np.float64, (3, 5), elements=st.floats(-100, 100))


@given(a=ARRAYS, b=ARRAYS)
def test_noise_is_the_mean_square_error_over_the_variance(a: Any, b: Any) -> None:
    found = noise([a[:1], a[1:]], [b[:1], b[1:]])
    error = np.square(a - b).sum() / 15
    power = np.square(a - a.mean()).sum() / 15 or np.square(a).sum() / 15
    assert found is not None
    if error == 0:
        assert found == 0
        assert decibels(found) is None
    elif power > 1e-9:
        assert math.isclose(found, error / power, rel_tol=1e-6)


def test_noise_of_what_is_not_finite_is_infinite() -> None:
    assert noise([np.ones(2)], [np.array([1.0, np.nan])]) == math.inf
    assert noise([np.ones(2)], [np.ones(3)]) is None
    assert decibels(0.01) == 20
    assert decibels(math.inf) is None


def test_clipped_and_used_are_counted() -> None:
    grid = Grid("t", "int8", 0.5, 0)  # from -64 to 63.5
    x = np.array([-70.0, 0, 10, 63.6, 64.5, 100.0])
    assert clipped([x], grid) == 3 / 6
    assert used([np.array([-16.0, 15.875])], grid) == pytest.approx(0.25, rel=1e-9)


def both_of(files: Files, images: Any) -> SideBySide:
    ours, plain = (open_network(path).network for path in (files.int8, files.plain))
    return SideBySide.of(ours, plain, Samples(images))


def errors_of(files: Files, images: Any) -> LayerErrors:
    return layer_errors(both_of(files, images), str(files.int8), str(files.plain))


def test_a_clean_file_loses_little_everywhere(files: Files, images: Any) -> None:
    found = errors_of(files, images)
    assert found.samples == 24
    assert not found.unmatched
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "SOFTMAX"} <= {
        r.op for r in found.layers
    }
    for row in found.layers:
        assert row.equal or (row.accumulated_db is not None and row.accumulated_db > 15), row
        assert row.own_db is None or row.own_db > 20, row
    assert found.weights_only_db is not None
    assert found.weights_only_db > 20
    assert found.activations_only_db is not None
    assert found.activations_only_db > 20


def test_the_own_error_of_a_convolution_is_numpys(tflite: Files, images: Any) -> None:
    both = both_of(tflite, images)
    pair = next(p for p in both.matched.pairs if p.file.name.startswith("functional_1/conv2d_1_2"))
    given = both.reference(pair.file.takes[0])
    reference = both.reference(pair.file.gives[0])
    assert given is not None
    assert reference is not None
    grid_in = both.file.network.grids[pair.file.takes[0]][0]
    grid_out = both.file.network.grids[pair.file.gives[0]][0]
    assert pair.file.weights is not None
    assert pair.file.bias is not None
    # The kernel is as large as what it reads, so that its sums are those of a matrix.
    kernel = pair.file.weights.values.reshape(5, -1).astype(np.float64)
    expected = []
    for x in given:
        rounded = np.clip(np.rint(x / grid_in.scale) + grid_in.zero, -128, 127) - grid_in.zero
        sums = (rounded * grid_in.scale).reshape(1, -1) @ kernel.T + pair.file.bias.values
        steps = np.clip(np.rint(sums / grid_out.scale) + grid_out.zero, -128, 127)
        expected.append((steps - grid_out.zero) * grid_out.scale)
    wanted = np.concatenate([x.reshape(1, -1) for x in reference])
    off = np.concatenate(expected) - wanted
    db = -10 * np.log10(np.mean(off**2) / wanted.var())
    row = next(r for r in errors_of(tflite, images).layers if r.tensor == pair.file.name)
    assert row.own_db == pytest.approx(db, abs=0.3)


def test_weights_that_were_changed_are_seen_in_their_layer_alone(
    tflite: Files, images: Any, tmp_path: Path
) -> None:
    content = bytearray(tflite.int8.read_bytes())
    file = read_file(content)
    (place,) = (i for i, t in enumerate(file.graphs[0].operators) if t.op == "DEPTHWISE_CONV_2D")
    kernel = file.graphs[0].tensors[file.graphs[0].operators[place].inputs[1]]
    kernel.constant("<i1").of(content)[:] *= -1
    broken = tmp_path / "broken.int8.tflite"
    broken.write_bytes(content)
    found = errors_of(Files(tflite.plain, broken), images)
    low = [row.op for row in found.layers if row.weights_db is not None and row.weights_db < 15]
    assert low == ["DEPTHWISE_CONV_2D"]
    first = next(row for row in found.layers if row.op == "CONV_2D")
    last = found.layers[-1]
    assert first.accumulated_db is not None
    assert first.accumulated_db > 25
    assert last.accumulated_db is not None
    assert last.accumulated_db < 15
    # What comes behind it is not to blame, and is told so.
    assert last.own_db is None or last.own_db > 20
    assert found.weights_only_db is not None
    assert found.activations_only_db is not None
    assert found.weights_only_db < 15 < found.activations_only_db


def test_node_data_is_as_model_explorer_reads_it(tflite: Files, images: Any) -> None:
    found = errors_of(tflite, images)
    data = node_data(found)
    assert set(data) == {"main"}
    assert set(data["main"]) == {"results", "thresholds"}
    names = {t.name for t in read_file(tflite.int8.read_bytes()).graphs[0].tensors}
    assert data["main"]["results"].keys() == {row.tensor for row in found.layers} <= names
    assert all(set(x) == {"value"} for x in data["main"]["results"].values())
    assert all(set(x) == {"value", "bgColor"} for x in data["main"]["thresholds"])


def test_the_table_keeps_to_80_columns(files: Files, images: Any) -> None:
    lines = layer_lines(errors_of(files, images))
    assert max(map(len, lines)) <= 80
    assert any("conv2d_1" in line and "CONV_2D" in line for line in lines)


def test_the_document_comes_back_as_it_was(files: Files, images: Any) -> None:
    found = errors_of(files, images)
    assert LayerErrors.from_json(found.to_json()) == found
