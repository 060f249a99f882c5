"""Pipelines: read strictly, laid over each other, and combined; each combination an order."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.build.matrix import orders_of
from edgekit.build.order import Order
from edgekit.build.pipeline import AXES, Pipeline, read_pipeline
from edgekit.build.plan import steps_of
from edgekit.errors import RecipeError, UsageError

MODEL = '[model]\nfile = "m.keras"\nsamples = "s.npz"\n'
RECIPE = '[data]\ntrain = "t.npz"\ntest = "test.npz"\n[training]\nepochs = 3\n'


def read(folder: Path, text: str) -> Pipeline:
    path = folder / "pipeline.toml"
    path.write_text(text, "utf-8")
    return read_pipeline(path)


def orders(folder: Path, text: str) -> list[Order]:
    return orders_of(read(folder, text), folder / "out")


def test_one_model_is_built_in_the_folder_itself(tmp_path: Path) -> None:
    (order,) = orders(
        tmp_path,
        MODEL
        + 'calibration = "c.npz"\n[export]\nfiles = ["int8.tflite"]\n[budget]\nmax_accuracy_drop = "2%"\n'
        + '[bench]\nseconds = 0.5\n[bundle]\nfolder = true\nkey = "k.pem"\n',
    )
    out = tmp_path / "out"
    assert (order.out, order.cell, order.shared) == (out, "", None)
    assert (order.model, order.samples) == (tmp_path / "m.keras", tmp_path / "s.npz")
    assert (order.calibration, order.key) == (tmp_path / "c.npz", tmp_path / "k.pem")
    assert (order.golden, order.bundle) == (out / "golden.npz", out / "m.bundle")
    assert order.budget.max_accuracy_drop == 0.02
    assert order.seconds == 0.5
    assert order.recipes[""].export.pairs == (("int8", "tflite"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[modle]\n", "unknown key 'modle'.*Did you mean 'model'"),
        (MODEL + "[bench]\nsecond = 1\n", "unknown key 'bench.second'.*'bench.seconds'|'seconds'"),
        (MODEL + "[matrix]\nscheme = ['int8']\n", "'matrix.scheme'.*Did you mean 'schemes'"),
        (MODEL + "[matrix]\nschemes = ['int9']\n", "schemes: received 'int9'.*Did you mean 'int8'"),
        (MODEL + "[matrix]\ndevices = ['raspberry-pi-44b']\n", "raspberry-pi-4b"),
        (MODEL + "[matrix]\nschemes = ['int8', 'int8']\n", "received 'int8', expected each once"),
        (MODEL + "[matrix]\nrecipes = ['a']\n", r"there is no table \[recipes.NAME\]"),
        (MODEL + "[recipes.ab]\n[matrix]\nrecipes = ['ac']\n", "received 'ac', expected one of ab"),
        (MODEL + "[[matrix.exclude]]\n", "received nothing, expected one of model, recipe"),
        (MODEL + "[recipes.'../x']\n", r"recipes.../x: received '../x', expected letters"),
        (MODEL + "[recipes.x]\nprnue = {}\n", "'recipes.x.prnue'.*Did you mean 'prune'"),
        (MODEL + "[export]\nminimise = 'size'\n", "export.minimise: received a search"),
        (MODEL + "[recipes.x]\ntasks = {'' = 'regression'}\n", "received other tasks"),
        (MODEL + "[budget]\nmax_accuracy_drop = '2 percent'\n", "max_accuracy_drop"),
        (MODEL + "[bench]\nseconds = 0.0\n", "seconds: received 0.0"),
        (MODEL + "[bench]\nseconds = 'long'\n", "'bench.seconds': received 'long'"),
        ("[model]\nsamples = 's.npz'\n", "key 'file' is missing, or 'recipe'"),
        ("[model]\nfile = 'm.keras'\n", "model: key 'samples' is missing"),
        (MODEL + "recipe = 'r.toml'\n", "file, recipe: received both"),
        (MODEL + "[models.a]\n[models.b]\nsamples = 3\n", "'models.b.samples': received 3"),
        ("[models]\na = 3\n", "'models.a': received 3, expected a table"),
        ("model = 3\n", "'model': received 3, expected a table"),
        ("[model\n", "not TOML"),
        (MODEL.replace("s.npz", "$NOT_SET_ANYWHERE/s.npz"), "environment variable"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says) as caught:
        orders(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path))


def test_none_is_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_pipeline(tmp_path / "none.toml")


def test_a_table_of_one_is_laid_over_that_of_all(tmp_path: Path) -> None:
    pipeline = read(
        tmp_path,
        MODEL
        + "[models.a]\n[models.b]\nrecipe = 'r.toml'\n"
        + "[export]\nschemes = ['float32']\nquality = 'fast'\nprune = {sparsity = 0.5, epochs = 1}\n"
        + "[recipes.x]\nfiles = ['int8.onnx']\n[recipes.y]\nprune = {sparsity = 0.8}\n",
    )
    a, b = pipeline.models["a"], pipeline.models["b"]
    assert (a.file, a.recipe, a.samples) == (str(tmp_path / "m.keras"), None, b.samples)
    # What a model is, is said once.
    assert (b.file, b.recipe) == (None, str(tmp_path / "r.toml"))
    x, y = pipeline.recipes["x"], pipeline.recipes["y"]
    assert (x.pairs, x.quality) == ((("int8", "onnx"),), "fast")
    assert y.prune is not None
    assert (y.pairs[0][0], y.prune.sparsity, y.prune.epochs) == ("float32", 0.8, 1)


def test_a_model_that_is_trained(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE, "utf-8")
    (order,) = orders(tmp_path, "[model]\nrecipe = 'r.toml'\n")
    assert order.training is not None
    assert order.training.recipe.training.epochs == 3
    assert order.model == tmp_path / "out/r.keras"
    # What is not said is of the recipe's own data.
    assert (order.samples, order.calibration) == (tmp_path / "r.toml", None)
    assert order.recipes[""].data == order.training.recipe.data
    (tmp_path / "r.toml").write_text("[training]\nepochs = 3\n", "utf-8")
    with pytest.raises(RecipeError, match=r"has no table \[data\]"):
        orders(tmp_path, "[model]\nrecipe = 'r.toml'\n")


def test_without_a_matrix_the_files_of_all_recipes_stand_together(tmp_path: Path) -> None:
    tables = "[recipes.plain]\n[recipes.small]\nprune = {sparsity = 0.5}\n"
    (order,) = orders(tmp_path, MODEL + tables)
    assert (list(order.recipes), order.cell) == (["plain", "small"], "")
    plain, small = orders(tmp_path, MODEL + tables + "[matrix]\nrecipes = ['plain', 'small']\n")
    assert (list(plain.recipes), plain.out) == (["plain"], tmp_path / "out/plain")
    assert small.optimised("small") == tmp_path / "out/shared/model/optimised/small"


NAMES = st.lists(st.sampled_from(["a", "b", "c-d", "e.f"]), min_size=1, max_size=3, unique=True)
SCHEMES = st.lists(st.sampled_from(["int8", "float32", "int8.onnx"]), max_size=3, unique=True)
DEVICES = st.lists(st.sampled_from(["raspberry-pi-4b", "raspberry-pi-5"]), max_size=2, unique=True)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(NAMES, st.booleans(), NAMES, st.booleans(), SCHEMES, DEVICES, st.data())
def test_every_combination_once_in_its_folder(
    tmp_path: Path,
    models: list[str],
    several: bool,
    recipes: list[str],
    apart: bool,
    schemes: list[str],
    devices: list[str],
    data: st.DataObject,
) -> None:
    axes = {
        "model": models if several else [],
        "recipe": recipes if apart else [],
        "scheme": schemes,
        "device": devices,
    }
    used = {axis: values for axis, values in axes.items() if values}
    left_out = {
        axis: data.draw(st.sampled_from(values), label=axis)
        for axis, values in used.items()
        if data.draw(st.booleans(), label=f"exclude by {axis}")
    }
    expected = {
        combination
        for combination in itertools.product(*used.values())
        if not left_out
        or any(dict(zip(used, combination, strict=True))[a] != v for a, v in left_out.items())
    }
    text = MODEL + "".join(f"[models.'{name}']\n" for name in models if several)
    text += "".join(f"[recipes.'{name}']\n" for name in recipes) + "[matrix]\n"
    text += f"recipes = {recipes}\n" * apart
    text += f"schemes = {schemes}\n" * bool(schemes) + f"devices = {devices}\n" * bool(devices)
    text += f"exclude = [{{{', '.join(f'{a} = {v!r}' for a, v in left_out.items())}}}]\n" * bool(
        left_out
    )
    if not expected:
        with pytest.raises(RecipeError, match="no combination"):
            orders(tmp_path, text)
        return
    found = orders(tmp_path, text)
    assert {tuple(order.cell.split("/")) if used else () for order in found} == expected
    assert len({order.out for order in found}) == len(found) == len(expected)
    for order in found:
        cell = dict(zip(used, order.cell.split("/"), strict=False))
        exports = [recipe.export for recipe in order.recipes.values()]
        assert set(order.recipes) == ({cell["recipe"]} if apart else set(recipes))
        assert {export.device for export in exports} == {cell.get("device")}
        if scheme := cell.get("scheme"):
            assert {s for e in exports for s, _ in e.pairs} == {scheme.split(".")[0]}
    assert set(AXES) == set(axes)


def test_what_cells_have_in_common_is_one_step(tmp_path: Path) -> None:
    for name in ("t.npz", "test.npz", "m.keras", "s.npz", "c.npz"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "r.toml").write_text(RECIPE, "utf-8")
    found = orders(
        tmp_path,
        "[models.a]\nfile = 'm.keras'\nsamples = 's.npz'\ndata = 's.npz'\n[models.b]\nrecipe = 'r.toml'\n"
        "[recipes.p]\nprune = {sparsity = 0.5}\n[recipes.q]\n"
        "[matrix]\nrecipes = ['p', 'q']\nschemes = ['int8', 'float32']\n",
    )
    planned = [step.name for step in steps_of(tmp_path / "out", found).plan()]
    assert len(planned) == len(set(planned))
    once = [name for name in planned if not name.endswith(("/int8", "/float32"))]
    assert sorted(once) == ["golden a", "golden b", "optimise a/p", "optimise b/p", "train b"]
    assert len(planned) - len(once) == 8 * 5
    # A golden file is of the model alone, and a change of a recipe's data is one of the training.
    assert not (tmp_path / "out").exists()


def test_what_a_recipe_reads_decides(tmp_path: Path) -> None:
    from edgekit.build.chain import Chain

    for name in ("t.npz", "test.npz"):
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "r.toml").write_text(RECIPE, "utf-8")
    (order,) = orders(tmp_path, "[model]\nrecipe = 'r.toml'\n")
    before = Chain(order).of_train()
    (tmp_path / "t.npz").write_bytes(b"2")
    os.utime(tmp_path / "t.npz", ns=(1, 1))
    after = Chain(order).of_train()
    assert {key for key in before if before[key] != after[key]} == {"data"}
