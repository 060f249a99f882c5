from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit
from edgekit.drift.budget import DriftBudget
from edgekit.drift.compare import compare
from edgekit.drift.golden import Golden
from edgekit.drift.limit import Limit
from edgekit.errors import DocumentError, TensorError, UsageError
from edgekit.formats.metadata import Metadata
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.shares import Share

MakeRunner = Callable[..., Runner]
Floats = NDArray[np.float32]
Validate = Callable[[dict[str, Any]], dict[str, Any]]


def test_the_same_model_does_not_drift(
    golden: Golden, make_runner: MakeRunner, weights: Floats, validate: Validate
) -> None:
    drift = compare(golden, make_runner(lambda x: {"scores": x @ weights}))
    (candidate,) = drift.candidates
    assert (candidate.accuracy, candidate.drop, candidate.agreement) == (0.8, 0, 1)
    assert candidate.sqnr_db == np.inf
    assert (drift.verdict, candidate.reasons) == ("none", ())
    read = validate(drift.to_json())
    assert read["reference"]["accuracy"] == 0.8
    assert read["reference"]["samples"] == 40
    assert read["reference"]["golden_sha256"] is None
    output = read["candidates"][0]["outputs"][0]
    assert output.pop("channels")["dead_count"] == 0
    assert output == {
        "name": "scores",
        "max_abs": 0,
        "max_abs_rel": 0,
        "rmse": 0,
        "cosine": 1,
        "sqnr_db": None,
        "finite": True,
        "identical": True,
    }


def test_drift_is_counted_by_hand(
    golden: Golden, make_runner: MakeRunner, weights: Floats, validate: Validate
) -> None:
    def shuffled(x: Floats) -> dict[str, Floats]:
        scores = x @ weights
        scores[:8] = np.roll(scores[:8], 1, axis=1)
        return {"scores": scores}

    drift = compare(golden, make_runner(shuffled))
    task = drift.candidates[0].task
    labels = golden.samples.labels
    assert labels is not None
    reference = np.argmax(golden.outputs["scores"], 1)
    answer = reference.copy()
    answer[:8] = (answer[:8] + 1) % 3
    # Samples 0 and 5 had the wrong class, one too low: the shift puts them right.
    assert (task.reference, task.candidate, task.drop) == (32 / 40, 28 / 40, 4 / 40)
    assert (task.agreement, task.flips, task.flipped) == (32 / 40, 8, tuple(range(8)))
    assert task.drop_ci95 is not None
    assert task.drop_ci95[0] < 0.1 < task.drop_ci95[1]
    assert sum(row.count for row in task.per_class) == 40
    for row in task.per_class:
        mask = labels == row.label
        assert row.reference == pytest.approx(np.mean(reference[mask] == row.label))
        assert row.candidate == pytest.approx(np.mean(answer[mask] == row.label))
        assert row.drop == pytest.approx(row.reference - row.candidate)
        assert row.agreement == pytest.approx(np.mean(reference[mask] == answer[mask]))
    per_class = validate(drift.to_json())["candidates"][0]["task"]["per_class"]
    assert [row["class"] for row in per_class] == sorted(set(labels.tolist()))


def test_only_the_first_hundred_flips_are_listed(make_runner: MakeRunner) -> None:
    inputs = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    golden = Golden.of(make_runner(lambda x: {"scores": x[:, :3]}), Samples({"x": inputs}))
    task = compare(golden, make_runner(lambda x: {"scores": -x[:, :3]})).candidates[0].task
    assert task.flips == 300
    assert task.flipped == tuple(range(100))


