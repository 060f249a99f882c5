"""Commands in this process, as a shell would see them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import traps

from edgekit.cli import main


@dataclass(frozen=True)
class Done:
    """A command that ended: exit code and what went to stdout and stderr."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


Command = Callable[..., Done]


@pytest.fixture
def edgekit(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """`edgekit("bench", path, ...)` in a folder where files have the names of modules: none is imported."""
    with traps.console(tmp_path) as run:
        yield run


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """`command("bench", path, ...)`; stdout is no terminal."""
    # Under pytest sys.stdout is no longer file descriptor 1. For a command it is.
    with open(1, "w", closefd=False) as out, open(2, "w", closefd=False) as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)

        def run(*words: object) -> Done:
            capfd.readouterr()
            code = main([str(word) for word in words])
            out.flush()
            err.flush()
            return Done(code, *capfd.readouterr())

        yield run


@pytest.fixture
def fails(command: Command) -> Callable[..., str]:
    """`fails(code, "run", ...)`: the one message of a command that ends with `code`."""

    def run(code: int, *words: object) -> str:
        done = command(*words)
        assert done.code == code, done.err
        assert done.out == ""
        assert "Traceback" not in done.err
        *progress, message = done.err.splitlines()
        assert message.startswith("edgekit: ")
        assert not any(line.startswith("edgekit: ") for line in progress)
        assert "defect" not in message
        return message

    return run


@pytest.fixture
def samples(tmp_path: Path) -> Callable[..., Path]:
    """Writes arrays to an ``.npz``; a 5-class classifier's of 8x8 images unless told otherwise."""

    def write(name: str = "samples.npz", **arrays: Any) -> Path:
        if not arrays:
            rng = np.random.default_rng(0)
            x = (rng.random((20, 8, 8, 1)) * 16).astype(np.float32)
            arrays = {"image": x, "y": np.arange(20) % 5}
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return write
