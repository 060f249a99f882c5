"""One suite for every file on every backend that is installed."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.backends import backends

import edgekit
from edgekit.errors import ArtifactError, TensorError, UsageError
from edgekit.runtime.onnx_session import open_session
from edgekit.runtime.runner import Runner
from edgekit.tensor import TensorSpec, dequantize, quantize

Arrays = dict[str, np.ndarray]

# File, the model whose answers are recorded, the error allowed as a share of the output's range.
FILES = {
    "classifier.float32.tflite": ("classifier", 1e-5),
    "classifier.float16.tflite": ("classifier", 1e-3),
    "classifier.dynamic.tflite": ("classifier", 0.02),
    "classifier.int8.tflite": ("classifier", 0.05),
    "classifier.int16x8.tflite": ("classifier", 0.02),
    "classifier.float32.onnx": ("classifier", 1e-5),
    "classifier.int8.onnx": ("classifier", 0.07),
    "unsigned.float32.tflite": ("classifier", 1e-5),
    "pair.float32.tflite": ("pair", 1e-5),
    "pair.int8.tflite": ("pair", 0.02),
    "pair.float32.onnx": ("pair", 1e-5),
    "dynamic.float32.tflite": ("dynamic", 1e-5),
    "dynamic.float32.onnx": ("dynamic", 1e-5),
    "tokens.float32.tflite": ("tokens", 1e-5),
    "tokens.float32.onnx": ("tokens", 1e-5),
    "kinds.float32.tflite": ("kinds", 0),
    "numbered.float32.onnx": ("numbered", 0),
    # uint8 at both ends.
    "camera.int8.tflite": ("classifier", 0.05),
    # A scale a channel at the input.
    "channels.int8.tflite": ("channels", 1e-6),
    "numbers.float32.tflite": ("numbers", 0),
    "numbers.float32.onnx": ("numbers", 0),
    "texts.float32.tflite": ("texts", 0),
    "texts.float32.onnx": ("texts", 0),
    "detector.float32.tflite": ("detector", 1e-5),
    "detector.float32.onnx": ("detector", 1e-5),
    "gauge.float32.tflite": ("gauge", 1e-5),
    "gauge.float32.onnx": ("gauge", 1e-5),
    "sequence.float32.tflite": ("sequence", 1e-5),
    "sequence.float32.onnx": ("sequence", 1e-5),
    "recurrent.float32.tflite": ("recurrent", 1e-5),
    "recurrent.float32.onnx": ("recurrent", 1e-5),
    "cache.float32.tflite": ("cache", 1e-5),
    "cache.float32.onnx": ("cache", 1e-5),
    "planes.float32.onnx": ("planes", 1e-5),
}
# How many of the first axes a model's tensors leave open.
OPEN = {"dynamic": 1, "sequence": 2}
# What the model is told in numbers without axes.
SCALARS = {"gain", "doubled"}
# The models whose tensors are whole numbers and no reals.
WHOLE = ("tokens", "kinds", "numbers", "texts")
# litert-compiled takes neither dynamic dimensions nor these dtypes.
NOT_COMPILED = ("dynamic", "sequence", "texts", "numbers", "kinds", "classifier.int16x8")


PAIRS = [
    (file, backend)
    for file in FILES
    for backend in backends(Path(file).suffix)
    if not (backend == "litert-compiled" and file.startswith(NOT_COMPILED))
]


def on(*files: str) -> pytest.MarkDecorator:
    """Run a test with these files only; all whose names begin like one of `files`."""
    pairs = [pair for pair in PAIRS if pair[0].startswith(files)]
    return pytest.mark.parametrize("loaded", pairs, ids=" on ".join, indirect=True)


@dataclass(frozen=True)
class Loaded:
    """A runner, the recorded inputs under its own names, and the recorded answers."""

    runner: Runner
    path: Path
    inputs: Arrays
    outputs: Arrays
    tolerance: float

    def sample(self, index: int) -> Arrays:
        return {
            name: np.asarray(x[index]) if name in SCALARS else x[index : index + 1]
            for name, x in self.inputs.items()
        }

    def shape(self, name: str, x: np.ndarray) -> tuple[int | None, ...]:
        """What the file says of a tensor whose recorded values are `x`."""
        axes = OPEN.get(self.path.name.split(".")[0], 0)
        fixed = () if name in SCALARS else (1, *x.shape[1:])
        # Beside them is at least one that is fixed.
        axes = min(axes, len(fixed) - 1)
        return (*[None] * axes, *fixed[axes:])

    @property
    def count(self) -> int:
        return len(next(iter(self.inputs.values())))

    def again(self) -> Runner:
        return edgekit.load(self.path, backend=self.runner.backend.name)


@pytest.fixture(scope="module", params=PAIRS, ids=" on ".join)
def loaded(request: pytest.FixtureRequest, models: Path, recorded: Callable) -> Iterator[Loaded]:
    file, backend = request.param
    model, tolerance = FILES[file]
    inputs, outputs = recorded(model)
    with edgekit.load(models / file, backend=backend) as runner:
        if file.startswith("unsigned"):
            inputs = {runner.inputs[0].name: inputs["image"]}
            outputs = {runner.outputs[0].name: outputs["digit"]}
        if file.endswith(".onnx"):
            # ONNX wants a name of its own for every tensor.
            outputs = {f"next_{k}" if k in inputs else k: x for k, x in outputs.items()}
        yield Loaded(runner, models / file, inputs, outputs, tolerance)


def raw_inputs(loaded: Loaded, index: int) -> Arrays:
    """A sample in the file's own dtypes, quantised by the formula."""
    specs = {spec.name: spec for spec in loaded.runner.inputs}
    return {
        name: x
        if specs[name].quantization is None
        else quantize(x, specs[name].quantization, specs[name].dtype)
        for name, x in loaded.sample(index).items()
    }


