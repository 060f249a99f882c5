"""The reference is judged first: guessing, slips, what its training recorded, what its samples look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.drift.golden import Golden
from edgekit.drift.setup.finding import Finding
from edgekit.drift.setup.judged import check_reference, score_of
from edgekit.drift.setup.reference import Normalised
from edgekit.errors import DocumentError
from edgekit.formats.seen import TRAINING, Seen
from edgekit.preprocess import Preprocessing, Resize
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples, save_npz
from edgekit.samples.profile import seen_of

from .conftest import CLASSES, SIDE, Pictures

GoldenOf = Callable[..., Golden]
MakeRunner = Callable[..., Runner]


def only(golden: Golden) -> Finding:
    (finding,) = check_reference(golden)
    return finding


def recorded(pictures: Pictures, accuracy: float | None = None) -> Seen:
    x, _ = pictures.draw(500, 9)
    seen = seen_of(Samples({"image": x}), TRAINING)
    return replace(seen, accuracy=accuracy, accuracy_count=accuracy and 1000)


def test_a_clean_set_up_is_not_accused(golden_of: GoldenOf, pictures: Pictures) -> None:
    golden = golden_of(*pictures.draw(400), seen=(recorded(pictures, 0.97),))
    assert check_reference(golden) == ()
    assert score_of(golden).startswith("accuracy 9")
    assert golden.setup is not None
    assert golden.setup.probed is not None
    assert golden.setup.probed.slip is None


@pytest.mark.parametrize(
    ("broken", "slip", "words"),
    [
        (lambda x, y: (x, (y + 1) % CLASSES), "labels_minus_one", "each label lowered by one"),
        (lambda x, y: (x, (y - 1) % CLASSES), "labels_plus_one", "each label raised by one"),
        (lambda x, y: (x, CLASSES - 1 - y), "labels_reversed", "order of classes reversed"),
        (
            lambda x, y: (x, np.array(sorted(range(CLASSES), key=str))[y]),
            "labels_to_text_order",
            '("10" before "2")',
        ),
        (lambda x, y: (x[..., ::-1], y), "channels_reversed", "BGR for RGB"),
        (lambda x, y: (x.swapaxes(1, 2), y), "transposed", "height and width swapped"),
        (
            lambda x, y: (np.moveaxis(x, -1, 1).reshape(x.shape), y),
            "from_nchw",
            "read with the channels first",
        ),
        (
            lambda x, y: (np.moveaxis(x.reshape(-1, 3, SIDE, SIDE), 1, -1), y),
            "to_nchw",
            "read with the channels last",
        ),
        (lambda x, y: (x * 255, y), "divided_by_255", "the inputs divided by 255"),
        (lambda x, y: (x / 255, y), "multiplied_by_255", "the inputs multiplied by 255"),
        (lambda x, y: (2 * x - 1, y), "signed_to_unit", "scaled from -1..1 to 0..1"),
    ],
)
def test_a_slip_is_named_with_both_figures(
    golden_of: GoldenOf, pictures: Pictures, broken: Any, slip: str, words: str
) -> None:
    x, labels = pictures.draw(400)
    golden = golden_of(*broken(x, labels))
    finding = only(golden)
    assert (finding.kind, finding.severity) == ("slip", "fail")
    assert words in finding.sentence
    before, after = finding.figures
    assert before.value is not None
    assert after.value is not None
    assert after.value > before.value + 0.2
    assert f"accuracy {100 * after.value:.1f} % in place of {100 * before.value:.1f} %" in (
        finding.sentence
    )
    assert golden.setup is not None
    assert golden.setup.probed is not None
    assert golden.setup.probed.slip == slip
    # Counted apart: the half that tested has what the slip, taken back, gives there.
    right = (pictures.scores(x).argmax(1) == labels).mean()
    assert after.value == pytest.approx(right, abs=0.06)


def test_a_few_samples_name_no_slip(golden_of: GoldenOf, pictures: Pictures) -> None:
    x, labels = pictures.draw(13)
    golden = golden_of(x, (labels + 1) % CLASSES)
    assert golden.setup is not None
    assert golden.setup.probed is None
    # None of thirteen is right, which leaves little doubt.
    assert only(golden).kind == "chance"


def test_a_model_that_guesses_fails(make_runner: MakeRunner) -> None:
    rng = np.random.default_rng(0)
    runner = make_runner(lambda x: {"scores": x[:, :3]})
    golden = Golden.of(
        runner, Samples({"x": rng.random((300, 4)).astype(np.float32)}, rng.integers(0, 3, 300))
    )
    finding = only(golden)
    assert (finding.kind, finding.severity) == ("chance", "fail")
    assert "no better than guessing" in finding.sentence
    assert "guessing gives 33." in finding.sentence


def test_one_that_always_answers_the_frequent_class_fails(make_runner: MakeRunner) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(1000) < 0.05).astype(int)
    runner = make_runner(lambda x: {"scores": np.tile([1.0, 0, 0], (len(x), 1))})
    golden = Golden.of(runner, Samples({"x": rng.random((1000, 4)).astype(np.float32)}, labels))
    finding = only(golden)
    assert (finding.kind, finding.severity) == ("chance", "fail")
    assert "answers class 0 to every one" in finding.sentence
    # With two of the other class, any model may miss both.
    few = np.flatnonzero(labels)[2:]
    kept = np.setdiff1d(np.arange(1000), few)
    some = golden.samples[kept]
    assert only(Golden.of(runner, some)).kind == "few_samples"


def test_a_rare_class_that_is_known_is_not_guessed(make_runner: MakeRunner) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.02).astype(int)
    x = rng.random((400, 4)).astype(np.float32)
    x[:, 0] += 0.6 * labels
    runner = make_runner(
        lambda x: {"scores": np.stack([0 * x[:, 0] + 1.0, x[:, 0], 0 * x[:, 0]], 1)}
    )
    golden = Golden.of(runner, Samples({"x": x}, labels))
    assert check_reference(golden) == ()


def test_labels_of_one_class_are_said_to_be_that(golden_of: GoldenOf, pictures: Pictures) -> None:
    x, labels = pictures.draw(600)
    finding = only(golden_of(x[labels == 4], labels[labels == 4]))
    assert (finding.kind, finding.severity) == ("one_class", "warning")
    assert "labels are class 4 of 12" in finding.sentence


def test_fewer_samples_than_classes(golden_of: GoldenOf, pictures: Pictures) -> None:
    finding = only(golden_of(*pictures.draw(8)))
    assert (finding.kind, finding.severity) == ("few_samples", "warning")
    assert "fewer samples (8) than classes (12)" in finding.sentence


def test_no_labels_say_nothing(golden_of: GoldenOf, pictures: Pictures) -> None:
    golden = golden_of(pictures.draw(50)[0])
    assert check_reference(golden) == ()
    assert score_of(golden) == ""


@pytest.mark.parametrize(("accuracy", "severity"), [(0.97, None), (1.0, "warning"), (0.5, None)])
def test_what_the_training_recorded(
    golden_of: GoldenOf, pictures: Pictures, accuracy: float, severity: str | None
) -> None:
    x, labels = pictures.draw(2000)
    wrong = np.flatnonzero(pictures.scores(x).argmax(1) == labels)
    # 97 % are right.
    labels[wrong[: len(wrong) - round(0.97 * 2000)]] += 1
    golden = golden_of(x, labels % CLASSES, seen=(recorded(pictures, accuracy),))
    found = check_reference(golden)
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    if severity:
        assert "right on 97.0 % of 2000 samples" in found[0].sentence
        assert "training recorded 100.0 % (of 1000)" in found[0].sentence


def test_far_below_what_the_training_recorded_fails(
    golden_of: GoldenOf, pictures: Pictures
) -> None:
    x, labels = pictures.draw(400)
    labels[::4] = (labels[::4] + 5) % CLASSES
    finding = only(golden_of(x, labels, seen=(recorded(pictures, 0.97),)))
    assert (finding.kind, finding.severity) == ("trained_accuracy", "fail")
    assert "--allow-setup" in finding.sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x * 255, "with the inputs divided by 255: they go from 0 to 255"),
        (lambda x: x[..., ::-1], "with the channels in reverse order"),
        (lambda x: x.swapaxes(1, 2), "with height and width swapped"),
        (
            lambda x: np.moveaxis(x, -1, 1).reshape(x.shape),
            "with the bytes read with the channels first",
        ),
        (lambda x: np.random.default_rng(0).random(x.shape), "those of the training"),
    ],
)
def test_without_labels_the_looks_are_warned_of(
    golden_of: GoldenOf, pictures: Pictures, change: Any, words: str
) -> None:
    x = change(pictures.draw(300)[0]).astype(np.float32)
    finding = only(golden_of(x, seen=(recorded(pictures),)))
    assert (finding.kind, finding.severity) == ("statistics", "warning")
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Normalised("normal", 255.0, 3.0), "255 times larger"),
        (Normalised("normal", 1 / 255, 3.0), "255 times smaller"),
        (Normalised("normal", 1.5, 20.0), "a mean 20 standard deviations away"),
        (Normalised("normal", 2.0, 2.0), None),
    ],
)
def test_what_a_layer_learned(
    golden_of: GoldenOf, pictures: Pictures, found: Normalised, words: str | None
) -> None:
    golden = golden_of(pictures.draw(50)[0])
    assert golden.setup is not None
    golden = replace(golden, setup=replace(golden.setup, normalised=found))
    sentences = [finding.sentence for finding in check_reference(golden)]
    assert len(sentences) == bool(words)
    assert not words or words in sentences[0]


def test_samples_of_the_training_are_found_again(golden_of: GoldenOf, pictures: Pictures) -> None:
    x, labels = pictures.draw(500, 9)
    finding = only(golden_of(x, labels, seen=(recorded(pictures),)))
    assert (finding.kind, finding.severity) == ("same_samples", "warning")
    assert "All of the 500 samples, or nearly all, of the training" in finding.sentence


@pytest.mark.parametrize(
    ("stored", "fits"), [("nearest", "area"), ("bilinear", None), ("nearest", "bilinear")]
)
def test_another_way_of_resizing(
    model: Callable[..., Runner], pictures: Pictures, stored: str, fits: str | None
) -> None:
    """Raw pictures four times as wide, whose grain only a mean of pixels takes away."""
    x, labels = pictures.draw(400)
    x = pictures.templates[labels].repeat(4, 1).repeat(4, 2)
    x = (x + np.random.default_rng(0).normal(0, 1.5, x.shape)).astype(np.float32)
    steps = Preprocessing((Resize(SIDE, SIDE, stored),))
    runner = model(preprocessing={"image": steps})
    golden = Golden.of(runner, Samples({"image": x}, labels))
    assert golden.setup is not None
    assert golden.setup.probed is not None
    # The mean of sixteen pixels is better than that of four, and both than one.
    assert golden.setup.probed.slip == "resized_area"
    assert "resized by 'area'" in only(golden).sentence
    assert fits is None or golden.setup.probed.taken_back is not None


def test_a_regression_far_off_its_labels_fails(make_runner: MakeRunner) -> None:
    rng = np.random.default_rng(0)
    x = rng.random((200, 4)).astype(np.float32)
    labels = x[:, :1] * 10
    runner = make_runner(lambda x: {"y": x[:, :1] * 10}, outputs={"y": (None, 1)})
    clean = Golden.of(runner, Samples({"x": x}, labels))
    assert check_reference(clean) == ()
    assert score_of(clean) == "mean absolute error 0 (95 % interval 0 to 0)"
    slipped = only(Golden.of(runner, Samples({"x": x * 255}, labels)))
    assert slipped.kind == "slip"
    assert "mean absolute error" in slipped.sentence
    assert "divided by 255" in slipped.sentence
    unit = only(Golden.of(runner, Samples({"x": x}, labels * 25.4 + 100)))
    assert (unit.kind, unit.severity) == ("slip", "fail")
    assert "a factor and an offset for each column of the labels" in unit.sentence
    off = only(Golden.of(runner, Samples({"x": x}, np.sin(labels * 40))))
    assert (off.kind, off.severity) == ("chance", "fail")
    assert "worse than guessing" in off.sentence


def test_two_inputs_that_are_swapped(make_runner: MakeRunner) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 200, 3)).astype(np.float32)
    labels = np.argmax(left - right, 1)
    runner = make_runner(
        lambda left, right: {"scores": left - right},
        {"left": (None, 3), "right": (None, 3)},
        {"scores": (None, 3)},
        "model.keras",
    )
    assert check_reference(Golden.of(runner, Samples({"left": left, "right": right}, labels))) == ()
    found = only(Golden.of(runner, Samples({"left": right, "right": left}, labels)))
    assert "two inputs given in place of one another (input 'left, right')" in found.sentence


def test_it_is_in_the_golden_file(golden_of: GoldenOf, pictures: Pictures, tmp_path: Path) -> None:
    x, labels = pictures.draw(400)
    golden = golden_of(x[..., ::-1], labels, seen=(recorded(pictures, 0.97),))
    saved = golden.save(tmp_path / "g.npz")
    loaded = Golden.load(tmp_path / "g.npz")
    assert loaded.setup == saved.setup == golden.setup
    assert check_reference(loaded) == check_reference(golden)


@pytest.mark.parametrize("name", ["input/image", "labels"])
def test_samples_that_were_changed_since_are_refused(
    golden_of: GoldenOf, pictures: Pictures, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "g.npz"
    golden_of(*pictures.draw(40)).save(path)
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = arrays[name][::-1].copy()
    save_npz(path, arrays)
    with pytest.raises(DocumentError, match="changed since 'edgekit golden' made it"):
        Golden.load(path)


def test_a_golden_of_an_earlier_version_is_judged_by_its_labels(
    golden_of: GoldenOf, pictures: Pictures
) -> None:
    x, labels = pictures.draw(400)
    golden = replace(golden_of(x, (labels + 1) % CLASSES), setup=None)
    assert only(golden).kind == "chance"
