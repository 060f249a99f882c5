"""Wrong words: exit code 2 and one message. Nothing here needs TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit import __version__
from edgekit.cli import COMMANDS

Fails = Callable[..., str]


def test_no_command(fails: Fails) -> None:
    assert "no command, expected one of train, " in fails(2)


def test_an_unknown_command(fails: Fails) -> None:
    assert "unknown command 'exprot'" in fails(2, "exprot")
    assert "Did you mean 'export'?" in fails(2, "exprot")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(capfd: pytest.CaptureFixture[str], name: str) -> None:
    from edgekit.cli import main

    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    out, err = capfd.readouterr()
    assert out.startswith(f"usage: edgekit {name}")
    assert err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option(fails: Fails, name: str) -> None:
    message = fails(2, name, "--frobnicate")
    assert "unknown option '--frobnicate'" in message
    assert f"edgekit {name} --help" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("export", "--quantise", "int8"),
            "unknown option '--quantise'. Did you mean '--quantize'?",
        ),
        (("export", "--quantise=int8"), "unknown option '--quantise'. Did you mean '--quantize'?"),
        # No option is abbreviated: what is meant today could be two tomorrow.
        (("export", "--quant", "int8"), "Did you mean '--quantize'?"),
        (
            ("bench", "m.tflite", "-threads", "2"),
            "unknown option '-threads'. Did you mean '--threads'?",
        ),
        (("run", "m.tflite", "--output", "a.npz"), "Did you mean '--out'?"),
        (("bench", "m.tflite", "-x"), "unknown option '-x'."),
        (("devices", "list", "--hlep"), "Did you mean '--help'?"),
        (("--verion",), "unknown option '--verion'. Did you mean '--version'?"),
        # Nothing is near: two dashes, which all options have, do not count.
        (("compare", "m.tflite", "--foo"), "unknown option '--foo'. See: edgekit compare --help"),
        (("compare", "m.tflite", "--out", "a"), "unknown option '--out'. See:"),
        (
            ("evaluate", "m.tflite", "--executor", "rai"),
            "expected one of here, ray. Did you mean 'ray'? See:",
        ),
    ],
)
def test_the_nearest_option_is_named(fails: Fails, words: tuple[str, ...], message: str) -> None:
    assert message in fails(2, *words)


def test_what_looks_like_an_option_and_is_none(fails: Fails, tmp_path: Path) -> None:
    # A negative number, and names behind `--`.
    assert "does not exist" in fails(
        2, "compare", tmp_path / "x", "--golden", "g", "--min-sqnr-db", "-5"
    )
    assert "'--odd.tflite' does not exist" in fails(2, "inspect", "--", "--odd.tflite")
    assert "too many arguments: b.tflite." in fails(2, "inspect", "a.tflite", "b.tflite")


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_the_program_itself(capfd: pytest.CaptureFixture[str], word: str) -> None:
    from edgekit.cli import main

    with pytest.raises(SystemExit) as caught:
        main([word])
    assert caught.value.code == 0
    out, _ = capfd.readouterr()
    assert __version__ in out if word == "--version" else "demo" in out


CASES: list[tuple[tuple[str, ...], str]] = [
    (("export", "{model}", "-o", "{out}", "--quantize", "int9"), "Did you mean 'int8'?"),
    (("export", "{model}", "-o", "{out}", "--format", "onxx"), "Did you mean 'onnx'?"),
    (("export", "{model}", "-o", "{out}", "--batch", "many"), "batch: received 'many'"),
    (("export", "{model}", "-o", "{out}", "--prune", "1"), "sparsity: received 1.0"),
    (("export", "{model}", "-o", "{out}", "--prune", "half"), "'half'"),
    (("export", "{model}", "-o", "{out}", "--io-dtype", "int4"), "io_dtype: received 'int4'"),
    (
        ("export", "{model}", "-o", "{out}", "--qat"),
        "samples to fine-tune with: give --data SAMPLES",
    ),
    (("export", "{model}", "-o", "{out}", "--target", "tflite-runtme==2.14"), "Did you mean 'tfl"),
    (
        ("export", "{model}", "-o", "{out}", "--target", "tflite-runtime==3"),
        "expected one of 2.11.0",
    ),
    (
        ("export", "{model}", "-o", "{out}", "--target", "onnxruntime==1.20"),
        "--format onnx as well",
    ),
    (("export", "{model}", "-o", "{out}", "--device", "raspberry-pi-4"), "mean 'raspberry-pi-4b'?"),
    (("export", "{missing}", "-o", "{out}"), "missing' does not exist"),
    (("evaluate", "{tflite}", "--samples", "{missing}", "--address", "a:1"), "give --executor ray"),
    (("tune", "{missing}", "-o", "{out}"), "missing' does not exist"),
    (("export", "{tflite}", "-o", "{out}"), "received a tflite file, expected a Keras model"),
    (("export", "{model}"), "required: -o"),
    (("bench", "{tflite}", "--backend", "litert2"), "Did you mean 'litert'?"),
    (("bench", "{tflite}", "--backend", "onnxruntime"), "does not run tflite files"),
    (("bench", "{tflite}", "--threads", "0"), "threads: received 0"),
    (("bench", "{tflite}", "--device", "raspberry-pi-4"), "Did you mean 'raspberry-pi-4b'?"),
    (("bench", "{missing}"), "does not exist"),
    (("bench", "{taken}"), "received the ending '.txt'"),
    (("run", "{missing}", "--samples", "{samples}", "-o", "{out}.npz"), "does not exist"),
    (("run", "{tflite}", "--samples", "{missing}", "-o", "{out}.npz"), "does not exist"),
    (("run", "{tflite}", "--samples", "{samples}", "-o", "{out}.csv"), "ends in .npz"),
    (("golden", "{missing}", "--samples", "{samples}", "-o", "{out}"), "does not exist"),
    (("compare", "{tflite}", "--golden", "{missing}"), "does not exist"),
    (
        ("compare", "{tflite}", "--golden", "{missing}", "--max-accuracy-drop", "1"),
        "--max-accuracy-drop: received 1, which is 100 points; did you mean 1%, that is 0.01?",
    ),
    (
        ("compare", "{tflite}", "--golden", "{missing}", "--max-accuracy-drop", "0.25"),
        "received 0.25, which is 25 points; did you mean 0.25%",
    ),
    (("compare", "{tflite}", "--golden", "{missing}", "--max-accuracy-drop", "200"), "from 0 to 1"),
    (
        ("compare", "{tflite}", "--golden", "{missing}", "--max-accuracy-drop", "101%"),
        "--max-accuracy-drop: received '101%', expected a share such as 0.01 or 1%.",
    ),
    (
        ("compare", "{tflite}", "--golden", "{missing}", "--min-agreement", "99"),
        "did you mean 99%, that is 0.99?",
    ),
    (("compare", "{tflite}", "--golden", "{missing}", "--min-sqnr-db", "x"), "expected a number"),
    (
        ("compare", "{tflite}", "--golden", "g", "--json", "-", "--junit", "-"),
        "--json and --junit: received '-' for both",
    ),
    (("export", "{model}", "-o", "{out}", "--prune", "80"), "did you mean 80%, that is 0.8?"),
    (
        ("export", "{model}", "-o", "{out}", "--prune-channels", "25"),
        "did you mean 25%, that is 0.25?",
    ),
    (("export", "{model}", "-o", "{out}", "--quantize", "int8,"), "--quantize: received 'int8,'"),
    (("export", "{model}", "-o", "{out}", "--quantize", "float32,int9"), "Did you mean 'int8'?"),
    (("export", "{model}", "-o", "{out}", "--file", "int8.tflit"), "Did you mean 'int8.tflite'?"),
    (
        ("export", "{model}", "-o", "{out}", "--file", "int8.tflite", "--format", "onnx"),
        "files: received together with schemes or formats",
    ),
    (("export", "{model}", "-o", "-"), "-o/--out: received '-', expected a path"),
    (("run", "{tflite}", "--samples", "{samples}", "-o", "-"), "-o/--out: received '-'"),
    (("bench", "{tflite}", "--seconds", "long"), "--seconds: received 'long', expected a number."),
    (
        ("bench", "{tflite}", "--threads", "2.5"),
        "--threads: received '2.5', expected a whole number.",
    ),
    (
        ("train", "--data", "{samples}", "-o", "{out}", "--hosts", "a:1,b:2"),
        "--hosts and --index belong",
    ),
    (
        ("train", "--data", "{samples}", "-o", "{out}", "--hosts", "a:1", "--index", "0"),
        "hosts: received a:1, expected at least two",
    ),
    (("report", "{missing}", "-o", "{out}.html"), "does not exist"),
    (("report", "{missing}", "-o", "{out}.pdf"), "received the ending '.pdf'"),
    (("train", "-o", "{out}.keras"), "no data: give a RECIPE.toml"),
    (("train", "{missing}", "-o", "{out}.keras"), "does not exist"),
    (("train", "--data", "{missing}", "-o", "{out}.keras"), "does not exist"),
    (("train", "--data", "{samples}", "-o", "{out}.pt"), "ends in .pt"),
    (("devices", "show", "raspberry-pi-99"), "Did you mean"),
    (("devices", "shwo"), "received 'shwo', expected one of list, detect"),
    (("devices", "shwo"), "Did you mean 'show'?"),
    # What exists stays, unless --overwrite is given.
    (("export", "{model}", "-o", "{taken}"), "is a file, expected a folder"),
    (("run", "{tflite}", "--samples", "{samples}", "-o", "{taken}.npz"), "--overwrite"),
    (("golden", "{model}", "--samples", "{samples}", "-o", "{taken}"), "--overwrite"),
    (("bench", "{tflite}", "--json", "{taken}"), "--overwrite"),
    (("compare", "{tflite}", "--golden", "{samples}", "--json", "{taken}"), "--overwrite"),
    (("compare", "{tflite}", "--golden", "{samples}", "--junit", "{taken}"), "--overwrite"),
    (("report", "{samples}", "-o", "{taken}.html"), "--overwrite"),
    (("train", "--data", "{samples}", "-o", "{taken}.keras"), "--overwrite"),
    (("train", "--data", "{samples}", "-o", "{out}.keras", "--json", "{taken}"), "--overwrite"),
]


def case(words: tuple[str, ...], hint: str) -> Any:
    # It looks for what it trains with before it looks at what was given.
    marks = [pytest.mark.tensorflow] if words[0] == "train" else []
    return pytest.param(words, hint, id=" ".join(words), marks=marks)


@pytest.mark.parametrize(("words", "hint"), [case(*each) for each in CASES])
def test_wrong_usage(
    fails: Fails,
    tmp_path: Path,
    models: Path,
    samples: Callable[..., Path],
    words: tuple[str, ...],
    hint: str,
) -> None:
    taken = tmp_path / "taken.txt"
    for path in (taken, *(Path(f"{taken}{end}") for end in (".npz", ".html", ".keras"))):
        path.write_bytes(b"mine")
    places = {
        "model": f"{taken}.keras",
        "tflite": models / "classifier.int8.tflite",
        "samples": samples(),
        "missing": tmp_path / "missing",
        "taken": taken,
        "out": tmp_path / "out",
    }
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert hint in fails(2, *(word.format(**places) for word in words))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[training]\nepoch = 3\n", "unknown key 'training.epoch'"),
        ("[training]\nepoch = 3\n", "Did you mean 'epochs'?"),
        ("[trainng]\n", "Did you mean 'training'?"),
        ("[training]\nepochs = 'many'\n", "received 'many' (str), expected int"),
        ("[training]\noptimizer = 'adamm'\n", "Did you mean 'adam'?"),
        (
            "[training]\nloss = 'crossentropy'\n",
            "expected one of auto, sparse_categorical_crossentropy",
        ),
        ("[model]\nwidth = 0\n", "width: received 0"),
        ("[data]\nvalidation = 0.1\n", "'data.train' is missing"),
        ("[data]\ntrain = '$NOWHERE_SET/x.npz'\n", "variable that is not set"),
        ("no toml", "not TOML"),
    ],
)
def test_recipes(fails: Fails, tmp_path: Path, text: str, hint: str) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text)
    message = fails(2, "train", recipe, "-o", tmp_path / "m.keras")
    assert hint in message
    assert str(recipe) in message
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "export.prune: key 'sparsity' is missing, or 'channels', 'kernels' or"),
        # Complete now: the next thing that is missing.
        (("--prune", "0.5"), "need samples to fine-tune with"),
        (("--prune-channels", "0.5"), "need samples to fine-tune with"),
        (("--prune", "1"), "sparsity: received 1.0"),
    ],
)
def test_the_command_line_completes_a_table(
    fails: Fails, tmp_path: Path, words: tuple[str, ...], hint: str
) -> None:
    recipe, model = tmp_path / "recipe.toml", tmp_path / "m.keras"
    recipe.write_text("[export]\nschemes = ['float32']\n[export.prune]\nepochs = 2\n")
    model.write_bytes(b"mine")
    assert hint in fails(2, "export", model, "-o", tmp_path, "--recipe", recipe, *words)


BLOCKED = """
import sys
for name in {names!r}:
    sys.modules[name] = None  # what an import of a package that is not installed comes to