def real(raw: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """What a tensor's own values stand for."""
    if spec.quantization is not None:
        return dequantize(raw, spec.quantization)
    if spec.dtype == "object":
        return (
            np.array([getattr(x, "decode", lambda x=x: x)() for x in raw.flat])
            .reshape(raw.shape)
            .astype(object)
        )
    return raw.astype(np.float32) if raw.dtype.kind == "f" else raw


def by_hand(loaded: Loaded, inputs: Arrays) -> Arrays:
    """The loop that one would write without edgekit."""
    backend = loaded.runner.backend.name
    if backend == "onnxruntime":
        session = open_session(str(loaded.path))
        names = [node.name for node in session.get_outputs()]
        feed = {node.name: inputs[node.name.split(":")[0]] for node in session.get_inputs()}
        return dict(zip(names, session.run(None, feed), strict=True))
    module = {
        "litert": "ai_edge_litert.interpreter",
        "litert-compiled": "ai_edge_litert.interpreter",
        "tflite-runtime": "tflite_runtime.interpreter",
        "tensorflow": "tensorflow.lite.python.interpreter",
    }[backend]
    interpreter = importlib.import_module(module).Interpreter(str(loaded.path), num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        name = detail["name"]
        if name not in inputs:
            name = name.removeprefix("serving_default_").split(":")[0]
        if inputs[name].shape != tuple(detail["shape"]):
            interpreter.resize_tensor_input(detail["index"], inputs[name].shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(detail["index"], inputs[name])
    interpreter.invoke()
    answers = {
        detail["name"]: interpreter.get_tensor(detail["index"])
        for detail in interpreter.get_output_details()
    }
    if not interpreter.get_signature_list():
        return answers
    # A signature's runner must not live while the interpreter is invoked.
    signature = interpreter.get_signature_runner("serving_default")
    outputs = signature.get_output_details()
    return {name: answers[detail["name"]] for name, detail in outputs.items()}


def assert_same(one: Arrays, other: Arrays) -> None:
    assert set(one) == set(other)
    for name, x in one.items():
        assert x.dtype == other[name].dtype
        assert np.array_equal(x, other[name]), name


# --- answers -------------------------------------------------------------------------------


def test_infer_answers_what_keras_answers(loaded: Loaded) -> None:
    answers = [loaded.runner.infer(loaded.sample(i)) for i in range(loaded.count)]
    assert set(answers[0]) == set(loaded.outputs)
    for name, expected in loaded.outputs.items():
        got = np.concatenate([np.atleast_1d(answer[name]) for answer in answers])
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        if expected.dtype == object:
            assert got.tolist() == expected.tolist()
            continue
        wide = expected.astype(np.float64)
        assert np.abs(got - wide).max() <= loaded.tolerance * np.ptp(wide)


def test_infer_raw_is_the_interpreter_s_own_answer(loaded: Loaded) -> None:
    for index in range(3):
        inputs = raw_inputs(loaded, index)
        raw = loaded.runner.infer_raw(inputs)
        assert_same(raw, by_hand(loaded, inputs))
        for spec in loaded.runner.outputs:
            assert raw[spec.name].dtype == spec.dtype


def test_infer_is_infer_raw_between_the_formulas(loaded: Loaded) -> None:
    for index in range(5):
        raw = loaded.runner.infer_raw(raw_inputs(loaded, index))
        expected = {spec.name: real(raw[spec.name], spec) for spec in loaded.runner.outputs}
        assert_same(loaded.runner.infer(loaded.sample(index)), expected)


def test_specs_describe_the_file(loaded: Loaded) -> None:
    runner = loaded.runner
    assert {spec.name for spec in runner.inputs} == set(loaded.inputs)
    assert {spec.name for spec in runner.outputs} == set(loaded.outputs)
    for spec in runner.inputs:
        assert spec.shape == loaded.shape(spec.name, loaded.inputs[spec.name])
    for spec in runner.outputs:
        assert spec.shape == loaded.shape(spec.name, loaded.outputs[spec.name])
    for spec in (*runner.inputs, *runner.outputs):
        quantised = spec.dtype != "float32" and not loaded.path.name.startswith(WHOLE)
        assert (spec.quantization is not None) == quantised
    assert runner.artifact.path == loaded.path
    assert runner.backend.version[0].isdigit()
    assert loaded.path.name in repr(runner)


@given(count=st.integers(1, 24), start=st.integers(0, 23))
@settings(max_examples=8)
def test_infer_batch_takes_any_number(loaded: Loaded, count: int, start: int) -> None:
    if SCALARS & set(loaded.inputs):
        with pytest.raises(TensorError, match="an input without axes has no batch"):
            loaded.runner.infer_batch(loaded.inputs)
        return
    inputs = {name: x[start : start + count] for name, x in loaded.inputs.items()}
    got = loaded.runner.infer_batch(inputs)
    for name, expected in loaded.outputs.items():
        singles = [
            loaded.runner.infer(loaded.sample(i))[name]
            for i in range(start, min(start + count, loaded.count))
        ]
        together = np.concatenate(singles)
        assert got[name].shape == together.shape
        if loaded.path.name.split(".")[0] in OPEN:
            # A larger batch may be summed in another order.
            np.testing.assert_allclose(got[name], together, atol=1e-5 * np.ptp(expected))
        else:
            assert np.array_equal(got[name], together)


@on("dynamic.")
def test_open_batches_may_alternate(loaded: Loaded) -> None:
    for size in (3, 1, 24, 1, 3, 2):
        inputs = {name: x[:size] for name, x in loaded.inputs.items()}
        for answer in (loaded.runner.infer(inputs), loaded.runner.infer_raw(inputs)):
            expected = loaded.outputs["score"][:size]
            np.testing.assert_allclose(answer["score"], expected, atol=1e-5)


@pytest.mark.parametrize(
    "backend", [name for name in backends(".tflite") if name != "litert-compiled"]
)
def test_a_batch_that_fails_does_not_spoil_the_next(
    models: Path, recorded: Callable, backend: str
) -> None:
    signal = recorded("dynamic")[0]["signal"]
    with edgekit.load(models / "stubborn.float32.tflite", backend=backend) as runner:
        for size in (1, 2, 1, 1, 3, 1):
            if size == 1:
                answer = runner.infer({"signal": signal[:1]})
                assert np.array_equal(answer["score"], 2 * signal[:1])
            else:
                with pytest.raises(ArtifactError, match=r"stubborn.*inference failed"):
                    runner.infer({"signal": signal[:size]})


# --- names ---------------------------------------------------------------------------------


@on("pair.", "kinds.", "numbers.", "texts.", "recurrent.", "cache.")
def test_the_order_of_inputs_does_not_matter(loaded: Loaded) -> None:
    inputs = loaded.sample(0)
    turned = dict(reversed(inputs.items()))
    assert_same(loaded.runner.infer(turned), loaded.runner.infer(inputs))
    assert_same(loaded.runner.infer_batch(turned), loaded.runner.infer_batch(inputs))


def test_an_unknown_input_is_named(loaded: Loaded) -> None:
    name = next(iter(loaded.inputs))
    inputs = loaded.sample(0)
    inputs[name[:-1]] = inputs.pop(name)
    calls = [loaded.runner.infer, loaded.runner.infer_raw]
    if not SCALARS & set(loaded.inputs):
        calls.append(loaded.runner.infer_batch)
    for call in calls:
        with pytest.raises(TensorError, match=f"no such input, expected .*'{name}'"):
            call(inputs)
    with pytest.raises(TensorError, match=r"Did you mean"):
        loaded.runner.infer(inputs)


def test_one_input_too_many_is_named(loaded: Loaded) -> None:
    inputs = {**loaded.sample(0), "surplus": np.zeros(1)}
    with pytest.raises(TensorError, match=r"input 'surplus'.*no such input"):
        loaded.runner.infer(inputs)


def test_a_missing_input_is_named(loaded: Loaded) -> None:
    inputs = loaded.sample(0)
    name, _ = inputs.popitem()
    with pytest.raises(TensorError, match=f"input '{name}': missing"):
        loaded.runner.infer(inputs)


@pytest.mark.parametrize("method", ["infer", "infer_raw", "infer_batch"])
def test_inputs_come_by_name(loaded: Loaded, method: str) -> None:
    x = next(iter(loaded.sample(0).values()))
    for wrong in (x, [x], None):
        with pytest.raises(TensorError, match="expected a dictionary of arrays by input name"):
            getattr(loaded.runner, method)(wrong)


# --- shapes --------------------------------------------------------------------------------


def test_a_wrong_shape_says_what_is_expected(loaded: Loaded) -> None:
    name, x = next(iter(loaded.sample(0).items()))
    inputs = {**loaded.sample(0), name: np.zeros((*x.shape, 2, 2), x.dtype)}
    shape = list(loaded.shape(name, loaded.inputs[name]))
    for call in (loaded.runner.infer, loaded.runner.infer_raw):
        with pytest.raises(TensorError) as caught:
            call(inputs)
        assert f"input {name!r}: received shape" in str(caught.value)
        assert f"expected {shape}" in str(caught.value)


@on("classifier.", "unsigned.", "camera.")
@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((8, 8, 1), r"The batch axis is missing: x\[None\]"),
        ((1, 8, 8), r"The channel axis is missing: x\[..., None\]"),
        ((1, 1, 8, 8), r"NCHW where the file has NHWC: x.transpose\(0, 2, 3, 1\)"),
        ((5, 8, 8, 1), r"infer_batch\(\) takes any number"),
        ((0, 8, 8, 1), r"expected \[1, 8, 8, 1\]"),
        ((), r"received shape \[\]"),
    ],
)
def test_a_wrong_image_comes_with_a_hint(loaded: Loaded, shape: tuple, hint: str) -> None:
    name = loaded.runner.inputs[0].name
    with pytest.raises(TensorError, match=hint):
        loaded.runner.infer({name: np.zeros(shape, np.float32)})


@on("planes.")
def test_a_wrong_image_comes_with_a_hint_where_channels_come_first(loaded: Loaded) -> None:
    for shape, hint in (
        ((3, 4, 5), r"The batch axis is missing: x\[None\]"),
        ((1, 4, 5, 3), r"NHWC where the file has NCHW: x.transpose\(0, 3, 1, 2\)"),
    ):
        with pytest.raises(TensorError, match=hint):
            loaded.runner.infer({"image": np.zeros(shape, np.float32)})


@on("sequence.")
def test_several_dynamic_dimensions_take_any_size(loaded: Loaded) -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 3, 2), (2, 1, 2), (1, 9, 2), (3, 3, 2), (1, 3, 2)):
        steps = rng.standard_normal(shape, np.float32)
        answer = loaded.runner.infer({"steps": steps})
        np.testing.assert_allclose(answer["sums"], steps.cumsum(1), atol=1e-5)
        np.testing.assert_allclose(answer["mean"], steps.mean(1), atol=1e-5)
    for shape in ((1, 0, 2), (0, 1, 2), (1, 2, 3)):
        with pytest.raises(TensorError, match=r"expected \[None, None, 2\]"):
            loaded.runner.infer({"steps": np.zeros(shape, np.float32)})


