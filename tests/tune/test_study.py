"""What processes share: trials are counted, none is lost for good, and none is run twice. Without TensorFlow."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import children

from edgekit.document.training import TrainedModel
from edgekit.errors import OutputExistsError, RecipeError, TrainingError
from edgekit.recipe import Recipe, read_recipe
from edgekit.tune import study as studies
from edgekit.tune.journal import open_storage
from edgekit.tune.study import Claim, Study, dominates
from edgekit.tune.trial import Outcome
from edgekit.tune.worker import work

Write = Callable[..., Path]
OBJECTIVES = 'objectives = ["accuracy", "size_bytes"]'


def outcome(claim: Claim, **values: float) -> Outcome:
    (claim.workshop / "model.keras").write_bytes(b"model")
    model = TrainedModel("model.keras", "0" * 64, 1)
    return Outcome(values, model, (), epochs=1, seconds=0.1)


def test_trials_are_counted_and_the_best_is_kept(recipe: Write, tmp_path: Path) -> None:
    study = Study(tmp_path / "s", read_recipe(recipe()), "data")
    for accuracy in (0.5, 0.9, 0.7):
        claim = study.claim(3)
        assert claim is not None
        assert set(claim.values) == {"training.learning_rate", "model.width"}
        study.complete(claim, outcome(claim, accuracy=accuracy))
    assert study.claim(3) is None
    assert [trial.number for trial in study.front()] == [1]
    assert [path.name for path in (tmp_path / "s" / "trials").iterdir()] == ["0001"]
    assert list((tmp_path / "s" / "running").iterdir()) == []
    more = study.claim(4)
    assert more is not None
    study.fail(more, "because")
    assert study.claim(4) is None


def test_two_who_share_a_study_never_have_the_same_trial(recipe: Write, tmp_path: Path) -> None:
    one, two = (Study(tmp_path / "s", read_recipe(recipe()), "data") for _ in range(2))
    claims = [one.claim(3), two.claim(3), one.claim(3), two.claim(3)]
    assert [claim and claim.number for claim in claims] == [0, 1, 2, None]
    # What is running counts, and is nobody else's.
    assert one.claim(3) is None


def test_what_is_tried_follows_from_the_seed(recipe: Write, tmp_path: Path) -> None:
    def tried(name: str, more: str = "") -> list[dict[str, object]]:
        values = []
        for _ in range(3):
            study = Study(tmp_path / name, read_recipe(recipe(more)), "data")
            claim = study.claim(3)
            assert claim is not None
            study.complete(claim, outcome(claim, accuracy=0.5))
            values.append(claim.values)
        return values

    assert tried("a") == tried("b") != tried("c", "seed = 1")


DYING = """
import os, signal, sys
from pathlib import Path
from typing import Any
from edgekit.recipe import read_recipe
from edgekit.tune.study import Study
claim = Study(Path(sys.argv[2]), read_recipe(sys.argv[1]), "data").claim(1)
print(claim.number, claim.attempt, claim.values["training.learning_rate"], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_its_running_trial_only(recipe: Write, tmp_path: Path) -> None:
    words = ["-c", DYING, recipe(), tmp_path / "s"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    told = []
    for _ in range(2):
        with children.python(*words, **pipes) as process:
            out, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err
        told.append(out.split())
    assert told[0][:2] == ["0", "1"]
    # The same values again, as another trial.
    assert told[1] == ["1", "2", told[0][2]]
    study = Study(tmp_path / "s", read_recipe(recipe()), "data")
    claim = study.claim(1)
    assert claim is not None
    assert (claim.attempt, str(claim.values["training.learning_rate"])) == (3, told[0][2])
    assert len(list((tmp_path / "s" / "trials").iterdir())) == 1
    study.complete(claim, outcome(claim, accuracy=0.5))
    assert study.claim(1) is None


def test_a_trial_that_no_process_survives_has_failed(recipe: Write, tmp_path: Path) -> None:
    study = Study(tmp_path / "s", read_recipe(recipe()), "data")
    for attempt in (1, 2, 3):
        claim = study.claim(1)
        assert claim is not None
        assert claim.attempt == attempt
        study.abandon(claim, counts=True)
    assert study.claim(1) is None
    assert study.trials()[-1].user_attrs["reason"] == "its process ended in attempt 3"


def test_a_trial_may_be_interrupted_as_often_as_one_likes(recipe: Write, tmp_path: Path) -> None:
    study = Study(tmp_path / "s", read_recipe(recipe()), "data")
    for _ in range(6):
        claim = study.claim(1)
        assert claim is not None
        assert claim.attempt == 1
        study.abandon(claim)
        assert not study.is_busy()


def failing(reason: BaseException) -> TrainingError:
    """As libraries do it: what the system said is the cause of another error."""
    error = TrainingError("the model cannot be written")
    error.__cause__ = reason
    return error


@pytest.mark.parametrize(
    ("reason", "attempts"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), [1] * 6),
        (OSError(errno.EMFILE, "Too many open files"), [1] * 6),
        # What no memory of this machine is enough for would stop the study for ever.
        (MemoryError(), [1, 2, 3]),
    ],
)
def test_what_the_machine_lacks_is_no_result(
    recipe: Write, tmp_path: Path, reason: BaseException, attempts: list[int]
) -> None:
    read = read_recipe(recipe())
    study = Study(tmp_path / "s", read, "data")
    seen: list[int] = []

    def lacking(_: Any, claim: Claim, __: Any) -> Outcome:
        seen.append(claim.attempt)
        raise failing(reason)

    for _ in attempts:
        with pytest.raises(TrainingError, match="cannot be written"):
            work(study, read, 1, lacking, lambda _: None)
    assert seen == attempts

    def enough(_: Any, claim: Claim, __: Any) -> Outcome:
        seen.append(claim.attempt)
        return outcome(claim, accuracy=0.5)

    work(study, read, 1, enough, lambda _: None)
    kept = isinstance(reason, OSError)
    assert len(seen) - len(attempts) == kept
    assert len(study.completed()) == kept
    assert [path.name for path in (tmp_path / "s" / "running").iterdir()] == []


