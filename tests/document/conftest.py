"""One document of each kind, made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgekit import document
from edgekit.artifact import Artifact
from edgekit.boards.outcome import BoardRun, BoardRuns, Kind, Step
from edgekit.build.ledger import Build, Done
from edgekit.bundle.contents import Bundle, BundledFile
from edgekit.bundle.install import Installation
from edgekit.bundle.selftest import Selftest, SelftestFile
from edgekit.bundle.verification import Verification
from edgekit.document import Document
from edgekit.document.diagnosis import Cause, Diagnosis
from edgekit.document.diff import Diff, LayerDiff, OperatorCount, OutputDiff
from edgekit.document.healing import Healing, Measured, Remedy
from edgekit.document.layer_errors import LayerError, LayerErrors
from edgekit.document.training import SplitSizes, TrainedModel, Training
from edgekit.document.tuning import Between, Objective, OneOf, Trial, Tuning
from edgekit.drift.budget import DriftBudget
from edgekit.drift.candidate import Candidate, OutputDrift
from edgekit.drift.drift import Drift
from edgekit.drift.ledger import Cell, Ledger
from edgekit.drift.reference import ComparedReference
from edgekit.drift.task import ClassDrift, TaskDrift
from edgekit.inspection.inspect import inspect
from edgekit.inspection.inspection import Inspection
from edgekit.manifest import ExportedFile, FloatOp, Manifest, Skipped, Source
from edgekit.report import ReportResult, of_drift
from edgekit.runtime.bench import Bench, Run
from edgekit.runtime.checkup import Checkup
from edgekit.runtime.host import HostState
from edgekit.runtime.instructions import FileInstructions, Instructions
from edgekit.runtime.latency import Latency
from edgekit.runtime.runner import Backend
from edgekit.runtime.suitability import suitability
from edgekit.scoring.evaluation import ClassScores, Evaluation
from edgekit.tensor import QuantParams, TensorSpec

Content = dict[str, Any]
BACKEND = Backend("litert", "2.1")
MODEL = TrainedModel("m.keras", "0" * 64, 12)


def bench(file: Artifact) -> Bench:
    host = HostState.read()
    latency = Latency.of([1000, 1200])
    run = Run(file, BACKEND, 1, None, 1.0, 2.0, latency, 900.0, None, samples_ns=(1000, 1200))
    return Bench(host, tuple(host.noise), (run,))


def drift(file: Artifact) -> Drift:
    reference = ComparedReference("m.keras", "0" * 64, "keras", 9, BACKEND, 0.8, 40, None)
    task = TaskDrift(
        "classification",
        "scores",
        reference=0.8,
        candidate=0.7,
        drop=0.1,
        drop_ci95=(-0.1, 0.3),
        agreement=0.85,
        flips=6,
        flipped=(1, 2, 3, 5, 8, 13),
        per_class=(ClassDrift(0, 40, 0.8, 0.7, 0.1, 0.85),),
    )
    outputs = (
        OutputDrift("scores", 0.5, 0.1, 0.2, 0.9, 20.0),
        OutputDrift("equal", 0.0, 0.0, 0.0, 1.0, float("inf")),
        OutputDrift("constant", 0.5, float("inf"), 0.1, 0.0, float("-inf")),
        OutputDrift("broken"),
    )
    candidate = Candidate(file, BACKEND, outputs, task, "inconclusive", ("Too few.",), ("Mind.",))
    return Drift(reference, DriftBudget(0.2, None, -3.5), (candidate,))


def ledger(file: Artifact) -> Ledger:
    reference = ComparedReference("m.keras", "0" * 64, "keras", 9, BACKEND, 0.8, 40, None)
    ran = Cell(
        "m.int8.tflite", "x86", "litert", "x86_64", BACKEND, "pass", (), 1, 0.5, 0, 0.0, 0, 0
    )
    odd = replace(ran, machine="pi@pi", verdict="inconclusive", first_steps=None, exit_code=5)
    died = Cell.that_did_not_run("m.int8.tflite", "armhf", "litert", None, "no wheel", 0)
    return Ledger(reference, DriftBudget(0.2), (file,), (ran, odd, died))


def instructions(file: Artifact) -> Instructions:
    counted = FileInstructions(file, None, BACKEND, 71_000_000, 139_250, 86_208)
    died = FileInstructions(file, "died by SIGILL")
    return Instructions("raspberry-pi-3b", "cortex-a7", 32, "3.11", (counted, died))


def manifest(file: Artifact) -> Manifest:
    exported = ExportedFile(
        artifact=file.recorded(file.name),
        inputs=(TensorSpec("x", "int8", (None, 4), QuantParams((0.5,), (3,))),),
        outputs=(TensorSpec("scores", "float32", (1, 3)),),
        recipe={"scheme": "int8", "cluster": {"distinct_by_layer": {"a": 4}, "kept": 1}},
        ops={"int8": {"FULLY_CONNECTED": 2}},
        float_ops=(FloatOp("SOFTMAX", "scores", "none"),),
    )
    return Manifest(
        Source("m.keras", "0" * 64, "keras", 9, "keras"),
        {"numpy": "2"},
        (exported,),
        (Skipped("onnx", "int16x8", "ONNX has none"),),
    )


def training() -> Training:
    epoch = {
        "epoch": 1,
        "loss": 0.5,
        "accuracy": 0.9,
        "val_loss": None,
        "val_accuracy": None,
        "auc": 0.5,
        "seconds": 1.5,
    }
    return Training(
        MODEL,
        {"model": {"name": "cnn"}},
        SplitSizes(80, 20, None),
        (epoch,),
        "sparse_categorical_crossentropy",
        "val_loss",
        1,
        False,
        {"loss": 0.5, "accuracy": 0.9},
        None,
        2.0,
        path=Path("m.keras"),
    )


def tuning(file: Artifact) -> Tuning:
    search = {"model.width": Between(0.5, 2, False), "model.name": OneOf(("cnn", "dense"))}
    parameters = {"model.width": 0.75, "model.name": "cnn"}
    best = Trial(
        0, "complete", parameters, {"accuracy": 0.9}, (0.5, 0.9), None, 2.5, MODEL, (file,)
    )
    failed = Trial(1, "failed", parameters, None, (None,), "because", None, None, ())
    return Tuning((Objective.of("accuracy"),), search, 0, (best, failed), (0,))


def diff(file: Artifact) -> Diff:
    rows = (
        LayerDiff("ADD", "m/add/Add", "m/add/Add", "int8", "int8", False, "none", None, None, None),
        LayerDiff("CONV_2D", "a", "b", "int8", "float32", True, "different", 0.5, 12.0, 0.0),
    )
    counts = (OperatorCount("ADD", "int8", 1, 2),)
    outputs = (OutputDiff("scores", False, 0.1, 20.5, 0.9),)
    ends = ("input 'x' is in the first file alone",)
    return Diff(file, file, False, ends, counts, rows, ("c",), (), 12, outputs)


def diagnosis(file: Artifact) -> Diagnosis:
    cause = Cause(
        "range_too_narrow",
        "fault",
        "conv",
        "m/conv/Relu",
        "The range is too narrow.",
        "Calibrate anew.",
        0.9,
        {"clipped": 0.25},
    )
    layer = LayerError(
        0, "CONV_2D", "m/conv/Relu", "conv", "int8", 40, False, 9.5, 9.5, 40.0, 9.6, 0.25, 1.5, 3.0
    )
    layers = LayerErrors("m.int8.tflite", "m.tflite", 8, (layer,), ("x",), 9.0, None, 9.0)
    return Diagnosis(file, "m.tflite", 8, "faulty", 9.0, 0.75, (cause,), layers)


def boards() -> BoardRuns:
    kind = Kind("raspberry-pi-3b", "armv7l", 32, "3.11.2", "glibc 2.36", True)
    steps = (Step("doctor", 0, 1.5), Step("compare", -11, 0.25))
    lost = BoardRun("pi@b", None, (), (), "pi@b: nothing answers there.", 6)
    done = BoardRun("pi@a", kind, steps, ("out/pi@a/host.json",), "pi@a: compare: SIGSEGV", 1)
    return BoardRuns(("m.tflite",), (done, lost))


def healing(file: Artifact) -> Healing:
    remedies = (
        Remedy("ranges estimated again", True, 9.0, 30.0),
        Remedy("made anew", False, 30.0, None, "no ranges"),
    )
    before = Measured(9.0, 0.75, 0.5, 0.25, 900, 0.5)
    after = Measured(30.0, 1.0, None, None, 900, None)
    return Healing("m.tflite", file, file, 40, 20, remedies, before, after)


def shipped() -> tuple[Document, ...]:
    """What bundles and builds leave."""
    tried = SelftestFile("m.tflite", "pass", "", BACKEND, 0.5, 1.5)
    steps = {"export": Done({"model": "1"}, {"m.tflite": "0" * 64}), "bench": Done({}, None)}
    return (
        Build(steps),
        Bundle("m", "pass", (BundledFile("m.tflite", "model", "0" * 64, 5),)),
        Verification("m", False, ("m.tflite: was changed",), "0" * 64),
        Selftest("m", "x86_64", (), (tried,)),
        Installation("models/m", "1", None, ("0",)),
    )


@pytest.fixture(scope="session")
def inspection(models: Path) -> Inspection:
    """It takes a child process."""
    return inspect(models / "classifier.int8.tflite")


def every(file: Artifact, inspection: Inspection) -> dict[str, Document]:
    """One document of each kind, by kind."""
    host = HostState.read()
    per_class = (ClassScores(0, "cat", 3, 1.0, 1.0, None), ClassScores(1, "dog", 0, 0.0, 0.0, 0.0))
    return {
        "bench": bench(file),
        "drift": drift(file),
        "manifest": manifest(file),
        "training": training(),
        "host": Checkup(host, tuple(host.noise), ("none",), tuple(suitability(host))),
        "evaluation": Evaluation(
            file,
            BACKEND,
            "classification",
            "scores",
            3,
            accuracy=1.0,
            confusion=((3, 0), (0, 0)),
            per_class=per_class,
        ),
        "inspection": inspection,
        "tuning": tuning(file),
        "report": ReportResult.of(of_drift(drift(file))),
        "diff": diff(file),
        "diagnosis": diagnosis(file),
        "healing": healing(file),
        **{each.kind: each for each in shipped()},
        "boards": boards(),
        "ledger": ledger(file),
        "instructions": instructions(file),
    }


@pytest.fixture
def objects(inspection: Inspection, tmp_path: Path) -> dict[str, Document]:
    path = tmp_path / "m.int8.tflite"
    path.write_bytes(b"model")
    return every(Artifact.of(path).recorded(), inspection)


@pytest.fixture
def documents(objects: dict[str, Document]) -> dict[str, Content]:
    """The same as JSON."""
    return {kind: made.to_json() for kind, made in objects.items()}


@pytest.fixture
def validate() -> Callable[[Content], Content]:
    """Give a document as it reads from a file, valid by the schema it names."""

    def check(content: Content) -> Content:
        assert next(iter(content)) == "schema"
        read: Content = json.loads(document.dumps(content))
        kind = read["schema"].removeprefix("edgekit.").removesuffix("/1")
        jsonschema.Draft202012Validator(document.json_schema(kind)).validate(read)
        return read

    return check
