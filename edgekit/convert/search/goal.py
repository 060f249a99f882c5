"""Goal: what the best file is to be, and the labelled samples that it is searched for and judged with."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.drift.budget import DriftBudget
from edgekit.drift.budget_table import BudgetTable
from edgekit.drift.figure import MEASURED_BY_BENCH
from edgekit.errors import UsageError, check_type
from edgekit.recipe import MINIMISED, DataRecipe, Recipe
from edgekit.recipe.checks import check_names
from edgekit.samples import Samples, SamplesLike, Sources

# Of the samples given, the share that is searched with, and the most of them. All others judge.
_SHARE, _MOST = 0.25, 256
_FEWEST = 8


@dataclass(frozen=True)
class Goal:
    """What is searched for.

    Attributes:
        budget: what the file has to meet.
        minimise: of `edgekit.recipe.MINIMISED`.
        samples: raw and labelled, to search and to judge with; what the recipe names as test samples if None.
    """

    budget: DriftBudget
    minimise: str = "size"
    samples: SamplesLike | None = None

    def read(self, sources: Sources, own: DataRecipe | None) -> Samples:
        """The samples; of what a recipe names, those for testing.

        Raises:
            UsageError: there are none.
            EdgekitError: as `edgekit.load_samples`.
        """
        if self.samples is not None:
            return sources.samples(self.samples, "samples", "test")
        if own is None:
            raise UsageError(
                "samples: received none, expected labelled ones to search and to judge with: --samples SAMPLES."
            )
        return sources.splits(own).part("test")

    def __post_init__(self) -> None:
        check_names("minimise", (self.minimise,), MINIMISED)
        if not self.budget.all_limits:
            raise UsageError(
                "budget: received no limit, expected one that the file has to meet, such as "
                "--max-accuracy-drop 1%."
            )
        measured = {limit.figure for limit in self.budget.all_limits}
        timed = [name for name in MEASURED_BY_BENCH if name in measured]
        if timed:
            raise UsageError(
                f"budget: received a limit of {timed[0]!r}, expected one of answers or of a size: a benchmark measures "
                "it, and the search makes none. Search with --minimise latency, and then limit what 'edgekit bench' "
                "measures: edgekit compare --timings."
            )


def goal_of(
    recipe: Recipe,
    budget: DriftBudget | None = None,
    minimise: str | None = None,
    samples: SamplesLike | None = None,
) -> Goal | None:
    """What is searched for; None where nothing is, and all files are made that are named.

    Args:
        recipe: says what the arguments do not.
        budget: what the file has to meet; the recipe's table if None.
        minimise: of `edgekit.recipe.MINIMISED`.
        samples: to search and to judge with.

    Raises:
        UsageError: something is to be minimised, or samples are given, without a limit.
    """
    chosen = minimise or recipe.export.minimise
    if budget is None and chosen is None:
        if samples is not None:
            raise UsageError(
                "samples: received some to search with, and no budget, expected one, such as "
                "--max-accuracy-drop 1%."
            )
        return None
    if budget is None:
        table = BudgetTable(**vars(recipe.budget)) if recipe.budget else BudgetTable()
        budget = table.limits_of()
    check_type("budget", budget, DriftBudget, "an edgekit.DriftBudget")
    return Goal(budget, chosen or MINIMISED[0], samples)


def divided(samples: Samples, seed: int) -> tuple[Samples, Samples]:
    """The samples to search with, and the others, which judge.

    Args:
        samples: labelled or not.
        seed: of the division.

    Raises:
        UsageError: there are too few.
    """
    if len(samples) < 2 * _FEWEST:
        raise UsageError(
            f"samples: received {len(samples)}, expected at least {2 * _FEWEST}: some to search with, and "
            "others to judge by."
        )
    share = max(_FEWEST, min(_MOST, round(len(samples) * _SHARE))) / len(samples)
    searched, judging = samples.split([share, 1 - share], seed)
    return searched, judging
