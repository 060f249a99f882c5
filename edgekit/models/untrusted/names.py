"""Names: which classes and functions an untrusted file may name, and by which module Keras finds them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

# What may stand where a layer does; operations of Keras 3 do.
LAYERS = ("layers", "operations")
GROUPS = (
    *LAYERS,
    "initializers",
    "regularizers",
    "constraints",
    "policies",
    "quantizers",
    "random",
)

# Where in Keras each group lies, by the first part of a module's name that says so. All versions have
# moved their files; what is read here only chooses the group, Keras is given its own module.
_PLACES = {
    **dict.fromkeys(("layers", "engine", "models", "feature_column"), "layers"),
    "ops": "operations",
    "initializers": "initializers",
    "regularizers": "regularizers",
    "constraints": "constraints",
    **dict.fromkeys(("dtype_policies", "mixed_precision"), "policies"),
    "quantizers": "quantizers",
    "random": "random",
}
_FUNCTION_PLACES = ("activations", "losses", "metrics", "ops")
_MODULE = re.compile(r"(?:tf_)?keras(?:\.src)?(?:\._?legacy)?(?:\.(\w+)(\.\w+)*)?")
# What tf.constant_initializer and its like are.
_TF_INITIALIZERS = "tensorflow.python.ops.init_ops_v2"
_NETWORKS = re.compile(r"(tf_)?keras\.src\.applications\.\w+")

# Wrappers of tensorflow-model-optimization and ours, which are known while such a file is loaded.
_OPTIMIZATION = """
    QuantizeAnnotate QuantizeAwareActivation NoOpActivation QuantizeWrapper QuantizeWrapperV2 QuantizeLayer
    OutputOnlyConfig FixedQuantizeConfig NoOpQuantizeConfig
    Default8BitActivationQuantizeConfig Default8BitConvQuantizeConfig Default8BitConvTransposeQuantizeConfig
    Default8BitOutputQuantizeConfig Default8BitQuantizeConfig Default8BitQuantizeConfigRNN
    Default8BitConvWeightsQuantizer Default8BitConvTransposeWeightsQuantizer
    DefaultNBitActivationQuantizeConfig DefaultNBitConvQuantizeConfig DefaultNBitConvTransposeQuantizeConfig
    DefaultNBitOutputQuantizeConfig DefaultNBitQuantizeConfig DefaultNBitQuantizeConfigRNN
    DefaultNBitConvWeightsQuantizer DefaultNBitConvTransposeWeightsQuantizer
    AllValuesQuantizer FixedQuantizer LastValueQuantizer MovingAverageQuantizer NoQuantizer
    ClusterPreserveQuantizeRegistry Default8bitClusterPreserveQuantizeRegistry
    ClusterPreserveDefaultWeightsQuantizer ClusterPreserveDefault8BitWeightsQuantizer
    ClusterPreserveDefault8BitConvWeightsQuantizer
    PrunePreserveQuantizeRegistry Default8bitPrunePreserveQuantizeRegistry
    PrunePreserveDefaultWeightsQuantizer PrunePreserveDefault8BitWeightsQuantizer
    PrunePreserveDefault8BitConvWeightsQuantizer
    PruneLowMagnitude ConstantSparsity PolynomialDecay ClusterWeights
    EdgekitQuantizeRange EdgekitQuantizeWeights EdgekitQuantizeLayerConfig EdgekitQuantizeActivation
    EdgekitQuantizeLayer Weights