def test_a_drop_on_the_limit_is_inside_it(make_runner: MakeRunner) -> None:
    # 0.96 - 0.95 is more than 0.01 in floats.
    labels = np.zeros(100, int)
    scores = np.tile(np.float32([1, 0, 0]), (100, 1))
    scores[96:] = [0, 1, 0]
    inputs = np.concatenate([scores, np.arange(100, dtype=np.float32)[:, None]], 1)
    golden = Golden.of(make_runner(lambda x: {"scores": x[:, :3]}), Samples({"x": inputs}, labels))

    def one_more(x: Floats) -> dict[str, Floats]:
        return {"scores": np.where(x[:, 3:] == 95, np.float32([0, 1, 0]), x[:, :3])}

    drift = compare(golden, make_runner(one_more), DriftBudget(0.01, 0.99))
    assert drift.candidates[0].drop == 0.01
    assert drift.verdict == "inconclusive"


def test_several_candidates_and_the_worst_verdict(
    golden: Golden, make_runner: MakeRunner, weights: Floats, validate: Validate
) -> None:
    said: list[str] = []
    good = make_runner(lambda x: {"scores": x @ weights + 1e-4}, name="m.float16.tflite")
    bad = make_runner(lambda x: {"scores": x @ weights + 1e-1 * x[:, :3]}, name="m.int8.onnx")
    budget = DriftBudget(min_sqnr_db=50)
    drift = compare(golden, [good, bad], budget, said.append)
    assert [c.verdict for c in drift.candidates] == ["pass", "fail"]
    assert drift.verdict == "fail"
    assert said == ["comparing 1/2: m.float16.tflite", "comparing 2/2: m.int8.onnx"]
    read = validate(drift.to_json())
    assert read["budget"] == {
        "max_accuracy_drop": None,
        "min_agreement": None,
        "min_sqnr_db": 50,
        "limits": [],
    }
    assert read["verdict"] == "fail"
    assert [c["artifact"]["format"] for c in read["candidates"]] == ["tflite", "onnx"]
    assert compare(golden, good, budget).verdict == "pass"


def test_a_small_sample_proves_nothing(
    golden: Golden, make_runner: MakeRunner, weights: Floats, validate: Validate
) -> None:
    runner = make_runner(lambda x: {"scores": x @ weights})
    drift = compare(golden, runner, DriftBudget(max_accuracy_drop=0.01))
    assert drift.verdict == "inconclusive"
    assert "40 samples cannot settle it" in drift.candidates[0].reasons[0]
    validate(drift.to_json())
    assert compare(golden, runner, DriftBudget(max_accuracy_drop=Share(0.5))).verdict == "pass"


# By name:


def two_heads(swapped: bool) -> dict[str, tuple[int | None, ...]]:
    heads: dict[str, tuple[int | None, ...]] = {"a": (None, 2), "b": (None, 2)}
    return dict(reversed(heads.items())) if swapped else heads


def test_outputs_and_inputs_are_matched_by_name(make_runner: MakeRunner, inputs: Floats) -> None:
    def model(left: Floats, right: Floats) -> dict[str, Floats]:
        return {"a": left, "b": 2 * right}

    sides: dict[str, tuple[int | None, ...]] = {"left": (None, 2), "right": (None, 2)}
    samples = Samples({"left": inputs[:, :2], "right": inputs[:, 2:]})
    golden = Golden.of(make_runner(model, inputs=sides, outputs=two_heads(False)), samples)
    swapped = make_runner(
        model, inputs=dict(reversed(sides.items())), outputs=two_heads(True), name="s.tflite"
    )
    (candidate,) = compare(golden, swapped).candidates
    assert [(out.name, out.max_abs) for out in candidate.outputs] == [("a", 0), ("b", 0)]


def test_a_single_output_may_be_called_anything(golden: Golden, make_runner: MakeRunner) -> None:
    runner = make_runner(lambda x: {"output_0": x[:, :3]}, outputs={"output_0": (None, 3)})
    (candidate,) = compare(golden, runner).candidates
    assert candidate.outputs[0].name == "scores"


