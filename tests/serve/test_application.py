"""Application: every address, and the right status for what is wrong."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from support import needs
from support.children import wait_until_busy
from support.onnx_files import endless

import edgekit

INT8 = "/v2/models/classifier.int8"
FLOAT = "/v2/models/dynamic.float32"


def signal(values: Any, **more: Any) -> dict[str, Any]:
    x = np.asarray(values, np.float32)
    data = {"name": "signal", "datatype": "FP32", "shape": list(x.shape), "data": x.tolist()}
    return {"inputs": [data], **more}


def test_health_and_metadata(ask: Any) -> None:
    assert ask("GET", "/v2/health/live").json() == {"live": True}
    assert ask("GET", "/v2/health/ready").json() == {"ready": True}
    assert ask("GET", "/v2").json() == {
        "name": "edgekit",
        "version": edgekit.__version__,
        "extensions": ["binary_tensor_data", "classification", "model_repository"],
    }
    for path in (INT8, f"{INT8}/versions/1"):
        assert ask("GET", path).json() == {
            "name": "classifier.int8",
            "versions": ["1"],
            "platform": "tflite_litert",
            "inputs": [{"name": "image", "datatype": "INT8", "shape": [1, 8, 8, 1]}],
            "outputs": [{"name": "digit", "datatype": "INT8", "shape": [1, 5]}],
            "parameters": {
                "takes": "image",
                "channels": 1,
                "height": 8,
                "width": 8,
                "preprocess": False,
                "classes": False,
            },
        }
        assert ask("GET", f"{path}/ready").json() == {"name": "classifier.int8", "ready": True}
    assert ask("GET", FLOAT).json()["inputs"][0]["shape"] == [-1, 6]


def test_answers_are_the_runners(ask: Any, models: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    with edgekit.load(models / "dynamic.float32.tflite") as runner:
        expected = runner.infer({"signal": x})["score"]
    said = ask("POST", f"{FLOAT}/infer", json=signal(x, id="a1")).json()
    assert (said["id"], said["model_name"]) == ("a1", "dynamic.float32")
    (output,) = said["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("score", "FP32", [3, 3])
    np.testing.assert_allclose(np.reshape(output["data"], (3, 3)), expected, rtol=1e-5, atol=1e-6)


def test_int8_as_it_is_and_as_floats(ask: Any, models: Path) -> None:
    q = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 1)).astype(np.int8)
    with edgekit.load(models / "classifier.int8.tflite") as runner:
        scale, zero = (
            runner.inputs[0].quantization.scale[0],
            runner.inputs[0].quantization.zero_point[0],
        )
        raw = runner.infer_raw({"image": q})["digit"]
        out = runner.outputs[0].quantization
    said = {"name": "image", "datatype": "INT8", "shape": [1, 8, 8, 1], "data": q.ravel().tolist()}
    (output,) = ask("POST", f"{INT8}/infer", json={"inputs": [said]}).json()["outputs"]
    assert output["datatype"] == "INT8"
    assert output["data"] == raw.ravel().tolist()
    said |= {"datatype": "FP32", "data": ((q.astype(np.float32) - zero) * scale).ravel().tolist()}
    (output,) = ask("POST", f"{INT8}/infer", json={"inputs": [said]}).json()["outputs"]
    assert output["datatype"] == "FP32"
    expected = (raw.astype(np.float32) - out.zero_point[0]) * out.scale[0]
    np.testing.assert_allclose(output["data"], expected.ravel(), atol=1e-6)


def test_binary_data_both_ways(ask: Any) -> None:
    x = np.arange(6, dtype=np.float32).reshape(1, 6)
    as_json = ask("POST", f"{FLOAT}/infer", json=signal(x)).json()["outputs"][0]["data"]
    said = signal(x, parameters={"binary_data_output": True})
    del said["inputs"][0]["data"]
    said["inputs"][0]["parameters"] = {"binary_data_size": 24}
    header = json.dumps(said).encode()
    length = {"Inference-Header-Content-Length": str(len(header))}
    answer = ask("POST", f"{FLOAT}/infer", content=header + x.tobytes(), headers=length)
    assert answer.headers["content-type"] == "application/octet-stream"
    data = answer.content[int(answer.headers["inference-header-content-length"]) :]
    np.testing.assert_allclose(np.frombuffer(data, "<f4"), as_json, rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v2/models/none", 404),
        ("POST", "/v2/models/none/infer", 404),
        ("GET", "/v2/models/a%2Fb/ready", 404),
        ("GET", f"{INT8}/versions/2", 404),
        ("GET", f"{INT8}/infer", 405),
        ("POST", "/v2", 405),
        ("POST", f"{INT8}/infer", 400),
    ],
)
def test_what_is_not_there(ask: Any, method: str, path: str, status: int) -> None:
    answer = ask(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]
    # The server goes on.
    assert ask("GET", "/v2/health/live").status_code == 200


def test_bodies_over_the_limit(serving: Any) -> None:
    async def pieces() -> Any:
        for _ in range(3):
            yield b" " * 500

    with serving("dynamic.float32.tflite", body=1000) as ask:
        path = f"{FLOAT}/infer"
        for content in (b" " * 1001, pieces()):
            answer = ask("POST", path, content=content)
            assert answer.status_code == 413
            assert "1,000" in answer.json()["error"]
        assert ask("POST", path, json=signal(np.zeros((1, 6)))).status_code == 200
        assert ask.application._held == 0


def test_compressed_bodies_are_refused(ask: Any) -> None:
    answer = ask("POST", f"{FLOAT}/infer", content=b"x", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400


def test_the_token(serving: Any) -> None:
    with serving("dynamic.float32.tflite", token="secret") as ask:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}):
            answer = ask("GET", "/metrics", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert ask("GET", "/v2", headers={"Authorization": "Bearer secret"}).status_code == 200
        assert ask("GET", "/v2/health/ready").status_code == 200


def test_metrics_and_log(serving: Any) -> None:
    with serving("dynamic.float32.tflite") as ask:
        ask("POST", f"{FLOAT}/infer", json=signal(np.zeros((2, 6))))
        ask("GET", "/v2/models/none")
        text = ask("GET", "/metrics").text.splitlines()
        seen, missed, _ = map(json.loads, ask.lines)
    assert 'edgekit_requests_total{model="dynamic.float32",status="200"} 1.0' in text
    assert 'edgekit_requests_total{model="",status="404"} 1.0' in text
    assert 'edgekit_batch_samples_sum{model="dynamic.float32"} 2.0' in text
    assert 'edgekit_queue_length{model="dynamic.float32"} 0.0' in text
    assert (seen["status"], seen["model"], seen["batch"]) == (200, "dynamic.float32", 2)
    assert missed["status"] == 404
    assert "none" in missed["error"]


def asgi(application: Any, messages: list[Any], path: str = f"{FLOAT}/infer") -> list[Any]:
    """What is sent when `messages` are received, and after them nothing ever."""
    sent: list[Any] = []
    waiting = list(messages)

    async def receive() -> Any:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": ("here", 1)}
    asyncio.run(application(scope, receive, send))
    return sent


def test_a_body_that_never_ends_and_one_that_is_cut(serving: Any) -> None:
    part = {"type": "http.request", "body": b"{", "more_body": True}
    with serving("dynamic.float32.tflite", timeout=0.05) as ask:
        start, end = asgi(ask.application, [part])
        assert start["status"] == 408
        assert b"error" in end["body"]
        assert asgi(ask.application, [part, {"type": "http.disconnect"}]) == []
        assert json.loads(ask.lines[-1])["status"] == 499
        assert ask.application._held == 0


def test_a_full_queue_is_503_with_retry_after(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving("dynamic.float32.tflite") as ask:
        model = ask.application.models["dynamic.float32"]
        monkeypatch.setattr(model, "queue", 0)
        answer = ask("POST", f"{FLOAT}/infer", json=signal(np.zeros((1, 6))))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        monkeypatch.undo()
        assert ask("POST", f"{FLOAT}/infer", json=signal(np.zeros((1, 6)))).status_code == 200


@pytest.mark.processes
def test_a_model_whose_process_dies_is_replaced(serving: Any) -> None:
    with serving("dynamic.float32.tflite", "classifier.float32.tflite", isolated=True) as ask:
        runner = ask.application.models["dynamic.float32"].runner
        said = signal(np.ones((1, 6)))
        before = ask("POST", f"{FLOAT}/infer", json=said).json()
        process = runner._service._child._process
        process.kill()
        process.wait()
        lost = ask("POST", f"{FLOAT}/infer", json=said)
        assert lost.status_code in (200, 500)
        assert ask("POST", f"{FLOAT}/infer", json=said).json() == before
        assert ask("GET", "/v2/models/classifier.float32/ready").status_code == 200


@pytest.mark.processes
def test_a_process_that_dies_in_the_middle_of_an_inference(serving: Any, tmp_path: Path) -> None:
    """Its request gets 500, those of other models and the next one their answers."""

    def turning(turns: int) -> dict[str, Any]:
        x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 1]}
        return {"inputs": [x, {"name": "turns", "datatype": "INT64", "shape": [], "data": [turns]}]}

    with serving(str(endless(tmp_path / "m.onnx")), "dynamic.float32.tflite", isolated=True) as ask:
        path = "/v2/models/m/infer"
        before = ask("POST", path, json=turning(1)).json()
        process = ask.application.models["m"].runner._service._child._process
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(ask, "POST", path, json=turning(2**62))
            wait_until_busy(process.pid)
            other = ask("POST", f"{FLOAT}/infer", json=signal(np.ones((1, 6))))
            process.kill()
            answer = lost.result(60)
        assert other.status_code == 200
        assert answer.status_code == 500, answer.text
        assert "SIGKILL" in answer.json()["error"]
        assert ask("POST", path, json=turning(1)).json() == before


def test_the_document_is_true(serving: Any) -> None:
    """Every request that schemathesis makes of it gets a status and a body that the document names."""
    schemathesis: Any = needs.package("schemathesis")
    checks: Any = needs.package("schemathesis.checks")
    held = [
        checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    tried = set()
    with serving("dynamic.float32.tflite") as ask:
        schema = schemathesis.openapi.from_asgi("/openapi.json", ask.application)
        for operation in (found.ok() for found in schema.get_all_operations()):

            @settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
            @given(operation.as_strategy())
            def holds(case: Any) -> None:
                case.call_and_validate(checks=held)
                tried.add(case.operation.label)

            holds()
        document = ask("GET", "/openapi.json").json()
    # What a document is read from, schemathesis leaves out.
    assert tried | {"GET /openapi.json"} == {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item.keys() & {"get", "post"}
    }


def test_all_models_are_listed(ask: Any) -> None:
    found = ask("POST", "/v2/repository/index").json()
    assert [each["name"] for each in found] == [
        "classifier.int8",
        "dynamic.float32",
        "classifier.float32",
    ]
    assert {each["state"] for each in found} == {"READY"}


def test_classes_by_name(serving: Any, named: Path) -> None:
    x = np.random.default_rng(0).integers(0, 17, (1, 8, 8, 1)).astype(np.uint8)
    with edgekit.load(named) as runner:
        wanted = [f"{score}:{int(name[1])}:{name}" for name, score in runner.classify(x, top=2)]
    data = {"name": "image", "datatype": "UINT8", "shape": [1, 8, 8, 1], "data": x.tolist()}
    asked = [{"name": "digit", "parameters": {"classification": 2}}]
    request = {"inputs": [data], "outputs": asked, "parameters": {"preprocess": True}}
    with serving(str(named)) as ask:
        said = ask("POST", "/v2/models/named/infer", json=request).json()
        takes = ask("GET", "/v2/models/named").json()["parameters"]
    assert said["outputs"] == [
        {"name": "digit", "datatype": "BYTES", "shape": [1, 2], "data": wanted}
    ]
    assert takes == {"takes": "image", "channels": 1, "preprocess": True, "classes": True}
