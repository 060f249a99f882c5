"""An application over small files, asked in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support import needs

import edgekit

FILES = ("classifier.int8.tflite", "dynamic.float32.tflite", "classifier.float32.tflite")


class Asked:
    """An application and what asks it; `lines` are those of its log."""

    def __init__(self, application: Any, lines: list[str]) -> None:
        self.application, self.lines = application, lines

    def __call__(self, method: str, path: str, **given: Any) -> Any:
        httpx: Any = needs.package("httpx")

        async def ask() -> Any:
            transport = httpx.ASGITransport(app=self.application)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.request(method, path, **given)

        return asyncio.run(ask())


Serving = Callable[..., AbstractContextManager[Asked]]


@pytest.fixture(scope="session")
def serving(models: Path) -> Serving:
    """`serving(*names)`: an application over those of the small files."""
    for name in ("uvicorn", "httptools", "orjson", "prometheus_client"):
        needs.package(name)
    from edgekit.serve.application import Application, Limits
    from edgekit.serve.opening import opened_models
    from edgekit.serve.watching import Watch

    @contextmanager
    def served(
        *names: str,
        token: str | None = None,
        isolated: bool = False,
        body: int = 1 << 20,
        timeout: float = 30.0,
        **how: Any,
    ) -> Iterator[Asked]:
        lines: list[str] = []
        paths = [str(models / name) if "/" not in name else name for name in names or FILES]
        with opened_models(paths, partial(edgekit.load, isolated=isolated), **how) as opened:
            watch = Watch(opened, lines.append)
            yield Asked(Application(opened, Limits(body, timeout), watch, token), lines)

    return served


@pytest.fixture(scope="module")
def ask(serving: Serving) -> Iterator[Asked]:
    with serving() as asked:
        yield asked


@pytest.fixture(scope="session")
def named(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that holds names of classes, and steps that take an image of any size."""
    from edgekit.formats.metadata import Metadata
    from edgekit.formats.write_metadata import write_tflite
    from edgekit.preprocess.chain import Preprocessing
    from edgekit.preprocess.images import Resize

    steps = {"image": Preprocessing((Resize(8, 8),))}
    about = Metadata(class_names=tuple(f"d{i}" for i in range(5)), preprocessing=steps)
    path = tmp_path_factory.mktemp("named") / "named.tflite"
    path.write_bytes(write_tflite((models / "classifier.float32.tflite").read_bytes(), about))
    return path


@pytest.fixture(scope="session")
def sounding(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose steps take a sound of any length, at 8,000 samples a second."""
    from edgekit.formats.metadata import Metadata
    from edgekit.formats.write_metadata import write_tflite
    from edgekit.preprocess.audio import FixedLength
    from edgekit.preprocess.chain import Preprocessing

    about = Metadata(
        class_names=("low", "mid", "high"),
        preprocessing={"signal": Preprocessing((FixedLength(6),))},
    )
    path = tmp_path_factory.mktemp("sounding") / "sounding.tflite"
    path.write_bytes(write_tflite((models / "dynamic.float32.tflite").read_bytes(), about))
    return path
