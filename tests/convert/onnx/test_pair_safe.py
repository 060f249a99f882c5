"""int8 and dynamic ONNX files answer alike in onnxruntime's fast and exact mode, with no option set."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.boards.here import for_another_processor
from edgekit.convert.onnx import convert
from edgekit.convert.onnx.convert import dynamic_onnx, int8_onnx
from edgekit.formats.onnx_own_weights import own_weights
from edgekit.formats.onnx_saturation import saturating
from edgekit.samples import Samples

onnx = needs.package("onnx")
ort = needs.package("onnxruntime")
make = onnx.helper

COUNT = 24
EXACT = "session.x64quantprecision"
# What a processor answers in the fast and in the exact mode, bare: {file: whether they are equal}.
CODE = """
import json, sys
import numpy as np
import onnxruntime as ort

equal = {}
for file in sys.argv[1:]:
    answers = []
    for mode in ("0", "1"):
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.x64quantprecision", mode)
        session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        with np.load(file + ".npz") as inputs:
            answers.append([session.run(None, {"x": x})[0] for x in inputs["x"]])
    equal[file] = all(np.array_equal(*pair) for pair in zip(*answers))
print(json.dumps(equal))
"""


class Net:
    """A float network from `x` to `y`, layer by layer. Weights are uniform: many pairs are too large."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self._rng = shape, np.random.default_rng(0)
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._last = "x"

    def constant(self, *shape: int) -> str:
        """Mostly of one sign, as sums saturate by."""
        values = self._rng.uniform(-0.5, 1, shape) / np.sqrt(np.prod(shape[1:]))
        name = f"w{len(self._weights)}"
        self._weights.append(onnx.numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def whole(self, *values: int) -> str:
        """A shape."""
        name = f"w{len(self._weights)}"
        self._weights.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    @property
    def last(self) -> str:
        """The tensor that came last."""
        return self._last

    def add(self, op: str, *inputs: str, **attributes: Any) -> Net:
        """`op` of what came last, where an input is ``"x"``, and of the others."""
        made = f"t{len(self._nodes)}"
        names = [self._last if name == "x" else name for name in inputs]
        self._nodes.append(make.make_node(op, names, [made], f"{op}{made}", **attributes))
        self._last = made
        return self

    def conv(self, *shape: int, **attributes: Any) -> Net:
        return self.add("Conv", "x", self.constant(*shape), self.constant(shape[0]), **attributes)

    def content(self) -> bytes:
        self._nodes[-1].output[0] = "y"
        real = onnx.TensorProto.FLOAT
        graph = make.make_graph(
            self._nodes,
            "g",
            [make.make_tensor_value_info("x", real, self.shape)],
            [make.make_tensor_value_info("y", real, None)],
            self._weights,
        )
        proto = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
        content: bytes = proto.SerializeToString()
        return content


def convolutions() -> Net:
    net = Net((1, 3, 9, 9)).conv(8, 3, 3, 3, pads=[1, 1, 1, 1]).add("Relu", "x")
    net.conv(12, 8, 3, 3, strides=[2, 2], auto_pad="SAME_UPPER").add("Relu", "x")
    return net.conv(7, 12, 1, 1).conv(5, 7, 2, 1, dilations=[2, 1])


def grouped() -> Net:
    net = Net((1, 8, 9, 9)).conv(12, 4, 3, 3, group=2).add("Relu", "x")
    net.conv(24, 1, 3, 3, group=12).add("Relu", "x")  # Depthwise, two outputs a channel.
    return net.conv(24, 1, 3, 3, group=24).conv(6, 24, 1, 1)


def one_axis() -> Net:
    return Net((1, 5, 20)).conv(8, 5, 5, strides=[2], pads=[3, 1]).conv(4, 8, 3)


def three_axes() -> Net:
    return Net((1, 2, 5, 5, 5)).conv(8, 2, 3, 3, 3).add("Relu", "x").conv(4, 8, 1, 1, 1)


def transposed_convolution() -> Net:
    net = Net((1, 3, 5, 5))
    net.add("ConvTranspose", "x", net.constant(3, 8, 3, 3), strides=[2, 2]).add("Relu", "x")
    return net.conv(4, 8, 3, 3)


def dense() -> Net:
    net = Net((1, 33))
    net.add("Gemm", "x", net.constant(33, 41), net.constant(41)).add("Relu", "x")
    net.add("Gemm", "x", net.constant(19, 41), net.constant(19), transB=1).add("Relu", "x")
    net.add("MatMul", "x", net.constant(19, 8)).add("Relu", "x")
    return net.add("Gemm", "x", net.constant(8, 4), net.constant(4))


def matrices() -> Net:
    """Weights of stacked products, weights on the left, and a product of two computed tensors."""
    net = Net((1, 6, 10))
    net.add("MatMul", "x", net.constant(10, 8)).add("Relu", "x")
    net.add("Reshape", "x", net.whole(6, 1, 8)).add("MatMul", "x", net.constant(6, 8, 9))
    net.add("Reshape", "x", net.whole(1, 6, 9)).add("MatMul", net.constant(1, 7, 6), "x")
    net.add("Relu", "x")
    values = net.last
    net.add("Transpose", "x", perm=[0, 2, 1]).add("MatMul", values, "x")
    return net.add("MatMul", "x", net.constant(7, 3))


def stack() -> Net:
    net = Net((1, 6, 10))
    return net.add("Reshape", "x", net.whole(6, 1, 10)).add("MatMul", "x", net.constant(6, 10, 9))


def one_weight_twice() -> Net:
    net = Net((1, 10))
    kernel = net.constant(10, 10)
    net.add("MatMul", "x", kernel).add("Relu", "x").add("MatMul", "x", kernel).add("Relu", "x")
    return net.add("MatMul", "x", kernel)


def recurrent() -> Net:
    net = Net((7, 1, 10))
    weights = net.constant(2, 32, 10), net.constant(2, 32, 8), net.constant(2, 64)
    net.add("LSTM", "x", *weights, hidden_size=8, direction="bidirectional")
    return net.add("Reshape", "x", net.whole(1, 112)).add("MatMul", "x", net.constant(112, 4))


NETS: dict[str, Callable[[], Net]] = {
    made.__name__: made
    for made in (
        convolutions,
        grouped,
        one_axis,
        three_axes,
        transposed_convolution,
        dense,
        matrices,
        stack,
        one_weight_twice,
        recurrent,
    )
}
DYNAMIC = ("dense", "matrices", "one_weight_twice", "recurrent")
CASES = [(name, "int8") for name in NETS] + [(name, "dynamic") for name in DYNAMIC]


def samples(net: Net) -> Any:
    """Calibration samples, and as many that reach beyond them."""
    rng = np.random.default_rng(1)
    return rng.uniform(0, 1, (COUNT, *net.shape[1:])).astype(np.float32)


def fed(net: Net) -> Any:
    """(samples, *shape of the input): in the range that was calibrated, and far beyond it."""
    x = samples(net) if net.shape[0] == 1 else np.random.default_rng(1).random((COUNT, 7, 1, 10))
    largest = np.full_like(x[:1], 100)
    return (
        np.concatenate([x, 3 * x - 1, largest, -largest]).astype(np.float32).reshape(-1, *net.shape)
    )


def made(name: str, scheme: str, quality: str = "default") -> tuple[Net, bytes, bytes]:
    """The network, its float file and the one of `scheme`."""
    net = NETS[name]()
    content = net.content()
    if scheme == "dynamic":
        return net, content, dynamic_onnx(content)
    x = samples(net)
    if net.shape[0] != 1:  # Steps of time come first.
        x = fed(net)[:COUNT].reshape(-1, *net.shape[1:])
    return net, content, int8_onnx(content, Samples({"x": x}), quality=quality)[0]


def run(content: bytes, x: Any, exact: bool) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry(EXACT, str(int(exact)))
    # The exact mode refuses shared weights.
    content = own_weights(content) if exact else content
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {"x": each})[0] for each in x])


