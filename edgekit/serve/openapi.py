"""OpenAPI: the document that says what a server answers, which is tested against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit import __version__
from edgekit.serve.datatypes import DTYPES, MAX_AXES

_ERROR = {"$ref": "#/components/schemas/Error"}
_PARAMETERS = {"type": "object"}
_WHOLE = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
_DATATYPE = {"type": "string", "enum": list(DTYPES)}


def _closed(required: Sequence[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


_TENSOR_METADATA = _closed(
    ("name", "datatype", "shape"),
    name={"type": "string"},
    datatype=_DATATYPE,
    shape={"type": "array", "items": {"type": "integer", "minimum": -1}},
)
_SCHEMAS: dict[str, Any] = {
    "Error": _closed(("error",), error={"type": "string"}),
    "Server": _closed(
        ("name", "version", "extensions"),
        name={"type": "string"},
        version={"type": "string"},
        extensions={"type": "array", "items": {"type": "string"}},
    ),
    "Model": _closed(
        ("name", "versions", "platform", "inputs", "outputs"),
        name={"type": "string"},
        versions={"type": "array", "items": {"type": "string"}},
        platform={"type": "string"},
        inputs={"type": "array", "items": _TENSOR_METADATA},
        outputs={"type": "array", "items": _TENSOR_METADATA},
        parameters=_PARAMETERS,
    ),
    "Index": {
        "type": "array",
        "items": _closed(
            ("name", "version", "state"),
            name={"type": "string"},
            version={"type": "string"},
            state={"type": "string"},
        ),
    },
    "InferenceRequest": _closed(
        ("inputs",),
        id={"type": "string"},
        parameters=_PARAMETERS,
        inputs={
            "type": "array",
            "items": _closed(
                ("name", "shape", "datatype"),
                name={"type": "string"},
                shape={"type": "array", "maxItems": MAX_AXES, "items": _WHOLE},
                datatype=_DATATYPE,
                parameters=_PARAMETERS,
                data={"type": "array"},
            ),
        },
        outputs={
            "type": "array",
            "items": _closed(("name",), name={"type": "string"}, parameters=_PARAMETERS),
        },
    ),
    "InferenceResponse": _closed(
        ("model_name", "model_version", "outputs"),
        id={"type": "string"},
        model_name={"type": "string"},
        model_version={"type": "string"},
        outputs={
            "type": "array",
            "items": _closed(
                ("name", "shape", "datatype"),
                name={"type": "string"},
                shape={"type": "array", "items": {"type": "integer", "minimum": 0}},
                datatype=_DATATYPE,
                parameters=_PARAMETERS,
                data={"type": "array"},
            ),
        },
    ),
}


def document(models: Sequence[str], token: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a server.

    Args:
        models: names of what it serves.
        token: whether it wants one.
    """
    denied = {401: "the token is wrong"} if token else {}
    name = {
        "name": "model",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(models)},
    }
    version = {
        "name": "version",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": ["1"]},
    }
    length = {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "description": "bytes of JSON before the binary data",
        "schema": {"type": "integer", "minimum": 0},
    }
    infer: dict[str, Any] = {
        "summary": "Run a model",
        "parameters": [length],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _ref("InferenceRequest")},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "responses": _responses(
            "InferenceResponse",
            {
                400: "not what the protocol or the model takes",
                404: "no such model",
                408: "the body did not arrive in time",
                413: "the body is too large",
                500: "the interpreter failed",
                503: "too many requests wait",
                **denied,
            },
        ),
    }
    infer["responses"]["200"]["content"]["application/octet-stream"] = {
        "schema": {"type": "string", "format": "binary"}
    }
    if token:
        infer["security"] = [{"token": []}]
    missing = {404: "no such model", **denied}
    paths: dict[str, Any] = {
        "/v2/health/live": _get("Whether the server runs", None, {}),
        "/v2/health/ready": _get("Whether all models can be run", None, {}),
        "/v2": _get("Name, version and extensions", "Server", denied, token),
    }
    for base, parameters in (
        ("/v2/models/{model}", [name]),
        ("/v2/models/{model}/versions/{version}", [name, version]),
    ):
        paths[base] = {
            **_get("Inputs and outputs", "Model", missing, token),
            "parameters": parameters,
        }
        paths[f"{base}/ready"] = {
            **_get("Whether the model can be run", None, missing, token),
            "parameters": parameters,
        }
        paths[f"{base}/infer"] = {"post": infer, "parameters": parameters}
    index = _get("All models", "Index", denied, token)["get"]
    paths["/v2/repository/index"] = {"post": index}
    page = _get("A page to try models on", None, {})
    page["get"]["responses"]["200"]["content"] = {"text/html": {"schema": {"type": "string"}}}
    paths["/"] = page
    metrics = _get("Metrics for Prometheus", None, denied, token)
    metrics["get"]["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    paths["/metrics"] = metrics
    paths["/openapi.json"] = _get("This document", None, denied, token)
    components: dict[str, Any] = {"schemas": _SCHEMAS}
    if token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "edgekit serve", "version": __version__},
        "paths": paths,
        "components": components,
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _responses(schema: str | None, errors: dict[int, str]) -> dict[str, Any]:
    fine = _ref(schema) if schema else {"type": "object"}
    found: dict[str, Any] = {
        "200": {"description": "fine", "content": {"application/json": {"schema": fine}}}
    }
    for status, text in errors.items():
        found[str(status)] = {
            "description": text,
            "content": {"application/json": {"schema": _ERROR}},
        }
    return found


def _get(
    summary: str, schema: str | None, errors: dict[int, str], token: bool = False
) -> dict[str, Any]:
    said: dict[str, Any] = {"summary": summary, "responses": _responses(schema, errors)}
    if token:
        said["security"] = [{"token": []}]
    return {"get": said}
