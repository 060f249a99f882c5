from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import SamplesError, UsageError
from edgekit.samples import FileArray, load_samples

from .conftest import Write, pixels


def test_class_folders_of_images(tmp_path: Path, write_image: Write) -> None:
    a, b, c = (pixels(i, 4, 5) for i in range(3))
    write_image("set/dog/b.png", b)
    write_image("set/dog/more/a.png", c)
    write_image("set/cat/z.png", a)
    (tmp_path / "set" / "cat" / ".DS_Store").touch()
    (tmp_path / "set" / "README.md").touch()
    samples = load_samples(tmp_path / "set")
    x = samples.inputs["x"]
    assert (x.shape, x.dtype, x.ndim, len(x)) == ((3, 4, 5, 1), np.uint8, 4, 3)
    assert isinstance(x, FileArray)
    assert x.names == ["cat/z.png", "dog/b.png", "dog/more/a.png"]
    assert np.array_equal(x, np.stack([a, b, c])[..., None])
    assert samples.labels.tolist() == [0, 1, 1]
    assert samples.class_names == ("cat", "dog")


def test_colours_and_forms_of_images(tmp_path: Path, write_image: Write) -> None:
    colour, grey = pixels(0, 6, 4, 3), pixels(1, 6, 4)
    write_image("a/1.png", colour)
    write_image("a/2.png", grey)
    write_image("a/3.png", np.dstack([colour, pixels(2, 6, 4)]))
    write_image("a/4.jpg", np.full((6, 4, 3), 77, np.uint8), quality=95)
    x = np.asarray(load_samples(tmp_path / "a").inputs["x"])
    assert x.shape == (4, 6, 4, 3)
    assert np.array_equal(x[0], colour)
    assert np.array_equal(x[1], np.repeat(grey[..., None], 3, -1))
    assert np.array_equal(x[2], colour)
    assert np.abs(x[3].astype(int) - 77).max() <= 2


def test_a_photograph_stands_upright(tmp_path: Path, write_image: Write) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was held sideways: turn by 90 degrees to the right.
    stored = np.repeat(np.uint8([[0, 255], [0, 255], [0, 255]]), 16, 0).repeat(16, 1)
    write_image("a.jpg", stored, exif=exif, quality=95)
    x = load_samples(tmp_path / "a.jpg").inputs["x"]
    assert x.shape == (1, 32, 48, 1)
    assert np.abs(x[0][..., 0].astype(int) - np.rot90(stored, -1)).max() <= 8


def test_images_of_different_sizes(tmp_path: Path, write_image: Write) -> None:
    first, second = pixels(0, 4, 5), pixels(1, 7, 3)
    write_image("cat/1.png", first)
    write_image("dog/2.png", second)
    samples = load_samples(tmp_path)
    x = samples.inputs["x"]
    assert x.shape == (2, None, None, 1)
    assert np.array_equal(x[1][..., 0], second)
    assert np.array_equal(np.asarray(x[:1])[0, ..., 0], first)
    says = r"cat/1\.png has 4 x 5 pixels.*dog/2\.png has 7 x 3 pixels.*'resize' or 'center_crop'"
    with pytest.raises(SamplesError, match=says):
        np.asarray(x)
    with pytest.raises(SamplesError, match=says):
        samples.read()


def test_class_folders_of_sound(tmp_path: Path, write_wav: Write) -> None:
    write_wav("no/1.wav", [16384, -16384])
    write_wav("yes/1.wav", [8192] * 5)
    samples = load_samples(tmp_path)
    x = samples.inputs["x"]
    assert (x.shape, x.dtype) == ((2, 5), np.float32)
    assert np.asarray(x).tolist() == [[0.5, -0.5, 0, 0, 0], [0.25] * 5]
    assert samples.class_names == ("no", "yes")


def test_channels_of_sound_are_the_last_axis(tmp_path: Path, write_wav: Write) -> None:
    write_wav("1.wav", [[16384, 0]])
    write_wav("2.wav", [[0, 8192], [0, 0]])
    x = np.asarray(load_samples(tmp_path).inputs["x"])
    assert x.tolist() == [[[0.5, 0], [0, 0]], [[0, 0.25], [0, 0]]]


def test_the_class_in_each_name(tmp_path: Path, write_wav: Write) -> None:
    for name in ("10_a_0.wav", "9_b_0.wav", "9_a_1.wav"):
        write_wav(name, [0])
    (tmp_path / "README.md").touch()
    samples = load_samples(tmp_path, label_pattern=r"^(\d+)_")
    assert samples.inputs["x"].names == ["10_a_0.wav", "9_a_1.wav", "9_b_0.wav"]
    assert samples.class_names == ("9", "10")
    assert samples.labels.tolist() == [1, 0, 0]
    assert load_samples(tmp_path).labels is None


