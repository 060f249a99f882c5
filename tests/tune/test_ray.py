"""A cluster of three nodes on loopback, one of which is lost while it works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import traps
from support.clusters import cluster_of_three

import edgekit
from edgekit.errors import ClusterError, UsageError
from edgekit.ray_cluster import connected
from edgekit.samples import Samples
from edgekit.scoring.on_ray import on_cluster
from edgekit.tune.tuning import tune


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with cluster_of_three() as made:
        yield made


@pytest.mark.slow
def test_a_study_and_an_evaluation_survive_the_loss_of_a_node(
    cluster: Any, recipe: Callable[..., Path], tmp_path: Path, models: Path
) -> None:
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        # The first results are there, so both nodes are at work.
        if line.startswith("trial ") and "accuracy" in line and len(cluster.workers) == 2:
            cluster.remove_node(cluster.workers.pop(), allow_graceful=False)

    tuning = tune(
        recipe(trials=4, epochs=15),
        tmp_path / "s",
        executor="ray",
        address=cluster.address,
        workers=2,
        progress=tell,
    )
    assert len(cluster.workers) == 1
    assert [row.state for row in tuning.trials] == ["complete"] * 4, lines
    (best,) = tuning.best
    assert best.model is not None
    folder = tmp_path / "s" / "trials" / f"{best.number:04}"
    assert edgekit.Artifact.of(folder / best.model.path).sha256 == best.model.sha256

    rng = np.random.default_rng(0)
    x = rng.random((1100, 8, 8, 1), np.float32)
    samples = Samples({"image": x}, rng.integers(0, 5, 1100))
    with edgekit.load(models / "classifier.int8.tflite") as runner:
        with on_cluster(runner, cluster.address) as spread:
            received = edgekit.evaluate(spread, samples)
        assert received.to_json() == edgekit.evaluate(runner, samples).to_json()


def test_a_folder_is_not_sent(tmp_path: Path) -> None:
    class Folder:
        artifact = edgekit.Artifact(str(tmp_path), "savedmodel", None)

    with pytest.raises(UsageError, match="is a folder"), on_cluster(Folder(), None):  # type: ignore[arg-type]
        pass


def test_a_cluster_of_one_s_own_takes_its_files_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected(None, "") as ray:
        folder = Path(ray.get(ray.remote(tempfile.gettempdir).remote()))
        assert folder.parent == Path(tempfile.gettempdir())
        assert (folder / "r").exists()
    assert not folder.exists()
    # Its sockets lie there, whose paths may have 107 bytes.
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(ClusterError, match="107 bytes"), connected(None, ""):
        pass
    assert list(long.iterdir()) == []


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:1", "ray://127.0.0.1:1", "[::1]:1"])
def test_a_cluster_that_is_not_there(address: str) -> None:
    said = f"no cluster at {re.escape(address)} "
    with pytest.raises(ClusterError, match=said), connected(address, ""):
        pass


LOOK = """
import json, os, sys
from edgekit.ray_cluster import connected
def look():
    import json, numpy, os, sys
    return os.getcwd(), sys.path
with connected(None, "") as ray:
    print(json.dumps(ray.get(ray.remote(look).remote())))
"""


def test_the_current_folder_is_not_code(tmp_path: Path) -> None:
    """Neither the one that the program stands in, nor one of theirs, has a say in what workers import."""
    caught = traps.lay(tmp_path / "traps")
    script = tmp_path / "look.py"
    script.write_text(LOOK, "utf-8")
    done = subprocess.run(
        [sys.executable, *(["-P"] if sys.version_info >= (3, 11) else []), str(script)],
        cwd=tmp_path / "traps",
        # That of the cluster above is too long for one within it.
        env={**os.environ, "TMPDIR": tempfile.gettempdir()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    current, path = json.loads(done.stdout.splitlines()[-1])
    assert not Path(current).is_relative_to(tmp_path)
    assert not {"", str(tmp_path / "traps")} & set(path)
    assert list(caught.iterdir()) == []
