"""Shared: the first in changes the process, the last out takes it back."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from edgekit.shared import Shared


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def shared(log: list[str]) -> Shared:
    def make() -> Callable[[], None]:
        log.append("made")
        return lambda: log.append("taken back")

    return Shared(make)


def test_it_is_made_once(shared: Shared, log: list[str]) -> None:
    with shared.on(), shared.on():
        assert log == ["made"]
    assert log == ["made", "taken back"]
    with shared.on():
        assert log == ["made", "taken back", "made"]


def test_off_takes_it_back_for_a_while(shared: Shared, log: list[str]) -> None:
    with shared.on():
        with shared.off(), shared.on(), shared.off():
            assert log == ["made", "taken back"]
        assert log == ["made", "taken back", "made"]
    with shared.off():
        assert log[3:] == ["taken back"]


def test_the_last_of_several_threads_takes_it_back(shared: Shared, log: list[str]) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with shared.on():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    with shared.on():
        leave.set()
        thread.join()
        assert log == ["made"]
    assert log == ["made", "taken back"]


def test_an_error_in_the_block_takes_it_back(shared: Shared, log: list[str]) -> None:
    with pytest.raises(ZeroDivisionError), shared.on(), shared.off():
        raise ZeroDivisionError
    assert log == ["made", "taken back", "made", "taken back"]


def test_what_cannot_be_made_is_not_taken_back(log: list[str]) -> None:
    def make() -> Callable[[], None]:
        log.append("tried")
        raise OSError("no")

    shared = Shared(make)
    for _ in range(2):
        with pytest.raises(OSError, match="no"), shared.on():
            pass
    assert log == ["tried", "tried"]
