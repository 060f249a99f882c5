"""Several workers on loopback: the weights of one with the same batch, and an end when one is lost."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from support import children

from edgekit.errors import ClusterError, UsageError
from edgekit.recipe import read_recipe
from edgekit.train.machines import Cluster
from edgekit.train.rendezvous import meet
from edgekit.train.trainer import load_splits, train

RECIPE = """
[data]
train = "train.npz"
validation = 0.2
[model]
name = "cnn"
width = 0.25
dropout = 0.0
[training]
epochs = {epochs}
batch_size = 19
learning_rate = 0.003
class_weight = "balanced"
"""


def free_addresses(count: int) -> tuple[str, ...]:
    with ExitStack() as stack:
        servers = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return tuple(f"127.0.0.1:{server.getsockname()[1]}" for server in servers)


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[int], Path]:
    def write(epochs: int) -> Path:
        rng = np.random.default_rng(0)
        labels = np.arange(150) % 3
        x = rng.random((150, 8, 8, 1), np.float32) + labels[:, None, None, None] * 0.2
        np.savez(tmp_path / "train.npz", x=x.astype(np.float32), y=labels)
        path = tmp_path / "recipe.toml"
        path.write_text(RECIPE.format(epochs=epochs))
        return path

    return write


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., list[subprocess.Popen[str]]]]:
    """Starts two workers: `edgekit train` with a recipe and with TF_CONFIG or options."""
    stack = ExitStack()

    def begin(recipe: Path, by_variable: bool = False) -> list[subprocess.Popen[str]]:
        workers, running = free_addresses(2), []
        for index in range(2):
            words = ["train", str(recipe), "-o", str(tmp_path / f"{index}.keras")]
            environment = {"OMP_NUM_THREADS": "1"}
            if by_variable:
                task = {"type": "worker", "index": index}
                environment["TF_CONFIG"] = json.dumps(
                    {"cluster": {"worker": workers}, "task": task}
                )
            else:
                words += ["--hosts", ",".join(workers), "--index", str(index)]
            running.append(
                stack.enter_context(
                    children.python(
                        "-m",
                        "edgekit",
                        *words,
                        environment=environment,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        text=True,
                    )
                )
            )
        return running

    with stack:
        yield begin


@pytest.mark.slow
def test_two_workers_give_the_weights_of_one(
    tmp_path: Path,
    recipe: Callable[[int], Path],
    start: Callable[..., list[subprocess.Popen[str]]],
) -> None:
    import keras

    path = recipe(2)
    processes = start(path, by_variable=True)
    # 120 samples in batches of 19, of which one is short and all are odd.
    read = read_recipe(path)
    one = train(load_splits(read.data), read, tmp_path / "one.keras")  # type: ignore[arg-type]
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        if process is processes[0]:
            document = json.loads(out)
    assert not (tmp_path / "1.keras").exists()
    expected, received = (
        keras.saving.load_model(tmp_path / f"{name}.keras").get_weights() for name in ("one", "0")
    )
    moved = max(float(np.abs(w).max()) for w in expected)
    for a, b in zip(expected, received, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * moved)
    for key in ("accuracy", "val_loss"):
        assert document["history"][1][key] == pytest.approx(one.history[1][key], abs=1e-4)
    assert document["validation"] == pytest.approx(one.validation, abs=1e-4)


@pytest.mark.slow
def test_a_lost_worker_ends_the_others(
    tmp_path: Path,
    recipe: Callable[[int], Path],
    start: Callable[..., list[subprocess.Popen[str]]],
) -> None:
    chief, other = start(recipe(100_000))
    assert chief.stderr is not None
    line = chief.stderr.readline()
    assert line.startswith("epoch 1/"), line + chief.stderr.read()
    other.kill()
    _, err = chief.communicate(timeout=300)
    assert chief.returncode == 1, err
    lines = [line for line in err.splitlines() if not line.startswith("epoch ")]
    assert len(lines) == 1
    assert lines[0].startswith("edgekit: training: a worker was lost")
    assert not (tmp_path / "0.keras").exists()


def both(workers: tuple[str, ...], keys: tuple[str, str], wait_s: float = 10) -> list[str]:
    """What each of two workers is told when they meet; empty for nothing."""
    told = ["", ""]

    def run(index: int) -> None:
        try:
            meet(workers, index, keys[index], wait_s)
        except ClusterError as error:
            told[index] = str(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in (1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_workers_meet() -> None:
    assert both(free_addresses(2), ("same", "same")) == ["", ""]


def test_workers_of_another_recipe_are_told() -> None:
    workers = free_addresses(2)
    told = both(workers, ("one", "other"))
    assert all(f"{workers[1]} has another recipe, other data" in each for each in told)


@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_does_not_come(index: int) -> None:
    workers = free_addresses(2)
    with pytest.raises(ClusterError, match=r"within 0\.3 s") as caught:
        meet(workers, index, "key", 0.3)
    assert workers[1 - index] in str(caught.value)


def test_a_stranger_at_the_door_is_no_worker() -> None:
    workers = free_addresses(2)
    told: list[str] = []

    def run() -> None:
        try:
            meet(workers, 0, "key", 1.0)
        except ClusterError as error:
            told.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    host, port = workers[0].split(":")
    for _ in range(100):
        try:
            with socket.create_connection((host, int(port)), 1) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            break
        except ConnectionRefusedError:
            continue
    thread.join()
    assert "did not come" in told[0]


@pytest.mark.parametrize(
    ("workers", "index", "says"),
    [
        (("a:1",), 0, "at least two"),
        (("a:1", "a:1"), 0, "at least two different"),
        (("a:1", "b"), 0, "received 'b', expected host:port"),
        (("a:1", "b:70000"), 0, "received 'b:70000'"),
        (("a:1", "b:1"), 2, "received 2, expected 0 to 1"),
    ],
)
def test_addresses_that_are_none(workers: tuple[str, ...], index: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Cluster(workers, index)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, None),
        ({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}, None),
        (
            {
                "cluster": {"chief": ["c:1"], "worker": ["a:1"]},
                "task": {"type": "worker", "index": 0},
            },
            Cluster(("c:1", "a:1"), 1),
        ),
    ],
)
def test_tensorflows_own_variable(
    monkeypatch: pytest.MonkeyPatch, told: object, expected: Cluster | None
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if told is not None:
        monkeypatch.setenv("TF_CONFIG", json.dumps(told))
    assert Cluster.from_environment() == expected


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"cluster": {}, "task": {"type": "ps", "index": 0}}', '{"cluster": 1}']
)
def test_a_variable_that_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match="TF_CONFIG"):
        Cluster.from_environment()
