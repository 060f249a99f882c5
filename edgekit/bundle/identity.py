"""Identity: the key that opens a sealed bundle, from a file, the kernel's keyring, a function or a variable.

It is never shown and never written.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from edgekit.artifact import IDENTITY_VARIABLE
from edgekit.errors import UsageError, require

# What `edgekit.load` takes.
IdentityLike = str | os.PathLike[str] | Callable[[], str] | None

EXTRA = "sealing"
_SECRET = "AGE-SECRET-KEY-"
_KEYRING = "keyring:"
_EXPECTED = f"a line that begins with {_SECRET}1, as age-keygen writes it"
# A file of identities has some hundred bytes for each.
_MOST_BYTES = 1 << 16


def identities(given: IdentityLike) -> list[Any]:
    """The keys that a sealed bundle is opened with.

    Args:
        given: the path of a file as ``age-keygen`` writes it; ``"keyring:NAME"``, a key of the kernel's that holds
            what such a file does; a function that returns that; or None for what the variable ``EDGEKIT_IDENTITY``
            holds.

    Raises:
        UsageError: nothing is given, or it holds no identity; what it holds is not said.
        MissingDependencyError: the library is not installed.
    """
    # No frame that an exception passes through holds the text: some programs log what is in them.
    place, found, wrong = _read(given)
    if wrong is not None:
        raise UsageError(f"{place}: line {wrong} is no age identity, expected {_EXPECTED}.")
    if not found:
        raise UsageError(f"{place}: holds no age identity, expected {_EXPECTED}.")
    return found


def is_given(identity: IdentityLike) -> bool:
    """Whether there is something to open a sealed bundle with, sound or not."""
    return identity is not None or bool(os.environ.get(IDENTITY_VARIABLE))


def refuse_secret(word: str, option: str, expected: str) -> None:
    """Refuse a key that stands where something else belongs, without repeating it.

    Raises:
        UsageError: it does.
    """
    if word.strip().upper().startswith(_SECRET):
        raise UsageError(
            f"{option}: received a secret key itself, expected {expected}. Others can read what stands on a command "
            "line: take the key as known, and make another."
        )


def _read(given: IdentityLike) -> tuple[str, list[Any], int | None]:
    """What holds identities, those that are there, and the number of the first line that is none."""
    pyrage = require("pyrage", EXTRA, "Opening a sealed bundle")
    text, place = _text(given)
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        word = line.strip()
        if word and not word.startswith("#"):
            try:
                found.append(pyrage.x25519.Identity.from_str(word))
            except (pyrage.IdentityError, ValueError):
                return place, found, number
    return place, found, None


def _text(given: IdentityLike) -> tuple[str, str]:
    """The text that holds identities, and what it is called."""
    if given is None:
        return os.environ.get(IDENTITY_VARIABLE, ""), IDENTITY_VARIABLE
    if callable(given):
        text = given()
        if not isinstance(text, str):
            raise UsageError(
                f"identity: the function returned {type(text).__name__}, expected a text with {_EXPECTED}."
            )
        return text, "identity: what the function returned"
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError(
            f"identity: received {type(given).__name__}, expected the path of a file, or a function."
        )
    path = os.fspath(given)
    if isinstance(path, str) and path.startswith(_KEYRING):
        # Not every system has a kernel with keyrings.
        from edgekit.bundle.keyring import read_key

        content = read_key(path.removeprefix(_KEYRING))
        return content.decode("ascii", "replace"), f"identity {path}"
    refuse_secret(path, "identity", f"the path of a file that holds it, or {IDENTITY_VARIABLE}")
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            text = file.read(_MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(
            f"identity {path}: cannot be read: {reason}. Expected {_EXPECTED}."
        ) from None
    if len(text) > _MOST_BYTES:
        del text
        raise UsageError(
            f"identity {path}: has more than {_MOST_BYTES:,} characters, expected {_EXPECTED}."
        )
    return text, f"identity {path}"
