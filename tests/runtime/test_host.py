from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import needs

from edgekit.runtime.host import HostState

pytestmark = pytest.mark.processes

MakeRoot = Callable[[dict[str, str]], Path]

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
ZONE = "sys/class/thermal/thermal_zone0"
CPU = "sys/devices/system/cpu"
ARM64 = "fp asimd evtstrm crc32 cpuid"
ARMV7 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32"
A76 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)


def cpuinfo(model: str, features: str, *parts: str, maker: str = "0x41", name: str = "") -> str:
    """As kernels write it: a paragraph a core, the board's name at the end."""
    cores = "".join(
        f"processor\t: {i}\n{name}BogoMIPS\t: 108.00\nFeatures\t: {features}\n"
        f"CPU implementer\t: {maker}\nCPU architecture: 8\nCPU part\t: {part}\nCPU revision\t: 4\n\n"
        for i, part in enumerate(parts)
    )
    return f"{cores}Hardware\t: BCM2835\nModel\t\t: {model}\n"


def board(
    model: str, features: str, part: str, memory_kb: int, *, name: str = "", governor: str
) -> dict[str, str]:
    """The files of a Raspberry Pi with four cores of a kind, at rest."""
    return {
        "proc/cpuinfo": cpuinfo(model, features, *[part] * 4, name=name),
        "proc/meminfo": f"MemTotal: {memory_kb} kB\nMemFree: 99 kB\nMemAvailable: {memory_kb // 2} kB\n",
        "proc/device-tree/model": model + "\0",
        "proc/loadavg": "0.25 0.10 0.05 1/180 1234\n",
        "proc/self/cgroup": "0::/user.slice/user-1000.slice/session-1.scope\n",
        ZONE + "/type": "cpu-thermal\n",
        ZONE + "/temp": "48686\n",
        FIRMWARE: "0\n",
        **{f"{CPU}/cpu{i}/cpufreq/scaling_governor": f"{governor}\n" for i in range(4)},
    }


V7 = "model name\t: ARMv7 Processor rev 4 (v7l)\n"
BOARDS = {
    "pi3-64": board("Raspberry Pi 3 Model B Rev 1.2", ARM64, "0xd03", 932_000, governor="ondemand"),
    "pi3-32": board(
        "Raspberry Pi 3 Model B Rev 1.2", ARMV7, "0xd03", 944_000, name=V7, governor="ondemand"
    ),
    "pi4-64": board(
        "Raspberry Pi 4 Model B Rev 1.5", ARM64, "0xd08", 3_884_000, governor="ondemand"
    ),
    "pi4-32": board(
        "Raspberry Pi 4 Model B Rev 1.4", ARMV7, "0xd08", 3_931_000, name=V7, governor="ondemand"
    ),
    "pi5-64": board(
        "Raspberry Pi 5 Model B Rev 1.0", A76, "0xd0b", 8_245_000, governor="performance"
    ),
}


