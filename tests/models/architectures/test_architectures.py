from __future__ import annotations

import pytest

from edgekit.errors import RecipeError
from edgekit.models.architectures import ARCHITECTURES, Task, build, check_name
from edgekit.recipe import ModelRecipe

IMAGE, SERIES = (28, 28, 1), (24, 6)
SHAPES = {
    **dict.fromkeys(("cnn", "resnet8", "mobilenet_v1", "mlp", "autoencoder"), IMAGE),
    **dict.fromkeys(("ds_cnn", "conv1d", "lstm", "gru"), SERIES),
}
CLASSIFIERS = [name for name in ARCHITECTURES if name != "autoencoder"]


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("width", [0.05, 0.25])
def test_each_classifies(name: str, width: float) -> None:
    model = build(Task(SHAPES[name], 10, 1 / 255), ModelRecipe(name, width))
    assert model.output_shape == (None, 10)
    assert model.output_names == ["probabilities"]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_predicts_numbers(name: str) -> None:
    model = build(Task(SHAPES[name], 3, 1.0, "regression"), ModelRecipe(name, 0.1))
    assert model.output_shape == (None, 3)
    assert model.output_names == ["values"]
    assert model.get_layer("values").activation.__name__ == "linear"


@pytest.mark.parametrize("shape", [(40,), IMAGE])
def test_an_autoencoder_answers_like_its_input(shape: tuple[int, ...]) -> None:
    model = build(Task(shape, 0, 1 / 255, "reconstruction"), ModelRecipe("autoencoder", 0.1))
    assert model.output_shape == (None, *shape)
    assert model.output_names == ["reconstruction"]
    # In the unit of the input, not of what the first layer scales it to.
    assert model.get_layer("reconstruction").scale == 255


@pytest.mark.parametrize(
    ("name", "width", "task", "parameters"),
    [
        ("cnn", 1.0, Task(IMAGE, 10), 75_754),
        ("resnet8", 1.0, Task((32, 32, 3), 10), 78_714),
        ("mobilenet_v1", 0.25, Task((96, 96, 3), 2), 219_058),
        ("mobilenet_v1", 1.0, Task((224, 224, 3), 1000), 4_253_864),
        ("mlp", 1.0, Task((64,), 10), 6_570),
        ("autoencoder", 1.0, Task((640,), 0, kind="reconstruction"), 269_992),
        ("ds_cnn", 1.0, Task((49, 10), 12), 24_332),
        ("conv1d", 1.0, Task((100, 6), 4), 18_564),
        ("lstm", 1.0, Task((100, 6), 4), 18_436),
        ("gru", 1.0, Task((100, 6), 4), 14_084),
    ],
)
def test_sizes_are_those_that_the_docstrings_say(
    name: str, width: float, task: Task, parameters: int
) -> None:
    assert build(task, ModelRecipe(name, width)).count_params() == parameters
    assert f"{parameters:,}" in (ARCHITECTURES[name].__doc__ or "")


def test_width_multiplies_the_channels() -> None:
    task = Task((8, 8, 1), 10, 1 / 16)
    narrow, wide = (build(task, ModelRecipe("cnn", width)) for width in (0.5, 1.0))
    assert narrow.get_layer("conv2").filters * 2 == wide.get_layer("conv2").filters


def test_a_spectrogram_may_have_a_channel_axis() -> None:
    flat, image = (build(Task(s, 3), ModelRecipe("ds_cnn")) for s in ((20, 8), (20, 8, 1)))
    assert flat.count_params() == image.count_params()


def test_feature_vectors_need_no_images() -> None:
    assert build(Task((6,), 3, 1.0), ModelRecipe("mlp")).input_shape == (None, 6)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        *(("cnn", shape, "images .* at least 4x4") for shape in ((6,), (28, 28), (3, 28, 1))),
        ("resnet8", (7, 8, 1), "images .* at least 8x8"),
        ("mobilenet_v1", (15, 16, 3), "images .* at least 16x16"),
        *(("ds_cnn", s, "spectrograms .* at least 8x4") for s in ((64,), (7, 10), (49, 3, 1))),
        *(("conv1d", s, "series .* at least 8 steps") for s in ((64,), (7, 6), (8, 6, 1))),
        *((name, (64,), "series .* at least 1 steps") for name in ("lstm", "gru")),
    ],
)
def test_samples_that_do_not_fit(name: str, shape: tuple[int, ...], expected: str) -> None:
    says = rf"model '{name}': received samples of shape .*, expected {expected}"
    with pytest.raises(RecipeError, match=says):
        build(Task(shape, 10, 1.0), ModelRecipe(name))


def test_what_reconstructs_and_what_does_not() -> None:
    with pytest.raises(RecipeError, match=r"'autoencoder': received a classification.*'mlp'"):
        build(Task((8,), 3), ModelRecipe("autoencoder"))
    with pytest.raises(RecipeError, match=r"'mlp': received a reconstruction.*'autoencoder'"):
        build(Task((8,), 0, kind="reconstruction"), ModelRecipe("mlp"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (((8, 8, 1), 0), "classes: received 0, expected at least 1"),
        (((8, None), 3), r"input_shape: received \(8, None\)"),
        (((), 3), "input_shape"),
        (((8,), 3, 1.0, "classify"), r"kind: .*Did you mean 'classification'\?"),
    ],
)
def test_a_task_that_is_none(given: tuple[object, ...], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        Task(*given)  # type: ignore[arg-type]


def test_an_unknown_name_leads_to_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"model 'cmn' is unknown.*Did you mean 'cnn'"):
        build(Task((8, 8, 1), 10, 1.0), ModelRecipe("cmn"))
    with pytest.raises(RecipeError, match=r"Did you mean 'mobilenet_v1'"):
        check_name("mobilenet")
