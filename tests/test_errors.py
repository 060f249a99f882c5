"""The tree of errors in the docstring is the tree of classes, with their exit codes; and `require`."""

from __future__ import annotations

import inspect
import os
import re
import sys
from types import ModuleType

import pytest

from edgekit import errors

CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, errors.EdgekitError) and value.__module__ == errors.__name__
]


def drawn() -> dict[str, tuple[int, int | None]]:
    """Depth and exit code of each class in the picture; None where it has its parent's."""
    lines = re.findall(
        r"^([│├└─ ]*)(\w+Error)(?: {2,}(\d))?(?= |$)", str(errors.__doc__), re.MULTILINE
    )
    return {name: (len(lead) // 4, int(code) if code else None) for lead, name, code in lines}


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_each_class_is_drawn_where_it_belongs(error: type[errors.EdgekitError]) -> None:
    depth, code = drawn()[error.__name__]
    assert depth == error.__mro__.index(errors.EdgekitError)
    assert code == error.__dict__.get("exit_code")


def test_nothing_else_is_drawn() -> None:
    assert set(drawn()) == {error.__name__ for error in CLASSES}
    # A verdict is no error, but where a file was searched for that none of those made can be.
    assert {e.__name__ for e in CLASSES if e.exit_code == errors.BUDGET_EXCEEDED} == {"BudgetError"}
    assert {e.__name__ for e in CLASSES if e.exit_code == errors.INCONCLUSIVE} == {"UndecidedError"}


@pytest.mark.parametrize(("told", "found"), [(None, "1"), ("0", "0")])
def test_tensorflow_comes_with_onednn_unless_told(
    monkeypatch: pytest.MonkeyPatch, told: str | None, found: str
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    # What stands there now comes back at the end.
    monkeypatch.setenv(errors.ONEDNN, "")
    monkeypatch.delenv(errors.ONEDNN)
    if told is not None:
        monkeypatch.setenv(errors.ONEDNN, told)
    errors.require("numpy", "export", "A test")
    assert os.environ.get(errors.ONEDNN) == told
    errors.require("tensorflow", "export", "A test")
    assert os.environ[errors.ONEDNN] == found


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_too_little_memory_is_the_environments(error: Exception) -> None:
    behind = ValueError("what it was for")
    behind.__cause__ = error
    assert errors.of_memory(behind)
    assert errors.of_environment(behind)
    assert not errors.of_memory(RuntimeError("a thread of an argument"))
