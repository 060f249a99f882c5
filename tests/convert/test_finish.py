"""What a finished file is tried with first."""

from __future__ import annotations

import numpy as np

from edgekit.convert.finish import _zeros
from edgekit.tensor import TensorSpec


def test_every_input_gets_the_zero_of_its_kind() -> None:
    specs = (
        TensorSpec("image", "float32", (1, None, 3)),
        TensorSpec("ids", "int64", (2,)),
        TensorSpec("word", "object", (1, 1)),
    )
    given = _zeros(specs, 4)
    assert {name: (x.dtype, x.shape) for name, x in given.items()} == {
        "image": (np.float32, (1, 4, 3)),
        "ids": (np.int64, (2,)),
        "word": (np.dtype(object), (1, 1)),
    }
    assert not given["image"].any()
    assert not given["ids"].any()
    # A number would be no text.
    assert given["word"].tolist() == [[""]]
