"""ModelRecipe: which network."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.config import check_types
from edgekit.errors import RecipeError
from edgekit.recipe.checks import check, check_share


@dataclass(frozen=True)
class ModelRecipe:
    """Which network is trained: a reference architecture, a function's of one's own, or a file's.

    Attributes:
        name: a reference architecture (`edgekit.models.architectures`); not read where `function`
            or `file` is given.
        width: multiplies the channels of every layer.
        dropout: share of activations dropped before the last layer while training.
        function: ``"module:function"``, which builds the network
            (`edgekit.models.architectures.own`).
        file: a Keras model to go on from, with its weights. Relative to the recipe; it may name
            ``${VARIABLES}``.
        folder: where the module of `function` is looked for first; by default the recipe's own.
    """

    name: str = "cnn"
    width: float = 1.0
    dropout: float = 0.25
    function: str | None = None
    file: str | None = None
    folder: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check("width", self.width, lambda v: 0 < v <= 16, "a number above 0, up to 16")
        check_share("dropout", self.dropout, lambda v: 0 <= v < 1, "in [0, 1)")
        if self.function is not None:
            module, _, function = self.function.partition(":")
            named = function.isidentifier() and all(p.isidentifier() for p in module.split("."))
            check("function", self.function, lambda _: named, "'module:function'")
            if self.file is not None:
                raise RecipeError("function, file: received both, expected one of them.")
        elif self.folder is not None:
            raise RecipeError("folder: received without function, whose module it leads to.")