from edgekit.cli import main
sys.exit(main(sys.argv[1:]))
"""
TENSORFLOW = ("tensorflow", "keras", "tf_keras")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("missing", "words", "extra"),
    [
        (TENSORFLOW, ("export", "{keras}", "-o", "{out}"), "edgekit-keras[export]"),
        (TENSORFLOW, ("golden", "{keras}", "--samples", "{samples}", "-o", "{out}"), "[export]"),
        (
            TENSORFLOW,
            ("train", "--data", "{samples}", "-o", "{out}.keras"),
            "edgekit-keras[export]",
        ),
        (("onnxruntime",), ("bench", "{onnx}"), "edgekit-keras[onnx]"),
        (("jinja2",), ("report", "{json}", "-o", "{out}.html"), "edgekit-keras[report]"),
        (("sklearn",), ("demo", "-o", "{out}"), "edgekit-keras[demo]"),
        (
            ("ai_edge_litert", "tflite_runtime", "tensorflow"),
            ("bench", "{tflite}"),
            "pip install edgekit-keras",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_missing_dependency(
    tmp_path: Path,
    models: Path,
    samples: Callable[..., Path],
    missing: tuple[str, ...],
    words: tuple[str, ...],
    extra: str,
) -> None:
    import zipfile

    keras, document = tmp_path / "m.keras", tmp_path / "bench.json"
    with zipfile.ZipFile(keras, "w") as archive:
        archive.writestr("config.json", "{}")
    if "{json}" in words:
        timed = edgekit.benchmark(models / "classifier.int8.tflite", seconds=0.01)
        document.write_text(json.dumps(timed.to_json()))
    places: dict[str, Any] = {
        "keras": keras,
        "json": document,
        "samples": samples(),
        "out": tmp_path / "out",
        "onnx": models / "classifier.int8.onnx",
        "tflite": models / "classifier.int8.tflite",
    }
    before = sorted(tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(names=missing), *(w.format(**places) for w in words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 4, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    message = done.stderr.splitlines()[-1]
    assert message.startswith("edgekit: ")
    assert "installed" in message
    assert extra in message
    assert sorted(tmp_path.iterdir()) == before


def test_an_interruption_while_a_command_is_imported(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from edgekit import cli

    def interrupted(name: str) -> None:
        raise KeyboardInterrupt(name)

    monkeypatch.setattr(cli.importlib, "import_module", interrupted)
    assert cli.main(["run"]) == 130
    assert capfd.readouterr().err == "edgekit: interrupted; nothing half-written is left.\n"