@on("texts.")
def test_texts_come_as_any_array_of_texts(loaded: Loaded) -> None:
    inputs = loaded.sample(0)
    expected = loaded.runner.infer(inputs)
    words = inputs["word"].tolist()
    for word in (np.array(words), words, np.char.encode(np.array(words), "utf-8")):
        assert_same(loaded.runner.infer({**inputs, "word": word}), expected)
    assert all(type(text) is str for text in expected["colour"].flat)


@on("dynamic.")
def test_an_open_batch_holds_at_least_one(loaded: Loaded) -> None:
    with pytest.raises(TensorError, match=r"received shape \[0, 6\], expected \[None, 6\]"):
        loaded.runner.infer({"signal": np.zeros((0, 6), np.float32)})


def test_infer_batch_wants_samples(loaded: Loaded) -> None:
    none = {name: x[:0] for name, x in loaded.inputs.items()}
    for inputs in (none, {}, {name: np.float32(1) for name in none}):
        with pytest.raises(TensorError, match="at least one"):
            loaded.runner.infer_batch(inputs)


@on("pair.", "kinds.", "numbers.", "texts.", "recurrent.", "cache.")
def test_infer_batch_wants_equal_numbers(loaded: Loaded) -> None:
    inputs = dict(loaded.inputs)
    name = next(iter(inputs))
    inputs[name] = inputs[name][:5]
    with pytest.raises(TensorError, match="as many in each input"):
        loaded.runner.infer_batch(inputs)


