"""Side by side: a file and the float file of the same model, run on the same samples, value by value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgekit.diagnose.decibels import noise
from edgekit.diagnose.gains import along_inputs, along_outputs, by_channel, channel_gains
from edgekit.diagnose.matching import Matched, Pair, match
from edgekit.diagnose.network import Array, Grid, Network
from edgekit.diagnose.trace import Trace, trace
from edgekit.samples import Samples

# Own noise that is no rounding's: its value is asked whether its channels were only scaled.
_NOTICED = 1e-3
# What of an error has to go with the channels' gains.
_EXPLAINED = 0.25


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Two files of one model, run on the same samples.

    Channels may be scaled in one file, and scaled back by whatever reads them: so are those of files whose
    channels were equalised. The *gain* of a value is what its channels are multiplied with in the file.

    Attributes:
        file: the file that is looked at.
        plain: the float file.
        matched: which operator is which.
        layers: the Keras model's, by name; empty where it is not known.
        gains: of each value of the file that has some, one a channel.
        own: of each operator, by its number, what it makes of the float file's values; filled on demand.
    """

    file: Trace
    plain: Trace
    matched: Matched
    layers: tuple[str, ...] = ()
    gains: dict[str, Array] = field(default_factory=dict)
    own: dict[int, list[list[Array]] | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        file: Network,
        plain: Network,
        samples: Samples,
        theirs: Samples | None = None,
        layers: Sequence[str] = (),
    ) -> SideBySide:
        """Run both.

        Args:
            file, plain: the networks.
            samples: under the names of the file's inputs, as it takes them.
            theirs: the same under the names of the float file's; None where they are the same names.
            layers: the Keras model's, by name.

        Raises:
            ArtifactError: a file cannot be run so.
        """
        found = trace(plain, samples if theirs is None else theirs)
        ours = trace(file, samples)
        batches = min(len(found.batches), len(ours.batches))
        both = cls(
            Trace(file, ours.batches[:batches]),
            Trace(plain, found.batches[:batches]),
            match(file, plain),
            tuple(layers),
        )
        both._find_gains()
        return both

    @property
    def same_batches(self) -> bool:
        """Whether both take as many samples an inference, so that values can be handed on."""
        return self.file.network.batch == self.plain.network.batch

    @property
    def ends(self) -> dict[str, str]:
        """The float file's values of the file's outputs, by those."""
        return {
            value: self.matched.values[value]
            for value in self.file.network.outputs.values()
            if self.reference(value) is not None
        }

    def reference(self, value: str) -> list[Array] | None:
        """The float file's values of one of the file's, times its gains; None where there are none of that shape."""
        theirs = self.matched.values.get(value)
        if theirs is None or not self.plain.has([theirs]) or not self.file.has([value]):
            return None
        found = self.plain.values(theirs)
        if found[0].shape != self.file.values(value)[0].shape or found[0].dtype.kind not in "fiub":
            return None
        gain = self.gains.get(value)
        return (
            found
            if gain is None
            else [by_channel(x, gain, self.file.network.format) for x in found]
        )

    def alone(self, pair: Pair) -> list[list[Array]] | None:
        """What the file's operator makes of the float file's values, for each inference; None if it cannot."""
        if pair.file.at not in self.own:
            self.own[pair.file.at] = self._alone(pair)
        return self.own[pair.file.at]

    def own_noise(self, pair: Pair) -> float | None:
        """The error that an operator causes itself, as a share of what it tells."""
        reference, alone = self.reference(pair.file.gives[0]), self.alone(pair)
        if reference is None or alone is None:
            return None
        return noise(reference, [each[0] for each in alone])

    def constants(self, pair: Pair) -> dict[int, Array]:
        """The file's constants in the place of the float file's, by slot, without gains: those that differ."""
        theirs = {} if pair.scaled else {c.slot: c for c in pair.plain.constants}
        found = {}
        for constant in pair.file.constants:
            other = theirs.get(constant.slot)
            if other is None or other.values.dtype.kind != "f":
                continue
            values = self._without_gains(pair, constant.slot, constant.values)
            if values.shape != other.values.shape:
                if values.size != other.values.size:
                    continue
                values = values.reshape(other.values.shape)
            if not np.array_equal(values, other.values):
                found[constant.slot] = values.astype(np.float32)
        return found

    def through(self, value: str, x: Array, grids: Sequence[Grid]) -> Array:
        """The float file's values, of one inference, rounded to grids of the file's value."""
        gain, format = self.gains.get(value), self.file.network.format
        if gain is None:
            for grid in grids:
                x = grid.rounded(x)
            return x
        x = by_channel(x, gain, format)
        for grid in grids:
            x = grid.rounded(x)
        return by_channel(x, 1 / gain, format)

    def _alone(self, pair: Pair) -> list[list[Array]] | None:
        given = [self.reference(value) for value in pair.file.takes]
        if not (pair.file.alone and self.same_batches) or any(x is None for x in given):
            return None
        try:
            return [
                self.file.network.alone(pair.file, [x[at] for x in given if x is not None])
                for at in range(len(self.plain.batches))
            ]
        # The interpreters raise both, of an operator that does not stand by itself.
        except (RuntimeError, ValueError):
            return None

    def _without_gains(self, pair: Pair, slot: int, values: Array) -> Array:
        made, given = self.gains.get(pair.file.gives[0]), self.gains.get(pair.file.takes[0])
        format = self.file.network.format
        if slot == 1 and pair.file.weights is not None:
            if given is not None:
                values = along_inputs(pair.file, values, given, format)
            if made is not None:
                values = along_outputs(pair.file, values, 1 / made, format)
        elif slot == 2 and pair.file.bias is not None and made is not None:
            values = values / made.reshape(values.shape) if values.size == made.size else values
        return values

    def _find_gains(self) -> None:
        """Of each value whose channels were scaled and are scaled back where they are read."""
        readers: dict[str, list[Pair]] = {}
        for pair in self.matched.pairs:
            for value in dict.fromkeys(pair.file.takes):
                readers.setdefault(value, []).append(pair)
        for pair in self.matched.pairs:
            value = pair.file.gives[0]
            own = self.own_noise(pair)
            if pair.file.weights is None or own is None or own < _NOTICED or value not in readers:
                continue
            reference, alone = self.reference(value), self.alone(pair)
            assert reference is not None
            assert alone is not None
            made = [each[0] for each in alone]
            gain = channel_gains(reference, made, self.file.network.format)
            if gain is None:
                continue
            scaled = [by_channel(x, gain, self.file.network.format) for x in reference]
            left = noise(scaled, made)
            if left is None or left > _EXPLAINED * own:
                continue
            before = [self.own_noise(each) for each in readers[value]]
            self.gains[value] = gain
            for each in readers[value]:
                self.own.pop(each.file.at, None)
            after = [self.own_noise(each) for each in readers[value]]
            pairs = zip(before, after, strict=True)
            if not all(b is not None and a is not None and a < _EXPLAINED * b for b, a in pairs):
                del self.gains[value]
                for each in readers[value]:
                    self.own.pop(each.file.at, None)
