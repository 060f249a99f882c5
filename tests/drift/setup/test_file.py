"""Files: another model's, wrong calibration, inverted scores, and what is merely to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.drift.budget import DriftBudget
from edgekit.drift.compare import compare
from edgekit.drift.drift import Drift
from edgekit.drift.golden import Golden
from edgekit.drift.setup.finding import Finding
from edgekit.formats.seen import CALIBRATION, FINE_TUNING
from edgekit.preprocess import Preprocessing, Rescale
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.profile import seen_of
from edgekit.tensor import QuantParams

from .conftest import CLASSES, SIDE, Pictures

Array = NDArray[Any]
MakeRunner = Callable[..., Runner]
LIMIT = DriftBudget(max_accuracy_drop=0.01)
FILE = "model.int8.tflite"


@pytest.fixture(scope="module")
def labelled(pictures: Pictures) -> tuple[Array, Array]:
    return pictures.draw(400)


@pytest.fixture
def golden(golden_of: Callable[..., Golden], labelled: tuple[Array, Array]) -> Golden:
    return golden_of(*labelled)


def noisy(pictures: Pictures, db: float) -> Callable[[Array], Array]:
    """The model's scores with noise of so many decibels below what they have to tell."""

    def scores(image: Array) -> Array:
        answers = pictures.scores(image)
        spread = np.sqrt(np.square(answers - answers.mean(0)).mean())
        rng = np.random.default_rng(int(1e4 * float(image.sum())) % 2**31)
        return answers + rng.normal(size=answers.shape) * spread * 10 ** (-db / 20)

    return scores


def found(drift: Drift) -> list[Finding]:
    assert drift.setup is not None
    return list(drift.setup.findings)


def test_a_clean_file_is_not_accused(golden: Golden, model: MakeRunner, pictures: Pictures) -> None:
    x, _ = pictures.draw(100, 5)
    runner = model(
        FILE,
        noisy(pictures, 30),
        source_sha256=golden.reference.sha256,
        seen=(seen_of(Samples({"image": x}), CALIBRATION),),
    )
    drift = compare(golden, runner, DriftBudget(max_accuracy_drop=0.05))
    assert found(drift) == []
    assert drift.verdict == "pass"


def test_answers_that_have_nothing_to_do_with_the_originals(
    golden: Golden, model: MakeRunner
) -> None:
    rng = np.random.default_rng(0)
    other = rng.normal(size=(SIDE * SIDE * 3, CLASSES))
    drift = compare(golden, model(FILE, lambda image: image.reshape(len(image), -1) @ other), LIMIT)
    (finding,) = [f for f in found(drift) if f.kind == "another_model"]
    assert finding.severity == "fail"
    assert "nothing to do with the original's" in finding.sentence
    (candidate,) = drift.candidates
    assert candidate.verdict == "fail"
    assert candidate.reasons[0] == f"set-up: {finding.sentence}"


def test_another_model_of_the_same_task(
    golden: Golden, model: MakeRunner, pictures: Pictures
) -> None:
    """Right as often, on other samples: agreement and drop alone would leave it open."""
    runner = model(FILE, noisy(pictures, 10), source_sha256="ab" * 32)
    (finding,) = [f for f in found(compare(golden, runner, LIMIT)) if f.kind == "another_model"]
    assert finding.severity == "fail"
    assert "The file is another model's" in finding.sentence
    assert "abababababab…" in finding.sentence
    alike = model(FILE, noisy(pictures, 40), source_sha256="ab" * 32)
    drift = compare(golden, alike, DriftBudget(max_accuracy_drop=0.05))
    assert [(f.kind, f.severity) for f in found(drift)] == [("another_model", "warning")]
    assert drift.verdict == "pass"


