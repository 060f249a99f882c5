from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.runtime import linux, watch
from edgekit.runtime.watch import Watch

TICK = os.sysconf("SC_CLK_TCK")
GROUP = "0::/jobs/mine\n"
CPU = "sys/devices/system/cpu"

Write = Callable[[dict[str, str]], Path]


@pytest.fixture(autouse=True)
def _real(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulated board disturbs every measurement."""
    monkeypatch.delenv("EDGEKIT_EMULATED", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(files: dict[str, str]) -> Path:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return writer


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds go by for `Watch`."""
    now = [100.0]
    monkeypatch.setattr(watch, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def stat(user_s: float = 0, idle_s: float = 0, steal_s: float = 0) -> dict[str, str]:
    user, idle, steal = (int(s * TICK) for s in (user_s, idle_s, steal_s))
    return {"proc/stat": f"cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1 2 3\n"}


@pytest.mark.parametrize(
    ("busy_s", "own_s", "cores", "disturbed"),
    [
        (10, 10, 2, False),  # The measurement's own core, and nothing else.
        (14, 10, 2, False),  # Of two cores one is free for that.
        (17, 10, 2, True),
        (30, 10, 4, False),  # Two of four cores.
        (38, 10, 4, True),
        (14, 10, 1, True),
    ],
)
def test_others_are_told_where_they_leave_too_little(
    write: Write,
    after: Callable[[float], None],
    busy_s: int,
    own_s: int,
    cores: int,
    disturbed: bool,
) -> None:
    root = write(stat())
    watching = Watch(cores, 1, root)
    after(10)
    write(stat(user_s=busy_s))
    reasons = watching.disturbances(own_s)
    assert bool(reasons) == disturbed
    if disturbed:
        assert f"other programs kept {(busy_s - own_s) / 10:.1f} of {cores} cores busy" in reasons


def test_nobody_is_accused_where_own_time_is_not_known(
    write: Write, after: Callable[[float], None]
) -> None:
    watching = Watch(2, 1, write(stat()))
    after(10)
    write(stat(user_s=20))
    assert watching.disturbances(None) == ()


@pytest.mark.parametrize(("steal_s", "said"), [(0.5, False), (4, True)])
def test_stolen_time(
    write: Write, after: Callable[[float], None], steal_s: float, said: bool
) -> None:
    watching = Watch(2, 1, write(stat()))
    after(10)
    write(stat(steal_s=steal_s))
    expected = ("the hypervisor gave 20% of the processors to others",) if said else ()
    assert watching.disturbances(0.0) == expected


def test_a_quota_that_stopped_the_program(write: Write) -> None:
    folder = "sys/fs/cgroup/jobs"
    files = {
        "proc/self/cgroup": GROUP,
        f"{folder}/cpu.max": "30000 100000\n",
        f"{folder}/mine/cpu.max": "max 100000\n",
        f"{folder}/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 2\n",
    }
    root = write(files)
    assert linux.quota_cores(root) == pytest.approx(0.3)
    watching = Watch(2, 1, root)
    assert watching.disturbances(0.0) == ()
    write({f"{folder}/cpu.stat": "usage_usec 5\nnr_periods 90\nnr_throttled 40\n"})
    assert watching.disturbances(0.0) == (
        "the control group's quota of 0.3 cores stopped this program in 38 periods",
    )


def test_energy_is_that_of_all_packages(write: Write, tmp_path: Path) -> None:
    assert linux.energy_uj(tmp_path) is None
    counters = "sys/class/powercap"
    root = write(
        {
            f"{counters}/intel-rapl:0/energy_uj": "1500\n",
            f"{counters}/intel-rapl:1/energy_uj": "300\n",
            # The cores of the first, a part of it.
            f"{counters}/intel-rapl:0:0/energy_uj": "900\n",
        }
    )
    assert linux.energy_uj(root) == 1800


def test_a_quota_of_version_1(write: Write) -> None:
    folder = "sys/fs/cgroup/cpu/docker/x"
    root = write(
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n",
            f"{folder}/cpu.cfs_quota_us": "50000\n",
            f"{folder}/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            f"{folder}/cpu.stat": "nr_throttled 3\n",
        }
    )
    assert linux.quota_cores(root) == pytest.approx(0.5)
    assert linux.throttled_periods(root) == 3


def test_a_clock_that_went_down(write: Write) -> None:
    root = write({f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "1800000\n"})
    watching = Watch(4, 1, root)
    watching.look()
    assert watching.disturbances(0.0) == ()
    write({f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "1500000\n"})
    watching.look()
    assert watching.disturbances(0.0) == ("the clock went between 1500 and 1800 MHz",)


def test_heat_and_throttling(write: Write) -> None:
    root = write(
        {
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": "84500",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "4",
        }
    )
    assert Watch(4, 1, root).disturbances(0.0) == (
        "the firmware is throttling the processor",
        "the processor is at 84 °C",
    )


def test_a_system_that_tells_nothing_is_not_disturbed(tmp_path: Path) -> None:
    assert Watch(4, 1, tmp_path).disturbances(1.0) == ()
    assert linux.quota_cores(tmp_path) is None
    assert linux.throttled_periods(tmp_path) is None
    assert linux.clock_mhz(tmp_path) is None


@given(content=st.text(max_size=80))
def test_whatever_the_files_hold(content: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("root")
    for name in (
        "proc/stat",
        "proc/self/nothing",
        "sys/fs/cgroup/cpu.max",
        "sys/fs/cgroup/cpu.stat",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, "utf-8")
    (root / "proc/self/cgroup").write_text("0::/\n")
    watching = Watch(2, 1, root)
    watching.look()
    assert isinstance(watching.disturbances(1.0), tuple)
    quota = linux.quota_cores(root)
    assert quota is None or quota > 0
