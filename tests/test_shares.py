"""Shares: per cent and plain numbers, and the question where one may have been meant for the other."""

from __future__ import annotations

import pytest

from edgekit.shares import Share, hundredths, per_cent_meant


@pytest.mark.parametrize(
    ("text", "value"),
    [("1%", 0.01), ("1 %", 0.01), ("0.5%", 0.005), ("0%", 0.0), ("100%", 1.0), ("1e-1%", 0.001)],
)
def test_per_cent(text: str, value: float) -> None:
    parsed = Share.parse(text)
    assert isinstance(parsed, Share)
    assert parsed == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("text", ["0.01", "1", "-0.5", "80"])
def test_plain_numbers_stay_plain(text: str) -> None:
    parsed = Share.parse(text)
    assert type(parsed) is float
    assert parsed == float(text)


@pytest.mark.parametrize(
    "text", ["", "%", "one", "1%%", "1% of", "101%", "-1%", "nan%", "nan", "0,01"]
)
def test_what_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="expected a share such as"):
        Share.parse(text)


def test_the_question() -> None:
    assert per_cent_meant(80) == "; did you mean 80%, that is 0.8?"
    assert per_cent_meant(0.5) == "; did you mean 0.5%, that is 0.005?"
    for other in (Share(0.8), 0.0, -1.0, 101.0, float("nan")):
        assert per_cent_meant(other) == ""


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.01, "1.00"), (0.99, "99.00"), (0.00125, "0.125"), (1, "100.00"), (0.123456, "12.3456")],
)
def test_hundredths(share: float, text: str) -> None:
    assert hundredths(share) == text