@pytest.fixture
def make_root(tmp_path: Path) -> MakeRoot:
    """Write files, by path below a root, and give the root."""

    def make(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
        return tmp_path

    return make


def test_this_machine_can_be_read() -> None:
    state = HostState.read()
    assert state.cores >= 1
    assert state.memory_total_bytes is not None
    assert state.memory_total_bytes > 2**26
    assert state.load_1min is not None
    assert state.userland_bits == (64 if sys.maxsize > 2**32 else 32)
    assert bool(find_spec("ai_edge_litert")) == ("ai-edge-litert" in state.interpreters)
    document = json.loads(json.dumps(state.to_json()))
    assert document["cpu_features"] == list(state.cpu_features)
    assert document["governor"] == state.governor


@pytest.mark.parametrize(
    ("name", "device", "cpu", "features", "dot_products"),
    [
        ("pi3-64", "raspberry-pi-3b", "Cortex-A53", ("asimd",), False),
        ("pi3-32", "raspberry-pi-3b", "Cortex-A53", ("neon", "vfpv4"), False),
        ("pi4-64", "raspberry-pi-4b", "Cortex-A72", ("asimd",), False),
        ("pi4-32", "raspberry-pi-4b", "Cortex-A72", ("neon", "vfpv4"), False),
        ("pi5-64", "raspberry-pi-5", "Cortex-A76", ("asimd", "asimdhp", "asimddp"), True),
    ],
)
def test_a_board_is_read(
    name: str,
    device: str,
    cpu: str,
    features: tuple[str, ...],
    dot_products: bool,
    make_root: MakeRoot,
) -> None:
    files = BOARDS[name]
    state = HostState.read(make_root(files))
    assert (state.device, state.cpu, state.cpu_features) == (device, cpu, features)
    assert state.dot_products is dot_products
    assert state.governors == (files[f"{CPU}/cpu0/cpufreq/scaling_governor"].strip(),) * 4
    assert state.governor == state.governors[0]
    assert state.temperature_c == 48.686
    assert (state.throttled, state.throttled_since_boot) == (False, ())
    total, available = state.memory_total_bytes, state.memory_available_bytes
    assert total == int(files["proc/meminfo"].split()[1]) * 1024
    assert available == total // 2
    assert state.memory_limit_bytes is None
    assert state.load_1min == 0.25
    assert state.noise == (
        [] if name == "pi5-64" else ["the CPU governor is 'ondemand', not 'performance'"]
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (cpuinfo("Rock", A76, "0xd05", "0xd05", "0xd0b"), "Cortex-A55, Cortex-A76"),
        (cpuinfo("Odd", ARM64, "0xabc"), "part 0xabc of maker 0x41"),
        (cpuinfo("Odd", ARM64, "0xd08", maker="0x51"), "part 0xd08 of maker 0x51"),
        (cpuinfo("Odd", ARMV7, "0xabc", name=V7), "ARMv7 Processor rev 4 (v7l)"),
        (
            "processor : 0\nmodel name : Intel(R) Core(TM) i5\nflags : fpu avx2\n",
            "Intel(R) Core(TM) i5",
        ),
        ("processor : 0\nCPU part : many\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_cores_are_called_by_their_names(content: str, expected: str, make_root: MakeRoot) -> None:
    assert HostState.read(make_root({"proc/cpuinfo": content})).cpu == expected


@pytest.mark.parametrize(
    ("bits", "now", "past"),
    [
        ("0", False, ()),
        ("50000", False, ("under-voltage", "throttled")),
        ("1", True, ()),
        ("8", True, ()),
        ("0x4", True, ()),
        ("20000", False, ("clock capped",)),
        ("80008", True, ("soft temperature limit",)),
        ("f000f", True, ("under-voltage", "clock capped", "throttled", "soft temperature limit")),
        ("100000", False, ()),
    ],
)
def test_throttling_now_and_since_boot_are_told_apart(
    bits: str, now: bool, past: tuple[str, ...], make_root: MakeRoot
) -> None:
    state = HostState.read(make_root({FIRMWARE: bits + "\n"}))
    assert (state.throttled, state.throttled_since_boot) == (now, past)


def test_the_firmware_s_folder_may_carry_an_address(make_root: MakeRoot) -> None:
    path = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    assert HostState.read(make_root({path: "1"})).throttled is True


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        ([("cpu-thermal", "51000"), ("gpu-thermal", "70000")], 51.0),
        ([("soc-thermal", "51000"), ("bigcore0-cpu", "63500")], 63.5),
        ([("acpitz", "27800"), ("iwlwifi_1", "49000")], 49.0),
        ([("cpu-thermal", "-274000"), ("acpitz", "27800")], 27.8),
        ([("cpu-thermal", "broken")], None),
        ([], None),
    ],
)
def test_the_processor_s_hottest_zone_counts(
    zones: list[tuple[str, str]], expected: float | None, make_root: MakeRoot
) -> None:
    files = {}
    for i, (kind, temp) in enumerate(zones):
        files[f"sys/class/thermal/thermal_zone{i}/type"] = kind + "\n"
        files[f"sys/class/thermal/thermal_zone{i}/temp"] = temp + "\n"
    assert HostState.read(make_root(files)).temperature_c == expected


def test_each_core_has_its_governor(make_root: MakeRoot) -> None:
    names = {0: "performance", 2: "ondemand", 10: "performance"}
    files = {f"{CPU}/cpu{i}/cpufreq/scaling_governor": name for i, name in names.items()}
    state = HostState.read(make_root({**files, f"{CPU}/cpufreq/policy0/scaling_governor": "x"}))
    assert state.governors == ("performance", "ondemand", "performance")
    assert state.governor == "performance, ondemand"
    assert state.noise == ["the CPU governor is 'performance, ondemand', not 'performance'"]


MEMINFO = {"proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n"}


@pytest.mark.parametrize(
    ("files", "available", "limit"),
    [
        # Version 2, as in a container: its own group is the root.
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "536870912\n",
                "sys/fs/cgroup/memory.current": "300000000\n",
                "sys/fs/cgroup/memory.stat": "anon 100000000\nfile 200000000\ninactive_file 200000000\n",
            },
            436870912,
            536870912,
        ),
        # A service: the limit is on the slice above.
        (
            {
                "proc/self/cgroup": "0::/system.slice/edge.service\n",
                "sys/fs/cgroup/system.slice/memory.max": "1000000000",
                "sys/fs/cgroup/system.slice/edge.service/memory.max": "max",
            },
            1000000000,
            1000000000,
        ),
        # A limit that is above what is free takes nothing away.
        (
            {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "6000000000"},
            4096000000,
            6000000000,
        ),
        # Version 1: no limit is a size that no machine has.
        (
            {
                "proc/self/cgroup": "5:cpu:/\n4:memory:/pod\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
                "sys/fs/cgroup/memory/pod/memory.limit_in_bytes": "268435456",
                "sys/fs/cgroup/memory/pod/memory.usage_in_bytes": "300000000",
            },
            0,
            268435456,
        ),
        ({"proc/self/cgroup": "0::/../../a\n", "a/memory.max": "5"}, 4096000000, None),
    ],
)
def test_control_groups_limit_what_is_free(
    files: dict[str, str], available: int, limit: int | None, make_root: MakeRoot
) -> None:
    state = HostState.read(make_root({**MEMINFO, **files}))
    assert (state.memory_available_bytes, state.memory_limit_bytes) == (available, limit)


