"""Steps: what is done, what is not, and why; stopped at any moment they go on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit import document
from edgekit.build.ledger import NAME, Build
from edgekit.build.running import Steps
from edgekit.build.steps import Planned, Step, Watch
from edgekit.bundle.install import Installation
from edgekit.errors import OutputExistsError, UsageError

VERSIONS = {"edgekit": "1"}


class World:
    """Two sources, and what is made of them: ``c`` of ``a`` and ``b``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = {"a": "1", "b": "1"}
        self.made: list[str] = []
        self.fails = ""
        self.claims = False

    def steps(self, **versions: str) -> Steps:
        return Steps(
            self.folder,
            [self._step("a"), self._step("b"), self._step("c", ("a", "b"))],
            {**VERSIONS, **versions},
        )

    def run(self, **words: str) -> list[str]:
        """Names of the steps that were done."""
        self.made.clear()
        done = self.steps().run(Watch(), **words)
        assert [step.name for step in done if step.reason] == self.made
        return list(self.made)

    def _step(self, name: str, needs: tuple[str, ...] = ()) -> Step:
        def make(tell: Callable[[str], None]) -> list[Path]:
            tell(name)
            self.made.append(name)
            if name == self.fails:
                raise OSError("no room")
            of = "".join((self.folder / need).read_text() for need in needs)
            (self.folder / name).write_text(f"{name}{self.sources.get(name, '')}({of})")
            return [self.folder / name]

        claims = (self.folder / name,) if self.claims else ()
        return Step(name, lambda: {"source": self.sources.get(name, "")}, make, needs, claims)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "out")


def test_nothing_is_done_twice(world: World) -> None:
    assert world.run() == ["a", "b", "c"]
    assert world.run() == []
    read = document.load(world.folder / NAME)
    assert isinstance(read, Build)
    assert list(read.steps) == ["a", "b", "c"]


def test_only_what_changed_is_done_again(world: World) -> None:
    world.run()
    world.sources["b"] = "2"
    assert world.steps().plan() == [
        Planned("a", ""),
        Planned("b", "changed: source"),
        Planned("c", "b would run before it"),
    ]
    assert world.run() == ["b", "c"]
    assert (world.folder / "c").read_text() == "c(a1()b2())"


def test_a_step_that_gives_the_same_again_ends_there(world: World) -> None:
    world.run()
    (world.folder / "a").unlink()
    assert world.steps().plan()[0] == Planned("a", "a is gone")
    # Made again it is as it was, and what is made of it too.
    assert world.run() == ["a"]


def test_an_output_that_somebody_changed_is_made_again(world: World) -> None:
    world.run()
    (world.folder / "b").write_text("mine")
    assert world.steps().plan()[1] == Planned("b", "b is not as it was made")
    assert world.run() == ["b"]


def test_other_versions_do_all_again(world: World) -> None:
    world.run()
    planned = world.steps(edgekit="2").plan()
    assert [step.reason for step in planned][:2] == ["changed: edgekit"] * 2
    assert planned[2].reason == "a, b would run before it"


def test_a_plan_does_nothing(world: World) -> None:
    reasons = [step.reason for step in world.steps().plan()]
    assert reasons == ["not done yet", "not done yet", "a, b would run before it"]
    assert not world.folder.exists()


def test_one_step_and_those_behind_it_in_any_case(world: World) -> None:
    assert world.run(last="b") == ["a", "b"]
    assert world.run() == ["c"]
    assert world.run(first="b") == ["b", "c"]
    for words in ({"first": "bb"}, {"last": "x"}):
        with pytest.raises(UsageError, match="expected one of a, b, c"):
            world.run(**words)


def test_one_that_fails_is_done_again(world: World) -> None:
    world.fails = "b"
    with pytest.raises(OSError, match="no room"):
        world.run()
    world.fails = ""
    assert world.steps().plan()[:2] == [
        Planned("a", ""),
        Planned("b", "was stopped before its end"),
    ]
    assert world.run() == ["b", "c"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from("123"),
            st.sampled_from(["", "a", "b", "c"]),
        ),
        max_size=5,
    )
)
def test_what_is_there_is_what_the_sources_give(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, str]]
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    for name, value, fails in changes:
        world.sources[name], world.fails = value, fails
        try:
            world.run()
        except OSError:
            continue
    world.fails = ""
    world.run()
    a, b = world.sources["a"], world.sources["b"]
    assert (world.folder / "c").read_text() == f"c(a{a}()b{b}())"
    assert world.run() == []


def test_what_cannot_be_read_is_as_good_as_nothing(world: World) -> None:
    world.run()
    (world.folder / NAME).write_text("damaged")
    assert world.run() == ["a", "b", "c"]


def test_what_no_build_made_is_not_replaced(world: World) -> None:
    world.claims = True
    world.folder.mkdir()
    (world.folder / "c").write_text("mine")
    with pytest.raises(OutputExistsError, match="c: stands where a build would write"):
        world.run()
    # Before anything is done.
    assert (world.made, (world.folder / "c").read_text()) == ([], "mine")
    assert world.run(last="b") == ["a", "b"]
    (world.folder / "c").unlink()
    assert world.run() == ["c"]
    world.sources["a"] = "2"
    assert world.run() == ["a", "c"]


def test_a_document_of_another_kind_is_not_replaced(world: World) -> None:
    world.folder.mkdir()
    document.write(world.folder / NAME, Installation("models", "1", None).to_json())
    with pytest.raises(UsageError, match="is a document of the kind 'installation'"):
        world.run()


_CHILD = """
import sys, time
from pathlib import Path
from edgekit.build.running import Steps
from edgekit.build.steps import Step, Watch
class Shown(Watch):
    def up_to_date(self, name):
        print(f"{name}: up to date", flush=True)
    def begun(self, name, reason):
        print(f"{name}: {reason}", flush=True)
folder = Path(sys.argv[1])
def step(name, needs):
    def make(tell):
        of = "".join((folder / need).read_text() for need in needs)
        with (folder / name).open("w") as file:
            for character in f"{name}({of})":
                file.write(character)
                file.flush()
                time.sleep(0.001)
        return [folder / name]
    return Step(name, lambda: {}, make, needs)
Steps(folder, [step("a", ()), step("b", ("a",)), step("c", ("a", "b"))], {}).run(Shown())
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same(tmp_path: Path) -> None:
    chance = random.Random(0)
    words = [sys.executable, "-c", _CHILD]
    killed = 0
    for number in range(100):
        folder = tmp_path / str(number // 20)
        with subprocess.Popen([*words, str(folder)], stdout=subprocess.DEVNULL) as child:
            time.sleep(chance.uniform(0.1, 0.4))
            os.kill(child.pid, signal.SIGKILL)
            killed += child.wait() == -signal.SIGKILL
        if number % 20 == 19:
            subprocess.run([*words, str(folder)], check=True, stdout=subprocess.DEVNULL)
            assert (folder / "c").read_text() == "c(a()b(a()))"
            assert {p.name for p in folder.iterdir()} == {"a", "b", "c", NAME, ".build.lock"}
    assert killed > 20


@pytest.mark.slow
def test_two_at_once_do_not_hurt_each_other(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _CHILD, str(tmp_path / "out")]
    children = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert sorted(text.count("not done yet") for text in said) == [0, 0, 3]
    assert (tmp_path / "out/c").read_text() == "c(a()b(a()))"
