"""A long measurement: its windows, who was fastest in them, and when the machine held back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekit
from edgekit.errors import ArtifactError
from edgekit.runtime.contestant import Entry
from edgekit.runtime.sustained import Sustained, Window, sustained

MS = st.floats(0.01, 100)


def window(end_s: float, *medians_ms: float, throttled: bool | None = None) -> Window:
    return Window(end_s, medians_ms, None, None, throttled)


def test_each_window_has_a_median_of_each_file(models: Path) -> None:
    entries = []
    for name in ("classifier.float32.tflite", "classifier.int8.tflite"):
        with edgekit.load(models / name) as runner:
            entries.append(Entry.of(runner, None))
    lines: list[str] = []
    found = sustained(entries, 0.5, 1, lines.append)
    assert len(found.windows) == len(lines) == 10
    assert [len(each.medians_ms) for each in found.windows] == [2] * 10
    assert all(ms > 0 for each in found.windows for ms in each.medians_ms)
    ends = [each.end_s for each in found.windows]
    assert ends == sorted(ends)
    assert ends[-1] >= 0.5


def test_a_file_that_went_away_is_told(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes((models / "classifier.int8.tflite").read_bytes())
    with edgekit.load(path) as runner:
        entry = Entry.of(runner, None)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"m\.tflite"):
        sustained([entry], 0.5, 1, lambda _: None)


def test_the_firmware_says_that_it_holds_back() -> None:
    found = Sustained(
        3, (window(1, 5.0, throttled=False), window(2, 5.0, throttled=True), window(3, 5.0))
    )
    assert found.held_back_s == 2
    assert found.slowdown == 1


def test_files_that_became_slower_show_it_too() -> None:
    # One of three that slows down is that file's own affair.
    one = window(2, 1.0, 2.0, 6.0)
    found = Sustained(3, (window(1, 1.0, 2.0, 3.0), one, window(3, 1.2, 2.4, 3.6)))
    assert found.held_back_s == 3
    assert found.slowdown == pytest.approx(1.2)
    assert Sustained(2, found.windows[:2]).held_back_s is None


@given(st.lists(st.tuples(MS, MS, MS), min_size=2, max_size=5))
def test_rankings_are_of_the_first_and_the_last_window(rows: list[tuple[float, ...]]) -> None:
    found = Sustained(len(rows), tuple(window(i + 1, *row) for i, row in enumerate(rows)))
    for ranking, row in ((found.first, rows[0]), (found.last, rows[-1])):
        assert sorted(ranking) == [0, 1, 2]
        assert [row[i] for i in ranking] == sorted(row)
    ratios = np.array(rows[-1]) / np.array(rows[0])
    assert found.slowdown == pytest.approx(float(np.median(ratios)))
