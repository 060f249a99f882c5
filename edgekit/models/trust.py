"""Trust: what in a Keras file would run code, or reach beyond the model, when it is loaded or called.

Neither flavour of Keras is left to judge that: tf_keras imports whatever module a configuration names.
So a configuration is read as data first, and nothing is loaded that names what is none of Keras' own.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.errors import ArtifactError, UntrustedCodeError

# Layers that hold code, or that are another way to it.
_CODE = {
    "Lambda": "Python code",
    "__lambda__": "Python code",
    "JaxLayer": "Python code",
    "FlaxLayer": "Python code",
    "TorchModuleWrapper": "a pickled object",
    "TFSMLayer": "the path of another model",
    "TensorFlowOpLayer": "a TensorFlow operator of any kind",
    "ClassMethod": "a call of any method",
    "InstanceMethod": "a call of any method",
}
# Layers whose vocabulary is a list, or the path of a file that is read.
_VOCABULARIES = ("vocabulary", "merges", "proto")
_LOOKUPS = ("StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup")

# Where in Keras the parts of models lie. Its utilities, which fetch and unpack files, are elsewhere.
_FUNCTIONS = "activations|constraints|initializers|losses|metrics|ops|regularizers"
_CLASSES = (
    f"{_FUNCTIONS}|dtype_policies|engine|feature_column|layers|mixed_precision|models|optimizers|"
    "quantizers|random"
)
_PLACE = r"(tf_)?keras(\.src|\._legacy)?(\.({})(\.\w+)*)?"
_FUNCTION_PLACE = re.compile(_PLACE.format(_FUNCTIONS))
_CLASS_PLACE = re.compile(rf"{_PLACE.format(_CLASSES)}|keras_(hub|cv|nlp)(\.\w+)*")

# Layers that Keras' own networks (keras.applications) bring along, by module. Whatever else is there
# builds whole networks, and fetches their weights.
NETWORK_LAYERS = (
    ("convnext", "LayerScale"),
    ("inception_resnet_v2", "CustomScaleLayer"),
)
_NETWORK_LAYER = re.compile(
    "|".join(rf"(tf_)?keras\.src\.applications\.{m}\.{name}" for m, name in NETWORK_LAYERS)
    # What tf.constant_initializer and its like are.
    + r"|tensorflow\.python\.ops\.init_ops_v2\.(Zeros|Ones|Constant|Random(Uniform|Normal)|TruncatedNormal)"
    r"|tensorflow\.python\.ops\.init_ops_v2\.(VarianceScaling|Orthogonal|Identity|Glorot(Uniform|Normal))"
)

# Functions of TensorFlow that a tf_keras file may name in place of layers: those that compute with
# tensors alone. Others read and write files or run Python.
_TF_FUNCTION = re.compile(
    r"(__operators__|math|nn|linalg|image|signal|bitwise|random|strings|compat\.v1\.(math|nn|linalg))\.\w+(\.\w+)?"
    r"|abs|add|argmax|argmin|argsort|boolean_mask|broadcast_to|cast|clip_by_value|concat|cos|cumsum"
    r"|divide|einsum|equal|exp|expand_dims|fill|floor|gather|gather_nd|greater|greater_equal|identity"
    r"|less|less_equal|logical_and|logical_not|logical_or|matmul|maximum|minimum|multiply|negative"
    r"|norm|not_equal|one_hot|ones_like|pad|pow|range|rank|reduce_\w+|repeat|reshape|reverse|roll"
    r"|round|scalar_mul|shape|sigmoid|sign|sin|slice|sort|split|sqrt|square|squeeze|stack"
    r"|strided_slice|subtract|tan|tanh|tensordot|tile|transpose|truediv|unstack|where|zeros_like"
    r"|compat\.v1\.(transpose|gather|squeeze|expand_dims|where)"
    r"|keras\.(activations|backend)\.\w+"
)


def refuse_code(path: Path, config: Any) -> None:
    """Refuse an architecture that carries code.

    Args:
        path: of its file, for messages.
        config: the architecture as JSON; it need not be trusted.

    Raises:
        UntrustedCodeError: names the layer that holds code.
    """
    for found, owner in _objects(config, "?"):
        code = _code(found)
        if code is not None:
            raise UntrustedCodeError(
                f"{path}: layer {owner!r:.200} holds {code}, which would run on loading. If you trust "
                "its author, give --trust-code (trust_code=True); better, replace it with a layer."
            )


def refuse_strangers(config: Any, flavour: Any) -> None:
    """Refuse an architecture that names what is none of Keras' own.

    Args:
        config: as for `refuse_code`.
        flavour: the module ``keras`` or ``tf_keras`` that is to load it, where a class or function of
            one's own may be registered.

    Raises:
        ArtifactError: names the layer and what it asks for.
    """
    for found, owner in _objects(config, "?"):
        stranger = _stranger(found, flavour)
        if stranger is not None:
            raise ArtifactError(
                f"layer {owner!r:.100} asks for {stranger!r:.300}, which is none of Keras' own and not "
                f"registered ({flavour.__name__}.saving.register_keras_serializable). Name the file that "
                "defines it: --import FILE.py; in Python, import it first."
            )


def _objects(config: Any, owner: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Every table in a configuration, with the name of the layer it belongs to."""
    stack = [(config, owner)]
    while stack:
        item, owner = stack.pop()
        if isinstance(item, dict):
            inner = item.get("config")
            if isinstance(inner, dict) and isinstance(inner.get("name"), str):
                owner = inner["name"]
            yield item, owner
            stack.extend((value, owner) for value in reversed(item.values()))
        elif isinstance(item, list):
            stack.extend((value, owner) for value in reversed(item))


