from __future__ import annotations

import json
from typing import Any

import pytest

from edgekit.artifact import Artifact
from edgekit.drift.budget import DriftBudget
from edgekit.drift.candidate import Candidate, OutputDrift
from edgekit.drift.figure import Figure
from edgekit.drift.limit import Limit
from edgekit.drift.task import TaskDrift
from edgekit.drift.verdict import worst
from edgekit.errors import DocumentError, UsageError
from edgekit.runtime.runner import Backend
from edgekit.shares import Share


def candidate(
    drop: float | None = 0.005,
    interval: tuple[float, float] | None = (-0.001, 0.009),
    agreement: float | None = 0.99,
    sqnr_db: tuple[float | None, ...] = (40.0, 30.0),
) -> Candidate:
    figures = [Figure.of("sqnr_db", value, output=f"out{i}") for i, value in enumerate(sqnr_db)]
    if drop is not None:
        figures.append(Figure.of("accuracy_drop", drop, ci95=interval, count=900))
        for label, own in ((0, 0.02), (3, 0.0)):
            ends = (own - 0.01, own + 0.01)
            known = {"group": f"class={label}", "count": 90, "ci95": ends}
            figures.append(Figure.of("accuracy_drop", own, **known))
    if agreement is not None:
        known = {"ci95": (agreement - 0.005, agreement + 0.005), "count": 900}
        figures.append(Figure.of("agreement", agreement, **known))
    return Candidate(
        artifact=Artifact("m.int8.tflite", "tflite", "int8"),
        backend=Backend("numpy", "2"),
        outputs=tuple(OutputDrift(f"out{i}", sqnr_db=value) for i, value in enumerate(sqnr_db)),
        task=TaskDrift(
            "classification", "out0", drop=drop, drop_ci95=interval, agreement=agreement
        ),
        figures=tuple(figures),
    )


@pytest.mark.parametrize(
    ("limits", "verdict", "said"),
    [
        ({}, "none", []),
        ({"max_accuracy_drop": 0.01}, "pass", ["0.50 pt", "-0.10 to 0.90 pt", "limit of 1.00 pt"]),
        ({"max_accuracy_drop": 0.009}, "pass", ["limit of 0.90 pt"]),
        ({"max_accuracy_drop": 0.005}, "inconclusive", ["900 samples cannot settle", "to 0.90 pt"]),
        ({"max_accuracy_drop": 0.0}, "inconclusive", ["contains the limit of 0.00 pt"]),
        ({"min_agreement": 0.985}, "pass", ["98.50 to 99.50 %"]),
        ({"min_agreement": 0.991}, "inconclusive", ["contains the limit of 99.10 %"]),
        ({"min_agreement": 0.996}, "fail", ["98.50 to 99.50 %, are below the limit of 99.60 %"]),
        ({"min_sqnr_db": 30.0}, "pass", ["output 'out1'", "30.0 dB"]),
        (
            {"min_sqnr_db": 35.0},
            "fail",
            ["(output 'out1') of 30.0 dB is below the limit of 35.0 dB"],
        ),
    ],
)
def test_each_limit_leads_to_its_verdict(
    limits: dict[str, float], verdict: str, said: list[str]
) -> None:
    budget = DriftBudget(**limits)
    received, reasons = budget.judge(candidate())
    assert received == verdict
    assert len(reasons) == len(limits)
    assert all(word in reasons[0] for word in said)
    assert all(reason.endswith(".") for reason in reasons)
    assert (budget == DriftBudget()) is (not limits)


def test_the_worst_limit_decides_and_gives_the_reasons() -> None:
    verdict, reasons = DriftBudget(0.005, 0.999, 20.0).judge(candidate())
    assert verdict == "fail"
    assert len(reasons) == 1
    assert "agreement" in reasons[0]
    verdict, reasons = DriftBudget(0.005, 0.9, 20.0).judge(candidate())
    assert (verdict, len(reasons)) == ("inconclusive", 1)
    verdict, reasons = DriftBudget(0.01, 0.9, 20.0).judge(candidate())
    assert (verdict, len(reasons)) == ("pass", 3)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_accuracy_drop": 1.5},
        {"max_accuracy_drop": -0.01},
        {"max_accuracy_drop": float("nan")},
        {"min_agreement": 99},
        {"min_sqnr_db": float("inf")},
        {"min_sqnr_db": float("nan")},
    ],
)
def test_limits_out_of_range_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(limits))):
        DriftBudget(**limits)


