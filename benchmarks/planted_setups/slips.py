"""Slips to plant: each takes a sound set-up and hands something over as a stranger might by mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection import DecodedBoxes
from planted_setups.worlds import CLASSES, MEAN, STD, World, spectra

Array = NDArray[Any]
IMAGES = (
    "objects",
    "binary",
    "several",
    "values",
    "masks",
    "boxes",
    "embeddings",
    "rebuilt",
    "tokens",
)
CLASSED = ("objects", "binary", "digits", "motions", "tokens", "embeddings")


@dataclass(frozen=True)
class Slip:
    """A set-up with one thing wrong.

    Attributes:
        name: of the slip.
        x, y: samples and labels as they are handed over.
        words: any of these in a message names the cause.
        layout: of the detector's boxes.
        calibration: samples that the file is made with.
        variant: of the float file that the file under test is made of.
        always: it makes a proof worthless, however the answers look.
    """

    name: str
    x: Array
    y: Array
    words: tuple[str, ...]
    layout: str = "xyxy"
    calibration: Array | None = None
    variant: str = ""
    always: bool = False


# Of samples that have no labels to try a slip on, their looks or statistics have to tell.
_LOOKS = ("do not look like", "was trained on", "do not fit the range", "of another kind")


def slips(world: World) -> Iterator[Slip]:
    """Every slip that this world can have."""
    yield from _inputs(world)
    yield from _labels(world)
    yield from _samples(world)
    yield from _files(world)


def decoder(world: World, layout: str = "xyxy") -> DecodedBoxes | None:
    """What reads the detector's boxes; None in every other world."""
    if world.name != "boxes":
        return None
    return DecodedBoxes(
        boxes="boxes", scores="scores", layout=layout, normalized=True, score_threshold=0.3
    )


def _inputs(world: World) -> Iterator[Slip]:
    x, y = world.x, world.y

    def of(name: str, change: Callable[[Array], Array], *words: str) -> Slip:
        return Slip(name, np.ascontiguousarray(change(x), np.float32), y, (*words, *_LOOKS))

    yield of("times 255", lambda a: a * 255, "divided by 255", "0..255 to", "standard")
    yield of("over 255", lambda a: a / 255, "multiplied by 255", "standard")
    yield of("0..1 as -1..1", lambda a: a * 2 - 1, "from -1..1 to 0..1", "standard")
    yield of("-1..1 as 0..1", lambda a: (a + 1) / 2, "from 0..1 to -1..1", "standard")
    if world.name in IMAGES:
        yield of("BGR", lambda a: a[..., ::-1], "BGR")
        yield of("transposed", lambda a: a.swapaxes(1, 2), "height and width swapped", "transposed")
        yield of("upside down", lambda a: a[:, ::-1], "upside down", "flip")
        yield of("mirrored", lambda a: a[:, :, ::-1], "mirror", "flip", "left and right")
        yield of("half turn", lambda a: a[:, ::-1, ::-1], "upside down", "turn", "flip")
        yield of("NCHW as NHWC", lambda a: np.moveaxis(a, -1, 1).reshape(a.shape), "(NCHW)")
        yield of("grey", lambda a: a.mean(3, keepdims=True).repeat(3, 3), "grey")
        yield of("negative", lambda a: a.max() + a.min() - a, "invert", "negative")
        yield of("cropped and resized", _cropped, "crop")
        yield of("shrunk and resized", _shrunk, "resiz", "blur", "shrunk")
        yield of("letterbox", _letterboxed, "letterbox", "border", "stretch")
    if world.name == "objects":
        yield of("mean and deviation missing", lambda a: a * STD + MEAN, "mean and")
        yield of("mean and deviation twice", lambda a: (a - MEAN) / STD, "mean and")
        yield of(
            "bytes in place of mean and deviation", lambda a: (a * STD + MEAN) * 255, "mean and"
        )
    if world.name in ("features", "motions"):
        raw, axes = world.raw, tuple(range(world.raw.ndim - 1))
        mean, std = raw.mean(axes), raw.std(axes)
        yield of("mean and deviation missing", lambda _: raw, "mean and")
        yield of("mean and deviation twice", lambda a: (a - mean) / std, "mean and")
        yield of("columns reversed", lambda a: a[..., ::-1], "reverse order")
        yield of("columns moved by one", lambda a: np.roll(a, 1, -1), "moved by one", "order")
    if world.name == "motions":
        yield of("channels first", lambda a: a.swapaxes(1, 2).reshape(a.shape), "(NCHW)")
        yield of("backwards", lambda a: a[:, ::-1], "backwards", "upside down", "turned round")
        yield of("half the rate", lambda a: a[:, ::2].repeat(2, 1), "rate")
    if world.name == "digits":
        waves = world.raw
        yield of("whole numbers", lambda _: spectra(waves * 32768), "32768", "mean and")
        yield of("another rate", lambda _: spectra(_resampled(waves)), "rate")
        yield of(
            "half the rate", lambda _: spectra(np.pad(waves[:, ::2], ((0, 0), (0, 4000)))), "rate"
        )
        yield of(
            "backwards",
            lambda _: spectra(waves[:, ::-1]),
            "backwards",
            "upside down",
            "turned round",
        )
        yield of(
            "time and bands swapped",
            lambda a: a.swapaxes(1, 2).reshape(a.shape),
            "swapped",
            "(NCHW)",
        )
    rng = np.random.default_rng(0)
    order = rng.permutation(len(x))
    yield Slip(
        "labels of other samples",
        x,
        y[order],
        ("no better than guessing", "worse than guessing", "next to none"),
    )
    yield of("noise", lambda a: rng.normal(a.mean(), a.std(), a.shape), "guessing", "next to none")
    yield of("zeros", lambda a: 0 * a, "guessing", "next to none", "the same", "repeated")
    if world.name != "motions":
        yield of("another data set", lambda a: _other(a, rng), "guessing", "next to none")


