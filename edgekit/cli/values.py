"""What options take: the text that is typed, as the value that it stands for."""

from __future__ import annotations

import argparse

from edgekit.shares import Share

# In place of a file's name: where results go that are read by another program.
STDOUT = "-"


def share(text: str) -> float:
    """``1%`` or ``0.01``. Whether a plain number can have been meant is asked where its limits are."""
    try:
        return Share.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"received {text!r}, expected a number") from None


def whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"received {text!r}, expected a whole number") from None


def names(text: str) -> list[str]:
    """``int8,float32``: one or several, for ``action="extend"``, so that the option may be repeated too."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(
            f"received {text!r}, expected names with a comma between them"
        )
    return found


def path(text: str) -> str:
    """Of a file or folder to write, which stdout cannot stand for."""
    if text == STDOUT:
        raise argparse.ArgumentTypeError(
            f"received {text!r}, expected a path: only JSON, JUnit XML and Markdown reports go to stdout"
        )
    return text
