from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.errors import RecipeError, TensorError
from edgekit.preprocess import (
    STEPS,
    CenterCrop,
    FixedLength,
    LogMel,
    Mfcc,
    Preprocessing,
    Rescale,
    Resize,
    Standardize,
    Step,
)

LOG_MEL = LogMel(16000, 480, 320, 512, 40, 20.0, 4000.0)
EXAMPLES = (
    Rescale(1 / 127.5, -1.0),
    Standardize((1.0, 2.0, 3.0), (4.0, 0.0, 9.0)),
    Resize(8, 6),
    Resize(8, 6, "nearest"),
    CenterCrop(5, 7),
    FixedLength(7),
    LOG_MEL,
    Mfcc(5),
)
sizes = st.integers(1, 24)
values = st.floats(-1000, 1000, width=32)
numeric = st.sampled_from(["uint8", "int8", "int16", "int32", "float16", "float32", "float64"])


@st.composite
def steps(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from(sorted(STEPS)))
    if kind == "rescale":
        return Rescale(draw(values.filter(bool)), draw(values))
    if kind == "standardize":
        count = draw(st.integers(1, 4))
        several = st.lists(values, min_size=count, max_size=count)
        return Standardize(tuple(draw(several)), tuple(abs(v) for v in draw(several)))
    if kind == "resize":
        return Resize(draw(sizes), draw(sizes), draw(st.sampled_from(["bilinear", "nearest"])))
    if kind == "center_crop":
        return CenterCrop(draw(sizes), draw(sizes))
    if kind == "fixed_length":
        return FixedLength(draw(sizes))
    if kind == "mfcc":
        return Mfcc(draw(sizes))
    fft = draw(st.integers(2, 64))
    frame = draw(st.integers(1, fft))
    return LogMel(8000, frame, draw(sizes), fft, draw(sizes), 100.0, draw(st.floats(200, 4000)))


@given(st.lists(steps(), max_size=5))
def test_steps_survive_json(chain: list[Step]) -> None:
    preprocessing = Preprocessing(tuple(chain))
    text = json.dumps(preprocessing.to_json())
    assert Preprocessing.from_json(json.loads(text)) == preprocessing


@given(
    steps(),
    numeric,
    hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=24),
    st.integers(0, 99),
)
def test_a_step_gives_the_shape_it_announces_or_refuses(
    step: Step, dtype: str, shape: tuple[int, ...], seed: int
) -> None:
    preprocessing = Preprocessing((step,))
    x = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    before = x.copy()
    try:
        expected = preprocessing.output_shape(shape)
        result = preprocessing.apply(x)
    except TensorError:
        with pytest.raises(TensorError, match=step.name):
            preprocessing.apply(x)
    else:
        assert result.dtype == np.float32
        assert result.shape == expected
        if step.name != "log_mel":
            assert np.isfinite(result).all()
    assert np.array_equal(x, before)


