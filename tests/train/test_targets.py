from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import RecipeError, SamplesError
from edgekit.recipe import ClassWeights, TrainingRecipe
from edgekit.samples import Samples
from edgekit.train.class_weighting import weights_of
from edgekit.train.targets import Targets, class_count, targets_for

PLAIN = TrainingRecipe()


def samples(labels: Any, shape: tuple[int, ...] = (3,)) -> Samples:
    count = 6 if labels is None else len(labels)
    return Samples({"x": np.zeros((count, *shape), np.float32)}, labels)


def found(
    labels: Any,
    output: tuple[int | None, ...],
    settings: TrainingRecipe = PLAIN,
    inputs: tuple[int, ...] = (3,),
    rebuilds: bool = False,
) -> Targets:
    given = samples(labels, inputs)
    return targets_for(given, {"x": inputs}, output, settings, rebuilds=rebuilds)


NUMBERS = np.arange(6) % 3
HOT = np.eye(3, dtype=np.float32)[NUMBERS]
VALUES = np.linspace(0, 1, 6, dtype=np.float32)


@pytest.mark.parametrize(
    ("labels", "output", "form", "loss", "monitor"),
    [
        (NUMBERS, (3,), "numbers", "sparse_categorical_crossentropy", "val_accuracy"),
        (NUMBERS.astype(np.uint8), (4,), "numbers", "sparse_categorical_crossentropy", None),
        (NUMBERS.reshape(2, 3), (3, 5), "numbers", "sparse_categorical_crossentropy", None),
        (NUMBERS % 2, (1,), "binary", "binary_crossentropy", "val_accuracy"),
        (HOT, (3,), "one-hot", "categorical_crossentropy", "val_accuracy"),
        (VALUES, (1,), "values", "mean_squared_error", "val_loss"),
        (VALUES.reshape(2, 3), (3,), "values", "mean_squared_error", "val_loss"),
        (None, (3,), "input", "mean_squared_error", "val_loss"),
    ],
)
def test_what_labels_and_output_come_to(
    labels: Any, output: tuple[int, ...], form: str, loss: str, monitor: str | None
) -> None:
    got = found(labels, output)
    assert (got.form, got.loss) == (form, loss)
    assert got.monitor == (monitor or got.monitor)
    targets = got.of(samples(labels))
    assert (targets is None) == (form == "input")
    assert targets is None or len(targets) == (6 if labels is None else len(labels))


def test_named_losses_decide() -> None:
    error = TrainingRecipe(loss="mean_absolute_error")
    assert found(NUMBERS % 2, (1,), error).form == "values"
    # Three inputs, three classes: only a loss of values makes it an autoencoder.
    assert found(NUMBERS, (3,), error).form == "input"
    assert found(NUMBERS, (3,)).form == "numbers"
    assert found(NUMBERS, (3,), rebuilds=True).form == "input"
    hot = found(NUMBERS, (3,), TrainingRecipe(loss="categorical_crossentropy"))
    np.testing.assert_array_equal(hot.of(samples(NUMBERS)), HOT)
    assert found(HOT, (3,), TrainingRecipe(loss="binary_crossentropy")).form == "binary"
    auc = found(NUMBERS, (3,), TrainingRecipe(metrics=("auc",), monitor="val_auc"))
    assert (auc.form, auc.loss, auc.rises) == ("one-hot", "categorical_crossentropy", True)
    assert not found(VALUES, (1,)).rises


@pytest.mark.parametrize(
    ("labels", "output", "settings", "says"),
    [
        (
            VALUES,
            (3,),
            PLAIN,
            r"labels of dtype float32 and shape \[\] .* values of shape \[3\] or",
        ),
        (VALUES.reshape(2, 3), (4,), PLAIN, r"shape \[3\] .* model's output has shape \[4\]"),
        (NUMBERS, (2, 3), PLAIN, r"class numbers of shape \[2\]"),
        (NUMBERS, (None, 3), PLAIN, "expected a size for each axis"),
        (None, (4,), PLAIN, "received no labels"),
    ],
)
def test_labels_that_do_not_fit(
    labels: Any, output: tuple[int | None, ...], settings: TrainingRecipe, says: str
) -> None:
    with pytest.raises(SamplesError, match=says):
        found(labels, output, settings)


def test_labels_out_of_range() -> None:
    with pytest.raises(SamplesError, match="expected 0 to 1"):
        found(NUMBERS, (1,)).of(samples(NUMBERS))
    with pytest.raises(SamplesError, match="expected 0 to 1"):
        found(NUMBERS, (2,)).of(samples(NUMBERS))


@pytest.mark.parametrize(
    ("labels", "output", "settings", "says"),
    [
        (NUMBERS, (3,), {"loss": "poisson"}, None),
        (VALUES, (1,), {"loss": "kl_divergence"}, r"loss: .* for labels that are values"),
        (VALUES, (1,), {"metrics": ("accuracy",)}, r"metrics: received 'accuracy'"),
        (NUMBERS, (3,), {"metrics": ("r2_score",)}, r"metrics: received 'r2_score'"),
        (NUMBERS, (3,), {"monitor": "val_auc"}, r"expected one of val_loss, val_accuracy"),
    ],
)
def test_names_that_do_not_fit(
    labels: Any, output: tuple[int, ...], settings: dict[str, Any], says: str | None
) -> None:
    if says is None:
        assert found(labels, output, TrainingRecipe(**settings)).form == "input"
        return
    with pytest.raises(RecipeError, match=says):
        found(labels, output, TrainingRecipe(**settings))


def test_class_count() -> None:
    assert class_count(samples(NUMBERS)) == 3
    assert class_count(samples(HOT)) == 3
    assert class_count(samples(VALUES)) == 0
    assert class_count(samples(None)) == 0


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_balanced_weights_give_each_class_the_same_sum(labels: list[int]) -> None:
    array = np.array(labels)
    weights = weights_of(ClassWeights(balanced=True), samples(array), 5)
    assert weights is not None
    sums = [weights[label] * np.sum(array == label) for label in np.unique(array)]
    np.testing.assert_allclose(sums, len(labels) / 5, rtol=1e-5)


def test_weights_by_class() -> None:
    given = ClassWeights.from_json({"2": 3, "no": 0.5}, "class_weight")
    np.testing.assert_array_equal(
        weights_of(given, samples(NUMBERS), 3, ("yes", "no", "else")), [1, 0.5, 3]
    )
    assert weights_of(None, samples(NUMBERS), 3) is None
    with pytest.raises(RecipeError, match=r"unknown class 'yess'.*Did you mean 'yes'"):
        weights_of(ClassWeights(by_class={"yess": 1}), samples(NUMBERS), 3, ("yes", "no", "else"))
    with pytest.raises(RecipeError, match="number no classes"):
        weights_of(given, samples(VALUES), 0)
    for wrong in ("balance", [1], {"a": True}, {"a": -1}):
        with pytest.raises(RecipeError, match="class_weight"):
            ClassWeights.from_json(wrong, "class_weight")
