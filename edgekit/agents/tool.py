"""Tool: one of edgekit's commands as agents see it, with the arguments that they may give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from edgekit.agents.folder import Folder
from edgekit.document import json_schema
from edgekit.errors import UsageError, nearest

Schema = dict[str, Any]

# How a value becomes words of a command line: each item by itself, or all with a comma between them.
EACH, JOINED = "each", "joined"
# What a path is for. A file of limits is TOML in which nothing names other files; what is new holds nothing yet.
READ, LIMITS, WRITE, NEW = "read", "limits", "write", "new"


@dataclass(frozen=True)
class Argument:
    """An argument of a tool: an option of the command, or what it takes without one.

    Attributes:
        name: as agents have it, ``"max_accuracy_drop"``.
        option: as the command line has it; empty for what has none.
        schema: JSON Schema of the value.
        required: whether the tool needs it.
        several: for a list, `EACH` or `JOINED`.
        path: for a path, `READ`, `LIMITS`, `WRITE` or `NEW`; empty for other values.
    """

    name: str
    option: str
    schema: Schema
    required: bool = False
    several: str = EACH
    path: str = ""

    def words(self, value: Any, folder: Folder) -> list[str]:
        """The value as the command line has it, paths resolved.

        Raises:
            UsageError: a path that is refused.
        """
        if isinstance(value, bool):
            return [self.option] if value else []
        texts = [
            self._text(each, folder) for each in (value if isinstance(value, list) else [value])
        ]
        if self.several == JOINED:
            texts = [",".join(texts)]
        return [f"{self.option}={text}" if self.option else text for text in texts]

    def _text(self, value: Any, folder: Folder) -> str:
        if self.path in (WRITE, NEW):
            return str(folder.to_write(self.name, value, new=self.path == NEW))
        if self.path:
            return str(folder.to_read(self.name, value, recipe=self.path == LIMITS))
        return str(value)


@dataclass(frozen=True)
class Tool:
    """A command as a tool.

    Attributes:
        name: of the command.
        about: what it does, in a sentence or two.
        kind: of the document that it gives.
        arguments: those that agents may give.
        kept: what else the command takes, which agents may not say, by the names they would have.
        fixed: words of the command line that agents have no say in.
        writes: whether files are made.
        answer: reads the document from what the command made in a folder; None where stdout is the document.
    """

    name: str
    about: str
    kind: str
    arguments: tuple[Argument, ...]
    kept: frozenset[str] = frozenset()
    fixed: tuple[str, ...] = ()
    writes: bool = False
    answer: Callable[[Path], Schema] | None = None

    @property
    def input_schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {each.name: each.schema for each in self.arguments},
            "required": [each.name for each in self.arguments if each.required],
            "additionalProperties": False,
        }

    @property
    def output_schema(self) -> Schema:
        """That of the document."""
        return json_schema(self.kind)

    def words(self, given: Mapping[str, Any], folder: Folder) -> list[str]:
        """The command line that does what an agent asks for.

        Raises:
            UsageError: an unknown argument, one that agents may not give, a value of another type, a path that is
                refused, or a folder to build in that holds something.
        """
        self._check(given)
        options: list[str] = []
        plain: list[str] = []
        for argument in self.arguments:
            if argument.name in given:
                words = argument.words(given[argument.name], folder)
                (options if argument.option else plain).extend(words)
        # Behind the mark nothing is an option, whatever it begins with.
        return [self.name, *self.fixed, *options, *(["--", *plain] if plain else [])]

    def _check(self, given: Mapping[str, Any]) -> None:
        known = [each.name for each in self.arguments]
        for name in given:
            if name in self.kept:
                raise UsageError(
                    f"{name}: received what agents may not say, expected one of {', '.join(known) or 'nothing'}. A "
                    f"person may, with 'edgekit {self.name}'."
                )
            if name not in known:
                raise UsageError(
                    f"{self.name}: received the unknown argument {name!r}, expected one of "
                    f"{', '.join(known) or 'nothing'}.{nearest(name, known)}"
                )
        error = best_match(Draft202012Validator(self.input_schema).iter_errors(dict(given)))
        if error is not None:
            where = ".".join(map(str, error.absolute_path)) or self.name
            raise UsageError(f"{where}: {error.message[:400]}.")