@given(hnp.arrays(np.uint8, (2, 5, 7, 3)), sizes, sizes)
def test_resizing_stays_between_the_pixels_and_keeps_what_is_flat(x, height, width) -> None:
    bilinear = Resize(height, width).apply(x)
    assert bilinear.min() >= x.min() - 1e-4
    assert bilinear.max() <= x.max() + 1e-4
    assert set(np.unique(Resize(height, width, "nearest").apply(x))) <= set(np.unique(x))
    assert np.array_equal(Resize(5, 7).apply(x), x)
    assert np.array_equal(Resize(5, 7, "nearest").apply(x), x)
    flat = np.full_like(x, 77)
    assert np.all(Resize(height, width).apply(flat) == 77)
    turned = Resize(width, height).apply(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    assert np.allclose(turned, bilinear, atol=1e-3)


def test_resizing_by_hand() -> None:
    x = np.float32([0, 10]).reshape(1, 1, 2, 1)
    assert Resize(1, 4).apply(x).ravel().tolist() == [0, 2.5, 7.5, 10]
    assert Resize(1, 4, "nearest").apply(x).ravel().tolist() == [0, 0, 10, 10]
    assert Resize(1, 1).apply(x).ravel().tolist() == [5]


def test_rescaling_and_standardizing_by_hand() -> None:
    x = np.array([[0, 255]], np.uint8)
    assert Rescale(1 / 127.5, -1).apply(x).tolist() == [[-1, 1]]
    assert Standardize((5.0,), (4.0,)).apply(x).tolist() == [[-2.5, 125]]
    # Where nothing varied, Keras divides by its epsilon instead of zero.
    assert Standardize((0.0, 255.0), (1.0, 0.0)).apply(x + np.uint8([[0, 0]])).tolist() == [[0, 0]]
    assert np.isfinite(Standardize((0.0,), (0.0,)).apply(x)).all()


@given(
    st.integers(1, 4),
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
    st.floats(-1e4, 1e4),
    st.integers(0, 99),
)
def test_fitting_finds_mean_and_variance_however_the_samples_come(
    channels: int, sizes: list[int], offset: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(offset, 3, (size + 1, 2, channels)).astype(np.float32) for size in sizes]
    step = Standardize().fit(iter(parts))
    rows = np.concatenate(parts).reshape(-1, channels).astype(np.float64)
    assert np.allclose(step.mean, rows.mean(0), rtol=1e-9, atol=1e-9)
    assert np.allclose(step.variance, rows.var(0), rtol=1e-6, atol=1e-9)


def test_steps_are_fitted_one_after_the_other() -> None:
    x = np.random.default_rng(0).normal(5, 2, (50, 3)).astype(np.float32)
    chain = Preprocessing((Rescale(10.0), Standardize(), Rescale(2.0), Standardize()))
    assert chain.unfitted == "standardize"
    done = chain.fit(lambda before: [before.apply(x[:20]), before.apply(x[20:])])
    assert done.unfitted is None
    assert np.allclose(done.apply(x).mean(0), 0, atol=1e-5)
    assert np.allclose(done.apply(x).std(0), 1, atol=1e-5)
    assert np.allclose(done.steps[1].mean, 10 * x.mean(0, dtype=np.float64))
    with pytest.raises(TensorError, match="has no mean and variance"):
        chain.apply(x)


def test_a_fixed_length_cuts_or_fills_the_end() -> None:
    x = np.arange(1, 7, dtype=np.int16).reshape(1, 3, 2)
    assert FixedLength(2).apply(x).tolist() == [[[1, 2], [3, 4]]]
    assert FixedLength(4).apply(x).tolist() == [[[1, 2], [3, 4], [5, 6], [0, 0]]]
    assert FixedLength(2).output_shape((None, None)) == (None, 2)


def test_cropping_takes_the_middle() -> None:
    x = np.arange(5 * 4).reshape(1, 5, 4, 1)
    assert CenterCrop(2, 2).apply(x)[0, :, :, 0].tolist() == [[5, 6], [9, 10]]
    assert CenterCrop(1, 3).apply(x)[0, :, :, 0].tolist() == [[8, 9, 10]]


def test_a_louder_signal_shifts_its_log_mel_spectrum() -> None:
    audio = np.random.default_rng(0).normal(size=(3, 16000)).astype(np.float32)
    quiet = dataclasses.replace(LOG_MEL, epsilon=1e-12)
    spectrum = quiet.apply(audio)
    assert spectrum.shape == (3, 1 + (16000 - 480) // 320, 40)
    assert np.allclose(quiet.apply(8 * audio), spectrum + np.log(8), atol=1e-4)
    assert np.array_equal(quiet.apply(audio[1:2]), spectrum[1:2])
    # In which order the matrix product adds up depends, on some processors, on a frame's place: the
    # logarithm of 257 terms in float32 is 257 * 2**-24 off at most.
    shifted = quiet.apply(audio[:, 320:])[:, :10]
    assert np.abs(shifted - spectrum[:, 1:11]).max() < 2 * 257 * 2**-24


def test_a_tone_shows_in_its_mel_bin() -> None:
    time = np.arange(16000, dtype=np.float32) / 16000
    peaks = [
        int(LOG_MEL.apply(np.sin(2 * np.pi * hertz * time)[None]).mean(1).argmax())
        for hertz in (300, 1000, 3000)
    ]
    low, high = (1127 * np.log1p(hertz / 700) for hertz in (20, 4000))
    expected = [
        round((1127 * np.log1p(hertz / 700) - low) / ((high - low) / 41)) - 1
        for hertz in (300, 1000, 3000)
    ]
    assert peaks == expected


def test_silence_is_the_logarithm_of_epsilon() -> None:
    spectrum = LOG_MEL.apply(np.zeros((1, 480), np.float32))
    assert np.array_equal(spectrum, np.full((1, 1, 40), np.log(np.float32(1e-6))))


def test_a_chain_knows_its_shape_with_dynamic_dimensions() -> None:
    chain = Preprocessing((Resize(10, 12), CenterCrop(8, 8), Rescale(1 / 255)))
    assert chain.output_shape((None, 480, 640, 3)) == (None, 8, 8, 3)
    assert chain.output_shape((None, None, None, None)) == (None, 8, 8, None)
    assert Preprocessing((LOG_MEL,)).output_shape((None, None)) == (None, None, 40)
    x = np.zeros((2, 480, 640, 3), np.uint8)
    assert chain.apply(x).shape == (2, 8, 8, 3)
    assert Preprocessing().apply(x).dtype == np.float32


def test_an_empty_batch_stays_empty() -> None:
    assert Resize(4, 4).apply(np.zeros((0, 8, 8, 3))).shape == (0, 4, 4, 3)
    assert LOG_MEL.apply(np.zeros((0, 960))).shape == (0, 2, 40)


def test_strided_read_only_and_list_inputs_give_the_same() -> None:
    x = np.random.default_rng(0).integers(0, 255, (4, 16, 20, 3)).astype(np.uint8)
    view = x[::2, ::-2, 3:17]
    view.setflags(write=False)
    chain = Preprocessing((Resize(9, 5), Rescale(0.5)))
    assert np.array_equal(chain.apply(view), chain.apply(view.copy()))
    assert np.array_equal(chain.apply(view.tolist()), chain.apply(view))


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros((1, 8, 8)), r"resize: received shape \[1, 8, 8\], expected \[batch, height"),
        (np.zeros((1, 0, 8, 1)), "at least one pixel"),
        (np.array(["a"]), "dtype <U1"),
        (np.zeros((1, 8, 8, 1), complex), "dtype complex128"),
        (np.array([None]), "dtype object"),
        (np.float32(1), "batch axis"),
    ],
)
def test_what_a_step_cannot_take_is_refused(x: Any, says: str) -> None:
    with pytest.raises(TensorError, match=says):
        Preprocessing((Resize(4, 4),)).apply(x)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TensorError, match="at least 5 x 7 pixels"):
        CenterCrop(5, 7).apply(np.zeros((1, 4, 9, 1)))
    with pytest.raises(TensorError, match=r"received shape \[1, 479\].*480 or more"):
        LOG_MEL.apply(np.zeros((1, 479)))
    with pytest.raises(TensorError, match=r"\[batch, ..., 3\]"):
        Standardize((1.0, 2.0, 3.0), (1.0, 1.0, 1.0)).apply(np.zeros((1, 2)))
    with pytest.raises(TensorError, match="5 bins to 4096"):
        Mfcc(5).apply(np.zeros((1, 2, 4)))
    with pytest.raises(TensorError, match=r"fixed_length: .*\[batch, time"):
        FixedLength(5).apply(np.zeros(3))


