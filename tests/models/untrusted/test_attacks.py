"""Files made to run code, or to reach for files, when they are loaded: none of them gets that far."""

from __future__ import annotations

import base64
import json
import marshal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import ArtifactError, UntrustedCodeError
from edgekit.models import load, save

# A module that leaves a trace where it is imported, and whose functions leave one where they are called.
EVIL = """
from pathlib import Path
Path(__file__).with_name("trace").touch()

class Layer:
    @classmethod
    def from_config(cls, config):
        return cls()

def call(x):
    return x
"""


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The path of the trace; a module ``evil_module`` that leaves it can be imported."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "evil_module.py").write_text(EVIL)
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    yield tmp_path / "path" / "trace"
    sys.modules.pop("evil_module", None)


def dense() -> dict[str, Any]:
    """A layer as both flavours of Keras write it."""
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"name": "mine", "units": 3, "activation": "linear"},
        "registered_name": None,
    }


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def with_activation(module: str, name: str) -> dict[str, Any]:
    layer = dense()
    layer["config"]["activation"] = function(module, name)
    return layer


def of_class(module: Any, name: str, **config: Any) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": name,
        "config": {"name": "mine", **config},
        "registered_name": name,
    }


def marshalled() -> list[Any]:
    code = marshal.dumps(compile("lambda x: x", "evil", "eval"))
    return [base64.b64encode(code).decode(), None, None]


