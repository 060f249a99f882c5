"""Export: a model to every file asked for, and a manifest of them. Nothing is made twice."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import edgekit
from edgekit import document
from edgekit.artifact import FORMATS, OBJECT, Artifact
from edgekit.cache import Cache, hash_of, key_of
from edgekit.convert.folder import move, workshop
from edgekit.convert.job import Job, Result
from edgekit.convert.making import CALIBRATED, Wanted
from edgekit.convert.targets import Aim
from edgekit.drift.golden import Golden
from edgekit.errors import DocumentError, ExportError, UsageError
from edgekit.files import refuse_existing
from edgekit.manifest import MANIFEST_NAME, Manifest
from edgekit.models.objects import from_object, unchanged
from edgekit.models.source import SourceModel
from edgekit.optimize.shelf import Shelf
from edgekit.optimize.steps import suffix
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples, load_samples
from edgekit.streams import loud, quiet

_MAKERS = (
    "tensorflow",
    "keras",
    "tf-keras",
    "ai-edge-quantizer",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "tensorflow-model-optimization",
    "numpy",
)

Progress = Callable[[str], None]


def export(
    model: str | os.PathLike[str] | SourceModel | Any,
    *,
    out: str | os.PathLike[str],
    files: Sequence[str] | None = None,
    schemes: Sequence[str] | None = None,
    formats: Sequence[str] | None = None,
    calibration: Samples | str | os.PathLike[str] | None = None,
    validation: Samples | str | os.PathLike[str] | None = None,
    data: Samples | str | os.PathLike[str] | None = None,
    golden: Golden | str | os.PathLike[str] | None = None,
    recipe: ExportRecipe | None = None,
    overwrite: bool = False,
    trust_code: bool = False,
    cache: bool = True,
    verbose: bool = False,
    progress: Progress | None = None,
) -> list[Artifact]:
    """Write a model as TFLite and ONNX files, and ``manifest.json`` beside them.

    Files are named ``<stem>.<scheme>.<ext>``, those of a pruned model
    ``<stem>.prune50.<scheme>.<ext>``, those of a signature that the recipe names
    ``<stem>.<signature>.<scheme>.<ext>``. They appear when all of them are made and each was
    loaded once; a manifest of the same model that is there already is added to. Each step of an
    optimisation leaves its model, ``<stem>.prune50.keras``, when it is done: a run that was stopped
    goes on from there.

    What the same edgekit made of the same file with the same recipe, samples and packages is taken
    from the user's cache folder. A model given as an object is made anew each time: whether it is
    still what its file holds, and what code its layers run, cannot be told from outside.

    Args:
        model: a ``.keras`` or HDF5 file, a SavedModel folder, one loaded with `edgekit.models.load`,
            or a Keras 3 or tf_keras model object, which is left as it is; its files are named
            after it, and the manifest's ``sha256`` of it is that of its config and weights.
        out: the folder to write to; made if it is not there.
        files: single files by scheme and ending, such as ``["int8.tflite", "float32.onnx"]``.
        schemes: of `edgekit.artifact.SCHEMES`, each of which is made in each of `formats`.
        formats: of ``tflite``, ``onnx``. ONNX takes ``float32``, ``float16``, ``dynamic`` and
            ``int8``; other combinations are listed in the manifest as skipped, with the reason.
        calibration: samples from which int8 and int16x8 find the ranges of activations;
            labels are not needed. Like all samples here, raw data: they are prepared as the model
            says. Of a recipe file, that part of its data is taken which is kept for this.
        validation: samples like those that the model will get, to hold against the ranges; as
            many are drawn as for the calibration.
        data: labelled samples to fine-tune with, where `recipe` prunes, clusters or trains for int8;
            for that last they serve as `calibration` too where there is none.
        golden: the golden file of the same model, whose hash each file then holds: `edgekit.compare`
            compares it with no other.
        recipe: everything else that can be chosen. What `files`, `schemes` and `formats` do not say is as
            it says: see `ExportRecipe.choose`.
        overwrite: replace files that exist.
        trust_code: let code that the model file holds run.
        cache: take what was made before from the cache, and keep there what is made.
        verbose: let through what the libraries below write to stdout and stderr.
        progress: called with a line of text for each step.

    Returns:
        The files made, in the order of `files`, or of `formats`, then `schemes`.

    Raises:
        UsageError: unknown scheme or format, `files` together with them, missing file or calibration,
            existing output.
        RecipeError: `recipe` asks for pruning, and does not say how much.
        ArtifactError: the model cannot be loaded.
        ExportError: nothing could be made, or a file made does not load.
        ChildError: a process that converts died.
        TensorError: the samples do not fit the model's inputs.
        DocumentError: `golden` or the manifest in `out` is of another model, or unreadable.
    """
    recipe = (recipe or ExportRecipe()).choose(files=files, schemes=schemes, formats=formats)
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file, expected a folder to write to.")
    if recipe.qat and calibration is None:
        # What the model is trained on shows what it will see.
        calibration = data
    pairs = recipe.pairs
    calibrated = [scheme for scheme in dict.fromkeys(s for s, _ in pairs) if scheme in CALIBRATED]
    if calibrated and calibration is None:
        enough = " or, to train for int8 with, --data SAMPLES (data=samples)" if recipe.qat else ""
        raise UsageError(
            f"schemes {', '.join(calibrated)} need samples to find the ranges of activations: give "
            f"--calibration SAMPLES (calibration=samples){enough}."
        )
    if suffix(recipe) and data is None:
        raise UsageError(
            "pruning, clustering and quantisation-aware training need samples to fine-tune with: give "
            "--data SAMPLES (data=samples)."
        )
    if isinstance(model, (str, os.PathLike)):
        source, origin = None, Artifact.of(model)
    else:
        source = model if isinstance(model, SourceModel) else from_object(model)
        origin = source.artifact
        if recipe.signature is not None:
            raise UsageError(
                f"signature: received {recipe.signature!r} for a model that is loaded. Name it where "
                "the model is loaded: edgekit.models.load(path, signature=...)."
            )
    path = origin.path
    plain = path.stem if origin.format != OBJECT and path.is_file() else path.name
    if recipe.signature is not None:
        plain += f".{re.sub(r'[^A-Za-z0-9_-]', '_', recipe.signature)}"
    stem = plain + suffix(recipe)
    wanted = [
        Wanted(format, scheme, f"{stem}.{scheme}{FORMATS[format]}") for scheme, format in pairs
    ]
    refuse_existing([out / file.name for file in wanted], overwrite)
    aims = {file.format: Aim.of(recipe, file.format) for file in wanted}

    # Asked now, so that nothing is converted for a folder that holds another model's files.
    Manifest({"sha256": origin.sha256}, {}).merged_into(out, overwrite=overwrite)
    golden_sha256 = None if golden is None else _golden_sha256(golden, origin)
    given, held = _samples(calibration, "calibration"), _samples(validation, "validation")
    tuned = _samples(data, "train")
    versions = _versions()
    shelf = None
    if suffix(recipe):
        known = cache and source is None
        begin = key_of(
            source=origin.sha256,
            data=hash_of(tuned),
            preprocessing={name: steps.to_json() for name, steps in recipe.preprocessing.items()},
            class_names=recipe.class_names,
            versions=versions,
        )
        shelf = Shelf(out, plain, begin if known else None, overwrite, trust_code)
    job = Job(
        origin,
        source,
        recipe,
        aims,
        given and given.subset(recipe.calibration, recipe.seed),
        len(given or ()),
        held and held.subset(recipe.calibration, recipe.seed),
        tuned,
        trust_code,
        golden_sha256,
        shelf,
    )

    def tell(line: str) -> None:
        if progress is not None:
            with loud():
                progress(line)

    said: set[str] = set()

    def say(file: Wanted, result: Result, when: str) -> None:
        if result.row is None:
            tell(f"{file.name}: skipped, {result.reason}")
            return
        tell(f"{file.name}: {result.row['size_bytes'] / 1000:.1f} KB {when}")
        # What is true of several files is said of the first.
        lines = [*result.row["recipe"].get("ways_down", ()), *result.row["warnings"]]
        for line in lines:
            if line not in said:
                tell(f"{file.name}: {line}")
        said.update(lines)

    results: dict[Wanted, Result] = {}
    with workshop(out) as folder:
        store = Cache() if cache and job.model is None else None
        keys = job.keys(wanted, versions) if store else {}
        for file, key in keys.items():
            assert store is not None
            entry = store.get(key)
            if entry is not None:
                about, content = entry
                if about["row"]:
                    (folder / file.name).write_bytes(content)
                    about["row"]["path"] = file.name
                results[file] = Result(**about)
                say(file, results[file], "as made before")
        missing = [file for file in wanted if file not in results]
        if missing:
            start = perf_counter()
            with ExitStack() as stack:
                stack.enter_context(quiet(verbose))
                if source is not None:
                    stack.enter_context(unchanged(source))
                made = stack.enter_context(closing(job.run(missing, folder, verbose, tell)))
                for file, result in made:
                    results[file] = result
                    say(file, result, f"after {perf_counter() - start:.1f} s")
                    if store:
                        content = (folder / file.name).read_bytes() if result.row else b""
                        store.put(keys[file], asdict(result), content)
        rows = [row for file in wanted if (row := results[file].row)]
        skipped = [
            {"format": file.format, "scheme": file.scheme, "reason": reason}
            for file in wanted
            if (reason := results[file].reason)
        ]
        if not rows:
            reasons = "; ".join(
                f"{row['format']} {row['scheme']}: {row['reason']}" for row in skipped
            )
            raise ExportError(f"{path}: no file could be made. {reasons}")
        flavour = results[wanted[0]].flavour
        manifest = Manifest(
            source={**origin.to_json(), "path": origin.name, "flavour": flavour},
            versions=versions,
            files=rows,
            skipped=skipped,
        ).merged_into(out, overwrite=overwrite)
        document.write(folder / MANIFEST_NAME, manifest.to_json())
        move(folder, out, [*(row["path"] for row in rows), MANIFEST_NAME])
    return [Artifact(str(out / f.name), f.format, f.scheme) for f in wanted if results[f].row]


def _golden_sha256(golden: Golden | str | os.PathLike[str], origin: Artifact) -> str:
    """The hash of a golden file that holds the answers of `origin`."""
    loaded = golden if isinstance(golden, Golden) else Golden.load(golden)
    if loaded.sha256 is None:
        raise UsageError("golden: received one that is no file yet. Save it, and give the file.")
    if loaded.reference["sha256"] != origin.sha256:
        raise DocumentError(
            f"golden: holds the answers of {loaded.reference['path']} with sha256 "
            f"{loaded.reference['sha256']}, expected those of {origin.name} with {origin.sha256}. Make "
            "it anew with: edgekit golden"
        )
    return loaded.sha256


def _samples(given: Samples | str | os.PathLike[str] | None, part: str) -> Samples | None:
    if given is None or isinstance(given, Samples):
        return given
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError(
            f"samples ({part}): received {type(given).__name__}, expected edgekit.Samples or the path "
            "of a file. Arrays go in by the input's name: edgekit.Samples({'image': x}, labels)."
        )
    return load_samples(given, part=part)


def _versions() -> dict[str, str]:
    versions = {"edgekit": edgekit.__version__}
    for name in _MAKERS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
