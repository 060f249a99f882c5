from __future__ import annotations

import pytest

from edgekit.errors import RecipeError
from edgekit.models.architectures import ARCHITECTURES, Task, build
from edgekit.recipe import ModelRecipe


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("width", [0.25, 1.0])
def test_each_classifies(name: str, width: float) -> None:
    model = build(Task((28, 28, 1), 10, 1 / 255), ModelRecipe(name, width))
    assert model.output_shape == (None, 10)
    assert model.output_names == ["probabilities"]
    assert model.count_params() < 200_000


def test_width_multiplies_the_channels() -> None:
    task = Task((8, 8, 1), 10, 1 / 16)
    narrow, wide = (build(task, ModelRecipe("cnn", width)) for width in (0.5, 1.0))
    assert narrow.get_layer("conv2").filters * 2 == wide.get_layer("conv2").filters


def test_feature_vectors_need_no_images() -> None:
    assert build(Task((6,), 3, 1.0), ModelRecipe("mlp")).input_shape == (None, 6)


@pytest.mark.parametrize("shape", [(6,), (28, 28), (3, 28, 1)])
def test_an_image_network_wants_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(RecipeError, match=r"received samples of shape .* at least 4x4"):
        build(Task(shape, 10, 1.0), ModelRecipe("cnn"))


def test_an_unknown_name_leads_to_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"model 'cmn' is unknown.*Did you mean 'cnn'"):
        build(Task((8, 8, 1), 10, 1.0), ModelRecipe("cmn"))