def _code(found: dict[str, Any]) -> str | None:
    """What code an object of a configuration carries, in words."""
    name = found.get("class_name")
    # With a package in front, Keras finds the same class.
    name = name.rpartition(">")[2] if isinstance(name, str) else None
    inner = found.get("config")
    inner = inner if isinstance(inner, dict) else {}
    if name in _CODE:
        return _CODE[name]
    # Cells that wrap a function keep it in a table of their own, marshalled.
    if "__lambda__" in found or any(
        key.endswith("_type") and value == "lambda" for key, value in found.items()
    ):
        return "Python code"
    if name in _LOOKUPS or (name or "").endswith("Tokenizer"):
        for key in _VOCABULARIES:
            if isinstance(inner.get(key), str):
                return f"the path of a file ({inner[key]!r:.100})"
    if name in ("TFOpLambda", "SlicingOpLambda"):
        symbol = inner.get("function")
        if not isinstance(symbol, str) or not _TF_FUNCTION.fullmatch(symbol):
            return f"a call of TensorFlow's {symbol!r:.100}"
    if isinstance(inner.get("cls_symbol"), str):
        return "a call of any method"
    return None


def _stranger(found: dict[str, Any], flavour: Any) -> str | None:
    """The name of what is none of Keras' own, as far as the object asks for something by its module."""
    module, name = found.get("module"), found.get("class_name")
    if module is None or name is None:
        return None
    # The name by which both flavours look for what was registered, before they look for the module.
    key = found.get("registered_name", name)
    place = _CLASS_PLACE
    if name == "function":
        name = key = found.get("config")
        place = _FUNCTION_PLACE
    if isinstance(module, str) and isinstance(name, str):
        own = not hasattr(builtins, name) if module == "builtins" else place.fullmatch(module)
        own = own or (place is _CLASS_PLACE and _NETWORK_LAYER.fullmatch(f"{module}.{name}"))
        if own or (isinstance(key, str) and flavour.saving.get_registered_object(key) is not None):
            return None
    return f"{module}.{name}"
