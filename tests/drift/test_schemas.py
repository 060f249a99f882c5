from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgekit import document
from edgekit.artifact import Artifact
from edgekit.drift.compare import compare
from edgekit.drift.golden import Golden
from edgekit.inspection.inspect import inspect
from edgekit.manifest import ExportedFile, Manifest
from edgekit.runtime.benchmark import Benchmark, BenchmarkRun
from edgekit.runtime.host import HostState
from edgekit.runtime.probe import ColdStart
from edgekit.runtime.runner import Runner
from edgekit.scoring.evaluation import evaluate
from edgekit.tensor import QuantParams, TensorSpec

Content = dict[str, Any]


@pytest.fixture(scope="module")
def written(
    make_runner: Callable[..., Runner],
    golden: Golden,
    models: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Content]:
    """One document of each kind, as edgekit itself writes it."""
    runner = make_runner(lambda x: {"scores": x[:, :3]})
    host = HostState.read()
    path = tmp_path_factory.mktemp("model") / "m.int8.tflite"
    path.write_bytes(b"model")
    file = ExportedFile(
        artifact=Artifact.of(path),
        inputs=(TensorSpec("x", "int8", (None, 4), QuantParams((0.5,), (3,))),),
        outputs=(TensorSpec("scores", "float32", (1, 3)),),
        recipe={"scheme": "int8"},
        ops={"int8": {"FULLY_CONNECTED": 2}},
        float_ops=[{"op": "SOFTMAX", "tensor": "scores", "reason": "none"}],
    )
    source = {
        "path": "m.keras",
        "sha256": "0" * 64,
        "format": "keras",
        "size_bytes": 9,
        "flavour": "keras",
    }
    skipped = [{"format": "onnx", "scheme": "int16x8", "reason": "ONNX has none"}]
    epoch = {
        "epoch": 1,
        "loss": 0.5,
        "accuracy": 0.9,
        "val_loss": float("nan"),
        "val_accuracy": None,
        "seconds": 1.5,
    }
    return {
        "host": {
            "schema": document.tag("host"),
            "host": host.to_json(),
            "noise": host.noise,
            "advice": ["none"],
        },
        "bench": Benchmark(
            host, [BenchmarkRun(runner, [1000, 1200], ColdStart(1.0, 2.0, None))]
        ).to_json(),
        "drift": compare(golden, runner).to_json(),
        "manifest": Manifest(source, {"numpy": "2"}, [file.to_json()], skipped).to_json(),
        "training": {
            "schema": document.tag("training"),
            "model": {"path": "m.keras", "sha256": "0" * 64, "parameters": 12},
            "recipe": {"model": {"name": "cnn"}},
            "splits": {"train": 80, "validation": 20, "test": None},
            "history": [epoch],
            "validation_accuracy": 0.9,
            "test_accuracy": None,
            "seconds": 2.0,
        },
        "evaluation": evaluate(runner, golden.samples).to_json(),
        "inspection": inspect(models / "classifier.int8.tflite").to_json(),
        "tuning": {
            "schema": document.tag("tuning"),
            "objectives": [{"name": "accuracy", "direction": "maximize"}],
            "search": {"model.width": {"low": 0.5, "high": 2, "log": False}},
            "seed": 0,
            "trials": [
                {
                    "number": 0,
                    "state": "complete",
                    "parameters": {"model.width": 0.75},
                    "values": {"accuracy": 0.9},
                    "validation_accuracy": [0.5, 0.9],
                    "reason": None,
                    "seconds": 2.5,
                    "model": {"path": "m.keras", "sha256": "0" * 64, "parameters": 12},
                    "files": [Artifact.of(path).to_json()],
                }
            ],
            "front": [0],
        },
    }


@pytest.fixture
def documents(written: dict[str, Content]) -> dict[str, Content]:
    """The same, for a test to change."""
    return copy.deepcopy(written)


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
    assert document.read(tmp_path / "it.json")[0] == kind


@pytest.mark.parametrize("kind", document.KINDS)
def test_every_top_level_field_is_required_and_more_are_allowed(
    kind: str, documents: dict[str, Content], validate: Callable[[Content], Content]
) -> None:
    content = documents[kind]
    validate({**content, "added_later": 1})
    for key in list(content)[1:]:
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
    content = documents[kind]
    spot: Any = content
    for key in where[:-1]:
        spot = spot[key]
    spot[where[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(content)
