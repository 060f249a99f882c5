"""Running: what is done beside what, what a failure ends, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.build.hands import Finished, Here, Make
from edgekit.build.running import Steps
from edgekit.build.steps import Outcome, Step, Watch
from edgekit.errors import SamplesError


class Several:
    """Hands that take so many works and end any of them when asked; note what was at work together."""

    several = True

    def __init__(self, count: int, draw: Callable[[int], int]) -> None:
        self._count, self._draw = count, draw
        self._taken: list[tuple[str, Make]] = []
        self.together: list[set[str]] = []

    def __enter__(self) -> Several:
        return self

    def __exit__(self, *_: object) -> None:
        return

    @property
    def free(self) -> bool:
        return len(self._taken) < self._count

    def take(self, name: str, make: Make, here: bool = False) -> None:
        del here
        assert self.free
        self._taken.append((name, make))
        self.together.append({name for name, _ in self._taken})

    def finished(self, heard: Callable[[str, str], None]) -> Finished:
        name, make = self._taken.pop(self._draw(len(self._taken)))
        here = Here()
        here.take(name, make)
        return here.finished(heard)


class Noted(Watch):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def up_to_date(self, name: str) -> None:
        self.lines.append(f"{name} up to date")

    def begun(self, name: str, reason: str) -> None:
        self.lines.append(f"{name} begun: {reason}")

    def heard(self, name: str, line: str) -> None:
        self.lines.append(f"{name} says {line}")

    def ended(self, outcome: Outcome) -> None:
        self.lines.append(f"{outcome.name} ended: {outcome.error or outcome.missing or 'done'}")


def steps(
    folder: Path,
    graph: dict[str, tuple[str, ...]],
    fails: set[str],
    alone: set[str],
    made: list[str],
) -> Steps:
    """A step for each key of `graph`, which needs its values."""

    def step(name: str) -> Step:
        def make(tell: Callable[[str], None]) -> list[Path]:
            tell("at work")
            assert all((folder / need).exists() for need in graph[name])
            if name in fails:
                raise SamplesError(f"{name} is bad")
            made.append(name)
            (folder / name).write_text(name)
            return [folder / name]

        return Step(name, dict, make, graph[name], alone=name in alone)

    return Steps(folder, [step(name) for name in graph], {})


GRAPH = {"a": (), "b": (), "c": ("a",), "d": ("b",), "e": ("c",), "f": ("d", "e")}


def test_the_first_failure_ends_a_build(tmp_path: Path) -> None:
    made: list[str] = []
    with pytest.raises(SamplesError, match="a is bad"):
        steps(tmp_path, GRAPH, {"a"}, set(), made).run(Watch())
    assert made == []


def test_others_go_on_where_that_is_asked_for(tmp_path: Path) -> None:
    made: list[str] = []
    watch = Noted()
    found = steps(tmp_path, GRAPH, {"c"}, set(), made).run(watch, keep_going=True)
    assert made == ["a", "b", "d"]
    assert [outcome.name for outcome in found if outcome.done] == made
    assert {o.name: o.missing for o in found if o.missing} == {"e": ("c",), "f": ("e",)}
    assert [str(outcome.error) for outcome in found if outcome.error] == ["c is bad"]
    assert "c says at work" in watch.lines
    assert "e ended: ('c',)" in watch.lines
    # Mended, only what was missing is done.
    made.clear()
    assert all(o.done for o in steps(tmp_path, GRAPH, set(), set(), made).run(watch))
    assert made == ["c", "e", "f"]


def test_what_is_at_work_beside_a_failure_is_done_to_its_end(tmp_path: Path) -> None:
    made: list[str] = []
    hands = Several(2, lambda _: 0)
    with pytest.raises(SamplesError, match="a is bad"):
        steps(tmp_path, GRAPH, {"a"}, set(), made).run(Watch(), hands=lambda: hands)
    assert made == ["b"]
    made.clear()
    assert all(o.done for o in steps(tmp_path, GRAPH, set(), set(), made).run(Watch()))
    assert made == ["a", "c", "d", "e", "f"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.data())
def test_any_graph_on_any_number_of_hands(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    names = [f"s{i}" for i in range(data.draw(st.integers(1, 8), label="steps"))]
    graph = {
        name: tuple(data.draw(st.lists(st.sampled_from(names[:i]), unique=True)) if i else ())
        for i, name in enumerate(names)
    }
    fails = set(data.draw(st.lists(st.sampled_from(names), max_size=2), label="fails"))
    alone = set(data.draw(st.lists(st.sampled_from(names), max_size=3), label="alone"))
    hands = Several(
        data.draw(st.integers(1, 4), label="hands"), lambda n: data.draw(st.integers(0, n - 1))
    )
    made: list[str] = []
    build = steps(tmp_path_factory.mktemp("run"), graph, fails, alone, made)
    found = build.run(Watch(), keep_going=True, hands=lambda: hands)

    def can(name: str) -> bool:
        return name not in fails and all(map(can, graph[name]))

    assert [outcome.name for outcome in found] == names
    assert (
        {outcome.name for outcome in found if outcome.done} == set(made) == set(filter(can, names))
    )
    # What was at work together: no step with one that it needs, and nothing beside one that is alone.
    for together in hands.together:
        assert len(together) == 1 or not together & alone
        assert all(together.isdisjoint(graph[name]) for name in together)


def test_a_check_that_fails_ends_even_what_is_to_keep_going(tmp_path: Path) -> None:
    made: list[str] = []
    build = steps(tmp_path, GRAPH, set(), set(), made)

    def check() -> None:
        raise SamplesError("nothing to bundle with")

    build._check = check
    with pytest.raises(SamplesError, match="nothing to bundle with"):
        build.run(Watch(), keep_going=True)
    assert made == []
