from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs
from support.onnx_files import constant, endless, onnx_file

import edgekit
from edgekit import runtime
from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError
from edgekit.runtime import verify as module
from edgekit.runtime.child import Ended, run_in_child
from edgekit.runtime.options import Options
from edgekit.runtime.sandbox.run import Sandboxed
from edgekit.runtime.sandbox.state import Sandbox
from edgekit.runtime.verify import Limits, verify

pytestmark = pytest.mark.processes

HOSTILE = Path(__file__).parent / "hostile"
FUZZER = Path(__file__).parents[2] / "benchmarks" / "fuzz_models.py"
RAN: list[Any] = [[None, {"image": [1, 8, 8, 1]}]]

BACKENDS = {
    ".tflite": "litert" if find_spec("ai_edge_litert") else "tflite-runtime",
    ".onnx": "onnxruntime",
}
ENDINGS = [".tflite"] + ([".onnx"] if find_spec("onnxruntime") else [])
each_ending = pytest.mark.parametrize("ending", ENDINGS)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "edgekit" / "verified"


class Trials:
    """Stands for the child: counts, and ends as told."""

    def __init__(
        self, done: Sandboxed | None = None, then: Callable[[], object] = lambda: None
    ) -> None:
        self.words: list[list[str]] = []
        self._done = done or answered({"refused": None, "ran": RAN})
        self._then = then

    def __call__(self, words: list[str], _: Limits) -> Sandboxed:
        self.words.append(words)
        self._then()
        return self._done


def answered(answer: Any) -> Sandboxed:
    return Sandboxed(Ended(0, "", ""), True, answer, Sandbox(True, 7))


def ended(code: int | None, err: str = "") -> Sandboxed:
    return Sandboxed(Ended(code, "", err), False, None, None)


def check(path: Path, trials: Trials | None = None, threads: int = 1) -> None:
    extra = {} if trials is None else {"trial": trials}
    verify(Artifact.of(path), BACKENDS[path.suffix], Options(threads), **extra)


@each_ending
def test_a_good_file_runs(models: Path, ending: str) -> None:
    with edgekit.load(models / f"classifier.int8{ending}", verify=True) as runner:
        outputs = runner.infer({"image": np.zeros((1, 8, 8, 1), np.float32)})
    assert outputs["digit"].shape == (1, 5)


def test_open_shapes_may_refuse_zeros(models: Path) -> None:
    edgekit.load(models / "stubborn.float32.tflite", verify=True).close()


