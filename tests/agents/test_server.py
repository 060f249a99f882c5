"""Server: every tool over real pipes, what is refused, and an end that leaves nothing at work."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support import needs
from support.children import python

import edgekit

# They start processes.
pytestmark = pytest.mark.processes

FILES = ("classifier.int8.tflite", "classifier.float32.tflite")
READING = ["inspect", "doctor", "compare", "diagnose", "bench"]
WRITING = ["export", "build"]
# So long that no test waits for it.
LONG = {"files": list(FILES), "seconds": 3600}


def test_tools_are_typed_by_the_schemas_of_documents(agent: Any) -> None:
    tools = agent.tools()
    assert list(tools) == READING
    kinds = dict(zip(READING, ("inspection", "host", "drift", "diagnosis", "bench"), strict=True))
    for name, tool in tools.items():
        assert tool.output_schema == edgekit.document.json_schema(kinds[name])
        needs.package("jsonschema").Draft202012Validator.check_schema(tool.input_schema)
        assert tool.annotations.read_only_hint is True
        assert tool.description


def test_inspect(agent: Any, folder: Path) -> None:
    digest = hashlib.sha256((folder / FILES[0]).read_bytes()).hexdigest()
    for given in (FILES[0], str(folder / FILES[0]), "again.tflite", f"images/../{FILES[0]}"):
        assert agent.document("inspect", file=given)["artifact"]["sha256"] == digest


def test_what_knows_no_structured_content_reads_the_same_as_text(agent: Any) -> None:
    result = agent.call("inspect", file=FILES[0])
    assert json.loads(result.content[0].text) == result.structured_content


def test_doctor(agent: Any) -> None:
    assert agent.document("doctor")["host"]["cores"] >= 1


def test_compare_gives_a_verdict_that_is_no_error(agent: Any) -> None:
    strict = {"golden": "golden.npz", "min_sqnr_db": 90, "threads": 1}
    assert agent.document("compare", files=[FILES[1]], **strict)["verdict"] == "pass"
    # Eight bits have about 50 dB.
    found = agent.document("compare", files=list(FILES), limit=["size_bytes<=1000000"], **strict)
    assert found["verdict"] == "fail"
    assert [Path(each["artifact"]["path"]).name for each in found["candidates"]] == list(FILES)


def test_diagnose(agent: Any) -> None:
    given = {"file": FILES[0], "golden": "golden.npz", "float": FILES[1]}
    found = agent.document("diagnose", **given)
    assert found["verdict"] == "healthy"


def test_bench(agent: Any) -> None:
    # The folder's pyproject.toml names samples elsewhere: its word does not count here.
    found = agent.document("bench", files=list(FILES), seconds=0.01, batch=[1], threads=[1])
    assert [(run["artifact"]["scheme"], run["threads"]) for run in found["runs"]] == [
        ("int8", 1),
        ("float32", 1),
    ]


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        (
            "inspect",
            {"file": "../outside.tflite"},
            "file: received '../outside.tflite', which does",
        ),
        ("inspect", {"file": "/etc/passwd"}, "does not lie in the folder"),
        ("inspect", {"file": "link.tflite"}, "does not lie in the folder"),
        ("inspect", {"file": "images/../../outside.tflite"}, "does not lie in the folder"),
        ("inspect", {"file": ""}, "does not lie in the folder"),
        ("inspect", {"file": "a\0b"}, "expected a path"),
        ("inspect", {"file": "nothing.tflite"}, "No such file"),
        ("inspect", {"file": "recipe.toml"}, "received a TOML file"),
        ("inspect", {"file": "--help"}, "No such file"),
        ("inspect", {"file": "golden.npz"}, "golden.npz"),
        ("inspect", {"file": 3}, "file: 3 is not of type 'string'"),
        ("inspect", {"file": [FILES[0]]}, "is not of type 'string'"),
        ("inspect", {}, "'file' is a required property"),
        ("inspect", {"fil": FILES[0]}, "Did you mean 'file'?"),
        ("inspect", {"file": FILES[0], "json": "out.json"}, "json: received what agents may not"),
        ("inspect", {"file": FILES[0], "overwrite": True}, "overwrite: received what agents may"),
        ("bench", {"files": []}, "files"),
        ("bench", {"files": [FILES[0]], "seconds": "1"}, "is not of type 'number'"),
        ("bench", {"files": [FILES[0]], "seconds": True}, "is not of type 'number'"),
        ("bench", {"files": [FILES[0]], "seconds": -1}, "seconds"),
        ("bench", {"files": [FILES[0]], "samples": "images"}, "'link.png', which belongs to it"),
        ("bench", {"files": [FILES[0]], "samples": "recipe.toml"}, "received a TOML file"),
        ("bench", {"files": [FILES[0]], "delegate": "lib.so"}, "delegate: received what agents"),
        ("bench", {"files": [FILES[0]], "import": "own.py"}, "import: received what agents may"),
        ("bench", {"files": [FILES[0]], "device": "../x"}, "is not one of"),
        ("compare", {"files": ["m.keras"], "golden": "g.npz", "trust_code": True}, "trust_code: "),
        ("compare", {"files": [FILES[0]], "golden": "golden.npz", "answers": "out"}, "answers: "),
        ("compare", {"files": [FILES[0], "/x"], "golden": "golden.npz"}, "files: received '/x'"),
        ("compare", {"files": [FILES[0]], "golden": "golden.npz", "layers": "../x"}, "layers: "),
    ],
)
def test_refusals(agent: Any, tool: str, given: dict[str, Any], said: str) -> None:
    assert said in agent.refused(tool, **given)


def test_who_may_not_write_has_no_tool_that_does(agent: Any) -> None:
    from mcp.shared.exceptions import MCPError

    for name in WRITING:
        with pytest.raises(MCPError, match="it needs --allow-writing"):
            agent.call(name, model="m.keras", out="out")
    with pytest.raises(MCPError, match="there is none"):
        agent.call("rm", file=FILES[0])


def test_who_may_write_replaces_nothing(agents: Any, folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "file").touch()
    (folder / "m.keras").write_bytes(b"")
    (folder / "away").symlink_to(folder.parent / "not-there-yet")
    with agents(folder, "--allow-writing") as agent:
        tools = agent.tools()
        assert list(tools) == [*READING, *WRITING]
        assert [tools[name].annotations.read_only_hint for name in WRITING] == [False, False]
        model = {"model": "m.keras", "samples": "golden.npz"}
        for out in ("away", "../out", "away/more", "/tmp/out"):
            for name in WRITING:
                said = agent.refused(name, **model, out=out)
                assert "out: received" in said
                assert "does not lie in the folder" in said
        for out in ("full", "m.keras"):
            said = agent.refused("build", **model, out=out)
            assert "expected a folder that is new or empty" in said
        for name, option in (("export", "overwrite"), ("build", "key"), ("build", "recipe")):
            said = agent.refused(name, **model, out="out", **{option: True})
            assert said.startswith(f"{option}: received what agents may not say")
        assert "samples" in agent.refused("build", model="m.keras", out="out")
    assert not (folder / "out").exists()
    assert not (folder.parent / "not-there-yet").exists()


def test_others_are_answered_during_long_work_which_can_be_cancelled(agent: Any) -> None:
    at_work = threading.Event()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        del done, total, message
        at_work.set()

    async def call() -> None:
        await agent.client.call_tool("bench", LONG, progress_callback=progress)

    work = agent.portal.start_task_soon(call)
    assert at_work.wait(120)
    assert list(agent.tools()) == READING
    assert not work.done()
    work.cancel()
    # One work is done after another: this one has its turn when that one has ended.
    assert agent.document("inspect", file=FILES[0])["artifact"]["format"] == "tflite"


class Raw:
    """A server that is spoken to in lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"},
        }
        self.say(id=1, method="initialize", params=hello)
        assert self.hear()["result"]["serverInfo"]["name"] == "edgekit"
        self.say(method="notifications/initialized")

    def say(self, **message: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """The next line, which is one of the protocol's."""
        assert self.process.stdout
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert found["jsonrpc"] == "2.0"
        return found

    def work(self) -> None:
        """Let it begin what takes long."""
        params = {"name": "bench", "arguments": LONG, "_meta": {"progressToken": 7}}
        self.say(id=2, method="tools/call", params=params)
        assert self.hear()["method"] == "notifications/progress"


@contextmanager
def raw(folder: Path) -> Iterator[Raw]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    words = ("-m", "edgekit", "mcp", "--folder", folder)
    with python(*words, text=True, **pipes) as process:
        yield Raw(process)


def test_a_ping_is_answered_during_work(folder: Path) -> None:
    # Of the protocol's versions until 2025; later ones have no such method.
    with raw(folder) as server:
        server.work()
        server.say(id=3, method="ping")
        while (found := server.hear()).get("method") == "notifications/progress":
            pass
        assert (found["id"], found["result"]) == (3, {})


def at_work(folder: Path) -> list[str]:
    """Command lines of processes that name a file of the folder, but for the server's."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(os.fsencode(f"{folder}/")) for word in words):
            found.append(os.fsdecode(b" ".join(words)))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_ends_it_and_what_is_at_work(
    folder: Path, busy: bool, number: signal.Signals
) -> None:
    with raw(folder) as server:
        if busy:
            server.work()
            assert at_work(folder)
        server.process.send_signal(number)
        out, err = server.process.communicate(timeout=60)
        assert server.process.returncode == 0, err
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in out.splitlines())
        assert err.splitlines()[-1] == "stopped"
        assert "Traceback" not in err
        assert at_work(folder) == []


def test_what_is_at_work_dies_with_a_server_that_is_killed(folder: Path) -> None:
    with raw(folder) as server:
        server.work()
        assert at_work(folder)
        server.process.kill()
        deadline = time.monotonic() + 60
        while at_work(folder) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert at_work(folder) == []


@pytest.mark.parametrize("busy", [False, True])
def test_a_closed_stdin_ends_it(folder: Path, busy: bool) -> None:
    with raw(folder) as server:
        if busy:
            server.work()
        server.process.communicate(timeout=60)
        assert server.process.returncode == 0
        assert at_work(folder) == []


def test_an_agent_that_reads_no_more_ends_it(folder: Path) -> None:
    with raw(folder) as server:
        assert server.process.stdout
        server.process.stdout.close()
        server.say(id=3, method="ping")
        assert server.process.wait(60) == 0


def test_lines_that_are_no_messages_change_nothing(folder: Path) -> None:
    with raw(folder) as server:
        assert server.process.stdin
        server.process.stdin.write('{"jsonrpc": \n\n[]\nnull\n"x"\n{"id": {}}\n')
        server.say(id=3, method="tools/call", params={"name": "inspect", "arguments": "x"})
        # Half of a pair of UTF-16, which JSON can spell.
        params = {"name": "inspect", "arguments": {"file": "\ud800"}}
        server.say(id=5, method="tools/call", params=params)
        server.say(id=4, method="ping")
        while (heard := server.hear()).get("id") != 4:
            assert "error" in heard or heard["result"]["isError"]
        assert heard["result"] == {}


def test_a_line_without_end_ends_it(folder: Path) -> None:
    with raw(folder) as server:
        assert server.process.stdin
        with suppress(BrokenPipeError):
            for _ in range(128):
                os.write(server.process.stdin.fileno(), b"x" * (1 << 16))
        assert server.process.wait(60) == 0
