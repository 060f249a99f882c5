from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.errors import SamplesError
from edgekit.samples import load_samples

HEADER = """# What people say about it.
@problemName Motions
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength true
@seriesLength 3
@classLabel true Standing Running
@data
"""
LINES = "1,2,3:4,5,6:Running\n-1.5,.5,1e-3:+0,7.,8:Standing\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "a.ts"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_series_of_channels(tmp_path: Path) -> None:
    samples = load_samples(write(tmp_path, HEADER + LINES))
    x = samples.inputs["x"]
    assert x.dtype == np.float32
    assert (
        x.tolist()
        == np.float32([[[1, 4], [2, 5], [3, 6]], [[-1.5, 0], [0.5, 7], [0.001, 8]]]).tolist()
    )
    assert samples.class_names == ("Standing", "Running")
    assert samples.labels.tolist() == [1, 0]


def test_without_classes_and_with_a_target(tmp_path: Path) -> None:
    plain = "@univariate true\n@classLabel false\n@data\n1,2\n3,4\n"
    samples = load_samples(write(tmp_path, plain))
    assert samples.inputs["x"].shape == (2, 2, 1)
    assert samples.labels is None
    samples = load_samples(write(tmp_path, "@targetLabel true\n@data\n1,2:0.5\n3,4:7\n"))
    assert samples.labels.tolist() == [0.5, 7.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no line '@data'"),
        (HEADER, "no samples below"),
        ("1,2:a\n", "line 1: received '1,2:a'"),
        ("@colour red\n@data\n", "line 1: .*'@colour red'"),
        ("@missing perhaps\n", "line 1: .*'@missing perhaps'"),
        ("@missing true\n@data\n1:a\n", "missing values"),
        ("@timeStamps true\n@data\n", "time stamps"),
        ("@equalLength false\n@data\n", "unequal lengths"),
        ("@classLabel true a a\n@data\n", "one twice"),
        ("@classLabel true\n@data\n", "without names"),
        (HEADER + "1,2,3:4,5:Running\n", "line 11: received channels of 2 to 3 values"),
        (HEADER + "1,2,3:Running\n", "line 11: received 1 channels of 3.*expected 2 channels of 3"),
        (HEADER + "1,2:3,4:Running\n", "expected 2 channels of 3"),
        (HEADER + LINES + "1,2,3:4,5,x:Running\n", "line 13: received 'x', expected a number"),
        (HEADER + "1,2,3:4,5,?:Running\n", r"received '\?'"),
        (HEADER + "1,2,3:4,5,nan:Running\n", "received 'nan'"),
        (HEADER + "1,2,3:4,5,1_0:Running\n", "received '1_0'"),
        (HEADER + "1,2,3:4,5,1e99:Running\n", "beyond what float32 holds"),
        (HEADER + "1,2,3:4,5,6:running\n", "received the class 'running'"),
        (HEADER + "Running\n", "a label alone"),
        ("@classLabel false\n@data\n1,2\n1,2,3\n", "line 4: .*as in the first sample"),
        ("@targetLabel true\n@data\n1,2:soon\n", "received the target 'soon'"),
    ],
)
def test_what_is_not_as_it_says_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SamplesError, match=rf"a\.ts: .*{says}"):
        load_samples(write(tmp_path, text))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_bytes(b"@data\n\xff\xfe\n")
    with pytest.raises(SamplesError, match=r"a\.ts: cannot be read"):
        load_samples(tmp_path / "a.ts")


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=4),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
    st.data(),
)
def test_what_is_written_is_read_back(tmp_path_factory, x: np.ndarray, data: st.DataObject) -> None:
    names = data.draw(
        st.lists(
            st.text("abcXYZ019-_", min_size=1, max_size=4), min_size=1, max_size=3, unique=True
        )
    )
    labels = [data.draw(st.integers(0, len(names) - 1)) for _ in x]
    lines = [f"@dimensions {x.shape[2]}", f"@classLabel true {' '.join(names)}", "@data"]
    for sample, label in zip(x, labels, strict=True):
        channels = [",".join(repr(float(v)) for v in channel) for channel in sample.T]
        lines.append(":".join([*channels, names[label]]))
    samples = load_samples(write(tmp_path_factory.getbasetemp(), "\n".join(lines)))
    assert np.array_equal(samples.inputs["x"], x)
    assert samples.labels.tolist() == labels
    assert samples.class_names == tuple(names)


@given(st.lists(st.text("@data:,.0123456789eE+-?# \nabclmistruefalssLb", max_size=30), max_size=6))
def test_any_text_is_read_or_refused(tmp_path_factory, pieces: list[str]) -> None:
    text = "\n".join(["@classLabel true a b", *pieces[:2], "@data", *pieces[2:]])
    try:
        samples = load_samples(write(tmp_path_factory.getbasetemp(), text))
    except SamplesError:
        return
    assert np.isfinite(samples.inputs["x"]).all()
    assert samples.inputs["x"].ndim == 3
    assert set(samples.labels) <= {0, 1}


def test_the_archives_own_files(data_dir: Path) -> None:
    for part in ("TRAIN", "TEST"):
        samples = load_samples(data_dir / "timeseries" / "BasicMotions" / f"BasicMotions_{part}.ts")
        assert samples.inputs["x"].shape == (40, 100, 6)
        assert samples.class_names == ("Standing", "Running", "Walking", "Badminton")
        assert np.bincount(samples.labels).tolist() == [10] * 4
    folder = data_dir / "timeseries" / "ItalyPowerDemand"
    samples = load_samples(folder / "ItalyPowerDemand_TEST.ts")
    assert samples.inputs["x"].shape == (1029, 24, 1)
    assert samples.class_names == ("1", "2")