def test_it_may_be_let_be(golden: Golden, model: MakeRunner, pictures: Pictures) -> None:
    runner = model(FILE, noisy(pictures, 12), source_sha256="ab" * 32)
    budget = DriftBudget(max_accuracy_drop=0.2)
    assert compare(golden, runner, budget).verdict == "fail"
    allowed = compare(golden, runner, budget, allow_setup=True)
    assert allowed.verdict == "pass"
    assert any("another model's" in text for text in allowed.candidates[0].warnings)


@pytest.mark.parametrize(("db", "severity"), [(8, "fail"), (30, "warning")])
def test_calibration_on_noise(
    golden: Golden, model: MakeRunner, pictures: Pictures, db: float, severity: str
) -> None:
    noise = np.random.default_rng(0).random((200, SIDE, SIDE, 3)).astype(np.float32)
    runner = model(
        FILE,
        noisy(pictures, db),
        source_sha256=golden.reference.sha256,
        seen=(seen_of(Samples({"image": noise}), CALIBRATION),),
    )
    drift = compare(golden, runner, DriftBudget(max_accuracy_drop=0.2))
    finding = found(drift)[0]
    assert (finding.kind, finding.severity) == (
        "calibration" if severity == "fail" else "statistics",
        severity,
    )
    assert "those of the calibration" in finding.sentence
    assert drift.verdict == ("fail" if severity == "fail" else "pass")


@pytest.mark.parametrize(
    ("scale", "words"), [(1 / 600, "beyond it"), (1.0, "they use 0.4 % of it")]
)
def test_a_quantised_input_of_another_range(
    golden: Golden, model: MakeRunner, pictures: Pictures, scale: float, words: str
) -> None:
    runner = model(FILE, noisy(pictures, 8), source_sha256=golden.reference.sha256)
    params = QuantParams((scale,), (-128,), None)
    runner.inputs = (replace(runner.inputs[0], dtype="int8", quantization=params),)
    runner._encoders = [lambda x: np.asarray(x, np.float32)]
    finding = found(compare(golden, runner, LIMIT))[0]
    assert (finding.kind, finding.severity) == ("calibration", "fail")
    assert words in finding.sentence


def test_a_detector_with_inverted_scores(make_runner: MakeRunner) -> None:
    """Boxes of hundreds of pixels hide a score from 0 to 1 in one ratio of the whole."""
    rng = np.random.default_rng(0)
    x = rng.random((60, 4)).astype(np.float32)

    def boxes(x: Array, sign: float = 1.0) -> dict[str, Array]:
        corners = np.repeat(x[:, None, :] * 300, 5, 1) + np.arange(5)[None, :, None]
        score = 0.5 + sign * (x[:, None, :1] - 0.5) * np.linspace(0.5, 1, 5)[None, :, None]
        return {"boxes": np.concatenate([corners, score], -1)}

    shape = {"boxes": (None, 5, 5)}
    golden = Golden.of(make_runner(boxes, outputs=shape, name="m.keras"), Samples({"x": x}))
    file = make_runner(lambda x: boxes(x, -1.0), outputs=shape)
    drift = compare(golden, file, DriftBudget(min_sqnr_db=20))
    assert drift.candidates[0].sqnr_db is not None
    assert drift.candidates[0].sqnr_db > 20
    (finding,) = found(drift)
    assert (finding.kind, finding.severity) == ("inverted", "fail")
    assert "channel 4 of 5" in finding.sentence
    assert drift.verdict == "fail"
    assert found(compare(golden, make_runner(boxes, outputs=shape), DriftBudget())) == []


def test_a_preparation_of_its_own(golden: Golden, model: MakeRunner) -> None:
    steps = {"image": Preprocessing((Rescale(1 / 255),))}
    runner = model(FILE, source_sha256=golden.reference.sha256, preprocessing=steps)
    (finding,) = found(compare(golden, runner))
    assert (finding.kind, finding.severity) == ("preparation", "warning")
    assert "taken as they are" in finding.sentence


