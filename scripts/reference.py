"""The pages of docs/reference/ that are generated from the code, as a hook of MkDocs.

`make docs` calls `on_files`, which adds them to the site. They are never committed, so they cannot
fall behind the code. Needs the packages of the extra `docs`, and edgekit; not TensorFlow.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from griffe import Docstring, DocstringSectionKind
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import edgekit
from edgekit.cli import COMMANDS
from edgekit.document import KINDS, json_schema
from edgekit.preprocess import STEPS, Preprocessing
from edgekit.recipe import Dimension, Recipe


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every page of `PAGES` to the files of the site."""
    for name, make in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=make()))
    return files


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; a bar or a line break inside a cell does not end it."""
    lines = [head, tuple("---" for _ in head), *rows]
    cells = ([" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def code(text: object) -> str:
    return f"`{text}`"


# Commands, from argparse.


def commands() -> str:
    parts = [
        "# Commands",
        "What `edgekit COMMAND --help` prints. Every command also takes `-v` (`--verbose`), which "
        "shows where an unexpected error came from, and `-vv`, which shows what the libraries below "
        "write. [Exit codes](exit-codes.md) and [sample formats](samples.md) have pages of their own.",
        table(("command", "purpose"), [(f"[`{n}`](#{n})", text) for n, text in COMMANDS.items()]),
    ]
    for name in COMMANDS:
        module = importlib.import_module(f"edgekit.cli.{name}")
        parser = argparse.ArgumentParser(
            prog=f"edgekit {name}", description=module.__doc__, add_help=False
        )
        module.add_arguments(parser)
        parts += [f"## {name}", *command(parser)]
    return "\n\n".join(parts) + "\n"


def command(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A command's description, its usage and a table of its arguments; then those of its actions."""
    if parser.description:
        yield parser.description.strip()
    usage = parser.format_usage().removeprefix("usage: ").rstrip()
    yield f"```text\n{usage}\n```"
    rows = [argument(action, parser) for action in parser._actions]
    if rows := [row for row in rows if row]:
        yield table(("argument", "meaning", "default"), rows)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield f"### {parser.prog.removeprefix('edgekit ')} {name}"
                yield from command(inner)


