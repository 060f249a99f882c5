"""Each interpreter that is installed is tried in a process of its own."""

from __future__ import annotations

import json
import signal

import pytest

from edgekit.formats.tflite import read_tflite
from edgekit.runtime import attempts as module
from edgekit.runtime.attempts import FAILS, UNTRIED, WORKS, Attempt, attempt, attempts
from edgekit.runtime.child import Ended

# What is installed differs: boards of 32 bits have tflite-runtime.
INTERPRETERS = ("litert", "tflite-runtime")
HERE = next(name for name in INTERPRETERS if module._is_there(name))
LACKING = next(name for name in INTERPRETERS if not module._is_there(name))
ONNX = module._is_there("onnxruntime")


def ended(result: object) -> Ended:
    return Ended(0, f"a word of C++\n{json.dumps(result)}\n", "")


def test_the_tiny_file_is_one_dense_layer_in_int8() -> None:
    from importlib import resources

    content = resources.files("edgekit.runtime").joinpath("tiny.tflite").read_bytes()
    assert len(content) < 1000
    (graph,) = read_tflite(content).graphs
    assert [operator.op for operator in graph.operators] == ["FULLY_CONNECTED"]
    assert [tensor.dtype for tensor in (*graph.inputs, *graph.outputs)] == ["int8", "int8"]
    weights, biases = ((1, 2, 3, 4), (-4, 3, -2, 1)), (10, -10)
    x, y = module._X, module._Y
    assert y == tuple(
        sum(a * b for a, b in zip(row, x, strict=True)) + bias
        for row, bias in zip(weights, biases, strict=True)
    )


def test_an_interpreter_is_asked() -> None:
    assert attempt(HERE) == {"reason": None, "saturate": None}
    assert not ONNX or attempt("onnxruntime")["saturate"] in (True, False)


def test_wrong_answers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_Y", (40, -11))
    assert "answers [40, -10] to a file of one dense layer, expected [40, -11]" in str(
        attempt(HERE)["reason"]
    )


def test_what_is_not_installed_or_broken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise AttributeError("_ARRAY_API not found\nmore")

    assert "no backend for tflite files is installed" in attempt(LACKING)["reason"]
    monkeypatch.setitem(module._QUESTIONS, HERE, broken)
    assert attempt(HERE)["reason"].startswith("AttributeError: _ARRAY_API not found")


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (ended({"reason": None, "saturate": True}), ("", True)),
        (ended({"reason": "wrong"}), ("wrong", None)),
        (
            Ended(-signal.SIGILL, "", ""),
            ("died by SIGILL: it needs instructions that this CPU lacks", None),
        ),
        (Ended(-signal.SIGSEGV, "", "x"), ("died by SIGSEGV", None)),
        (Ended(None, "", ""), ("did not answer in time", None)),
        (Ended(1, "", "Traceback\nImportError: no numpy\n"), ("ImportError: no numpy", None)),
        (Ended(3, "", ""), ("exit code 3", None)),
        (Ended(0, "no JSON", "why"), ("why", None)),
    ],
)
def test_how_a_process_ended(end: Ended, expected: tuple[str, bool | None]) -> None:
    assert module._judged(end) == expected


def test_one_that_dies_is_a_line_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "litert": ended({"reason": None, "saturate": None}),
        "litert-compiled": Ended(-signal.SIGILL, "", ""),
        "onnxruntime": ended({"reason": None, "saturate": True}),
    }
    monkeypatch.setattr(module, "_tried", answers.__getitem__)
    monkeypatch.setattr(module, "_is_there", lambda name: name in (*answers, "tensorflow"))
    found, saturate = attempts()
    assert found == (
        Attempt("litert", WORKS, ""),
        Attempt(
            "litert-compiled",
            FAILS,
            "died by SIGILL: it needs instructions that this CPU lacks",
        ),
        Attempt("tensorflow", UNTRIED, "litert is taken in its place"),
        Attempt("onnxruntime", WORKS, ""),
    )
    assert saturate is True
    monkeypatch.setattr(module, "_is_there", lambda _: False)
    assert attempts() == ((), None)


@pytest.mark.processes
def test_they_are_tried_in_processes_of_their_own() -> None:
    found = module._tried(HERE)
    assert (found.code, module._judged(found)) == (0, ("", None))
