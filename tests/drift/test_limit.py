from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.drift.figure import KINDS
from edgekit.drift.limit import Limit
from edgekit.errors import UsageError
from edgekit.shares import Share


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("accuracy_drop<=1%", Limit("accuracy_drop", at_most=0.01)),
        (" accuracy >= 0.9 ", Limit("accuracy", at_least=0.9)),
        ("sqnr_db[scores] >= 30", Limit("sqnr_db", at_least=30, output="scores")),
        ("accuracy_drop[class=3]<=2%", Limit("accuracy_drop", at_most=0.02, group="class=3")),
        ("agreement[a/b, class=*]>=9e-1", Limit("agreement", None, 0.9, "a/b", "class=*")),
        ("size_bytes<=300000", Limit("size_bytes", at_most=300_000)),
        ("size_bytes <= 300 kB", Limit("size_bytes", at_most=300_000)),
        ("peak_rss_bytes<=1.5MB", Limit("peak_rss_bytes", at_most=1_500_000)),
        ("p50_ms<=500us", Limit("p50_ms", at_most=0.5)),
        ("sqnr_db >= 30 dB", Limit("sqnr_db", at_least=30)),
        ("accuracy_drop<=2 pt", Limit("accuracy_drop", at_most=0.02)),
        ("accuracy_drop<=30%", Limit("accuracy_drop", at_most=Share(0.3))),
    ],
)
def test_what_people_type(text: str, limit: Limit) -> None:
    assert Limit.parse(text) == limit
    assert Limit.from_json(limit.to_json()) == limit


@given(st.sampled_from(sorted(KINDS)), st.floats(0, 0.2))
def test_every_figure_is_limited_on_its_bad_side(figure: str, value: float) -> None:
    higher = KINDS[figure].better == "higher"
    limit = Limit.parse(f"{figure}{'>=' if higher else '<='}{value!r}")
    assert limit.value == value
    assert (limit.at_most is None) == higher
    assert limit.concerns(figure, "any", "")
    assert not limit.concerns(figure, "any", "class=1")
    with pytest.raises(UsageError, match="is better when"):
        Limit.parse(f"{figure}{'<=' if higher else '>='}{value!r}")


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("accuracy_drop<=1", "did you mean 1%, that is 0.01?"),
        ("accuracy_drop[class=*]<=0.5", "did you mean 0.5%, that is 0.005?"),
        ("agreement>=99", "did you mean 99%, that is 0.99?"),
        ("agreement>=-0.5", "expected a share from 0 to 1."),
        ("p50_ms<=5 kB", "expected a figure"),
        ("size_bytes<=5 eggs", "expected a figure"),
    ],
)
def test_a_number_that_cannot_have_been_meant(text: str, question: str) -> None:
    with pytest.raises(UsageError) as caught:
        Limit.parse(text)
    assert question in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accuracy_drop=1%", "expected a figure, '<=' or '>=' and a number, such as"),
        ("accuracy_drop<=", "expected a figure"),
        ("accuracy_drop<=nan", "expected a figure"),
        ("accuracy_drop<=inf", "expected a finite number"),
        ("accuraci_drop<=1%", "Did you mean 'accuracy_drop'?"),
        ("accuracy_drop<=5", "expected a share from -1 to 1; did you mean 5%, that is 0.05?"),
        ("", "received ''"),
    ],
)
def test_what_is_no_limit(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Limit.parse(text)
    assert said in str(caught.value)


def test_one_side_is_set() -> None:
    for sides in ({}, {"at_most": 1.0, "at_least": 0.0}, {"at_most": True}):
        with pytest.raises(UsageError, match="expected a finite number for one of them"):
            Limit("rmse", **sides)


def test_in_words() -> None:
    assert (
        Limit.parse("accuracy_drop[class=3]<=2%").words == "accuracy drop (class 3) at most 2.00 pt"
    )
    assert Limit.parse("sqnr_db[scores]>=30").words == "SQNR (scores) at least 30.0 dB"
    assert Limit("size_bytes", at_most=300_000).words == "size at most 300,000 bytes"
    assert Limit("agreement", at_least=Share(0.5)).words == "agreement at least 50.00 %"
