"""The same model gives the same bytes, whatever the process did before and however it hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import pytest

from edgekit.convert.onnx.canonical import make_canonical
from edgekit.files import sha256_of
from edgekit.runtime.onnx_session import open_session

CODE = """
import sys
import edgekit
from edgekit.artifact import SCHEMES
home, out, *names = sys.argv[1:]
for name in names:
    edgekit.export(f"{home}/{name}.keras", out=f"{out}/{name}", schemes=SCHEMES, cache=False,
                   formats=["tflite", "onnx"], calibration=f"{home}/{name}.npz")
"""


@pytest.fixture
def two_models(tmp_path: Path) -> list[str]:
    """A network with branches and one with loops, and samples for each, in the working folder."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)

    image = keras.Input((8, 8, 2), name="image")
    x = layers.UpSampling2D(2, interpolation="bilinear")(image)
    x = layers.LayerNormalization()(layers.Conv2DTranspose(4, 3)(x))
    y = layers.ReLU(max_value=6)(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(x)))
    y = layers.Add()([layers.Conv2D(4, 1)(y), layers.Cropping2D(1)(x)])
    both = layers.Concatenate()([layers.GlobalAveragePooling2D()(y), layers.Flatten()(y)])
    outputs = {"z": layers.Dense(3)(both), "a": layers.Dense(3)(both)}
    keras.Model(image, outputs).save(tmp_path / "branches.keras")
    np.savez(tmp_path / "branches.npz", x=rng.random((20, 8, 8, 2), np.float32))

    signal = keras.Input((4, 3), name="signal")
    x = layers.GRU(3)(layers.LSTM(4, return_sequences=True)(signal))
    keras.Model(signal, layers.Dense(2)(x)).save(tmp_path / "loops.keras")
    np.savez(tmp_path / "loops.npz", x=rng.random((20, 4, 3), np.float32))
    return ["branches", "loops"]


@pytest.mark.slow
def test_two_processes_with_two_hash_seeds_in_two_folders(
    tmp_path: Path, two_models: list[str]
) -> None:
    made = []
    # In another order, so that what was traced before differs too.
    for seed, names in (("1", two_models), ("2", two_models[::-1])):
        place = tmp_path / f"place{seed}"
        place.mkdir()
        subprocess.run(
            [sys.executable, "-c", CODE, str(tmp_path), "out", *names],
            cwd=place,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        made.append(
            {str(p.relative_to(place)): sha256_of(p) for p in place.rglob("*") if p.is_file()}
        )
    one, two = made
    # The manifests are among them.
    assert len(one) > 20
    assert one == two


make = onnx.helper.make_node


def value(name: str, *shape: int, kind: int = onnx.TensorProto.FLOAT) -> Any:
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def model_of(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> Any:
    graph = onnx.helper.make_graph(nodes, "any", inputs, outputs, constants)
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


def branches(order: int, p: str) -> Any:
    """The same graph with nodes in another order and inner names that start with `p`."""
    nodes = [
        make("Neg", ["x"], [p + "n"], p + "1", doc_string=p),
        make("Abs", ["x"], [p + "a"], p + "2"),
        make("Add", [p + "n", p + "c"], [p + "s"], p + "3"),
        make("Mul", [p + "s", p + "a"], ["y"], p + "4"),
    ]
    nodes = [nodes, [nodes[1], nodes[0], nodes[2], nodes[3]]][order]
    constant = onnx.helper.make_tensor(p + "c", onnx.TensorProto.FLOAT, [1], [2.0])
    return model_of(nodes, [value("x", 3)], [value("y", 3)], [constant])


def loop(copy_first: bool, p: str) -> Any:
    """Adds `step` of the outer graph twice; the state leaves the body as a scan output as well."""
    names = [p + "state", p + "scan"]
    made, copied = names[::-1] if copy_first else names
    body = onnx.helper.make_graph(
        [
            make("Identity", [p + "in_cond"], [p + "out_cond"]),
            make("Add", [p + "in_state", p + "step"], [made]),
            make("Identity", [made], [copied]),
        ],
        p + "body",
        [
            value(p + "i", kind=onnx.TensorProto.INT64),
            value(p + "in_cond", kind=onnx.TensorProto.BOOL),
            value(p + "in_state", 3),
        ],
        [value(p + "out_cond", kind=onnx.TensorProto.BOOL), value(names[0], 3), value(names[1], 3)],
    )
    nodes = [
        make("Neg", ["x"], [p + "step"]),
        make("Loop", [p + "count", p + "go", "x"], ["y", "all"], body=body),
    ]
    constants = [
        onnx.helper.make_tensor(p + "count", onnx.TensorProto.INT64, [], [2]),
        onnx.helper.make_tensor(p + "go", onnx.TensorProto.BOOL, [], [True]),
    ]
    return model_of(nodes, [value("x", 3)], [value("y", 3), value("all", 2, 3)], constants)


@pytest.mark.parametrize("build", [branches, loop])
def test_the_canonical_form(build: Callable[[int, str], Any]) -> None:
    x = np.array([1, -2, 3], np.float32)

    def run(proto: Any) -> list[np.ndarray]:
        return open_session(proto.SerializeToString()).run(None, {"x": x})

    one, two = build(0, "a"), build(1, "zz")
    expected = run(one)
    for proto in (one, two):
        make_canonical(proto)
        onnx.checker.check_model(proto, full_check=True)
        for received, wanted in zip(run(proto), expected, strict=True):
            np.testing.assert_array_equal(received, wanted)
    assert one.SerializeToString(deterministic=True) == two.SerializeToString(deterministic=True)
    again = one.SerializeToString(deterministic=True)
    make_canonical(one)
    assert one.SerializeToString(deterministic=True) == again
