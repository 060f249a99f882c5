"""Isolated runners: they answer as the others do, and whatever a file does, it does to its child alone."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import children, needs
from support.onnx_files import constant, endless, onnx_file
from support.patience import patience

import edgekit
from edgekit.errors import ArtifactError, InferenceLostError, TensorError, UsageError
from edgekit.runtime.isolated.memory import Memory, packed, places, unpacked
from edgekit.runtime.isolated.runner import IsolatedRunner
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.runner import Runner
from edgekit.runtime.sandbox.state import Sandbox

pytestmark = [needs.system("memfd_create"), pytest.mark.processes]

MODELS = Path(__file__).parents[1] / "models"
FILES = [
    "classifier.float32.tflite",
    "classifier.int8.tflite",
    "camera.int8.tflite",
    "dynamic.float32.tflite",
    "gauge.float32.tflite",
    "kinds.float32.tflite",
    "texts.float32.tflite",
    "unsigned.float32.tflite",
    "classifier.int8.onnx",
    "detector.float32.onnx",
    "gauge.float32.onnx",
    "numbers.float32.onnx",
    "sequence.float32.onnx",
    "texts.float32.onnx",
]
X = {"image": np.ones((1, 8, 8, 1), np.float32)}


def load(path: Path, **more: Any) -> IsolatedRunner:
    runner = edgekit.load(path, isolated=True, **more)
    assert isinstance(runner, IsolatedRunner)
    return runner


def child_of(runner: Runner) -> int:
    """The process that runs it."""
    assert isinstance(runner, IsolatedRunner)
    child = runner._service._child
    assert child is not None
    return child._process.pid


def is_there(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + 20
    while is_there(process):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.01)


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other)
    for name, x in one.items():
        assert x.dtype == other[name].dtype
        np.testing.assert_array_equal(x, other[name])


@pytest.fixture(scope="module")
def classifier() -> Iterator[IsolatedRunner]:
    with load(MODELS / "classifier.int8.tflite") as runner:
        yield runner


# --- answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES)
def test_it_answers_as_the_ordinary_runner(models: Path, file: str) -> None:
    if file.endswith(".onnx"):
        needs.package("onnxruntime")
    with edgekit.load(models / file) as plain, load(models / file) as runner:
        for name in (
            "inputs",
            "outputs",
            "backend",
            "signature",
            "signatures",
            "exact",
            "metadata",
        ):
            assert getattr(runner, name) == getattr(plain, name)
        inputs = random_inputs(plain)
        expected = plain.infer(inputs)
        # The first tells where results lie, the others find them there.
        for _ in range(3):
            assert_same(runner.infer(inputs), expected)
        raw = {
            spec.name: np.zeros(spec.concrete_shape(), spec.dtype)
            if spec.dtype != "object"
            else np.full(spec.concrete_shape(), "rot", object)
            for spec in plain.inputs
        }
        assert_same(runner.infer_raw(raw), plain.infer_raw(raw))
        if all(spec.shape for spec in plain.inputs):
            many = {name: np.repeat(x, 3, axis=0) for name, x in inputs.items()}
            assert_same(runner.infer_batch(many), plain.infer_batch(many))


def test_open_shapes_may_change(models: Path) -> None:
    with (
        edgekit.load(models / "sequence.float32.tflite") as plain,
        load(models / "sequence.float32.tflite") as runner,
    ):
        rng = np.random.default_rng(0)
        # The largest need more memory than there was.
        for shape in ((1, 3, 2), (2, 1, 2), (1, 3, 2), (64, 900, 2), (1, 4, 2)):
            steps = {"steps": rng.standard_normal(shape, np.float32)}
            assert_same(runner.infer(steps), plain.infer(steps))


def test_several_workers_have_a_child_each(models: Path) -> None:
    with edgekit.load(models / "pair.float32.tflite") as plain:
        items = [{k: v * i for k, v in random_inputs(plain).items()} for i in range(70)]
        expected = list(plain.map(items))
    with load(models / "pair.float32.tflite") as runner:
        for got, wanted in zip(runner.map(items, workers=2), expected, strict=True):
            assert_same(got, wanted)


def test_state_is_kept_reset_and_streamed(models: Path) -> None:
    steps = [{"amount": np.full((1, 2), n, np.float32)} for n in (1, 2)]
    with load(models / "ledger.float32.tflite") as runner:
        add, read = runner.with_signature("add"), runner.with_signature("read")
        assert [add.infer(step)["total"].tolist() for step in steps] == [[[11, 21]], [[13, 23]]]
        assert read.infer({})["total"].tolist() == [[13, 23]]
        runner.reset()
        assert read.infer({})["total"].tolist() == [[10, 20]]
        assert [x["total"].tolist() for x in add.stream(steps)] == [[[11, 21]], [[13, 23]]]
        with pytest.raises(UsageError, match="keeps state"):
            add.map(steps, workers=2)
    with load(models / "summing.float32.tflite") as runner:
        items = [{"x": np.full((1, 3, 1), n, np.float32)} for n in (1, 10)]
        alone = [[1, 2, 3], [10, 20, 30]]
        for _ in range(2):
            assert [runner.infer(item)["sums"].ravel().tolist() for item in items] == alone
            streamed = [x["sums"].ravel().tolist() for x in runner.stream(items)]
            assert streamed == [[1, 2, 3], [13, 23, 33]]


def test_what_the_file_says_is_of_use(models: Path) -> None:
    path = models / "classifier.int8.tflite"
    with edgekit.load(path) as plain, load(path) as runner:
        assert runner.classify(X["image"], top=2) == plain.classify(X["image"], top=2)
        assert_same(runner.preprocess(X), plain.preprocess(X))


def test_answers_belong_to_the_caller(classifier: IsolatedRunner) -> None:
    first = classifier.infer_raw({"image": np.zeros((1, 8, 8, 1), np.int8)})["digit"]
    kept = first.copy()
    classifier.infer_raw({"image": np.full((1, 8, 8, 1), 99, np.int8)})
    assert np.array_equal(first, kept)
    first[...] = 0


def test_an_input_that_does_not_fit_is_named(classifier: IsolatedRunner) -> None:
    with pytest.raises(TensorError, match="received shape"):
        classifier.infer({"image": np.zeros((1, 2, 2, 1), np.float32)})
    classifier.infer(X)


def test_what_the_interpreter_refuses_ends_no_child(models: Path) -> None:
    with load(models / "stubborn.float32.tflite") as runner:
        process = child_of(runner)
        good = {"signal": np.ones((1, 6), np.float32)}
        runner.infer(good)
        with pytest.raises(ArtifactError, match=r"^stubborn\S+: the inference failed"):
            runner.infer({"signal": np.ones((2, 6), np.float32)})
        runner.infer(good)
        assert child_of(runner) == process


def test_threads_take_turns(classifier: IsolatedRunner) -> None:
    inputs = [{"image": np.full((1, 8, 8, 1), n / 8, np.float32)} for n in range(4)]
    expected = [classifier.infer(x)["digit"].tolist() for x in inputs]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(50):
            if classifier.infer(inputs[index])["digit"].tolist() != expected[index]:
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_kernel_holds_the_child(classifier: IsolatedRunner) -> None:
    assert classifier.sandbox == Sandbox.offered()
    status = Path(f"/proc/{child_of(classifier)}/status").read_text()
    assert ("Seccomp:\t2" in status) == classifier.sandbox.seccomp


# --- how a child ends ----------------------------------------------------------------------


def test_an_endless_inference_ends_at_its_deadline(tmp_path: Path) -> None:
    with load(endless(tmp_path / "m.onnx"), deadline_s=0.5) as runner:
        process = child_of(runner)
        start = time.monotonic()
        message = r"m\.onnx: isolated: did not finish in 0\.5 s\. The next call starts it anew"
        with pytest.raises(InferenceLostError, match=message) as lost:
            runner.infer({"x": np.ones((1, 2), np.float32), "turns": np.int64(2**62)})
        assert time.monotonic() - start < patience(5)
        assert lost.value.how == "deadline"
        assert not is_there(process)
        once = runner.infer({"x": np.ones((1, 2), np.float32), "turns": np.int64(1)})
        assert once["y"].tolist() == [[1, 1]]
        assert child_of(runner) != process


def test_memory_without_end_is_the_childs(tmp_path: Path) -> None:
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    nodes = [
        constant("one", np.float32([[1]])),
        onnx.helper.make_node("Tile", ["one", "x"], ["tiled"]),
        onnx.helper.make_node("ReduceSum", ["tiled"], ["y"], keepdims=0),
    ]
    path = onnx_file(tmp_path / "m.onnx", nodes, [], x=(7, [2]))
    with load(path) as runner:
        with pytest.raises(InferenceLostError, match=r"wanted more than \d+ MB of memory") as lost:
            runner.infer({"x": np.int64([30_000, 30_000])})
        assert lost.value.how == "memory"
        assert runner.infer({"x": np.int64([2, 3])})["y"].item() == 6


def test_results_larger_than_the_limit_are_refused(tmp_path: Path) -> None:
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    nodes = [constant("one", np.float32([[1]])), onnx.helper.make_node("Tile", ["one", "x"], ["y"])]
    path = onnx_file(tmp_path / "m.onnx", nodes, [], x=(7, [2]))
    with load(path) as runner:
        # They need more memory than there was, and less than there may be.
        assert runner.infer({"x": np.int64([500, 500])})["y"].sum() == 250_000
        with pytest.raises(InferenceLostError, match=r"wanted more than \d+ MB"):
            runner.infer({"x": np.int64([20_000, 12_000])})


def test_a_file_that_crashes_is_refused() -> None:
    """Found by benchmarks/fuzz_models.py: it crashes ai-edge-litert 2.3, others may refuse it."""
    with pytest.raises(ArtifactError, match=r"crash\.tflite: "):
        load(Path(__file__).parent / "hostile" / "crash.tflite").close()


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_a_child_that_dies_in_an_inference_is_told_and_replaced(tmp_path: Path, name: str) -> None:
    with load(endless(tmp_path / "m.onnx"), deadline_s=60) as runner:
        process = child_of(runner)

        def kill() -> None:
            children.wait_until_busy(process)
            os.kill(process, signal.Signals[name])

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(InferenceLostError, match=rf"isolated: .*{name}") as lost:
            runner.infer({"x": np.ones((1, 2), np.float32), "turns": np.int64(2**62)})
        killer.join()
        assert lost.value.how == {"SIGSEGV": "crash", "SIGKILL": "killed"}[name]
        runner.infer({"x": np.ones((1, 2), np.float32), "turns": np.int64(1)})
        assert pickle.loads(pickle.dumps(lost.value)).how == lost.value.how


def test_a_child_killed_between_two_calls_is_replaced(models: Path) -> None:
    with load(models / "classifier.int8.tflite") as runner:
        expected = runner.infer(X)
        process = child_of(runner)
        os.kill(process, signal.SIGKILL)
        wait_until_gone(process)
        assert_same(runner.infer(X), expected)
        assert_same(runner.infer(X), expected)
        assert child_of(runner) != process


def test_state_that_went_with_a_child_is_told(models: Path) -> None:
    with load(models / "counter.float32.tflite") as runner:
        step = {"amount": np.ones((1, 2), np.float32)}
        runner.infer(step)
        os.kill(child_of(runner), signal.SIGKILL)
        wait_until_gone(child_of(runner))
        with pytest.raises(InferenceLostError, match=r"between two calls.*state .* is lost"):
            runner.infer(step)
        assert runner.infer(step)["total"].tolist() == [[11, 21]]


def test_a_file_that_changed_is_not_run(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes((models / "classifier.int8.tflite").read_bytes())
    with load(path) as runner:
        path.write_bytes((models / "pair.int8.tflite").read_bytes())
        os.kill(child_of(runner), signal.SIGKILL)
        with pytest.raises(ArtifactError, match="has changed since it was loaded"):
            runner.infer(X)


# --- a child that lies ---------------------------------------------------------------------

GOOD = {"shapes": [[1, 5]], "dtypes": ["int8"], "sizes": [5]}


@pytest.mark.parametrize(
    "answer",
    [
        b"{",
        b"[]",
        b"",
        b"[" * 100_000,
        {},
        {**GOOD, "shapes": [[1, 6]]},
        {**GOOD, "shapes": [[1, -5]]},
        {**GOOD, "shapes": [[1, 5], [1, 5]]},
        {**GOOD, "shapes": [[1, "5"]]},
        {**GOOD, "dtypes": ["object"]},
        {**GOOD, "dtypes": 3},
        {"needs": "all"},
        {"needs": 1 << 80},
    ],
    ids=lambda answer: str(answer)[:60],
)
def test_an_answer_without_sense_ends_the_child(
    classifier: IsolatedRunner, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    expected = classifier.infer(X)
    child = classifier._service._child
    assert child is not None
    said = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    monkeypatch.setattr(child, "ask", lambda *_: said)
    classifier._service._current = None
    with pytest.raises(InferenceLostError, match=r"answer without sense|wanted more than"):
        classifier.infer(X)
    assert child.over
    assert_same(classifier.infer(X), expected)


def test_texts_are_read_back_or_refused() -> None:
    texts = np.array([["", "grün"], [b"\xff\x00", "a" * 300]], object)
    data = packed(texts).tobytes()
    assert unpacked(data, (2, 2)).tolist() == texts.tolist()
    for wrong in (data[:-1], data + b"x", b"", b"\xff\xff\xff\xff" + data[4:]):
        with pytest.raises((ValueError, TypeError)):
            unpacked(wrong, (2, 2))


def test_nobody_makes_the_memory_smaller() -> None:
    memory = Memory.made()
    memory.grow(100_000)
    with pytest.raises(PermissionError):
        os.ftruncate(memory.descriptor, 1)
    memory.view(90_000, [10], "uint8")[...] = 1
    assert places([1, 100, 3], 10) == ([64, 128, 256], 259)


# --- the caller ----------------------------------------------------------------------------

WAITS = """
import sys, signal
import numpy as np
import edgekit

