"""Checkpoint: all that a training needs to go on after an epoch, in one file that is whole or not there."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import OutputExistsError, TrainingError
from edgekit.files import atomic, replace_folder, sha256_of
from edgekit.scratch import scratch_folder

_STATE = "state.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class State:
    """Where a training stands at the end of an epoch.

    Attributes:
        history: a row for each epoch so far.
        best: the best value of what is monitored, and `best_epoch` when that was, from 1.
        groups: lists of arrays by name: the model's variables (seeds of dropout included), the
            optimiser's (with its count of steps), and the weights of the best epoch.
        stopped: whether patience ran out.
    """

    history: list[dict[str, float]]
    best: float | None
    best_epoch: int
    stopped: bool = False
    groups: Mapping[str, Sequence[NDArray[Any]]] = field(default_factory=dict)


class Checkpoint:
    """The checkpoint of the training that writes `output`: a folder beside it.

    Args:
        output: the model file, or SavedModel folder, that the training ends with.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder: Path = output.with_name(f"{output.name}.checkpoint")
        self._file = self.folder / "epoch.npz"
        self._published = self.folder / "published"

    def exists(self) -> bool:
        return self._file.is_file()

    def save(self, state: State, key: str) -> None:
        """Put `state` in the place of the last one; `key` says whose it is.

        Raises:
            TrainingError: it cannot be written, as on a full disk; the last one stays.
        """
        told = {
            "key": key,
            "history": state.history,
            "best": state.best,
            "best_epoch": state.best_epoch,
            "stopped": state.stopped,
            "groups": {name: len(arrays) for name, arrays in state.groups.items()},
        }
        try:
            with atomic(self._file) as temporary, zipfile.ZipFile(temporary, "w") as archive:
                archive.writestr(zipfile.ZipInfo(_STATE), json.dumps(told))
                for name, arrays in state.groups.items():
                    for number, x in enumerate(arrays):
                        with archive.open(f"{name}/{number}.npy", "w") as stream:
                            np.lib.format.write_array(stream, np.asarray(x), allow_pickle=False)
        except OSError as error:
            raise self.unwritable(f"the checkpoint of epoch {len(state.history)}", error) from error

    def unwritable(self, what: str, error: OSError) -> TrainingError:
        """What to raise where `error` came of writing `what`: it says what is left."""
        left = "Nothing is lost but this epoch"
        if self.exists():
            left = f"The last checkpoint is whole ({self.folder})"
        return TrainingError(
            f"{self.output}: {what} cannot be written ({error.strerror or error}). {left}: make room "
            "and run the same command again to go on from there."
        )

    def load(self, key: str, overwrite: bool) -> State | None:
        """What the last training to this output left; None if it left nothing.

        Args:
            key: of this training.
            overwrite: throw the checkpoint of another training away.

        Raises:
            OutputExistsError: it is another training's, and `overwrite` is false.
            TrainingError: it cannot be read.
        """
        if not self.exists():
            self.remove()
            return None
        try:
            with zipfile.ZipFile(self._file) as archive:
                told = json.loads(archive.read(_STATE))
                if told["key"] == key:
                    return _state(archive, told)
        except _UNREADABLE as error:
            if not overwrite:
                raise TrainingError(
                    f"{self._file}: cannot be read ({error}). Remove {self.folder} or give --overwrite "
                    "(overwrite=True) to train anew."
                ) from error
        else:
            if not overwrite:
                raise OutputExistsError(
                    f"{self.folder}: holds {len(told['history'])} epochs of another training: recipe, "
                    "data or model have changed since. Run what was run before to go on, choose another "
                    "output, or give --overwrite (overwrite=True) to train anew."
                )
        self.remove()
        return None

    def may_replace_output(self) -> bool:
        """Whether the output is this training's own: it was ended just before it could tidy up."""
        if not (self._published.is_file() and self.output.exists()):
            return False
        return self._published.read_text("ascii") == sha256_of(self.output)

    def publish(self, model: Path) -> None:
        """Move the finished model into place and remove the checkpoint."""
        self._published.write_text(sha256_of(model), "ascii")
        if model.is_dir():
            replace_folder(model, self.output)
        else:
            with model.open("rb") as stream:
                os.fsync(stream.fileno())
            model.replace(self.output)
        self.remove()

    def remove(self) -> None:
        """Remove the folder and all in it; nothing if there is none."""
        if self.folder.exists():
            # At once: of half a folder nobody could tell what it is.
            with scratch_folder(self.folder.parent) as (scratch, _):
                self.folder.replace(scratch / self.folder.name)


def _state(archive: zipfile.ZipFile, told: dict[str, Any]) -> State:
    groups = {}
    for name, count in told["groups"].items():
        arrays = []
        for number in range(count):
            with archive.open(f"{name}/{number}.npy") as stream:
                arrays.append(np.lib.format.read_array(stream, allow_pickle=False))
        groups[name] = arrays
    return State(told["history"], told["best"], told["best_epoch"], told["stopped"], groups)
