"""Write the allow-lists of what an untrusted Keras file may name: `edgekit/models/untrusted/*.json`.

    python scripts/keras_tables.py [--check]

They are read off the installed versions of Keras and tf_keras: each class with the module by which its
flavour finds it, and the arguments that its configuration may hold; functions by name; and for tf_keras the
functions of TensorFlow that stand as layers. What runs code, reads files or names other models is left out
here, by name (`REFUSED`). With `--check` nothing is written, and differences end with 1.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parent.parent / "edgekit" / "models" / "untrusted"

# Hold code, files or other models; or are no parts of models.
_REFUSED = """
    Lambda JaxLayer FlaxLayer TorchModuleWrapper TFSMLayer TensorFlowOpLayer ClassMethod InstanceMethod
    DenseFeatures SequenceFeatures LinearModel WideDeepModel DeviceWrapper
    Layer InputSpec BaseRandomLayer AbstractRNNCell IndexLookup BatchNormalizationBase
    Initializer Regularizer Constraint Quantizer QuantizationConfig
    Map Scan AssociativeScan Switch WhileLoop ForiLoop Cond VectorizedMap JVP Function Operation
"""
REFUSED = set(_REFUSED.split())
# Layers of Keras' own networks. Whatever else is in those modules builds whole networks.
NETWORK_LAYERS = {
    "keras": {
        "convnext": ["LayerScale", "StochasticDepth"],
        "inception_resnet_v2": ["CustomScaleLayer"],
    },
    "tf_keras": {
        "convnext": ["LayerScale", "StochasticDepth"],
        "inception_resnet_v2": ["CustomScaleLayer"],
    },
}
# Configurations of models are graphs, which have a grammar of their own.
MODELS = {"Functional": "models.functional", "Sequential": "", "Model": ""}
OLD_MODELS = {"Functional": "engine.functional", "Sequential": "", "Model": ""}

# What every layer takes, in one version or another.
EVERY_LAYER = "name trainable dtype batch_input_shape input_shape"

# Functions of TensorFlow that compute with tensors alone. Others of these modules read files, hold state,
# take functions, or unpack formats.
_TF_PLACES = re.compile(
    r"(__operators__|math|nn|linalg|image|signal|bitwise|random|strings|compat\.v1\.(math|nn|linalg))\.\w+"
    r"|abs|add|argmax|argmin|argsort|boolean_mask|broadcast_to|cast|clip_by_value|concat|convert_to_tensor"
    r"|cos|cumsum"
    r"|divide|einsum|equal|exp|expand_dims|fill|floor|gather|gather_nd|greater|greater_equal|identity"
    r"|less|less_equal|linspace|logical_and|logical_not|logical_or|matmul|maximum|meshgrid|minimum|multiply"
    r"|negative"
    r"|norm|not_equal|one_hot|ones_like|pad|pow|range|rank|reduce_\w+|repeat|reshape|reverse|roll"
    r"|round|scalar_mul|searchsorted|sequence_mask|shape|sigmoid|sign|sin|slice|sort|split|sqrt|square|squeeze"
    r"|stack|stop_gradient|strided_slice|subtract|tan|tanh|tensor_scatter_nd_\w+|tensordot|tile|transpose"
    r"|truediv|unique_with_counts|unstack|where|zeros_like"
    # What tf.shape, tf.pad, the operator // and others call where they meet a Keras tensor.
    r"|compat\.v1\.(expand_dims|floor_div|gather|gather_nd|norm|pad|shape|size|squeeze|transpose|where)"
    r"|compat\.v1\.image\.(crop_and_resize|resize_\w+)"
    r"|quantization\.(fake_quant_with_min_max_\w+|quantize_and_dequantize\w*)"
    r"|keras\.activations\.\w+"
)
_TF_KERAS_BACKEND = """
    abs all any argmax argmin batch_dot batch_flatten batch_normalization bias_add binary_crossentropy cast
    categorical_crossentropy clip concatenate conv1d conv2d conv2d_transpose conv3d cos cumprod cumsum
    depthwise_conv2d dot dropout elu equal exp expand_dims flatten gather greater greater_equal hard_sigmoid
    in_top_k int_shape l2_normalize less less_equal local_conv1d local_conv2d log max maximum mean min minimum
    ndim normalize_batch_in_training not_equal one_hot ones_like permute_dimensions pool2d pool3d pow prod
    random_normal random_uniform relu repeat repeat_elements reshape resize_images resize_volumes reverse round
    separable_conv2d shape sigmoid sign sin softmax softplus softsign
    sparse_categorical_crossentropy spatial_2d_padding spatial_3d_padding sqrt square squeeze stack std
    stop_gradient sum switch tanh temporal_padding tile transpose truncated_normal var zeros_like
