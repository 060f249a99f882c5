"""Checks of single values, in one wording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.errors import RecipeError, nearest
from edgekit.shares import per_cent_meant


def check(key: str, value: Any, holds: Callable[[Any], bool], expected: str) -> None:
    if not holds(value):
        raise RecipeError(f"{key}: received {value!r}, expected {expected}.")


def check_share(key: str, value: float, holds: Callable[[float], bool], expected: str) -> None:
    """As `check`, of a share: where the number is too large for one, ask whether per cent was meant."""
    asked = per_cent_meant(value) if value > 1 else ""
    if not holds(value):
        raise RecipeError(f"{key}: received {value!r}, expected a share {expected}{asked or '.'}")


def check_name(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RecipeError(
            f"{key}: received {value!r}, expected one of {', '.join(known)}.{nearest(value, known)}"
        )


def check_names(key: str, values: tuple[str, ...] | None, known: tuple[str, ...]) -> None:
    """Refuse no names and unknown ones; None is as good as known ones."""
    if values is None:
        return
    if not values:
        raise RecipeError(f"{key}: received none, expected at least one of {', '.join(known)}.")
    for value in values:
        check_name(key, value, known)
