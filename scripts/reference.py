"""What the pages of docs/reference/ say of the code: commands, recipes, documents, Python.

`docs/conf.py` calls `fill` when a page is read: where it says ``<!-- generated -->``, the text of
`PAGES` comes in its place. None of it is committed, so it cannot fall behind the code. Needs edgekit
and the packages of the extra `docs`; not TensorFlow.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
import textwrap
import typing
from collections.abc import Callable, Iterator
from typing import Any

import edgekit
from edgekit import cli, errors
from edgekit.build.pipeline import ModelTable, Pipeline
from edgekit.cli import COMMANDS
from edgekit.detection import DECODERS, Decoder
from edgekit.document import KINDS, json_schema
from edgekit.preprocess import STEPS, Preprocessing
from edgekit.recipe import Dimension, Recipe

MARK = "<!-- generated -->"


def fill(app: object, name: str, source: list[str]) -> None:
    """Sphinx' event ``source-read``: a page of docs/ by its name, and its text as a list of one."""
    del app
    room, _, page = name.rpartition("/")
    if room == "reference" and page in PAGES:
        before, mark, after = source[0].partition(MARK)
        if not mark:
            raise ValueError(f"docs/{name}.md: expected a line {MARK!r}, which was not found.")
        source[0] = "\n\n".join((before.rstrip(), *PAGES[page](), after.lstrip()))
    elif page == "index":
        source[0] += contents(source[0])


def contents(text: str) -> str:
    """What Sphinx needs to know the order of pages: those of its folder that an index links to."""
    links = dict.fromkeys(re.findall(r"\]\(((?:[\w-]+|[\w-]+/index))\.md\)", text))
    return "\n".join(("\n```{toctree}", ":hidden:", "", *links, "```", ""))


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; a bar or a line break inside a cell does not end it."""
    lines = [head, tuple("---" for _ in head), *rows]
    cells = ([" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def code(text: object) -> str:
    return f"`{text}`"


def heading(level: int, text: str, anchor: str) -> str:
    return f"{{#{anchor}}}\n{'#' * level} {text}"


# Commands, from argparse.


def commands() -> Iterator[str]:
    rows = [(f"[`{name}`](#command-{name})", text) for name, text in COMMANDS.items()]
    yield table(("command", "purpose"), rows)
    for name in COMMANDS:
        yield heading(2, f"edgekit {name}", f"command-{name}")
        yield from command(cli.command(name)[0])


def command(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A command's description, its usage, its arguments and an example; then those of its actions."""
    if parser.description:
        yield parser.description.strip()
    yield f"```text\n{parser.format_usage().removeprefix('usage: ').rstrip()}\n```"
    rows = [argument(action, parser) for action in parser._actions]
    if rows := [row for row in rows if row]:
        yield table(("argument", "meaning"), rows)
    if parser.epilog:
        example = textwrap.dedent(parser.epilog.partition("\n")[2])
        yield f"Example:\n\n```sh\n{example.rstrip()}\n```"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                anchor = inner.prog.replace("edgekit ", "command-").replace(" ", "-")
                yield heading(3, inner.prog, anchor)
                yield from command(inner)


