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
        targets: each must run the file.
        userlands: of a board, with the interpreter that each prefers, None where it has none; at
            least one must run the file, and of the others it is said that they do not.
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
        warnings: where it does not run, or runs slower than a float file.
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
        ExportError: a target, or every userland, cannot run it; names operators and layers.
    """
    ways: list[str] = []
    for target in aim.interpreters:
        file, taken = _lower(file, target, remake)
        ways += taken
    incompatibilities = {target: check(file.model, target) for target in aim.interpreters}
    for target in aim.targets:
        if incompatibilities[target]:
            raise ExportError(_refusal(target, incompatibilities[target], place))
    warnings = []
    for name, able in aim.userlands:
        if able is None:
            wanted = " or ".join(INTERPRETERS[file.model.format])
            warnings.append(f"does not run on {name}, which cannot install {wanted}")
        elif incompatibilities[able]:
            warnings.append(
                f"does not run on {name}: {_refusal(able, incompatibilities[able], place)}"
            )
    if aim.userlands and len(warnings) == len(aim.userlands):
        raise ExportError(f"no userland of the board runs it: {'; '.join(warnings)}")
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
        incompatibilities = check(lower.model, target)
    if incompatibilities:
        return file, []
    return lower, [f"{', '.join(sorted(in_float))} left in float for {target}"]


def _refusal(
    target: Target, incompatibilities: Collection[Incompatibility], place: Callable[[str], str]
) -> str:
    lines = [
        f"{place(m.tensor)}: {m.op}: {m.reason}" if m.op else m.reason for m in incompatibilities
    ]
    more = f"; {len(lines) - 3} more" if len(lines) > 3 else ""
    return f"{target} cannot run it. {'; '.join(lines[:3])}{more}"
