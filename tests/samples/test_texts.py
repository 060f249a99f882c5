"""Texts in every dtype that numpy has for them become one."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.errors import SamplesError, TensorError
from edgekit.samples import Samples
from edgekit.tensor import TensorSpec

WORDS = [["cat", "Größe"], ["", "two words"]]
FORMS = {
    "str": np.array(WORDS),
    "objects": np.array(WORDS, object),
    "bytes": np.array([[w.encode() for w in row] for row in WORDS], object),
    "both": np.array([[WORDS[0][0].encode(), WORDS[0][1]], WORDS[1]], object),
}
# Of numpy 2.
if hasattr(np.dtypes, "StringDType"):
    FORMS["StringDType"] = np.array(WORDS, np.dtypes.StringDType())


@pytest.mark.parametrize("given", FORMS.values(), ids=FORMS)
def test_forms_of_texts(given: np.ndarray) -> None:
    x = Samples({"text": given}).inputs["text"]
    assert x.dtype.kind == "U"
    assert x.tolist() == WORDS


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.array([1.5, 2], object), "astype"),
        (np.array([[1, 2], None], object), "list in it"),
        (np.array([b"\xff"], object), "UTF-8"),
    ],
)
def test_objects_that_are_no_texts(given: np.ndarray, words: str) -> None:
    with pytest.raises(SamplesError, match=words):
        Samples({"x": given})


def test_samples_without_values() -> None:
    spec = TensorSpec("x", "float32", (None, None, 2))
    with pytest.raises(TensorError, match="hold no values"):
        Samples({"x": np.ones((3, 0, 2), np.float32)}).for_inputs([spec])


def test_samples_under_the_names_of_the_model() -> None:
    x = np.ones((3, 2), np.float32)
    samples = Samples({"my-input": x}).for_inputs([TensorSpec("my_input", "float32", (None, 2))])
    assert list(samples.inputs) == ["my_input"]