# --- dtypes and values ---------------------------------------------------------------------


def test_infer_raw_takes_the_file_s_own_dtype_only(loaded: Loaded) -> None:
    for spec in loaded.runner.inputs:
        inputs = raw_inputs(loaded, 0)
        inputs[spec.name] = np.zeros(inputs[spec.name].shape, np.complex64)
        with pytest.raises(TensorError, match=rf"{spec.name}.*complex64, expected {spec.dtype}"):
            loaded.runner.infer_raw(inputs)


@on("classifier.", "unsigned.")
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float16", "bool", ">f4"])
def test_infer_takes_any_numbers(loaded: Loaded, dtype: str) -> None:
    name, x = next(iter(loaded.sample(0).items()))
    x = np.floor(x).astype(dtype)
    expected = loaded.runner.infer({name: x.astype(np.float32)})
    assert_same(loaded.runner.infer({name: x}), expected)
    assert_same(loaded.runner.infer({name: x.tolist()}), expected)
    assert_same(loaded.runner.infer_batch({name: x.tolist()}), expected)


def test_text_and_objects_are_no_numbers(loaded: Loaded) -> None:
    for spec in loaded.runner.inputs:
        for wrong in ("U1", "S1", object, "complex64", "M8[s]"):
            if spec.dtype == "object" and wrong in ("U1", "S1"):
                continue
            x = np.zeros(spec.concrete_shape(), wrong)
            with pytest.raises(TensorError, match=f"{spec.name}.*received dtype"):
                loaded.runner.infer({**loaded.sample(0), spec.name: x})


