"""Which file is taken, whatever was found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgekit.convert.search.walk import Step, in_order, taken

STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8).map(
    lambda rows: [Step(f"f{i}", float(e), float(c)) for i, (e, c) in enumerate(rows)]
)


@given(STEPS)
def test_no_file_in_the_order_is_beaten(steps: list[Step]) -> None:
    order = in_order(steps)
    for step in order:
        assert not any(
            other.exact >= step.exact
            and other.cost <= step.cost
            and (other.exact, other.cost) != (step.exact, step.cost)
            for other in steps
        )
    # And all that is not beaten is there, once.
    assert {(step.exact, step.cost) for step in order} == {
        (s.exact, s.cost)
        for s in steps
        if not any(
            o.exact >= s.exact and o.cost <= s.cost and (o.exact, o.cost) != (s.exact, s.cost)
            for o in steps
        )
    }
    assert [step.cost for step in order] == sorted((s.cost for s in order), reverse=True)


@given(STEPS, st.data())
def test_the_last_before_the_first_that_does_not_pass(
    steps: list[Step], data: st.DataObject
) -> None:
    order = in_order(steps)
    words = st.sampled_from(["pass", "fail", "inconclusive"])
    verdicts = {step.name: data.draw(words) for step in steps}
    best = taken(order, verdicts)
    passed = [verdicts[step.name] == "pass" for step in order]
    count = passed.index(False) if False in passed else len(order)
    assert best == (order[count - 1] if count else None)


def test_a_file_that_passes_behind_one_that_does_not_is_not_taken() -> None:
    order = in_order([Step("a", 3.0, 30.0), Step("b", 2.0, 20.0), Step("c", 1.0, 10.0)])
    verdicts = {"a": "pass", "b": "inconclusive", "c": "pass"}
    assert taken(order, verdicts) == order[0]
