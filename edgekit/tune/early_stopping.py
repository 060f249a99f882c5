"""When a trial is given up: one rule for a single objective and one for several."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

# Fewer trials say nothing about what is usual, or about how far down a Pareto front reaches.
_MIN_PEERS = 4
_MIN_PEERS_OF_MANY = 8
# The share of epochs in which nobody is judged: what learns slowly may end well.
_GRACE = 0.25


def behind(own: Sequence[float], peers: Sequence[Sequence[float]], epochs: int, many: bool) -> bool:
    """Whether a trial is so far behind others that it is given up.

    For one objective, the median rule of Golovin et al., "Google Vizier: A Service for Black-Box
    Optimization", 2017: its best so far is below the median of the others' best by the same epoch.
    For several objectives it must be below every one of the others: a small network may be less
    accurate than most and still belong on the Pareto front.

    Args:
        own: validation accuracy after each epoch so far.
        peers: those of trials that ended well.
        epochs: how many the trial may have.
        many: whether there are several objectives.
    """
    done = len(own)
    known = [max(peer[:done]) for peer in peers if len(peer) >= done]
    if done <= _GRACE * epochs or len(known) < (_MIN_PEERS_OF_MANY if many else _MIN_PEERS):
        return False
    return max(own) < (min(known) if many else median(known))