def argument(action: argparse.Action, parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """One row; an empty one for what has a table of its own."""
    if isinstance(action, (argparse._SubParsersAction, argparse._HelpAction)):
        return ()
    value = "" if action.nargs == 0 else _metavar(action)
    words = [f"{option} {value}".strip() for option in action.option_strings] or [value]
    meaning = (action.help or "") % {**vars(action), "prog": parser.prog}
    needed = " (required)" if action.required and action.option_strings else ""
    return ", ".join(map(code, words)), escaped(meaning.strip()) + needed


def _metavar(action: argparse.Action) -> str:
    name = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    name = name if isinstance(name, str) else " ".join(name)
    return f"{name}..." if action.nargs in ("+", "*") else name


def escaped(text: str) -> str:
    """Plain text as Markdown."""
    return re.sub(r"([<>*_\[\]{}$])", r"\\\1", text)


# Recipes, from the dataclasses.


def recipes() -> Iterator[str]:
    rows = [(f"[`{name}`](#{_anchor(name)})", summary(kind)) for name, kind in tables()]
    yield table(("table", "purpose"), rows)
    for name, kind in tables():
        yield heading(2, code(name), _anchor(name))
        yield from keys(kind)
    yield heading(2, "Steps of preprocessing", "recipe-steps")
    yield (
        "`[[preprocessing.<input>]]` and `[[export.preprocessing.<input>]]` are lists of tables, each "
        "with a key `step` and the step's own keys."
    )
    for name, step in STEPS.items():
        yield heading(3, code(name), f"recipe-step-{name}")
        yield from keys(step)
    yield heading(2, "Decoders", "recipe-decoders")
    yield (
        "`[export.decoder]` is a table with a key `kind`, which is one of the following, and the kind's own keys. It "
        "says how the outputs of a detector become boxes. `export` puts it into the files, `golden --recipe` and `evaluate "
        "--recipe` judge by it, and `run` and `Runner.detect` give boxes by it on the device."
    )
    for name, kind in DECODERS.items():
        yield heading(3, code(name), f"recipe-decoder-{name}")
        yield from keys(kind)


def pipelines() -> Iterator[str]:
    own = [(name, kind) for name, kind in tables(Pipeline) if not name.startswith(_OF_RECIPES)]
    rows = [(f"[`{name}`](#{_anchor(name, 'pipeline')})", summary(kind)) for name, kind in own]
    yield table(("table", "purpose"), rows)
    for name, kind in own:
        yield heading(2, code(name), _anchor(name, "pipeline"))
        yield from keys(kind)


# Tables of a pipeline that are those of recipes, too.
_OF_RECIPES = ("[export", "[budget", "[recipes", "[[export", "[[recipes")


def tables(cls: type = Recipe, where: str = "") -> Iterator[tuple[str, type]]:
    """Every table of a TOML file by its name, with the dataclass that it is read as."""
    for key, hint in typing.get_type_hints(cls).items():
        for kind in _parts(hint):
            if not dataclasses.is_dataclass(kind) or kind in (Preprocessing, Decoder):
                continue
            name = f"{where}.{key}" if where else key
            if kind is Dimension:
                name += ".<key>"
            if kind is ModelTable and key == "models":
                name += ".<name>"
            yield f"[[{name}]]" if typing.get_origin(hint) is tuple else f"[{name}]", kind
            yield from tables(kind, name)


def _parts(hint: Any) -> Iterator[Any]:
    """The types in a hint: itself, or those of a union, a tuple or a mapping's values."""
    inner = typing.get_args(hint)
    if not inner:
        yield hint
    for part in inner:
        yield from _parts(part)


def _anchor(name: str, of: str = "recipe") -> str:
    return f"{of}-" + re.sub(r"[^\w-]", "", name.replace(".", "-"))


def keys(cls: type) -> Iterator[str]:
    """A dataclass' description and a table of its keys."""
    text, meanings = described(cls)
    yield text
    # Keys that all kinds have are described where all kinds have them from.
    for base in cls.__mro__[1:]:
        if dataclasses.is_dataclass(base):
            meanings = described(base)[1] | meanings
    hints = typing.get_type_hints(cls)
    rows = [
        (code(f.name), _type(hints[f.name]), _default(f), meanings.get(f.name, ""))
        for f in dataclasses.fields(cls)
    ]
    if rows:
        yield table(("key", "type", "default", "meaning"), rows)


def summary(cls: type) -> str:
    return described(cls)[0].partition("\n\n")[0]


def described(cls: type) -> tuple[str, dict[str, str]]:
    """The docstring without its sections, and what its section ``Attributes`` says of each."""
    text, *sections = re.split(r"\n\n(?=[A-Z]\w+:\n)", inspect.getdoc(cls) or "")
    meanings = {}
    for section in sections:
        title, _, body = section.partition(":\n")
        if title == "Attributes":
            # What is less indented than the section ends it.
            body = re.split(r"\n(?=\S)", body)[0]
            for names, meaning in re.findall(r"^ {4}(\w[\w, ]*): (.*(?:\n {8}.*)*)", body, re.M):
                meanings |= dict.fromkeys(names.split(", "), meaning)
    return text, meanings


def _type(hint: Any) -> str:
    """How a value is written in TOML."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if type(None) in inner:
        return " or ".join(_type(part) for part in inner if part is not type(None))
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if inner:
        return f"table of {_type(inner[-1])}"
    names = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        Any: "any value",
    }
    return names.get(hint, "table")


def _default(f: dataclasses.Field[Any]) -> str:
    if f.default_factory is not dataclasses.MISSING:
        return "" if dataclasses.is_dataclass(f.default_factory) else "empty"
    if f.default is dataclasses.MISSING:
        return "required"
    if f.default is None or f.default == ():
        return "none"
    return code(json.dumps(f.default))


# Documents, from their schemas.


def documents() -> Iterator[str]:
    for kind in sorted(KINDS):
        schema = json_schema(kind)
        title = schema["title"].partition(": ")[2]
        yield heading(2, kind, f"document-{kind}")
        yield f"{title[:1].upper()}{title[1:]}."
        yield fields(schema, schema, kind)
        for name, inner in schema.get("$defs", {}).items():
            if "properties" in inner:
                yield heading(3, f"{kind}: {name}", f"document-{kind}-{name}")
                yield fields(inner, schema, kind)


def fields(part: dict[str, Any], schema: dict[str, Any], kind: str) -> str:
    return table(("field", "type", "meaning"), list(_fields(part, schema, kind, "")))


def _fields(
    part: dict[str, Any], schema: dict[str, Any], kind: str, where: str
) -> Iterator[tuple[str, ...]]:
    needed = part.get("required", ())
    for key, value in part.get("properties", {}).items():
        optional = "" if key in needed else " (optional)"
        meaning = escaped(value.get("description", ""))
        yield code(where + key), f"{_json_type(value, schema, kind)}{optional}", meaning
        if "properties" in value:
            yield from _fields(value, schema, kind, f"{where}{key}.")
        elif "properties" in value.get("items", {}):
            yield from _fields(value["items"], schema, kind, f"{where}{key}[].")


def _json_type(value: dict[str, Any], schema: dict[str, Any], kind: str) -> str:
    """What a schema allows, in words; definitions with fields of their own are linked."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        inner = schema["$defs"][name]
        if "properties" in inner:
            return f"[{name}](#document-{kind}-{name})"
        return _json_type(inner, schema, kind)
    if "const" in value:
        return code(json.dumps(value["const"]))
    if "enum" in value:
        return ", ".join(code(json.dumps(word)) for word in value["enum"])
    for word in ("anyOf", "oneOf"):
        if word in value:
            return " or ".join(_json_type(option, schema, kind) for option in value[word])
    kinds = value.get("type", "any value")
    words = [kinds] if isinstance(kinds, str) else kinds
    items = f"list of {_json_type(value['items'], schema, kind)}" if "items" in value else "array"
    return " or ".join(items if word == "array" else word for word in words)


# Python, from the docstrings, which Sphinx reads.


def python() -> Iterator[str]:
    for name in edgekit.__all__:
        if name == "__version__":
            continue
        kind = "class" if inspect.isclass(value := getattr(edgekit, name)) else "function"
        if kind == "class" and issubclass(value, BaseException):
            kind = "exception"
        # A class and a function may differ in one capital alone, which an address does not.
        yield heading(2, name, f"python-{kind}-{name}")
        yield f"```{{eval-rst}}\n.. auto{kind}:: edgekit.{name}\n```"
    yield heading(2, "Errors", "python-errors")
    tree = (errors.__doc__ or "").partition("\n\n")[2].rstrip()
    yield f"The number is the exit code of a command that ends with the error.\n\n```text\n{tree}\n```"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "commands": commands,
    "recipes": recipes,
    "pipelines": pipelines,
    "documents": documents,
    "python": python,
}
