"""Metadata: what a model file says about itself, inside the file, where it cannot get lost.

A ``.tflite`` file holds it as a metadata buffer, an ``.onnx`` file as a metadata property; both are
called ``edgekit`` and hold the same JSON. Other software passes it over.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekit import document
from edgekit.detection import Decoder, decoder_from_json
from edgekit.errors import (
    ArtifactError,
    DocumentError,
    RecipeError,
    TensorError,
    UsageError,
    nearest,
    placed,
)
from edgekit.formats import tflite_schema as schema
from edgekit.formats.flatbuffer import Bytes, Table, mapped
from edgekit.formats.seen import Seen
from edgekit.formats.tflite_file import buffer_place
from edgekit.preprocess import Preprocessing
from edgekit.tasks import check_tasks
from edgekit.tensor import ANY_INPUT

KEY = "edgekit"
SCHEMA = document.tag("metadata")

# A file that says more about itself than this wants to fill the memory.
MAX_BYTES = 16 << 20
_MAX_ENTRIES = 4096

_SHA256 = re.compile(r"[0-9a-f]{64}")
# Control characters and halves of characters: names end up on terminals and in documents.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Metadata:
    """What a file knows beyond its tensors.

    Attributes:
        class_names: of the classes that the model tells apart, by index; empty if unknown.
        preprocessing: for inputs by name, what turns raw data into what the file takes.
        source_sha256: of the model that the file was made of.
        golden_sha256: of the golden file that holds that model's answers.
        decoder: how the outputs of a detector become boxes; None of every other model.
        recipe: how the file was made, as the manifest has it; JSON values only.
        seen: the samples that the model was trained with and the file was made with, in few numbers.
        tasks: what outputs are for, by output; `edgekit.tasks.ANY_OUTPUT` for the one that it fits.

    Raises:
        UsageError: a value that cannot be one.
    """

    class_names: tuple[str, ...] = ()
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    source_sha256: str | None = None
    golden_sha256: str | None = None
    decoder: Decoder | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    seen: tuple[Seen, ...] = ()
    tasks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for i, name in enumerate(self.class_names):
            if not isinstance(name, str) or not name or _UNPRINTABLE.search(name):
                raise UsageError(f"class_names[{i}]: received {name!r:.80}, expected a name.")
        for name, steps in self.preprocessing.items():
            if not isinstance(steps, Preprocessing):
                raise UsageError(
                    f"preprocessing of input {name!r:.80}: received {steps!r:.80}, expected a "
                    "Preprocessing."
                )
            if unfitted := steps.unfitted:
                raise UsageError(
                    f"preprocessing of input {name!r:.80}: {unfitted}: has no mean and variance, which "
                    "are found in training samples. Give them, or name the step in the recipe of a "
                    "training."
                )
        check_tasks(self.tasks)
        if not isinstance(self.decoder, Decoder | None):
            raise UsageError(f"decoder: received {self.decoder!r:.80}, expected a Decoder.")
        for key, value in (
            ("source_sha256", self.source_sha256),
            ("golden_sha256", self.golden_sha256),
        ):
            if value is not None and not (isinstance(value, str) and _SHA256.fullmatch(value)):
                raise UsageError(f"{key}: received {value!r:.80}, expected 64 hex digits.")

    def for_inputs(self, names: Sequence[str]) -> Metadata:
        """With pre-processing by the model's own input names, as `by_input` finds them."""
        return replace(self, preprocessing=by_input(self.preprocessing, names))

    def unscored(self) -> Metadata:
        """Of a model whose weights were changed since: without the accuracy that was measured before."""
        seen = (replace(each, accuracy=None, accuracy_count=None) for each in self.seen)
        return replace(self, seen=tuple(seen))

    def to_json(self) -> dict[str, Any]:
        # Without one the key is left out, so that an edgekit that knows none can read the file.
        decoder = {} if self.decoder is None else {"decoder": self.decoder.to_json()}
        content = {
            **decoder,
            "schema": SCHEMA,
            "class_names": list(self.class_names),
            "preprocessing": {name: p.to_json() for name, p in self.preprocessing.items()},
            "source_sha256": self.source_sha256,
            "golden_sha256": self.golden_sha256,
            "recipe": dict(self.recipe),
        }
        # Earlier versions refuse a key that they do not know.
        if self.tasks:
            content["tasks"] = dict(self.tasks)
        return {**content, "seen": [each.to_json() for each in self.seen]} if self.seen else content

    @classmethod
    def from_json(cls, value: Any) -> Metadata:
        """Read what `to_json` gives; it need not be trusted.

        Raises:
            ArtifactError: another schema, an unknown key (the nearest known one is named), or a
                value that cannot be one.
        """
        if not isinstance(value, dict):
            raise ArtifactError(f"metadata: received {value!r:.80}, expected a JSON object.")
        if value.get("schema") != SCHEMA:
            raise ArtifactError(
                f"metadata: received schema {value.get('schema')!r:.80}, expected {SCHEMA!r}. "
                "Another version of edgekit made the file: install that, or export again."
            )
        known: dict[str, Any] = {**cls().to_json(), "seen": [], "decoder": None, "tasks": {}}
        for key in value:
            if key not in known:
                raise ArtifactError(
                    f"metadata: unknown key {key!r:.80}, expected one of {', '.join(known)}."
                    f"{nearest(key[:80], known)}"
                )
        for key, default in known.items():
            given = value.get(key, default)
            if default is not None and type(given) is not type(default):
                kind = "a list" if isinstance(default, list) else "an object"
                raise ArtifactError(f"metadata: {key}: received {given!r:.80}, expected {kind}.")
        decoder = value.get("decoder")
        try:
            return cls(
                class_names=tuple(value.get("class_names", ())),
                preprocessing={
                    name: Preprocessing.from_json(steps, f"preprocessing of input {name!r:.80}")
                    for name, steps in value.get("preprocessing", {}).items()
                },
                source_sha256=value.get("source_sha256"),
                golden_sha256=value.get("golden_sha256"),
                decoder=None if decoder is None else decoder_from_json(decoder),
                recipe=value.get("recipe", {}),
                seen=tuple(map(Seen.from_json, value.get("seen", ()))),
                tasks=value.get("tasks", {}),
            )
        except (DocumentError, RecipeError, UsageError) as error:
            raise ArtifactError(f"metadata: {error}") from error

    def to_bytes(self) -> bytes:
        """The same bytes for the same content: JSON in ASCII, keys sorted.

        Raises:
            UsageError: `recipe` holds what JSON cannot, or it all is larger than 16 MiB.
        """
        try:
            text = json.dumps(
                self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False
            ).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"metadata: cannot be written as JSON: {error}.") from error
        if len(text) > MAX_BYTES:
            raise UsageError(f"metadata: received {len(text)} bytes, expected at most {MAX_BYTES}.")
        return text

    @classmethod
    def from_bytes(cls, content: bytes | str) -> Metadata:
        """Read what `to_bytes` gives; it need not be trusted.

        Raises:
            ArtifactError: as `from_json`; also for what is no JSON.
        """
        if len(content) > MAX_BYTES:
            raise ArtifactError(
                f"metadata: received {len(content)} bytes, expected at most {MAX_BYTES}."
            )
        try:
            return cls.from_json(json.loads(content, parse_constant=_refuse_constant))
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"metadata: not JSON ({error!s:.200}).") from error


