"""Limits: how much a file that is not trusted may unpack to."""

from __future__ import annotations

from typing import Any

from edgekit.errors import ArtifactError
from edgekit.models.untrusted import refusals

# The largest of Keras' own networks has an architecture of a megabyte; vocabularies make it larger.
MAX_CONFIG_BYTES = 64 << 20
# Values, tables and lists of an architecture, each of which takes some hundred bytes of memory.
MAX_CONFIG_ITEMS = 2_000_000
# How deep tables and lists lie in each other: a model inside of a model takes four. Python and Keras
# follow them by recursion.
MAX_DEPTH = 128
# Keras stores weights as they are; compressed ones shrink by a few times, pruned ones by some more.
MAX_EXPANSION = 20
# Small files may unpack to this much all the same.
FREE_BYTES = 64 << 20
MAX_MEMBERS = 10_000
# Groups, datasets and links of an HDF5 file, and how many groups lie in each other: each is looked up from the root
# on. The largest of Keras' own networks has 1,500 layers; a model inside of a model takes a few levels.
MAX_OBJECTS = 50_000
MAX_LEVELS = 2 * MAX_DEPTH


def unpacked_limit(stored: int) -> int:
    """To how many bytes a file of `stored` bytes may unpack."""
    return FREE_BYTES + MAX_EXPANSION * stored


def check_unpacked(what: str, declared: int, stored: int) -> None:
    """Refuse content that unpacks to far more than its file holds.

    Raises:
        UntrustedCodeError: with both figures.
    """
    limit = unpacked_limit(stored)
    if declared > limit:
        raise refusals.too_much(
            what,
            f"unpacks to {declared / 1e6:,.0f} MB out of {stored / 1e6:,.1f}",
            f"{limit / 1e6:,.0f} MB",
        )


def check_config(text: bytes) -> None:
    """Refuse an architecture that would take absurd memory when it is read.

    Raises:
        UntrustedCodeError: with both figures.
    """
    if len(text) > MAX_CONFIG_BYTES:
        raise refusals.too_much(
            "its architecture",
            f"has {len(text) / 1e6:,.0f} MB",
            f"{MAX_CONFIG_BYTES / 1e6:,.0f} MB",
        )
    items = sum(map(text.count, (b",", b"[", b"{")))
    if items > MAX_CONFIG_ITEMS:
        raise refusals.too_much(
            "its architecture", f"has {items:,} values", f"{MAX_CONFIG_ITEMS:,}"
        )


def check_depth(config: Any) -> None:
    """Refuse an architecture whose parts lie too deep in each other for any reader.

    Raises:
        ArtifactError: with both figures.
    """
    level, depth = [config], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ArtifactError(
                f"its architecture lies over {MAX_DEPTH} levels deep in itself, expected at most "
                f"{MAX_DEPTH}. Take models out of models."
            )
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = inner
