from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest

from edgekit.runtime import host
from edgekit.runtime.host import HostState, peak_rss_bytes

PI = {
    "/proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd0b\n"
    "processor\t: 1\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd0b\nModel\t: Raspberry Pi 5",
    "/proc/meminfo": "MemTotal:        8245000 kB\nMemAvailable:    7000000 kB",
    "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand",
    "/sys/class/thermal/thermal_zone0/temp": "81250",
    "/sys/devices/platform/soc/soc:firmware/get_throttled": "50004",
}


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the system says, by path; change it before reading."""
    said = dict(PI)
    monkeypatch.setattr(host, "_text", lambda path: said.get(str(path)))
    return said


def test_this_machine_can_be_read() -> None:
    state = HostState.read()
    assert state.cores >= 1
    assert state.memory_total_bytes is not None
    assert state.memory_total_bytes > 2**26
    assert bool(find_spec("ai_edge_litert")) == ("ai-edge-litert" in state.interpreters)
    document = json.loads(json.dumps(state.to_json()))
    assert document["cpu_features"] == list(state.cpu_features)


def test_a_board_is_read(files: dict[str, str]) -> None:
    state = HostState.read()
    assert state.cpu == "0xd0b"
    assert state.cpu_features == ("asimddp",)
    assert state.memory_total_bytes == 8245000 * 1024
    assert state.memory_available_bytes == 7000000 * 1024
    assert state.governor == "ondemand"
    assert state.temperature_c == 81.25
    assert state.throttled is True
    assert files


@pytest.mark.parametrize(
    ("bits", "now"), [("0", False), ("50000", False), ("1", True), ("8", True), ("0x4", True)]
)
def test_only_what_is_the_case_now_counts_as_throttled(
    files: dict[str, str], bits: str, now: bool
) -> None:
    files["/sys/devices/platform/soc/soc:firmware/get_throttled"] = bits
    assert HostState.read().throttled is now


def test_what_the_system_does_not_say_is_none(files: dict[str, str]) -> None:
    files.clear()
    state = HostState.read()
    assert state.cpu == "unknown"
    assert state.governor is None
    assert state.temperature_c is None
    assert state.throttled is None
    assert state.memory_total_bytes is None
    assert peak_rss_bytes() is None


def test_noise_is_put_into_words(files: dict[str, str]) -> None:
    assert files
    state = replace(HostState.read(), load_1min=9.5, cores=4)
    assert state.noise == [
        "the CPU governor is 'ondemand', not 'performance'",
        "the firmware is throttling the CPU",
        "the CPU is at 81 °C",
        "the load is 9.5 on 4 cores",
    ]
    quiet = replace(
        state, governor="performance", throttled=False, temperature_c=50.0, load_1min=0.1
    )
    assert quiet.noise == []
    assert replace(quiet, governor=None, throttled=None, temperature_c=None).noise == []


def test_peak_memory_is_the_process_s_own() -> None:
    code = (
        "from edgekit.runtime.host import peak_rss_bytes as peak; before = peak(); "
        "held = b'x' * 2**26; print(before, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert 2**20 < before < 2**28
    assert after - before > 2**25
