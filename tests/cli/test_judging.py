"""What `golden`, `compare` and `run` say of tasks, labels, thresholds and objects: one clear message each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit
from edgekit.detection import DecodedBoxes
from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_tflite

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def file(models: Path) -> Path:
    return models / "classifier.float32.tflite"


@pytest.fixture
def arrays(file: Path) -> Arrays:
    """40 samples of several classes, labelled by the file itself."""
    with edgekit.load(file) as runner:
        x = np.random.default_rng(0).normal(0, 3, (40, *runner.inputs[0].shape[1:]))
        (scores,) = runner.infer_batch({runner.inputs[0].name: x.astype(np.float32)}).values()
    return {"x": x.astype(np.float32), "y": scores.argmax(1)}


@pytest.fixture
def samples(tmp_path: Path) -> Callable[[Arrays], Path]:
    def write(arrays: Arrays) -> Path:
        np.savez(tmp_path / "samples.npz", **arrays)
        return tmp_path / "samples.npz"

    return write


@pytest.fixture
def golden(file: Path, command: Any, tmp_path: Path) -> Callable[..., Any]:
    def make(samples: Path, *options: object) -> Any:
        out = tmp_path / "golden.npz"
        return command("golden", file, "--samples", samples, "-o", out, "--overwrite", *options)

    return make


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda a: {"x": a["x"]}, 0, "40 samples, unlabelled"),
        (lambda a: {k: v[:3] for k, v in a.items()}, 0, "fewer samples (3) than classes (5)"),
        (lambda a: {k: v[a["y"] == 2] for k, v in a.items()}, 0, "labels are class 2 of 5"),
        (lambda a: {**a, "x": a["x"] * np.nan}, 1, "2560 values are not finite"),
        (lambda a: {**a, "y": a["y"] + 90}, 1, "are out of range), expected 0 to 4"),
        (lambda a: {**a, "y": a["y"][:5]}, 1, "expected as many in each array"),
        (lambda a: {**a, "y": a["y"] + 0.5}, 0, "are not used"),
        (
            lambda a: {"x": a["x"], "y/digits": a["y"]},
            1,
            "no output 'digits', expected one of 'digit'",
        ),
    ],
)
def test_each_slip_of_labels_has_a_message(
    samples: Any, golden: Any, arrays: Arrays, change: Any, code: int, message: str
) -> None:
    done = golden(samples(change(arrays)))
    assert done.code == code, done.err
    assert message in done.err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--task", "clasification"], 2, "Did you mean 'classification'?"),
        (["--task", "head=classification"], 2, "expected one of 'digit'"),
        (["--task", "ctc", "--task", "sequence"], 2, "expected one"),
        (["--task", "segmentation"], 1, "[samples, height, width, classes]"),
        (["--task", "digit=regression"], 1, "in the shape of the output"),
        (["--task", "none"], 0, "unlabelled"),
        (["--task", "embedding"], 0, "embedding"),
        (["--labels", "nowhere"], 2, "nowhere"),
    ],
)
def test_tasks_by_flag(
    samples: Any, golden: Any, arrays: Arrays, options: list[str], code: int, message: str
) -> None:
    done = golden(samples(arrays), *options)
    assert done.code == code, done.err
    assert message in done.err


def test_tasks_and_labels_from_files(
    samples: Any, golden: Any, arrays: Arrays, tmp_path: Path
) -> None:
    (tmp_path / "r.toml").write_text(
        '[export.tasks]\ndigit = "multi-label"\n[budget]\nlimits = []\n'
    )
    np.savez(tmp_path / "labels.npz", y=np.eye(5)[arrays["y"]])
    given = samples({"x": arrays["x"]})
    done = golden(given, "--recipe", tmp_path / "r.toml", "--labels", tmp_path / "labels.npz")
    assert done.code == 0, done.err
    assert "40 samples, multi-label; decisions right" in done.err
    (tmp_path / "r.toml").write_text('[export.tasks]\ndigit = "multilabel"\n')
    done = golden(given, "--recipe", tmp_path / "r.toml")
    assert done.code != 0
    assert "Did you mean 'multi-label'?" in done.err


def test_what_the_golden_is_not_for(
    file: Path,
    models: Path,
    samples: Any,
    golden: Any,
    arrays: Arrays,
    command: Any,
    tmp_path: Path,
) -> None:
    assert golden(samples({"x": arrays["x"]})).code == 0
    path = tmp_path / "golden.npz"
    done = command("compare", file, "--golden", path, "--max-accuracy-drop", "1%")
    assert (done.code, "have no labels that number classes" in done.err) == (2, True)
    named = tmp_path / "named.tflite"
    named.write_bytes(write_tflite(file.read_bytes(), Metadata(golden_sha256="0" * 64)))
    done = command("compare", named, "--golden", path)
    assert (done.code, "was exported for the golden file with sha256 000" in done.err) == (1, True)
    done = command("compare", models / "pair.float32.tflite", "--golden", path)
    assert done.code == 1
    with np.load(path) as archive:
        changed = {**archive, "input/image": archive["input/image"] + 1}
    np.savez(path, **changed)
    done = command("compare", file, "--golden", path)
    assert (done.code, "were changed since" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--threshold", "0.8"], 0, "share of decisions at the threshold that change 0.00 %"),
        (["--threshold", "digit=0.8"], 0, "0.00 to 8.81 %"),
        (["--threshold", "0.8", "--limit", "decision_changes<=20%"], 0, "decision"),
        (["--threshold", "much"], 2, "expected a number, such as 0.8"),
        (["--threshold", "head=0.8"], 2, "expected one of 'digit'"),
        (["--limit", "decision_changes<=20%"], 2, "expected one: --threshold 0.8"),
    ],
)
def test_the_threshold_of_the_user(
    file: Path,
    samples: Any,
    golden: Any,
    arrays: Arrays,
    command: Any,
    tmp_path: Path,
    options: list[str],
    code: int,
    message: str,
) -> None:
    assert golden(samples(arrays)).code == 0
    done = command("compare", file, "--golden", tmp_path / "golden.npz", *options)
    assert done.code == code, done.err
    assert message in done.err


def test_objects_are_printed(models: Path, command: Any, tmp_path: Path) -> None:
    decoder = DecodedBoxes(
        boxes="boxes",
        scores="scores",
        classes="classes",
        count="count",
        layout="yxyx",
        score_threshold=0.0,
    )
    path = tmp_path / "detector.tflite"
    content = (models / "detector.float32.tflite").read_bytes()
    path.write_bytes(write_tflite(content, Metadata(decoder=decoder, class_names=("cat", "dog"))))
    with edgekit.load(path) as runner:
        shape = runner.inputs[0].shape
    images = np.random.default_rng(1).random((2, *shape[1:]), np.float32)
    np.savez(tmp_path / "images.npz", x=images)
    out = tmp_path / "answers.npz"
    done = command("run", path, "--samples", tmp_path / "images.npz", "-o", out)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    with edgekit.load(path) as runner:
        found = [runner.detect(image) for image in images]
    assert any(found)
    assert len(lines) == sum(max(1, len(each)) for each in found)
    for number, each in enumerate(found):
        own = [line for line in lines if line.startswith(f"sample {number}: ")]
        for line, one in zip(own, each, strict=False):
            assert f"{one.name} {100 * one.score:.1f} %" in line
            assert ", ".join(f"{edge:.1f}" for edge in one.box) in line


def test_a_recipe_may_hold_the_budget(
    file: Path, samples: Any, golden: Any, arrays: Arrays, command: Any, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[export]\nschemes = ["int8"]\n[budget]\nlimits = ["size_bytes<=1 GB"]\n')
    assert golden(samples(arrays)).code == 0
    done = command("compare", file, "--golden", tmp_path / "golden.npz", "--budget", recipe)
    assert (done.code, done.json()["verdict"]) == (0, "pass")
    assert json.loads(done.out)["budget"]["limits"][0]["figure"] == "size_bytes"
    from edgekit.recipe import read_recipe

    budget = read_recipe(recipe).budget
    assert budget is not None
    assert budget.limits == ("size_bytes<=1 GB",)
