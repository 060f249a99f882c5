"""What is done to a trained model before it is exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgekit.config import check_types
from edgekit.errors import RecipeError
from edgekit.recipe.checks import check, check_name, check_share

# How sparsity rises: along a cubic curve, or all at once.
SCHEDULES = ("polynomial", "constant")

# Zeros in four consecutive weights of a dense kernel.
PATTERNS = ("2:4",)

# What tells how much a channel matters.
CRITERIA = ("batchnorm", "l1", "l2")


@dataclass(frozen=True)
class PruneRecipe:
    """Pruning with fine-tuning: of single weights (`sparsity`), of whole channels, of places.

    Attributes:
        sparsity: share of each kernel's weights set to zero, in [0, 1).
        epochs: passes of fine-tuning.
        batch_size: samples a step.
        learning_rate: of the fine-tuning at its start; falls to zero along half a cosine.
        seed: of shuffling and dropout.
        schedule: of `SCHEDULES`.
        begin: the step of fine-tuning at which zeros begin to be set.
        end: the step at which a polynomial schedule reaches its sparsity; after two thirds of the
            training if None.
        frequency: steps from one choice of zeros to the next; 50 choices in all if None.
        layers: sparsity of single layers, by name; depthwise ones are pruned only if they are here.
        exclude: names of layers that are left as they are.
        block: height and width of the blocks that are set to zero together, in kernels of two axes
            (inputs, outputs) that they divide.
        block_pooling: what stands for a block: ``"average"`` or ``"max"`` of its magnitudes.
        pattern: ``"2:4"``: two zeros in four consecutive input channels, where their number is a
            multiple of four; the sparsity is 0.5.
        channels: share of the channels of each group of layers that is removed, in [0, 1).
        criterion: of `CRITERIA`.
        multiple: channels that stay are a multiple of this, as far as there are as many.
        kernels: height and width (or as many axes as there are) to which kernels of convolutions
            are cut, by layer name.
        pooling_to_stride: names of pooling layers that go, the convolution in front taking their stride.

    A table of a recipe may leave open what the command line says, as `--prune`; `check_complete` tells.
    """

    sparsity: float | None = None
    epochs: int = 4
    batch_size: int = 64
    learning_rate: float = 0.0005
    seed: int = 0
    schedule: str = "polynomial"
    begin: int = 0
    end: int | None = None
    frequency: int | None = None
    layers: Mapping[str, float] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    block: tuple[int, ...] = (1, 1)
    block_pooling: str = "average"
    pattern: str | None = None
    channels: float | None = None
    criterion: str = "l2"
    multiple: int = 16
    kernels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    pooling_to_stride: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        if self.pattern is not None:
            check_name("pattern", self.pattern, PATTERNS)
            if self.sparsity is None:
                object.__setattr__(self, "sparsity", 0.5)
            check("sparsity", self.sparsity, lambda v: v == 0.5, "0.5 with the pattern '2:4'")
            alone = tuple(self.block) == (1, 1)
            check("block", self.block, lambda _: alone, "none with the pattern '2:4'")
        for key, share in (("sparsity", self.sparsity), ("channels", self.channels)):
            if share is not None:
                check_share(key, share, lambda v: 0 <= v < 1, "in [0, 1)")
        for name, share in self.layers.items():
            check_share(f"layers.{name}", share, lambda v: 0 <= v < 1, "in [0, 1)")
        both = [name for name in self.layers if name in self.exclude]
        check("layers", both, lambda v: not v, "no names that are in exclude too")
        _check_training(self.epochs, self.batch_size, self.learning_rate)
        check_name("schedule", self.schedule, SCHEDULES)
        check("begin", self.begin, lambda v: v >= 0, "at least 0")
        check("end", self.end, lambda v: v is None or v > self.begin, f"above begin {self.begin}")
        check("frequency", self.frequency, lambda v: v is None or v >= 1, "at least 1")
        two = len(self.block) == 2 and min(self.block, default=0) >= 1
        check("block", self.block, lambda _: two, "two numbers of at least 1")
        check_name("block_pooling", self.block_pooling, ("average", "max"))
        check_name("criterion", self.criterion, CRITERIA)
        check("multiple", self.multiple, lambda v: v >= 1, "at least 1")
        for name, size in self.kernels.items():
            check(
                f"kernels.{name}", min(size, default=0), lambda v: v >= 1, "numbers of at least 1"
            )

    @property
    def structured(self) -> bool:
        """Whether the network gets another structure, not only zeros."""
        return self.channels is not None or bool(self.kernels or self.pooling_to_stride)

    def check_complete(self) -> None:
        """Ask this before pruning.

        Raises:
            RecipeError: nothing says how much to prune.
        """
        if self.sparsity is None and not self.structured:
            raise RecipeError(
                "export.prune: key 'sparsity' is missing, or 'channels', 'kernels' or "
                "'pooling_to_stride': what to prune. --prune and --prune-channels give the first two "
                "as well."
            )


@dataclass(frozen=True)
class ClusterRecipe:
    """Weight sharing: each kernel holds a few distinct values, found by k-means++, then fine-tuned.

    Attributes:
        clusters: distinct values in each kernel.
        epochs: passes of fine-tuning.
        batch_size: samples a step.
        learning_rate: of the fine-tuning at its start; falls to zero along half a cosine.
        seed: of the first centroids, shuffling and dropout.
        exclude: names of layers that are left as they are.
    """

    clusters: int = 16
    epochs: int = 2
    batch_size: int = 64
    learning_rate: float = 0.0002
    seed: int = 0
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        # One value is no network, and three are what is left when zero must be among them.
        check("clusters", self.clusters, lambda v: 3 <= v <= 256, "a number from 3 to 256")
        _check_training(self.epochs, self.batch_size, self.learning_rate)


def _check_training(epochs: int, batch_size: int, learning_rate: float) -> None:
    check("epochs", epochs, lambda v: v >= 1, "at least 1")
    check("batch_size", batch_size, lambda v: v >= 1, "at least 1")
    check("learning_rate", learning_rate, lambda v: 0 < v < 10, "a number in (0, 10)")
