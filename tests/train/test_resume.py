"""What a training that ended early keeps, and who may go on from there."""

from __future__ import annotations

import csv
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import OutputExistsError, TrainingError
from edgekit.recipe import ModelRecipe, Recipe, ScheduleRecipe, TrainingRecipe
from edgekit.samples import Samples, Splits
from edgekit.train.checkpoint import Checkpoint
from edgekit.train.trainer import train

RECIPE = Recipe(
    model=ModelRecipe("mlp"),
    training=TrainingRecipe(epochs=4, batch_size=32, learning_rate=0.01),
)


def splits(seed: int = 0) -> Splits:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((200, 6)).astype(np.float32)
    return Splits(*Samples({"x": x}, np.argmax(x[:, :3], axis=1)).split([0.6, 0.2, 0.2]))


class Stop(Exception):
    """Ends a training after an epoch."""


def stop_after(epoch: int) -> Any:
    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == epoch:
            raise Stop

    return stop


def epochs(path: Path) -> list[int]:
    with path.open(newline="") as stream:
        return [int(row["epoch"]) for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoint of ``m.keras`` after two epochs. Copied, never changed."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Stop):
        train(splits(), RECIPE, folder / "m.keras", on_epoch=stop_after(2))
    return folder


@pytest.fixture
def output(stopped: Path, tmp_path: Path) -> Path:
    """``m.keras``, not there yet, beside the checkpoint of its first two epochs."""
    import shutil

    shutil.copytree(stopped, tmp_path / "here")
    return tmp_path / "here" / "m.keras"


def test_what_an_ended_training_keeps(output: Path) -> None:
    names = sorted(path.name for path in output.parent.iterdir())
    assert names == ["m.keras.checkpoint", "m.log.csv"]
    assert epochs(output.with_name("m.log.csv")) == [1, 2]


def test_the_same_call_goes_on(output: Path) -> None:
    log = output.with_name("m.log.csv")
    # A line that was written after the checkpoint, by a training that then ended.
    log.write_text(log.read_text() + log.read_text().splitlines()[-1].replace("2,", "3,", 1) + "\n")
    seen: list[int] = []
    done = train(splits(), RECIPE, output, on_epoch=lambda row: seen.append(int(row["epoch"])))
    assert seen == [3, 4]
    assert [row["epoch"] for row in done.history] == epochs(log) == [1, 2, 3, 4]
    assert done.seconds > sum(row["seconds"] for row in done.history[:2])
    assert not Checkpoint(output).folder.exists()


@pytest.mark.parametrize(
    "changed",
    [
        lambda: (splits(1), RECIPE),
        lambda: (splits(), replace(RECIPE, training=replace(RECIPE.training, epochs=5))),
        lambda: (splits(), replace(RECIPE, model=ModelRecipe("mlp", dropout=0.5))),
        lambda: (
            splits(),
            replace(RECIPE, training=replace(RECIPE.training, schedule=ScheduleRecipe("constant"))),
        ),
    ],
    ids=["data", "epochs", "dropout", "schedule"],
)
def test_another_training_is_refused(output: Path, changed: Any) -> None:
    given, recipe = changed()
    before = (Checkpoint(output).folder / "epoch.npz").read_bytes()
    with pytest.raises(OutputExistsError, match=r"holds 2 epochs of another training.*--overwrite"):
        train(given, recipe, output)
    assert (Checkpoint(output).folder / "epoch.npz").read_bytes() == before


def test_another_training_begins_anew_with_overwrite(output: Path) -> None:
    seen: list[int] = []
    train(
        splits(1),
        replace(RECIPE, training=replace(RECIPE.training, epochs=1)),
        output,
        overwrite=True,
        on_epoch=lambda row: seen.append(int(row["epoch"])),
    )
    assert seen == [1]


def test_a_damaged_checkpoint_is_refused(output: Path) -> None:
    file = Checkpoint(output).folder / "epoch.npz"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(TrainingError, match=r"epoch\.npz: cannot be read.*--overwrite"):
        train(splits(), RECIPE, output)


def test_a_training_ended_between_its_model_and_its_checkpoint(output: Path) -> None:
    """As a kill leaves it after the model was moved into place and before the checkpoint was removed."""
    train(splits(), RECIPE, output, on_epoch=None)
    finished = output.read_bytes()
    checkpoint = Checkpoint(output)
    with pytest.raises(OutputExistsError):
        train(splits(), RECIPE, output)
    output.unlink()
    with pytest.raises(Stop):
        train(splits(), RECIPE, output, on_epoch=stop_after(4))
    output.write_bytes(finished)
    with pytest.raises(OutputExistsError):
        # Somebody's own model stays.
        train(splits(), RECIPE, output)
    from edgekit.files import sha256_of

    (checkpoint.folder / "published").write_text(sha256_of(output))
    assert len(train(splits(), RECIPE, output).history) == 4
    assert not checkpoint.folder.exists()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The operating system itself refuses larger files, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_loses_no_checkpoint(output: Path) -> None:
    file = Checkpoint(output).folder / "epoch.npz"
    before = file.read_bytes()
    with (
        pytest.raises(
            TrainingError,
            match=r"m\.keras: the checkpoint of epoch 3 cannot be written \(File too large\)\. The "
            r"last checkpoint is whole \(.*\): make room and run the same command again",
        ),
        files_of_at_most(len(before) // 2),
    ):
        train(splits(), RECIPE, output)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["epoch.npz"]
    assert len(train(splits(), RECIPE, output).history) == 4


def test_a_disk_that_is_full_at_the_end_keeps_the_last_checkpoint(output: Path) -> None:
    with pytest.raises(Stop):
        train(splits(), RECIPE, output, on_epoch=stop_after(4))
    with (
        pytest.raises(TrainingError, match=r"the model cannot be written.*make room"),
        files_of_at_most(2000),
    ):
        train(splits(), RECIPE, output)
    assert not output.exists()
    assert len(train(splits(), RECIPE, output).history) == 4
    assert output.exists()


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    given = splits()
    output = tmp_path / "m.keras"
    # Rises from 0 by 1e9 an epoch's worth of steps: the first epoch is harmless, a later one is not.
    settings = replace(
        RECIPE.training, optimizer="sgd", learning_rate=9.9, loss="mean_squared_error"
    )
    values = Samples(given.train.inputs, np.asarray(given.train.inputs["x"])[:, :2] * 1e3)
    shorter = Samples(given.validation.inputs, np.asarray(given.validation.inputs["x"])[:, :2])
    recipe = replace(
        RECIPE,
        training=replace(
            settings, epochs=30, batch_size=120, schedule=ScheduleRecipe(warmup_epochs=25)
        ),
    )
    with pytest.raises(
        TrainingError,
        match=r"(became|is) NaN or infinite at step (\d+) \(epoch \2, step 1 of 1\)\. The checkpoint of epoch "
        r"\d+ is kept\. Lower the learning rate",
    ) as caught:
        train(Splits(values, shorter, None), recipe, output)
    state = Checkpoint(output)
    assert state.exists()
    good = epochs(output.with_name("m.log.csv"))
    assert f"checkpoint of epoch {good[-1]} is kept" in str(caught.value)
    with np.load(state.folder / "epoch.npz") as archive:
        arrays = [archive[name] for name in archive.files if name.endswith(".npy")]
        arrays += [archive[name] for name in archive.files if name.startswith("model/")]
    assert arrays
    assert all(np.isfinite(x).all() for x in arrays if x.dtype.kind == "f")