@pytest.mark.parametrize(
    ("limits", "question"),
    [
        (
            {"max_accuracy_drop": 1},
            "received 1, which is 100 points; did you mean 1%, that is 0.01?",
        ),
        ({"max_accuracy_drop": 0.5}, "which is 50 points; did you mean 0.5%, that is 0.005?"),
        ({"max_accuracy_drop": 2.5}, "which is 250 points; did you mean 2.5%, that is 0.025?"),
        (
            {"min_agreement": 99},
            "received 99, expected a share from 0 to 1; did you mean 99%, that is",
        ),
    ],
)
def test_a_number_that_looks_like_per_cent_is_asked_about(
    limits: dict[str, float], question: str
) -> None:
    with pytest.raises(UsageError) as caught:
        DriftBudget(**limits)
    assert question in str(caught.value)


def test_a_share_that_was_given_in_per_cent_is_taken_as_it_is() -> None:
    assert DriftBudget(max_accuracy_drop=Share(0.5)).judge(candidate())[0] == "pass"
    assert DriftBudget(max_accuracy_drop=0.2, min_agreement=1).words == [
        "accuracy drop at most 20.00 pt",
        "agreement at least 100.00 %",
    ]
    with pytest.raises(UsageError, match="from 0 to 1"):
        DriftBudget(max_accuracy_drop=Share(1.5))


@pytest.mark.parametrize("drop", [None, 0.01, Share(0.3), Share(1)])
def test_a_document_is_not_asked_what_it_meant(drop: float | None) -> None:
    budget = DriftBudget(max_accuracy_drop=drop, min_agreement=0.9)
    content = json.loads(json.dumps(budget.to_json()))
    assert DriftBudget.from_json(content) == budget
    with pytest.raises(DocumentError, match="max_accuracy_drop"):
        DriftBudget.from_json({**content, "max_accuracy_drop": 1.5})


def test_the_limits_in_words() -> None:
    assert DriftBudget().words == []
    assert DriftBudget(0.01, 0.99125, 20).words == [
        "accuracy drop at most 1.00 pt",
        "agreement at least 99.125 %",
        "SQNR at least 20.0 dB",
    ]


def test_what_was_not_measured_cannot_be_judged() -> None:
    with pytest.raises(UsageError, match="samples have no labels"):
        DriftBudget(max_accuracy_drop=0.01).judge(candidate(drop=None, interval=None))
    with pytest.raises(UsageError, match="no output of the model has classes"):
        DriftBudget(min_agreement=0.9).judge(candidate(agreement=None))
    with pytest.raises(UsageError, match="no benchmark of this file was given"):
        DriftBudget(limits=(Limit("p50_ms", at_most=3),)).judge(candidate())
    assert DriftBudget(min_sqnr_db=3).judge(candidate(sqnr_db=(10.0, None)))[0] == "fail"


def test_equal_and_hopeless_outputs_are_judged_too() -> None:
    budget = DriftBudget(min_sqnr_db=30)
    assert budget.judge(candidate(sqnr_db=(float("inf"),)))[0] == "pass"
    assert budget.judge(candidate(sqnr_db=(float("inf"), float("-inf"))))[0] == "fail"


def test_a_limit_on_one_class_or_on_every_class() -> None:
    one = DriftBudget(limits=(Limit("accuracy_drop", at_most=0.03, group="class=0"),))
    verdict, (reason,) = one.judge(candidate())
    assert (verdict, "(class 0)" in reason) == ("pass", True)
    every = DriftBudget(limits=(Limit("accuracy_drop", at_most=0.025, group="class=*"),))
    verdict, (reason,) = every.judge(candidate())
    assert (verdict, "(class 0)" in reason) == ("inconclusive", True)
    with pytest.raises(UsageError, match=r"only for class=0, class=3"):
        DriftBudget(limits=(Limit("accuracy_drop", at_most=0.02, group="class=7"),)).judge(
            candidate()
        )
    with pytest.raises(UsageError, match=r"limits: received 3 \(int\), expected an edgekit.Limit"):
        DriftBudget(limits=(3,))  # type: ignore[arg-type]


def test_the_worst_verdict() -> None:
    assert worst([]) == worst(["none"]) == "none"
    assert worst(["pass", "none"]) == "pass"
    assert worst(["pass", "inconclusive"]) == "inconclusive"
    assert worst(["inconclusive", "fail", "pass"]) == "fail"