def test_several_outputs_of_other_names_are_refused(
    make_runner: MakeRunner, inputs: Floats
) -> None:
    golden = Golden.of(
        make_runner(lambda x: {"a": x[:, :2], "b": x[:, :2]}, outputs=two_heads(False)),
        Samples({"x": inputs}),
    )
    other = make_runner(
        lambda x: {"c": x[:, :2], "d": x[:, :2]}, outputs={"c": (None, 2), "d": (None, 2)}
    )
    with pytest.raises(TensorError, match=r"received outputs 'c', 'd'.*'a', 'b'"):
        compare(golden, other)
    with pytest.raises(TensorError, match=r"received outputs 'a', expected"):
        compare(golden, make_runner(lambda x: {"a": x[:, :2]}, outputs={"a": (None, 2)}))


def test_other_shapes_and_inputs_are_refused(golden: Golden, make_runner: MakeRunner) -> None:
    wide = make_runner(lambda x: {"scores": x}, outputs={"scores": (None, 4)})
    with pytest.raises(TensorError, match=r"'scores': received shape \[40, 4\], expected \[40, 3"):
        compare(golden, wide)
    pair = make_runner(
        lambda x, z: {"scores": x[:, :3] + z}, inputs={"x": (None, 4), "z": (None, 3)}
    )
    with pytest.raises(TensorError, match="input 'z': missing"):
        compare(golden, pair)


# What cannot be measured or judged:


def test_an_answer_that_is_not_finite_fails_without_a_budget(
    make_runner: MakeRunner, inputs: Floats, validate: Validate
) -> None:
    outputs: dict[str, tuple[int | None, ...]] = {"scores": (None, 3), "rest": (None, 4)}

    def model(x: Floats, hole: float = 0.0) -> dict[str, Floats]:
        scores = x[:, :3].copy()
        scores[[3, 9], 1] += np.float32(hole)
        return {"scores": scores, "rest": x}

    golden = Golden.of(make_runner(model, outputs=outputs), Samples({"x": inputs}))
    broken = make_runner(lambda x: model(x, np.nan), outputs=outputs)
    for budget in (None, DriftBudget(min_agreement=0.5, min_sqnr_db=10)):
        drift = compare(golden, broken, budget)
        (candidate,) = drift.candidates
        assert drift.verdict == "fail"
        assert candidate.reasons == (
            "Output 'scores': 2 of 120 values are not finite, the first (nan) at sample 3.",
        )
        assert candidate.sqnr_db is None
        assert candidate.agreement is None
        assert candidate.outputs[0].max_abs is None
        assert candidate.outputs[1].max_abs == 0
        validate(drift.to_json())


def test_limits_that_cannot_be_judged_are_refused_before_the_work(
    make_runner: MakeRunner, inputs: Floats
) -> None:
    runner = make_runner(lambda x: {"y": x[:, :1]}, outputs={"y": (None, 1)})
    golden = Golden.of(runner, Samples({"x": inputs}))
    said: list[str] = []
    with pytest.raises(UsageError, match="no labels"):
        compare(golden, runner, DriftBudget(max_accuracy_drop=0.01), said.append)
    with pytest.raises(UsageError, match="no top-1"):
        compare(golden, runner, DriftBudget(min_agreement=0.9), said.append)
    assert not said
    assert compare(golden, runner, DriftBudget(min_sqnr_db=20)).verdict == "pass"


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            "miou_drop <= 1%",
            "no such figure of the task 'classification'. There are accuracy, accuracy_drop",
        ),
        ("mae <= 3", "no such figure of the task 'classification'"),
        ("accuracy_drop[class=9] <= 1%", "not measured there, only for class=0, class=1"),
        ("iou_drop[class=*] <= 1%", "no such figure"),
        ("accuracy_drop[light=dark] <= 1%", "column 'light'"),
    ],
)
def test_figures_that_the_task_lacks_are_refused_before_the_work(
    make_runner: MakeRunner, limit: str, words: str
) -> None:
    def answer(x: Floats) -> dict[str, Floats]:
        return {"y": np.stack([x[:, 0], -x[:, 0]], 1)}

    x = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    runner = make_runner(answer, {"x": (None, 3)}, {"y": (None, 2)})
    golden = Golden.of(runner, Samples({"x": x}, (x[:, 0] < 0).astype(int)))
    said: list[str] = []
    with pytest.raises(UsageError, match=words):
        compare(golden, runner, DriftBudget(limits=(Limit.parse(limit),)), said.append)
    assert not said
    # A class that the first samples do not have is a class.
    rare = Limit.parse("accuracy_drop[class=1] <= 50%")
    labels = np.where(np.arange(200) == 199, 1, 0)
    golden = Golden.of(runner, Samples({"x": x}, labels))
    compare(golden, runner, DriftBudget(limits=(rare,)))


