"""Work spread over threads: in order, lazily, and with all that came before an exception."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from edgekit.runtime.parallel import ordered_map


class BrokenError(Exception):
    pass


def broken_at(end: int, pause_s: float = 0) -> Iterator[int]:
    for number in range(end):
        time.sleep(pause_s)
        yield number
    raise BrokenError


def double(number: int) -> int:
    return 2 * number


def until_error(results: Iterator[int]) -> list[int]:
    """What comes before the exception, which has to come."""
    got: list[int] = []
    try:
        for result in results:
            got.append(result)
    except BrokenError:
        return got
    pytest.fail(f"no exception after {len(got)} results")


@pytest.mark.parametrize("workers", [2, 4, 8])
@pytest.mark.parametrize("end", [0, 1, 31, 32, 33, 500])
def test_what_came_before_an_exception_of_the_source_is_delivered(workers: int, end: int) -> None:
    got = until_error(ordered_map([double] * workers, broken_at(end)))
    assert got == [2 * number for number in range(end)]


def test_so_is_it_where_each_item_goes_alone() -> None:
    got = until_error(ordered_map([double] * 2, broken_at(20, pause_s=0.001)))
    assert got == [2 * number for number in range(20)]


@pytest.mark.parametrize("workers", [2, 4, 8])
@pytest.mark.parametrize("bad", [0, 31, 32, 45, 499])
def test_what_came_before_an_exception_of_a_function_is_delivered(workers: int, bad: int) -> None:
    def fragile(number: int) -> int:
        if number >= bad:
            raise BrokenError(number)
        return number

    assert until_error(ordered_map([fragile] * workers, iter(range(500)))) == list(range(bad))


def test_the_first_of_several_exceptions_is_raised() -> None:
    def fragile(number: int) -> int:
        # The later one is raised first.
        time.sleep(0.2 if number == 10 else 0)
        if number in (10, 40):
            raise BrokenError(number)
        return number

    with pytest.raises(BrokenError, match="10"):
        list(ordered_map([fragile] * 4, broken_at(60)))


def test_nothing_is_taken_from_the_source_after_its_exception() -> None:
    taken = []

    class Source:
        def __iter__(self) -> Source:
            return self

        def __next__(self) -> int:
            taken.append(1)
            if len(taken) == 7:
                raise BrokenError
            return len(taken)

    until_error(ordered_map([double] * 2, Source()))
    assert len(taken) == 7
