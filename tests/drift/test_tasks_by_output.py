"""Several outputs with tasks and labels of their own, detectors with labels, and thresholds: golden to verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

from edgekit.detection import DecodedBoxes
from edgekit.drift.budget import DriftBudget
from edgekit.drift.candidate import Candidate
from edgekit.drift.compare import compare
from edgekit.drift.figure import Figure
from edgekit.drift.golden import Golden
from edgekit.drift.limit import Limit
from edgekit.drift.setup.judged import check_reference, score_of
from edgekit.errors import SamplesError, TensorError, UsageError
from edgekit.formats.metadata import Metadata
from edgekit.preprocess import Preprocessing, Resize
from edgekit.samples import Samples

Array = NDArray[Any]
RNG = np.random.default_rng(8)


def figure(candidate: Candidate, name: str, output: str, group: str = "") -> Figure:
    (found,) = (
        f for f in candidate.figures if (f.name, f.output, f.group) == (name, output, group)
    )
    return found


@pytest.fixture(scope="module")
def two_heads(make_runner: Any) -> tuple[Any, Any, Samples]:
    w, v = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2))
    outputs = {"kind": (None, 3), "amount": (None, 2)}

    def heads(noise: float) -> Any:
        def model(x: Array) -> dict[str, Array]:
            shaken = x + noise * np.sin(7 * x)
            return {"kind": shaken @ w, "amount": shaken @ v}

        return model

    x = RNG.normal(size=(90, 4)).astype(np.float32)
    labels = {"kind": (x @ w).argmax(1), "amount": x @ v + RNG.normal(0, 0.3, (90, 2))}
    return (
        make_runner(heads(0), outputs=outputs, name="model.keras"),
        make_runner(heads(0.2), outputs=outputs),
        Samples({"x": x}, output_labels=labels),
    )


def test_each_output_has_figures_of_its_own(two_heads: Any, tmp_path: Path) -> None:
    original, file, samples = two_heads
    golden = Golden.of(original, samples)
    assert (golden.task, golden.task_output) == ("classification", "kind")
    assert golden.others == {"amount": "regression"}
    golden.save(tmp_path / "g.npz")
    loaded = Golden.load(tmp_path / "g.npz")
    assert loaded.others == golden.others
    for name, labels in golden.samples.output_labels.items():
        np.testing.assert_array_equal(loaded.samples.output_labels[name], labels)
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "g.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    (candidate,) = compare(loaded, file).candidates
    raw = file.infer_batch(samples.inputs)
    wanted = samples.output_labels
    right = raw["kind"].argmax(1) == wanted["kind"]
    assert figure(candidate, "accuracy", "kind").value == pytest.approx(right.mean())
    error = np.abs(raw["amount"] - wanted["amount"]).mean()
    assert figure(candidate, "mae", "amount").value == pytest.approx(error)
    assert figure(candidate, "mae", "amount", "target=1").value is not None
    assert score_of(loaded).startswith("kind: accuracy 100.0 %")
    assert "amount: mean absolute error" in score_of(loaded)


def test_limits_name_an_output(two_heads: Any) -> None:
    original, file, samples = two_heads
    golden = Golden.of(original, samples)
    limits = tuple(map(Limit.parse, ("accuracy_drop[kind]<=20%", "mae[amount]<=10")))
    (candidate,) = compare(golden, file, DriftBudget(limits=limits)).candidates
    assert candidate.verdict in ("pass", "inconclusive")
    with pytest.raises(UsageError, match="expected one of 'kind', 'amount'"):
        compare(golden, file, DriftBudget(limits=(Limit.parse("accuracy[kid]>=0"),)))


def test_labels_that_were_changed_are_found(two_heads: Any, tmp_path: Path) -> None:
    original, _, samples = two_heads
    Golden.of(original, samples).save(tmp_path / "g.npz")
    with np.load(tmp_path / "g.npz") as archive:
        arrays = dict(archive)
    arrays["labels/amount"] = arrays["labels/amount"] + 1
    np.savez(tmp_path / "g.npz", **arrays)
    with pytest.raises(Exception, match="were changed since"):
        Golden.load(tmp_path / "g.npz")


def test_a_task_that_was_asked_for(two_heads: Any) -> None:
    original, file, samples = two_heads
    golden = Golden.of(original, Samples(samples.inputs), tasks={"kind": "embedding"})
    assert (golden.task, golden.task_output) == ("embedding", "kind")
    (candidate,) = compare(golden, file).candidates
    assert figure(candidate, "neighbour_agreement", "kind").value is not None
    with pytest.raises(UsageError, match="makes decisions by a score"):
        compare(golden, file, thresholds=0.5)
    none = Golden.of(original, Samples(samples.inputs), tasks="none")
    assert (none.task, none.task_output) == ("unlabelled", None)


# Thresholds:


def test_a_threshold_is_of_an_output_that_decides(two_heads: Any) -> None:
    original, file, samples = two_heads
    golden = Golden.of(original, samples)
    with pytest.raises(UsageError, match="'amount', which makes no decisions by a score"):
        compare(golden, file, thresholds={"amount": 0.5})
    # Scores that are no shares have no bounds.
    assert compare(golden, file, thresholds={"kind": 1.5}).thresholds == {"kind": 1.5}


@pytest.fixture(scope="module")
def two_classes(make_runner: Any) -> tuple[Golden, Any, Array, Array]:
    def score(x: Array) -> Array:
        return 1 / (1 + np.exp(-3 * np.clip(x[:, :1], -20, 20)))

    outputs = {"p": (None, 1)}
    x = RNG.normal(size=(200, 4)).astype(np.float32)
    labels = (x[:, 0] + RNG.normal(0, 0.7, 200) > 0).astype(np.int64)
    original = make_runner(lambda x: {"p": score(x)}, outputs=outputs, name="binary.keras")
    file = make_runner(lambda x: {"p": score(x + 0.2 * np.cos(9 * x))}, outputs=outputs)
    return Golden.of(original, Samples({"x": x}, labels)), file, x, labels


@pytest.mark.parametrize("threshold", [None, 0.8])
def test_a_yes_or_no_is_judged_at_the_threshold(two_classes: Any, threshold: float | None) -> None:
    golden, file, x, labels = two_classes
    (candidate,) = compare(golden, file, thresholds=threshold).candidates
    before, after = golden.outputs["p"][:, 0], file.infer_batch({"x": x})["p"][:, 0]
    yes = [side > (0.5 if threshold is None else threshold) for side in (before, after)]
    f1 = figure(candidate, "f1", "p")
    assert (f1.reference, f1.value) == pytest.approx([f1_score(labels, side) for side in yes])
    auc = figure(candidate, "auc", "p")
    areas = [roc_auc_score(labels, side) for side in (before, after)]
    assert (auc.reference, auc.value) == pytest.approx(areas)
    if threshold is None:
        assert all(f.name != "decision_changes" for f in candidate.figures)
    else:
        changes = figure(candidate, "decision_changes", "p")
        assert changes.value == pytest.approx((yes[0] != yes[1]).mean())
        assert changes.ci95 is not None
        assert changes.ci95[0] <= (changes.value or 0) <= changes.ci95[1]


def test_thresholds_are_checked(two_classes: Any) -> None:
    golden, file, _, _ = two_classes
    with pytest.raises(UsageError, match="expected one of 'p'"):
        compare(golden, file, thresholds={"q": 0.5})
    with pytest.raises(UsageError, match="finite"):
        compare(golden, file, thresholds=float("nan"))
    for beyond in (1.0, 1.8, -0.1):
        with pytest.raises(UsageError, match="are shares, expected at least 0 and below 1"):
            compare(golden, file, thresholds=beyond)
    document = compare(golden, file, thresholds={"p": 0.25}).to_json()
    assert document["thresholds"] == {"p": 0.25}


def test_of_several_classes_the_first_is_believed_above_the_threshold(make_runner: Any) -> None:
    scores = RNG.dirichlet(np.ones(6), 80).astype(np.float32)
    shaken = scores + RNG.normal(0, 0.02, scores.shape).astype(np.float32)
    shaken = np.abs(shaken) / np.abs(shaken).sum(1, keepdims=True)
    given = {"x": (None, 80)}
    x = np.eye(80, dtype=np.float32)
    labels = RNG.integers(0, 6, 80)
    outputs = {"scores": (None, 6)}
    original = make_runner(lambda x: {"scores": x @ scores}, given, outputs, "six.keras")
    file = make_runner(lambda x: {"scores": x @ shaken}, given, outputs)
    golden = Golden.of(original, Samples({"x": x}, labels))
    (candidate,) = compare(golden, file, thresholds=0.4).candidates

    def decided(rows: Array) -> list[int]:
        return [int(row.argmax()) if row.max() > 0.4 else -1 for row in rows]

    changed = np.mean([a != b for a, b in zip(decided(scores), decided(shaken), strict=True)])
    assert figure(candidate, "decision_changes", "scores").value == pytest.approx(changed)
    top = figure(candidate, "top5_accuracy", "scores")
    expected = [
        np.mean([label in row.argsort()[-5:] for row, label in zip(rows, labels, strict=True)])
        for rows in (scores, shaken)
    ]
    assert (top.reference, top.value) == pytest.approx(expected)
    drop = figure(candidate, "top5_accuracy_drop", "scores")
    assert drop.value == pytest.approx(expected[0] - expected[1])


# Detectors:

DECODER = DecodedBoxes(boxes="boxes", scores="scores", normalized=False, iou_threshold=1.0)
LOW = RNG.uniform(0, 20, (40, 2, 2))
BOXES = np.concatenate([LOW, LOW + RNG.uniform(5, 11, (40, 2, 2))], -1)
SCORES = np.eye(3)[RNG.integers(0, 3, (40, 2))] * RNG.uniform(0.5, 1, (40, 2, 1))


@pytest.fixture(scope="module")
def detectors(make_runner: Any) -> tuple[Any, Any, Array]:
    images = np.zeros((40, 32, 32, 1), np.float32)
    images[:, 0, 0, 0] = np.arange(40)
    inputs = {"image": (None, 32, 32, 1)}
    outputs = {"boxes": (None, 2, 4), "scores": (None, 2, 3)}

    def model(moved: float) -> Any:
        def answer(image: Array) -> dict[str, Array]:
            at = image[:, 0, 0, 0].astype(int) % 40
            return {"boxes": BOXES[at] + moved, "scores": SCORES[at]}

        return answer

    return (
        make_runner(model(0), inputs, outputs, "detector.keras"),
        make_runner(model(1.5), inputs, outputs),
        images,
    )


def labelled(moved: float = 0.0) -> Array:
    classes = SCORES.argmax(-1)[..., None]
    return np.concatenate([np.clip(BOXES + moved, 0, 32), classes], -1)


def test_a_detector_is_judged_against_its_labels(detectors: Any, tmp_path: Path) -> None:
    original, file, images = detectors
    samples = Samples({"image": images}, labelled())
    Golden.of(original, samples, decoder=DECODER).save(tmp_path / "g.npz")
    golden = Golden.load(tmp_path / "g.npz")
    assert (golden.task, golden.task_output) == ("detection", "boxes")
    assert golden.decoder == DECODER
    assert score_of(golden).startswith("map50 100.0 %")
    assert all("labelled boxes" not in finding.sentence for finding in check_reference(golden))
    (candidate,) = compare(golden, file).candidates
    whole = {f.name: f for f in candidate.figures if f.output == "boxes" and not f.group}
    # The original finds the labels themselves, so that both truths are one.
    assert whole["map"].reference == pytest.approx(1)
    assert whole["map"].value == pytest.approx(whole["box_map"].value)
    assert whole["map_drop"].value == pytest.approx(1 - (whole["map"].value or 0))
    assert 0 < (whole["map"].value or 0) < 1
    (same,) = compare(golden, original).candidates
    assert next(f.value for f in same.figures if f.name == "map50_drop") == 0


def test_a_detector_that_finds_no_label_proves_nothing(detectors: Any) -> None:
    original, _, images = detectors
    wrong = labelled()
    wrong[..., :4] = 32 - wrong[..., [2, 3, 0, 1]] ** 2 / 32
    golden = Golden.of(original, Samples({"image": images}, wrong), decoder=DECODER)
    assert any("next to none of the labelled boxes" in f.sentence for f in check_reference(golden))


def test_a_decoder_that_reads_other_outputs_is_refused(detectors: Any) -> None:
    original, _, images = detectors
    other = DecodedBoxes(boxes="box", scores="scores")
    with pytest.raises(TensorError, match="box"):
        Golden.of(original, Samples({"image": images}), decoder=other)
    with pytest.raises(SamplesError, match="left, top, right, bottom"):
        Golden.of(original, Samples({"image": images}, np.zeros(40, int)), decoder=DECODER)


# Masks:


@pytest.mark.parametrize("given", ["raw", "seen"])
def test_masks_of_the_raw_images_are_judged_where_the_output_has_places(
    make_runner: Any, given: str
) -> None:
    images = RNG.integers(0, 255, (30, 16, 24, 1)).astype(np.uint8)
    masks = (images[..., 0] > 120).astype(np.uint8)
    steps = Preprocessing((Resize(8, 12, "nearest"),))
    seen = steps.apply(images)

    def model(least: float) -> Any:
        def answer(image: Array) -> dict[str, Array]:
            return {"mask": np.concatenate([image <= least, image > least], -1).astype(float)}

        return answer

    inputs, outputs = {"image": (None, 8, 12, 1)}, {"mask": (None, 8, 12, 2)}
    original = make_runner(model(120), inputs, outputs, "unet.keras")
    vars(original)["metadata"] = Metadata(preprocessing={"image": steps})
    labels = masks if given == "raw" else steps.apply(masks[..., None])[..., 0].astype(int)
    golden = Golden.of(original, Samples({"image": images}, labels))
    assert (golden.task, golden.task_output) == ("segmentation", "mask")
    assert golden.labels is not None
    np.testing.assert_array_equal(golden.labels, seen[..., 0] > 120)
    (candidate,) = compare(golden, make_runner(model(140), inputs, outputs)).candidates
    found, true = seen[..., 0] > 140, seen[..., 0] > 120
    ious = [
        (np.logical_and(found == k, true == k)).sum() / np.logical_or(found == k, true == k).sum()
        for k in (False, True)
    ]
    iou = figure(candidate, "miou", "mask")
    assert (iou.reference, iou.value) == pytest.approx((1, np.mean(ious)))
    assert candidate.evidence is not None
    assert candidate.evidence.flips == ()


def test_masks_of_other_sizes_are_refused(make_runner: Any) -> None:
    inputs, outputs = {"image": (None, 8, 12, 1)}, {"mask": (None, 8, 12, 2)}
    runner = make_runner(
        lambda image: {"mask": np.concatenate([image, 1 - image], -1)}, inputs, outputs, "u.keras"
    )
    samples = Samples({"image": RNG.random((5, 8, 12, 1))}, np.zeros((5, 9, 9), np.uint8))
    with pytest.raises(SamplesError, match="masks of other sizes than the images"):
        Golden.of(runner, samples)


def test_without_labels_masks_and_decisions_agree_or_do_not(make_runner: Any) -> None:
    x = RNG.random((12, 6)).astype(np.float32)
    outputs = {"hot": (None, 6)}
    given = {"x": (None, 6)}
    original = make_runner(lambda x: {"hot": x}, given, outputs, "hot.keras")
    file = make_runner(lambda x: {"hot": x * 0.9}, given, outputs)
    golden = Golden.of(original, Samples({"x": x}), tasks="multi-label")
    (candidate,) = compare(golden, file, thresholds=0.7).candidates
    agreement = ((x > 0.7) == (x * np.float32(0.9) > 0.7)).mean()
    assert figure(candidate, "agreement", "hot").value == pytest.approx(agreement)
    assert figure(candidate, "decision_changes", "hot").value == pytest.approx(1 - agreement)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda box, kind: (box[..., [1, 0, 3, 2]], kind), "top, left, bottom, right (yxyx)"),
        (lambda box, kind: (box / 32, kind), "taken from 0..1 to pixels"),
        (lambda box, kind: (box, kind + 1), "each label lowered by one"),
        (lambda box, kind: (box, 2 - kind), "order of classes reversed"),
    ],
)
def test_labels_of_a_detector_in_another_form_are_named(
    detectors: Any, wrong: Any, words: str
) -> None:
    original, _, images = detectors
    right = labelled()
    box, kind = wrong(right[..., :4], right[..., 4:])
    samples = Samples({"image": images}, np.concatenate([box, kind], -1))
    golden = Golden.of(original, samples, decoder=DECODER)
    slips = [f for f in check_reference(golden) if f.kind == "slip"]
    assert [words in f.sentence for f in slips] == [True]


def test_labels_with_width_and_height_are_no_corners(detectors: Any) -> None:
    original, _, images = detectors
    right = labelled()
    wide = np.concatenate([right[..., :2], right[..., 2:4] - right[..., :2], right[..., 4:]], -1)
    with pytest.raises(SamplesError, match="left, top, right, bottom"):
        Golden.of(original, Samples({"image": images}, wide), decoder=DECODER)


@pytest.mark.parametrize("layout", ["yxyx", "xywh", "cxcywh"])
def test_a_decoder_of_another_layout_is_named(detectors: Any, layout: str) -> None:
    original, _, images = detectors
    decoder = replace(DECODER, layout=layout)
    golden = Golden.of(original, Samples({"image": images}, labelled()), decoder=decoder)
    slips = [f for f in check_reference(golden) if f.kind == "slip"]
    assert [f.severity for f in slips] == ["fail"]
    assert "xyxy" in slips[0].sentence or layout == "yxyx"