@on("classifier.int8.tflite", "classifier.int16x8", "pair.int8", "camera.")
def test_an_integer_cannot_say_nan(loaded: Loaded) -> None:
    for name, x in loaded.sample(0).items():
        broken = x.copy()
        broken.flat[-1] = np.nan
        with pytest.raises(TensorError, match=f"input '{name}': holds NaN"):
            loaded.runner.infer({**loaded.sample(0), name: broken})


@pytest.mark.filterwarnings("ignore::edgekit.errors.RangeWarning")
@on("classifier.int8.tflite", "classifier.int16x8", "pair.int8", "camera.")
def test_what_lies_beyond_the_range_is_clipped(loaded: Loaded) -> None:
    for spec in loaded.runner.inputs:
        info = np.iinfo(spec.dtype)
        for infinite, bound in ((np.inf, info.max), (-np.inf, info.min)):
            inputs, raw = loaded.sample(0), raw_inputs(loaded, 0)
            inputs[spec.name] = np.full(spec.shape, infinite)
            raw[spec.name] = np.full(spec.shape, bound, spec.dtype)
            answer, expected = loaded.runner.infer(inputs), loaded.runner.infer_raw(raw)
            for out in loaded.runner.outputs:
                assert out.quantization is not None
                whole = dequantize(expected[out.name], out.quantization)
                assert np.array_equal(answer[out.name], whole)


@on("pair.float32", "numbered.")
def test_nan_passes_through_a_float_file(loaded: Loaded) -> None:
    inputs = {name: np.full_like(x, np.nan) for name, x in loaded.sample(0).items()}
    answer = loaded.runner.infer(inputs)
    assert all(np.isnan(x).all() for x in answer.values())