def test_no_runner_is_a_mistake(golden: Golden) -> None:
    with pytest.raises(UsageError, match="received no model, expected at least one"):
        compare(golden, [])


def test_an_unlabelled_golden_still_tells_agreement(
    make_runner: MakeRunner, inputs: Floats, validate: Validate
) -> None:
    golden = Golden.of(make_runner(lambda x: {"scores": x[:, :3]}), Samples({"x": inputs}))
    drift = compare(golden, make_runner(lambda x: {"scores": x[:, 1:]}))
    (candidate,) = drift.candidates
    expected = np.mean(np.argmax(inputs[:, :3], 1) == np.argmax(inputs[:, 1:], 1))
    assert candidate.agreement == pytest.approx(expected)
    assert (candidate.accuracy, candidate.drop, candidate.task.per_class) == (None, None, ())
    assert validate(drift.to_json())["reference"]["accuracy"] is None


def test_a_regression_is_measured_against_its_labels(
    make_runner: MakeRunner, inputs: Floats, validate: Validate
) -> None:
    labels = inputs[:, 0] + np.float32(2)
    runner = make_runner(lambda x: {"y": x[:, :1]}, outputs={"y": (None, 1)})
    golden = Golden.of(runner, Samples({"x": inputs}, labels))
    worse = make_runner(lambda x: {"y": x[:, :1] - 1}, outputs={"y": (None, 1)})
    drift = compare(golden, worse)
    (candidate,) = drift.candidates
    assert candidate.task.rmse_reference == pytest.approx(2)
    assert candidate.task.rmse_candidate == pytest.approx(3)
    assert (candidate.accuracy, candidate.agreement) == (None, None)
    validate(drift.to_json())


def test_a_binary_candidate_is_asked_the_references_question(
    make_runner: MakeRunner, inputs: Floats
) -> None:
    def probability(x: Floats) -> Floats:
        return 1 / (1 + np.exp(-x[:, :1]))

    outputs = {"p": (None, 1)}
    runner = make_runner(lambda x: {"p": probability(x)}, outputs=outputs)
    labels = (inputs[:, 0] > 0).astype(int)
    golden = Golden.of(runner, Samples({"x": inputs}, labels))
    # Its values leave [0, 1]; judged by itself it would be taken for logits.
    beyond = make_runner(lambda x: {"p": probability(x) * 1.2 - 0.1}, outputs=outputs)
    (candidate,) = compare(golden, beyond).candidates
    assert (candidate.accuracy, candidate.agreement) == (1, 1)


def test_the_public_names() -> None:
    assert edgekit.compare is compare
    assert edgekit.Golden is Golden


def test_a_file_is_compared_with_its_own_golden_alone(
    golden: Golden, make_runner: MakeRunner, weights: Floats, tmp_path: Path
) -> None:
    golden.save(tmp_path / "golden.npz")
    saved = Golden.load(tmp_path / "golden.npz")
    runner = make_runner(lambda x: {"scores": x @ weights})
    vars(runner)["metadata"] = Metadata(golden_sha256=saved.sha256)
    assert compare(saved, runner).candidates[0].warnings == ()
    vars(runner)["metadata"] = Metadata(golden_sha256="ab" * 32)
    with pytest.raises(DocumentError, match=rf"{'ab' * 32}, received one with {saved.sha256}"):
        compare(saved, runner)
    # A golden that was never a file is none that a file could name.
    assert compare(golden, runner).candidates[0].warnings == ()


