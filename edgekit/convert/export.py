"""Export: a model to every requested file, and a manifest of them. Nothing is made twice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgekit.convert.material import Given
from edgekit.convert.produce import Progress
from edgekit.convert.request import Request, run
from edgekit.convert.result import ExportResult
from edgekit.convert.search.goal import goal_of
from edgekit.drift.budget import DriftBudget
from edgekit.drift.golden import Golden
from edgekit.errors import UsageError, check_progress, check_type
from edgekit.models.source import SourceModel
from edgekit.recipe import ExportRecipe, Recipe
from edgekit.samples import SamplesLike, Sources


def export(
    model: str | os.PathLike[str] | SourceModel | Any,
    *,
    out: str | os.PathLike[str],
    files: Sequence[str] | None = None,
    schemes: Sequence[str] | None = None,
    formats: Sequence[str] | None = None,
    shape: Mapping[str, Sequence[int | str]] | None = None,
    calibration: SamplesLike | None = None,
    validation: SamplesLike | None = None,
    data: SamplesLike | None = None,
    golden: Golden | str | os.PathLike[str] | None = None,
    recipe: Recipe | ExportRecipe | str | os.PathLike[str] | None = None,
    budget: DriftBudget | None = None,
    minimise: str | None = None,
    samples: SamplesLike | None = None,
    overwrite: bool = False,
    trust_code: bool = False,
    cache: bool = True,
    verbose: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
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

    Samples are raw data: they are prepared as the model says. They may be given as `Samples`, as a path
    of a file, a folder or a recipe, as an array of a single input with the sample as its first axis, as
    arrays by input name with labels as ``y``, or as a `tf.data.Dataset` of batches. Each recipe and each
    data set is read once.

    Args:
        model: a ``.keras`` or HDF5 file, a SavedModel folder, one loaded with `edgekit.models.load`,
            or a Keras 3 or tf_keras model object, which is left as it is; its files are named
            after it, and the manifest's ``sha256`` of it is that of its config and weights.
        out: the folder to write to; made if it is not there.
        files: single files by scheme and ending, such as ``["int8.tflite", "float32.onnx"]``.
        schemes: of `edgekit.artifact.SCHEMES`, each of which is made in each of `formats`.
        formats: of ``tflite``, ``onnx``. ONNX takes ``float32``, ``float16``, ``dynamic`` and
            ``int8``; other combinations are listed in the manifest as skipped, with the reason.
        shape: as the recipe's `shape`, in its place: ``{"image": (1, 224, 224, 3)}`` for a model that
            takes images of any size.
        calibration: samples from which int8 and int16x8 find the ranges of activations;
            labels are not needed. Of a recipe file, that part of its data is taken which is kept for
            this. If None, what `recipe` names as its own data.
        validation: samples like those that the model will get, to hold against the ranges; as
            many are drawn as for the calibration.
        data: labelled samples to fine-tune with, where `recipe` prunes, clusters or trains for int8;
            for that last they serve as `calibration` too where there is none. If None, the training
            samples of what `recipe` names as its own data.
        golden: the golden file of the same model, whose hash each file then holds: `edgekit.compare`
            then rejects any other golden file.
        recipe: everything else that can be chosen, also as the path of a TOML file. What `files`,
            `schemes` and `formats` do not say is as it says: see `ExportRecipe.choose`.
        budget: make of each format the one file that is shown to meet it, at the least of `minimise`, in
            place of `files` and `schemes`; if None, the recipe's table where that says what to minimise.
        minimise: ``"size"``, ``"packed"`` (the file packed by xz) or ``"latency"``; what the recipe says, or
            the size, if None.
        samples: labelled, to search for that file with; most of them judge it and serve for nothing else.
            If None, the test samples of what `recipe` names as its own data.
        overwrite: replace files that exist.
        trust_code: let code that the model file holds run.
        cache: take what was made before from the cache, and keep there what is made.
        verbose: let through what the libraries below write to stdout and stderr.
        progress: called with a line of text for each step.

    Returns:
        The files made, in the order of `files`, or of `formats`, then `schemes`; with what was skipped
        and what to know of them.

    Raises:
        UsageError: unknown scheme or format, `files` together with them, missing file or calibration,
            existing output, an argument of another type.
        RecipeError: `recipe` asks for pruning, and does not say how much.
        ArtifactError: the model cannot be loaded.
        ExportError: nothing could be made, or a file made does not load.
        BudgetError: no file meets the budget, or (`UndecidedError`) the samples are too few to tell.
        ChildError: a process that converts died.
        SamplesError: samples that cannot be used.
        TensorError: the samples do not fit the model's inputs.
        DocumentError: `golden` or the manifest in `out` is of another model, or unreadable.
    """
    check_progress(progress)
    sources = Sources()
    whole = sources.recipe(recipe)
    chosen = whole.export.choose(files=files, schemes=schemes, formats=formats)
    if shape is not None:
        check_type("shape", shape, Mapping, "sizes by input name: {'image': (1, 224, 224, 3)}")
        sizes = {name: _sizes(name, each) for name, each in shape.items()}
        chosen = replace(chosen, shape=sizes, batch=ExportRecipe.batch)
    request = Request(
        model,
        out,
        replace(whole, export=chosen),
        Given(calibration, validation, data),
        golden,
        overwrite,
        trust_code,
        cache,
        goal_of(whole, budget, minimise, samples),
    )
    return run(request, sources, verbose=verbose, progress=progress)


def _sizes(name: str, given: Any) -> tuple[int | str, ...]:
    """What `shape` says of one input."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(
            f"shape: {name!r}: received {given!r}, expected a size for each axis: (1, 224, 224, 3)."
        )
    return tuple(given)
