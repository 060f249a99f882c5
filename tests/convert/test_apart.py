"""A float conversion that ends its process ends in an error that says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.refusal_kinds import kind_of

from edgekit.convert.apart import float_tflite_apart
from edgekit.convert.trace.freeze import Frozen
from edgekit.convert.worker import Worker
from edgekit.errors import ExportError


def test_a_converter_that_dies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = Worker.submit
    asked: list[Any] = []

    def die(self: Worker, function: Any, frozen: Frozen, *_: Any) -> None:
        asked.append((function.__module__, frozen.saved_model))
        submit(self, os.abort)

    monkeypatch.setattr(Worker, "submit", die)
    frozen = Frozen(tmp_path, None, (), (), nested=True)
    with pytest.raises(
        ExportError, match=r"converter died of it: .* was ended by SIGABRT$"
    ) as caught:
        float_tflite_apart(frozen, allow_flex=False, verbose=False)
    assert kind_of(str(caught.value)) == "the converter died"
    assert asked == [("edgekit.convert.apart", tmp_path)]