def test_one_file_is_one_sample(write_wav: Write) -> None:
    samples = load_samples(write_wav("a.WAV", [16384]))
    assert np.asarray(samples.inputs["x"]).tolist() == [[0.5]]
    assert samples.labels is None


def test_what_is_picked_is_read_and_nothing_else(tmp_path: Path, write_wav: Write) -> None:
    for i in range(6):
        write_wav(f"{i % 2}/{i}.wav", [i] * 3)
    samples = load_samples(tmp_path)
    (tmp_path / "1" / "5.wav").unlink()
    first = samples[[4, 0, 2]]
    assert isinstance(first.inputs["x"], FileArray)
    assert first.inputs["x"].names == ["1/3.wav", "0/0.wav", "0/4.wav"]
    assert first.labels.tolist() == [1, 0, 0]
    assert first.class_names == ("0", "1")
    assert np.asarray(first[1:].inputs["x"])[:, 0].tolist() == [0, 4 / 32768]
    assert samples[samples.labels == 1].inputs["x"].names == ["1/1.wav", "1/3.wav", "1/5.wav"]
    with pytest.raises(SamplesError, match=r"1/5\.wav: "):
        samples.read()
    with pytest.raises(IndexError):
        samples.inputs["x"][6]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "holds no images"),
        (["README.md"], "holds no images"),
        (["a/", "b/1.wav"], "a: holds no files"),
        (["a/1.wav", "b/2.gif"], r"b/2\.gif: is no \.png"),
        (["1.wav", "a/2.wav"], r"1\.wav: lies beside the class folders"),
        (["a/1.wav", "b/2.png"], r"a/1\.wav is audio and b/2\.png an image"),
    ],
)
def test_folders_that_are_none(tmp_path: Path, write_wav: Write, files: list, says: str) -> None:
    for name in files:
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            write_wav(name, [0])
    with pytest.raises(SamplesError, match=re.escape(str(tmp_path)) + f": {says}"):
        load_samples(tmp_path)


@pytest.mark.parametrize(
    ("options", "says"), [({"rate": 16000}, "sample rate"), ({}, "number of channels")]
)
def test_sounds_that_do_not_go_together(
    tmp_path: Path, write_wav: Write, options: dict, says: str
) -> None:
    write_wav("1.wav", [0, 0])
    write_wav("2.wav", [0, 0] if options else [[0, 0]], **options)
    with pytest.raises(SamplesError, match=rf"2\.wav: has another {says} .* than 1\.wav"):
        load_samples(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "error", "says"),
    [
        ("^[0-9]_", UsageError, "expected a group in parentheses"),
        ("(", UsageError, "no regular expression"),
        (r"^(\d)_x", SamplesError, r"finds no class in '7_a\.wav'"),
        (r"^(x?)", SamplesError, r"finds no class in '7_a\.wav'"),
    ],
)
def test_patterns_that_find_no_class(
    tmp_path: Path, write_wav: Write, pattern: str, error: type, says: str
) -> None:
    write_wav("7_a.wav", [0])
    with pytest.raises(error, match=says):
        load_samples(tmp_path, label_pattern=pattern)
    with pytest.raises(UsageError, match="expected a folder"):
        load_samples(tmp_path / "7_a.wav", label_pattern="(.)")


def test_damaged_images_are_refused_by_name(tmp_path: Path, write_image: Write) -> None:
    from PIL import Image

    png = write_image("a.png", pixels(0, 16, 16)).read_bytes()
    jpeg = io.BytesIO()
    Image.fromarray(pixels(1, 16, 16)).save(jpeg, "JPEG")
    for name, content in (("a.png", png), ("a.jpg", jpeg.getvalue())):
        path = tmp_path / name
        for damaged in (b"", b"no image", content[: len(content) // 2]):
            path.write_bytes(damaged)
            with pytest.raises(SamplesError, match=rf"{name}: cannot be read as an image"):
                load_samples(path).read()
        # Nothing but SamplesError, whatever is in it.
        for i in range(8, len(content), 7):
            path.write_bytes(content[:i] + bytes([content[i] ^ 0xFF]) + content[i + 1 :])
            with contextlib.suppress(SamplesError):
                load_samples(path).read()


def test_pixels_of_other_kinds_and_absurd_sizes_are_refused(
    tmp_path: Path, write_image: Write
) -> None:
    deep = write_image("deep.png", np.zeros((4, 4), np.uint16))
    with pytest.raises(SamplesError, match=r"deep\.png: received pixels of the kind 'I;16'"):
        load_samples(deep)
    header = bytearray(write_image("large.png", pixels(0, 4, 4)).read_bytes())
    header[16:24] = (1 << 14).to_bytes(4, "big") * 2
    (tmp_path / "large.png").write_bytes(header)
    with pytest.raises(SamplesError, match=r"large\.png: "):
        load_samples(tmp_path / "large.png")