"""
_TF_REFUSED = re.compile(
    # Candidate samplers read vocabularies from files.
    r".*(candidate_sampler|nce_loss|sampled_softmax\w*|_rnn)"
    r"|random\.(\w*seed|set_\w+|get_\w+|create_\w+|fold_in|split)"
    r"|image\.(decode_\w+|encode_\w+|is_jpeg|extract_jpeg_shape|\w*jpeg_quality)"
    r"|(compat\.v1\.)?nn\.(scale_regularization_loss|compute_average_loss|with_space_to_batch|quantized_\w+)"
    r"|signal\.inverse_stft_window_fn|keras\.activations\.(get|serialize|deserialize)"
)


def arguments(cls: type, base: type) -> list[str]:
    """What a configuration of `cls` may hold: what it takes, and what its readers look for."""
    found: set[str] = set()
    for each in cls.__mro__[:-1]:
        init = vars(each).get("__init__")
        takes_more = True
        if init is not None:
            parameters = list(inspect.signature(inspect.unwrap(init)).parameters.values())[1:]
            found |= {
                p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
            }
            takes_more = any(p.kind is p.VAR_KEYWORD for p in parameters)
        for method in ("__init__", "from_config", "get_config"):
            function = vars(each).get(method)
            if function is not None and each is not base:
                found |= set(_looked_for(inspect.unwrap(getattr(function, "__func__", function))))
        if not takes_more:
            break
    if issubclass(cls, base):
        found |= set(EVERY_LAYER.split())
    return sorted(found - {"config", "self"})


def _looked_for(function: Any) -> Iterator[str]:
    """Keys that a reader or writer of configurations names."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("pop", "get")
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("kwargs", "config")
            and node.args
        ):
            named: list[ast.expr | None] = [node.args[0]]
        elif isinstance(node, ast.Dict) and function.__name__ == "get_config":
            named = list(node.keys)
        else:
            continue
        yield from (
            each.value
            for each in named
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
        )


def classes(module: ModuleType, place: str, base: type) -> dict[str, list[str]]:
    """The classes of a public module of Keras, aliases too, by the names that files have."""
    found = {}
    for name, cls in sorted(vars(module).items()):
        if inspect.isclass(cls) and cls.__name__ not in REFUSED and name not in REFUSED:
            own = cls.__name__ if getattr(module, cls.__name__, None) is cls else name
            found[name] = [place, own, " ".join(arguments(cls, base))]
    return found


def own_layers(keras: Any) -> dict[str, list[str]]:
    found = classes(keras.layers, "keras.layers", keras.layers.Layer)
    for module, names in NETWORK_LAYERS[keras.__name__].items():
        place = importlib.import_module(f"{keras.__name__}.src.applications.{module}")
        for name in names:
            if hasattr(place, name):
                cls = getattr(place, name)
                found[name] = [place.__name__, name, " ".join(arguments(cls, keras.layers.Layer))]
    models = MODELS if keras.__name__ == "keras" else OLD_MODELS
    for name, where in models.items():
        module = f"{keras.__name__}.src.{where}" if where else "keras"
        found[name] = [module, name, ""]
    return found


def operations() -> dict[str, list[str]]:
    """The operations of Keras 3, which stand as layers."""
    import keras
    import keras.src.ops as package

    found = {}
    for entry in pkgutil.iter_modules(package.__path__):
        if entry.name.endswith("_test"):
            continue
        module = importlib.import_module(f"{package.__name__}.{entry.name}")
        for name, cls in sorted(vars(module).items()):
            if (
                inspect.isclass(cls)
                and issubclass(cls, keras.Operation)
                and cls.__module__ == module.__name__
                and name not in REFUSED
            ):
                assert name not in found, f"two operations are called {name}"
                found[name] = [module.__name__, name, " ".join(arguments(cls, cls))]
    return found


