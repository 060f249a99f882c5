"""Server: tools over stdio, in the Model Context Protocol, by its official SDK. Needs the `mcp` extra."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from edgekit import __version__
from edgekit.agents.folder import Folder
from edgekit.agents.stdio import Lines, Writer
from edgekit.agents.tool import Tool
from edgekit.agents.work import run_command
from edgekit.errors import ChildError, EdgekitError
from edgekit.runtime.child import Ended
from edgekit.scratch import scratch_folder

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What the command line puts before lines that say what went wrong, or what to know of a result.
_ERROR, _WARNING = "edgekit: ", "warning: "
# Of a command that fails otherwise, so many of its last lines.
_LAST_LINES = 20

Context = ServerRequestContext[Any, Any]


class Agents:
    """What answers agents: which tools there are, and their results.

    One piece of work is done after another: a benchmark would measure what runs beside it.

    Args:
        tools: those that are listed.
        kept: names of those that need a right to write, which was not given.
        folder: where all lies that tools read and write.
        place: an empty folder, from which commands are run: no file in it sets their defaults.
    """

    def __init__(
        self, tools: Sequence[Tool], kept: Sequence[str], folder: Folder, place: Path
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._kept, self._folder, self._place = kept, folder, place
        self._turn = asyncio.Lock()

    async def list_tools(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """All tools; there are few."""
        del context, params
        return types.ListToolsResult(tools=[_listed(tool) for tool in self._tools.values()])

    async def call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Do what an agent asks for; errors of edgekit's are results, with their text.

        Raises:
            MCPError: there is no such tool.
        """
        tool = self._tools.get(params.name)
        if tool is None:
            allowed = "it needs --allow-writing" if params.name in self._kept else "there is none"
            raise MCPError(
                types.INVALID_PARAMS,
                f"tool {params.name!r}: {allowed}, expected one of {', '.join(self._tools)}.",
            )
        said = 0

        async def tell(line: str) -> None:
            nonlocal said
            said += 1
            await context.session.report_progress(said, message=line)

        given = params.arguments or {}
        try:
            # What is refused is refused at once, and once more when its turn comes: others may have written.
            tool.words(given, self._folder)
            async with self._turn:
                words = tool.words(given, self._folder)
                ended = await run_command(words, tell, self._place)
                document = await self._document(tool, given, ended)
        except EdgekitError as error:
            return _failed(str(error))
        except OSError as error:
            return _failed(f"{tool.name}: {error.strerror or error}.")
        if document is None:
            return _failed(_why(ended))
        warnings = [line for line in ended.err.splitlines() if line.startswith(_WARNING)]
        # Clients that know no structured content read the first text.
        texts = [json.dumps(document, separators=(",", ":")), *warnings]
        return types.CallToolResult(
            content=[types.TextContent(text=text) for text in texts], structured_content=document
        )

    async def _document(
        self, tool: Tool, given: Mapping[str, Any], ended: Ended
    ) -> dict[str, Any] | None:
        """What a command found; None if it failed. Of a verdict the exit code tells, but it is no failure."""
        if tool.answer is None:
            return _parsed(ended.out)
        if ended.code:
            return None
        out = self._folder.to_write("out", given["out"])
        return await anyio.to_thread.run_sync(tool.answer, out)


def serve(
    tools: Sequence[Tool], kept: Sequence[str], folder: Folder, stdin: int, stdout: int
) -> None:
    """Serve an agent until it closes `stdin`, stops reading `stdout`, or a signal comes.

    What is at work then is ended.

    Args:
        tools: those that are listed.
        kept: names of those that need a right to write, which was not given.
        folder: where all lies that tools read and write.
        stdin: a descriptor that the agent writes to.
        stdout: a descriptor that the agent reads from, and nothing else writes to.
    """
    with scratch_folder() as (place, _):
        asyncio.run(_serve(Agents(tools, kept, folder, place), folder, stdin, stdout))


async def _serve(agents: Agents, folder: Folder, stdin: int, stdout: int) -> None:
    server: Server[Any] = Server(
        "edgekit",
        version=__version__,
        instructions=f"Paths are relative to {folder.path}, or absolute and in it.",
        on_list_tools=agents.list_tools,
        on_call_tool=agents.call_tool,
    )
    with anyio.CancelScope() as scope, _ended_by_signals(scope):
        lines, writer = Lines(stdin), Writer(stdout, scope.cancel)
        streams = stdio_server(cast("Any", lines), cast("Any", writer))
        async with streams as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())


@contextmanager
def _ended_by_signals(scope: anyio.CancelScope) -> Iterator[None]:
    """SIGINT and SIGTERM cancel the scope for as long as the block runs."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        loop.add_signal_handler(number, scope.cancel)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _listed(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.about,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=types.ToolAnnotations(
            read_only_hint=not tool.writes, destructive_hint=False, open_world_hint=False
        ),
    )


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)


def _parsed(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ChildError("the command wrote something else than JSON to stdout.") from error
    return found if isinstance(found, dict) else None


def _why(ended: Ended) -> str:
    """What a command that failed says of it."""
    lines = ended.err.splitlines()
    told = [line for line in lines if line.startswith((_ERROR, _WARNING))]
    text = "\n".join(line.removeprefix(_ERROR) for line in told or lines[-_LAST_LINES:])
    return text or f"the command ended with exit code {ended.code} and said nothing."
