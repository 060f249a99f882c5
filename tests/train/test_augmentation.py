"""What varies training samples: the same for the same seed, another for each step, in no model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.errors import RecipeError
from edgekit.recipe import AUGMENTATIONS, AugmentationRecipe
from edgekit.recipe.augmentation import KERAS_LAYERS
from edgekit.train.augmentation import check_fit, varied

ARGUMENTS: dict[str, dict[str, Any]] = {
    "RandomFlip": {"mode": "horizontal"},
    "RandomRotation": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomZoom": {"height_factor": 0.3},
    "RandomShear": {"x_factor": 0.5},
    "RandomContrast": {"factor": 0.5},
    "RandomBrightness": {"factor": 0.5},
    "RandomSaturation": {"factor": [0.2, 0.3]},
    "RandomHue": {"factor": 0.5},
    "RandomGrayscale": {"factor": 0.5},
    "RandomSharpness": {"factor": 0.9},
    "RandomPerspective": {"factor": 1.0},
    "GaussianNoise": {"stddev": 0.5},
    "RandomTimeShift": {"factor": 0.5},
    "TimeMask": {"factor": 0.9},
    "FrequencyMask": {"factor": 0.9},
}


def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (8, 9, 10, 3)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_what_is_drawn_follows_from_seed_and_step(name: str) -> None:
    import tensorflow as tf

    recipe = AugmentationRecipe(name, ARGUMENTS.get(name, {}))
    x = images()

    def drawn(seed: int, steps: list[int]) -> list[np.ndarray]:
        vary = varied([recipe], seed)
        assert vary is not None
        steps_of = tf.data.Dataset.from_tensor_slices(np.array(steps, np.int64))
        made = steps_of.map(lambda step: vary({"x": tf.constant(x)}, step)["x"])
        return [batch.numpy() for batch in made]

    first, second, third = drawn(0, [0, 1, 2])
    (again,) = drawn(0, [2])
    (other,) = drawn(1, [2])
    assert first.shape == x.shape
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(third, again)
    assert not np.array_equal(first, x) or not np.array_equal(second, x)
    assert not (np.array_equal(first, second) and np.array_equal(second, third))
    assert not np.array_equal(third, other) or not np.array_equal(first, other)


def test_each_sample_of_a_batch_is_varied_in_its_own_way() -> None:
    import tensorflow as tf

    ramp = np.tile(np.arange(64, dtype=np.float32)[None, :, None], (16, 1, 1))
    vary = varied([AugmentationRecipe("RandomTimeShift", {"factor": 0.25})], 0)
    assert vary is not None
    moved = vary({"x": tf.constant(ramp)}, tf.constant(0, tf.int64))["x"].numpy()
    shifts = moved[:, 32, 0] - 32
    assert len(set(shifts)) > 3
    assert np.abs(shifts).max() <= 16
    # Ends repeat.
    assert moved.min() == 0
    assert moved.max() == 63


def test_masks_lie_together_and_take_the_mean() -> None:
    import tensorflow as tf

    x = images()[..., 0]
    for layer, axis in (("TimeMask", 1), ("FrequencyMask", 2)):
        vary = varied([AugmentationRecipe(layer, {"factor": 0.5})], 3)
        assert vary is not None
        masked = vary({"x": tf.constant(x)}, tf.constant(0, tf.int64))["x"].numpy()
        changed = (masked != x).all(axis=3 - axis)
        assert (changed == (masked != x).any(axis=3 - axis)).all()
        assert 0 < changed.sum(axis=1).max() <= x.shape[axis] / 2
        for row, sample, original in zip(changed, masked, x, strict=True):
            assert np.count_nonzero(np.diff(row.astype(int))) <= 2
            where = np.moveaxis(sample, axis - 1, 0)[row]
            np.testing.assert_allclose(where, original.mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "arguments", "says"),
    [
        ("RandomFlip", {"mod": "horizontal"}, r"unknown key 'mod'.*Did you mean 'mode'"),
        ("RandomFlip", {"seed": 1}, "unknown key 'seed'"),
        ("RandomFlip", {"mode": "sideways"}, "mode: received 'sideways', expected one of horiz"),
        ("RandomRotation", {}, "RandomRotation: .*factor"),
        ("GaussianNoise", {"stddev": 2.0}, "GaussianNoise: .*stddev"),
        ("RandomGain", {"lo": 1}, r"unknown key 'lo'.*Did you mean 'low'"),
        ("RandomGain", {"low": 2.0, "high": 1.0}, "RandomGain: .*below the first"),
        ("TimeMask", {"factor": 0}, "TimeMask: factor: received 0"),
    ],
)
def test_arguments_that_a_layer_does_not_have(
    layer: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(RecipeError, match=says):
        varied([AugmentationRecipe(layer, arguments)], 0)


@pytest.mark.parametrize(
    ("layer", "shape", "says"),
    [
        ("RandomFlip", (None, 4), r"RandomFlip: cannot vary samples of shape \[4\]: .*rank"),
        ("RandomSaturation", (None, 8, 8, 1), r"RandomSaturation: .*\[8, 8, 1\]"),
        ("FrequencyMask", (None, 20), "FrequencyMask: .*expected axis 2"),
    ],
)
def test_samples_that_a_layer_cannot_vary(
    layer: str, shape: tuple[int | None, ...], says: str
) -> None:
    with pytest.raises(RecipeError, match=says):
        check_fit([AugmentationRecipe(layer, ARGUMENTS.get(layer, {}))], shape)


def test_dynamic_dimensions_fit() -> None:
    names = ("RandomGaussianBlur", "RandomHue", "TimeMask")
    recipes = [AugmentationRecipe(name, ARGUMENTS.get(name, {})) for name in names]
    check_fit(recipes, (None, None, None, 3))


def test_layers_that_there_are_not() -> None:
    with pytest.raises(RecipeError, match=r"augmentation\[0\]: layer: .*Did you mean 'RandomFlip'"):
        AugmentationRecipe.from_json({"layer": "RandomFlop"}, "augmentation[0]")
    with pytest.raises(RecipeError, match="expected a layer's name"):
        AugmentationRecipe.from_json({"mode": "horizontal"}, "augmentation[0]")


def test_keras_layers_are_there() -> None:
    import keras

    assert all(hasattr(keras.layers, name) for name in KERAS_LAYERS)
