"""The best epoch is kept, the state before training being one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import RecipeError
from edgekit.models.bridge import to_tf_keras
from edgekit.models.source import SourceModel, copied
from edgekit.optimize.best import better, parted
from edgekit.optimize.finetune import fine_tune
from edgekit.optimize.objective import Teacher
from edgekit.optimize.qat import quantize_aware
from edgekit.recipe import QatRecipe
from edgekit.samples import Samples


@given(st.integers(1, 50), st.floats(0, 0.99), st.integers(0, 3))
def test_every_sample_is_in_one_part(count: int, share: float, seed: int) -> None:
    data = Samples({"x": np.arange(count)}, np.arange(count))
    train, held = parted(data, share, seed)
    kept = [np.asarray(part.inputs["x"]) for part in (train, held) if part is not None]
    assert sorted(np.concatenate(kept)) == list(range(count))
    assert len(train) >= 1
    assert held is None or len(held) == round(count * share)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
def test_only_labels_that_one_of_two_misses_tell(pairs: list[tuple[bool, bool]]) -> None:
    before, after = np.array(pairs, np.float32).T
    won, lost = int((before > after).sum()), int((before < after).sum())
    assert better(before, after) == (won > lost and (won - lost) ** 2 > 4 * (won + lost))
    assert not (better(before, after) and better(after, before))
    assert not better(before, before)


@pytest.mark.parametrize(("flavour", "measure"), [("keras", "wrong"), ("tf_keras", "loss")])
def test_a_training_that_spoils_leaves_the_model_as_it_was(
    small: SourceModel, halves: Samples, flavour: str, measure: str
) -> None:
    """Far too large a step; without labels it is the loss that tells."""
    source = small if flavour == "keras" else to_tf_keras(small).source
    before = source.model.get_weights()
    labels = halves.labels if measure == "wrong" else None
    data = Samples(halves.inputs, labels)
    kept = fine_tune(
        source.model,
        source,
        data,
        QatRecipe(epochs=1, batch_size=32, learning_rate=5.0),
        teacher=None if measure == "wrong" else Teacher(copied(small), 1.0),
        held=data,
    )
    assert kept is not None
    assert (kept.epoch, kept.measure) == (0, measure)
    assert (kept.samples, kept.before < kept.after) == (256, True)
    assert kept.figures.startswith("missed" if measure == "wrong" else "loss")
    for got, wanted in zip(source.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_training_that_helps_is_kept(small: SourceModel, halves: Samples) -> None:
    """The model that comes back is the one that the line speaks of."""
    layer = small.model.get_layer("scores")
    layer.set_weights([-w for w in layer.get_weights()])
    recipe = QatRecipe(epochs=3, batch_size=16, learning_rate=0.01, held_out=0.25)
    result = quantize_aware(small, recipe, halves)
    _, held = parted(halves, recipe.held_out, recipe.seed)
    assert held is not None
    (answers,) = result.source.call({"image": held.inputs["image"]}).values()
    wrong = np.mean(np.asarray(answers).argmax(-1) != held.labels)
    assert result.kept is not None
    assert result.kept.epoch > 0
    assert result.kept.after == pytest.approx(wrong)
    assert result.remarks[-1].startswith(f"kept epoch {result.kept.epoch}, the best on the 64")
    assert result.remarks[-1].endswith(f"{round(wrong * 64)} after)")
    assert result.to_json()["kept"] == f"epoch {result.kept.epoch}"


def test_a_training_that_helps_must_beat_the_rival(small: SourceModel, halves: Samples) -> None:
    rival = copied(small).model
    layer = small.model.get_layer("scores")
    layer.set_weights([-w for w in layer.get_weights()])
    before = small.model.get_weights()
    recipe = QatRecipe(epochs=3, batch_size=16, learning_rate=0.01)
    kept = fine_tune(small.model, small, halves, recipe, held=halves, rival=rival)
    assert kept is not None
    assert kept.epoch == 0
    assert kept.before <= kept.after < 0.5
    for got, wanted in zip(small.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_all_samples_cannot_be_held_out() -> None:
    with pytest.raises(RecipeError, match="held_out: received 1"):
        QatRecipe(held_out=1.0)
