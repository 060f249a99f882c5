"""Write ``edgekit/schemas/*.json``: the JSON Schema of each kind of document, and of the TOML files, as classes say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import edgekit
from edgekit.artifact import FORMATS, SCHEMES
from edgekit.build.pipeline import ExcludeTable, MatrixTable, Pipeline
from edgekit.detection import DECODERS, Decoder
from edgekit.device import list_devices
from edgekit.document import KINDS
from edgekit.document.schema import first_line, schema_of
from edgekit.document.table_schema import Tables
from edgekit.preprocess import STEPS, Preprocessing
from edgekit.recipe import (
    AUGMENTATIONS,
    CALIBRATION_METHODS,
    LOSSES,
    METRICS,
    MINIMISED,
    OBJECTIVES,
    OPTIMIZERS,
    QUALITIES,
    SCHEDULES,
    AugmentationRecipe,
    ClassWeights,
    Dimension,
    ExportRecipe,
    PruneRecipe,
    Recipe,
    ScheduleRecipe,
    TrainingRecipe,
    TuneRecipe,
)
from edgekit.recipe.class_weights import BALANCED
from edgekit.recipe.export import FILES
from edgekit.recipe.optimize import CRITERIA, PATTERNS
from edgekit.recipe.optimize import SCHEDULES as PRUNING_SCHEDULES
from edgekit.recipe.training import AUTO, PRECISIONS

_SCHEMES, _BOARDS = (*SCHEMES, *FILES), tuple(profile.id for profile in list_devices())
# What the constructors of these classes hold values to.
CHOICES = {
    (ExportRecipe, "formats"): tuple(FORMATS),
    (ExportRecipe, "schemes"): SCHEMES,
    (ExportRecipe, "files"): tuple(FILES),
    (ExportRecipe, "io_dtype"): ("int8", "uint8", "float32"),
    (ExportRecipe, "calibration_method"): CALIBRATION_METHODS,
    (ExportRecipe, "quality"): QUALITIES,
    (ExportRecipe, "minimise"): MINIMISED,
    (PruneRecipe, "schedule"): PRUNING_SCHEDULES,
    (PruneRecipe, "pattern"): PATTERNS,
    (PruneRecipe, "criterion"): CRITERIA,
    (PruneRecipe, "block_pooling"): ("average", "max"),
    (TrainingRecipe, "optimizer"): OPTIMIZERS,
    (TrainingRecipe, "loss"): (AUTO, *LOSSES),
    (TrainingRecipe, "metrics"): METRICS,
    (TrainingRecipe, "precision"): PRECISIONS,
    (TuneRecipe, "objectives"): tuple(OBJECTIVES),
    (MatrixTable, "schemes"): _SCHEMES,
    (MatrixTable, "devices"): _BOARDS,
    (ExcludeTable, "scheme"): _SCHEMES,
    (ExcludeTable, "device"): _BOARDS,
}
_NUMBERS = {"type": "object", "additionalProperties": {"type": "number"}}


def _named(key: str, classes: dict[str, type]) -> list[dict[str, Any]]:
    """Of each class a table in which `key` says which it is."""
    found = []
    for name, cls in classes.items():
        table = Tables({}, {}).table(cls)
        properties = {key: {"const": name}, **table["properties"]}
        required = [key, *table.get("required", ())]
        found.append({**table, "properties": properties, "required": required})
    return found


def others() -> dict[Any, Any]:
    """Of what reads something else than a table of its fields, what it reads."""
    schedule = Tables({(ScheduleRecipe, "kind"): SCHEDULES}, {}).table(ScheduleRecipe)
    augmentation = Tables({(AugmentationRecipe, "layer"): AUGMENTATIONS}, {}).table(
        AugmentationRecipe
    )
    augmentation["properties"].pop("arguments", None)
    return {
        Preprocessing: {"type": "array", "items": {"oneOf": _named("step", STEPS)}},
        Decoder: {"oneOf": _named("kind", DECODERS)},
        ClassWeights: {
            "description": first_line(ClassWeights),
            "anyOf": [{"const": BALANCED}, _NUMBERS],
        },
        ScheduleRecipe: {"anyOf": [{"enum": list(SCHEDULES)}, schedule]},
        # With the layer's own arguments.
        AugmentationRecipe: {**augmentation, "required": ["layer"], "additionalProperties": True},
        Dimension: Tables({}, {}).table(Dimension),
    }


def text_of(kind: str) -> str:
    """The content of ``edgekit/schemas/<kind>.json``, of a document, or of the file ``recipe`` or ``pipeline``."""
    if kind in KINDS:
        schema = schema_of(getattr(edgekit, KINDS[kind]))
    else:
        cls, what = FILES_OF[kind]
        schema = Tables(CHOICES, others()).schema(cls, f"edgekit {kind}: {what}")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


FILES_OF = {
    "recipe": (Recipe, "what is done to a model, from its data to its files"),
    "pipeline": (Pipeline, "from data or models to bundles"),
}


def run(folder: str) -> int:
    for kind in (*KINDS, *FILES_OF):
        (Path(folder) / f"{kind}.json").write_text(text_of(kind), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run(str(Path(__file__).parents[1] / "edgekit" / "schemas")))
