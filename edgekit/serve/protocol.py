"""Protocol: requests and responses of inference, as JSON and with binary data behind it.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md and, for binary
data, https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from edgekit.errors import TensorError, nearest
from edgekit.serve.datatypes import (
    DATATYPES,
    DTYPES,
    MAX_AXES,
    from_bytes,
    from_json,
    to_bytes,
    to_json,
)
from edgekit.tensor import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADER_LENGTH = "inference-header-content-length"

_MAX_AXIS = 2**31 - 1
# In the JSON of a request. Each is an object of Python's of some hundred bytes, which takes its time: others wait.
_MOST_PARTS = 1_000_000


@dataclass(frozen=True)
class Call:
    """One inference that was requested.

    Attributes:
        id: the client's own, which comes back.
        inputs: by name.
        raw: whether they are in the file's own dtypes; else quantised inputs take floats.
        preprocess: whether they are raw data, for the steps that are stored in the file.
        outputs: names of those requested, and how each comes back.
    """

    id: str | None
    inputs: dict[str, NDArray[Any]]
    raw: bool
    preprocess: bool
    outputs: dict[str, Asked]


@dataclass(frozen=True)
class Asked:
    """How an output comes back.

    Attributes:
        binary: as binary data.
        classes: the highest so many scores of each sample in place of the numbers; 0 for the numbers.
    """

    binary: bool
    classes: int = 0


def parse(
    body: bytes,
    header_length: str | None,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> Call:
    """Read the body of a request.

    Args:
        body: JSON, and binary data behind it where `header_length` says how long the JSON is.
        header_length: of the HTTP header ``Inference-Header-Content-Length``; None without one.
        inputs, outputs: of the model.

    Raises:
        TensorError: anything in it that is not as the protocol or the model has it.
    """
    header, data = _split(body, header_length)
    parts = sum(map(header.count, (b"[", b"{", b":")))
    if parts > _MOST_PARTS:
        raise TensorError(
            f"body: received {parts:,} lists, objects and values by name, expected {_MOST_PARTS:,} at most. Send a "
            "tensor as one flat list, or as binary data."
        )
    try:
        said = orjson.loads(header)
    except ValueError as error:
        raise TensorError(f"body: is no JSON: {str(error)[:200]}.") from None
    said = _checked(said, dict, "body", "an object")
    given = _checked(said.get("inputs"), list, "inputs", "a list")
    id = said.get("id")
    if id is not None:
        _checked(id, str, "id", "a string")
    parameters = _parameters(said, "body")
    preprocess = _flag(parameters, "preprocess", "body")
    specs = {spec.name: spec for spec in inputs}
    arrays: dict[str, NDArray[Any]] = {}
    for each in given:
        name, array, data = _input(each, data, specs, preprocess)
        if name in arrays:
            raise TensorError(f"input {name!r}: is given twice.")
        arrays[name] = array
    if len(data):
        raise TensorError(f"body: {len(data)} bytes of binary data belong to no input.")
    if missing := [name for name in specs if name not in arrays]:
        raise TensorError(f"inputs: received {_list(arrays)}, expected {_list(missing)} too.")
    raw = not preprocess and all(array.dtype == specs[name].dtype for name, array in arrays.items())
    asked = _outputs(said.get("outputs"), outputs, _flag(parameters, "binary_data_output", "body"))
    return Call(id, arrays, raw, preprocess, asked)


def _split(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 12):
        raise TensorError(
            f"Inference-Header-Content-Length: received {header_length[:40]!r}, expected a number of bytes."
        )
    length = int(header_length)
    if length > len(body):
        raise TensorError(
            f"Inference-Header-Content-Length: received {length}, and the body has {len(body)} bytes."
        )
    return body[:length], memoryview(body)[length:]


def _input(
    said: Any, data: memoryview, specs: Mapping[str, TensorSpec], preprocess: bool
) -> tuple[str, NDArray[Any], memoryview]:
    """Name and array of an input, and the binary data that is left."""
    said = _checked(said, dict, "inputs", "a list of objects")
    name = _checked(said.get("name"), str, "inputs: name", "a string")
    where = f"input {name!r}"
    spec = specs.get(name)
    if spec is None:
        raise TensorError(
            f"{where}: is none of the model's, expected {_list(specs)}.{nearest(name, specs)}"
        )
    datatype = said.get("datatype")
    own = DATATYPES[spec.dtype]
    taken = {own} | ({"FP32"} if spec.quantization is not None else set())
    if not isinstance(datatype, str) or datatype not in (DTYPES if preprocess else taken):
        raise TensorError(
            f"{where}: datatype: received {datatype!r}, expected {' or '.join(sorted(taken))}."
        )
    shape = _shape(said.get("shape"), where)
    # Of raw data the stored steps say what they take.
    if not preprocess and not spec.accepts(shape):
        raise TensorError(
            f"{where}: shape: received {list(shape)}, expected {wire_shape(spec)}, where -1 is any size."
        )
    parameters = _parameters(said, where)
    size = parameters.get("binary_data_size")
    if size is None:
        return name, from_json(said.get("data"), datatype, shape, where), data
    if "data" in said:
        raise TensorError(f"{where}: has both data and binary_data_size, expected one of them.")
    if type(size) is not int or not 0 <= size <= len(data):
        raise TensorError(
            f"{where}: binary_data_size: received {size!r}, expected at most the {len(data)} bytes that are left."
        )
    return name, from_bytes(data[:size], datatype, shape, where), data[size:]


def _shape(said: Any, where: str) -> tuple[int, ...]:
    said = _checked(said, list, f"{where}: shape", "a list")
    if len(said) > MAX_AXES or not all(type(n) is int and 1 <= n <= _MAX_AXIS for n in said):
        raise TensorError(
            f"{where}: shape: received {str(said)[:80]}, expected at most {MAX_AXES} numbers from 1."
        )
    return tuple(said)


def _outputs(said: Any, outputs: Sequence[TensorSpec], binary: bool) -> dict[str, Asked]:
    names = [spec.name for spec in outputs]
    if said is None:
        return dict.fromkeys(names, Asked(binary))
    asked: dict[str, Asked] = {}
    for each in _checked(said, list, "outputs", "a list"):
        each = _checked(each, dict, "outputs", "a list of objects")
        name = _checked(each.get("name"), str, "outputs: name", "a string")
        if name not in names:
            raise TensorError(
                f"output {name!r}: is none of the model's, expected {_list(names)}.{nearest(name, names)}"
            )
        where = f"output {name!r}"
        parameters = _parameters(each, where)
        count = parameters.get("classification", 0)
        if type(count) is not int or not 0 <= count <= _MAX_AXIS:
            raise TensorError(
                f"{where}: classification: received {json.dumps(count)[:80]}, expected how many classes."
            )
        asked[name] = Asked(_flag(parameters, "binary_data", where, binary), count)
    return asked or dict.fromkeys(names, Asked(binary))


def _parameters(said: Mapping[str, Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = _checked(
        said.get("parameters", {}), dict, f"{where}: parameters", "an object"
    )
    for name in ("shared_memory_region", "sequence_id"):
        if found.get(name):
            raise TensorError(f"{where}: {name} is not served. Leave it out.")
    return found


def _flag(parameters: Mapping[str, Any], name: str, where: str, default: bool = False) -> bool:
    value: bool = _checked(parameters.get(name, default), bool, f"{where}: {name}", "true or false")
    return value


def _checked(value: Any, kind: type, where: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise TensorError(f"{where}: received {json.dumps(value)[:80]}, expected {expected}.")
    return value


def _list(names: Any) -> str:
    return ", ".join(map(repr, names)) or "none"


def rendered(
    model: str, call: Call, results: Mapping[str, NDArray[Any]], class_names: Sequence[str] = ()
) -> tuple[bytes, int | None]:
    """The body of a response, and how long its JSON is where binary data is behind it; else None.

    Raises:
        TensorError: an output holds numbers that JSON does not have, or no scores of classes where they are requested.
    """
    outputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, asked in call.outputs.items():
        array = results[name]
        if asked.classes:
            array = classified(array, asked.classes, class_names, f"output {name!r}")
        said: dict[str, Any] = {
            "name": name,
            "datatype": DATATYPES[array.dtype.name],
            "shape": list(array.shape),
        }
        if asked.binary:
            parts.append(to_bytes(array))
            said["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            said["data"] = to_json(array, f"output {name!r}")
        outputs.append(said)
    answer: dict[str, Any] = {"model_name": model, "model_version": "1"}
    if call.id is not None:
        answer["id"] = call.id
    answer["outputs"] = outputs
    header = orjson.dumps(answer)
    return b"".join([header, *parts]), len(header) if parts else None


def classified(
    scores: NDArray[Any], count: int, class_names: Sequence[str], where: str
) -> NDArray[Any]:
    """The highest scores of each sample, the highest first, as texts ``score:index:name``, [batch, count].

    https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md

    Raises:
        TensorError: they are no row of numbers for each sample, or as many as there are class names.
    """
    if scores.ndim != 2 or scores.dtype.kind not in "iuf":
        raise TensorError(
            f"{where}: classification: received {scores.dtype} of shape {list(scores.shape)}, expected a row of "
            "scores for each sample."
        )
    if class_names and len(class_names) != scores.shape[1]:
        raise TensorError(
            f"{where}: classification: the file has {len(class_names)} class names and {scores.shape[1]} scores."
        )
    order = np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :count]
    texts = np.empty(order.shape, object)
    for place, index in np.ndenumerate(order):
        end = f":{class_names[index]}" if class_names else ""
        texts[place] = f"{scores[place[0], index]}:{index}{end}"
    return texts


def described(name: str, platform: str, inputs: Any, outputs: Any) -> dict[str, Any]:
    """Metadata of a model."""
    return {
        "name": name,
        "versions": ["1"],
        "platform": platform,
        "inputs": [_described(spec) for spec in inputs],
        "outputs": [_described(spec) for spec in outputs],
    }


def _described(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": wire_shape(spec)}


def wire_shape(spec: TensorSpec) -> list[int]:
    """The shape with -1 for dynamic dimensions."""
    return [-1 if n is None else n for n in spec.shape]