def test_what_the_system_does_not_say_is_none(tmp_path: Path) -> None:
    state = HostState.read(tmp_path)
    assert (state.device, state.cpu, state.cpu_features) == ("desktop", "unknown", ())
    assert state.governors == ()
    assert state.governor is None
    assert state.temperature_c is None
    assert state.throttled is None
    assert state.throttled_since_boot is None
    assert state.memory_total_bytes is None
    assert state.memory_available_bytes is None
    assert state.load_1min is None
    assert state.noise == []


def test_files_that_cannot_be_read_are_as_if_missing(tmp_path: Path) -> None:
    # A folder in the place of a file cannot be read by root either.
    for name in (*BOARDS["pi4-64"], "sys/fs/cgroup/memory.max"):
        (tmp_path / name).mkdir(parents=True)
    missing = tmp_path / "missing"
    missing.mkdir()
    read, empty = (HostState.read(root) for root in (tmp_path, missing))
    assert read == empty


GARBAGE = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"[-+]?(0x)?[0-9a-f]{1,25}( kB)?\n?", fullmatch=True),
    st.sampled_from(["0::/\n", "4:memory:/\n", "MemTotal: -5 kB", "MemAvailable: kB", "nan nan"]),
    st.sampled_from([f"{key}: {value}" for key in ("CPU part", "MemTotal") for value in "x\0²-"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_garbage_is_survived(
    data: st.DataObject, tmp_path: Path, validate_host: Callable[[HostState], None]
) -> None:
    names = [*BOARDS["pi5-64"], "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"]
    for name in (*names, "sys/fs/cgroup/memory.stat", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.draw(GARBAGE).encode("utf-8", "surrogatepass"))
    state = HostState.read(tmp_path)
    validate_host(state)
    assert state.noise is not None


@pytest.fixture
def validate_host() -> Callable[[HostState], None]:
    """The package's own JSON Schema of a host, after a trip through JSON text."""
    jsonschema = needs.package("jsonschema")
    from edgekit import document

    schema = document.json_schema("host")
    validator = jsonschema.Draft202012Validator(
        {**schema["$defs"]["HostState"], "$defs": schema["$defs"]}
    )

    def validate(state: HostState) -> None:
        validator.validate(json.loads(document.dumps(state.to_json())))

    return validate


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_read_fits_the_schema(
    name: str, make_root: MakeRoot, validate_host: Callable[[HostState], None]
) -> None:
    validate_host(HostState.read(make_root(BOARDS[name])))


def test_noise_is_put_into_words(make_root: MakeRoot) -> None:
    root = make_root({**BOARDS["pi4-64"], FIRMWARE: "50004\n", ZONE + "/temp": "81250\n"})
    state = replace(HostState.read(root), load_1min=9.5, cores=4)
    assert state.noise == [
        "the CPU governor is 'ondemand', not 'performance'",
        "the firmware is throttling the CPU",
        "the CPU is at 81 °C",
        "the load is 9.5 on 4 cores",
    ]
    quiet = replace(
        state,
        governors=("performance",) * 4,
        throttled=False,
        throttled_since_boot=(),
        temperature_c=50.0,
        load_1min=0.1,
    )
    assert quiet.noise == []
    assert replace(quiet, governors=(), throttled=None, temperature_c=None).noise == []
    assert replace(quiet, throttled_since_boot=("under-voltage",)).noise == [
        "the firmware has held the CPU back since the board started (under-voltage)"
    ]


def test_peak_memory_is_the_process_s_own() -> None:
    code = (
        "from edgekit.runtime.host import peak_rss_bytes as peak; before = peak(); "
        "held = b'x' * 2**26; print(before, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert 2**20 < before < 2**28
    assert after - before > 2**25
