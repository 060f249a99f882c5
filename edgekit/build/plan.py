"""Plan: the steps of one order, or of several that have some in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edgekit.build.chain import Chain, is_optimising
from edgekit.build.order import TRAINING_NAME, Order
from edgekit.build.running import Steps
from edgekit.build.steps import Step
from edgekit.cache import maker_versions, own_code
from edgekit.files import existing

TRAIN, OPTIMISE, EXPORT, GOLDEN, COMPARE, BENCH, REPORT, BUNDLE = PHASES = (
    "train",
    "optimise",
    "export",
    "golden",
    "compare",
    "bench",
    "report",
    "bundle",
)


def steps_of(folder: Path, orders: Sequence[Order]) -> Steps:
    """The steps from models to bundles; what several orders have in common is done once.

    Args:
        folder: in which all of them build.
        orders: whose cells differ.

    Raises:
        UsageError: a file that an order names does not exist.
    """
    for order in orders:
        _check(order)
    steps: dict[str, Step] = {}
    for order in orders:
        for step in _of(order):
            steps.setdefault(step.name, step)
    chains = [Chain(order) for order in orders]

    def check() -> None:
        for chain in chains:
            chain.check()

    return Steps(folder, list(steps.values()), versions(), check, PHASES)


def _check(order: Order) -> None:
    if order.training is None:
        existing(order.model, "model file")
    existing(order.samples, "samples")
    for path, what in (
        (order.calibration, "calibration samples"),
        (order.data, "samples to fine-tune with"),
        (order.validation, "validation samples"),
        (order.key, "key"),
        (order.licence, "licence"),
    ):
        if path is not None:
            existing(path, what)


def named(phase: str, *places: str) -> str:
    """What a step is called: its phase, and of which cell it is."""
    place = "/".join(filter(None, places))
    return f"{phase} {place}" if place else phase


def _of(order: Order) -> list[Step]:
    chain, cell = Chain(order), order.cell
    # Of a matrix, each model has a folder for what its cells have in common.
    model = "" if order.shared is None else order.shared.name
    train, golden = named(TRAIN, model), named(GOLDEN, model)
    export, compare, bench, report = (
        named(phase, cell) for phase in (EXPORT, COMPARE, BENCH, REPORT)
    )
    trained = (train,) if order.training else ()
    steps = []
    if order.training:
        made = (order.model, order.common / TRAINING_NAME)
        steps.append(Step(train, chain.of_train, chain.train, (), made, TRAIN))
    optimised = []
    for name, recipe in order.recipes.items():
        if is_optimising(recipe):
            of, make = partial(chain.of_optimise, name), partial(chain.optimise, name)
            optimised.append(named(OPTIMISE, model, name))
            steps.append(Step(optimised[-1], of, make, trained, phase=OPTIMISE))
    before = (export, golden, compare, bench, report)
    proof = (*trained, export, compare, bench)
    return [
        *steps,
        Step(
            export,
            chain.of_export,
            chain.export,
            (*trained, *optimised),
            (order.manifest,),
            EXPORT,
        ),
        Step(golden, chain.of_golden, chain.golden, trained, (order.golden,), GOLDEN),
        Step(compare, chain.of_compare, chain.compare, (export, golden), (order.drift,), COMPARE),
        Step(
            bench,
            chain.of_bench,
            chain.bench,
            (*trained, export),
            (order.bench,),
            BENCH,
            alone=True,
        ),
        Step(report, dict, chain.report, proof, (order.report,), REPORT),
        Step(named(BUNDLE, cell), chain.of_bundle, chain.bundle, before, (order.bundle,), BUNDLE),
    ]


def versions() -> dict[str, str]:
    """Of what does the work, by name: part of what decides about every step."""
    return {**maker_versions(), "edgekit's code": own_code()}
