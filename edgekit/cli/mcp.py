"""Let an agent use edgekit over the Model Context Protocol, on stdin and stdout.

The tools are the commands inspect, doctor, compare, diagnose and bench, and with --allow-writing export and build.
They read and write only in one folder, replace no file, and never run code from a model file. The server ends when
stdin is closed, or on SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import argparse

from edgekit.cli.console import Console
from edgekit.errors import require

EXAMPLE = "edgekit mcp --folder build"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder",
        default=".",
        metavar="DIR",
        help="folder to which the tools' reading and writing is limited (default: the current folder)",
    )
    parser.add_argument(
        "--allow-writing",
        action="store_true",
        help="also offer the tools that write files, export and build (default: only tools that read)",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    for module in ("mcp", "jsonschema"):
        require(module, "mcp", "serving agents")
    from edgekit.agents.folder import Folder
    from edgekit.agents.server import serve
    from edgekit.cli.mcp_tools import tools

    folder = Folder(args.folder)
    known = tools()
    offered = [tool for tool in known if args.allow_writing or not tool.writes]
    kept = [tool.name for tool in known if tool not in offered]
    console.tell(f"offering {', '.join(tool.name for tool in offered)} in {folder.path}")
    serve(offered, kept, folder, stdin=0, stdout=console.out.fileno())
    console.tell("stopped")
    return 0
