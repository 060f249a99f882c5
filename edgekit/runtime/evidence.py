"""Evidence: what a trial of a model file showed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit.runtime.sandbox.state import Sandbox


@dataclass(frozen=True)
class Evidence:
    """What a trial showed.

    Attributes:
        ran: (signature, shape by input) of what ran well; None stands for a file without signatures.
        sandbox: what held the child, beside its limits.
    """

    ran: tuple[tuple[str | None, dict[str, tuple[int, ...]]], ...]
    sandbox: Sandbox

    def to_json(self) -> dict[str, Any]:
        return {"ran": self.ran, "sandbox": self.sandbox.to_json()}

    @classmethod
    def of_json(cls, content: Any) -> Evidence:
        """What `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is something else.
        """
        held = content["sandbox"]
        return cls(
            tuple(
                (
                    signature and str(signature),
                    {str(name): tuple(map(int, shape)) for name, shape in shapes.items()},
                )
                for signature, shapes in content["ran"]
            ),
            Sandbox(bool(held["seccomp"]), held["landlock"] and int(held["landlock"])),
        )