def test_a_file_of_another_model_is_warned_of(
    golden: Golden, make_runner: MakeRunner, weights: Floats, validate: Validate
) -> None:
    runner = make_runner(lambda x: {"scores": x @ weights})
    vars(runner)["metadata"] = Metadata(source_sha256="ab" * 32)
    (row,) = validate(compare(golden, runner).to_json())["candidates"]
    assert len(row["warnings"]) == 1
    assert "It was made of a model with sha256 abababababab…" in row["warnings"][0]
    vars(runner)["metadata"] = Metadata(source_sha256=golden.reference.sha256)
    assert compare(golden, runner).candidates[0].warnings == ()


def test_one_bad_candidate_is_listed_and_the_others_are_judged(
    golden: Golden, make_runner: MakeRunner, weights: Floats, validate: Validate
) -> None:
    good = make_runner(lambda x: {"scores": x @ weights})
    bad = make_runner(lambda x: {"scores": x[:, :3]}, {"x": (None, 9)}, name="bad.onnx")
    drift = compare(golden, [bad, good])
    assert [row.artifact.name for row in drift.candidates] == [good.artifact.name]
    (failure,) = drift.failed
    assert failure.path == bad.artifact.file
    assert "received samples of shape [4], expected [9]" in failure.reason
    assert validate(drift.to_json())["failed"][0]["path"] == failure.path
    # There is nothing to list it beside.
    with pytest.raises(TensorError, match=r"expected \[9\]"):
        compare(golden, bad)


def test_inputs_of_other_names_are_matched_if_there_is_one_way(
    make_runner: MakeRunner, inputs: Floats
) -> None:
    def model(x: Floats, z: Floats) -> dict[str, Floats]:
        return {"y": x[:, :1] + z[:, :1]}

    def of(left: int, right: int) -> Golden:
        sides: dict[str, tuple[int | None, ...]] = {"x": (None, left), "z": (None, right)}
        given = Samples({"x": inputs[:, :left], "z": inputs[:, -right:]})
        return Golden.of(make_runner(model, sides, {"y": (None, 1)}), given)

    def renamed(left: int, right: int) -> Runner:
        def other(a: Floats, b: Floats) -> dict[str, Floats]:
            return model(b, a)

        sides: dict[str, tuple[int | None, ...]] = {"a": (None, right), "b": (None, left)}
        return make_runner(other, sides, {"y": (None, 1)}, name="other.tflite")

    (candidate,) = compare(of(3, 1), renamed(3, 1)).candidates
    assert candidate.outputs[0].max_abs == 0
    with pytest.raises(TensorError, match=r"more than one way fits\. Say which is which: --map x="):
        compare(of(2, 2), renamed(2, 2))
    (candidate,) = compare(of(2, 2), renamed(2, 2), names={"x": "b", "z": "a"}).candidates
    assert candidate.outputs[0].max_abs == 0


def test_an_autoencoder_of_vectors_is_no_classifier(make_runner: MakeRunner) -> None:
    """Zeros and ones of its samples are classes of nothing that it answers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4)).astype(np.float32)
    labels = (np.arange(200) % 4 == 0).astype(int)
    x[labels == 1] *= 8

    def rebuilt(x: Floats) -> dict[str, Floats]:
        return {"scores": np.clip(x, -3, 3)}

    golden = Golden.of(make_runner(rebuilt), Samples({"x": x}, labels))
    assert golden.task == "anomaly"
    drift = compare(golden, make_runner(rebuilt))
    assert (drift.verdict, drift.candidates[0].warnings) == ("none", ())
    assert drift.setup is not None
    assert drift.setup.findings == ()
    named = {figure.name: figure for figure in drift.candidates[0].figures}
    assert named["auc"].reference == named["auc"].value
    assert named["auc_drop"].value == 0
