"""Matching: which operator of a file is which of another, and which value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from edgekit.diagnose.network import Network, Node, kernel_rows

# Activations that the lower or the upper end of integers can stand for.
_CLIPS = ("RELU", "RELU6", "Clip")
# And what is multiplied and added behind a layer with a kernel.
_JOINED = frozenset({*_CLIPS, "ADD", "BatchNormalization", "MUL", "SUB"})


@dataclass(frozen=True)
class Pair:
    """An operator in both files.

    Attributes:
        file, plain: the operator in the file that is looked at, and in the other.
        joined: operators of the other behind it that the file has in this one: an activation that the ends of
            integers stand for, and a batch normalisation.
    """

    file: Node
    plain: Node
    joined: tuple[Node, ...] = ()

    @property
    def scaled(self) -> bool:
        """Whether the file's kernel holds a factor that the other's does not."""
        return any(node.op not in (*_CLIPS, "ADD", "SUB") for node in self.joined)


@dataclass(frozen=True)
class Matched:
    """Two files side by side.

    Attributes:
        pairs: in the order of the file that is looked at.
        values: of that file's values, the other's.
        extra: its operators that the other does not have.
        missing: those of the other that it does not have.
    """

    pairs: tuple[Pair, ...]
    values: Mapping[str, str]
    extra: tuple[Node, ...]
    missing: tuple[Node, ...]


def match(file: Network, plain: Network) -> Matched:
    """Find each operator of `file` in `plain`: by the name of what it gives, else by its place.

    Names are those of tensors, which one converter gives alike to all files of a model. What has no
    name in common is aligned as a sequence of operators and the sizes of their kernels, as a line of
    text is with its later version.
    """
    theirs = {node.name: node for node in plain.nodes}
    single = _once(plain.nodes) & _once(file.nodes) if file.format == plain.format else set()
    found = {
        node.at: theirs[node.name]
        for node in file.nodes
        if node.name in single and theirs[node.name].op == node.op
    }
    taken = {node.at for node in found.values()}
    ours = [node for node in file.nodes if node.at not in found]
    free = [node for node in plain.nodes if node.at not in taken]
    keys = [_key(node, file) for node in ours], [_key(node, plain) for node in free]
    for block in SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks():
        for step in range(block.size):
            found[ours[block.a + step].at] = free[block.b + step]
    taken = {node.at for node in found.values()}
    values = _inputs(file, plain)
    for at, node in found.items():
        values.update(zip(file.nodes[at].gives, node.gives, strict=False))
    missing = [node for node in plain.nodes if node.at not in taken]
    joined = {at: tuple(_chain(node.gives[0], plain, missing)) for at, node in found.items()}
    values.update(
        (file.nodes[at].gives[0], each[-1].gives[0]) for at, each in joined.items() if each
    )
    inside = {node.at for each in joined.values() for node in each}
    return Matched(
        tuple(
            Pair(node, found[node.at], joined[node.at]) for node in file.nodes if node.at in found
        ),
        values,
        tuple(node for node in file.nodes if node.at not in found),
        tuple(node for node in missing if node.at not in inside),
    )


def _chain(value: str, plain: Network, missing: Sequence[Node]) -> Iterator[Node]:
    """The operators behind a value that a quantised file has inside of the one before."""
    while True:
        readers = [node for node in plain.nodes if value in node.takes]
        if len(readers) != 1 or readers[0] not in missing or readers[0].op not in _JOINED:
            return
        if readers[0].op not in _CLIPS and not readers[0].constants:
            return
        yield readers[0]
        value = readers[0].gives[0]


def _inputs(file: Network, plain: Network) -> dict[str, str]:
    """The inputs by the names that callers use; by their order where those differ."""
    if set(file.inputs) <= set(plain.inputs):
        return {value: plain.inputs[name] for name, value in file.inputs.items()}
    return dict(zip(file.inputs.values(), plain.inputs.values(), strict=False))


def _once(nodes: Sequence[Node]) -> set[str]:
    counts = Counter(node.name for node in nodes)
    return {name for name, count in counts.items() if count == 1}


def _key(node: Node, network: Network) -> tuple[str, tuple[int, ...]]:
    rows = kernel_rows(node, network.format)
    return node.op, () if rows is None else rows.shape
