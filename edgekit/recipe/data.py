"""DataRecipe: which samples."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgekit.config import check_types
from edgekit.errors import RecipeError
from edgekit.recipe.checks import check_share


@dataclass(frozen=True)
class DataRecipe:
    """Where samples come from. Paths are relative to the recipe and may name ``${VARIABLES}``.

    Attributes:
        train: samples with labels.
        test: samples kept apart to the end.
        test_pattern: without `test`, a regular expression for names of files in the folder `train`
            that are kept apart to the end: ``'_[0-4]\\.wav$'``.
        test_share: without both, the share of `train` that is.
        validation: share of `train`, without the test samples, that guides the training.
        calibration: share of the same kept for finding ranges, disjoint from both; 0 for none,
            then the training samples serve.
        seed: of the splits.
        target: of a ``.csv`` file, the column that holds the labels; ``y`` if None.
        label_pattern: of a folder of files, a regular expression for their names whose first group is the
            class: ``'^(\\d)_'``.
        class_names: of the classes by number, where the data does not name them; where it does, the
            order in which they are numbered.
    """

    train: str
    test: str | None = None
    validation: float = 0.1
    seed: int = 0
    calibration: float = 0.0
    target: str | None = None
    label_pattern: str | None = None
    test_pattern: str | None = None
    test_share: float = 0.0
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        check_share("validation", self.validation, lambda v: 0 < v <= 0.4, "above 0, up to 0.4")
        check_share("calibration", self.calibration, lambda v: 0 <= v <= 0.4, "from 0 to 0.4")
        check_share("test_share", self.test_share, lambda v: 0 <= v <= 0.5, "from 0 to 0.5")
        tests = {
            "test": self.test,
            "test_pattern": self.test_pattern,
            "test_share": self.test_share,
        }
        given = [key for key, value in tests.items() if value]
        if len(given) > 1:
            raise RecipeError(f"received {' and '.join(given)}, expected one of them.")
        for key in ("label_pattern", "test_pattern"):
            check_pattern(key, getattr(self, key), groups=key == "label_pattern")


def check_pattern(key: str, pattern: str | None, groups: bool) -> None:
    """Refuse what is no regular expression, or one without the group that is needed.

    Raises:
        RecipeError: says where it breaks off.
    """
    if pattern is None:
        return
    try:
        found = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise RecipeError(f"{key}: {pattern!r} is no regular expression: {error}.") from error
    if groups and not found:
        raise RecipeError(
            f"{key}: received {pattern!r}, expected a group in parentheses that is the class: "
            r"'^(\d)_' takes '7' from '7_george_12.wav'."
        )
