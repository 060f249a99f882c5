"""Set-ups that prove nothing, by the command line: none ends with 0, and each has its cause named.

A small network is trained on pictures of twelve kinds of coloured blobs under a bright sky, which were
resized from 32 to 16 pixels by area.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]
CLASSES, SIDE = 12, 16
LIMIT = ("--max-accuracy-drop", "5%")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("keras")]


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    return keras


def pictures(count: int, seed: int) -> tuple[Array, Array]:
    """Large pictures from 0 to 1, (count, 32, 32, 3), and their kinds."""
    shapes, size = np.random.default_rng(7), 2 * SIDE
    down, right = np.mgrid[0:size, 0:size] / size
    blobs = []
    for _ in range(CLASSES):
        (y, x), (tall, wide) = shapes.uniform(0.15, 0.85, 2), shapes.uniform(0.08, 0.3, 2)
        blob = np.exp(-(((down - y) / tall) ** 2) - ((right - x) / wide) ** 2)
        blobs.append(blob[..., None] * shapes.uniform(0.1, 1, 3))
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, CLASSES, count)
    sky = np.stack([0.35 * down, 0.2 + 0 * down, 0.1 + 0 * down], -1)
    light = rng.uniform(0.2, 0.6, (count, 1, 1, 1))
    grain = rng.normal(0, 0.22, (count, size, size, 3))
    return np.clip(np.array(blobs)[kinds] * light + sky + grain, 0, 1), kinds


def by_area(x: Array) -> Array:
    return x.reshape(len(x), SIDE, 2, SIDE, 2, 3).mean((2, 4)).astype(np.float32)


def nearest(x: Array) -> Array:
    return x[:, 1::2, 1::2].astype(np.float32)


@pytest.fixture(scope="module")
def shop(once: Callable[..., Path]) -> Path:
    """A trained model, another one, and their files."""

    def make(folder: Path) -> None:
        from edgekit.convert.export import export
        from edgekit.recipe import ModelRecipe, Recipe, TrainingRecipe
        from edgekit.samples import Samples, Splits
        from edgekit.train.trainer import train

        x, kinds = pictures(3000, 1)
        places = (0, 2000, 2300, 2700)
        parts = [
            Samples({"image": by_area(x[a:b])}, kinds[a:b]) for a, b in itertools.pairwise(places)
        ]
        calibration = {"image": by_area(x[2700:])}
        for seed, name in enumerate(("model", "other")):
            settings = TrainingRecipe(epochs=6, batch_size=32, learning_rate=0.003, seed=seed)
            recipe = Recipe(model=ModelRecipe("cnn", width=0.5), training=settings)
            train(Splits(*parts), recipe, folder / f"{name}.keras")
            export(
                folder / f"{name}.keras",
                out=folder / name,
                schemes=("float32", "int8"),
                formats=("tflite",),
                calibration=calibration,
            )

    return once("setups", make)


@pytest.fixture
def judged(command: Any, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """`judged(model, files, x, labels)`: exit code and document of `compare`, and what `golden` said."""

    def run(
        model: Path, files: list[Path], x: Array, labels: Array
    ) -> tuple[int, dict[str, Any], str]:
        samples, golden = tmp_path / "samples.npz", tmp_path / "golden.npz"
        np.savez(samples, image=x, y=labels)
        said = command("golden", model, "--samples", samples, "-o", golden)
        assert said.code == 0, said.err
        done = command("compare", *files, "--golden", golden, *LIMIT, "--json", tmp_path / "d.json")
        return done.code, json.loads((tmp_path / "d.json").read_text("utf-8")), said.err

    return run


def files(shop: Path, name: str = "model") -> list[Path]:
    return [shop / name / f"{name}.{scheme}.tflite" for scheme in ("float32", "int8")]


@pytest.fixture(scope="module")
def sound() -> tuple[Array, Array]:
    x, kinds = pictures(600, 2)
    return by_area(x), kinds


def test_a_sound_set_up_passes(shop: Path, judged: Any, sound: tuple[Array, Array]) -> None:
    code, drift, said = judged(shop / "model.keras", files(shop), *sound)
    assert drift["setup"]["findings"] == []
    assert code == 0
    assert "600 samples, classification; accuracy 9" in said
    assert "set-up" not in said


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda x, y: (x, (y + 1) % CLASSES), "each label lowered by one"),
        (lambda x, y: (x, (y - 1) % CLASSES), "each label raised by one"),
        (lambda x, y: (x, CLASSES - 1 - y), "order of classes reversed"),
        (
            lambda x, y: (x, np.array(sorted(range(CLASSES), key=str))[y]),
            '("10" before "2")',
        ),
        (lambda x, y: (x[..., ::-1], y), "BGR for RGB"),
        (lambda x, y: (x.swapaxes(1, 2), y), "height and width swapped"),
        (lambda x, y: (np.moveaxis(x, -1, 1).reshape(x.shape), y), "channels first (NCHW)"),
        (lambda x, y: (x * 255, y), "the inputs divided by 255"),
    ],
)
def test_a_slip_fails_and_is_named(
    shop: Path, judged: Any, sound: tuple[Array, Array], broken: Any, words: str
) -> None:
    x, labels = broken(*sound)
    code, drift, said = judged(shop / "model.keras", files(shop), np.ascontiguousarray(x), labels)
    assert code == 3
    assert {row["verdict"] for row in drift["candidates"]} == {"fail"}
    (finding, *_) = drift["setup"]["findings"]
    assert (finding["kind"], finding["severity"]) == ("slip", "fail")
    assert words in finding["sentence"]
    assert f"set-up: {finding['sentence']}" in said


def test_another_way_of_resizing_fails(shop: Path, judged: Any) -> None:
    """They have noise that means took away in training."""
    x, labels = pictures(600, 2)
    code, drift, said = judged(shop / "model.keras", files(shop), nearest(x), labels)
    assert code == 3
    (found,) = drift["setup"]["findings"]
    assert (found["kind"], found["severity"]) == ("slip", "fail")
    # Cropping enlarges, which smooths as well, and would help too.
    assert "another way of resizing" in found["sentence"]
    assert f"set-up: {found['sentence']}" in said


def test_another_models_files_fail(shop: Path, judged: Any, sound: tuple[Array, Array]) -> None:
    code, drift, _ = judged(shop / "model.keras", files(shop, "other"), *sound)
    assert code != 0
    named = [f for f in drift["setup"]["findings"] if f["kind"] == "another_model"]
    assert len(named) == 2
    assert all("made of a model with sha256" in finding["sentence"] for finding in named)


def test_a_file_that_was_calibrated_on_the_judged_samples(
    shop: Path, judged: Any, sound: tuple[Array, Array], tmp_path: Path
) -> None:
    from edgekit.convert.export import export

    x, labels = sound
    export(
        shop / "model.keras",
        out=tmp_path / "out",
        schemes=("int8",),
        formats=("tflite",),
        calibration={"image": x[:100]},
    )
    code, drift, _ = judged(shop / "model.keras", [tmp_path / "out/model.int8.tflite"], x, labels)
    (finding,) = drift["setup"]["findings"]
    assert (finding["kind"], finding["severity"]) == ("same_samples", "warning")
    assert "All of the 100 samples, or nearly all, of the calibration" in finding["sentence"]
    assert code == 0


def test_calibration_on_noise_is_named(
    shop: Path, judged: Any, sound: tuple[Array, Array], tmp_path: Path
) -> None:
    """Dark noise, so that the ranges are far too narrow for pictures."""
    from edgekit.convert.export import export
    from edgekit.recipe import ExportRecipe

    noise = np.random.default_rng(0).random((200, SIDE, SIDE, 3)) * 0.15
    export(
        shop / "model.keras",
        out=tmp_path / "out",
        schemes=("int8",),
        formats=("tflite",),
        calibration={"image": noise.astype(np.float32)},
        recipe=ExportRecipe(allow_inaccurate=True),
    )
    code, drift, _ = judged(shop / "model.keras", [tmp_path / "out/model.int8.tflite"], *sound)
    assert code == 3
    finding = drift["setup"]["findings"][0]
    assert (finding["kind"], finding["severity"]) == ("calibration", "fail")
    assert "was calibrated on samples of another kind" in finding["sentence"]


def test_it_may_be_let_be(
    shop: Path, command: Any, sound: tuple[Array, Array], tmp_path: Path
) -> None:
    x, labels = sound
    np.savez(tmp_path / "s.npz", image=x, y=(labels + 1) % CLASSES)
    golden = tmp_path / "g.npz"
    model = shop / "model.keras"
    assert command("golden", model, "--samples", tmp_path / "s.npz", "-o", golden).code == 0
    words = ("compare", files(shop)[0], "--golden", golden, *LIMIT)
    assert command(*words).code == 3
    done = command(*words, "--allow-setup")
    assert done.code == 0
    assert "reference: fail; The reference answers much better with each label lowered" in done.err
