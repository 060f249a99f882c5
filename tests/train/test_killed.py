"""Trainings killed with SIGKILL at random moments end with the weights of one that never was."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support import children

# One process imports TensorFlow; forked before it computes anything, its children start at once.
SCRIPT = """
import json, os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow, keras

from edgekit.recipe import *
from edgekit.samples import Samples
from edgekit.train.trainer import Splits, train

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
samples = Samples({"x": rng.standard_normal((300, 6)).astype(np.float32)}, rng.integers(0, 3, 300))
splits = Splits(*samples.split([0.6, 0.2, 0.2]))
# Batch normalisation, dropout, slots, averages, a schedule, drawn samples: all that has a state.
recipe = Recipe(
    training=TrainingRecipe(
        epochs=24,
        batch_size=16,
        patience=20,
        optimizer_options={"use_ema": True, "ema_momentum": 0.9, "weight_decay": 0.01},
        schedule=ScheduleRecipe("cosine", warmup_epochs=1.5),
        class_weight=ClassWeights(balanced=True),
    ),
    augmentation=(
        AugmentationRecipe("RandomGain"),
        AugmentationRecipe("GaussianNoise", {"stddev": 0.5}),
    ),
)


def model():
    layers = keras.layers
    keras.utils.set_random_seed(0)
    return keras.Sequential([
        keras.Input((6,)),
        layers.Dense(8, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.3),
        layers.Dense(3, "softmax"),
    ])


def start(name):
    child = os.fork()
    if not child:
        try:
            train(splits, recipe, folder / name, model=model())
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return child


def epochs(name):
    log = folder / name.replace(".keras", ".log.csv")
    return max(0, len(log.read_text().splitlines()) - 1) if log.exists() else 0


assert os.waitpid(start("whole.keras"), 0)[1] == 0
moments, killed = random.Random(0), []
while len(killed) < 3:
    child, before = start("killed.keras"), epochs("killed.keras")
    wanted = before + moments.randint(1, 5)
    while epochs("killed.keras") < wanted and os.waitpid(child, os.WNOHANG)[0] == 0:
        time.sleep(0.01)
    time.sleep(moments.random() * 0.06)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    killed.append(epochs("killed.keras"))
assert os.waitpid(start("killed.keras"), 0)[1] == 0

one, two = (keras.saving.load_model(folder / f"{name}.keras").get_weights() for name in ("whole", "killed"))
rows = [
    [line.rsplit(",", 1)[0] for line in (folder / f"{name}.log.csv").read_text().splitlines()]
    for name in ("whole", "killed")
]
print(json.dumps({
    "killed": killed,
    "equal": [bool((a == b).all()) for a, b in zip(one, two, strict=True)],
    "trained": bool(any(np.ptp(a) > 0 for a in one)),
    "rows": rows,
}))
"""


@pytest.mark.slow
def test_killed_trainings_end_with_the_same_weights(tmp_path: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with children.python("-c", SCRIPT, tmp_path, **pipes) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err[-4000:]
    told = json.loads(out)
    # Otherwise this would prove nothing: each was killed after some epochs, none at the end.
    assert 0 < told["killed"][0] <= told["killed"][-1] < 24
    assert told["trained"]
    assert told["equal"]
    assert all(told["equal"])
    whole, killed = told["rows"]
    assert len(killed) == 25
    assert killed == whole
    # No checkpoint and nothing half-written stays.
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["killed.keras", "killed.log.csv", "whole.keras", "whole.log.csv"]