def functions(keras: Any, places: str) -> dict[str, str]:
    return {
        place: " ".join(
            sorted(
                name
                for name, value in vars(getattr(keras, place)).items()
                if inspect.isfunction(value)
                and name not in ("get", "serialize", "deserialize")
                and not name.startswith("_")
            )
        )
        for place in places.split()
    }


def of_keras() -> dict[str, Any]:
    import keras

    place = "keras.src.random.seed_generator"
    activations = " ".join(
        sorted(importlib.import_module("keras.src.activations").ALL_OBJECTS_DICT)
    )
    base = keras.layers.Layer
    legacy = importlib.import_module("keras.src.legacy.layers")
    older = {
        name: ["keras._legacy.layers", name, " ".join(arguments(getattr(legacy, name), base))]
        for name in ("RandomHeight", "RandomWidth", "ThresholdedReLU")
    }
    return {
        "version": keras.__version__,
        "layers": {**older, **own_layers(keras)},
        "operations": operations(),
        "initializers": classes(keras.initializers, "keras.initializers", base),
        "regularizers": classes(keras.regularizers, "keras.regularizers", base),
        "constraints": classes(keras.constraints, "keras.constraints", base),
        "policies": classes(keras.dtype_policies, "keras.dtype_policies", base),
        "quantizers": classes(keras.quantizers, "keras.quantizers", base),
        "random": {"SeedGenerator": [place, "SeedGenerator", "name seed"]},
        "functions": {"activations": activations, **functions(keras, "losses metrics ops")},
    }


def of_tf_keras() -> dict[str, Any]:
    import tf_keras

    base = tf_keras.layers.Layer
    serialization = importlib.import_module("tf_keras.src.layers.serialization")
    serialization.populate_deserializable_objects()
    layers = own_layers(tf_keras)
    for name, cls in sorted(serialization.LOCAL.ALL_OBJECTS.items()):
        if name in layers or name.startswith("_") or name in REFUSED or not inspect.isclass(cls):
            continue
        layers[name] = [cls.__module__, cls.__name__, " ".join(arguments(cls, base))]
    return {
        "version": tf_keras.__version__,
        "layers": layers,
        "operations": {},
        "initializers": classes(tf_keras.initializers, "keras.initializers", base),
        "regularizers": classes(tf_keras.regularizers, "keras.regularizers", base),
        "constraints": classes(tf_keras.constraints, "keras.constraints", base),
        "policies": {
            **classes(tf_keras.mixed_precision, "keras.mixed_precision", base),
        },
        "quantizers": {},
        "random": {},
        "functions": {
            "activations": " ".join(sorted(activations(tf_keras))),
            **functions(tf_keras, "losses metrics"),
        },
        "tensorflow": " ".join(sorted(tensorflow_functions())),
    }


def activations(tf_keras: Any) -> Iterator[str]:
    """What it finds by name and is a function: its own, and some of TensorFlow's."""
    places = [importlib.import_module(f"{each}.src.activations") for each in ("keras", "tf_keras")]
    own = {name for name, value in vars(places[1]).items() if inspect.isfunction(value)}
    for name in {*own, *places[0].ALL_OBJECTS_DICT} - {"get", "serialize", "deserialize"}:
        try:
            tf_keras.activations.get(name)
        except ValueError:
            continue
        yield name


def tensorflow_functions() -> Iterator[str]:
    """By the names that a TFOpLambda has, those that are dispatched on Keras' tensors."""
    import tensorflow as tf
    from tensorflow.python.util import dispatch, tf_export

    del tf
    for name, value in sorted(tf_export._NAME_TO_SYMBOL_MAPPING.items()):
        if (
            _TF_PLACES.fullmatch(name)
            and not _TF_REFUSED.fullmatch(name)
            and callable(value)
            and not inspect.isclass(value)
            and hasattr(value, dispatch.FALLBACK_DISPATCH_ATTR)
        ):
            yield name
    yield from (f"keras.backend.{name}" for name in _TF_KERAS_BACKEND.split())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    same = True
    for name, make in (("keras", of_keras), ("tf_keras", of_tf_keras)):
        path = FOLDER / f"{name}.json"
        text = json.dumps(make(), indent=1) + "\n"
        if not args.check:
            path.write_text(text, "utf-8")
        elif path.read_text("utf-8") != text:
            print(f"{path.name} is not what the installed {name} gives", file=sys.stderr)
            same = False
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
