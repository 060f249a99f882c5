"""Golden: samples, labels and what the original model answers, frozen in one file.

With it a device compares against the original model without having it.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.detection import Boxes, Decoder, decoder_from_json
from edgekit.document import plain
from edgekit.document.reading import parsed_bytes
from edgekit.document.record import LATER, Document
from edgekit.drift.answers import Answers, ask
from edgekit.drift.columns import Columns, as_columns, check_columns
from edgekit.drift.frames import Frames, frames_of
from edgekit.drift.reference import Reference
from edgekit.drift.setup.reference import ReferenceSetup, observe, samples_sha256
from edgekit.drift.tasks.detection import decoded
from edgekit.errors import (
    DocumentError,
    RecipeError,
    SamplesError,
    TensorError,
    check_type,
)
from edgekit.files import atomic, existing, sha256_of
from edgekit.outputs import refuse_existing
from edgekit.runtime.opening import RunnerLike, opened
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples, SamplesLike, Sources, save_npz
from edgekit.samples.arrays import UNREADABLE
from edgekit.samples.lazy import pick
from edgekit.samples.limits import check_npz, require_file
from edgekit.samples.samples import drawn
from edgekit.samples.stored import unpacked
from edgekit.samples.targets import with_labels
from edgekit.tasks import ANY_OUTPUT

_INPUT, _OUTPUT, _COLUMN, _LABELS_OF = "input/", "output/", "column/", "labels/"
_LABELS, _META, _FRAMES = "labels", "meta", "frames"


@dataclass(frozen=True)
class _Meta(Document):
    """What a golden file says beside its arrays."""

    kind: ClassVar[str] = "golden"

    reference: Reference
    task: str
    task_output: str | None
    setup: ReferenceSetup | None = field(default=None, metadata=LATER)
    others: dict[str, str] = field(default_factory=dict, metadata=LATER)
    decoder: dict[str, Any] | None = field(default=None, metadata=LATER)


@dataclass(frozen=True, eq=False)
class Golden(Answers):
    """What the original model answers.

    Attributes:
        reference: the original model.
        sha256: of the file this was loaded from; None if it was not.
        columns: what else is known of each sample, by name: text of shape (samples,). Files are judged on
            slices of them too.
        setup: what was found out about the samples with the original model; None in files of earlier
            versions.
        decoder: how the original's outputs become boxes; None of what is no detector.
        frames: where the images that the model saw lie in the raw ones, as `edgekit.drift.frames` has them; None
            where there is no decoder.
    """

    reference: Reference
    sha256: str | None = None
    columns: Columns = field(default_factory=dict)
    setup: ReferenceSetup | None = None
    decoder: Decoder | None = None
    frames: Frames | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_columns(self.columns, len(self.samples))
        frames = self.frames
        if frames is not None and frames.shape != (len(self.samples), 6):
            raise SamplesError(
                f"frames: received shape {list(frames.shape)}, expected {[len(self.samples), 6]}."
            )

    def boxes(self) -> list[Boxes]:
        """What the original found in each raw image.

        Raises:
            TensorError: outputs that the decoder does not read.
        """
        assert self.decoder is not None, "asked of a detector only"
        return decoded(self.decoder, self.outputs, self.seen, self.frames)

    @property
    def seen(self) -> tuple[int, int]:
        """Height and width of the only input, in pixels."""
        (x,) = self.samples.inputs.values()
        return x.shape[1], x.shape[2]

    @classmethod
    def of(
        cls,
        model: RunnerLike,
        samples: SamplesLike,
        columns: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        tasks: Mapping[str, str] | str | None = None,
        labels: str | os.PathLike[str] | None = None,
        decoder: Decoder | None = None,
    ) -> Golden:
        """Ask the original model all samples, which are raw data: what it says of their preparation
        is done first, and the golden holds its result.

        Class labels and an output of (samples, classes), (samples, 1) or (samples,) make a
        classification; float labels in the shape of an output, or whole numbers beyond 0 and 1
        for a single score, make a regression; `edgekit.drift.answers.ask` names the others. Of several outputs that
        fit, the first is taken. Labels ``y/<output>`` are those of a single output.

        Args:
            model: a path, a Keras model object, or a runner, which is not closed.
            samples: as `Samples`, a path, an array, arrays by input name or a `tf.data.Dataset`; of a
                recipe its test samples.
            columns: what else is known of each sample, such as where it was taken: a CSV file with a
                line of names, an ``.npz``, or lists by name.
            tasks: what outputs are for, by output, of `edgekit.tasks.CHOICES`; one alone for the output that it
                fits. By default as the model says itself, or as labels and outputs look.
            labels: where labels lie that the samples do not have, as `edgekit.samples.targets.with_labels` reads them.
            decoder: how outputs become boxes, in place of what the model says itself.

        Raises:
            UsageError: one of them is none of these.
            TensorError: the samples do not fit the model's inputs, or an answer is not finite.
            SamplesError: a label is a class that the model does not have.
            ArtifactError: the model fails.
        """
        asked = Sources().samples(samples)
        known = {} if columns is None else as_columns(columns, len(asked))
        wanted = {ANY_OUTPUT: tasks} if isinstance(tasks, str) else dict(tasks or {})
        with opened(model) as runner:
            if labels is not None:
                asked = with_labels(asked, labels, runner.metadata.class_names)
            decoder = decoder or runner.metadata.decoder
            return replace(cls._asked(runner, asked, wanted, decoder), columns=known)

    @classmethod
    def _asked(
        cls, runner: Runner, samples: Samples, tasks: Mapping[str, str], decoder: Decoder | None
    ) -> Golden:
        answers, artifact = ask(runner, samples, tasks, decoder), runner.artifact
        reference = Reference(
            artifact.name, artifact.sha256, artifact.format, artifact.size_bytes, runner.backend
        )
        found = observe(runner, samples, answers, decoder)
        golden = cls(**vars(answers), reference=reference, setup=found)
        if decoder is None:
            return golden
        frames = frames_of(samples, runner.metadata)
        if frames is None:
            raise TensorError(
                "decoder: received inputs "
                f"{ {name: list(x.shape) for name, x in samples.inputs.items()} }, expected one of images, "
                "[samples, height, width, channels]."
            )
        golden = replace(golden, decoder=decoder, frames=frames)
        # Whether it reads these outputs at all.
        decoded(decoder, {name: x[:1] for name, x in golden.outputs.items()}, golden.seen)
        return golden

    def subset(self, count: int, seed: int = 0) -> Golden:
        """`count` samples with the original's answers to them, drawn as `Samples.subset` does; all if there are fewer.

        What was found out about the samples with the original model stays as it was found, on all of them.

        Raises:
            UsageError: fewer than one.
        """
        picked = drawn(len(self.samples), count, seed)
        if len(picked) == len(self.samples):
            return self
        samples = self.samples[picked].read()
        setup = self.setup and replace(self.setup, samples_sha256=samples_sha256(samples))
        return replace(
            self,
            samples=samples,
            outputs={name: np.asarray(pick(x, picked)) for name, x in self.outputs.items()},
            columns={name: x[picked] for name, x in self.columns.items()},
            frames=None if self.frames is None else self.frames[picked],
            setup=setup,
            sha256=None,
        )

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> Golden:
        """Write an ``.npz``; the same golden gives the same bytes.

        Arrays are ``input/<name>``, ``output/<name>``, ``column/<name>``, ``labels``, ``labels/<output>``, and
        ``meta``, which is JSON in UTF-8 bytes.

        Returns:
            The golden as one that lies in a file: with the file's `sha256`.

        Raises:
            OutputExistsError: `path` exists and `overwrite` is false.
        """
        refuse_existing([path], overwrite)
        decoder = None if self.decoder is None else self.decoder.to_json()
        meta = _Meta(
            self.reference, self.task, self.task_output, self.setup, dict(self.others), decoder
        )
        text = json.dumps(plain(meta.to_json()), ensure_ascii=False)
        arrays: dict[str, Any] = {_META: np.frombuffer(text.encode("utf-8"), np.uint8)}
        arrays.update({_INPUT + name: x for name, x in self.samples.inputs.items()})
        arrays.update({_OUTPUT + name: x for name, x in self.outputs.items()})
        arrays.update({_COLUMN + name: x for name, x in self.columns.items()})
        arrays.update({_LABELS_OF + name: x for name, x in self.samples.output_labels.items()})
        if self.frames is not None:
            arrays[_FRAMES] = self.frames
        if self.samples.labels is not None:
            arrays[_LABELS] = self.samples.labels
        with atomic(path) as temporary:
            save_npz(temporary, arrays)
            sha256 = sha256_of(temporary)
        return replace(self, sha256=sha256)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Golden:
        """Read a golden file. It may come from anywhere: nothing in it is executed.

        Raises:
            UsageError: nothing is at `path`.
            DocumentError: the file is damaged, is no golden, or contradicts itself.
        """
        path = existing(path, "golden")
        try:
            require_file(path)
            arrays = _read_arrays(path)
        except SamplesError as error:
            raise DocumentError(f"{path}: {error}") from error
        except UNREADABLE as error:
            hint = " It holds pickled objects, which can run code and are refused."
            pickled = isinstance(error, ValueError) and "pickle" in str(error).lower()
            raise DocumentError(
                f"{path}: cannot be read as a golden file ({type(error).__name__}: {error})."
                f"{hint if pickled else ''} Make it anew with: edgekit golden"
            ) from error
        meta = _read_meta(path, arrays)
        try:
            samples = Samples(
                _named(arrays, _INPUT),
                arrays.get(_LABELS),
                output_labels=_named(arrays, _LABELS_OF),
            )
            outputs = _named(arrays, _OUTPUT)
            golden = cls(
                samples,
                outputs,
                meta.task,
                meta.task_output,
                meta.reference,
                sha256_of(path),
                _named(arrays, _COLUMN),
                meta.setup,
                None if meta.decoder is None else decoder_from_json(meta.decoder),
                arrays.get(_FRAMES),
                others=meta.others,
            )
        except (RecipeError, SamplesError, TensorError) as error:
            raise DocumentError(f"{path}: {error}") from error
        if meta.setup is not None and meta.setup.samples_sha256 != samples_sha256(samples):
            raise DocumentError(
                f"{path}: its inputs or labels were changed since 'edgekit golden' made it, so that the "
                "original's answers in it belong to others. Make it anew with: edgekit golden"
            )
        return golden


def as_golden(given: Golden | str | os.PathLike[str]) -> Golden:
    """A golden, read if it is given as a file.

    Raises:
        UsageError: it is neither, or nothing is at the path.
        DocumentError: as `Golden.load`.
    """
    if isinstance(given, (str, os.PathLike)):
        return Golden.load(given)
    check_type("golden", given, Golden, "edgekit.Golden or the path of a golden file (.npz)")
    return given


def _read_arrays(path: Path) -> dict[str, Any]:
    # numpy takes whatever is neither an array nor an archive for a pickle.
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no .npz archive: damaged, or of another format")
    check_npz(path, (_META, _FRAMES, _LABELS, _INPUT, _OUTPUT, _COLUMN))
    with np.load(path, allow_pickle=False) as archive:
        wanted = [
            name
            for name in archive.files
            if name in (_META, _LABELS, _FRAMES)
            or name.startswith((_INPUT, _OUTPUT, _COLUMN, _LABELS_OF))
        ]
        # Inputs and outputs of many samples wait in a temporary file.
        return {
            name: unpacked(archive.zip, name)
            if name.startswith((_INPUT, _OUTPUT))
            else archive[name]
            for name in wanted
        }


def _read_meta(path: Path, arrays: Mapping[str, NDArray[Any]]) -> _Meta:
    raw = arrays.get(_META)
    if raw is None or raw.dtype != np.uint8:
        raise DocumentError(
            f"{path}: has no 'meta' array of bytes, so it is no golden file. Make one with: "
            "edgekit golden"
        )
    try:
        return _Meta.from_json(parsed_bytes(raw.tobytes()))
    except ValueError as error:
        raise DocumentError(f"{path}: its 'meta' is not JSON ({error!s:.200}).") from error
    except DocumentError as error:
        raise DocumentError(
            f"{path}: its 'meta': {error} Make the file anew with: edgekit golden"
        ) from error


def _named(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name[len(prefix) :]: x for name, x in arrays.items() if name.startswith(prefix)}
