"""SavedModels whose graph passes the allow-list and makes no sense end in typed errors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import ArtifactError, require
from edgekit.models import load
from edgekit.models.source import from_saved_model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tf = require("tensorflow", "export", "a test")

    class Twice(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32, "x")])  # type: ignore[untyped-decorator]
        def serve(self, x: Any) -> Any:
            return {"y": x * 2}

    model = Twice()
    tf.saved_model.save(model, str(tmp_path / "saved"), signatures=model.serve)
    return tmp_path / "saved"


def changed(saved: Path, change: Any) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    file = saved / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())


def test_objects_in_a_signatures_place(saved: Path) -> None:
    """The signature leads to an object that is no function."""

    def change(meta: Any) -> None:
        nodes = meta.object_graph_def.nodes
        for node in nodes:
            for child in node.children:
                if child.local_name == "serving_default":
                    child.node_id = 0

    changed(saved, change)
    with pytest.raises(ArtifactError, match="saved: "):
        load(saved)
    with pytest.raises(ArtifactError, match="saved"):
        edgekit.load(saved)


@pytest.mark.parametrize(
    "function", [1, SimpleNamespace(structured_input_signature=None), object()]
)
def test_whatever_stands_there(function: Any) -> None:
    loaded = SimpleNamespace(signatures={"serving_default": function})
    with pytest.raises(ArtifactError, match="m: its signatures cannot be used: "):
        from_saved_model(Path("m"), loaded)


@pytest.mark.parametrize(
    "error", [AssertionError("gone"), AttributeError("gone"), KeyError("gone")]
)
def test_a_function_that_fails_when_it_is_called(
    saved: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with edgekit.load(saved) as runner:

        def fail(*_: Any) -> Any:
            raise error

        monkeypatch.setattr(runner, "_function", fail)
        with pytest.raises(ArtifactError, match=r"the inference failed: .*gone"):
            runner.infer({"x": np.zeros((1, 3), np.float32)})
