"""Operations of Keras 3 in HDF5 files: given the module that those files leave out.

Keras 3 writes whatever a Functional model calls into a `.h5` file by the name of its class alone and looks
for it among its layers when it reads it back: ``keras.ops.sin``, a comparison that a mask is made of, or a
``+`` of two tensors then are unknown to it ("Unknown layer: 'NotEqual'"), or are taken for a layer of the same
name. With its module in the configuration Keras finds the operation.
"""

from __future__ import annotations

from typing import Any

from edgekit.models.untrusted.names import Names

# What every layer's configuration holds, and no operation's.
_OF_LAYERS = "trainable"


def with_modules(config: Any) -> Any:
    """A configuration in which each operation says its module.

    Args:
        config: of a model, as JSON; it need not be trusted, and stays as it is.
    """
    if isinstance(config, list):
        return [with_modules(each) for each in config]
    if not isinstance(config, dict):
        return config
    written = {key: with_modules(value) for key, value in config.items()}
    inner = config.get("config")
    if "inbound_nodes" in config and "module" not in config and isinstance(inner, dict):
        found = Names("keras").class_of(config, ("operations",))
        if found is not None and _OF_LAYERS not in inner:
            written["module"], written["registered_name"] = found.module, None
    return written