def argument(action: argparse.Action, parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """One row; an empty one for what is a table of its own."""
    if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
        return ()
    value = "" if action.nargs == 0 else _metavar(action)
    words = [f"{option} {value}".strip() for option in action.option_strings] or [value]
    meaning = (action.help or "") % {**vars(action), "prog": parser.prog}
    if action.choices and not all(str(choice) in meaning for choice in action.choices):
        meaning += f" (one of {', '.join(map(str, action.choices))})"
    shown = action.nargs != 0 and action.default not in (None, [], argparse.SUPPRESS)
    default = code(action.default) if shown else "required" if action.required else ""
    return ", ".join(map(code, words)), meaning.strip(), default


def _metavar(action: argparse.Action) -> str:
    name = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    name = name if isinstance(name, str) else " ".join(name)
    return f"{name}..." if action.nargs in ("+", "*") else name


# Recipes, from the dataclasses.


def recipes() -> str:
    parts = [
        "# Recipes",
        "A recipe is a TOML file. `train`, `tune` and `export --recipe` each read their own tables; "
        "the same file also serves wherever a command takes samples. Unknown keys and values that "
        "cannot be used are refused, with the nearest known name.",
        table(("table", "read as"), [(f"[`{t}`](#{_anchor(t)})", k.__name__) for t, k in _tables()]),
    ]
    for name, kind in _tables():
        parts += [f"## {name} {{ #{_anchor(name)} }}", *keys(kind)]
    parts += [
        "## Steps of preprocessing { #steps }",
        "`[[preprocessing.<input>]]` and `[[export.preprocessing.<input>]]` are lists of tables, each "
        "with a key `step` and the step's own keys.",
    ]
    for name, step in STEPS.items():
        parts += [f"### {name}", *keys(step)]
    return "\n\n".join(parts) + "\n"


def _tables(cls: type = Recipe, where: str = "") -> Iterator[tuple[str, type]]:
    """Every table of a recipe by its TOML name, with the dataclass that it is read as."""
    for key, hint in typing.get_type_hints(cls).items():
        for kind in _parts(hint):
            if not dataclasses.is_dataclass(kind) or kind is Preprocessing:
                continue
            name = f"{where}.{key}" if where else key
            if kind is Dimension:
                name = f"{name}.<key>"
            listed = typing.get_origin(hint) is tuple
            yield (f"[[{name}]]" if listed else f"[{name}]"), kind
            yield from _tables(kind, name)


def _parts(hint: Any) -> Iterator[Any]:
    """The types in a hint: itself, or those of a union, a tuple or a mapping's values."""
    inner = typing.get_args(hint)
    if not inner:
        yield hint
    for part in inner:
        yield from _parts(part)


def _anchor(name: str) -> str:
    return name.strip("[]").replace(".", "-").replace("<", "").replace(">", "")


def keys(cls: type) -> Iterator[str]:
    """A dataclass' description and a table of its keys."""
    texts, meanings = described(cls)
    yield from texts
    hints = typing.get_type_hints(cls)
    rows = [
        (code(f.name), code(_type(hints[f.name])), _default(f), meanings.get(f.name, ""))
        for f in dataclasses.fields(cls)
    ]
    if rows:
        yield table(("key", "type", "default", "meaning"), rows)


def described(cls: type) -> tuple[list[str], dict[str, str]]:
    """The docstring's paragraphs, and what it says of each attribute."""
    texts, meanings = [], {}
    for section in Docstring(cls.__doc__ or "").parse("google"):
        if section.kind is DocstringSectionKind.text:
            texts.append(section.value)
        elif section.kind is DocstringSectionKind.attributes:
            for attribute in section.value:
                for name in attribute.name.split(", "):
                    meanings[name] = attribute.description
    return texts, meanings


def _type(hint: Any) -> str:
    """How a value is written in TOML."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if type(None) in inner:
        return " or ".join(_type(part) for part in inner if part is not type(None))
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if inner:
        return f"table of {_type(inner[-1])}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "value"}
    return names.get(hint, "table")


def _default(f: dataclasses.Field[Any]) -> str:
    if f.default_factory is not dataclasses.MISSING:
        return "empty" if not dataclasses.is_dataclass(f.default_factory) else ""
    if f.default is dataclasses.MISSING:
        return "required"
    if f.default is None or f.default == ():
        return "none"
    value = list(f.default) if isinstance(f.default, tuple) else f.default
    return code(json.dumps(value))


# Documents, from their schemas.


def documents() -> str:
    parts = [
        "# Documents",
        "The JSON that commands write. Each document names its schema first (`\"schema\": "
        '"edgekit.bench/1"`), is written whole or not at all, and is checked when it is read. '
        "Numbers that are not finite are `null`. The schemas (JSON Schema, draft 2020-12) are in "
        "`edgekit/schemas/`; keys may be added to a document, never renamed or removed.",
    ]
    for kind in sorted(KINDS):
        schema = json_schema(kind)
        title = schema["title"].partition(": ")[2]
        parts += [f"## {kind}", title[:1].upper() + title[1:] + ".", fields(schema, schema)]
        for name, inner in schema.get("$defs", {}).items():
            if "properties" in inner:
                parts += [f"### {kind}: {name} {{ #{kind}-{name} }}", fields(inner, schema)]
    return "\n\n".join(parts) + "\n"


def fields(part: dict[str, Any], schema: dict[str, Any]) -> str:
    return table(("field", "type", "meaning"), list(_fields(part, schema, "")))


def _fields(part: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[tuple[str, ...]]:
    needed = part.get("required", ())
    for key, value in part.get("properties", {}).items():
        optional = "" if key in needed else " (optional)"
        meaning = value.get("description", "")
        yield code(where + key), f"{_json_type(value, schema)}{optional}", meaning
        if "properties" in value:
            yield from _fields(value, schema, f"{where}{key}.")
        elif "properties" in value.get("items", {}):
            yield from _fields(value["items"], schema, f"{where}{key}[].")


def _json_type(value: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a schema allows, in words; tables of their own are linked."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        inner = schema["$defs"][name]
        kind = schema["title"].split()[1].rstrip(":")
        return f"[{name}](#{kind}-{name})" if "properties" in inner else _json_type(inner, schema)
    if "const" in value:
        return code(json.dumps(value["const"]))
    if "enum" in value:
        return ", ".join(code(json.dumps(word)) for word in value["enum"])
    for word in ("anyOf", "oneOf"):
        if word in value:
            return " or ".join(_json_type(option, schema) for option in value[word])
    kinds = value.get("type", "any value")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "items" in value:
        kinds = [f"list of {_json_type(value['items'], schema)}" if k == "array" else k for k in kinds]
    return " or ".join(kinds)


# Python, from the docstrings, which mkdocstrings reads.


def python() -> str:
    parts = [
        "# Python API",
        "Every public name of `edgekit`. Importing `edgekit` loads nothing else: a name is imported "
        "when it is first used, and TensorFlow only by a function that needs it. Shapes have the "
        "samples' axis first. [Errors](#errors) all derive from `edgekit.EdgekitError`.",
    ]
    for name in edgekit.__all__:
        if name == "__version__":
            continue
        parts.append(f"::: {edgekit._HOMES[name]}.{name}\n    options:\n      heading_level: 2")
    parts += ["## Errors", f"```text\n{_tree()}\n```"]
    return "\n\n".join(parts) + "\n"


def _tree() -> str:
    from edgekit import errors

    return (errors.__doc__ or "").partition("\n\n")[2].rstrip()


PAGES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "recipes": recipes,
    "documents": documents,
    "python": python,
}


if __name__ == "__main__":
    for name, make in PAGES.items():
        Path(f"{name}.md").write_text(make(), "utf-8")
