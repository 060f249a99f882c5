"""What 'edgekit mcp' offers: commands, and which of their options agents may give; all else is kept from them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.agents.tool import EACH, JOINED, LIMITS, NEW, READ, WRITE, Argument, Schema, Tool
from edgekit.bundle.archive import ENDING, opened_folder
from edgekit.bundle.verification import read_contents
from edgekit.cli.values import number, share, thread_counts, whole_number, whole_numbers
from edgekit.device import list_devices
from edgekit.errors import ArtifactError

# By what options make of the text that is typed; all others take any text.
_VALUES: dict[Any, Schema] = {
    whole_number: {"type": "integer"},
    whole_numbers: {"type": "integer"},
    thread_counts: {"type": "integer"},
    number: {"type": "number"},
    share: {"type": ["number", "string"]},
}
_BUDGET = (
    *("max_accuracy_drop", "min_accuracy", "min_agreement", "min_sqnr_db", "limit"),
    "budget",
)
_FILES = (
    *("format", "quantize", "file", "io_dtype", "batch", "shape", "signature", "device", "target"),
    *("allow_flex", "allow_inaccurate", "integer_only", "quality"),
    *("calibration", "calibration_method", "calibration_samples", "validation"),
    *("data", "prune", "prune_channels", "cluster", "qat", "distill"),
)
_RUNNER = ("threads", "backend", "device")
_PATHS = {
    **dict.fromkeys(
        (
            *("file", "files", "model", "golden", "samples", "calibration", "validation", "data"),
            *("timings", "layers", "float", "baseline", "licence"),
        ),
        READ,
    ),
    "budget": LIMITS,
    "out": WRITE,
}
_JSON = ("--json=-",)


@dataclass(frozen=True)
class _Offer:
    """A command, the kind of its document, and the arguments that agents may give."""

    kind: str
    names: tuple[str, ...]
    fixed: tuple[str, ...] = _JSON
    writes: bool = False
    about: str = ""
    answer: Callable[[Path], Schema] | None = None


def _bundle(out: Path) -> Schema:
    """What the bundle in a folder of a build says of itself."""
    made = sorted(out.glob(f"*{ENDING}"))
    if not made:
        raise ArtifactError(f"{out}: the build made no bundle.")
    with opened_folder(made[0]) as folder:
        return read_contents(folder, made[0]).to_json()


_OFFERS = {
    "inspect": _Offer("inspection", ("file",)),
    "doctor": _Offer("host", ()),
    "compare": _Offer(
        "drift",
        (
            *("files", "golden", *_BUDGET, "timings", "slice", "threshold", "map", "layers"),
            *_RUNNER,
        ),
    ),
    "diagnose": _Offer("diagnosis", ("file", "golden", "float", "model", "map", *_RUNNER)),
    "bench": _Offer(
        "bench",
        (
            *("files", "seconds", "golden", "batch", "operators", "samples", "shape"),
            *("baseline", "max_slowdown", *_RUNNER),
        ),
    ),
    "export": _Offer(
        "manifest",
        ("model", "out", *_FILES, *_BUDGET, "minimise", "samples", "golden"),
        writes=True,
    ),
    "build": _Offer(
        "bundle",
        (
            *("model", "out", "samples", *_FILES, *_BUDGET),
            *("allow_inconclusive", "seconds", "licence", "licence_id"),
        ),
        fixed=(),
        writes=True,
        about="Build a bundle from a model, in a folder that is new or empty: files, golden file, comparison with "
        "the model, benchmark and report. It is unsigned.",
        answer=_bundle,
    ),
}


def tools() -> list[Tool]:
    """All that agents can be offered."""
    return [_tool(name, offer) for name, offer in _OFFERS.items()]


def _tool(name: str, offer: _Offer) -> Tool:
    from edgekit.cli import command

    parser, _ = command(name)
    actions = {_name(action): action for action in parser._actions}
    # In the order of the parser, which is that of what has no option.
    arguments = tuple(
        _argument(name, word, action) for word, action in actions.items() if word in offer.names
    )
    return Tool(
        name,
        offer.about or " ".join((parser.description or "").split("\n\n")[0].split()),
        offer.kind,
        arguments,
        frozenset(actions).difference(offer.names),
        offer.fixed,
        offer.writes,
        offer.answer,
    )


def _name(action: argparse.Action) -> str:
    """As agents have it: the option's longest name, or what stands for a word without one."""
    longest = max(action.option_strings, key=len, default=action.dest)
    return longest.removeprefix("--").replace("-", "_")


def _argument(command: str, name: str, action: argparse.Action) -> Argument:
    option = max(action.option_strings, key=len, default="")
    # A file of 'export' and 'build' is a word such as int8.tflite.
    path = "" if name == "file" and option else _PATHS.get(name, "")
    # A build replaces what an earlier one made.
    path = NEW if (command, name) == ("build", "out") else path
    several = JOINED if action.type in (whole_numbers, thread_counts) else EACH
    required = action.required or (command, name) == ("build", "samples")
    return Argument(name, option, _schema(name, action), required, several, path)


def _schema(name: str, action: argparse.Action) -> Schema:
    about = {"description": _described(action.help or "")}
    if action.nargs == 0:
        return {"type": "boolean", **about}
    one: Schema = dict(_VALUES.get(action.type, {"type": "string"}))
    if name == "batch" and action.type is None:
        # A number, or 'dynamic'.
        one = {"type": ["integer", "string"]}
    choices = [each.id for each in list_devices()] if name == "device" else action.choices
    if choices:
        one["enum"] = list(choices)
    lists = isinstance(action, (argparse._AppendAction, argparse._ExtendAction))
    if lists or action.nargs == "+" or action.type in (whole_numbers, thread_counts):
        return {"type": "array", "items": one, "minItems": 1, **about}
    return {**one, **about}


def _described(text: str) -> str:
    """Help for a person who types as help for an agent: options are called as arguments, but in commands."""

    def called(found: re.Match[str]) -> str:
        return found[1].replace("-", "_") if found[1] else found[0]

    return re.sub(r"'edgekit [^']*'|--([a-z][a-z-]*)", called, text.replace("%%", "%"))