def sqnr(want: Any, found: Any) -> float:
    return float(10 * np.log10(np.square(want).sum() / np.square(want - found).sum()))


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_both_modes_give_the_same_bits(
    name: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, plain, content = made(name, scheme)
    assert saturating(content) == ()
    x = fed(net)
    found = run(content, x, exact=False)
    np.testing.assert_array_equal(found, run(content, x, exact=True))
    # And as near to the float file as rounding to the nearest is in the exact mode. Half of these
    # pairs are too large, so that what is far nearer than activations are may lose a bit.
    monkeypatch.setattr(convert, "make_pair_safe", lambda *_: None)
    _, _, nearest = made(name, scheme, "fast")
    assert saturating(nearest) != ()
    few = x[:COUNT]
    want = run(plain, few, exact=False)
    assert sqnr(want, found[:COUNT]) > min(sqnr(want, run(nearest, few, exact=True)), 50) - 2
    assert len(content) == len(nearest)


def test_on_a_processor_without_vnni(tmp_path: Path) -> None:
    """The real kernels: qemu's Haswell has AVX2 alone."""
    if platform.machine() != "x86_64":
        needs.not_here("qemu-x86_64 runs a Python for x86-64, and this is another")
    files = {}
    for name, scheme in CASES:
        net, _, content = made(name, scheme)
        files[name, scheme] = str(tmp_path / f"{name}.{scheme}.onnx")
        Path(files[name, scheme]).write_bytes(own_weights(content))
        np.savez(files[name, scheme] + ".npz", x=fed(net)[::7])
    done = subprocess.run(
        [needs.tool("qemu"), "-cpu", "Haswell", sys.executable, "-c", CODE, *files.values()],
        capture_output=True,
        text=True,
        check=False,
        env=for_another_processor(os.environ),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == dict.fromkeys(files.values(), True)
