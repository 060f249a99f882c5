from __future__ import annotations

import subprocess
import sys

import pytest

import edgekit

PUBLIC = [
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


def test_public_names_are_these() -> None:
    assert edgekit.__all__ == PUBLIC


def test_dir_lists_them() -> None:
    assert set(PUBLIC) <= set(dir(edgekit))


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_there(name: str) -> None:
    value = getattr(edgekit, name)
    assert name == "__version__" or value.__name__ == name
    assert getattr(edgekit, name) is value


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'edgekit' has no attribute 'lod'"):
        edgekit.lod  # noqa: B018


def test_importing_edgekit_imports_nothing_else() -> None:
    code = (
        "import sys, edgekit; "
        "print([name for name in sys.modules if name.startswith(('numpy', 'edgekit.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_documents_are_loaded_by_a_room_that_comes_when_it_is_named() -> None:
    code = (
        "import edgekit; print(edgekit.document.load.__module__, edgekit.document.KINDS['bench'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["edgekit.document", "Bench"]
