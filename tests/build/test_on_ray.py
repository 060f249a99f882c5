"""A build on a Ray cluster: works on other nodes, what they say, a node that is lost, and machines that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build.test_chain import made_model
from support import works
from support.clusters import cluster_of_three

from edgekit.build.matrix import orders_of
from edgekit.build.on_ray import OnRay, Place
from edgekit.build.pipeline import read_pipeline
from edgekit.build.plan import steps_of, versions
from edgekit.build.steps import Outcome, Watch
from edgekit.bundle.archive import opened_folder
from edgekit.bundle.contents import NAME, Bundle
from edgekit.cli import main
from edgekit.errors import ChildError, ClusterError, SamplesError

PIPELINE = """
[model]
file = "tiny.keras"
samples = "samples.npz"
calibration = "calibration.npz"
[bench]
seconds = 0.02
[matrix]
schemes = ["float32", "int8"]
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        # Where works of these tests are found.
        patch.setenv("PYTHONPATH", str(Path(works.__file__).parents[1]))
        with cluster_of_three() as made:
            yield made


@pytest.fixture
def hands(cluster: Any, tmp_path: Path) -> Iterator[OnRay]:
    with OnRay(2, tmp_path, cluster.address, limit_bytes=12345) as made:
        yield made


@pytest.mark.slow
def test_works_side_by_side_on_other_nodes(hands: OnRay, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    heard: list[tuple[str, str]] = []
    hands.take("a", partial(works.wait_for, one, two))
    assert hands.free
    hands.take("b", partial(works.wait_for, two, one))
    assert not hands.free
    found = [hands.finished(lambda *said: heard.append(said)) for _ in range(2)]
    assert {each.made for each in found} == {(Path(one),), (Path(two),)}
    hands.take("c", partial(works.write, str(tmp_path / "c")))
    assert hands.finished(lambda *said: heard.append(said)).error is None
    assert {("a", "met"), ("b", "met"), ("c", "warning: beyond its range")} <= set(heard)
    assert (tmp_path / "c").read_text().split()[1] == "12345"


@pytest.mark.slow
def test_what_fails_is_said(hands: OnRay, tmp_path: Path) -> None:
    errors = {"refuse": SamplesError, "stumble": ChildError, "die": ClusterError}
    for name, kind in errors.items():
        hands.take(name, getattr(works, name))
        found = hands.finished(lambda *_: None)
        assert isinstance(found.error, kind), found
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".edgekit-")] == []


@pytest.mark.slow
def test_a_machine_that_does_not_see_the_folder(hands: OnRay) -> None:
    Path(hands._place.token).unlink()
    hands.take("a", works.refuse)
    error = hands.finished(lambda *_: None).error
    assert isinstance(error, ClusterError)
    assert "of the cluster does not see " in str(error)


def test_a_machine_with_other_versions(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch()
    Place(str(token), str(tmp_path), versions()).check()
    with pytest.raises(ClusterError, match="has other versions of numpy, expected the same"):
        Place(str(token), str(tmp_path), {**versions(), "numpy": "1.0"}).check()
    with pytest.raises(ClusterError, match="does not see"):
        Place(str(token), str(tmp_path / "none"), versions()).check()


class Loses(Watch):
    """Takes a node away when the first step has ended."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.ended_steps: list[str] = []

    def ended(self, outcome: Outcome) -> None:
        self.ended_steps.append(outcome.name)
        if len(self.cluster.workers) == 2:
            self.cluster.remove_node(self.cluster.workers.pop(), allow_graceful=False)


@pytest.mark.slow
def test_a_matrix_gives_the_same_bundles_when_a_node_is_lost(
    cluster: Any, once: Callable[..., Path], tmp_path: Path
) -> None:
    model = made_model(once)
    for name in ("tiny.keras", "samples.npz", "calibration.npz"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    pipeline = read_pipeline(tmp_path / "pipeline.toml")
    digests = []
    for out in (tmp_path / "here", tmp_path / "there"):
        orders = orders_of(pipeline, out)
        steps = steps_of(out, orders)
        if out.name == "here":
            steps.run(Watch())
        else:
            watch = Loses(cluster)
            done = steps.run(watch, hands=lambda out=out: OnRay(2, out, cluster.address))  # type: ignore[misc]
            assert all(outcome.done for outcome in done)
            assert len(cluster.workers) == 1
            assert len(watch.ended_steps) == len(done)
            assert all(not planned.reason for planned in steps.plan())
        bundles = sorted(out.rglob("*.tar.xz"))
        assert len(bundles) == 2
        digests.append([payload(path) for path in bundles])
        assert not list(out.glob(".edgekit-*"))
    assert digests[0] == digests[1]


def payload(bundle: Path) -> str:
    with opened_folder(bundle) as folder:
        return Bundle.load(folder / NAME).payload_sha256


def test_wrong_usage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.keras").touch()
    np.savez(tmp_path / "s.npz", x=np.zeros((1, 2)))
    words = [
        "build",
        str(tmp_path / "m.keras"),
        "--samples",
        str(tmp_path / "s.npz"),
        "-o",
        str(tmp_path / "out"),
    ]
    assert main([*words, "--address", "host:6379"]) == 2
    assert "--address: is of a Ray cluster, expected --executor ray" in capfd.readouterr().err
    assert main([*words, "--executor", "ray", "--address", "127.0.0.1:1"]) == 1
    assert "Ray: no cluster at 127.0.0.1:1" in capfd.readouterr().err
    assert not list((tmp_path / "out").glob(".edgekit-*"))