def test_a_line_that_was_half_written_goes(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    storage = open_storage(path)
    storage.create_new_study([studies.require("optuna", "tune", "").study.StudyDirection.MAXIMIZE])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 4, "worker')
    again = open_storage(path)
    study_id = again.get_all_studies()[0]._study_id
    again.set_study_user_attr(study_id, "key", 1)
    assert path.read_bytes().startswith(whole + b'{"op_code"')
    assert open_storage(path).get_study_user_attrs(study_id) == {"key": 1}


def test_another_recipe_and_other_data_are_refused(recipe: Write, tmp_path: Path) -> None:
    Study(tmp_path / "s", read_recipe(recipe()), "data")
    with pytest.raises(RecipeError, match=r"training\.epochs is 2 there and 3 here"):
        Study(tmp_path / "s", read_recipe(recipe(epochs=3)), "data")
    with pytest.raises(RecipeError, match="data is 'data' there and 'other' here"):
        Study(tmp_path / "s", read_recipe(recipe()), "other")
    # How many there are is everybody's own business.
    Study(tmp_path / "s", read_recipe(recipe(trials=50)), "data")


def test_a_folder_of_other_things_is_refused(recipe: Write, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for path in (tmp_path / "mine", recipe()):
        with pytest.raises(OutputExistsError, match=r"holds files and no study|is a file"):
            Study(path, read_recipe(recipe()), "data")


def test_a_front_has_what_nothing_beats(recipe: Write, tmp_path: Path) -> None:
    study = Study(tmp_path / "s", read_recipe(recipe(OBJECTIVES)), "data")
    for accuracy, size in ((0.9, 100), (0.8, 100), (0.8, 50), (0.95, 200), (0.9, 100)):
        claim = study.claim(5)
        assert claim is not None
        study.complete(claim, outcome(claim, accuracy=accuracy, size_bytes=size))
    assert [trial.number for trial in study.front()] == [0, 2, 3]


costs = st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=1, max_size=8)


@given(costs)
def test_domination_is_an_order(points: list[tuple[int, int]]) -> None:
    for a in points:
        assert not dominates(a, a)
        for b in points:
            assert not (dominates(a, b) and dominates(b, a))
            for c in points:
                assert not (dominates(a, b) and dominates(b, c)) or dominates(a, c)
    assert any(not any(dominates(b, a) for b in points) for a in points)


def test_recipes_of_trials_have_no_search(recipe: Write) -> None:
    from edgekit.recipe.tune import trial_recipe

    made = trial_recipe(read_recipe(recipe()), {"model.width": 0.5, "export.prune.sparsity": 0.25})
    assert isinstance(made, Recipe)
    assert (made.tune, made.model.width, made.export.prune.sparsity) == (None, 0.5, 0.25)  # type: ignore[union-attr]
    assert os.path.isabs(made.data.train)  # type: ignore[union-attr]  # noqa: PTH117