@on("tokens.")
def test_indices_are_whole_numbers_that_fit(loaded: Loaded) -> None:
    ids = loaded.inputs["ids"][:1]
    expected = loaded.runner.infer({"ids": ids})
    for dtype in (np.int64, np.uint8, np.int16):
        assert_same(loaded.runner.infer({"ids": ids.astype(dtype)}), expected)
    with pytest.raises(TensorError, match="received dtype float32, expected int32"):
        loaded.runner.infer({"ids": ids.astype(np.float32)})
    with pytest.raises(TensorError, match=f"from 0 to {2**40}, expected what int32 can hold"):
        loaded.runner.infer({"ids": np.array([[0, 1, 2, 3, 2**40]])})


def test_read_only_and_strided_arrays_are_fine(loaded: Loaded) -> None:
    inputs = loaded.sample(1)
    expected = loaded.runner.infer(inputs)
    for change in (frozen, strided, fortran):
        assert_same(loaded.runner.infer({n: change(x) for n, x in inputs.items()}), expected)
    raw = raw_inputs(loaded, 1)
    expected = loaded.runner.infer_raw(raw)
    for change in (frozen, strided, fortran):
        assert_same(loaded.runner.infer_raw({n: change(x) for n, x in raw.items()}), expected)


def frozen(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def strided(x: np.ndarray) -> np.ndarray:
    if not x.ndim:
        return x
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    view = wide[..., -2::-2]
    view[...] = x
    return view


def fortran(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray(x) if x.ndim else x


# --- a runner's life -----------------------------------------------------------------------


def test_answers_belong_to_the_caller(loaded: Loaded) -> None:
    for call, inputs in (
        (loaded.runner.infer, [loaded.sample(i) for i in range(3)]),
        (loaded.runner.infer_raw, [raw_inputs(loaded, i) for i in range(3)]),
    ):
        given_ = {name: x.copy() for name, x in inputs[0].items()}
        first = call(inputs[0])
        kept = {name: x.copy() for name, x in first.items()}
        call(inputs[1])
        assert_same(first, kept)
        assert_same(inputs[0], given_)
        for x in first.values():
            x[...] = 0
        assert_same(call(inputs[0]), kept)


def test_two_threads_may_share_a_runner(loaded: Loaded) -> None:
    expected = [loaded.runner.infer(loaded.sample(i)) for i in range(loaded.count)]
    wrong: list[int] = []
    start = threading.Barrier(2)

    def work(first: int) -> None:
        start.wait()
        for _ in range(10):
            for index in range(first, loaded.count, 2):
                answer = loaded.runner.infer(loaded.sample(index))
                if any(not np.array_equal(answer[n], x) for n, x in expected[index].items()):
                    wrong.append(index)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_more_threads_answer_the_same(loaded: Loaded) -> None:
    with edgekit.load(loaded.path, backend=loaded.runner.backend.name, threads=2) as runner:
        assert runner.options.threads == 2
        for name, x in runner.infer(loaded.sample(0)).items():
            if x.dtype == object:
                assert x.tolist() == loaded.outputs[name][:1].tolist()
                continue
            expected = loaded.outputs[name].astype(np.float64)
            assert np.abs(x - expected[:1]).max() <= loaded.tolerance * np.ptp(expected)


@pytest.mark.parametrize("threads", [0, -1])
def test_there_is_at_least_one_thread(loaded: Loaded, threads: int) -> None:
    with pytest.raises(
        UsageError, match=f"threads: received {threads}, expected a whole number, at least 1"
    ):
        edgekit.load(loaded.path, backend=loaded.runner.backend.name, threads=threads)


def test_a_closed_runner_says_so(loaded: Loaded) -> None:
    runner = loaded.again()
    runner.infer(loaded.sample(0))
    runner.close()
    runner.close()
    with pytest.raises(ArtifactError, match="the runner is closed"):
        runner.infer(loaded.sample(0))
    with pytest.raises(ArtifactError, match="the runner is closed"):
        runner.infer_raw(raw_inputs(loaded, 0))
    if not SCALARS & set(loaded.inputs):
        with pytest.raises(ArtifactError, match="the runner is closed"):
            runner.infer_batch(loaded.inputs)


def test_a_runner_closes_at_the_end_of_its_block(loaded: Loaded) -> None:
    with loaded.again() as runner:
        runner.infer(loaded.sample(0))
    with pytest.raises(ArtifactError, match="closed"):
        runner.infer(loaded.sample(0))


def test_an_error_leaves_the_runner_usable(loaded: Loaded) -> None:
    expected = loaded.runner.infer(loaded.sample(0))
    with pytest.raises(TensorError):
        loaded.runner.infer({})
    assert_same(loaded.runner.infer(loaded.sample(0)), expected)
