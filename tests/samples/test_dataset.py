from __future__ import annotations

import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.errors import SamplesError
from edgekit.samples import Samples


@pytest.fixture(scope="module")
def tf() -> Any:
    return needs.package("tensorflow")


X = np.random.default_rng(0).random((10, 4, 3), np.float32)
Y = np.arange(10) % 3


def make(tf: Any, content: Any, batch: int | None = 4) -> Any:
    dataset = tf.data.Dataset.from_tensor_slices(content)
    return dataset if batch is None else dataset.batch(batch)


def test_batches_and_single_samples_become_the_same(
    tf: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one = Samples.from_dataset(make(tf, (X, Y)))
    two = Samples.from_dataset(make(tf, (X, Y), None), batched=False)
    for samples in (one, two):
        assert isinstance(samples.inputs["x"], np.memmap)
        assert np.array_equal(samples.inputs["x"], X)
        assert np.array_equal(samples.labels, Y)
        assert samples.class_labels is not None
    assert list(tmp_path.iterdir()) == []


def test_names_texts_and_one_hot_labels(tf: Any) -> None:
    pair = Samples.from_dataset(make(tf, {"a": X, "b": X[:, 0]}))
    assert list(pair.inputs) == ["a", "b"]
    assert pair.labels is None
    texts = Samples.from_dataset(make(tf, (X, np.array(list("cabcabcabc")))))
    assert texts.class_names == ("a", "b", "c")
    assert texts.labels.tolist() == [2, 0, 1] * 3 + [2]
    one_hot = Samples.from_dataset(make(tf, (X, np.eye(3, dtype=np.float32)[Y])))
    assert one_hot.labels.tolist() == Y.tolist()
    masks = Samples.from_dataset(make(tf, (X, X)))
    assert np.array_equal(masks.labels, X)
    dataset = make(tf, (X, Y))
    dataset.class_names = ["x", "y", "z"]
    assert Samples.from_dataset(dataset).class_names == ("x", "y", "z")


def test_datasets_that_are_none(tf: Any) -> None:
    for content, options, says in (
        (make(tf, (X, Y)).repeat(), {}, "no end"),
        (make(tf, (X, Y)).take(0), {}, "empty"),
        (make(tf, (X, Y), None), {}, "Give batched=False|batched=False"),
        (make(tf, (X, Y, Y)), {}, "elements of 3 parts"),
        (make(tf, ((X, X), Y)), {}, "received tuple, expected a tensor"),
        (make(tf, np.array(list("ab"))), {}, "expected numbers"),
        ([X], {}, "received list, expected a tf.data.Dataset"),
    ):
        with pytest.raises(SamplesError, match=says):
            Samples.from_dataset(content, **options)
    sizes = tf.data.Dataset.from_generator(
        lambda: (np.zeros((i, 2), np.float32) for i in (1, 2)),
        output_signature=tf.TensorSpec((None, 2)),
    )
    with pytest.raises(SamplesError, match=r"\[2, 2\] and dtype float32 after 1 of \[1, 2\]"):
        Samples.from_dataset(sizes, batched=False)


def test_no_room_for_the_file_is_said(tf: Any) -> None:
    dataset = make(tf, (X, Y))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (X.nbytes - 1, before[1]))
    try:
        with pytest.raises(SamplesError, match=r"File too large.*TMPDIR"):
            Samples.from_dataset(dataset)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
