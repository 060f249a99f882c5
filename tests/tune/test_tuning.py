"""Whole studies: trained, exported, measured, written down, and run again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support import children

from edgekit import document
from edgekit.cli import main
from edgekit.errors import TrainingError, UsageError
from edgekit.recipe import read_recipe
from edgekit.report import write_report
from edgekit.train.trainer import load_splits, train
from edgekit.tune.trial import GivenUpError, run_trial
from edgekit.tune.tuning import tune

Write = Callable[..., Path]


def test_a_study_is_run_written_and_gone_on_with(recipe: Write, tmp_path: Path) -> None:
    lines: list[str] = []
    tuning = tune(recipe(), tmp_path / "s", progress=lines.append)
    assert lines[0].startswith("trial 0: training.learning_rate ")
    written = document.load(tmp_path / "s" / "tuning.json")
    assert written == tuning
    assert [trial.state for trial in tuning.trials] == ["complete"] * 3
    (best,) = tuning.best
    accuracies = [(trial.values or {})["accuracy"] for trial in tuning.trials]
    assert accuracies[best.number] == max(accuracies)

    # The recipe beside the best model makes that model again.
    folder = tmp_path / "s" / "trials" / f"{best.number:04}"
    found = read_recipe(folder / "recipe.toml")
    assert found.tune is None
    assert found.model.width == best.parameters["model.width"]
    again = train(load_splits(found.data), found, tmp_path / "again.keras")  # type: ignore[arg-type]
    assert again.validation_accuracy == max(accuracies)

    lines.clear()
    assert tune(recipe(), tmp_path / "s", progress=lines.append) == tuning
    assert len(lines) == 1
    more = tune(recipe(), tmp_path / "s", trials=4)
    assert more.trials[:3] == tuning.trials
    assert len(more.trials) == 4


def test_a_trial_that_is_given_up_leaves_nothing(recipe: Write, tmp_path: Path) -> None:
    found = read_recipe(recipe())

    def give_up(_: Any) -> None:
        raise GivenUpError

    with pytest.raises(GivenUpError):
        run_trial(load_splits(found.data), found, tmp_path / "t", "model", ["accuracy"], give_up)
    assert not [path for path in (tmp_path / "t").glob("*") if path.name != "model.log.csv"]


@pytest.mark.slow
def test_the_example_searches_what_will_be_deployed(digits: Any, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "examples" / "tune_digits.toml").read_text()
    digits.validation.save(tmp_path / "digits.npz")
    for old, new in (("../build/demo/digits.train.npz", "digits.npz"), ("s = 10\n", "s = 2\n")):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "study.toml").write_text(text)
    tuning = tune(tmp_path / "study.toml", tmp_path / "s", trials=2)
    content = json.loads(document.dumps(tuning.to_json()))
    jsonschema.validate(content, document.json_schema("tuning"))
    assert tuning.front
    for trial in tuning.best:
        folder = tmp_path / "s" / "trials" / f"{trial.number:04}"
        (file,) = trial.files
        assert trial.values is not None
        assert trial.model is not None
        assert (folder / file.file).stat().st_size == trial.values["size_bytes"]
        assert (folder / trial.model.path).exists()
        assert not (folder / "manifest.json").exists()
        assert 0 < trial.values["int8_accuracy"] <= 1
        assert trial.values["latency_ms"] > 0
    path = tmp_path / "s" / "tuning.json"
    report = write_report([path], tmp_path / "report.html")
    assert report.tuning == tuning


def test_a_trial_that_fails_is_told_and_the_study_goes_on(recipe: Write, tmp_path: Path) -> None:
    path = recipe(trials=2)
    path.write_text(path.read_text() + '"model.name" = {choices = ["cnn", "resnet8"]}')
    with pytest.raises(TrainingError, match=r"none of 2 trials ended well.*expected images"):
        tune(path, tmp_path / "s")
    content = document.load(tmp_path / "s" / "tuning.json").to_json()
    assert [row["state"] for row in content["trials"]] == ["failed"] * 2
    assert content["front"] == []


def test_two_processes_share_the_trials(recipe: Write, tmp_path: Path) -> None:
    lines: list[str] = []
    tuning = tune(recipe(trials=3), tmp_path / "s", workers=2, progress=lines.append)
    assert [trial.state for trial in tuning.trials] == ["complete"] * 3
    assert not any("edgekit: " in line for line in lines)


def test_all_who_share_a_study_end_with_the_same_result(recipe: Write, tmp_path: Path) -> None:
    words = ["tune", str(recipe(trials=3)), "-o", str(tmp_path / "s"), "--workers", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with (
        children.python("-m", "edgekit", *words, **pipes) as one,
        children.python("-m", "edgekit", *words, **pipes) as other,
    ):
        told = [process.communicate(timeout=300) for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], told
    documents = [json.loads(out) for out, _ in told]
    assert documents[0] == documents[1]
    assert [row["state"] for row in documents[0]["trials"]] == ["complete"] * 3


def test_a_study_goes_on_when_there_is_room_again(recipe: Write, tmp_path: Path) -> None:
    path = recipe(trials=1)
    # A limit for the size of files stands for a full disk: the same calls fail.
    full = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192));"
        "from edgekit.cli import main; sys.exit(main())"
    )
    words = ["-c", full, "tune", path, "-o", tmp_path / "s"]
    with children.python(*words, stderr=subprocess.PIPE, text=True) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "File too large" in err
    assert "bug" not in err
    tuning = tune(path, tmp_path / "s")
    assert [trial.state for trial in tuning.trials] == ["lost", "complete"]
    assert not list((tmp_path / "s" / "trials").glob(".*"))


def test_an_interrupted_study_is_kept(recipe: Write, tmp_path: Path) -> None:
    words = ["tune", str(recipe("pruning = false", epochs=100_000)), "-o", str(tmp_path / "s")]
    with children.python("-m", "edgekit", *words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline().startswith("trial 0: ")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert (tmp_path / "s" / "study.journal").exists()
    assert list((tmp_path / "s" / "trials").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "telling"),
    [
        ([], "has no [tune] table"),
        (["--executor", "rya"], "rya"),
        (["--address", "127.0.0.1:1"], "only the executor 'ray' has one"),
        (["--trials", "0"], "trials: received 0"),
    ],
)
def test_wrong_usage(
    recipe: Write,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    telling: str,
) -> None:
    path = recipe()
    if not words:
        path.write_text(path.read_text().split("[tune]")[0])
    assert main(["tune", str(path), "-o", str(tmp_path / "s"), *words]) == 2
    assert telling in capfd.readouterr().err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("package", ["optuna", "tomli_w"])
def test_without_its_packages_the_extra_is_named(
    package: str,
    recipe: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["tune", str(recipe()), "-o", str(tmp_path / "s")]) == 4
    assert "edgekit-keras[tune]" in capfd.readouterr().err
    assert not (tmp_path / "s").exists()


def test_an_unknown_executor(recipe: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'processes' or 'ray'"):
        tune(recipe(), tmp_path / "s", executor="threads")