def by_input(
    preprocessing: Mapping[str, Preprocessing], names: Sequence[str]
) -> dict[str, Preprocessing]:
    """The steps by the inputs' `names`; ``x``, on either side, stands for the only input.

    Raises:
        TensorError: steps for an input that is not there.
    """
    given = list(preprocessing)
    if len(given) == len(names) == 1 and ANY_INPUT in (*given, *names):
        return {names[0]: preprocessing[given[0]]}
    for name in given:
        if name not in names:
            raise TensorError(
                f"preprocessing: received steps for input {name!r:.80}, expected inputs among "
                f"{', '.join(map(repr, names))}.{nearest(name[:80], names)}"
            )
    return dict(preprocessing)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"received {name}, which is none of JSON's numbers")


def read_tflite(
    source: str | os.PathLike[str] | bytes, name: str | os.PathLike[str] | None = None
) -> Metadata | None:
    """The metadata of a ``.tflite`` file, which need not be trusted and is not read as a whole.

    Args:
        source: its path, or its content.
        name: what it is called in errors, where content is given.

    Returns:
        None if the file has none of edgekit's.

    Raises:
        ArtifactError: the file cannot be read, is damaged or none of TFLite's, or its metadata
            are not what they should be.
    """
    place = name or ("the file" if isinstance(source, bytes) else source)
    try:
        with mapped(source if isinstance(source, bytes) else Path(source)) as data:
            content = find_tflite(data)
        return None if content is None else Metadata.from_bytes(content)
    # An empty file cannot be mapped (ValueError), nor a huge one into a 32-bit process.
    except (OSError, ValueError, OverflowError) as error:
        raise ArtifactError(f"{place}: cannot be read: {error}") from error
    except ArtifactError as error:
        raise ArtifactError(placed(place, error)) from error


def find_tflite(data: Bytes) -> bytes | None:
    """The bytes that the content of a ``.tflite`` file stores under `KEY`.

    Raises:
        ArtifactError: the file is damaged or none of TFLite's.
    """
    model = Table.root(data, schema.IDENTIFIER)
    _, count = model.vector(schema.Model.METADATA, 4)
    if count > _MAX_ENTRIES:
        raise ArtifactError(f"received {count} metadata entries, expected up to {_MAX_ENTRIES}.")
    for entry in model.tables(schema.Model.METADATA):
        _, length = entry.vector(schema.Metadata.NAME, 1)
        if length == len(KEY) and entry.content(schema.Metadata.NAME) == KEY.encode():
            break
    else:
        return None
    index = entry.number(schema.Metadata.BUFFER, "I")
    _, count = model.vector(schema.Model.BUFFERS, 4)
    if index >= count:
        raise ArtifactError(f"metadata {KEY!r}: names buffer {index} of {count}.")
    start, size = buffer_place(model.nth_table(schema.Model.BUFFERS, index))
    if size > MAX_BYTES or start + size > len(data):
        raise ArtifactError(
            f"metadata {KEY!r}: {size} bytes at byte {start} of a file of {len(data)} bytes, "
            f"expected up to {MAX_BYTES} bytes in the file."
        )
    return bytes(data[start : start + size])


def from_onnx_map(properties: Mapping[str, str]) -> Metadata | None:
    """The metadata among an ONNX model's properties, which need not be trusted.

    Args:
        properties: onnxruntime's ``session.get_modelmeta().custom_metadata_map``.

    Returns:
        None if there are none of edgekit's.

    Raises:
        ArtifactError: they are not what they should be.
    """
    content = properties.get(KEY)
    return None if content is None else Metadata.from_bytes(content)
