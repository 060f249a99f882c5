"""Names of layers that a recipe speaks of."""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.errors import UsageError, nearest


def check_layers(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a name of `given` that is not among `known`.

    Raises:
        UsageError: names the layer, the key `what`, and the nearest name.
    """
    known = list(known)
    for name in given:
        if name not in known:
            others = f"expected one of {', '.join(known)}" if known else "nor any other"
            raise UsageError(
                f"{what}: the model has no layer {name!r} that this could be done to, {others}."
                f"{nearest(name, known)}"
            )
