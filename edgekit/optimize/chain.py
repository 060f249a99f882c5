"""Chain: everything that is done to a model before it is exported, in the order that works.

Channels first, since what is removed needs no other treatment; zeros; shared weights, which keep
the zeros; quantisation-aware training last, which keeps both.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from edgekit.cache import key_of
from edgekit.models.source import SourceModel, copied
from edgekit.optimize.objective import Teacher
from edgekit.optimize.shelf import Shelf
from edgekit.optimize.steps import Progress, Step, steps
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples


@dataclass(frozen=True)
class Optimized:
    """A model that went through the chain.

    Attributes:
        source: of the flavour that went in, or of tf_keras after quantisation-aware training.
        report: what was requested of each step, and what it came to, by its table's name in the recipe.
        steps: the names of the steps, in order.
    """

    source: SourceModel
    report: dict[str, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ()


def optimize(
    source: SourceModel,
    recipe: ExportRecipe,
    data: Samples | None,
    *,
    shelf: Shelf | None = None,
    progress: Progress | None = None,
) -> Optimized:
    """Do what `recipe` asks for to the model in `source`.

    Args:
        source: the model; changed in place unless channels are removed first.
        recipe: its `prune`, `cluster`, `qat` and `distill` are read.
        data: samples to fine-tune with, prepared as the model takes them; labelled unless `recipe`
            distils.
        shelf: where each step's model is written, and taken from if the same chain made it before;
            None for nowhere.
        progress: called with a line of text for each step and epoch.

    Raises:
        UsageError: a step has no labels, or speaks of a layer that is not there.
        OutputExistsError: something else stands where a step's model would go.
        BridgeError: a Keras 3 model that cannot be carried to tf_keras and back.
        TrainingError: the loss became NaN or infinite, or a step did not reach its aim.
    """
    tell = progress or (lambda _: None)
    asked = steps(recipe)
    names = [step.name for step in asked]
    distill = asdict(recipe.distill) if recipe.distill and asked else None
    report: dict[str, Any] = {"distill": distill} if distill else {}
    keys = _keys(asked, shelf, distill)
    done = 0
    teacher = None
    if recipe.distill and asked:
        teacher = Teacher(copied(source), recipe.distill.weight, recipe.distill.temperature)
    if shelf:
        for count in range(len(asked), 0, -1):
            found = shelf.find(names[:count], keys[count - 1])
            if found:
                source, report = replace(found[0], path=source.path), found[1]
                done = count
                tell(f"{shelf.path(names[:count]).name}: as made before")
                break
        shelf.refuse([names[: i + 1] for i in range(done, len(asked))])
    for i in range(done, len(asked)):
        step, known = asked[i], source.metadata.unscored()
        source, reached = step.run(source, data, teacher, tell)
        source = replace(source, metadata=known)
        entry = {**report.get(step.table, {}), **step.asked, **reached}
        # As it will come back from a file.
        report[step.table] = json.loads(json.dumps(entry))
        if shelf:
            shelf.put(names[: i + 1], keys[i], source, report)
    return Optimized(source, report, tuple(names))


def _keys(asked: list[Step], shelf: Shelf | None, distill: Any) -> list[str]:
    """For each step a key that changes with everything that decides about its model."""
    keys = []
    before = key_of(origin=shelf and shelf.origin, distill=distill)
    for step in asked:
        before = key_of(before=before, step=step.name, asked=step.asked)
        keys.append(before)
    return keys
