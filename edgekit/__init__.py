"""edgekit: from a Keras model to files that provably answer the same on the device.

Importing it costs nothing: names are resolved when they are first used, and nothing here
pulls in TensorFlow before a function that needs it is called.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.artifact import Artifact
    from edgekit.boards.outcome import BoardRuns
    from edgekit.convert.export import export
    from edgekit.convert.result import ExportResult
    from edgekit.device import DeviceProfile
    from edgekit.document.diagnosis import Diagnosis
    from edgekit.document.diff import Diff
    from edgekit.document.healing import Healing
    from edgekit.document.training import Training
    from edgekit.document.tuning import Tuning
    from edgekit.drift.budget import DriftBudget
    from edgekit.drift.compare import compare
    from edgekit.drift.drift import Drift
    from edgekit.drift.golden import Golden
    from edgekit.drift.ledger import Ledger
    from edgekit.drift.limit import Limit
    from edgekit.errors import EdgekitError
    from edgekit.inspection.inspect import inspect
    from edgekit.inspection.inspection import Inspection
    from edgekit.manifest import Manifest
    from edgekit.recipe import ExportRecipe, Recipe
    from edgekit.report.result import ReportResult
    from edgekit.runtime import load
    from edgekit.runtime.bench import Bench
    from edgekit.runtime.benchmark import benchmark
    from edgekit.runtime.checkup import Checkup
    from edgekit.runtime.host import HostState
    from edgekit.runtime.instructions import Instructions
    from edgekit.runtime.latency import Latency
    from edgekit.runtime.runner import Runner
    from edgekit.samples import Samples, load_samples
    from edgekit.scoring.evaluation import Evaluation, evaluate
    from edgekit.tensor import QuantParams, TensorSpec

__version__ = "0.1.0"

# onnxruntime 1.29 and later reports to its makers from its import on, and leaves a file named `.ses` in
# the temporary folder; it reads this when it is imported. Who wants to be counted sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOMES = {
    "Artifact": "edgekit.artifact",
    "Bench": "edgekit.runtime.bench",
    "Build": "edgekit.build.ledger",
    "Bundle": "edgekit.bundle.contents",
    "BoardRuns": "edgekit.boards.outcome",
    "Checkup": "edgekit.runtime.checkup",
    "DeviceProfile": "edgekit.device",
    "Diagnosis": "edgekit.document.diagnosis",
    "Diff": "edgekit.document.diff",
    "Drift": "edgekit.drift.drift",
    "DriftBudget": "edgekit.drift.budget",
    "EdgekitError": "edgekit.errors",
    "Evaluation": "edgekit.scoring.evaluation",
    "ExportRecipe": "edgekit.recipe",
    "ExportResult": "edgekit.convert.result",
    "Golden": "edgekit.drift.golden",
    "Healing": "edgekit.document.healing",
    "HostState": "edgekit.runtime.host",
    "Inspection": "edgekit.inspection.inspection",
    "Installation": "edgekit.bundle.install",
    "Instructions": "edgekit.runtime.instructions",
    "Latency": "edgekit.runtime.latency",
    "Ledger": "edgekit.drift.ledger",
    "Limit": "edgekit.drift.limit",
    "Manifest": "edgekit.manifest",
    "QuantParams": "edgekit.tensor",
    "Recipe": "edgekit.recipe",
    "ReportResult": "edgekit.report.result",
    "Runner": "edgekit.runtime.runner",
    "Samples": "edgekit.samples",
    "Selftest": "edgekit.bundle.selftest",
    "TensorSpec": "edgekit.tensor",
    "Training": "edgekit.document.training",
    "Tuning": "edgekit.document.tuning",
    "Verification": "edgekit.bundle.verification",
    "benchmark": "edgekit.runtime.benchmark",
    "compare": "edgekit.drift.compare",
    "evaluate": "edgekit.scoring.evaluation",
    "export": "edgekit.convert.export",
    "inspect": "edgekit.inspection.inspect",
    "install": "edgekit.bundle.install",
    "load": "edgekit.runtime",
    "load_samples": "edgekit.samples",
    "rollback": "edgekit.bundle.install",
    "seal": "edgekit.bundle.sealing",
    "selftest": "edgekit.bundle.selftest",
    "verify_bundle": "edgekit.bundle.verification",
}

# What rooms further right provide, where their part alone is known: the runtime runs Keras models as
# well, and imports nothing of the room that loads them.
_PARTS = {
    "external-files": "edgekit.formats.onnx_external:external_files",
    "isolated-runner": "edgekit.runtime.isolated.runner:IsolatedRunner",
    "verify-shapes": "edgekit.runtime.verify:verify_shapes",
    "keras-runner": "edgekit.models.runner:KerasRunner",
    "describe-object": "edgekit.models.objects:artifact_of",
    "bundle-runner": "edgekit.bundle.loading:bundle_runner",
}

__all__ = [
    "Artifact",
    "Bench",
    "BoardRuns",
    "Build",
    "Bundle",
    "Checkup",
    "DeviceProfile",
    "Diagnosis",
    "Diff",
    "Drift",
    "DriftBudget",
    "EdgekitError",
    "Evaluation",
    "ExportRecipe",
    "ExportResult",
    "Golden",
    "Healing",
    "HostState",
    "Inspection",
    "Installation",
    "Instructions",
    "Latency",
    "Ledger",
    "Limit",
    "Manifest",
    "QuantParams",
    "Recipe",
    "ReportResult",
    "Runner",
    "Samples",
    "Selftest",
    "TensorSpec",
    "Training",
    "Tuning",
    "Verification",
    "__version__",
    "benchmark",
    "compare",
    "evaluate",
    "export",
    "inspect",
    "install",
    "load",
    "load_samples",
    "rollback",
    "seal",
    "selftest",
    "verify_bundle",
]


def __getattr__(name: str) -> Any:
    if name == "document":
        return importlib.import_module("edgekit.document")
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def part(name: str) -> Any:
    """What ``"module:name"`` stands for, or a part of `_PARTS`."""
    module, _, attribute = _PARTS.get(name, name).partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
