from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit
from edgekit.metrics.tally import tally


@given(st.lists(st.integers(0, 20)), st.integers(0, 30))
def test_counts_each_number(values: list[int], count: int) -> None:
    found = tally(np.array(values, np.int64), count)
    length = max([count, *(value + 1 for value in values)])
    assert found.tolist() == [values.count(number) for number in range(length)]
    assert found.dtype == np.int64


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-9, 9))))
def test_sums_the_weights(pairs: list[tuple[int, int]]) -> None:
    values, weights = (np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1))
    found = tally(values, 6, weights)
    assert found.tolist() == [sum(w for v, w in pairs if v == number) for number in range(6)]


@pytest.mark.parametrize("room", ["metrics", "drift", "scoring", "runtime", "report", "samples"])
def test_no_board_calls_what_32_bits_refuse(room: str) -> None:
    files = sorted((Path(edgekit.__file__).parent / room).rglob("*.py"))
    assert files
    calling = [path.name for path in files if "np.bincount(" in path.read_text("utf-8")]
    assert calling in ([], ["tally.py"])
