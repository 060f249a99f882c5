from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import SamplesError
from edgekit.samples.wav import read_wav, wav_header

from .conftest import FLOAT, PCM, Write, wav_bytes


@pytest.mark.parametrize(
    ("kind", "bits", "stored", "expected"),
    [
        (PCM, 8, [0, 128, 255], [-1, 0, 127 / 128]),
        (PCM, 16, [-32768, 0, 32767], [-1, 0, 32767 / 32768]),
        (PCM, 24, [-(1 << 23), -1, 8388607], [-1, -1 / (1 << 23), 8388607 / 8388608]),
        (PCM, 32, [-(1 << 31), 0, 1 << 30], [-1, 0, 0.5]),
        (FLOAT, 32, [-1.5, 0, 0.25], [-1.5, 0, 0.25]),
        (FLOAT, 64, [-1.5, 0, 0.25], [-1.5, 0, 0.25]),
    ],
)
@pytest.mark.parametrize("extensible", [False, True])
def test_each_kind_of_values(
    write_wav: Write, kind: int, bits: int, stored: list, expected: list, extensible: bool
) -> None:
    path = write_wav("a.wav", stored, kind=kind, bits=bits, extensible=extensible)
    values = read_wav(path)
    assert values.dtype == np.float32
    assert values.tolist() == np.float32(expected).tolist()


def test_the_standard_library_agrees(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(-32768, 32768, (50, 2)).astype("<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 50, "NONE", ""))
        file.writeframes(stored.tobytes())
    header = wav_header(tmp_path / "a.wav")
    assert (header.rate, header.channels, header.frames) == (44100, 2, 50)
    assert np.array_equal(read_wav(tmp_path / "a.wav"), stored.astype(np.float32) / 32768)


def test_other_chunks_are_passed_over(write_wav: Write) -> None:
    # Of an odd size: the next chunk begins at an even place.
    note = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    assert read_wav(write_wav("a.wav", [1 << 14], before=note)).tolist() == [0.5]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: x[:0], "no WAV file"),
        (lambda x: b"RIFX" + x[4:], "no WAV file"),
        (lambda x: x[:40], "ends before its values"),
        (lambda x: x[:50], "was cut: received 6 of 8 bytes"),
        (lambda x: x[:12] + x[36:], "values come before its format"),
        (lambda x: x[:20] + b"\x11\0" + x[22:], "format 17 with 16 bits.*compressed"),
        (lambda x: x[:34] + b"\x0c\0" + x[36:], "format 1 with 12 bits"),
        (lambda x: x[:22] + b"\0\0" + x[24:], "contradicts itself: 0 channels"),
        (lambda x: x[:24] + bytes(4) + x[28:], "0 blocks a second"),
        (lambda x: x[:40] + bytes(4), "holds no sound"),
    ],
)
def test_files_that_are_none_are_refused_by_name(tmp_path: Path, change, says: str) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(change(wav_bytes(np.arange(4))))
    with pytest.raises(SamplesError, match=rf"broken\.wav: .*{says}"):
        read_wav(path)


def test_values_that_are_not_finite_are_refused(write_wav: Write) -> None:
    for name, value in (("nan.wav", np.nan), ("large.wav", 1e300)):
        path = write_wav(name, [0.0, value], kind=FLOAT, bits=64)
        with pytest.raises(SamplesError, match=rf"{name}: holds values that are not finite"):
            read_wav(path)


@given(st.data())
def test_any_bytes_are_read_or_refused(tmp_path_factory, data: st.DataObject) -> None:
    content = bytearray(wav_bytes(np.arange(6).reshape(3, 2), extensible=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "any.wav"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        values = read_wav(path)
    except SamplesError:
        return
    assert np.isfinite(values).all()
    assert 0 < values.size <= 24
