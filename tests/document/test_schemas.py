"""The schemas that are shipped, and what they refuse."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

import edgekit
from edgekit import document

Content = dict[str, Any]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """``scripts/schemas.py``."""
    spec = importlib.util.spec_from_file_location("schemas", ROOT / "scripts" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", [*document.KINDS, "recipe", "pipeline"])
def test_what_is_shipped_is_what_the_class_says(kind: str, script: ModuleType) -> None:
    shipped = Path(edgekit.__file__).parent / "schemas" / f"{kind}.json"
    assert shipped.read_text("utf-8") == script.text_of(kind), "run scripts/schemas.py"


def test_the_script_writes_every_schema(script: ModuleType, tmp_path: Path) -> None:
    assert script.run(str(tmp_path)) == 0
    shipped = (Path(edgekit.__file__).parent / "schemas").iterdir()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in shipped)


@pytest.mark.parametrize("kind", document.KINDS)
def test_every_schema_is_one_and_asks_for_its_tag_first(kind: str) -> None:
    schema = document.json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["required"][0] == "schema"
    assert schema["properties"]["schema"] == {"const": document.tag(kind)}


@pytest.mark.parametrize("kind", document.KINDS)
def test_what_edgekit_writes_it_reads(
    kind: str, documents: dict[str, Content], validate: Callable[[Content], Content], tmp_path: Path
) -> None:
    validate(documents[kind])
    document.write(tmp_path / "it.json", documents[kind])
    assert document.load(tmp_path / "it.json").kind == kind


@pytest.mark.parametrize("kind", document.KINDS)
def test_every_top_level_field_is_required_and_more_are_allowed(
    kind: str, documents: dict[str, Content], validate: Callable[[Content], Content]
) -> None:
    content = documents[kind]
    validate({**content, "added_later": 1})
    # Documents of earlier versions do not have what was added later.
    cls = getattr(edgekit, document.KINDS[kind])
    later = {f.name for f in dataclasses.fields(cls) if f.metadata.get("required") is False}
    later |= set(cls.later)
    wanted = [key for key in content if key not in {"schema", *later}]
    assert wanted
    for key in wanted:
        with pytest.raises(jsonschema.ValidationError, match="required"):
            validate({name: value for name, value in content.items() if name != key})


@pytest.mark.parametrize(
    ("kind", "where", "value"),
    [
        ("bench", ("runs", 0, "artifact", "sha256"), "G" * 64),
        ("bench", ("runs", 0, "artifact", "size_bytes"), -1),
        ("bench", ("runs", 0, "latency", "p50_ms"), "1"),
        ("bench", ("runs", 0, "latency", "count"), 0),
        ("bench", ("noise",), "none"),
        ("drift", ("reference", "accuracy"), 80),
        ("drift", ("reference", "samples"), 0),
        ("drift", ("candidates", 0, "verdict"), "perhaps"),
        ("drift", ("candidates", 0, "task", "agreement"), 1.01),
        ("drift", ("candidates", 0, "task", "drop_ci95"), [0.1]),
        ("drift", ("candidates", 0, "outputs", 0, "cosine"), -2),
        ("drift", ("candidates", 0, "outputs", 0, "rmse"), True),
        ("manifest", ("files", 0, "scheme"), "int4"),
        ("manifest", ("files", 0, "inputs", 0, "shape"), [1.5]),
        ("manifest", ("files", 0, "inputs", 0, "quantization", "scale"), [0]),
        ("manifest", ("source", "sha256"), None),
        ("training", ("splits", "train"), None),
        ("training", ("history", 0, "accuracy"), 1.2),
        ("tuning", ("objectives", 0, "name"), "speed"),
        ("tuning", ("trials", 0, "values"), {"speed": 1}),
        ("tuning", ("trials", 0, "state"), "perhaps"),
        ("tuning", ("trials", 0, "model", "sha256"), None),
        ("host", ("host", "cores"), 0),
        ("host", ("advice",), None),
    ],
)
def test_wrong_values_are_refused(
    kind: str,
    where: tuple[str | int, ...],
    value: Any,
    documents: dict[str, Content],
    validate: Callable[[Content], Content],
) -> None:
    content = copy.deepcopy(documents[kind])
    spot: Any = content
    for key in where[:-1]:
        spot = spot[key]
    spot[where[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(content)
