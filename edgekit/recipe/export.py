"""ExportRecipe: which files are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgekit.artifact import FORMATS, SCHEMES
from edgekit.config import check_types
from edgekit.detection import Decoder
from edgekit.errors import RecipeError, UsageError
from edgekit.preprocess import Preprocessing
from edgekit.recipe.checks import check, check_names
from edgekit.recipe.optimize import ClusterRecipe, PruneRecipe
from edgekit.recipe.qat import DistillRecipe, QatRecipe
from edgekit.tasks import check_tasks

# How the range of an activation follows from the values seen of it.
CALIBRATION_METHODS = ("min-max", "percentile", "entropy", "mse")

# How much is done for the answers of files with weights in integers.
QUALITIES = ("fast", "default", "best")

# What is made as small as a budget allows: bytes of the file, of the file packed by xz, or its latency.
MINIMISED = ("size", "packed", "latency")

# For a dynamic dimension.
DYNAMIC = "dynamic"

# What is made where nothing says which files.
DEFAULT_FORMATS = ("tflite",)
DEFAULT_SCHEMES = ("float32", "int8")

# What `files` may name, with the scheme and the format that each stands for.
FILES = {
    f"{scheme}{ending}": (scheme, format)
    for format, ending in FORMATS.items()
    for scheme in SCHEMES
}


@dataclass(frozen=True)
class ExportRecipe:
    """Which files are made: those that `files` names, or each of `schemes` in each of `formats`.

    Attributes:
        formats: ``"tflite"``, ``"onnx"``; `DEFAULT_FORMATS` if None.
        schemes: see `edgekit.artifact.SCHEMES`; `DEFAULT_SCHEMES` if None.
        files: single files by scheme and ending, such as ``"int8.tflite"`` and ``"float32.onnx"``,
            in place of `schemes` and `formats`.
        io_dtype: what int8 TFLite files take and give: ``"int8"``, ``"uint8"`` or ``"float32"``.
        batch: samples an inference, a number or its digits; ``"dynamic"`` for any number.
        shape: for inputs by name, a size for each axis, the batch first, where the model leaves some
            open; ``"dynamic"`` keeps one open. Its batch is the files', in place of `batch`.
        calibration: samples drawn, of those given, to find the activations' ranges.
        seed: of that draw.
        calibration_method: how ranges follow from them, of `CALIBRATION_METHODS`.
        percentile: for the method of that name, how many values a range keeps, in percent.
        quality: ``"fast"`` rounds weights one by one; ``"default"`` fits them to calibration samples;
            ``"best"`` does so with more samples, which may take minutes.
        device: the board that the files are for, as `edgekit.device.load_device` knows it.
        targets: interpreters that must run the files, such as ``"tflite-runtime==2.14"``.
        signature: of a SavedModel, the one to export; ``serving_default`` or the only one if None.
        imports: Python files that define layers of the model's own, run before it is loaded. A program
            that has registered its classes needs none.
        allow_flex: let TensorFlow's own operators into TFLite files where TFLite has none.
        allow_inaccurate: hand over files that do not answer as the model does, with a warning.
        integer_only: refuse int8 and int16x8 files in which any operator computes in float, as
            accelerators and microcontrollers do, and leave none in float for the sake of accuracy.
        class_names: stored in the files, for `Runner.classify`; one for each class, or none.
        preprocessing: stored in the files, for `Runner.preprocess`: for inputs by name, the steps
            that turn raw data into what the model takes. In TOML, a list of tables each:
            ``[[export.preprocessing.image]]`` with a key ``step`` and the step's own.
        minimise: make of each format the one file that meets the recipe's ``[budget]`` at the least of this, of
            `MINIMISED`, in place of `schemes`; None for the files that are named.
        time_operators: time each operator on this machine for that search, in place of the table that comes
            with edgekit.
        decoder: stored in the files, for `Runner.detect`: how a detector's outputs become boxes. In
            TOML, a table ``[export.decoder]`` with a key ``kind`` and the kind's own.
        tasks: stored in the files: what outputs are for, of `edgekit.tasks.CHOICES`, by output; the empty name
            stands for the output that it fits. In TOML, a table ``[export.tasks]``.
        prune: how the model is pruned before; None for not.
        cluster: how its weights are shared, after that; None for not.
        qat: how it is trained for int8, last of all; None for not.
        distill: how every fine-tuning distils from the original model; None for not at all.
    """

    formats: tuple[str, ...] | None = None
    schemes: tuple[str, ...] | None = None
    files: tuple[str, ...] = ()
    io_dtype: str = "int8"
    batch: int | str = "1"
    shape: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    calibration: int = 1000
    seed: int = 0
    calibration_method: str = "mse"
    percentile: float = 99.999
    quality: str = "default"
    device: str | None = None
    targets: tuple[str, ...] = ()
    signature: str | None = None
    imports: tuple[str, ...] = ()
    allow_flex: bool = False
    allow_inaccurate: bool = False
    integer_only: bool = False
    class_names: tuple[str, ...] = ()
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    decoder: Decoder | None = None
    tasks: Mapping[str, str] = field(default_factory=dict)
    minimise: str | None = None
    time_operators: bool = False
    prune: PruneRecipe | None = None
    cluster: ClusterRecipe | None = None
    qat: QatRecipe | None = None
    distill: DistillRecipe | None = None

    def __post_init__(self) -> None:
        check_types(self)
        for key, values, known in (
            ("formats", self.formats, tuple(FORMATS)),
            ("schemes", self.schemes, SCHEMES),
            ("files", self.files or None, tuple(FILES)),
            ("io_dtype", (self.io_dtype,), ("int8", "uint8", "float32")),
            ("calibration_method", (self.calibration_method,), CALIBRATION_METHODS),
            ("quality", (self.quality,), QUALITIES),
            ("minimise", None if self.minimise is None else (self.minimise,), MINIMISED),
        ):
            check_names(key, values, known)
        try:
            check_tasks(self.tasks)
        except UsageError as error:
            raise RecipeError(f"tasks: {error}") from error
        if self.files and (self.formats, self.schemes) != (None, None):
            raise RecipeError(
                "files: received together with schemes or formats, expected either files, such as "
                "'int8.tflite', or schemes and formats, each of which is made in each."
            )
        batch = _batch(self)
        # Files say it as text.
        object.__setattr__(self, "batch", batch)
        valid_batch = batch == DYNAMIC or (batch.isdecimal() and int(batch) > 0)
        check("batch", batch, lambda _: valid_batch, "a positive number or 'dynamic'")
        check("calibration", self.calibration, lambda v: v >= 1, "at least 1")
        check("percentile", self.percentile, lambda v: 50 < v <= 100, "above 50, up to 100")

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Scheme and format of each file to be made, each once: by format, then scheme, or as `files` says."""
        pairs = [FILES[name] for name in self.files] or [
            (scheme, format)
            for format in self.formats or DEFAULT_FORMATS
            for scheme in self.schemes or DEFAULT_SCHEMES
        ]
        return tuple(dict.fromkeys(pairs))

    def choose(
        self,
        *,
        files: Sequence[str] | None = None,
        schemes: Sequence[str] | None = None,
        formats: Sequence[str] | None = None,
    ) -> ExportRecipe:
        """The same recipe for other files; without any argument, for the same.

        Args:
            files: in place of the recipe's files, schemes and formats.
            schemes, formats: in place of the recipe's `files`, and each in place of its own.

        Raises:
            RecipeError: `files` together with `schemes` or `formats`, or an unknown name.
        """
        crossed: dict[str, Any] = {"schemes": schemes, "formats": formats}
        if files is not None:
            check("files", files, bool, "at least one, such as 'int8.tflite'")
            return replace(self, **{"files": files, **crossed})
        given = {key: names for key, names in crossed.items() if names is not None}
        return replace(self, files=(), **given) if given else self

    @property
    def batch_size(self) -> int | None:
        """Samples an inference; None for dynamic."""
        return None if self.batch == DYNAMIC else int(self.batch)


def _batch(recipe: ExportRecipe) -> str:
    """What `batch` says, or the first axes of `shape`."""
    for name, sizes in recipe.shape.items():
        fine = sizes and all(n == DYNAMIC if isinstance(n, str) else n > 0 for n in sizes)
        if not fine:
            raise RecipeError(
                f"shape.{name}: received {list(sizes)!r}, expected a size for each axis, the batch "
                f"first: positive numbers, or {DYNAMIC!r}."
            )
    batch, firsts = str(recipe.batch), {str(sizes[0]) for sizes in recipe.shape.values()}
    if len(firsts | ({batch} if batch != ExportRecipe.batch else set())) > 1:
        raise RecipeError(
            f"shape: received {' and '.join(sorted(firsts))} for the batch, and batch = {batch!r}, "
            "expected one of them for all inputs."
        )
    return next(iter(firsts), batch)
