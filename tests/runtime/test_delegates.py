"""What runs operators in the interpreter's stead: nothing, a shared library, an execution provider."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.device import load_device
from edgekit.errors import UsageError

# A delegate that claims no operator: the struct of TensorFlow Lite's c/common.h, whose first four
# members have been the same since 2.0. It writes what it is told to the file that an option names.
SOURCE = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Delegate {
  void* data;
  int (*prepare)(void* context, struct Delegate* self);
  void* copy_from;
  void* copy_to;
  void* free_buffer;
  int64_t flags;
  void* opaque;
  void* reserved[4];
} Delegate;

static const char* path = "";

static void say(const char* word) {
  FILE* out = fopen(path, "a");
  if (out) { fprintf(out, "%s\n", word); fclose(out); }
}

static int prepare(void* context, Delegate* self) { say("prepared"); return 0; }

Delegate* tflite_plugin_create_delegate(
    const char* const* keys, const char* const* values, size_t count, void (*error)(const char*)) {
  for (size_t i = 0; i < count; ++i) {
    if (!strcmp(keys[i], "log")) path = strdup(values[i]);
    if (!strcmp(keys[i], "refuse")) { error("it is refused"); return NULL; }
  }
  Delegate* made = calloc(1, sizeof(Delegate));
  made->prepare = prepare;
  return made;
}

void tflite_plugin_destroy_delegate(Delegate* made) { say("destroyed"); free(made); }
"""


@pytest.fixture(scope="session")
def library(once: Callable[..., Path]) -> Path:
    compiler = needs.tool("gcc")

    def make(folder: Path) -> None:
        (folder / "idle.c").write_text(SOURCE)
        (folder / "other.c").write_text("int nothing;")
        for name in ("idle", "other"):
            words = ["-shared", "-fPIC", "-o", f"{folder}/{name}.so", f"{folder}/{name}.c"]
            subprocess.run([compiler, *words], check=True)

    return once("delegate", make)


@pytest.mark.parametrize("file", ["classifier.float32.tflite", "classifier.int8.tflite"])
def test_none_answers_the_same(
    models: Path, recorded: Callable, interpreter: str, file: str
) -> None:
    images = recorded("classifier")[0]["image"]
    with (
        edgekit.load(models / file, backend=interpreter) as usual,
        edgekit.load(models / file, backend=interpreter, delegate="none") as plain,
    ):
        assert plain.options.delegate == "none"
        quantization = usual.outputs[0].quantization
        step = quantization.scale[0] if quantization else 1e-6
        for image in images:
            one = usual.infer({"image": image[None]})["digit"]
            other = plain.infer({"image": image[None]})["digit"]
            assert np.abs(one - other).max() <= 1.001 * step


def test_a_library_gets_its_options_and_the_graph(
    models: Path, recorded: Callable, library: Path, interpreter: str, tmp_path: Path
) -> None:
    image = recorded("classifier")[0]["image"][:1]
    path = models / "classifier.float32.tflite"
    log = tmp_path / "log"
    with edgekit.load(path, backend=interpreter) as usual:
        expected = usual.infer({"image": image})["digit"]
    delegate = str(library / "idle.so")
    with edgekit.load(
        path, backend=interpreter, delegate=delegate, delegate_options={"log": str(log)}
    ) as runner:
        np.testing.assert_allclose(runner.infer({"image": image})["digit"], expected, atol=1e-6)
    assert log.read_text().splitlines()[0] == "prepared"


def test_a_library_that_refuses_is_one_error(models: Path, library: Path, interpreter: str) -> None:
    with pytest.raises(UsageError, match=r"idle.so': cannot be loaded"):
        edgekit.load(
            models / "classifier.float32.tflite",
            backend=interpreter,
            delegate=str(library / "idle.so"),
            delegate_options={"refuse": "1"},
        )


def test_a_library_without_the_entry_point(models: Path, library: Path, interpreter: str) -> None:
    with pytest.raises(UsageError, match=r"other.so': cannot be loaded: .*tflite_plugin_create"):
        edgekit.load(
            models / "classifier.float32.tflite",
            backend=interpreter,
            delegate=str(library / "other.so"),
        )


def test_a_library_that_is_not_there(models: Path, interpreter: str) -> None:
    with pytest.raises(UsageError, match=r"delegate 'libnone.so.1': cannot be loaded: .*Expected"):
        edgekit.load(
            models / "classifier.float32.tflite", backend=interpreter, delegate="libnone.so.1"
        )


def test_an_execution_provider(models: Path, recorded: Callable) -> None:
    needs.package("onnxruntime")
    path = models / "classifier.float32.onnx"
    image = recorded("classifier")[0]["image"][:1]
    answers = []
    for delegate in (None, "none", "CPUExecutionProvider"):
        with edgekit.load(path, delegate=delegate) as runner:
            answers.append(runner.infer({"image": image})["digit"])
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])
    with pytest.raises(UsageError, match=r"no such execution provider.* Did you mean 'CPUExec"):
        edgekit.load(path, delegate="CPUExecutionProvidr")


def test_options_need_a_delegate(models: Path) -> None:
    for delegate in (None, "none"):
        with pytest.raises(UsageError, match="delegate_options: received log without a delegate"):
            edgekit.load(
                models / "classifier.float32.tflite",
                delegate=delegate,
                delegate_options={"log": "x"},
            )


def test_a_board_s_profile_says_how(models: Path) -> None:
    path = models / "classifier.float32.tflite"
    profile = load_device("raspberry-pi-4b").runtime
    with edgekit.load(path, device="raspberry-pi-4b") as runner:
        assert (runner.options.threads, runner.options.delegate) == (
            profile.threads,
            profile.delegate,
        )
    with edgekit.load(path, device="raspberry-pi-4b", threads=2, delegate="none") as runner:
        assert (runner.options.threads, runner.options.delegate) == (2, "none")
    with edgekit.load(path, device="detect") as runner:
        assert runner.options.threads >= 1
    with pytest.raises(UsageError, match=r"device 'raspberry-pi-4' is unknown.* Did you mean"):
        edgekit.load(path, device="raspberry-pi-4")
