"""Normal: an author's configuration as one of what is on the list, in Keras' own words.

Nothing of the author's is handed on but names of layers and plain values, each of the type that its
argument has. Every class and function is looked up in `names` and written down anew with the module by
which Keras finds that one and no other; what is not there is refused by its full name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from edgekit.models.untrusted import refusals, values
from edgekit.models.untrusted.code import Config, owner_of, refuse_code
from edgekit.models.untrusted.graph import check_graph
from edgekit.models.untrusted.names import GROUPS, LAYERS, Class, Names
from edgekit.models.untrusted.operations import with_modules

# Layers called, those of a model inside once for each of its calls. The largest of Keras' own networks
# has 1,500.
MAX_CALLS = 50_000

# The module of functions that are found by what they are registered as.
_REGISTERED = "builtins"
_MODELS = ("Functional", "Sequential", "Model")
# Properties that tensors of tf_keras give as layers; others lead to their graph.
_PROPERTIES = ("values", "flat_values", "row_splits", "nested_row_splits", "indices", "dense_shape")
_DTYPE = re.compile(r"(bool|string|bfloat16|(u?int|float|complex)(4|8|16|32|64|128))")
# A class of edgekit's own, which holds objects of the other flavour of Keras.
_CARRIERS = {
    ("keras", "edgekit>Foreign"): {"layer": "tf_keras", "arguments": "keras"},
    ("tf_keras", "edgekit>Operator"): {"operation": "keras", "arguments": "keras"},
    ("tf_keras", "edgekit>Carried"): {"layer": "keras"},
}


def normalised(config: Any, names: Mapping[str, Names], flavour: str) -> Config:
    """The configuration of a model, written anew for one flavour of Keras.

    Args:
        config: the author's, as JSON; it stays as it is.
        names: what each flavour knows, by ``"keras"`` and ``"tf_keras"``.
        flavour: the one to load it.

    Raises:
        StrangerError: it names what this flavour does not have.
        UntrustedCodeError: it holds code, or asks for more than a model can need.
    """
    refuse_code(config)
    if flavour == "keras":
        config = with_modules(config)
    return _Normaliser(names, flavour).layer(config, "?")


class _Normaliser:
    def __init__(self, names: Mapping[str, Names], flavour: str) -> None:
        self._all = names
        self._names = names[flavour]
        self._calls = 0
        self._readers: dict[str, Callable[[Any, str, str], Any]] = {
            values.FUNCTION: self._function,
            values.LAYER: lambda value, owner, _: self._or_none(value, owner, LAYERS),
            values.LAYERS: self._layers,
            values.CELL: self._cell,
            values.POLICY: self._policy,
            values.INITIALIZER: self._named,
            values.REGULARIZER: self._named,
            values.CONSTRAINT: self._named,
            values.SEED: self._seed,
            values.SPLITTER: self._splitter,
            values.OBJECT: lambda value, owner, _: self._or_none(value, owner, GROUPS),
            values.SYMBOL: self._symbol,
            values.ATTRIBUTE: self._attribute,
            values.VOCABULARY: self._vocabulary,
            values.ANY: lambda value, owner, _: self._any(value, owner),
            values.PLAIN: lambda value, owner, argument: self._plain(value, owner, argument),
        }

    def layer(self, found: Any, owner: str) -> Config:
        """A layer, an operation or a model."""
        return self._object(found, owner, LAYERS)

    def _object(self, found: Any, owner: str, groups: tuple[str, ...]) -> Config:
        if not isinstance(found, dict):
            raise refusals.wrong(owner, "config", found, "a table that describes a layer")
        owner = owner_of(found, owner)
        cls = self._names.class_of(found, groups)
        if cls is None:
            name = f"{found.get('module')}.{found.get('class_name')}"
            raise refusals.stranger(owner, name.removeprefix("None."), self._names.flavour)
        self._count(owner)
        inner = self._config(cls, found.get("config"), owner)
        return self._written(cls, found, inner, owner)

    def _written(self, cls: Class, found: Config, inner: Any, owner: str) -> Config:
        """The object in Keras' words: old files have no modules."""
        result: Config = {"class_name": cls.name, "config": inner}
        if "module" in found or found.get("registered_name"):
            result["module"] = cls.module
            result["registered_name"] = cls.name if cls.module is None else None
        for key in ("build_config", "shared_object_id", "name", "inbound_nodes"):
            if key in found:
                result[key] = self._beside(key, found[key], owner)
        if "__passive_serialization__" in found:
            result["__passive_serialization__"] = True
        return result

    def _beside(self, key: str, value: Any, owner: str) -> Any:
        if key == "name":
            return values.typed(owner, key, values.NAME, value)
        if key == "build_config":
            return values.typed(owner, key, values.SIZES, value)
        return self._plain(value, owner, key)

    def _count(self, owner: str, calls: int = 1) -> None:
        self._calls += calls
        if self._calls > MAX_CALLS:
            raise refusals.too_much(
                f"layer {owner!r:.100}: the layers before and in it are called",
                f"{self._calls:,} times",
                f"{MAX_CALLS:,}",
            )

    # What is in an object.

    def _config(self, cls: Class, inner: Any, owner: str) -> Any:
        if cls.group == "layers" and cls.name in _MODELS:
            return self._model(cls.name, inner, owner)
        if inner is None:
            inner = {}
        if not isinstance(inner, dict):
            raise refusals.wrong(owner, f"{cls.name}.config", inner, "a table")
        carrier = _CARRIERS.get((self._names.flavour, cls.name))
        result = {}
        for argument, value in inner.items():
            if carrier is not None and argument in carrier:
                result[argument] = self._carried(argument, carrier[argument], value, owner)
            elif cls.arguments is None:
                result[argument] = self._of_own_class(argument, value, owner)
            elif argument not in cls.arguments:
                raise refusals.unknown(owner, cls.name, argument)
            elif cls.group in ("layers", "policies", "quantizers", "random"):
                result[argument] = self._argument(argument, value, owner)
            else:
                result[argument] = self._plain(value, owner, argument)
        return result

    def _argument(self, argument: str, value: Any, owner: str) -> Any:
        kind = values.kind_of(argument)
        reader = self._readers.get(kind)
        if reader is not None:
            return reader(value, owner, argument)
        return values.typed(owner, argument, kind, value)

    def _of_own_class(self, argument: str, value: Any, owner: str) -> Any:
        """An argument of a registered class, which alone knows what it is."""
        kind = values.kind_of(argument)
        if kind in (values.OBJECT, values.NAME, values.POLICY, values.LAYER):
            return self._argument(argument, value, owner)
        return self._any(value, owner)

    def _carried(self, argument: str, flavour: str, value: Any, owner: str) -> Any:
        other = _Normaliser(self._all, flavour)
        other._calls = self._calls
        result = (
            other._plain(value, owner, argument)
            if argument == "arguments"
            else other.layer(value, owner)
        )
        self._calls = other._calls
        return result

    # Models are graphs of layers.

    def _model(self, name: str, inner: Any, owner: str) -> Any:
        if name == "Sequential" and isinstance(inner, list):
            # As Keras 1 wrote it.
            return self._layers(inner, owner, "layers")
        if not isinstance(inner, dict):
            raise refusals.wrong(owner, f"{name}.config", inner, "a table")
        result: Config = {}
        for argument, value in inner.items():
            if argument == "layers":
                nodes = [self._node(each, owner) for each in self._list(value, owner)]
                if name != "Sequential":
                    check_graph(nodes, owner)
                result[argument] = nodes
            elif argument in ("input_layers", "output_layers", "build_input_shape"):
                result[argument] = self._plain(value, owner, argument)
            elif argument in ("name", "trainable", "dtype"):
                result[argument] = self._argument(argument, value, owner)
            else:
                raise refusals.unknown(owner, name, argument)
        return result

    def _node(self, found: Any, owner: str) -> Config:
        """A layer of a model, with what calls it; all that is in it counts once for each call."""
        before = self._calls
        result = self.layer(found, owner)
        nodes = result.get("inbound_nodes")
        if isinstance(nodes, list) and len(nodes) > 1:
            self._count(owner_of(found, owner), (self._calls - before) * (len(nodes) - 1))
        return result

    def _list(self, value: Any, owner: str) -> list[Any]:
        if not isinstance(value, list):
            raise refusals.wrong(owner, "layers", value, "a list")
        return value

    # Arguments that are objects, by kind.

    def _or_none(self, value: Any, owner: str, groups: tuple[str, ...]) -> Any:
        return None if value is None else self._object(value, owner, groups)

    def _layers(self, value: Any, owner: str, _: str) -> Any:
        if value is None:
            return None
        return [self.layer(each, owner) for each in self._list(value, owner)]

    def _cell(self, value: Any, owner: str, argument: str) -> Any:
        if isinstance(value, list):
            return self._layers(value, owner, argument)
        return self._or_none(value, owner, LAYERS)

    def _function(self, value: Any, owner: str, argument: str) -> Any:
        """An activation: a name, what stands for a function, or a layer in its place."""
        if value is None:
            return None
        if isinstance(value, str):
            if self._names.is_activation(value) or self._names.known.is_function(value):
                return value
            # Old files have layers by name.
            if self._names.in_group(value, "layers") and value[:1].isupper():
                return value
            raise refusals.stranger(owner, value, self._names.flavour)
        if isinstance(value, dict) and value.get("class_name") != "function":
            return self._object(value, owner, LAYERS)
        written = self._function_object(value, owner)
        name = written["config"]
        if written["module"] != _REGISTERED and self._names.is_activation(name):
            return name
        del argument
        return written

    def _function_object(self, found: Any, owner: str) -> Config:
        name = found.get("config") if isinstance(found, dict) else None
        module = found.get("module") if isinstance(found, dict) else None
        if not isinstance(name, str) or not (module is None or isinstance(module, str)):
            raise refusals.wrong(owner, "function", found, "a function by its name")
        place = None
        if found.get("registered_name") in (None, "", "function", name):
            place = self._names.function_place(name, module)
        keys = (found.get("registered_name"), name)
        registered = next((key for key in keys if self._names.known.is_function(key)), None)
        if registered is not None:
            place, name = _REGISTERED, registered
        elif place is None:
            raise refusals.stranger(
                owner, f"{module}.{name}".removeprefix("None."), self._names.flavour
            )
        return {
            "module": place,
            "class_name": "function",
            "config": name,
            "registered_name": name,
        }

    def _named(self, value: Any, owner: str, argument: str) -> Any:
        """An initialiser, regulariser or constraint: an object, or its name."""
        group = values.kind_of(argument)
        if value is None or isinstance(value, dict):
            return self._or_none(value, owner, (group,))
        if isinstance(value, str) and self._names.in_group(value, group):
            return value
        raise refusals.stranger(owner, f"{value!s:.200}", self._names.flavour)

    def _policy(self, value: Any, owner: str, argument: str) -> Any:
        if isinstance(value, dict):
            return self._object(value, owner, ("policies",))
        return values.typed(owner, argument, values.TEXT, value)

    def _seed(self, value: Any, owner: str, argument: str) -> Any:
        if isinstance(value, dict):
            return self._object(value, owner, ("random",))
        return self._plain(value, owner, argument)

    def _splitter(self, value: Any, owner: str, argument: str) -> Any:
        if isinstance(value, dict):
            return self._function_object(value, owner)
        return values.typed(owner, argument, values.TEXT, value)

    def _symbol(self, value: Any, owner: str, _: str) -> Any:
        if isinstance(value, str) and self._names.is_tensorflow(value):
            return value
        raise refusals.code(owner, f"a call of TensorFlow's {value!r:.100}")

    def _attribute(self, value: Any, owner: str, argument: str) -> Any:
        if value in _PROPERTIES:
            return value
        raise refusals.wrong(owner, argument, value, f"one of {', '.join(_PROPERTIES)}")

    def _vocabulary(self, value: Any, owner: str, argument: str) -> Any:
        if isinstance(value, str):
            raise refusals.code(owner, f"the path of a file ({value!r:.100})")
        return self._plain(value, owner, argument)

    # Values without classes, and those of classes that nobody here knows.

    def _plain(self, value: Any, owner: str, argument: str) -> Any:
        return self._nested(value, owner, argument, self._marker)

    def _any(self, value: Any, owner: str) -> Any:
        return self._nested(value, owner, "config", self._marker_or_object)

    def _nested(
        self, value: Any, owner: str, argument: str, table: Callable[[Config, str, str], Any]
    ) -> Any:
        if values.is_scalar(value):
            return value
        if isinstance(value, list):
            return [self._nested(each, owner, argument, table) for each in value]
        if not isinstance(value, dict):
            raise refusals.wrong(owner, argument, value, "a plain value")
        if "class_name" in value:
            return table(value, owner, argument)
        return {key: self._nested(each, owner, argument, table) for key, each in value.items()}

    def _marker_or_object(self, found: Config, owner: str, argument: str) -> Any:
        name = found.get("class_name")
        if name == "function":
            return self._function_object(found, owner)
        if isinstance(name, str) and (name.startswith("__") or name == "TensorShape"):
            return self._marker(found, owner, argument)
        return self._object(found, owner, GROUPS)

    def _marker(self, found: Config, owner: str, argument: str) -> Any:
        """What stands for a value that JSON does not have: a tensor, a slice."""
        name, inner = found.get("class_name"), found.get("config")
        if name in ("__tuple__", "TensorShape"):
            items = self._plain(self._list(found.get("items"), owner), owner, argument)
            return {"class_name": name, "items": items}
        if name == "__ellipsis__":
            return {"class_name": name, "config": {}}
        keys = {
            "__keras_tensor__": ("shape", "dtype", "keras_history"),
            "__tensor__": ("value", "dtype"),
            "__numpy__": ("value", "dtype"),
            "__slice__": ("start", "stop", "step"),
            "__bytes__": ("value",),
        }.get(name if isinstance(name, str) else "")
        if keys is None:
            raise refusals.stranger(
                owner, f"{found.get('module')}.{name}".removeprefix("None."), self._names.flavour
            )
        if not isinstance(inner, dict):
            raise refusals.wrong(owner, str(name), inner, "a table")
        if "dtype" in keys and not _DTYPE.fullmatch(str(inner.get("dtype"))):
            raise refusals.wrong(owner, f"{name}.dtype", inner.get("dtype"), "a dtype")
        plain = {key: self._plain(inner.get(key), owner, argument) for key in keys}
        return {"class_name": name, "config": plain}
