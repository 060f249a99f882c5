"""TuneRecipe: which hyperparameters are searched, and for what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeGuard, TypeVar

from edgekit.config import check_types, leaves, with_values
from edgekit.document.tuning import OBJECTIVES
from edgekit.errors import RecipeError, nearest
from edgekit.recipe.checks import check, check_name
from edgekit.recipe.export import ExportRecipe

# Trials on other data cannot be held against each other.
_FIXED = ("data", "tune")


@dataclass(frozen=True)
class Dimension:
    """The values that one key may take: between `low` and `high`, both included, or one of `choices`.

    Attributes:
        low, high: both ends; numbers of the key's own kind.
        choices: the values, in the place of ends.
        log: draw between the logarithms of both ends.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    @classmethod
    def from_json(cls, value: Any, where: str) -> Dimension:
        """Of a TOML table ``{low, high, log}`` or ``{choices}``.

        Raises:
            RecipeError: anything else, or ends that are not in order.
        """
        forms = "{low = ..., high = ..., log = true} or {choices = [...]}"
        if not isinstance(value, dict):
            raise RecipeError(f"key {where!r}: received {value!r}, expected {forms}.")
        for key in value:
            if key not in ("low", "high", "log", "choices"):
                raise RecipeError(
                    f"unknown key {where + '.' + key!r}, expected {forms}. Keys with dots need quotes: "
                    f'"training.epochs".{nearest(key, ("low", "high", "log", "choices"))}'
                )
        if "choices" in value:
            choices = value["choices"]
            if len(value) > 1 or not isinstance(choices, list) or not choices:
                raise RecipeError(f"key {where!r}: received {value!r}, expected {forms}.")
            return cls(choices=tuple(choices))
        low, high, log = value.get("low"), value.get("high"), value.get("log", False)
        if type(log) is not bool or not _is_number(low) or not _is_number(high):
            raise RecipeError(f"key {where!r}: received {value!r}, expected {forms}.")
        if not low < high or (log and low <= 0):
            raise RecipeError(
                f"key {where!r}: received {low} to {high}, expected low below high"
                f"{' and both above 0' if log else ''}."
            )
        return cls(low, high, log)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Both ends, or all choices: the values that have to be good for the rest to be."""
        return self.choices or (self.low, self.high)


@dataclass(frozen=True)
class TuneRecipe:
    """What is searched and for what.

    Attributes:
        search: by dotted key of the recipe, such as ``"training.learning_rate"``, what it may be.
        trials: how many there are in all, whoever runs them.
        objectives: one or more of `OBJECTIVES`; with several the result is a Pareto front.
            ``accuracy`` is the Keras model's on the validation samples, the others are of its int8 TFLite file.
        seed: of what is tried.
        pruning: give up trials early that are behind the others.
        workers: trials at a time.
        timeout_s: no trial is begun after so many seconds; None for no limit.
    """

    search: Mapping[str, Dimension]
    trials: int = 20
    objectives: tuple[str, ...] = ("accuracy",)
    seed: int = 0
    pruning: bool = True
    workers: int = 1
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check("search", dict(self.search), bool, "at least one key")
        check("trials", self.trials, lambda v: v >= 1, "at least 1")
        check("workers", self.workers, lambda v: 1 <= v <= 256, "1 to 256")
        check("timeout_s", self.timeout_s, lambda v: v is None or v > 0, "seconds above 0")
        check("seed", self.seed, lambda v: 0 <= v < 2**31, "0 to 2147483647")
        check("objectives", self.objectives, bool, "at least one")
        for name in self.objectives:
            check_name("objectives", name, tuple(OBJECTIVES))
        check(
            "objectives", self.objectives, lambda v: len(set(v)) == len(v), "each of them only once"
        )


class Searched(Protocol):
    """A recipe, as far as a search looks at it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def export(self) -> ExportRecipe: ...

    @property
    def tune(self) -> TuneRecipe | None: ...


R = TypeVar("R", bound=Searched)


def searchable(recipe: Searched) -> dict[str, Any]:
    """The dotted keys of a recipe that can be searched, with the type that each takes."""
    return {
        key: kind
        for key, kind in leaves(type(recipe)).items()
        if key.partition(".")[0] not in _FIXED
    }


def check_search(recipe: Searched) -> None:
    """Refuse a search whose keys a recipe does not have or whose values it would not take.

    Raises:
        RecipeError: an unknown key (the nearest is named), or an end of a range, or a choice, that the
            key cannot be.
    """
    assert recipe.tune is not None, "the caller has a [tune] table"
    known = searchable(recipe)
    for key, dimension in recipe.tune.search.items():
        if key not in known:
            fixed = key.partition(".")[0] in _FIXED
            reason = (
                "all trials have the same data and study" if fixed else "the recipe has no such key"
            )
            raise RecipeError(f"tune.search: {key!r}: {reason}.{nearest(key, known)}")
        whole = all(type(end) is int for end in dimension.ends)
        if not dimension.choices and (
            known[key] is not float and not (known[key] is int and whole)
        ):
            raise RecipeError(
                f"tune.search: {key!r}: received {dimension.low} to {dimension.high}, expected "
                f"{'whole numbers' if known[key] is int else 'choices'}."
            )
    first = {key: dimension.ends[0] for key, dimension in recipe.tune.search.items()}
    for key, dimension in recipe.tune.search.items():
        for value in dimension.ends:
            try:
                trial_recipe(recipe, {**first, key: value})
            except RecipeError as error:
                raise RecipeError(f"tune.search: {key!r}: {error}") from error


def trial_recipe(recipe: R, values: Mapping[str, Any]) -> R:
    """The recipe of one trial: `recipe` with `values` by dotted key, and without its search.

    Raises:
        RecipeError: a value that the recipe does not take, or a table that nothing completes later.
    """
    made = with_values(replace(recipe, tune=None), values)
    if made.export.prune:
        made.export.prune.check_complete()
    return made


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and math.isfinite(value)
