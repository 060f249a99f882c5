"""ExportRecipe: which files are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit.artifact import FORMATS, SCHEMES
from edgekit.errors import RecipeError
from edgekit.preprocess import Preprocessing
from edgekit.recipe.checks import check, check_name
from edgekit.recipe.optimize import ClusterRecipe, PruneRecipe
from edgekit.recipe.qat import DistillRecipe, QatRecipe

# How the range of an activation follows from the values seen of it.
CALIBRATION_METHODS = ("min-max", "percentile", "entropy", "mse")


@dataclass(frozen=True)
class ExportRecipe:
    """Which files are made.

    Attributes:
        formats: ``"tflite"``, ``"onnx"``.
        schemes: see `edgekit.artifact.SCHEMES`.
        io_dtype: what int8 TFLite files take and give: ``"int8"`` or ``"float32"``.
        batch: samples an inference; ``"dynamic"`` leaves it open.
        calibration: samples drawn, of those given, to find the activations' ranges.
        seed: of that draw.
        calibration_method: how ranges follow from them, of `CALIBRATION_METHODS`.
        percentile: for the method of that name, how many values a range keeps, in percent.
        device: the board that the files are for, as `edgekit.device.load_device` knows it.
        targets: interpreters that must run the files, such as ``"tflite-runtime==2.14"``.
        signature: of a SavedModel, the one to export; ``serving_default`` or the only one if None.
        allow_flex: let TensorFlow's own operators into TFLite files where TFLite has none.
        class_names: stored in the files, for `Runner.classify`; one for each class, or none.
        preprocessing: stored in the files, for `Runner.preprocess`: for inputs by name, the steps
            that turn raw data into what the model takes. In TOML, a list of tables each:
            ``[[export.preprocessing.image]]`` with a key ``step`` and the step's own.
        prune: how the model is pruned before; None for not.
        cluster: how its weights are shared, after that; None for not.
        qat: how it is trained for int8, last of all; None for not.
        distill: how every fine-tuning imitates the model as it was; None for not.
    """

    formats: tuple[str, ...] = ("tflite",)
    schemes: tuple[str, ...] = ("float32", "int8")
    io_dtype: str = "int8"
    batch: str = "1"
    calibration: int = 1000
    seed: int = 0
    calibration_method: str = "mse"
    percentile: float = 99.999
    device: str | None = None
    targets: tuple[str, ...] = ()
    signature: str | None = None
    allow_flex: bool = False
    class_names: tuple[str, ...] = ()
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    prune: PruneRecipe | None = None
    cluster: ClusterRecipe | None = None
    qat: QatRecipe | None = None
    distill: DistillRecipe | None = None

    def __post_init__(self) -> None:
        for key, values, known in (
            ("formats", self.formats, tuple(FORMATS)),
            ("schemes", self.schemes, SCHEMES),
            ("io_dtype", (self.io_dtype,), ("int8", "float32")),
            ("calibration_method", (self.calibration_method,), CALIBRATION_METHODS),
        ):
            if not values:
                raise RecipeError(f"{key}: received none, expected at least one of {known}.")
            for value in values:
                check_name(key, value, known)
        valid_batch = self.batch == "dynamic" or (self.batch.isdecimal() and int(self.batch) > 0)
        check("batch", self.batch, lambda _: valid_batch, "a positive number or 'dynamic'")
        check("calibration", self.calibration, lambda v: v >= 1, "at least 1")
        check("percentile", self.percentile, lambda v: 50 < v <= 100, "above 50, up to 100")

    @property
    def batch_size(self) -> int | None:
        """Samples an inference; None for dynamic."""
        return None if self.batch == "dynamic" else int(self.batch)
