"""Small bundles, made without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def make(files: Sequence[Path], out: Path, scratch: Path) -> Path:
    """A bundle of model files that take the same inputs, with all that a build would put into it.

    Args:
        out: its folder, or an archive.
        scratch: for what it is made of.
    """
    import edgekit
    from edgekit.artifact import Artifact
    from edgekit.bundle.pack import Parts, pack
    from edgekit.manifest import ExportedFile, Manifest, Source
    from edgekit.samples import Samples

    entries = []
    for path in files:
        with edgekit.load(path) as runner:
            specs = runner.inputs, runner.outputs
        entries.append(ExportedFile(Artifact.of(path), *specs, {"scheme": "x"}, {}, (), None))
    rng = np.random.default_rng(0)
    with edgekit.load(files[0]) as runner:
        (spec,) = runner.inputs
        samples = Samples(
            {spec.name: rng.uniform(0, 15.9, (24, *spec.shape[1:])).astype(np.float32)}
        )
        golden = scratch / f"{out.name}.npz"
        edgekit.Golden.of(runner, samples).save(golden)
    drift = edgekit.compare(golden, list(files), edgekit.DriftBudget(min_sqnr_db=0))
    source = Source("classifier.keras", "0" * 64, "keras", 10, "keras")
    manifest = Manifest(source, {"edgekit": "0"}, tuple(entries))
    pack(Parts("classifier", tuple(files), manifest, golden, drift, samples), out)
    return out
