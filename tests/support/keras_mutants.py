"""Mutants of Keras configurations: what an attacker would try, and what accidents do."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

# What a mutant may have in a place; whatever it is, it names nothing that Keras would run.
ODD: list[Any] = [
    None, True, -1, 0, 2**31, 10**30, 1e308, float("nan"), float("inf"), "", "x" * 5000, "np.load",
    "os.system", "__import__", "deserialize", "evil>Lambda", "../../etc", [], [[]], {}, {"class_name": 1},
    {"class_name": "__lambda__", "config": {"value": ["x", None, None]}},
    {"class_name": "Lambda", "config": {"function": "x"}},
    {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"},
    {"class_name": "function", "module": "keras.losses", "config": "np.load"},
    {"class_name": "TFOpLambda", "config": {"function": "io.write_file"}},
    {"class_name": "__typespec__", "spec_name": "x", "module": "os", "registered_name": None, "config": []},
    {"class_name": "TypeSpec", "type_spec": "tf.TensorSpec", "serialized": [[1], "float32"]},
    {"class_name": "CompositeTensor", "spec": {}, "tensors": []},
    {"class_name": "Functional", "config": None},
    {"module": "builtins", "class_name": "exec", "config": {}, "registered_name": "exec"},
]  # fmt: skip


def places(config: Any) -> Iterator[tuple[Any, Any]]:
    """Every table and list of a configuration with each key or place of it."""
    waiting = [config]
    while waiting:
        item = waiting.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        for key in keys:
            yield item, key
            if isinstance(item[key], (dict, list)):
                waiting.append(item[key])


def mutant(config: Any, rng: random.Random, most: int = 3) -> Any:
    """A copy in which one to `most` things are others: values, names, keys, whole objects."""
    config = copy.deepcopy(config)
    for _ in range(rng.randint(1, most)):
        holder, key = rng.choice(list(places(config)))
        other, second = rng.choice(list(places(config)))
        what = rng.random()
        if what < 0.4:
            holder[key] = copy.deepcopy(rng.choice(ODD))
        elif what < 0.6:
            holder[key] = copy.deepcopy(other[second])
        elif what < 0.75 and isinstance(holder, dict):
            holder[rng.choice(["class_name", "module", "registered_name", "config", "name"])] = (
                copy.deepcopy(rng.choice(ODD))
            )
        elif what < 0.85 and isinstance(holder, dict):
            del holder[key]
        elif isinstance(holder, list):
            holder.extend(copy.deepcopy(holder[key]) for _ in range(rng.choice([1, 3, 200])))
        else:
            holder[f"{key}_more"] = copy.deepcopy(other[second])
    return config