"""
OPTIMIZATION_CLASSES = frozenset(_OPTIMIZATION.split())


@dataclass(frozen=True)
class Class:
    """A class that a file may name.

    Attributes:
        name: as Keras has it; aliases have become it.
        module: by which Keras finds it; None for what is registered.
        group: one of `GROUPS`; None for what is registered.
        arguments: what its configuration may hold; None for anything that is plain or known itself.
    """

    name: str
    module: str | None
    group: str | None
    arguments: frozenset[str] | None


def _nothing(name: str) -> object:  # noqa: ARG001
    return None


@dataclass(frozen=True)
class Known:
    """What a program has made known to one flavour of Keras, beside what is Keras' own.

    Attributes:
        find: the class or function that is registered under a name; None where none is.
    """

    find: Callable[[str], object] = _nothing

    def is_class(self, name: object) -> bool:
        return isinstance(self._own(name), type)

    def is_function(self, name: object) -> bool:
        found = self._own(name)
        return callable(found) and not isinstance(found, type)

    def _own(self, name: object) -> object:
        found = self.find(name) if isinstance(name, str) else None
        # Both flavours register some of their own, which have to be on the list as elsewhere.
        package = str(getattr(found, "__module__", "")).partition(".")[0]
        return None if package in ("keras", "tf_keras") else found


@dataclass(frozen=True)
class Names:
    """What one flavour of Keras finds by name, beside what was made known to it.

    Attributes:
        flavour: ``"keras"`` or ``"tf_keras"``.
        known: what the program has registered.
    """

    flavour: str
    known: Known = field(default_factory=Known)

    def class_of(self, found: Mapping[str, Any], groups: tuple[str, ...]) -> Class | None:
        """The one class that an object of a configuration can mean; None for a stranger.

        Args:
            found: the object; it need not be trusted.
            groups: which may stand in its place, of `GROUPS`.
        """
        name, module = found.get("class_name"), found.get("module")
        key = found.get("registered_name")
        if not isinstance(name, str) or not (module is None or isinstance(module, str)):
            return None
        if not (key is None or isinstance(key, str)):
            return None
        own = self._own(name, module, groups) if key in (None, "", name, f"Custom>{name}") else None
        if own is not None and module is not None and not key:
            return own
        # By the name that it is registered under, which is all that Keras will be told.
        for registered in (key, name) if key and key != name else (name,):
            if self._is_optimization(registered, module) or self.known.is_class(registered):
                return Class(str(registered), None, None, None)
        return own

    def _is_optimization(self, name: str | None, module: str | None) -> bool:
        package = (module or "edgekit").partition(".")[0]
        return (
            self.flavour == "tf_keras"
            and name in OPTIMIZATION_CLASSES
            and package in ("tensorflow_model_optimization", "edgekit")
        )

    def _own(self, name: str, module: str | None, groups: tuple[str, ...]) -> Class | None:
        if module is None:
            candidates = groups
        else:
            candidates = tuple(group for group in groups if group in _groups_of(module))
        package, _, short = name.rpartition(">")
        for group in candidates:
            found = _classes(self.flavour, group).get(short)
            if found is None:
                continue
            # Of the modules of Keras' networks only their layers, which tf_keras registers.
            of_networks = _NETWORKS.fullmatch(str(found.module)) is not None
            if package and not (package == "Custom" and of_networks):
                continue
            if module and (_NETWORKS.fullmatch(module) is not None) != of_networks:
                continue
            return found
        return None

    def function_place(self, name: str, module: str | None) -> str | None:
        """The module of Keras in which a function is found, such as ``keras.losses``."""
        found = _MODULE.fullmatch(module or "keras")
        if module not in (None, "builtins") and not (found and found[1] in _FUNCTION_PLACES):
            return None
        places = _FUNCTION_PLACES if module in (None, "builtins") else (str(found and found[1]),)
        for place in places:
            if name in _functions(self.flavour).get(place, ()):
                return f"keras.{place}"
        return None

    def is_activation(self, name: str) -> bool:
        return name in _functions(self.flavour)["activations"]

    def is_tensorflow(self, name: object) -> bool:
        """Whether a function of TensorFlow may stand as a layer."""
        return isinstance(name, str) and name in _tensorflow(self.flavour)

    def in_group(self, name: str, group: str) -> bool:
        """Whether a class of a group has this name, or is written so in small letters."""
        return name in _spellings(self.flavour, group)


@cache
def _table(flavour: str) -> dict[str, Any]:
    path = Path(__file__).with_name(f"{flavour}.json")
    table: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return table


@cache
def _classes(flavour: str, group: str) -> dict[str, Class]:
    return {
        alias: Class(name, module, group, frozenset(arguments.split()))
        for alias, (module, name, arguments) in _table(flavour)[group].items()
    }


@cache
def _functions(flavour: str) -> dict[str, frozenset[str]]:
    return {
        place: frozenset(names.split()) for place, names in _table(flavour)["functions"].items()
    }


@cache
def _tensorflow(flavour: str) -> frozenset[str]:
    return frozenset(_table(flavour).get("tensorflow", "").split())


@cache
def _spellings(flavour: str, group: str) -> frozenset[str]:
    names = set(_table(flavour)[group])
    return frozenset(names | {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in names})


def _groups_of(module: str) -> tuple[str, ...]:
    """Which groups a module of any version of Keras can hold classes of."""
    if module == _TF_INITIALIZERS:
        return ("initializers",)
    if _NETWORKS.fullmatch(module):
        return ("layers",)
    found = _MODULE.fullmatch(module)
    if not found:
        return ()
    if found[1] is None:
        return ("layers", "policies", "random")
    group = _PLACES.get(found[1])
    return () if group is None else (group,)
