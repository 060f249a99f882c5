"""Agents: the SDK's own client, which starts the command and speaks to it over real pipes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit

FILES = ("classifier.int8.tflite", "classifier.float32.tflite")


class Agent:
    """A client of a server that runs; its methods wait for answers."""

    def __init__(self, portal: Any, client: Any) -> None:
        self.portal, self.client = portal, client

    def tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in self.portal.call(self.client.list_tools).tools}

    def call(self, name: str, **given: Any) -> Any:
        """The result of a tool, as the client gives it."""
        return self.portal.call(self.client.call_tool, name, given)

    def document(self, name: str, **given: Any) -> dict[str, Any]:
        """The document of a tool, which follows the schema that the package ships."""
        result = self.call(name, **given)
        assert not result.is_error, result.content
        found: dict[str, Any] = result.structured_content
        kind, version = found["schema"].removeprefix("edgekit.").split("/")
        assert version == "1"
        needs.package("jsonschema").validate(found, edgekit.document.json_schema(kind))
        return found

    def refused(self, name: str, **given: Any) -> str:
        """What a tool says that refuses or fails."""
        result = self.call(name, **given)
        assert result.is_error
        assert result.structured_content is None
        (text,) = result.content
        assert "Traceback" not in text.text
        return str(text.text)


Agents = Callable[..., AbstractContextManager[Agent]]


@pytest.fixture(scope="session")
def agents() -> Agents:
    """`agents(folder, *options)`: a server that is kept to a folder, and its client."""
    needs.package("mcp")
    from anyio.from_thread import start_blocking_portal
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    @contextmanager
    def started(folder: Path, *options: str) -> Iterator[Agent]:
        words = ["-m", "edgekit", "mcp", "--quiet", "--folder", str(folder), *options]
        how = StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))
        with (
            open(os.devnull, "w") as errors,  # noqa: PTH123
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(Client(stdio_client(how, errors))) as client,
        ):
            yield Agent(portal, client)

    return started


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small files, their golden file, and links that lead out of it."""
    needs.package("ai_edge_litert")
    whole = tmp_path_factory.mktemp("agents")
    inside = whole / "inside"
    (inside / "images").mkdir(parents=True)
    for name in FILES:
        shutil.copy(models / name, inside)
    shutil.copy(models / FILES[0], whole / "outside.tflite")
    (inside / "link.tflite").symlink_to(whole / "outside.tflite")
    (inside / "again.tflite").symlink_to(FILES[0])
    (inside / "images" / "link.png").symlink_to(whole / "outside.png")
    (inside / "recipe.toml").write_text('[data]\npath = "/elsewhere"\n')
    # What gives options of commands their defaults, where they are run in that folder.
    (inside / "pyproject.toml").write_text('[tool.edgekit.bench]\nsamples = "/elsewhere"\n')
    x = np.random.default_rng(4).uniform(0, 16, (40, 8, 8, 1)).astype(np.float32)
    np.savez(whole / "x.npz", x=x)
    with edgekit.load(inside / FILES[1]) as runner:
        edgekit.Golden.of(runner, whole / "x.npz").save(inside / "golden.npz")
    return inside


@pytest.fixture(scope="module")
def agent(agents: Agents, folder: Path) -> Iterator[Agent]:
    """One that may not write."""
    with agents(folder) as started:
        yield started
