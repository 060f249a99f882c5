from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import SamplesError, UsageError
from edgekit.samples import Samples, load_samples
from edgekit.samples.labels import numbered, understood


@given(st.lists(st.text(min_size=1, max_size=3) | st.integers(0, 30).map(str), min_size=1))
def test_words_are_numbered_in_order(words: list[str]) -> None:
    numbers, names = numbered(words)
    assert [names[i] for i in numbers] == words
    assert len(set(names)) == len(names) == len(set(words))


def test_names_that_are_numbers_are_in_the_order_of_numbers() -> None:
    assert numbered(["10", "9", "010"])[1] == ("9", "010", "10")
    assert numbered(["10", "9", "x"])[1] == ("10", "9", "x")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([[0.0, 1.0], [1.0, 0.0]]), [1, 0]),
        (np.array([[0, 0, 1], [1, 0, 0]], np.uint8), [2, 0]),
        (np.array([[False, True]]), [1]),
        (np.array([True, False]), [1, 0]),
        (np.array([[3], [1]]), [3, 1]),
        (np.array([b"b", b"a"]), [1, 0]),
    ],
)
def test_usual_forms_become_class_numbers(labels: np.ndarray, expected: list[int]) -> None:
    numbers, _ = understood(labels)
    assert numbers.dtype.kind == "i"
    assert numbers.tolist() == expected


@pytest.mark.parametrize(
    "labels",
    [
        np.array([1.0, 2.0]),
        np.array([[1.0], [2.0]]),
        np.array([[1, 1], [0, 1]]),
        np.array([[0.5, 0.5]]),
        np.zeros((2, 3)),
        np.eye(3)[None],
    ],
)
def test_everything_else_is_left_as_it_is(labels: np.ndarray) -> None:
    assert understood(labels) == (labels, ())


def test_texts_in_an_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.array(["dog", "cat", "dog"]))
    samples = load_samples(tmp_path / "a.npz")
    assert samples.labels.tolist() == [1, 0, 1]
    assert samples.class_names == ("cat", "dog")
    np.savez(tmp_path / "b.npz", x=np.zeros((2, 2)), y=np.array([["a", "b"], ["a", "b"]]))
    with pytest.raises(SamplesError, match=r"texts of shape \[2, 2\]"):
        load_samples(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", x=np.zeros((1, 2)), y=np.array([b"\xff"]))
    with pytest.raises(SamplesError, match="not UTF-8"):
        load_samples(tmp_path / "c.npz")


def test_names_are_saved_and_read_back(tmp_path: Path) -> None:
    samples = Samples({"x": np.zeros(3)}, np.array([0, 2, 0]), ("b", "a", "c"))
    samples.save(tmp_path / "a.npz")
    back = load_samples(tmp_path / "a.npz")
    assert back.class_names == ("b", "a", "c")
    assert back.labels.tolist() == [0, 2, 0]
    assert list(back.inputs) == ["x"]


def test_a_column_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "iris.csv"
    path.write_text("species,length,y\nrose,1,5\niris,2,6\n", "utf-8-sig")
    named = load_samples(path, target="species")
    assert named.inputs["x"].tolist() == [[1, 5], [2, 6]]
    assert (named.labels.tolist(), named.class_names) == ([1, 0], ("iris", "rose"))
    with pytest.raises(SamplesError, match=r"no column 'spices'.*Did you mean 'species'"):
        load_samples(path, target="spices")
    with pytest.raises(
        SamplesError, match=r"line 2: column 'species': received 'rose', expected a number\.$"
    ):
        load_samples(path)
    with pytest.raises(UsageError, match=r"target: received 'a' for .*expected a \.csv"):
        load_samples(tmp_path, target="a")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,a,y\n1,2,3\n", "column 'a' twice"),
        ("y\n1\n", "no column beside 'y'"),
        ("a,y\n1,\n", "line 2: has no 'y'"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SamplesError, match=says):
        load_samples(tmp_path / "a.csv")


def test_names_belong_to_class_labels() -> None:
    x = {"x": np.zeros(3)}
    for labels in (None, np.zeros(3), np.zeros((3, 2), int)):
        with pytest.raises(SamplesError, match="received the class names a, b, expected class"):
            Samples(x, labels, ("a", "b"))
    with pytest.raises(SamplesError, match="received 2 at sample 1"):
        Samples(x, np.array([0, 2, 1]), ("a", "b"))


@given(st.permutations("abcd"), st.lists(st.integers(0, 2), min_size=1, max_size=9))
def test_classes_in_another_order_keep_their_names(order: list[str], labels: list[int]) -> None:
    names = ("c", "a", "b")
    samples = Samples({"x": np.zeros(len(labels))}, np.array(labels), names)
    made = samples.for_classes(order)
    assert [order[i] for i in made.labels] == [names[i] for i in labels]
    assert made.class_names == tuple(order)
    assert samples.for_classes(()) is samples
    assert replace(samples, class_names=()).for_classes(order).labels.tolist() == labels
    with pytest.raises(SamplesError, match="class 'b': the model has no such class"):
        samples.for_classes(["a", "c"])
