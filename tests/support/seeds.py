"""Where a test and a fixture begin to draw from: the same place in every run, another for another seed.

Keras draws the seeds of layers that were given none from `random`. What tests build is the same in every
order and process so; ``EDGEKIT_TEST_SEED`` (0) moves all of it, and the tests have to pass with any.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator
from typing import Any

import pytest

SEED = os.environ.get("EDGEKIT_TEST_SEED", "0")


def seed(place: str) -> None:
    """Let `random` begin at what belongs to `place`, and numpy's old generator, that tf_keras draws from."""
    import numpy as np

    random.seed(f"{SEED} {place}")
    np.random.seed(random.getrandbits(32))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    seed(f"{fixturedef.baseid} {fixturedef.argname} {getattr(request, 'param_index', 0)}")
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    seed(item.nodeid)
    return (yield)
