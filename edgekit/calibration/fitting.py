"""Fitting: integer files fitted to calibration samples, and whether that helped on others.

Files are fitted with and without equalised channels, and the one is kept whose outputs follow the float
file best on samples that nothing was fitted to; the file as it was is one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.equalise import gains_of
from edgekit.calibration.layer_fit import Fitted
from edgekit.calibration.lost import judged_at
from edgekit.calibration.mixed import Attempt
from edgekit.calibration.probes import Probe, batches
from edgekit.calibration.sequence import File, Gain, Targets, fit_file
from edgekit.formats.graph import Graph
from edgekit.manifest import Fit
from edgekit.samples import Samples

# Samples to fit to where there are enough, the fewest, and bytes that an integer file's tensors may take.
_MOST, _ENOUGH, _BYTES = {"default": 256, "best": 512}, 64, 1 << 28
# The most rows of a layer.
_ROWS = {"default": 8000, "best": 24000}
_FEWEST = 8
# The share of samples that is held out.
_HELD = 0.2
# Samples that are judged by, where there are more than it is fitted to.
_JUDGED = 256
# What equalised channels have to bring so that it is not tried without them, in dB.
_CLEAR = 3.0


class Fitting(File, Protocol):
    """An integer file that can be finished."""

    def finished(self) -> Attempt:
        """What is done to every file at last, and the file then."""
        ...


class Judge:
    """How well outputs follow the float file's, on samples that nothing was fitted to.

    Args:
        graph: of the float file.
        plain: shows the tensors that it is judged at.
        samples: to judge by.
    """

    def __init__(self, graph: Graph, plain: Probe, samples: Samples) -> None:
        # Texts, such as the names of classes, are no numbers that could be off.
        self._names = {tensor.name for tensor in judged_at(graph) if tensor.dtype != "string"}
        self._given = list(batches(samples, plain.batch))
        self._wanted = [self._shown(plain, inputs, {}) for inputs in self._given]

    def errors(self, attempt: Attempt) -> NDArray[np.float64] | None:
        """Of each output and batch, the mean square of what is off, as a share of how far the output
        moves, shape (outputs, batches); None where the file does not show an output."""
        made = [self._shown(attempt.probe, inputs, attempt.names) for inputs in self._given]
        rows = []
        for name in sorted(self._names):
            if not all(name in each for each in (*made, *self._wanted)):
                return None
            wanted = [each[name] for each in self._wanted]
            off = [np.mean((a[name] - b) ** 2) for a, b in zip(made, wanted, strict=True)]
            moves = np.concatenate([each.reshape(-1, each.shape[-1]) for each in wanted]).var(0)
            rows.append(np.array(off) / max(float(moves.mean()), 1e-30))
        if not rows:
            return None
        return np.maximum(np.array(rows), 1e-20)

    def _shown(
        self, probe: Probe, inputs: dict[str, NDArray[Any]], names: Mapping[str, str]
    ) -> dict[str, NDArray[np.float64]]:
        found: dict[str, NDArray[np.float64]] = {}

        def look(name: str, values: NDArray[Any]) -> None:
            if (plain := names.get(name, name)) in self._names:
                found[plain] = np.atleast_1d(values.astype(np.float64))

        probe.run(inputs, look)
        return found


def decibels(errors: NDArray[np.float64]) -> float:
    """The mean SQNR of outputs, in dB."""
    return float(-10 * np.log10(errors.mean(1)).mean())


def gained(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """By how much outputs follow better, in dB.

    The mean over samples of what each gains: one that went wrong does not decide.
    """
    return float((10 * np.log10(before / after)).mean())


def follows_better(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    """Whether outputs follow better, by the mean of samples and by their mean error."""
    return gained(before, after) > 0 and decibels(after) >= decibels(before)


def fitted(
    graph: Graph,
    plain: Callable[[set[str]], Probe],
    before: Attempt,
    begin: Callable[[], Fitting],
    samples: Samples,
    seed: int,
    quality: str,
) -> tuple[Attempt, Fit]:
    """The file that follows best, and what the manifest says of it.

    Args:
        graph: of the float file.
        plain: opens it, so that it shows these tensors.
        before: the integer file without the fit.
        begin: makes it anew, to be fitted.
        samples: to fit to and to judge by, under the files' input names; some of them, where there are
            many.
        seed: of that choice, and of the places that are looked at.
        quality: ``"fast"`` leaves the file as it was; ``"best"`` looks at more than ``"default"``.
    """
    best, about = _fitted(graph, plain, before, begin, samples, seed, quality)
    return best, {"quality": quality, **about}


def _fitted(
    graph: Graph,
    plain: Callable[[set[str]], Probe],
    before: Attempt,
    begin: Callable[[], Fitting],
    samples: Samples,
    seed: int,
    quality: str,
) -> tuple[Attempt, Fit]:
    if quality == "fast":
        return before, Fit(reason="quality is fast")
    first = begin()
    if not first.layers:
        return before, Fit(reason="no layer has weights in integers of its own")
    if len(samples) < _FEWEST:
        reason = f"{len(samples)} calibration samples are too few to fit to, expected {_ENOUGH}"
        return before, Fit(reason=reason)
    count = min(len(samples), max(_ENOUGH, min(_MOST[quality], _BYTES // max(first.path.peak, 1))))
    # Few samples tell nothing if some of them are held out.
    held = int(count * _HELD) if count >= _ENOUGH else 0
    order = np.random.default_rng(seed).permutation(len(samples))
    few = samples[order[:count]]
    others = samples[order[count - held : count + _JUDGED]] if held else few
    ends = {tensor.name for tensor in judged_at(graph)}
    judge = Judge(graph, plain(ends), others)
    shown = plain({layer.given[1] for layer in first.layers})
    targets = Targets(shown, first.layers, few, seed, _ROWS[quality])
    off = judge.errors(before)
    if off is None:
        return before, Fit(reason="its outputs cannot be compared with the float file's")
    level = decibels(off)
    about = Fit(
        samples=count - held,
        held_out=len(others) if held else 0,
        sqnr_db=level,
        sqnr_db_before=level,
    )
    about["reason"] = "outputs did not follow better on held-out samples"
    best = before
    gains = gains_of(first, targets) if held else {}
    for some in (gains, {}) if gains else ({},):
        file = begin()
        found = fit_file(file, targets, held / count, some)
        attempt = file.finished()
        follows = judge.errors(attempt)
        if follows is None:
            continue
        gain = gained(off, follows)
        if follows_better(off, follows):
            best, off = attempt, follows
            about = _account(about, found, some, decibels(follows))
        if gain > _CLEAR and quality != "best":
            break
    return best, about


def _account(
    about: Fit, found: Mapping[str, Fitted], gains: Mapping[str, Gain], level: float
) -> Fit:
    """What the manifest says of a fit that is kept."""
    kept = Counter(name for layer in found.values() for name in layer.kept)
    return Fit(
        samples=about["samples"],
        held_out=about["held_out"],
        layers=len(found),
        kept=dict(sorted(kept.items())),
        equalised=sum(gain.outputs is not None for gain in gains.values()),
        sqnr_db=level,
        sqnr_db_before=about["sqnr_db_before"],
    )
