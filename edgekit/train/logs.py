"""Logs of a training: a CSV file beside the model, and TensorBoard's where requested."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import require


class CsvLog:
    """A line an epoch; `begin` brings the file to what a checkpoint knows.

    Args:
        path: the file to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, history: Sequence[dict[str, float]]) -> None:
        """Write all of `history`; a line that an ended training wrote after it is gone."""
        self.path.unlink(missing_ok=True)
        for row in history:
            self.add(row)

    def add(self, row: dict[str, float]) -> None:
        """Write one more line; the first one writes the header."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            if not stream.tell():
                writer.writeheader()
            writer.writerow(row)


class TensorBoardLog:
    """A point an epoch for each number, under ``training/`` and ``validation/``.

    Args:
        folder: where event files go.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """

    def __init__(self, folder: str) -> None:
        require("tensorboard", "tensorboard", "Logs for TensorBoard")
        tf = require("tensorflow", "export", "Training a model")
        self._tf = tf
        self._writer = tf.summary.create_file_writer(folder)

    def add(self, row: dict[str, float]) -> None:
        """Write the numbers of one epoch, at once."""
        epoch = int(row["epoch"])
        with self._writer.as_default(step=epoch):
            for key, value in row.items():
                part = "validation" if key.startswith("val_") else "training"
                if key != "epoch":
                    self._tf.summary.scalar(f"{part}/{key.removeprefix('val_')}", value)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def csv_path(output: Path) -> Path:
    """``m.log.csv`` for ``m.keras``."""
    return output.with_name(f"{output.stem}.log.csv")


def line(row: dict[str, Any], epochs: int, monitor: str) -> str:
    """An epoch in words, such as ``epoch 3/20: loss 0.3120, validation accuracy 0.8841, 2.1 s``."""
    words = monitor.removeprefix("val_").replace("_", " ")
    return (
        f"epoch {row['epoch']}/{epochs}: loss {row['loss']:.4f}, validation {words} "
        f"{row[monitor]:.4f}, {row['seconds']:.1f} s"
    )
