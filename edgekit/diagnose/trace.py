"""Trace: what a network makes of samples, value by value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from edgekit.calibration.probes import batches
from edgekit.diagnose.network import Array, Network, Values
from edgekit.errors import ArtifactError, one_line
from edgekit.samples import Samples

# Samples where there are enough, and what all of their values may take.
_MOST, _BYTES = 64, 1 << 28


class Trace:
    """The values of a network for some samples.

    Attributes:
        network: whose they are.
        batches: for each inference, every value, in float32 where it is of numbers.
        count: of the samples, which fill all batches.
    """

    def __init__(self, network: Network, batches: Sequence[Values]) -> None:
        self.network = network
        self.batches = batches
        self.count: int = len(batches) * network.batch

    def values(self, name: str) -> list[Array]:
        """Of one value, an array for each inference."""
        return [batch[name] for batch in self.batches]

    def has(self, names: Collection[str]) -> bool:
        return all(name in self.batches[0] for name in names)


def trace(network: Network, samples: Samples, most: int = _MOST, seed: int = 0) -> Trace:
    """Run a network.

    Args:
        network: whose values are wanted.
        samples: under the names of the network's inputs, as it takes them; some are drawn where there are
            many.
        most: samples; fewer where their values take more than 256 MB.
        seed: of that choice.

    Raises:
        ArtifactError: the interpreter fails.
    """
    some = samples.subset(min(most, len(samples)), seed=seed).read()
    found: list[Values] = []
    size = 0
    try:
        for given in batches(some, network.batch):
            found.append(network.run(given))
            size = size or sum(x.nbytes for x in found[0].values())
            if (len(found) + 1) * size > _BYTES:
                break
    except (ValueError, RuntimeError) as error:
        raise ArtifactError(f"cannot be run layer by layer: {one_line(error)}") from error
    return Trace(network, found)


def walk(
    start: Trace,
    outputs: Collection[str],
    values: Mapping[str, Sequence[Array]],
    constants: Mapping[int, Mapping[int, Array]],
) -> list[Values]:
    """A float network's outputs where some of its values or constants are others.

    Only operators behind a change are run.

    Args:
        start: of the network, with all of its values.
        outputs: values that are wanted.
        values: an array for each inference, in place of values that are made or given otherwise.
        constants: by the operator's number and slot, what to put there.

    Returns:
        The outputs, for each inference.
    """
    network, found = start.network, []
    for at, known in enumerate(start.batches):
        changed: Values = {name: each[at] for name, each in values.items()}
        for node in network.nodes:
            own = constants.get(node.at)
            if own is None and not any(name in changed for name in node.takes):
                continue
            if all(name in values for name in node.gives):
                continue
            given = [changed.get(name, known.get(name)) for name in node.takes]
            made = network.alone(node, [x for x in given if x is not None], own)
            for name, x in zip(node.gives, made, strict=True):
                if name not in values:
                    changed[name] = x
        found.append({name: changed.get(name, known[name]) for name in outputs})
    return found
