"""`edgekit mcp`: which options agents may give, and how they are typed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import needs

from edgekit.cli import command as command_of

# What runs code, trusts, writes where it is told to, signs, lifts limits, or reads files that name others.
NEVER = {
    *("trust_code", "import", "delegate", "delegate_option", "weight_cache", "no_verify"),
    *("overwrite", "json", "junit", "node_data", "answers", "key", "max_unpacked", "recipe"),
    *("on", "runtimes", "ssh_config", "debian_archive"),
}


@pytest.fixture(autouse=True)
def packages() -> None:
    needs.package("jsonschema")


def test_every_option_is_offered_or_kept() -> None:
    from edgekit.cli.mcp_tools import _OFFERS, tools

    for tool in tools():
        names = {argument.name for argument in tool.arguments}
        assert names == set(_OFFERS[tool.name].names), "a name that is no option"
        assert names.isdisjoint(NEVER | tool.kept)
        options = {
            word.removeprefix("--").replace("-", "_")
            for action in command_of(tool.name)[0]._actions
            for word in action.option_strings
            if word.startswith("--")
        }
        assert options <= names | tool.kept
        assert tool.kept & NEVER


def test_what_names_a_file_is_a_path() -> None:
    """By what the command's help calls the value."""
    from edgekit.cli.mcp_tools import tools

    files = ("FILE", "DIR", "MODEL", "SAMPLES", "FLOAT", "BENCH.json", "FILE.toml")
    seen = set()
    for tool in tools():
        actions = command_of(tool.name)[0]._actions
        for argument in tool.arguments:
            (action,) = (
                each
                for each in actions
                if argument.option in each.option_strings
                or (not argument.option and each.dest == argument.name)
            )
            assert bool(argument.path) == (action.metavar in files), argument.name
            seen.add(argument.path)
    assert seen == {"", "read", "limits", "write", "new"}


def test_types_are_those_of_the_options() -> None:
    from edgekit.cli.mcp_tools import tools

    by_name = {tool.name: tool.input_schema for tool in tools()}
    bench, export = by_name["bench"]["properties"], by_name["export"]["properties"]
    assert bench["seconds"]["type"] == "number"
    assert (bench["threads"]["type"], bench["threads"]["items"]) == ("array", {"type": "integer"})
    assert bench["operators"]["type"] == "boolean"
    assert export["prune"]["type"] == ["number", "string"]
    assert export["batch"]["type"] == ["integer", "string"]
    assert export["quality"]["enum"] == ["fast", "default", "best"]
    assert "raspberry-pi-5" in export["device"]["enum"]
    assert by_name["build"]["required"] == ["model", "out", "samples"]
    assert by_name["compare"]["required"] == ["files", "golden"]
    assert "'edgekit bench --json'" in by_name["compare"]["properties"]["timings"]["description"]
    assert "in place of quantize and format" in export["file"]["description"]


def test_words_of_a_command_line(tmp_path: Path) -> None:
    from edgekit.agents.folder import Folder
    from edgekit.cli.mcp_tools import tools

    (tmp_path / "-v").touch()
    (tmp_path / "b.tflite").touch()
    bench = next(tool for tool in tools() if tool.name == "bench")
    given = {"files": ["-v", "b.tflite"], "threads": [1, 2], "shape": ["x=1,2"], "operators": True}
    folder = Folder(tmp_path)
    assert bench.words({**given, "seconds": 1e-05}, folder) == [
        *("bench", "--json=-", "--seconds=1e-05", "--operators", "--shape=x=1,2", "--threads=1,2"),
        *("--", str(folder.path / "-v"), str(folder.path / "b.tflite")),
    ]
    assert "--operators" not in bench.words({"files": ["-v"], "operators": False}, folder)


def test_without_the_sdk(fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    assert "edgekit-keras[mcp]" in fails(4, "mcp")


def test_without_the_folder(fails: Callable[..., str], tmp_path: Path) -> None:
    needs.package("mcp")
    assert "there is no such folder" in fails(2, "mcp", "--folder", tmp_path / "nothing")