@pytest.mark.parametrize(
    ("cls", "changes", "says"),
    [
        (Rescale, {"scale": 0.0}, "rescale: scale: received 0.0"),
        (Rescale, {"scale": float("nan")}, "scale: received nan"),
        (Rescale, {"offset": 1e39}, "offset: received 1e.39"),
        (Standardize, {"mean": ()}, "mean: received"),
        (Standardize, {"variance": (1.0,)}, "3 numbers, as many as mean"),
        (Standardize, {"variance": ()}, "3 numbers, as many as mean"),
        (Standardize, {"variance": (1.0, -1.0, 1.0)}, "numbers from 0"),
        (Resize, {"height": 0}, "height: received 0"),
        (Resize, {"width": 1 << 24}, "width: received 16777216"),
        (Resize, {"method": "biliner"}, "Did you mean 'bilinear'"),
        (CenterCrop, {"width": True}, "width: received True"),
        (FixedLength, {"length": 0}, "length: received 0"),
        (Mfcc, {"coefficients": 1 << 13}, "coefficients: received 8192"),
        (LogMel, {"frame_length": 513}, "1 to 512, which is fft_length"),
        (LogMel, {"fft_length": 1 << 17}, "fft_length: received 131072"),
        (LogMel, {"frame_step": 0}, "frame_step: received 0"),
        (LogMel, {"mel_bins": 1 << 20}, "mel_bins: received 1048576"),
        (LogMel, {"upper_hz": 8001.0}, "half the sample rate, 8000"),
        (LogMel, {"lower_hz": 4000.0}, "below upper_hz"),
        (LogMel, {"epsilon": 1e-60}, "epsilon: received 1e-60, expected a positive"),
    ],
)
def test_bad_values_are_refused(cls: type[Step], changes: dict[str, Any], says: str) -> None:
    good = next(step for step in EXAMPLES if type(step) is cls)
    with pytest.raises(RecipeError, match=says):
        dataclasses.replace(good, **changes)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({}, "expected a list"),
        (["rescale"], r"preprocessing\[0\]: received 'rescale', expected a table"),
        ([{"scale": 1.0}], "a key 'step'"),
        ([{"step": "rescal", "scale": 1.0}], "unknown step 'rescal'.*Did you mean 'rescale'"),
        ([{"step": "rescale", "scal": 1.0}], r"\[0\].scal'.*Did you mean 'scale'"),
        ([{"step": "rescale"}], r"key 'preprocessing\[0\].scale' is missing"),
        ([{"step": "rescale", "scale": "1"}], "expected float"),
        ([{"step": "rescale", "scale": 10**400}], "beyond all bounds"),
        ([{"step": "resize", "height": 10**400, "width": 1}], "height: received 1000"),
        ([{"step": "standardize", "mean": 1.0, "variance": [1.0]}], "expected a list"),
    ],
)
def test_json_that_is_none_of_ours_is_refused(value: Any, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        Preprocessing.from_json(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(st.sampled_from(EXAMPLES), st.data(), st.lists(json_values, max_size=3), st.text(max_size=3))
def test_any_json_is_read_or_refused(
    step: Step, data: st.DataObject, others: list[Any], key: str
) -> None:
    table = step.to_json()
    for other in others:
        table[data.draw(st.sampled_from([*table, key]))] = other
    try:
        read = Preprocessing.from_json([table])
    except RecipeError:
        return
    assert Preprocessing.from_json(json.loads(json.dumps(read.to_json()))) == read


def test_only_steps_make_a_chain() -> None:
    with pytest.raises(RecipeError, match="expected a step"):
        Preprocessing(("rescale",))  # type: ignore[arg-type]
