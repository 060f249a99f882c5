"""What `inspect`, `bench` and `doctor` say of int8 sums that saturate on x86 without VNNI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli.conftest import Command
from support import needs

from edgekit.cli import doctor
from edgekit.runtime import onnx_session
from edgekit.runtime.attempts import Attempt

pytestmark = pytest.mark.processes

onnx = needs.package("onnx")


def product(path: Path, weight: int) -> Path:
    """A file with one product of bytes; two neighbours of 127 saturate, two of 64 do not."""
    make, kinds = onnx.helper, onnx.TensorProto
    graph = make.make_graph(
        [
            make.make_node("Cast", ["x"], ["bytes"], to=kinds.UINT8),
            make.make_node("MatMulInteger", ["bytes", "w"], ["sums"]),
            make.make_node("Cast", ["sums"], ["y"], to=kinds.FLOAT),
        ],
        "g",
        [make.make_tensor_value_info("x", kinds.FLOAT, [1, 8])],
        [make.make_tensor_value_info("y", kinds.FLOAT, [1, 8])],
        [onnx.numpy_helper.from_array(np.full((8, 8), weight, np.int8), "w")],
    )
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return product(tmp_path / "theirs.onnx", 127)


@pytest.fixture
def safe(tmp_path: Path) -> Path:
    return product(tmp_path / "safe.onnx", 64)


def test_inspect_names_the_operators(theirs: Path, safe: Path, command: Command) -> None:
    done = command("inspect", theirs, "--json", "-")
    (row,) = done.json()["saturating"]
    assert (row["op"], row["cured"]) == ("MatMulInteger", True)
    (line,) = [x for x in done.err.splitlines() if x.startswith("saturates")]
    assert "MatMulInteger (sums): its int8 sums on x86 without VNNI" in line
    assert command("inspect", safe, "--json", "-").json()["saturating"] == []


@pytest.mark.parametrize("saturate", [True, False])
def test_bench_says_which_mode_it_timed(
    theirs: Path,
    safe: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    saturate: bool,
) -> None:
    monkeypatch.setattr(onnx_session, "sums_saturate", lambda: saturate)
    done = command("bench", theirs, safe, "--no-verify", "--seconds", 0.05, "--json", "-")
    assert [run["exact"] for run in done.json()["runs"]] == [saturate, False]
    said = [line for line in done.err.splitlines() if line.startswith("exact:")]
    assert len(said) == saturate
    assert all("theirs.onnx ran in onnxruntime's exact mode" in line for line in said)


@pytest.mark.parametrize(
    ("tried", "known", "says"),
    [
        (Attempt("onnxruntime", "works", ""), True, "sums saturate here"),
        (Attempt("onnxruntime", "works", ""), False, "sums are exact here"),
        (
            Attempt("onnxruntime", "fails", "no kernel"),
            None,
            "unknown: onnxruntime fails: no kernel",
        ),
        (Attempt("litert", "works", ""), None, "unknown: onnxruntime is not installed"),
    ],
)
def test_doctor_says_what_it_is_here(
    tried: Attempt,
    known: bool | None,
    says: str,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "attempts", lambda: ((tried,), known))
    done = command("doctor", "--json", "-")
    assert done.json()["onnx_sums_saturate"] is known
    (line,) = [x for x in done.err.splitlines() if x.startswith("int8 ONNX")]
    assert says in line