def test_samples_that_served_already(
    golden: Golden, model: MakeRunner, labelled: tuple[Array, Array], pictures: Pictures
) -> None:
    x, _ = labelled
    fresh, _ = pictures.draw(400, 6)
    half = np.concatenate([x[:50], fresh[:50]])
    runner = model(
        FILE,
        source_sha256=golden.reference.sha256,
        seen=(
            seen_of(Samples({"image": x[:40]}), CALIBRATION),
            seen_of(Samples({"image": half}), FINE_TUNING),
            seen_of(Samples({"image": fresh}), CALIBRATION),
        ),
    )
    first, second = found(compare(golden, runner))
    assert {first.kind, second.kind} == {"same_samples"}
    assert "40 of the 40 samples of the calibration" in first.sentence
    assert "of the 100 samples of the fine-tuning" in second.sentence
    about = int(second.sentence.split()[1])
    assert 35 <= about <= 65


def test_gains_that_luck_does_not_explain(make_runner: MakeRunner) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((400, 4)).astype(np.float32)
    labels = x[:, :3].argmax(1)
    blunt = make_runner(
        lambda x: {"scores": x[:, :3] * (1 + 0.4 * np.sin(1e6 * x[:, 1:]))}, name="m.keras"
    )
    # Unprobed: with larger inputs this model would be better too, which explains the gain.
    golden = replace(Golden.of(blunt, Samples({"x": x}, labels)), setup=None)
    drift = compare(golden, make_runner(lambda x: {"scores": x[:, :3]}), LIMIT)
    kinds = {f.kind: f for f in found(drift)}
    assert kinds["gain"].severity == "warning"
    assert "a conversion does not make a model better" in kinds["gain"].sentence


def test_changes_that_cancel_out(make_runner: MakeRunner) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((400, 4)).astype(np.float32)
    labels = (x[:, :3] + rng.normal(0, 0.3, (400, 3))).argmax(1)
    golden = Golden.of(
        make_runner(lambda x: {"scores": x[:, :3]}, name="m.keras"), Samples({"x": x}, labels)
    )

    def moved(x: Array) -> dict[str, Array]:
        return {"scores": x[:, :3] + 0.15 * np.sin(1000 * x[:, 1:])}

    drift = compare(golden, make_runner(moved), LIMIT)
    task = drift.candidates[0].task
    assert task.agreement is not None
    assert task.drop is not None
    assert task.agreement < 0.9
    assert abs(task.drop) < 0.02
    (finding,) = [f for f in found(drift) if f.kind == "agreement"]
    assert finding.severity == "warning"
    assert "--min-agreement" in finding.sentence


def test_a_slip_of_the_samples_explains_what_it_does_to_files(
    golden_of: Callable[..., Golden], model: MakeRunner, pictures: Pictures
) -> None:
    x, labels = pictures.draw(400)
    golden = golden_of(x * 255, labels)
    runner = model(
        FILE,
        noisy(pictures, 8),
        source_sha256=golden.reference.sha256,
        seen=(seen_of(Samples({"image": pictures.draw(100, 5)[0]}), CALIBRATION),),
    )
    drift = compare(golden, runner, LIMIT)
    assert [f.kind for f in found(drift)] == ["slip"]
    assert drift.candidates[0].reasons[0] == (
        "set-up: the reference proves nothing (slip, see there)."
    )


def test_it_is_in_the_document(
    golden_of: Callable[..., Golden], model: MakeRunner, pictures: Pictures, validate: Any
) -> None:
    x, labels = pictures.draw(400)
    golden = golden_of(x, (labels + 1) % CLASSES)
    drift = compare(golden, model(FILE), LIMIT)
    content = validate(drift.to_json())
    assert content["setup"]["findings"][0]["kind"] == "slip"
    assert Drift.from_json(content).setup == drift.setup
    # One of an earlier version has none.
    del content["setup"]
    assert Drift.from_json(content).setup is None
