"""Declaring a document: a frozen dataclass whose fields are the keys of a JSON object.

A field's type says what its key may hold: numbers, texts, ``X | None`` (null), ``tuple[X, ...]`` (a
list), ``dict[str, X]`` (an object with any keys), another such class, or ``Any``. What a type cannot
say is written beside it in JSON Schema's own words, as in
``Annotated[float, ("minimum", 0), ("maximum", 1)]``; the word ``"properties"`` with a TypedDict gives
the types of some keys of a ``dict``. From this, `edgekit.document.decode` reads and checks,
`edgekit.document.encode` writes, and `edgekit.document.schema` makes the JSON Schema.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from edgekit.document.reading import parsed
from edgekit.errors import DocumentError, placed
from edgekit.files import existing

if TYPE_CHECKING:
    from typing_extensions import Self

Text = Annotated[str, ("minLength", 1)]
Count = Annotated[int, ("minimum", 0)]
Positive = Annotated[int, ("minimum", 1)]
NotNegative = Annotated[float, ("minimum", 0)]
# In [0, 1], and the difference of two such.
Fraction = Annotated[float, ("minimum", 0), ("maximum", 1)]
Difference = Annotated[float, ("minimum", -1), ("maximum", 1)]


def tag(kind: str) -> str:
    """The value of a document's `schema` key, such as ``"edgekit.bench/1"``."""
    return f"edgekit.{kind}/1"


def schema_named(content: Any) -> str:
    """The schema that a document names, in words; it need not be trusted."""
    name = content.get("schema") if isinstance(content, dict) else None
    return f"schema {name[:60]!r}" if isinstance(name, str) else "no schema"


class Record:
    """A part of a document. Derived classes are frozen dataclasses.

    Attributes:
        computed: names of properties that are written too, under their own names. They are checked
            when read, and left to the property.
        later: those of `computed` that documents of earlier versions lack.
    """

    computed: ClassVar[tuple[str, ...]] = ()
    later: ClassVar[tuple[str, ...]] = ()

    def to_json(self) -> dict[str, Any]:
        """The object as JSON has it: dicts, lists, texts, finite numbers, booleans and None."""
        from edgekit.document.encode import encode_fields

        return encode_fields(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `to_json` gives. It need not be trusted.

        A key that this edgekit does not know was added by a later one and is passed over, but not
        where it resembles one that is missing.

        Raises:
            DocumentError: a key is missing, or a value is not what its field's type says; names the
                place, what was received and what was expected.
        """
        from edgekit.document.decode import decode

        return decode(cls, value)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Self:
        """Make the object of the values that were read, by key. For classes that need more than that."""
        return cls(**{key: value for key, value in values.items() if key not in cls.computed})


class Document(Record):
    """A whole document, which names its schema.

    Attributes:
        kind: the middle of the schema's name: ``"bench"`` of ``"edgekit.bench/1"``.
    """

    kind: ClassVar[str]

    @property
    def in_words(self) -> str:
        """What it says, in a line, for a report; empty where the report has a part of its own for it."""
        return ""

    def to_json(self) -> dict[str, Any]:
        """As `Record.to_json`, the schema's name first."""
        return {"schema": tag(self.kind), **super().to_json()}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """As `Record.from_json`; also refuses a document of another kind."""
        if isinstance(value, dict) and value.get("schema") != tag(cls.kind):
            raise DocumentError(f"received {schema_named(value)}, expected {tag(cls.kind)!r}.")
        return super().from_json(value)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that holds such a document. It need not be trusted.

        Raises:
            UsageError: nothing is at `path`.
            DocumentError: as `from_json`, or it is no JSON; names the file.
        """
        path = existing(path, "document")
        content = parsed(path)
        try:
            return cls.from_json(content)
        except DocumentError as error:
            raise DocumentError(placed(path, error)) from error


# Metadata of fields, as in ``field(metadata=INLINE)``. A field whose own keys stand among the others:
INLINE = {"key": ""}
# One that is known where the object was made, and not part of the document; not compared either.
UNWRITTEN = {"key": None}
# One that was added later: documents without its key have the field's default.
LATER = {"required": False}


def renamed(key: str) -> dict[str, str]:
    """Metadata of a field whose key in JSON is another name, or none that Python allows."""
    return {"key": key}
