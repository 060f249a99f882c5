"""Defaults: what ``[tool.edgekit]`` in the pyproject.toml of the current folder says where an option is not given.

The folder may be somebody else's. What a file may set there changes figures, and how they are shown; nothing of it
runs code, trusts any, lifts a limit, or names a file that is written.
"""

from __future__ import annotations

import argparse
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from edgekit.errors import RecipeError, nearest

FILE = "pyproject.toml"
TABLE = "tool.edgekit"
# Larger ones are read by nobody.
_MOST_BYTES = 1 << 20
# By what the arguments call them.
OF_ALL = frozenset({"color", "quiet"})
OF_COMMANDS = frozenset(
    {
        *(
            "batch",
            "calibration",
            "calibration_method",
            "calibration_samples",
            "cluster",
            "columns",
        ),
        *(
            "data",
            "device",
            "distill",
            "epochs",
            "file",
            "folder",
            "format",
            "golden",
            "integer_only",
        ),
        *("io_dtype", "keep", "keep_going", "licence", "licence_id", "limit", "max_accuracy_drop"),
        *("max_slowdown", "min_accuracy", "min_agreement", "min_sqnr_db", "minimise", "prune"),
        *(
            "prune_channels",
            "qat",
            "quality",
            "quantize",
            "samples",
            "seconds",
            "seed",
            "signature",
        ),
        *("strict", "sustained", "target", "task", "test", "threads", "threshold", "trials"),
        *("validation", "workers"),
    }
)


class Defaults:
    """The defaults of one command.

    Args:
        parser: of the command; what the file says becomes the default there.
        name: of the command.
        commands: names of all.
        path: the file, which need not be there.

    Raises:
        RecipeError: no TOML, an unknown option (the nearest known one is named), one that a file may not set, or a
            value that the option does not take.
    """

    def __init__(
        self,
        parser: argparse.ArgumentParser,
        name: str,
        commands: Container[str],
        path: Path = Path(FILE),
    ) -> None:
        self._parser, self._path = parser, path
        # Of options that add to their default what they are given.
        self._lists: dict[argparse.Action, Any] = {}
        table = _read(path)
        own = table.get(name, {})
        if not isinstance(own, Mapping):
            raise RecipeError(f"{path}: {TABLE}.{name}: received {own!r:.80}, expected a table.")
        shared = {key: value for key, value in table.items() if key not in commands}
        self._take(shared, TABLE, OF_ALL)
        self._take(own, f"{TABLE}.{name}", OF_ALL | OF_COMMANDS)

    def fill(self, args: argparse.Namespace) -> argparse.Namespace:
        """The arguments, with lists from the file where no option gave one."""
        for action, value in self._lists.items():
            if getattr(args, action.dest) == action.default:
                setattr(args, action.dest, value)
                action.default = value
        return args

    def _take(self, table: Mapping[str, Any], where: str, allowed: frozenset[str]) -> None:
        actions = {
            option.removeprefix("--"): action
            for action in self._parser._actions
            for option in action.option_strings
            if option.startswith("--")
        }
        known = [option for option, action in actions.items() if action.dest in allowed]
        for key, value in table.items():
            if key not in known:
                what = "one that a file may not set" if key in actions else "an unknown option"
                raise RecipeError(
                    f"{self._path}: {where}.{key}: received {what}, expected one of {', '.join(known)}."
                    f"{nearest(key, known)}"
                )
            self._set(actions[key], value, f"{where}.{key}")

    def _set(self, action: argparse.Action, value: Any, where: str) -> None:
        try:
            if action.nargs == 0:
                if type(value) is not bool:
                    raise argparse.ArgumentTypeError(
                        f"received {value!r:.80}, expected true or false"
                    )
                found: Any = action.const if value else action.default
            elif isinstance(action, (argparse._AppendAction, argparse._ExtendAction)):
                items = value if isinstance(value, list) else [value]
                read = [self._value(action, item) for item in items]
                extends = isinstance(action, argparse._ExtendAction)
                self._lists[action] = [one for each in read for one in each] if extends else read
                return
            else:
                found = self._value(action, value)
        except (argparse.ArgumentTypeError, argparse.ArgumentError) as error:
            text = error.message if isinstance(error, argparse.ArgumentError) else str(error)
            raise RecipeError(f"{self._path}: {where}: {text}.") from None
        self._parser.set_defaults(**{action.dest: found})
        action.required = False

    def _value(self, action: argparse.Action, value: Any) -> Any:
        """What the option makes of the value, typed as a word."""
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise argparse.ArgumentTypeError(f"received {value!r:.80}, expected a text or a number")
        found = self._parser._get_value(action, str(value))
        self._parser._check_value(action, found)
        return found


def _read(path: Path) -> Mapping[str, Any]:
    """The table; an empty one where there is none."""
    # A pipe of that name would be waited for without end.
    if not path.is_file():
        return {}
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise RecipeError(f"{path}: received {size:,} bytes, expected {_MOST_BYTES:,} at most.")
    from edgekit.config import read_table

    tool = read_table(path).get("tool", {})
    table = tool.get("edgekit", {}) if isinstance(tool, Mapping) else {}
    if not isinstance(table, Mapping):
        raise RecipeError(f"{path}: {TABLE}: received {table!r:.80}, expected a table.")
    return table
