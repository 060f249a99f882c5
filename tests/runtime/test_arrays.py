"""Whatever arrays come: a right answer or one typed error, and a runner that works afterwards."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgekit
from edgekit.errors import EdgekitError
from edgekit.runtime.runner import Runner
from edgekit.tensor import TensorSpec

Arrays = dict[str, np.ndarray]

FOLDER = Path(__file__).parent.parent / "models"
# The interpreters differ in loading and running, which other tests cover; arrays are checked before.
FILES = sorted(p.name for p in FOLDER.iterdir() if p.suffix == ".tflite") + sorted(
    p.name for p in FOLDER.iterdir() if p.suffix == ".onnx" and find_spec("onnxruntime")
)
# Ask for a batch that they refuse, or answer differently each time.
FILES = [
    name
    for name in FILES
    if not name.startswith(("stubborn", "counter", "ledger", "sliding", "summing"))
]
DTYPES = (
    *(
        "float32",
        "float64",
        "float16",
        "int8",
        "uint8",
        "int16",
        "int32",
        "int64",
        "uint64",
        "bool",
    ),
    *(
        ">f4",
        ">i4",
        ">f8",
        "complex64",
        "complex128",
        "M8[s]",
        "m8[ms]",
        "U3",
        "S3",
        "V4",
        "object",
    ),
    *("longdouble", [("a", "f4"), ("b", "i1")]),
)
LAYOUTS = (
    "as it is",
    "strided",
    "fortran",
    "read-only",
    "reversed",
    "broadcast",
    "subclass",
    "masked",
)


@pytest.fixture(scope="module", params=FILES)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    with edgekit.load(FOLDER / request.param) as loaded:
        yield loaded


def good(spec: TensorSpec) -> np.ndarray:
    """Values that the tensor takes, in its own dtype."""
    dtype = np.dtype(spec.dtype)
    shape = spec.concrete_shape()
    return np.full(shape, "rot", object) if dtype.kind == "O" else np.ones(shape, dtype)


@st.composite
def arrays(draw: st.DrawFn, spec: TensorSpec) -> object:
    """An array, or what one might take for one, near to what the tensor takes or far from it."""
    shape = spec.concrete_shape(draw(st.sampled_from([1, 1, 1, 1, 0, 2, 3])))
    for change in draw(
        st.lists(st.sampled_from(["drop", "add", "turn", "zero", "deep"]), max_size=2)
    ):
        if change == "drop":
            shape = shape[1:]
        elif change == "add":
            shape = (*shape, 1)
        elif change == "turn":
            shape = shape[::-1]
        elif change == "zero":
            shape = (*shape[:-1], 0)
        else:
            shape = (1,) * draw(st.sampled_from([7, 20, 29])) + shape[-1:]
    if draw(st.booleans()):
        shape = spec.concrete_shape()
    own = st.just(spec.dtype)
    dtype = np.dtype(draw(own | own | st.sampled_from(DTYPES)))
    x = draw(values(shape, dtype))
    return draw(st.sampled_from([x, x, x, x.tolist(), None, "text", 3, b"", {}, [x, x]]))


@st.composite
def values(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    kind = draw(st.sampled_from(["small", "wide", "odd"]))
    if dtype.kind == "O":
        some = [["rot", "grün", ""], ["rot", b"\xff", None, 3], ["\ud800", "a\0b", "x" * 9]][
            ("small", "wide", "odd").index(kind)
        ]
        x = np.empty(shape, object)
        for index in np.ndindex(shape):
            x[index] = some[rng.integers(len(some))]
    else:
        real = rng.standard_normal(shape) * {"small": 1, "wide": 1e6, "odd": 1}[kind]
        if kind == "odd":
            real = np.where(
                rng.random(shape) < 0.2, rng.choice([np.nan, np.inf, -np.inf], shape), real
            )
        x = np.zeros(shape, dtype)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if dtype.kind in "biufc":
                x[...] = real.astype(dtype)
    layout = draw(st.sampled_from(LAYOUTS))
    if layout == "strided" and shape:
        wide = np.zeros((*shape[:-1], 2 * shape[-1]), dtype)
        wide[..., ::2] = x
        x = wide[..., ::2]
    elif layout == "fortran" and shape:
        x = np.asfortranarray(x)
    elif layout == "read-only":
        x.flags.writeable = False
    elif layout == "reversed" and shape:
        x = np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    elif layout == "broadcast" and x.size:
        x = np.broadcast_to(x.reshape(-1)[0], shape)
    elif layout == "subclass":
        x = x.view(np.recarray) if dtype.names else x.view(type("Mine", (np.ndarray,), {}))
    elif layout == "masked":
        x = np.ma.masked_array(x, np.zeros(shape, bool))
    return x


def plain(x: object) -> np.ndarray:
    """The same values as a plain array: contiguous, writeable, in the machine's byte order."""
    x = np.array(x)
    return np.ascontiguousarray(x, x.dtype.newbyteorder("=")).reshape(x.shape)


def outcome(call: object, inputs: object) -> Arrays | str:
    try:
        return call(inputs)
    except EdgekitError as error:
        return f"{type(error).__name__}: {error}"


def same(one: Arrays | str, other: Arrays | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str)
    return one.keys() == other.keys() and all(
        x.dtype == other[name].dtype
        and x.shape == other[name].shape
        and (x.tolist() == other[name].tolist() or np.array_equal(x, other[name], equal_nan=True))
        for name, x in one.items()
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::edgekit.errors.RangeWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@given(st.data(), st.sampled_from(["infer", "infer_raw", "infer_batch"]))
@settings(max_examples=25)
def test_any_array_is_answered_or_refused(runner: Runner, data: st.DataObject, method: str) -> None:
    usual = {spec.name: good(spec) for spec in runner.inputs}
    expected = runner.infer_raw(usual)
    inputs: dict = dict(usual)
    spec = data.draw(st.sampled_from(runner.inputs))
    inputs[spec.name] = data.draw(arrays(spec))
    change = data.draw(st.sampled_from(["", "", "", "drop", "add", "rename"]))
    if change == "drop":
        inputs.pop(data.draw(st.sampled_from(sorted(inputs))))
    elif change == "add":
        inputs[data.draw(st.sampled_from(["", "surplus", 3, None, ("a",)]))] = np.zeros(1)
    elif change == "rename":
        inputs[spec.name + "_"] = inputs.pop(spec.name)
    call = getattr(runner, method)
    answer = outcome(call, inputs)
    if isinstance(answer, str) and "inference failed" not in answer:
        kind, _, message = answer.partition(": ")
        assert kind in ("TensorError", "ArtifactError")
        assert len(message) < 600
        assert "expected" in message or "holds NaN" in message or "no batch" in message, message
    if not change and not isinstance(inputs[spec.name], (str, bytes, dict, int, type(None))):
        try:
            tidy = plain(inputs[spec.name])
        except ValueError:
            assert isinstance(answer, str)
        else:
            if tidy.dtype == np.asarray(inputs[spec.name]).dtype.newbyteorder("="):
                assert same(answer, outcome(call, {**inputs, spec.name: tidy}))
    assert same(runner.infer_raw(usual), expected)
