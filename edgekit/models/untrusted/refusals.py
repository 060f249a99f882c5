"""Refusals: what stands in the way of an untrusted Keras file, in words."""

from __future__ import annotations

from edgekit.errors import ArtifactError, UntrustedCodeError

TRUST = "If you trust its author, give --trust-code (trust_code=True)"


class StrangerError(ArtifactError):
    """A flavour of Keras does not know something that an architecture asks for; another may."""


def code(owner: str, what: str) -> UntrustedCodeError:
    """A layer that carries code, or reaches for files."""
    return UntrustedCodeError(
        f"layer {owner!r:.200} holds {what}, which would run on loading. {TRUST}; better, replace it "
        "with a layer."
    )


def stranger(owner: str, what: str, flavour: str) -> StrangerError:
    """A class or function that is not Keras' own and that nobody has registered."""
    return StrangerError(
        f"layer {owner!r:.100} asks for {what!r:.300}, which is none of Keras' own and not registered "
        f"({flavour}.saving.register_keras_serializable). Name the file that defines it: --import "
        "FILE.py; in Python, import it first."
    )


def unknown(owner: str, name: str, argument: str) -> StrangerError:
    """An argument that a class does not take."""
    return StrangerError(
        f"layer {owner!r:.100} gives {name} the argument {argument!r:.100}, which it does not take."
    )


def wrong(owner: str, argument: str, value: object, expected: str) -> StrangerError:
    """A value of the wrong type or size."""
    return StrangerError(
        f"layer {owner!r:.100} has {argument!r:.100} = {value!r:.100}, expected {expected}."
    )


def too_much(what: str, figure: str, limit: str) -> UntrustedCodeError:
    """More than a file of others may ask for.

    It is final, as code is: no other reader is asked.
    """
    return UntrustedCodeError(
        f"{what}: {figure}, where a file that is not trusted may have {limit}. {TRUST}, which lifts the "
        "limit."
    )
