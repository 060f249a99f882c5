"""Tables: lookups of numbers in tables that never change, written as comparisons.

Vocabularies of whole numbers are such (`IntegerLookup`, `tf.lookup.StaticHashTable`). A table is a resource of the
process, for which no constant stands; what it holds is constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.convert.trace.rule import Lowered, Rule
from edgekit.errors import require

# Each number is held against all keys.
_MOST_KEYS = 4096
_CHANGES = ("LookupTableImport", "LookupTableInsert", "LookupTableRemove")


@dataclass(frozen=True)
class Table:
    """What a table holds: `values` of the keys in the same places."""

    keys: NDArray[Any]
    values: NDArray[Any]


def tables_of(function: Any) -> dict[str, Table]:
    """The tables that a concrete function reads, by the name of the placeholder that stands for each.

    Those of text are left out, of thousands of keys, and all where one of them is changed.
    """
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(n for each in graph.library.function for n in each.node_def)]
    if any(node.op.startswith(_CHANGES) for node in nodes):
        return {}
    types = {
        (node.attr["Tin"].type, node.attr["Tout"].type)
        for node in nodes
        if node.op == "LookupTableFindV2"
    }
    found = {}
    for outside, inside in function.graph.captures:
        if types and outside.dtype.name == "resource":
            table = _table(outside, types)
            if table is not None:
                found[inside.op.name] = table
    return found


def _table(handle: Any, types: set[tuple[int, int]]) -> Table | None:
    tf = require("tensorflow", "export", "Exporting a model")
    for keys_type, values_type in sorted(types):
        if tf.string.as_datatype_enum in (keys_type, values_type):
            continue
        try:
            with tf.init_scope():
                keys, values = tf.raw_ops.LookupTableExportV2(
                    table_handle=handle, Tkeys=keys_type, Tvalues=values_type
                )
        # It is of other types, or no table.
        except tf.errors.OpError:
            continue
        if keys.shape.rank == values.shape.rank == 1 and len(keys) <= _MOST_KEYS:
            order = np.argsort(keys.numpy(), kind="stable")
            return Table(keys.numpy()[order], values.numpy()[order])
    return None


def lookup_in(tables: Mapping[str, Table]) -> Rule:
    """A rule for ``LookupTableFindV2`` in one of `tables`."""

    def rule(tf: Any, operation: Any) -> Lowered | None:
        handle, given, other = operation.inputs
        while handle.op.type == "Identity":
            (handle,) = handle.op.inputs
        table = tables.get(handle.op.name)
        if table is None:
            return None

        def looked_up(x: Any, default: Any) -> Any:
            same = tf.equal(x[..., None], table.keys)
            value = tf.reduce_sum(tf.cast(same, default.dtype) * table.values, axis=-1)
            return tf.where(tf.reduce_any(same, axis=-1), value, default)

        return Lowered(looked_up, [given, other])

    return rule
