"""Runners in other processes: forked while a thread infers, with threads of their own, pickled."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import children, needs
from support.patience import patience

import edgekit
from edgekit.errors import UsageError
from edgekit.runtime.random_inputs import random_inputs

pytestmark = pytest.mark.processes

# Two forks beside a thread that never rests; a child that hangs is ended by its alarm.
FORKS = """
import os, signal, sys, threading, time
import numpy as np
import edgekit
from edgekit.runtime.random_inputs import random_inputs

runner = edgekit.load(sys.argv[1], threads=int(sys.argv[2]))
inputs = random_inputs(runner)
expected = runner.infer(inputs)
ended = threading.Event()

def infer():
    while not ended.is_set():
        runner.infer(inputs)

thread = threading.Thread(target=infer)
if sys.argv[3] == "busy":
    thread.start()
    time.sleep(0.02)
codes = []
for _ in range(2):
    child = os.fork()
    if not child:
        signal.alarm(20)
        answer = runner.infer(inputs)
        # By the ordinary way out, on which interpreters are freed.
        sys.exit(not all(np.array_equal(answer[name], x) for name, x in expected.items()))
    codes.append(os.waitpid(child, 0)[1])
ended.set()
print(codes)
"""
COUNTS = """
import os, sys
import edgekit, numpy as np
runner = edgekit.load(sys.argv[1], threads=2)
doubled, read = runner.with_signature("double"), runner.with_signature("read")
child = os.fork()
if not child:
    assert doubled.infer({"x": np.ones((1, 3), np.float32)})["twice"].tolist() == [[2, 2, 2]]
    assert read.infer({})["total"].tolist() == [[10, 20]]
    assert doubled is runner.with_signature("double")
    runner.close()
    try:
        read.infer({})
    except edgekit.errors.ArtifactError as error:
        assert "is closed" in str(error)
        sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
needs_fork = needs.system("fork")


def said(code: str, *words: object) -> str:
    with children.python("-c", code, *words, stdout=subprocess.PIPE, text=True) as process:
        return process.communicate(timeout=patience(120))[0].strip()


@needs_fork
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("state", ["busy", "idle"])
def test_a_forked_child_answers(models: Path, threads: int, state: str) -> None:
    needs.package("ai_edge_litert")
    assert said(FORKS, models / "recurrent.float32.tflite", threads, state) == "[0, 0]"


@needs_fork
@pytest.mark.parametrize("state", ["busy", "idle"])
def test_a_forked_child_answers_with_onnxruntime(models: Path, state: str) -> None:
    needs.package("onnxruntime")
    assert said(FORKS, models / "classifier.float32.onnx", 2, state) == "[0, 0]"


@needs_fork
def test_signatures_of_a_forked_child_share_one_file(models: Path) -> None:
    needs.package("ai_edge_litert")
    assert said(COUNTS, models / "ledger.float32.tflite") == "7"


UNPICKLES = """
import pickle, sys
from edgekit.runtime.random_inputs import random_inputs
runner = pickle.load(sys.stdin.buffer)
results = runner.infer(random_inputs(runner))
pickle.dump((runner.signature, runner.options, results), sys.stdout.buffer)
"""


def test_a_pickled_runner_opens_the_same_file(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    monkeypatch.chdir(models)
    with edgekit.load("kinds.float32.tflite", backend=interpreter, threads=2) as runner:
        expected = runner.infer(random_inputs(runner))
        done = subprocess.run(
            [sys.executable, "-c", UNPICKLES],
            input=pickle.dumps(runner),
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        signature, options, results = pickle.loads(done.stdout)
        assert (signature, options) == (runner.signature, runner.options)
        for name, x in expected.items():
            np.testing.assert_array_equal(results[name], x)


def test_a_pickled_signature_stays_the_same(models: Path, interpreter: str) -> None:
    with edgekit.load(models / "ledger.float32.tflite", backend=interpreter) as runner:
        adding = runner.with_signature("add")
        adding.infer({"amount": np.ones((1, 2), np.float32)})
        with pickle.loads(pickle.dumps(adding)) as again, copy.copy(adding) as copied:
            assert again.signature == copied.signature == "add"
            # State is not carried over: the variable begins with 10 and 20.
            assert again.with_signature("read").infer({})["total"].tolist() == [[10, 20]]


def test_a_pickled_runner_of_a_file_that_is_gone_says_so(
    models: Path, tmp_path: Path, interpreter: str
) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes((models / "gauge.float32.tflite").read_bytes())
    with edgekit.load(file, backend=interpreter) as runner:
        content = pickle.dumps(runner)
    file.unlink()
    with pytest.raises(UsageError, match=r"model\.tflite' does not exist"):
        pickle.loads(content)