runner = edgekit.load(sys.argv[1], isolated=True, deadline_s=600)
print(runner._service._child._process.pid, flush=True)
if sys.argv[2] == "infer":
    try:
        runner.infer({"x": np.ones((1, 2), np.float32), "turns": np.int64(2**62)})
    except KeyboardInterrupt:
        print("heard", flush=True)
        once = runner.infer({"x": np.ones((1, 2), np.float32), "turns": np.int64(1)})
        print(once["y"].tolist(), flush=True)
elif sys.argv[2] == "rest":
    signal.pause()
# And otherwise it ends without having closed the runner.
"""


@pytest.mark.parametrize(
    ("does", "name"),
    [("infer", "SIGTERM"), ("infer", "SIGKILL"), ("rest", "SIGTERM"), ("rest", "SIGKILL")],
)
def test_a_caller_that_ends_ends_its_child(tmp_path: Path, does: str, name: str) -> None:
    path = endless(tmp_path / "m.onnx")
    with children.python("-c", WAITS, path, does, stdout=subprocess.PIPE, text=True) as caller:
        child = int(caller.stdout.readline())
        time.sleep(0.3)
        assert is_there(child)
        start = time.monotonic()
        caller.send_signal(signal.Signals[name])
        assert caller.wait(20) == -signal.Signals[name]
        wait_until_gone(child)
        assert time.monotonic() - start < patience(5)


def test_ctrl_c_is_heard_while_the_child_computes(tmp_path: Path) -> None:
    path = endless(tmp_path / "m.onnx")
    with children.python("-c", WAITS, path, "infer", stdout=subprocess.PIPE, text=True) as caller:
        child = int(caller.stdout.readline())
        time.sleep(0.3)
        start = time.monotonic()
        caller.send_signal(signal.SIGINT)
        assert caller.stdout.readline() == "heard\n"
        assert time.monotonic() - start < patience(5)
        wait_until_gone(child)
        assert caller.stdout.read() == "[[1.0, 1.0]]\n"
        assert caller.wait(60) == 0


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    path = endless(tmp_path / "m.onnx")
    before = len(list(Path("/proc/self/fd").iterdir()))
    runner = load(path)
    child = child_of(runner)
    runner.close()
    runner.close()
    assert not is_there(child)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(ArtifactError, match="the runner is closed"):
        runner.infer({"x": np.ones((1, 2), np.float32), "turns": np.int64(1)})
    with children.python("-c", WAITS, path, "end", stdout=subprocess.PIPE, text=True) as caller:
        child = int(caller.stdout.readline())
        assert caller.wait(60) == 0
        wait_until_gone(child)


FORKS = """
import os, sys
import numpy as np
import edgekit

