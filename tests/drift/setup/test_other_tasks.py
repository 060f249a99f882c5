"""Set-ups of every kind of task: what was slipped is named, what only guesses fails, and nothing else is accused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.drift.golden import Golden
from edgekit.drift.setup.finding import Finding
from edgekit.drift.setup.judged import check_looks, check_reference
from edgekit.formats.seen import CALIBRATION
from edgekit.samples import Samples
from edgekit.samples.profile import seen_of

Array = NDArray[Any]
RNG = np.random.default_rng(11)
COUNT, SIDE = 200, 8
X = RNG.uniform(0, 1, (COUNT, SIDE, SIDE, 3)).astype(np.float32)
# What each pixel belongs to, and a network that sees it through noise.
CLASSES = (X[..., 0] > 0.5).astype(int) + (X[..., 2] > 0.7)
GroundTruth = Callable[..., list[Finding]]


def softmax(scores: Array) -> Array:
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def pixels(x: Array) -> Array:
    kinds = (x[..., 0] > 0.5).astype(int) + (x[..., 2] > 0.7)
    return softmax(np.eye(3)[kinds] * 3)


def steps(x: Array) -> Array:
    """A token for each row: where it is brightest."""
    return softmax(20 * x.mean(3))


def groups(x: Array) -> Array:
    """Scores of several labels: the brightness of each column of blocks."""
    return 1 / (1 + np.exp(-60 * (x[..., 0].mean(1) - 0.5)))


def quantities(x: Array) -> Array:
    return np.stack([x[..., k].mean((1, 2)) * 10 ** (k + 1) for k in range(3)], 1)


@pytest.fixture
def found(make_runner: Any) -> GroundTruth:
    """`found(network, task, x, labels)`: what speaks against such samples."""

    def run(network: Callable[[Array], Array], task: str, x: Array, labels: Any) -> list[Finding]:
        shape = network(X[:2]).shape[1:]
        runner = make_runner(
            lambda image: {"y": network(image)},
            {"image": (None, *X.shape[1:])},
            {"y": (None, *shape)},
            "model.keras",
        )
        return list(check_reference(Golden.of(runner, Samples({"image": x}, labels), tasks=task)))

    return run


TOKENS = X.mean(3).argmax(-1)
GROUPS = (X[..., 0].mean(1) > 0.5).astype(int)
ODD = np.arange(COUNT) % 2 == 0
KINDS = np.arange(COUNT) % 5


def rebuilt(x: Array) -> Array:
    """Made again badly where the first pixel is odd."""
    return x + (x[:, :1, :1, :1] > 0.9) * 0.3


def marked() -> Array:
    x = X.copy()
    x[:, 0, 0, 0] = np.where(ODD, 0.95, 0.5)
    return x


def vectors(x: Array) -> Array:
    return x.reshape(len(x), -1)[:, :6] - 0.5


def clustered() -> Array:
    """Five kinds of samples, which the first numbers tell apart."""
    x = X.copy().reshape(COUNT, -1)
    x[:, :6] = np.random.default_rng(2).uniform(0, 1, (5, 6))[KINDS] + 0.02 * x[:, :6]
    return x.reshape(X.shape)


SOUND = {
    "segmentation": (pixels, X, CLASSES),
    "sequence": (steps, X, TOKENS),
    "multi-label": (groups, X, GROUPS),
    "regression": (quantities, X, quantities(X)),
    "anomaly": (rebuilt, marked(), ODD.astype(int)),
    "embedding": (vectors, clustered(), KINDS),
}


@pytest.mark.parametrize("task", SOUND)
def test_sound_samples_are_not_accused(found: GroundTruth, task: str) -> None:
    network, x, labels = SOUND[task]
    assert found(network, task, x, labels) == []


@pytest.mark.parametrize(
    ("task", "change", "words"),
    [
        ("segmentation", lambda x, y: (x * 255, y), "divided by 255"),
        ("segmentation", lambda x, y: (x[..., ::-1], y), "BGR"),
        ("segmentation", lambda x, y: (x, y[:, ::-1]), "upside down"),
        ("segmentation", lambda x, y: (x, (y + 1) % 3), "lowered by one"),
        ("sequence", lambda x, y: (x[:, ::-1], y), "upside down"),
        ("sequence", lambda x, y: (x, (y - 1) % SIDE), "raised by one"),
        ("multi-label", lambda x, y: (x, 1 - y), "yes and no"),
        ("multi-label", lambda x, y: (x, np.roll(y, 1, 1)), "lowered by one"),
        ("multi-label", lambda x, y: (x.swapaxes(1, 2), y), "height and width swapped"),
        ("regression", lambda x, y: (x, y * 25.4 - 3), "a factor and an offset"),
        ("regression", lambda x, y: (x, -y), "a factor and an offset"),
        ("regression", lambda x, y: (x, y[:, ::-1]), "columns of the labels in reverse"),
        ("anomaly", lambda x, y: (x, 1 - y), "yes and no of the labels swapped"),
        ("embedding", lambda x, y: (x[:, ::-1], y), "upside down"),
    ],
)
def test_a_slip_is_named_in_every_task(
    found: GroundTruth, task: str, change: Any, words: str
) -> None:
    network, x, labels = SOUND[task]
    said = found(network, task, *(np.ascontiguousarray(part) for part in change(x, labels)))
    assert [(f.kind, f.severity) for f in said] == [("slip", "fail")]
    assert words in said[0].sentence


@pytest.mark.parametrize("task", SOUND)
def test_labels_of_other_samples_are_guessing(found: GroundTruth, task: str) -> None:
    network, x, labels = SOUND[task]
    others = np.random.default_rng(3).permutation(COUNT)
    said = found(network, task, x, labels[others])
    assert [(f.kind, f.severity) for f in said] == [("chance", "fail")]
    assert "guessing" in said[0].sentence


def test_few_samples_again_and_again(found: GroundTruth) -> None:
    few = np.arange(COUNT) % 20
    (said,) = found(steps, "sequence", X[few], TOKENS[few])
    assert (said.kind, said.severity) == ("repeated_samples", "fail")
    assert "Only 20 of 200 samples are distinct" in said.sentence
    # Some that are blank are no reason to fail.
    some = np.where(np.arange(COUNT) < 20, 0, np.arange(COUNT))
    (said,) = found(steps, "sequence", X[some], TOKENS[some])
    assert (said.kind, said.severity) == ("repeated_samples", "warning")


def test_masks_with_255_in_place_of_a_class(found: GroundTruth) -> None:
    (said,) = found(pixels, "segmentation", X, np.where(CLASSES == 1, 255, CLASSES))
    assert (said.kind, said.severity) == ("missing_labels", "fail")
    assert "write 1 in its place" in said.sentence
    (said,) = found(pixels, "segmentation", X, np.full_like(CLASSES, 255))
    assert "All places of all masks are 255" in said.sentence
    # Edges that nobody labelled are left out with reason.
    edges = CLASSES.copy()
    edges[:, 0] = 255
    assert found(pixels, "segmentation", X, edges) == []


def test_a_number_that_stands_for_no_label(found: GroundTruth) -> None:
    labels = quantities(X)
    labels[::5] = -1
    (said,) = found(quantities, "regression", X, labels)
    assert (said.kind, said.severity) == ("missing_labels", "warning")
    assert "40 of 200 labels are -1" in said.sentence
    # A quantity that is zero at times, and found to be.
    dark = X.copy()
    dark[::5] *= 0
    dark[::5, 0, 0, 1] = np.linspace(0, 1e-6, 40)
    assert found(quantities, "regression", dark, quantities(dark).round(3)) == []


def test_rows_of_tokens_without_any(found: GroundTruth) -> None:
    labels = TOKENS.copy()
    labels[::5] = -1
    (said,) = found(steps, "sequence", X, labels)
    assert (said.kind, said.severity) == ("missing_labels", "warning")
    assert "40 of 200 samples have no token" in said.sentence


def test_neighbours_of_one_class_say_nothing(found: GroundTruth) -> None:
    (said,) = found(vectors, "embedding", clustered(), 0 * KINDS)
    assert (said.kind, said.severity) == ("one_class", "warning")


def test_rows_with_a_single_one_are_classes(found: GroundTruth) -> None:
    def kinds(x: Array) -> Array:
        return softmax(9 * x[:, 0, :5, 0])

    labels = np.eye(5, dtype=np.float32)[X[:, 0, :5, 0].argmax(1)]
    assert found(kinds, "classification", X, labels) == []
    (said,) = found(kinds, "classification", X, np.roll(labels, 1, 1))
    assert "each label lowered by one" in said.sentence


def test_an_autoencoder_is_not_accused_of_what_other_inputs_do_to_its_errors(
    found: GroundTruth,
) -> None:
    """The larger the inputs, the larger the errors of the bright ones."""
    x = X * np.where(ODD, 1.0, 0.6)[:, None, None, None].astype(np.float32)
    assert found(lambda image: np.clip(image, 0, 0.9), "anomaly", x, ODD.astype(int)) == []


def test_an_autoencoder_that_makes_nothing_of_its_samples(found: GroundTruth) -> None:
    """The scale is to blame, not labels whose errors come in the wrong order for it."""
    x, labels = marked(), ODD.astype(int)

    def bounded(image: Array) -> Array:
        return np.where((image < 0) | (image > 1), 0.5, rebuilt(image))

    assert found(bounded, "anomaly", x, labels) == []
    (said,) = found(bounded, "anomaly", x * 255, labels)
    assert (said.kind, said.severity) == ("slip", "fail")
    assert "divided by 255: error of the reconstruction" in said.sentence


@pytest.mark.parametrize("task", ["segmentation", "multi-label"])
def test_few_samples_name_a_slip_together(found: GroundTruth, task: str) -> None:
    network, x, labels = SOUND[task]
    (said,) = found(network, task, x[:30] * 255, labels[:30])
    assert "divided by 255" in said.sentence
    assert "on 30 samples, which is more than the luck of" in said.sentence
    assert found(network, task, x[:30], labels[:30]) == []


def test_anomalies_need_not_look_like_what_is_usual(make_runner: Any) -> None:
    x = marked()
    x[ODD, :, 4:] += 5
    seen = seen_of(Samples({"image": marked()}), CALIBRATION)
    runner = make_runner(
        lambda image: {"y": rebuilt(image)},
        {"image": (None, *X.shape[1:])},
        {"y": (None, *X.shape[1:])},
        "model.keras",
    )
    golden = Golden.of(runner, Samples({"image": x}, ODD.astype(int)), tasks="anomaly")
    assert check_looks(golden, [seen], "m.tflite") == []
    # Those that are usual do.
    golden = Golden.of(runner, Samples({"image": x}, 1 - ODD.astype(int)), tasks="anomaly")
    assert [f.kind for f in check_looks(golden, [seen], "m.tflite")] == ["statistics"]


def test_images_of_a_lower_resolution_are_warned_of(make_runner: Any) -> None:
    """Enlarged ones have neighbours of one value, whatever they show."""
    rng = np.random.default_rng(5)
    fine = rng.normal(size=(300, 24, 24, 1)).cumsum(1).cumsum(2).astype(np.float32)
    fine += 3 * rng.normal(size=fine.shape)
    coarse = fine[:, ::3, ::3].repeat(3, 1).repeat(3, 2)
    seen = seen_of(Samples({"image": fine[:150]}), CALIBRATION)
    runner = make_runner(
        lambda image: {"y": image.mean((1, 2))}, {"image": (None, 24, 24, 1)}, {"y": (None, 1)}
    )
    (said,) = check_looks(Golden.of(runner, Samples({"image": coarse})), [seen], "m.tflite")
    assert (said.kind, said.severity) == ("statistics", "warning")
    assert "neighbouring values differ by" in said.sentence
    assert check_looks(Golden.of(runner, Samples({"image": fine[150:]})), [seen], "m") == []
