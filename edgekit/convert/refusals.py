"""Refusals."""
def kind_of(reason: str) -> str | None:
    return reason[:120]
