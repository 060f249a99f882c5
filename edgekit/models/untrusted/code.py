"""Code: what in a configuration runs, or leads to files, by the name it has there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.models.untrusted import refusals
from edgekit.models.untrusted.names import GROUPS, Names

Config = dict[str, Any]

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
_TF = Names("tf_keras")
# Layers whose vocabulary is a list, or the path of a file that is read.
_VOCABULARIES = ("vocabulary", "merges", "proto")
_LOOKUPS = ("StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup")


def refuse_code(config: Any) -> None:
    """Refuse a configuration that carries code, or reads files.

    Args:
        config: as JSON; it need not be trusted.

    Raises:
        UntrustedCodeError: names the layer.
    """
    for found, owner in _objects(config, "?"):
        what = _code_in(found)
        if what is not None:
            raise refusals.code(owner, what)


def trusted_parts(config: Any, names: Mapping[str, Names]) -> list[str]:
    """What of a configuration no flavour would take if its file were not trusted, each once, in words."""
    found = []
    for item, owner in _objects(config, "?"):
        what = _code_in(item) or _stranger_in(item, names)
        if what is not None:
            found.append(f"{owner!r:.100} ({what:.200})")
    return list(dict.fromkeys(found))


def _stranger_in(found: Config, names: Mapping[str, Names]) -> str | None:
    """The class or function that an object asks for, if it is neither Keras' own nor registered."""
    name, module, inner = found.get("class_name"), found.get("module"), found.get("config")
    if not isinstance(name, str) or name.startswith("__") or name == "TensorShape":
        return None
    module = module if isinstance(module, str) else None
    if name == "function" and isinstance(inner, str):
        name = inner
        known = any(
            each.function_place(inner, module) or each.known.is_function(inner)
            for each in names.values()
        )
    else:
        known = any(each.class_of(found, GROUPS) for each in names.values())
    return None if known else f"{module}.{name}" if module else name


def _code_in(found: Mapping[str, Any]) -> str | None:
    """What code an object of a configuration carries, in words."""
    name = found.get("class_name")
    # With a package in front, Keras finds the same class.
    name = name.rpartition(">")[2] if isinstance(name, str) else None
    if name in _CODE:
        return _CODE[name]
    # Cells that wrap a function keep it in a table of their own, marshalled.
    if "__lambda__" in found or any(
        key.endswith("_type") and value == "lambda" for key, value in found.items()
    ):
        return "Python code"
    inner = found.get("config")
    inner = inner if isinstance(inner, dict) else {}
    if name in _LOOKUPS or (name or "").endswith("Tokenizer"):
        for key in _VOCABULARIES:
            if isinstance(inner.get(key), str):
                return f"the path of a file ({inner[key]!r:.100})"
    if name in ("TFOpLambda", "SlicingOpLambda") and not _TF.is_tensorflow(inner.get("function")):
        return f"a call of TensorFlow's {inner.get('function')!r:.100}"
    return "a call of any method" if isinstance(inner.get("cls_symbol"), str) else None


def _objects(config: Any, owner: str) -> Iterator[tuple[Config, str]]:
    """Every table in a configuration, with the name of the layer it belongs to."""
    stack = [(config, owner)]
    while stack:
        item, owner = stack.pop()
        if isinstance(item, dict):
            owner = owner_of(item, owner)
            yield item, owner
            stack.extend((value, owner) for value in reversed(item.values()))
        elif isinstance(item, list):
            stack.extend((value, owner) for value in reversed(item))


def owner_of(item: Config, owner: str) -> str:
    inner = item.get("config")
    if isinstance(inner, dict) and isinstance(inner.get("name"), str):
        return str(inner["name"])
    return owner