def in_keras_file(path: Path, layer: dict[str, Any]) -> Path:
    """A ``.keras`` file of a Sequential with `layer`; the weights that it lacks nobody gets to."""
    import h5py

    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", "layers": [layer]},
        "registered_name": "Sequential",
        "build_config": {"input_shape": [None, 4]},
    }
    h5py.File(path / "m.weights.h5", "w").close()
    with zipfile.ZipFile(path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.write(path / "m.weights.h5", "model.weights.h5")
    return path / "m.keras"


def in_hdf5(path: Path, layer: dict[str, Any]) -> Path:
    import h5py

    config = {"class_name": "Sequential", "config": {"name": "model", "layers": [layer]}}
    with h5py.File(path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
    return path / "m.h5"


def as_keras_file(path: Path, layer: dict[str, Any]) -> Path:
    """A ``.keras`` file that is `layer` and nothing around it."""
    with zipfile.ZipFile(path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(layer))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
    return path / "m.keras"


FILES = [in_keras_file, as_keras_file, in_hdf5]

CODE: dict[str, dict[str, Any]] = {
    "lambda": of_class("keras.layers", "Lambda", function=marshalled()),
    "without a module": of_class(None, "Lambda", function=marshalled()),
    "with a package": of_class(None, "evil>Lambda", function=marshalled()),
    "in a wrapper": of_class("keras.layers", "TimeDistributed", layer=of_class(None, "Lambda")),
    "in an activation": {
        **dense(),
        "config": {"name": "mine", "activation": {"class_name": "__lambda__", "config": {}}},
    },
    "in a cell": of_class(
        "keras.layers",
        "RNN",
        cell=of_class(None, "ResidualWrapper", residual_fn=marshalled(), residual_fn_type="lambda"),
    ),
    "pickle": of_class("keras.layers", "TorchModuleWrapper", pickled="gASV"),
    "a model elsewhere": of_class("keras.layers", "TFSMLayer", filepath="/elsewhere"),
    "operator": of_class(None, "TensorFlowOpLayer", node_def="op: 'WriteFile'", constants={}),
    "method": of_class(None, "ClassMethod", cls_symbol="io.gfile.GFile", method_name="write"),
    **{
        f"tf.{symbol}": of_class(None, "TFOpLambda", function=symbol)
        for symbol in (
            "io.write_file",
            "io.read_file",
            "raw_ops.WriteFile",
            "py_function",
            "numpy_function",
            "load_library",
            "load_op_library",
            "compat.v1.py_func",
            "saved_model.load",
            "math",
            "math.add.__call__",
            "random.fixed_unigram_candidate_sampler",
            "nn.fixed_unigram_candidate_sampler",
            "keras.activations.deserialize",
            "keras.backend.function",
            "keras.utils.get_file",
            "keras.models.load_model",
        )
    },
    "no function at all": of_class(None, "TFOpLambda", function=None),
    "a file's path": of_class("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
    "a file's path, elsewhere": of_class("keras.layers", "TextVectorization", vocabulary="/x"),
}

STRANGERS: dict[str, dict[str, Any]] = {
    "class": of_class("evil_module", "Layer"),
    "function": with_activation("evil_module", "call"),
    "os.system": with_activation("os", "system"),
    "class os": of_class("os", "system"),
    "exit": with_activation("builtins", "exit"),
    "exec": of_class("builtins", "exec"),
    "get_file": with_activation("keras.utils", "get_file"),
    "load_model": with_activation("keras.models", "load_model"),
    "unsafe": with_activation("keras.config", "enable_unsafe_deserialization"),
    "inner": with_activation("keras.src.utils.file_utils", "extract_archive"),
    "import": with_activation("keras.src.saving.serialization_lib.importlib", "import_module"),
    "tf_keras": with_activation("tf_keras.src.utils.data_utils", "get_file"),
    "lookalike": of_class("keras_evil.layers", "Layer"),
    "lookalike 2": of_class("kerasevil", "Layer"),
    "lookalike 3": of_class("evil.keras.layers", "Layer"),
    "in a list": of_class("keras.layers", "StackedRNNCells", cells=[of_class("evil_module", "L")]),
    # tf_keras looks for the one name where it does not find the other.
    "two names": {
        **of_class("tf_keras.src.layers.core.dense", "Nowhere"),
        "registered_name": "Dense",
    },
    "another name": {**dense(), "registered_name": "EinsumDense"},
    # It also looks inside of what a module has imported.
    "dotted": with_activation("tf_keras.src.losses", "np.load"),
    "dotted class": of_class("tf_keras.src.layers.core.dense", "tf.Module"),
    "attribute": of_class("keras.layers", "Dense.from_config"),
    "deserialiser": with_activation("keras.activations", "deserialize"),
    "by name": {**dense(), "config": {"name": "mine", "units": 1, "activation": "deserialize"}},
    "initialiser": {**dense(), "config": {"name": "mine", "units": 1, "bias_initializer": "get"}},
    "an optimiser": of_class(None, "Custom>SGD"),
    "a network": of_class("keras.src.applications.convnext", "ConvNeXtTiny"),
    "like a layer of networks": of_class("keras.src.applications.convnext", "LayerScaler"),
    "a kind of tensor": of_class(
        "keras.layers", "Activation", activation=of_class("os", "__typespec__")
    ),
    "tfmot's": {**of_class("evil_module", "QuantizeLayer"), "registered_name": None},
    "no name": of_class(["evil_module"], "Layer"),
}


@pytest.mark.parametrize("write", FILES)
@pytest.mark.parametrize("name", CODE)
def test_code_is_refused(tmp_path: Path, evil: Path, write: Callable[..., Path], name: str) -> None:
    with pytest.raises(UntrustedCodeError, match=r"layer 'mine' holds .*--trust-code"):
        load(write(tmp_path, CODE[name]))
    assert not evil.exists()


@pytest.mark.parametrize("write", FILES)
@pytest.mark.parametrize("name", STRANGERS)
def test_nothing_is_imported_by_name(
    tmp_path: Path, evil: Path, write: Callable[..., Path], name: str
) -> None:
    with pytest.raises(
        ArtifactError, match=r"no flavour.*layer 'mine' asks for .*none of Keras' own"
    ):
        load(write(tmp_path, STRANGERS[name]))
    assert not evil.exists()


@pytest.mark.parametrize("write", FILES)
def test_a_borrowed_name_leads_to_its_owner_alone(
    tmp_path: Path, evil: Path, write: Callable[..., Path]
) -> None:
    layer = {**of_class("evil_module", "Layer"), "registered_name": "edgekit>Foreign"}
    with pytest.raises(ArtifactError, match="no flavour of Keras can load it"):
        load(write(tmp_path, layer))
    assert not evil.exists()


def test_the_module_would_have_been_imported(tmp_path: Path, evil: Path) -> None:
    # Otherwise the tests above would prove nothing.
    with pytest.raises(ArtifactError, match="no flavour of Keras can load it"):
        load(as_keras_file(tmp_path, STRANGERS["class"]), trust_code=True)
    assert evil.exists()


def test_what_is_registered_may_be_used(tmp_path: Path) -> None:
    import keras

    @keras.saving.register_keras_serializable(package="tests", name="Twice")
    class Twice(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return 2 * x

    try:
        keras.Sequential([keras.Input((4,)), Twice()]).save(tmp_path / "m.keras")
        assert load(tmp_path / "m.keras").outputs[0].shape == (None, 4)
    finally:
        del keras.saving.get_custom_objects()["tests>Twice"]
    with pytest.raises(ArtifactError, match=r"asks for .*Twice.*not registered"):
        load(tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_operators_of_tensorflow_in_tf_keras_are_no_code(tmp_path: Path, name: str) -> None:
    import tensorflow as tf
    import tf_keras

    inputs = tf_keras.Input((4,))
    x = tf.nn.relu(tf.math.reduce_sum(inputs[:, 1:] * 2 + 1, axis=1, keepdims=True))
    # These are stored under their names of TensorFlow 1, compat.v1.shape and the like.
    x = tf.pad(tf.stop_gradient(x), [[0, 0], [1, 1]]) + tf.norm(x, axis=-1, keepdims=True)
    x = x + tf.cast(tf.size(x) // 2, x.dtype)
    save(tf_keras.Model(inputs, tf.reshape(x, (tf.shape(x)[0], 3))), tmp_path / name)
    assert load(tmp_path / name).flavour == "tf_keras"


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_layers_of_keras_own_networks_are_keras_own(
    flavour: str, ending: str, tmp_path: Path
) -> None:
    import importlib

    keras = importlib.import_module(flavour)
    layer = importlib.import_module(f"{flavour}.src.applications.convnext").LayerScale
    given = keras.Input((4,))
    path = tmp_path / f"m{ending}"
    keras.Model(given, layer(0.5, 4, name="scale")(given)).save(path)
    assert [layer.name for layer in load(path).model.layers][-1] == "scale"
