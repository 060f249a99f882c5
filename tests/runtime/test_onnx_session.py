"""Sums of integers are right on every processor, in each session that edgekit opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.errors import ArtifactError
from edgekit.runtime import onnx_session
from edgekit.runtime.onnx_session import is_exact, open_session, sums_saturate

ort = needs.package("onnxruntime")

EXACT = "session.x64quantprecision"


@pytest.fixture
def asked_anew() -> Iterator[None]:
    sums_saturate.cache_clear()
    yield
    sums_saturate.cache_clear()


@pytest.fixture
def saturating(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor without VNNI."""
    monkeypatch.setattr(onnx_session, "sums_saturate", lambda: True)


@pytest.fixture
def shared(tmp_path: Path) -> tuple[Path, Any, Any]:
    """A file in which two products share a weight outside of it, an input, and the right answer."""
    onnx = needs.package("onnx")
    make, kinds = onnx.helper, onnx.TensorProto
    w, x = np.full((8, 8), 127, np.int8), np.full((2, 8), 255, np.uint8)
    graph = make.make_graph(
        [
            make.make_node("MatMulInteger", ["x", "w"], ["a"]),
            make.make_node("Cast", ["a"], ["b"], to=kinds.UINT8),
            make.make_node("MatMulInteger", ["b", "w"], ["y"]),
        ],
        "g",
        [make.make_tensor_value_info("x", kinds.UINT8, [2, 8])],
        [make.make_tensor_value_info("y", kinds.INT32, [2, 8])],
        [onnx.numpy_helper.from_array(w, "w")],
    )
    proto = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    onnx.save(
        proto, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0, location="w"
    )
    return tmp_path / "m.onnx", x, (x.astype(np.int32) @ w).astype(np.uint8).astype(np.int32) @ w


def exact(options: Any) -> bool:
    try:
        return bool(options.get_session_config_entry(EXACT) == "1")
    except RuntimeError:
        return False


def test_the_trial_is_two_products() -> None:
    onnx = needs.package("onnx")
    proto = onnx.load_from_string(onnx_session._TWO_PRODUCTS)
    onnx.checker.check_model(proto, full_check=True)
    (node,) = proto.graph.node
    (w,) = proto.graph.initializer
    assert node.op_type == "MatMulInteger"
    assert onnx.numpy_helper.to_array(w).tolist() == [[127], [127]]


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize("machine", ["aarch64", "armv7l"])
def test_arm_is_not_asked(monkeypatch: pytest.MonkeyPatch, models: Path, machine: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(onnx_session, "_TWO_PRODUCTS", b"")
    assert not sums_saturate()
    options = ort.SessionOptions()
    open_session(str(models / "classifier.int8.onnx"), options)
    assert not exact(options)


@pytest.mark.parametrize("saturate", [True, False])
def test_the_exact_mode_is_set_where_sums_saturate(
    monkeypatch: pytest.MonkeyPatch, shared: tuple[Path, Any, Any], saturate: bool
) -> None:
    monkeypatch.setattr(onnx_session, "sums_saturate", lambda: saturate)
    options = ort.SessionOptions()
    open_session(str(shared[0]), options)
    assert exact(options) == saturate
    assert is_exact(options) == saturate


@pytest.mark.usefixtures("saturating")
def test_a_file_that_does_not_need_it_is_opened_in_the_fast_mode(
    shared: tuple[Path, Any, Any], models: Path
) -> None:
    with edgekit.load(models / "classifier.float32.onnx") as runner:
        assert not runner.exact
    # Its weights are read where they are: in the file.
    onnx = needs.package("onnx")
    proto = onnx.load(shared[0])
    proto.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(np.full((8, 8), 64, np.int8), "w")
    )
    options = ort.SessionOptions()
    open_session(proto.SerializeToString(), options)
    assert not is_exact(options)


@pytest.mark.usefixtures("saturating")
def test_a_runner_says_so(shared: tuple[Path, Any, Any]) -> None:
    with edgekit.load(shared[0]) as runner:
        assert runner.exact


def test_sums_are_right_on_this_processor(shared: tuple[Path, Any, Any]) -> None:
    path, x, want = shared
    np.testing.assert_array_equal(open_session(str(path)).run(None, {"x": x})[0], want)


@pytest.mark.usefixtures("saturating")
def test_a_shared_weight_in_another_file(
    shared: tuple[Path, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, x, want = shared
    monkeypatch.chdir(path.parent)
    for file in (str(path), path.name):
        np.testing.assert_array_equal(open_session(file).run(None, {"x": x})[0], want)


@pytest.mark.usefixtures("saturating")
def test_a_damaged_file_is_onnxruntimes_to_refuse(models: Path, tmp_path: Path) -> None:
    content = (models / "classifier.int8.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(content[:2000])
    with pytest.raises(ArtifactError, match="onnxruntime cannot load it"):
        edgekit.load(tmp_path / "m.onnx")


def test_no_other_module_opens_a_session() -> None:
    package = Path(edgekit.__file__).parent
    opens = [p.name for p in package.rglob("*.py") if "InferenceSession(" in p.read_text("utf-8")]
    assert opens == ["onnx_session.py"]
