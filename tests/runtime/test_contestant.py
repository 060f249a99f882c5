from __future__ import annotations

import io
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import edgekit
from edgekit.errors import ArtifactError
from edgekit.runtime import contest
from edgekit.runtime.contest import heard_arrays, say_arrays, warm_up
from edgekit.runtime.contestant import Entry, contestant


@pytest.fixture
def entry(models: Path) -> Entry:
    with edgekit.load(models / "classifier.int8.tflite") as runner:
        return Entry.of(runner, None)


def test_a_process_loads_a_file_and_gives_blocks(entry: Entry) -> None:
    with contestant(entry) as seated:
        seated.begin(3)
        assert seated.load_ms > 0
        assert seated.first_ms > 0
        times = seated.block()
        assert len(times)
        assert (times > 0).all()
        usage = seated.usage()
    assert usage.cpu_s > 0
    assert usage.rss_bytes is None or 5e6 < usage.rss_bytes <= (usage.peak_rss_bytes or 0) < 2e9


@pytest.mark.parametrize(
    ("before", "now", "taken"),
    [(100, 350, 250), (350, 100, None), (None, 5, None), (5, None, None)],
)
def test_energy_of_a_counter_that_starts_again_is_not_known(
    monkeypatch: pytest.MonkeyPatch, before: int | None, now: int | None, taken: int | None
) -> None:
    monkeypatch.setattr(contest.linux, "energy_uj", lambda _: now)
    assert contest.energy_since(before) == taken


def test_one_that_is_killed_is_told(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekit.runtime import contestant as module

    started, pids = module.started, []

    def noted(*words: Any, **more: Any) -> Any:
        manager = started(*words, **more)

        class Noted:
            def __enter__(self) -> Any:
                process = manager.__enter__()
                pids.append(process.pid)
                return process

            def __exit__(self, *why: Any) -> Any:
                return manager.__exit__(*why)

        return Noted()

    monkeypatch.setattr(module, "started", noted)
    with contestant(entry) as seated:
        seated.begin(1)
        os.kill(pids[0], signal.SIGKILL)
        died = pytest.raises(
            ArtifactError, match=r"classifier\.int8\.tflite: the process that ran it"
        )
        with died:
            seated.block()


def test_what_it_refuses_is_told(entry: Entry) -> None:
    missing = pytest.raises(ArtifactError, match="signature 'nonesuch' is not in the file")
    with contestant(replace(entry, signature="nonesuch")) as seated, missing:
        seated.begin(1)


def test_steady_is_when_one_block_takes_as_long_as_the_last() -> None:
    calls: list[int] = []
    assert warm_up(lambda: calls.append(0), 7) == len(calls) > 7


@given(
    st.none()
    | st.dictionaries(
        st.text("abc", min_size=1, max_size=3) | st.sampled_from(["file", "allow_pickle", "a/b"]),
        hnp.arrays(
            st.sampled_from([np.float32, np.int8, np.int64, np.bool_]),
            hnp.array_shapes(min_dims=0, max_dims=3, max_side=3),
        )
        | hnp.arrays(object, (2, 1), elements=st.text(max_size=5)),
        max_size=3,
    )
)
def test_inputs_arrive_as_they_were(arrays: dict[str, Any] | None) -> None:
    stream = io.BytesIO()
    say_arrays(stream, arrays)
    stream.seek(0)
    heard = heard_arrays(stream)
    if arrays is None:
        assert heard is None
        return
    assert heard is not None
    assert heard.keys() == arrays.keys()
    for name, x in arrays.items():
        assert heard[name].dtype == x.dtype
        np.testing.assert_array_equal(heard[name], x)
