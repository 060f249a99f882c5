"""Cut: the cheapest labels of a problem's parts at a price of error, as a minimum cut of a graph.

With two labels, costs of single parts and costs of neighbours that differ, the least sum is a minimum cut
between a source (int8) and a sink (float): Greig, Porteous and Seheult, "Exact Maximum A Posteriori
Estimation for Binary Images", 1989; which sums can be written so: Kolmogorov and Zabih, "What Energy
Functions Can Be Minimized via Graph Cuts?", 2004. A tensor with several readers gets two nodes of its own, so
that it is rounded, and converted, once for all of them.
"""

from __future__ import annotations

import numpy as np

from edgekit.errors import require
from edgekit.solver.problem import Problem

# scipy counts flows in int32: all that is finite adds up to this at most. What is rounded away is that
# much smaller than the whole.
_WHOLE = 1 << 29
_SOURCE, _SINK = 0, 1


def cheapest(problem: Problem, price: float) -> frozenset[str]:
    """The parts to leave in float, so that cost + price x loss is least.

    Of several such sets, the one with the most parts in int8.

    Args:
        problem: what parts and wires cost and lose.
        price: what a unit of the squared error counts, in the unit of cost; not negative.

    Returns:
        The parts' names.
    """
    network = _Network()
    place = {part.name: network.node() for part in problem.parts}
    makers, readers = problem.makers, problem.readers
    for part in problem.parts:
        if not part.able:
            network.forbid(place[part.name], _SINK)
        # In int8 it loses; in float it costs what int8 saves.
        network.costs(place[part.name], integers=price * part.loss, floats=part.saved)
    for wire in problem.wires.values():
        reading = [place[name] for name in readers.get(wire.name, [])]
        maker = makers.get(wire.name)
        # `rounded` is on the side of int8 as soon as anything about it is; `wanted` on that of floats as
        # soon as a reader is.
        rounded, wanted = network.node(), network.node()
        network.costs(rounded, integers=price * wire.loss, floats=0.0)
        for reader in reading:
            network.forbid(reader, rounded)
            network.forbid(wanted, reader)
        if maker is None:
            network.differ(rounded, wanted, wire.quantize)
        else:
            network.forbid(place[maker], rounded)
            network.differ(rounded, place[maker], wire.quantize)
            network.differ(place[maker], wanted, wire.dequantize)
    kept = network.source_side()
    return frozenset(name for name, node in place.items() if node not in kept)


class _Network:
    """Arcs with capacities; what is cut is the arcs from the source's side (int8) to the sink's (float)."""

    def __init__(self) -> None:
        self._count = 2
        self._arcs: dict[tuple[int, int], float] = {}
        self._endless: set[tuple[int, int]] = set()

    def node(self) -> int:
        self._count += 1
        return self._count - 1

    def costs(self, node: int, *, integers: float, floats: float) -> None:
        """What a node costs on either side; what both cost changes nothing."""
        least = min(integers, floats)
        self.differ(node, _SINK, integers - least)
        self.differ(_SOURCE, node, floats - least)

    def differ(self, integers: int, floats: int, cost: float) -> None:
        """What it costs if one is on the side of int8 and the other on that of floats."""
        if cost > 0:
            self._arcs[integers, floats] = self._arcs.get((integers, floats), 0.0) + cost

    def forbid(self, integers: int, floats: int) -> None:
        """Never the one on the side of int8 and the other on that of floats."""
        self._endless.add((integers, floats))

    def source_side(self) -> set[int]:
        """The largest set of nodes on the side of int8 of a minimum cut."""
        scipy_sparse = require("scipy.sparse", "export", "Searching for the smallest file")
        csgraph = require("scipy.sparse.csgraph", "export", "Searching for the smallest file")
        scale = _WHOLE / max(sum(self._arcs.values()), 1e-300)
        numbers = {arc: round(cost * scale) for arc, cost in self._arcs.items()}
        # More than all finite ones together.
        numbers |= dict.fromkeys(self._endless, _WHOLE + len(numbers) + 1)
        arcs = [arc for arc, number in numbers.items() if number]
        if not arcs:
            return set(range(self._count))
        values = np.array([numbers[arc] for arc in arcs], np.int32)
        rows, columns = np.array(arcs).T
        shape = (self._count, self._count)
        graph = scipy_sparse.csr_matrix((values, (rows, columns)), shape)
        flow = csgraph.maximum_flow(graph, _SOURCE, _SINK).flow
        left = (graph.astype(np.int64) - flow.astype(np.int64)).tocsr()
        left.data = np.maximum(left.data, 0)
        left.eliminate_zeros()
        # Who can still reach the sink is on its side; all others may stay with the source.
        reached = csgraph.breadth_first_order(left.T.tocsr(), _SINK, return_predecessors=False)
        return set(range(self._count)) - {int(node) for node in reached}
