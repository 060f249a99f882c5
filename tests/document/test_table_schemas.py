"""The schemas of TOML files: an editor accepts what edgekit reads, and marks what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgekit.build.pipeline import Pipeline, read_pipeline
from edgekit.config import from_table, read_table
from edgekit.document import json_schema
from edgekit.errors import RecipeError
from edgekit.recipe import Recipe

EXAMPLES = Path(__file__).parents[2] / "examples"
PIPELINE = {"model": {"file": "m.keras", "samples": "s.npz"}}


def check(kind: str, table: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(json_schema(kind)).validate(table)


@pytest.mark.parametrize("kind", ["recipe", "pipeline"])
def test_it_is_a_schema_that_explains_every_table(kind: str) -> None:
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    tables = [schema, *schema["$defs"].values()]
    assert all(table["description"] and table["additionalProperties"] is False for table in tables)
    # What has a table of its own is explained there.
    keys = [p for t in tables for p in t["properties"].values() if "$ref" not in str(p)]
    assert [key for key in keys if "description" not in str(key)] == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_is_accepted(path: Path) -> None:
    table = read_table(path)
    check("pipeline" if path.stem.startswith("pipeline") else "recipe", table)


@pytest.mark.parametrize(
    "table",
    [
        {"data": {"train": "t.npz", "test_share": 0.2}},
        {"training": {"class_weight": "balanced", "schedule": "cosine"}},
        {"training": {"class_weight": {"a": 2.0}, "schedule": {"kind": "step", "at": [3]}}},
        {"augmentation": [{"layer": "RandomRotation", "factor": 0.1}]},
        {"preprocessing": {"x": [{"step": "rescale", "scale": 0.1}]}},
        {"export": {"batch": 4, "prune": {"sparsity": 0.5, "layers": {"conv": 0.25}}}},
        {"export": {"shape": {"image": [1, "dynamic", 8, 3]}, "tasks": {"": "classification"}}},
        {"export": {"decoder": {"kind": "yolo", "score_threshold": 0.3}}},
        {"budget": {"max_accuracy_drop": "1%", "min_agreement": 0.9, "limits": ["p50_ms <= 5"]}},
        {"tune": {"search": {"training.epochs": {"choices": [1, 2]}}}},
    ],
)
def test_what_is_read_is_accepted(table: dict[str, Any]) -> None:
    from_table(Recipe, table)
    check("recipe", table)
    kept = {key: table[key] for key in ("export", "budget") if key in table}
    from_table(Pipeline, {**PIPELINE, **kept})
    check("pipeline", {**PIPELINE, **kept})


@pytest.mark.parametrize(
    "table",
    [
        {"dat": {}},
        {"data": {}},
        {"data": {"train": 3}},
        {"export": {"schemes": ["int9"]}},
        {"export": {"quality": "worst"}},
        {"export": {"prune": {"sparsity": "half"}}},
        {"training": {"epochs": 1.5}},
        {"training": {"optimizer": "adan"}},
        {"preprocessing": {"x": [{"step": "rescal"}]}},
        {"augmentation": [{"factor": 0.1}]},
    ],
)
def test_what_is_refused_is_marked(table: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        from_table(Recipe, table)
    with pytest.raises(jsonschema.ValidationError):
        check("recipe", table)


@pytest.mark.parametrize(
    "table",
    [
        {"matrix": {"schemes": ["int9"]}},
        {"matrix": {"devices": ["toaster"]}},
        {"matrix": {"exclude": [{"color": "red"}]}},
        {"bench": {"second": 1}},
        {"recipes": {"x": {"prnue": {}}}},
        {"models": {"x": {"samples": 1}}},
    ],
)
def test_what_a_pipeline_refuses_is_marked(table: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        from_table(Pipeline, {**PIPELINE, **table})
    with pytest.raises(jsonschema.ValidationError):
        check("pipeline", {**PIPELINE, **table})


def test_the_line_for_editors_is_no_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('#:schema pipeline.json\n[model]\nfile = "m"\nsamples = "s"\n')
    assert read_pipeline(path).model.file == str(tmp_path / "m")