def _labels(world: World) -> Iterator[Slip]:
    x, y, name = world.x, world.y, world.name

    def of(called: str, labels: Array, *words: str, **known: Any) -> Slip:
        return Slip(called, x, labels, words, **known)

    if name in CLASSED:
        classes = {
            "objects": CLASSES,
            "embeddings": CLASSES,
            "tokens": CLASSES,
            "binary": 2,
            "motions": 4,
        }.get(name, 10)
        both = ("lowered by one", "raised by one", "order of classes reversed", "guessing")
        text = np.array(sorted(range(classes), key=str))
        one = np.array(sorted(range(classes), key=lambda n: str(n + 1)))
        if name != "embeddings":
            # An embedding's classes have no numbers of the model's.
            yield of("labels up", (y + 1) % classes, *both)
            yield of("labels down", (y - 1) % classes, *both)
            yield of("labels reversed", classes - 1 - y, *both)
            if classes >= 10:
                yield of("labels in text order", text[y], "text order", '"10" before "2"')
                yield of("labels from 1 in text order", one[y], "text order", '"10" before "2"')
            yield of("labels from 1", y + 1, "from 0", "lowered", "expected", always=True)
            yield of(
                "some labels -1",
                np.where(np.arange(len(y)).reshape(-1, *[1] * (y.ndim - 1)) % 5 == 0, -1, y),
                "-1",
                "from 0",
                always=True,
            )
        if name in ("objects", "digits", "motions"):
            yield of("one-hot labels", np.eye(classes, dtype=np.float32)[y], "one-hot", "one 1")
        floats = y.astype(np.float32)
        floats[::7] = np.nan
        yield of("some labels NaN", floats, "NaN", "finite", always=True)
        if y.ndim == 1:
            order = np.argsort(y, kind="stable")
            some = order[: max(14, int((y == y[order[0]]).sum()) - 2)]
            yield Slip(
                "the first of sorted samples",
                x[some],
                y[some],
                ("All", "are class", "sorted by class"),
                always=True,
            )
    if name == "several":
        yield of("labels' classes moved", np.roll(y, 1, 1), "one later", "by one", "guessing")
        yield of("labels' classes reversed", y[:, ::-1], "revers", "guessing")
        yield of("yes for no", 1 - y, "no for yes", "yes and no", "guessing", "inverted")
    if name in ("values", "features"):
        holes = y.copy()
        holes[::7] = np.nan
        yield of("some labels NaN", holes, "NaN", "finite", always=True)
        yield of(
            "-1 for unknown",
            np.where(np.arange(len(y))[:, None] % 3 == 0, -1, y).astype(np.float32),
            "-1",
            "same value",
        )
        yield of("labels of another unit", y * 48, "unit", "times", "worse than guessing")
        yield of("columns of labels swapped", y[:, ::-1], "order", "worse than guessing")
        yield of("sign of labels", -y, "sign", "worse than guessing")
    if name == "masks":
        yield of("255 for 1", np.where(y == 1, 255, y), "255", always=True)
        yield of("masks times 127", y * 127, "expected", "beyond", "classes", always=True)
        yield of("masks' classes up", (y + 1) % 3, "raised", "lowered")
        yield of("masks upside down", y[:, ::-1], "upside down", "flip")
        yield of("masks transposed", y.swapaxes(1, 2), "swapped", "transposed")
        yield of("masks of others", np.roll(y, 1, 0), "guessing", "belong together")
        yield of("all masks left out", np.full_like(y, 255), "255", "none", "left out", always=True)
    if name == "boxes":
        box, kind = y[:, 0, :4], y[:, :, 4:]

        def boxes(called: str, corners: Array, *words: str) -> Slip:
            return of(
                called,
                np.concatenate([corners[:, None], kind], 2).astype(np.float32),
                *words,
                "left, top, right",
            )

        yield boxes("labels as y x y x", box[:, [1, 0, 3, 2]], "top, left", "yxyx", "x and y")
        yield boxes(
            "labels as x y w h",
            np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], 1),
            "width",
            "xywh",
        )
        yield boxes(
            "labels as cx cy w h",
            np.concatenate([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], 1),
            "width",
            "cxcywh",
        )
        yield boxes("normalised labels", box / 48, "normal", "from 0 to 1")
        yield boxes("labels in other pixels", box * 2, "pixels", "size")
        yield of("classes up", np.concatenate([y[:, :, :4], kind + 1], 2), "class")
        yield of(
            "classes swapped",
            np.concatenate([y[:, :, :4], 1 - kind], 2),
            "class",
            "revers",
            "lowered",
        )
        for layout in ("yxyx", "xywh", "cxcywh"):
            yield of(f"decoder reads {layout}", y, "decoder", "left, top", "layout", layout=layout)
    if name == "rebuilt":
        yield of("yes for no", 1 - y, "yes and no", "guessing")


