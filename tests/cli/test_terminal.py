"""Names from files never steer the terminal, whichever command shows them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import needs

from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_tflite
from edgekit.runtime import load
from edgekit.samples import save_npz

pytestmark = pytest.mark.processes

# Colours, the title of the window, a new line that a message could pretend to be, and text that
# runs backwards.
EVIL = "\x1b[31m\x1b]0;owned\x07\nedgekit: pass\u202e"


def check(*texts: str) -> None:
    """The texts were shown, with nothing in them that steers."""
    assert any(texts)
    for text in texts:
        assert not {char for char in text if not (char.isprintable() or char == "\n")}, repr(text)
        assert not [line for line in text.split("\n") if line.startswith("edgekit: pass")]


@pytest.fixture(scope="module")
def tflite(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier whose every name steers a terminal."""
    content = (models / "classifier.int8.tflite").read_bytes()
    # Of equal lengths: every offset in the file stays.
    for name, evil in (
        (b"image", b"\x1b[31m"),
        (b"digit", b"\x1b[32m"),
        (b"functional_1", b"\x1b]0;owned\x07_1"),
        (b"serving_default", "\x1b[33m\nserv\u202e\x9b".encode()),
        (b"MLIR", b"\x1b[0m"),
        (b"arith", b"\x1b[35m"),
        (b"Stateful", b"\x1b[36m\nab"),
    ):
        assert len(name) == len(evil)
        assert name in content
        content = content.replace(name, evil)
    path = tmp_path_factory.mktemp("evil") / "cat\x1b[31m\u202e.int8.tflite"
    path.write_bytes(write_tflite(content, Metadata(class_names=("a\u202eb", *"bcdefghij"))))
    return path


@pytest.fixture(scope="module")
def onnx(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as ONNX, with names that no length binds."""
    package = needs.package("onnx")
    model = package.load_model(models / "classifier.float32.onnx")
    graph = model.graph
    for each in (*graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        each.name += EVIL
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [name and name + EVIL for name in names]
    model.producer_name = model.doc_string = graph.name = graph.doc_string = EVIL
    package.helper.set_model_props(model, {EVIL: EVIL})
    path = tmp_path_factory.mktemp("evil") / f"m{EVIL.replace('/', '')}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(params=["tflite", "onnx"])
def evil(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def samples_of(model: Path, path: Path) -> Path:
    """Labelled samples for the only input, whatever its name."""
    with load(model) as runner:
        (spec,) = runner.inputs
    x = np.random.default_rng(0).random((8, *spec.concrete_shape()[1:]), np.float32)
    save_npz(path, {spec.name: x, "y": np.arange(8) % 5})
    return path


@pytest.mark.slow
def test_every_command_on_one_model(evil: Path, tmp_path: Path, command: Callable) -> None:
    samples = samples_of(evil, tmp_path / f"s{EVIL}.npz")

    def run(*words: object, code: int = 0) -> None:
        done = command(*words)
        assert done.code == code, done.err
        check(done.out, done.err)

    golden, written = tmp_path / f"g{EVIL}.npz", iter(range(100))

    def document(*words: object, code: int = 0) -> Path:
        path = tmp_path / f"{next(written)}{EVIL}.json"
        run(*words, code=code)
        run(*words, "--json", path, code=code)
        assert json.loads(path.read_text("utf-8"))
        check(path.read_text("utf-8"))
        return path

    documents = [
        document("inspect", evil),
        document("bench", evil, "--seconds", "0.01"),
        document("evaluate", evil, "--samples", samples),
    ]
    run("run", evil, "--samples", samples, "-o", tmp_path / f"o{EVIL}.npz")
    run("golden", evil, "--samples", samples, "-o", golden)
    limits = ["--golden", golden, "--max-accuracy-drop", "50%"]
    run("compare", evil, *limits, "--junit", "-", code=0)
    documents.append(document("compare", evil, *limits))
    for out in ("-", tmp_path / "page.md", tmp_path / "page.html"):
        run("report", *documents, "-o", out)
    check((tmp_path / "page.md").read_text("utf-8"))
    check((tmp_path / "page.html").read_text("utf-8").replace("\u00a0", " "))


def test_messages_that_quote_a_file(evil: Path, tmp_path: Path, command: Callable) -> None:
    samples = samples_of(evil, tmp_path / f"s{EVIL}.npz")
    broken = tmp_path / f"b{EVIL}{evil.suffix}"
    broken.write_bytes(evil.read_bytes()[:-1000])
    odd = tmp_path / f"odd{EVIL}.npz"
    save_npz(odd, {f"x{EVIL}": np.zeros((2, 3)), "y": np.array([EVIL, "b"])})
    text = tmp_path / f"t{EVIL}.json"
    text.write_text(json.dumps({"schema": f"edgekit.{EVIL}/1", EVIL: 1}))
    toml = tmp_path / f"r{EVIL}.toml"
    toml.write_text(f"[training]\n{json.dumps(EVIL)} = 1\n")
    for words in (
        ("inspect", broken),
        ("inspect", tmp_path / f"absent{EVIL}.onnx"),
        ("run", broken, "--samples", samples, "-o", tmp_path / "o.npz"),
        ("run", evil, "--samples", odd, "-o", tmp_path / "o.npz"),
        ("run", evil, "--signature", EVIL, "--samples", samples, "-o", tmp_path / "o.npz"),
        ("evaluate", evil, "--samples", odd),
        ("report", text, "-o", tmp_path / "page.md"),
        ("train", toml, "-o", tmp_path / "m.keras"),
        ("bench", evil, f"--{EVIL}"),
        (EVIL,),
    ):
        done = command(*words)
        assert done.code in (1, 2), (words, done)
        assert done.err.count("\n") == 1, done.err
        check(done.out, done.err)


def test_keras_files(tmp_path: Path, command: Callable, digits_model: Path) -> None:
    samples = samples_of(digits_model, tmp_path / f"s{EVIL}.npz")
    path = tmp_path / f"k{EVIL}.keras"
    with zipfile.ZipFile(digits_model) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                for layer in config["config"]["layers"]:
                    layer["config"]["name"] += EVIL
                content = json.dumps(config).encode()
            target.writestr(name, content)
    for words in (
        ("export", path, "-o", tmp_path / f"out{EVIL}"),
        ("golden", path, "--samples", samples, "-o", tmp_path / "golden.npz"),
        ("evaluate", path, "--samples", samples),
    ):
        done = command(*words)
        check(done.out, done.err)


def test_classes_of_a_training(tmp_path: Path, command: Callable) -> None:
    rng = np.random.default_rng(0)
    data = tmp_path / f"d{EVIL}.npz"
    x = rng.random((60, 8, 8, 1), np.float32)
    names = np.array([f"cat{EVIL}", f"dog{EVIL}"])
    save_npz(data, {f"x{EVIL}": x, "y": np.arange(60) % 2, "classes": names})
    model = tmp_path / f"m{EVIL}.keras"
    done = command("train", "--data", data, "--epochs", "1", "-o", model)
    check(done.out, done.err)
    done = command("export", model, "-o", tmp_path / "out")
    check(done.out, done.err)