def test_it_is_asked_for(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(module, "verify", lambda *words: asked.append(words[0].name))
    runtime.load(models / "classifier.int8.tflite").close()
    assert not asked
    runtime.load(models / "classifier.int8.tflite", verify=True).close()
    assert asked == ["classifier.int8.tflite"]


@each_ending
def test_what_passed_is_remembered(models: Path, ending: str, cache: Path, tmp_path: Path) -> None:
    trials = Trials()
    path = models / f"classifier.int8{ending}"
    check(path, trials)
    check(path, trials)
    assert len(trials.words) == 1
    (marker,) = cache.iterdir()
    assert marker.name.startswith(Artifact.of(path).sha256)
    assert json.loads(marker.read_text())["ran"] == RAN

    # By its bytes, not by its name; for one number of threads.
    copy = tmp_path / f"other{ending}"
    copy.write_bytes(path.read_bytes())
    check(copy, trials)
    assert len(trials.words) == 1
    check(copy, trials, threads=2)
    assert len(trials.words) == 2


def test_another_version_tries_again(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = Trials()
    check(models / "classifier.int8.tflite", trials)
    monkeypatch.setattr(edgekit, "__version__", "99")
    check(models / "classifier.int8.tflite", trials)
    assert len(trials.words) == 2


def test_a_remembered_file_starts_no_process(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edgekit.load(models / "pair.int8.tflite", verify=True).close()

    def none(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", none)
    edgekit.load(models / "pair.int8.tflite", verify=True).close()


def test_what_failed_is_not_remembered(models: Path, cache: Path) -> None:
    for _ in range(2):
        trials = Trials(ended(-signal.SIGSEGV))
        with pytest.raises(ArtifactError):
            check(models / "classifier.int8.tflite", trials)
        assert len(trials.words) == 1
    assert not cache.exists()


def test_a_cache_that_cannot_be_written(models: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder would go")
    trials = Trials()
    check(models / "classifier.int8.tflite", trials)
    check(models / "classifier.int8.tflite", trials)
    assert len(trials.words) == 2


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_without_a_cache_variable(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    check(models / "classifier.int8.tflite", Trials())
    assert list((tmp_path / "home/.cache/edgekit/verified").iterdir())


LIMITS = r"\(a trial on \S+ \S+\). The file is .* not loaded. Get it anew"
KNOWN = r"\(a trial on \S+ \S+\)\. It was not loaded\.$"


@pytest.mark.parametrize(
    ("done", "message"),
    [
        (ended(-signal.SIGSEGV), f"crashed the interpreter with SIGSEGV {LIMITS}"),
        (ended(-signal.SIGBUS), f"crashed the interpreter with SIGBUS {LIMITS}"),
        (ended(-signal.SIGKILL), "SIGKILL ended the interpreter, most likely because"),
        (ended(None), f"did not finish in 30 s {LIMITS}"),
        (ended(-signal.SIGXCPU), "did not finish in 30 s"),
        (ended(-signal.SIGABRT, "what(): std::bad_alloc"), r"wanted more than \d+ MB of memory"),
        (answered({"refused": "MemoryError: "}), r"wanted more than \d+ MB of memory"),
        (answered({"refused": "no such op"}), f"was refused: no such op {LIMITS}"),
        (answered({"refused": "unresolved custom op: X."}), f"was refused: .*X {KNOWN}"),
        (ended(None), r".* The file is too much for this machine, or hostile"),
        (ended(0), "ended the interpreter with code 0: "),
        (ended(3, "late"), "ended the interpreter with code 3: late"),
        (answered([]), "ended the interpreter with code 0"),
        (answered({"refused": None}), "ended the interpreter with code 0"),
        (answered({"refused": None, "ran": [["x"]]}), "ended the interpreter with code 0"),
        (ended(1, "ImportError: x"), "ended the interpreter with code 1: ImportError: x"),
    ],
)
def test_how_a_trial_ends(
    models: Path, monkeypatch: pytest.MonkeyPatch, done: Sandboxed, message: str
) -> None:
    # Where it is longer.
    monkeypatch.delenv("EDGEKIT_EMULATED", raising=False)
    path = models / "classifier.int8.tflite"
    with pytest.raises(ArtifactError, match=re.escape(f"{path}: ") + message):
        check(path, Trials(done))


@pytest.mark.parametrize(
    "name", ["crash.tflite", pytest.param("memory.tflite", marks=pytest.mark.slow), "memory.onnx"]
)
def test_files_that_did_harm(name: str) -> None:
    """Found by benchmarks/fuzz_models.py: they crash ai-edge-litert 2.3 or want all memory there is.
    Other versions may say so instead; the process that asks lives on in any case."""
    path = HOSTILE / name
    if name.startswith("memory"):
        needs.limits_of_memory()
    if path.suffix == ".onnx":
        needs.package("onnxruntime")
    with pytest.raises(
        ArtifactError, match=r"crashed the interp|wanted more|was refused|not a whole"
    ):
        edgekit.load(path, verify=True)


def test_a_file_that_changes_meanwhile(models: Path, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes((models / "pair.int8.tflite").read_bytes())
    other = (models / "classifier.int8.tflite").read_bytes()
    with pytest.raises(ArtifactError, match="changed while it was being verified"):
        check(path, Trials(then=lambda: path.write_bytes(other)))
    assert not cache.exists()


def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.tflite")
    with pytest.raises(ArtifactError, match="not a regular file"):
        check(tmp_path / "m.tflite")


def test_limits_grow_with_the_file_and_end_with_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EDGEKIT_EMULATED", raising=False)
    assert Limits.of(1000).seconds == 30
    assert Limits.of(100_000_000).seconds == 230
    # A trial of a good file takes more than 30 s on an emulated board of a machine at work.
    monkeypatch.setenv("EDGEKIT_EMULATED", "1")
    assert Limits.of(1000).seconds == 300
    assert Limits.of(1000).memory_bytes <= 1 << 30
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert Limits.of(1 << 50).memory_bytes == machine


@pytest.mark.parametrize(
    ("work", "signs"),
    [
        ("while True: pass", (-signal.SIGXCPU, "")),
        ("bytearray(1 << 30)", (1, "MemoryError")),
        ("print(resource.getrlimit(resource.RLIMIT_CORE))", (0, "")),
    ],
)
def test_the_limits_hold(work: str, signs: tuple[int, str]) -> None:
    if "MemoryError" in signs:
        needs.limits_of_memory()
    # What it took to start counts as well.
    start = "import resource, time; limit_process(int(time.process_time()) + 1, 1 << 28)"
    code = f"from edgekit.runtime.limits import limit_process; {start}\n{work}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == signs[0]
    assert signs[1] in done.stderr


def test_a_child_and_how_it_ends() -> None:
    assert json.loads(run_in_child("os.path:basename", ["a/b"]).out) == "b"
    assert run_in_child("os:abort", []).code == -signal.SIGABRT
    assert run_in_child("signal:pause", [], seconds=0.5).code is None
    assert "ModuleNotFoundError" in run_in_child("no.such:thing", []).err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "received 0 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "received the identifier b'ion '"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(64), "a table starts at byte"),
        (b"\xf0\xff\xff\x7fTFL3" + bytes(64), "an offset points to byte 2147483632 of 72"),
    ],
)
def test_bytes_that_are_no_tflite_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    trials = Trials()
    with pytest.raises(ArtifactError, match=f"not a whole tflite file: .*{message}"):
        check(path, trials)
    assert not trials.words


@pytest.mark.slow
def test_a_slice_of_the_fuzzer() -> None:
    # It brings the schema.
    needs.package("ai_edge_litert")
    needs.package("flatbuffers")
    done = subprocess.run(
        [sys.executable, str(FUZZER), "60", "--seed", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 mutants, seed 1" in done.stdout
    assert "broken: 0" in done.stdout


def in_rows_of(width: int, path: Path) -> Path:
    """Takes any number of values that `width` divides."""
    onnx = needs.package("onnx")
    rows = onnx.helper.make_node("Reshape", ["x", "to"], ["y"])
    return onnx_file(path, [constant("to", [-1, width]), rows], [None, None])


def memory_of_this_process() -> int:
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0])


def test_a_file_that_took_no_shape_is_not_remembered(tmp_path: Path, cache: Path) -> None:
    needs.package("onnxruntime")
    path = in_rows_of(7, tmp_path / "m.onnx")
    # 7 divides 2 x 224.
    assert [shapes["x"] for _, shapes in verified(path).ran] == [(1, 224)]
    path = in_rows_of(11, tmp_path / "n.onnx")
    before = sorted(cache.iterdir())
    assert verified(path).ran == ()
    assert sorted(cache.iterdir()) == before


def verified(path: Path) -> Any:
    return verify(Artifact.of(path), BACKENDS[path.suffix], Options(verify=True))


def test_shapes_are_tried_before_they_are_run(tmp_path: Path, cache: Path) -> None:
    needs.package("onnxruntime")
    with edgekit.load(in_rows_of(11, tmp_path / "m.onnx"), verify=True) as runner:
        assert runner.infer({"x": np.ones((1, 11), np.float32)})["y"].shape == (1, 11)
        (marker,) = cache.iterdir()
        assert json.loads(marker.read_text())["ran"] == [[None, {"x": [1, 11]}]]
        runner.infer({"x": np.zeros((1, 11), np.float32)})
        runner.infer_raw({"x": np.ones((2, 11), np.float32)})
        assert len(list(cache.iterdir())) == 2
        with pytest.raises(ArtifactError, match=r"(?s)was refused: .*with inputs of x \[1, 12\]"):
            runner.infer({"x": np.ones((1, 12), np.float32)})
        assert len(list(cache.iterdir())) == 2


def test_a_shape_that_takes_all_memory_takes_the_childs(tmp_path: Path) -> None:
    """At the shapes that a trial has, it is harmless."""
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    node = onnx.helper.make_node
    nodes = [
        constant("limit", np.int64(90)),
        constant("last", np.int64([1])),
        constant("huge", np.int64([1 << 17, 1 << 15])),
        constant("small", np.int64([1, 1])),
        constant("zero", np.float32([[0]])),
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "last"], ["width"]),
        node("Greater", ["width", "limit"], ["wide"]),
        node("Where", ["wide", "huge", "small"], ["sizes"]),
        node("Expand", ["zero", "sizes"], ["grown"]),
        node("ReduceSum", ["grown"], ["sum"], keepdims=0),
        node("Add", ["x", "sum"], ["y"]),
    ]
    path = onnx_file(tmp_path / "m.onnx", nodes, [None, None])
    with edgekit.load(path, verify=True) as runner:
        runner.infer({"x": np.ones((1, 8), np.float32)})
        before = memory_of_this_process()
        with pytest.raises(ArtifactError, match=r"wanted more than \d+ MB .*with inputs of x"):
            runner.infer({"x": np.ones((1, 91), np.float32)})
        assert memory_of_this_process() < before + 100_000


def test_memory_by_values_is_refused(tmp_path: Path) -> None:
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    nodes = [constant("one", np.float32([[1]])), onnx.helper.make_node("Tile", ["one", "x"], ["y"])]
    path = onnx_file(tmp_path / "m.onnx", nodes, [], x=(7, [2]))
    with pytest.raises(ArtifactError, match=r"wanted more than \d+ MB of memory"):
        edgekit.load(path, verify=True)


@pytest.mark.slow
def test_a_loop_without_an_end_is_refused(tmp_path: Path) -> None:
    needs.package("onnxruntime")
    path = endless(tmp_path / "m.onnx")
    limits = Limits(2, 1 << 30)
    with pytest.raises(ArtifactError, match="did not finish in 2 s"):
        verify(Artifact.of(path), "onnxruntime", Options(), limits=limits)


def test_values_that_are_not_finite_prove_nothing(tmp_path: Path) -> None:
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    nodes = [
        constant("zero", np.float32(0)),
        onnx.helper.make_node("Div", ["zero", "zero"], ["nan"]),
    ]
    nodes.append(onnx.helper.make_node("Add", ["x", "nan"], ["y"]))
    with pytest.raises(ArtifactError, match="not finite for zeros, ones and small values"):
        edgekit.load(onnx_file(tmp_path / "m.onnx", nodes, [1, 2]), verify=True)


def test_weights_beside_a_file_are_read_in_the_sandbox(tmp_path: Path, cache: Path) -> None:
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    model = onnx.load(Path(__file__).parents[1] / "models" / "classifier.float32.onnx")
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="w.bin")
    with edgekit.load(path, verify=True) as runner:
        assert runner.evidence is not None
        assert runner.evidence.sandbox == Sandbox.offered()
    (marker,) = cache.iterdir()
    assert json.loads(marker.read_text())["sandbox"] == Sandbox.offered().to_json()


def test_state_of_one_signature_does_not_spoil_another(models: Path) -> None:
    edgekit.load(models / "ledger.float32.tflite", verify=True).close()


def test_a_damaged_memory_is_tried_again(models: Path, cache: Path) -> None:
    trials = Trials()
    check(models / "classifier.int8.tflite", trials)
    (marker,) = cache.iterdir()
    for content in ("", "[]", '{"ran": 3, "sandbox": {}}'):
        marker.write_text(content)
        check(models / "classifier.int8.tflite", trials)
    assert len(trials.words) == 4


def test_a_runner_keeps_to_it_in_another_process(tmp_path: Path) -> None:
    import pickle

    needs.package("onnxruntime")
    with edgekit.load(in_rows_of(11, tmp_path / "m.onnx"), verify=True) as runner:
        twin = pickle.loads(pickle.dumps(runner))
    with pytest.raises(ArtifactError, match="a trial on"):
        twin.infer({"x": np.ones((1, 12), np.float32)})
