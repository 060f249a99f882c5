"""The parser of a command: how its help looks, and what is said of wrong words."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from edgekit.errors import UsageError, nearest

_OPTION = re.compile(r"--?[A-Za-z][^\s=]*")


class _Formatter(argparse.HelpFormatter):
    """Paragraphs are wrapped; those with indented lines, such as examples, stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            paragraph
            if "\n  " in paragraph
            else super(_Formatter, self)._fill_text(paragraph, width, indent)
            for paragraph in text.strip().split("\n\n")
        )


class Parser(argparse.ArgumentParser):
    """Wrong usage ends in one message, like every other error. Options are not abbreviated."""

    def __init__(self, **given: Any) -> None:
        super().__init__(allow_abbrev=False, **{"formatter_class": _Formatter, **given})

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        # Before anything that is missing: it may be missing because it is misspelt.
        self._refuse_unknown(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ")
        message = message.replace("unrecognized arguments:", "too many arguments:")
        raise UsageError(f"{message}{'' if message.endswith(('?', '.')) else '.'} {self._see}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        # An action, such as `list` of `edgekit devices`, has no name of its own.
        named = None if isinstance(action, argparse._SubParsersAction) else action
        raise argparse.ArgumentError(
            named, f"received {value!r}, expected one of {', '.join(known)}.{nearest(value, known)}"
        )

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        known = self._option_string_actions
        # What follows an action's name is for its own parser.
        actions = {name for a in self._actions for name in _choices(a)}
        for word in words:
            if word == "--" or word in actions:
                return
            if (found := _OPTION.match(word)) is None:
                continue
            option = found[0]
            # Of one letter, with its value or others behind it: -oDIR, -vv.
            if option in known or (option[1] != "-" and option[:2] in known):
                continue
            raise UsageError(f"unknown option {option!r}.{_meant(option, known)} {self._see}")

    @property
    def _see(self) -> str:
        return f"See: {self.prog} --help"


def _choices(action: argparse.Action) -> Iterable[str]:
    return action.choices or () if isinstance(action, argparse._SubParsersAction) else ()


def _meant(option: str, known: Iterable[str]) -> str:
    """As `nearest`; what `option` is the beginning of is nearer than what it resembles."""
    longer = [name for name in known if name.startswith(option)]
    if longer:
        return f" Did you mean {min(longer, key=len)!r}?"
    # Dashes, which all of them have, make none alike.
    names = {name.lstrip("-"): name for name in known}
    found = nearest(option.lstrip("-"), names)
    return re.sub("'(.+)'", lambda name: repr(names[name[1]]), found)
