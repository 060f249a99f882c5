"""The demo: a pipeline over a small real data set, with a throwaway key that signs its bundle."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import numpy as np

from edgekit.bundle.signature import make_key
from edgekit.errors import require
from edgekit.files import atomic
from edgekit.outputs import refuse_existing
from edgekit.samples import Samples, Splits

PIPELINE, RECIPE, TRAIN, TEST, KEY, PUBLIC_KEY = (
    "pipeline.toml",
    "digits.toml",
    "digits.train.npz",
    "digits.test.npz",
    "signer.pem",
    "signer.pub.pem",
)

# What a build of it makes, and what earlier versions made in its place.
OUTPUTS = (
    *(
        "digits.keras",
        "digits.log.csv",
        "digits.tar.xz",
        "training.json",
        "golden.npz",
        "digits.golden.npz",
    ),
    *("manifest.json", "drift.json", "bench.json", "report.html", "build.json"),
)


def digits() -> Splits:
    """scikit-learn's digits: 8x8 grey images with values 0 to 16, as (samples, 8, 8, 1).

    Split 50 : 10 : 40, stratified, with a fixed seed: a verdict on one point of accuracy takes 368 samples
    even where no answer changes.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    return Splits(*_images().split([0.5, 0.1, 0.4], seed=0))


def _images() -> Samples:
    datasets = require("sklearn.datasets", "demo", "The demo's data")
    bunch = datasets.load_digits()
    images = bunch.images[..., None].astype(np.float32)
    return Samples({"image": images}, bunch.target.astype(np.int64))


def prepare(out: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write what the demo's build begins with into the folder `out`: pipeline, recipe, data and a new key.

    In a folder that holds the same pipeline already, what is there stays.

    Returns:
        The path of the pipeline.

    Raises:
        OutputExistsError: something else is there, and `overwrite` is false.
        MissingDependencyError: scikit-learn or `cryptography` is not installed.
    """
    out = Path(out)
    paths = {name: out / name for name in (PIPELINE, RECIPE, TRAIN, TEST, KEY, PUBLIC_KEY)}
    whole = all(path.is_file() for path in paths.values())
    if whole and not overwrite and all(_is_ours(paths[name]) for name in (PIPELINE, RECIPE)):
        return paths[PIPELINE]
    refuse_existing(paths.values(), overwrite)
    train, test = _images().split([0.6, 0.4], seed=0)
    private, public = make_key()
    train.save(paths[TRAIN])
    test.save(paths[TEST])
    for name, content in ((RECIPE, _text(RECIPE)), (PUBLIC_KEY, public), (KEY, private)):
        _write(paths[name], content, secret=name == KEY)
    # The last, by which a folder counts as the demo's.
    _write(paths[PIPELINE], _text(PIPELINE))
    return paths[PIPELINE]


def _write(path: Path, content: bytes, secret: bool = False) -> None:
    with atomic(path) as temporary:
        temporary.touch(0o600 if secret else 0o666)
        temporary.write_bytes(content)


def _is_ours(path: Path) -> bool:
    return path.read_bytes() == _text(path.name)


def _text(name: str) -> bytes:
    return resources.files("edgekit.build.demo").joinpath(name).read_bytes()
