"""Which tests need TensorFlow: told by folder and by fixture, so that few have to say so themselves.

``--without-tensorflow`` leaves them out, and what is left cannot import it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.minutes import room_of

# The rooms of edgekit that need it, by the folder of their tests.
_ROOMS = frozenset({"models", "calibration", "optimize", "convert", "train", "tune"})
# What is made with it.
_FIXTURES = frozenset({"digits_model", "digits_files", "tf", "keras"})
_PACKAGES = ("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "tf2onnx")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-tensorflow",
        action="store_true",
        help="leave out what needs TensorFlow, and let nothing import it",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--without-tensorflow"):
        # What Python takes for a package that is not there.
        sys.modules.update(dict.fromkeys(_PACKAGES))  # type: ignore[arg-type]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The files of such a room are not even imported: what they import at their top is not there."""
    if not config.getoption("--without-tensorflow") or collection_path.suffix != ".py":
        return None
    path = collection_path.relative_to(config.rootpath).as_posix()
    return room_of(path) in _ROOMS or None


def needs_tensorflow(item: pytest.Item) -> bool:
    room = room_of(item.nodeid.split("::")[0])
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return (
        room in _ROOMS
        or not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        or parameters.get("interpreter") == "tensorflow"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if needs_tensorflow(item):
            item.add_marker("tensorflow")
    if config.getoption("--without-tensorflow"):
        left_out = [item for item in items if item.get_closest_marker("tensorflow")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
