from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.boards.job import Work, budget_toml
from edgekit.boards.outcome import Step, gravest
from edgekit.drift.budget import DriftBudget
from edgekit.drift.budget_table import read_budget
from edgekit.drift.limit import Limit
from edgekit.errors import UsageError
from edgekit.shares import Share

_DROPS = st.floats(0, 1).map(Share)
_LIMITS = st.one_of(
    st.builds(lambda v: Limit("accuracy_drop", at_most=v), _DROPS),
    st.builds(
        lambda v, g: Limit("accuracy", at_least=v, group=g),
        _DROPS,
        st.sampled_from(["", "class=3"]),
    ),
    st.builds(lambda v: Limit("sqnr_db", at_least=v, output='a "b"'), st.floats(-50, 200)),
    st.builds(lambda v: Limit("size_bytes", at_most=v), st.floats(0, 1e9)),
)


@given(st.lists(_LIMITS, max_size=4))
def test_a_budget_reaches_the_board(
    tmp_path_factory: pytest.TempPathFactory, limits: list[Limit]
) -> None:
    path = tmp_path_factory.mktemp("budget") / "b.toml"
    path.write_text(budget_toml(DriftBudget(limits=tuple(limits))), "utf-8")
    found = read_budget(path).limits_of().all_limits
    assert [(f.figure, f.output, f.group) for f in found] == [
        (w.figure, w.output, w.group) for w in limits
    ]
    assert [f.value for f in found] == pytest.approx([w.value for w in limits], rel=1e-12)


def test_files_of_one_name() -> None:
    with pytest.raises(UsageError, match=r"several are called m\.tflite"):
        Work((Path("a/m.tflite"), Path("b/m.tflite")), None, DriftBudget(), None)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 5, 3], 3), ([3, 1], 1), ([1, 6, 0], 6), ([], 0), ([0], 0), ([0, 5], 5)],
)
def test_the_gravest_counts(codes: list[int], expected: int) -> None:
    assert gravest(codes) == expected


def test_signals_have_names() -> None:
    assert Step("bench", -11, 1.0).ended == "SIGSEGV"
    assert Step("bench", 1, 1.0).ended == "exit code 1"


@pytest.mark.parametrize(
    ("files", "bundled", "wanted", "without"),
    [
        (("a.tflite",), (), False, False),
        (("a.onnx",), (), True, True),
        # A bundle's self-test tries what can be run there.
        ((), ("m.tflite", "m.onnx"), True, False),
        (("a.onnx",), ("m.tflite", "m.onnx"), True, True),
        # Of one with nothing else, the missing wheel is said.
        ((), ("m.onnx",), True, True),
    ],
)
def test_onnxruntime_is_installed_where_it_is_needed(
    files: tuple[str, ...], bundled: tuple[str, ...], wanted: bool, without: bool
) -> None:
    work = Work(tuple(map(Path, files)), None, DriftBudget(), None, bundled=bundled)
    assert (work.onnx(), work.onnx(available=False)) == (wanted, without)
