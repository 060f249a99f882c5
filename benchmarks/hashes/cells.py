"""The cells: one export each, of a model with settings, in an order whose every prefix is a fair sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import zoo

from hashes import models

GROUPS = ("demo", "fashion", "fsdd", "corpus")
SCHEMES = ("float32", "float16", "dynamic", "int8", "int16x8")
FORMATS = ("tflite", "onnx")
_EXAMPLES = {"fashion": "fashion_mnist", "fsdd": "fsdd"}
# Of an example's training samples, what is fine-tuned with.
_TUNED_ON = 2000

# Keywords of `edgekit.recipe`'s ExportRecipe; those of an optimisation are its own recipe's keywords.
_RECIPES = {
    "prune": "PruneRecipe",
    "cluster": "ClusterRecipe",
    "qat": "QatRecipe",
    "distill": "DistillRecipe",
}
_OPTIMISATIONS: dict[str, dict[str, Any]] = {
    "prune": {"prune": {"sparsity": 0.5, "epochs": 1}},
    "channels": {"prune": {"channels": 0.25, "multiple": 4, "epochs": 1}},
    "cluster": {"cluster": {"epochs": 1}},
    "qat": {"qat": {"epochs": 1}},
    "all": {
        "prune": {"sparsity": 0.5, "epochs": 1},
        "cluster": {"epochs": 1},
        "qat": {"epochs": 1},
        "distill": {},
    },
}
# What else an export can be told; the demo's small model serves.
_SETTINGS: dict[str, dict[str, Any]] = {
    "demo-prune": {"prune": {"sparsity": 0.5, "epochs": 10, "learning_rate": 0.001}},
    "pattern": {"prune": {"pattern": "2:4", "epochs": 1}},
    "float-io": {"io_dtype": "float32"},
    "dynamic-batch": {"batch": "dynamic"},
    "batch-4": {"batch": "4"},
    "min-max": {"calibration_method": "min-max"},
    "percentile": {"calibration_method": "percentile"},
    "entropy": {"calibration_method": "entropy"},
    "few-samples": {"calibration": 50, "seed": 3},
    "class-names": {"class_names": tuple("abcdefghij")},
    "device": {"device": "raspberry-pi-3b"},
    "old-tflite": {"targets": ("tflite-runtime==2.14",)},
    "old-onnx": {"targets": ("onnxruntime==1.16.3",)},
}


@dataclass(frozen=True)
class Cell:
    """One export.

    Attributes:
        name: ``group/model/settings`` or ``corpus/entry``.
        model: the folder of its model, in the folder of models.
        maker: fills that folder.
        file: the model's in it.
        settings: called with that folder, when edgekit may be imported; keywords of
            `edgekit.export`.
        schemes: to be asked for, in both formats.
        trust_code: the model holds code.
    """

    name: str
    model: str
    maker: models.Maker
    file: str
    settings: Callable[[Path], dict[str, Any]]
    schemes: tuple[str, ...] = field(default=SCHEMES)
    trust_code: bool = False

    @property
    def path(self) -> str:
        """Of its JSON file."""
        return f"{self.name.replace('/', '~')}.json"


def cells(groups: Sequence[str] = GROUPS) -> list[Cell]:
    """Those of `groups`, group by group."""
    known = {
        "demo": _demo(),
        **{group: _example(group, name) for group, name in _EXAMPLES.items()},
        "corpus": [_corpus(entry) for entry in spread(zoo.ENTRIES)],
    }
    return [cell for group in groups for cell in known[group]]


def spread(entries: Sequence[zoo.Entry]) -> list[zoo.Entry]:
    """In an order in which the first N have of each kind of layer about its share."""
    kinds: dict[str, list[zoo.Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda e: crc32(e.name.encode())):
        kinds[entry.name.split("/")[0]].append(entry)
    place = {
        entry.name: (number + 0.5) / len(kind)
        for kind in kinds.values()
        for number, entry in enumerate(kind)
    }
    return sorted(entries, key=lambda entry: (place[entry.name], entry.name))


def _corpus(entry: zoo.Entry) -> Cell:
    name = entry.name.replace("/", "~")
    maker = models.zoo_maker(entry)
    return Cell(
        f"corpus/{entry.name}",
        f"zoo~{name}",
        maker,
        "model.keras",
        _calibrated,
        trust_code=entry.code,
    )


def _calibrated(folder: Path) -> dict[str, Any]:
    import edgekit

    return {"calibration": edgekit.load_samples(folder / models.CALIBRATION)}


def _told(chosen: dict[str, Any]) -> dict[str, Any]:
    """`chosen` as keywords of the ExportRecipe of the tree that runs."""
    from edgekit import recipe

    return {
        key: getattr(recipe, _RECIPES[key])(**value) if key in _RECIPES else value
        for key, value in chosen.items()
    }


def _demo() -> list[Cell]:
    plain = Cell("demo/keras", "digits", models.digits, "digits.keras", _calibrated)
    found = [
        plain,
        replace(plain, name="demo/h5", file="digits.h5"),
        replace(plain, name="demo/savedmodel", file="digits_saved"),
    ]
    for name, chosen in {**_SETTINGS, **_OPTIMISATIONS}.items():

        def settings(folder: Path, chosen: dict[str, Any] = chosen) -> dict[str, Any]:
            from edgekit.recipe import ExportRecipe

            (samples,) = _calibrated(folder).values()
            recipe = ExportRecipe(**_told(chosen))
            return {"calibration": samples, "data": samples, "recipe": recipe}

        schemes = ("float32", "int8") if name in _OPTIMISATIONS else SCHEMES
        found.append(replace(plain, name=f"demo/{name}", settings=settings, schemes=schemes))
    return found


def _example(group: str, name: str) -> list[Cell]:
    """As the recipe says, and with each optimisation."""

    def plain(_: Path) -> dict[str, Any]:
        from edgekit.recipe import read_recipe

        path = models.recipe_path(name)
        return {"calibration": path, "recipe": read_recipe(path).export}

    base = Cell(f"{group}/recipe", name, models.example_maker(name), f"{name}.keras", plain)
    found = [base]
    for key, chosen in _OPTIMISATIONS.items():

        def settings(folder: Path, chosen: dict[str, Any] = chosen) -> dict[str, Any]:
            import edgekit

            given = plain(folder)
            tuning = edgekit.load_samples(models.recipe_path(name), part="train")
            return {
                **given,
                "data": tuning.subset(_TUNED_ON, seed=0),
                "recipe": replace(given["recipe"], **_told(chosen)),
            }

        found.append(
            replace(base, name=f"{group}/{key}", settings=settings, schemes=("float32", "int8"))
        )
    return found
