from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.tune.early_stopping import behind

PEERS = [[0.5, 0.6], [0.5, 0.7], [0.5, 0.8], [0.5, 0.9]]
shares = st.floats(0, 1)
curves = st.lists(st.lists(shares, min_size=4, max_size=4), min_size=4, max_size=8)


@pytest.mark.parametrize(
    ("own", "peers", "epochs", "many", "expected"),
    [
        ([0.4, 0.74], PEERS, 4, False, True),
        ([0.4, 0.76], PEERS, 4, False, False),
        # Its best so far counts.
        ([0.76, 0.1], PEERS, 4, False, False),
        # Too few others, too early, or nobody came so far.
        ([0.4, 0.1], PEERS[:3], 4, False, False),
        ([0.1], PEERS, 4, False, False),
        ([0.1, 0.1, 0.1], PEERS, 4, False, False),
        # Of several objectives, all others have to be better, and there have to be many.
        ([0.4, 0.61], PEERS * 2, 4, True, False),
        ([0.4, 0.59], PEERS * 2, 4, True, True),
        ([0.4, 0.59], PEERS, 4, True, False),
        ([0.4, 0.59], [], 4, True, False),
    ],
)
def test_the_rule(
    own: list[float], peers: list[list[float]], epochs: int, many: bool, expected: bool
) -> None:
    assert behind(own, peers, epochs, many) is expected


@given(curves, st.booleans())
def test_the_best_of_all_goes_on(peers: list[list[float]], many: bool) -> None:
    best = [max(peer[epoch] for peer in peers) for epoch in range(4)]
    assert not any(behind(best[:done], peers, 4, many) for done in range(1, 5))