def _samples(world: World) -> Iterator[Slip]:
    few = np.arange(len(world.x)) % 20
    yield Slip(
        "twenty samples again and again",
        world.x[few],
        world.y[few],
        ("more than once", "repeated", "distinct"),
        always=True,
    )
    yield Slip(
        "test samples are the calibration's",
        world.x,
        world.y,
        ("served", "calibration"),
        calibration=world.x[:300],
        always=True,
    )


def _files(world: World) -> Iterator[Slip]:
    x, y = world.x, world.y
    rng = np.random.default_rng(1)
    shape = world.calibration.shape
    bad = ("calibrat", "of another kind", "range")
    yield Slip(
        "calibrated on noise", x, y, bad, calibration=rng.normal(size=shape).astype(np.float32)
    )
    yield Slip("calibrated on zeros", x, y, bad, calibration=np.zeros(shape, np.float32))
    yield Slip("calibrated on a 255th", x, y, bad, calibration=world.calibration / np.float32(255))
    yield Slip(
        "calibrated on 255 times", x, y, bad, calibration=world.calibration * np.float32(255)
    )
    yield Slip(
        "another model's file",
        x,
        y,
        ("another model", "nothing to do with", "was made of a model"),
        variant="other",
        always=True,
    )
    yield Slip(
        "inverted scores in the file",
        x,
        y,
        ("fall where", "nothing to do with"),
        variant="inverted",
    )
    yield Slip(
        "another order of classes in the file",
        x,
        y,
        ("order", "nothing to do with", "fall where"),
        variant="reordered",
    )


def _resized(x: Array, rows: Array, columns: Array) -> Array:
    """The nearest pixels at places that are shares of height and width."""
    down, right = (
        np.clip((places * size).astype(int), 0, size - 1)
        for places, size in ((rows, x.shape[1]), (columns, x.shape[2]))
    )
    return x[:, down][:, :, right]


def _cropped(x: Array) -> Array:
    down, right = ((np.arange(n) + 0.5) / n for n in x.shape[1:3])
    return _resized(x, 0.15 + 0.7 * down, 0.15 + 0.7 * right)


def _shrunk(x: Array) -> Array:
    """To a quarter and back, by the nearest pixel."""
    down, right = ((np.arange(n) // 4 * 4 + 1.5) / n for n in x.shape[1:3])
    return _resized(x, down, right)


def _letterboxed(x: Array) -> Array:
    """Squeezed to three quarters of the height, the rest grey."""
    height = x.shape[1]
    inner, top = height * 3 // 4, height // 8
    small = _resized(
        x, (np.arange(inner) + 0.5) / inner, (np.arange(x.shape[2]) + 0.5) / x.shape[2]
    )
    found = np.full_like(x, 0.5 * (x.min() + x.max()))
    found[:, top : top + inner] = small
    return found


def _resampled(waves: Array) -> Array:
    """Waves of 8 kHz taken for 16 kHz ones: twice as slow, the second half lost."""
    steps = np.arange(waves.shape[1]) / 2
    low = steps.astype(int)
    part = (steps - low).astype(np.float32)
    return waves[:, low] * (1 - part) + waves[:, np.minimum(low + 1, waves.shape[1] - 1)] * part


def _other(x: Array, rng: np.random.Generator) -> Array:
    """Another source: smooth random fields in the same range."""
    found = rng.normal(size=x.shape)
    for axis in range(1, x.ndim):
        found = np.cumsum(found, axis) / np.sqrt(x.shape[axis])
    found = (found - found.mean()) / found.std()
    return found * x.std() + x.mean()