runner = edgekit.load(sys.argv[1], isolated=True)
x = {"image": np.ones((1, 8, 8, 1), np.float32)}
expected = runner.infer(x)["digit"].tolist()
mine = runner._service._child._process.pid
child = os.fork()
if not child:
    same = runner.infer(x)["digit"].tolist() == expected
    sys.exit(0 if same and runner._service._child._process.pid != mine else 1)
code = os.waitpid(child, 0)[1]
print(code, runner.infer(x)["digit"].tolist() == expected, runner._service._child._process.pid == mine)
"""


def test_a_forked_process_has_a_child_of_its_own(models: Path) -> None:
    words = ("-c", FORKS, models / "classifier.int8.tflite")
    with children.python(*words, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate(timeout=patience(120))[0].strip() == "0 True True"


def test_a_pickled_runner_has_a_child_of_its_own(models: Path) -> None:
    path = models / "classifier.int8.tflite"
    with load(path, deadline_s=7) as runner, pickle.loads(pickle.dumps(runner)) as twin:
        assert twin.options == runner.options
        assert child_of(twin) != child_of(runner)
        assert_same(twin.infer(X), runner.infer(X))


# --- what it is asked for ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deadline_s": 0}, "deadline_s: received 0, expected seconds"),
        ({"deadline_s": float("nan")}, "deadline_s: received nan"),
        ({"deadline_s": "1"}, "deadline_s: received '1'"),
        ({"deadline_s": 1, "isolated": False}, "without isolated=True"),
        ({"delegate": "libedgetpu.so.1"}, "delegate 'libedgetpu.so.1': with isolated=True"),
        ({"weight_cache": True}, "weight_cache: with isolated=True"),
    ],
)
def test_what_it_cannot_heed_is_refused(models: Path, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        edgekit.load(models / "classifier.int8.tflite", **{"isolated": True, **options})


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(b"")
    with pytest.raises(UsageError, match=r"isolated: received a keras model, expected one of"):
        edgekit.load(tmp_path / "m.keras", isolated=True)
    os.mkfifo(tmp_path / "m.onnx")
    needs.package("onnxruntime")
    with pytest.raises(ArtifactError, match="not a regular file"):
        edgekit.load(tmp_path / "m.onnx", isolated=True)
    (tmp_path / "m.tflite").write_bytes(b"no model at all")
    with pytest.raises(
        ArtifactError, match=rf"^{re.escape(str(tmp_path))}/m\.tflite: .*cannot load"
    ):
        edgekit.load(tmp_path / "m.tflite", isolated=True)


def test_it_goes_with_a_trial(models: Path) -> None:
    needs.package("onnxruntime")
    with load(models / "dynamic.float32.onnx", verify=True) as runner:
        x = {"signal": np.ones((5, 6), np.float32)}
        with edgekit.load(models / "dynamic.float32.onnx") as plain:
            assert_same(runner.infer(x), plain.infer(x))


def test_a_benchmark_takes_it(classifier: IsolatedRunner) -> None:
    assert edgekit.benchmark([classifier], seconds=0.01).runs[0].latency.count >= 30
