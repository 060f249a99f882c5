"""Targets: a file made for what a board installs, by a fallback where there is one, or refused."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from edgekit.convert.onnx.downgrade import older_onnx
from edgekit.device import load_device
from edgekit.errors import ExportError, UsageError
from edgekit.formats.model_file import ModelFile
from edgekit.inspection.compatibility import (
    INTERPRETERS,
    Incompatibility,
    Target,
    check,
    slower_in_int8,
)
from edgekit.recipe import ExportRecipe

# Makes a quantised file anew with these operators left in float.
Remake = Callable[[frozenset[str]], ModelFile]


@dataclass(frozen=True)
class Aim:
    """For whom files of one format are made.

    Attributes:
        targets: none may be known not to run the file.
        userlands: of a board, with the interpreter that each prefers, None where it has none; at
            least one must not be known to fail, and of the others it is said that they do.
    """

    targets: tuple[Target, ...] = ()
    userlands: tuple[tuple[str, Target | None], ...] = ()

    @classmethod
    def of(cls, recipe: ExportRecipe, format: str) -> Aim:
        """What a recipe's ``targets`` and ``device`` mean for a format.

        Raises:
            UsageError: an interpreter, a version or a device that is unknown, or a target that
                runs none of the formats to be made.
        """
        targets = [Target.parse(text) for text in recipe.targets]
        formats = dict.fromkeys(format for _, format in recipe.pairs)
        for target in targets:
            if target.format not in formats:
                raise UsageError(
                    f"target {target}: runs {target.format} files, and the formats to be made are "
                    f"{', '.join(formats)}. Give --format {target.format} as well."
                )
        userlands: list[tuple[str, Target | None]] = []
        for userland in load_device(recipe.device).userlands if recipe.device else ():
            able = [Target.parse(text) for text in userland.releases]
            first = next((t for t in able if t.interpreter in INTERPRETERS[format]), None)
            userlands.append((userland.name, first))
        return cls(tuple(t for t in targets if t.format == format), tuple(userlands))

    @property
    def interpreters(self) -> tuple[Target, ...]:
        """All that are to run the file, each once."""
        wanted = [*self.targets, *(target for _, target in self.userlands if target)]
        return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True)
class Fitted:
    """A file that runs where it is to run.

    Attributes:
        fallbacks: what was changed to that end.
        warnings: where it does not run, was not measured, or runs slower than a float file.
    """

    file: ModelFile
    fallbacks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def fit(
    file: ModelFile,
    scheme: str,
    aim: Aim,
    place: Callable[[str], str] = repr,
    remake: Remake | None = None,
) -> Fitted:
    """Change a file until those it is for can run it, as far as there is a way.

    Args:
        file: as the converter or the quantiser made it.
        scheme: as in `edgekit.artifact.SCHEMES`.
        aim: who is to run it.
        place: what messages call the layer that a tensor's name stands for.
        remake: for quantised TFLite files.

    Raises:
        ExportError: a target, or every userland, was seen not to run it; names operators and layers.
    """
    ways: list[str] = []
    for target in aim.interpreters:
        file, taken = _lower(file, target, remake)
        ways += taken
    found = {target: check(file.model, target) for target in aim.interpreters}
    failing = {target: _measured(found[target]) for target in aim.interpreters}
    for target in aim.targets:
        if failing[target]:
            raise ExportError(_refusal(target, failing[target], place))
    warnings = []
    for name, able in aim.userlands:
        if able is None:
            wanted = " or ".join(INTERPRETERS[file.model.format])
            warnings.append(f"does not run on {name}, which cannot install {wanted}")
        elif failing[able]:
            warnings.append(f"does not run on {name}: {_refusal(able, failing[able], place)}")
    if aim.userlands and len(warnings) == len(aim.userlands):
        raise ExportError(f"no userland of the board runs it: {'; '.join(warnings)}")
    warnings += [
        f"was not measured on {target}, try it there: {_lines(found[target], place)}"
        for target in aim.interpreters
        if found[target] and not failing[target]
    ]
    if scheme == "int8":
        warnings += [
            f"is slower than the float32 file on {target}: prefer float32 there unless size counts"
            for target in aim.interpreters
            if slower_in_int8(target)
        ]
    return Fitted(file, tuple(dict.fromkeys(ways)), tuple(warnings))


def _lower(file: ModelFile, target: Target, remake: Remake | None) -> tuple[ModelFile, list[str]]:
    """A file that `target` runs, if there is a way to one; else the file as it was."""
    incompatibilities = check(file.model, target)
    if not incompatibilities:
        return file, []
    if file.model.format == "onnx":
        content, ways = older_onnx(file.content, target)
        lower = ModelFile.read(content, "onnx")
        return (file, []) if check(lower.model, target) else (lower, ways)
    incompatibilities = _measured(incompatibilities)
    in_float: frozenset[str] = frozenset()
    lower = file
    while (
        remake is not None
        and incompatibilities
        and not {m.op for m in incompatibilities} <= in_float
    ):
        in_float |= {incompatibility.op for incompatibility in incompatibilities}
        try:
            lower = remake(in_float)
        except ExportError:
            break
        incompatibilities = _measured(check(lower.model, target))
    if incompatibilities or not in_float:
        return file, []
    return lower, [f"{', '.join(sorted(in_float))} left in float for {target}"]


def _measured(found: Collection[Incompatibility]) -> tuple[Incompatibility, ...]:
    """Those that were seen to fail."""
    return tuple(each for each in found if each.measured)


def _refusal(
    target: Target, incompatibilities: Collection[Incompatibility], place: Callable[[str], str]
) -> str:
    return f"{target} cannot run it. {_lines(incompatibilities, place)}"


def _lines(found: Collection[Incompatibility], place: Callable[[str], str]) -> str:
    lines = [f"{place(m.tensor)}: {m.op}: {m.reason}" if m.op else m.reason for m in found]
    more = f"; {len(lines) - 3} more" if len(lines) > 3 else ""
    return f"{'; '.join(lines[:3])}{more}"
