"""Documents load as they were saved, whatever is in them; what is wrong is refused with its place."""

from __future__ import annotations

import copy
import json
import math
import string
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgekit
from edgekit import document
from edgekit.document import Document, reading
from edgekit.document.keys import keys_of, split
from edgekit.drift.candidate import OutputDrift
from edgekit.drift.figure import KINDS, Figure
from edgekit.drift.limit import Limit
from edgekit.errors import DocumentError
from edgekit.formats.metadata import Metadata
from edgekit.shares import Share
from edgekit.tensor import QuantParams

Strategy = st.SearchStrategy[Any]
TEXT = st.text("aé<\U0001f600\n", max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
KIND = pytest.mark.parametrize("kind", document.KINDS)
FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def class_of(kind: str) -> type[Document]:
    found: type[Document] = getattr(edgekit, document.KINDS[kind])
    return found


# --- objects of every class, made of its types alone ---------------------------------------


def objects(hint: Any) -> Strategy:
    """Values of a type as it is annotated."""
    inner, limits = split(hint)
    known = dict(limits)
    if "properties" in known:
        return tables(known["properties"])
    if "enum" in known:
        return st.sampled_from(known["enum"])
    if "pattern" in known:
        return st.text("0123456789abcdef", min_size=64, max_size=64)
    if inner is str:
        return st.text("aé<\U0001f600\n", min_size=known.get("minLength", 0), max_size=4)
    if inner is int:
        return st.integers(known.get("minimum", -1000), known.get("maximum", 1 << 40))
    if inner is float:
        low, high = known.get("minimum", -1e9), known.get("maximum", 1e9)
        return st.floats(low, high) | st.integers(int(low), int(high)).map(float)
    if inner is Any:
        return JSON
    return composed(inner, known)


def composed(hint: Any, known: dict[str, Any]) -> Strategy:
    origin, args = get_origin(hint), get_args(hint)
    sizes = {"min_size": known.get("minItems", 0), "max_size": known.get("maxItems", 2)}
    if hint is bool:
        return st.booleans()
    if hint is type(None):
        return st.none()
    if origin is tuple and args[-1] is not Ellipsis:
        return st.tuples(*map(objects, args))
    if origin in (tuple, list):
        sizes["max_size"] = min(3, max(sizes["max_size"], sizes["min_size"]))
        return st.lists(objects(args[0]), **sizes).map(origin)
    if origin is dict:
        return st.dictionaries(objects(args[0]), objects(args[1]), max_size=2)
    if is_typeddict(hint):
        return tables(hint)
    if args:
        return st.one_of(map(objects, args))
    return made(hint)


def tables(table: Any) -> Strategy:
    hints = get_type_hints(table, include_extras=True)
    required = {name: objects(hints[name]) for name in hints if name in table.__required_keys__}
    rest = {name: objects(hints[name]) for name in hints if name not in required}
    return st.fixed_dictionaries(required, optional=rest)


def made(cls: Any) -> Strategy:
    if cls is QuantParams:
        rows = st.lists(st.tuples(st.floats(1e-6, 1e6), st.integers(-128, 127)), min_size=1)
        return rows.map(lambda row: QuantParams(*map(tuple, zip(*row, strict=True)), axis=0))
    if cls is Metadata:
        names = st.lists(st.text("aé", min_size=1, max_size=3), max_size=2).map(tuple)
        return st.builds(Metadata, names, recipe=st.dictionaries(TEXT, JSON, max_size=2))
    if cls is edgekit.Tuning:
        return tunings()
    if cls is edgekit.DriftBudget:
        # A plain number above 0.2 is refused: see `edgekit.shares`.
        drop = st.none() | st.floats(0, 1).map(Share)
        limit = st.builds(_limit, st.sampled_from(sorted(KINDS)), st.floats(0, 0.2), TEXT)
        rest = st.lists(limit, max_size=2).map(tuple)
        share, level = st.none() | st.floats(0, 1), st.none() | st.floats(-99, 99)
        return st.builds(cls, drop, share, level, rest)
    if cls is Figure:
        # What is identical has an infinite SQNR.
        value = st.none() | st.floats(-99, 99)
        return st.builds(
            Figure.of, st.sampled_from(sorted(KINDS)), value, output=st.none() | TEXT, group=TEXT
        ) | st.builds(Figure.of, st.just("sqnr_db"), st.just(math.inf), identical=st.just(True))
    if cls is OutputDrift:
        # Either nothing was measured or all was, some of it perhaps without end.
        number, ends = st.floats(0, 1e9), st.just(math.inf)
        share = st.floats(-1, 1)
        measured = st.builds(OutputDrift, TEXT, number, number | ends, number, share, number)
        equal = st.builds(OutputDrift, TEXT, *map(st.just, (0.0, 0.0, 0.0, 1.0, math.inf)))
        return measured | equal | st.builds(OutputDrift, TEXT)
    hints = get_type_hints(cls, include_extras=True)
    parts = {
        f.name: objects(hints[f.name]) for f in fields(cls) if f.metadata.get("key", "") is not None
    }
    if cls is edgekit.Artifact:
        parts |= {"sha256": st.text("0f", min_size=64, max_size=64), "size_bytes": st.integers(0)}
        parts["size_bytes"] = st.integers(0, 1 << 40)
        return st.fixed_dictionaries(parts).map(cls.of_json)
    return st.builds(cls, **parts)


def _limit(figure: str, value: float, output: str) -> Limit:
    """On the side where a figure gets worse."""
    side = "at_least" if KINDS[figure].better == "higher" else "at_most"
    return Limit(figure, output=output or None, **{side: value})


def tunings() -> Strategy:
    """Their trials have values for all objectives, and those on the front are among them."""
    hints = get_type_hints(edgekit.Tuning, include_extras=True)
    parts = {name: objects(hints[name]) for name in ("search", "seed", "trials", "objectives")}
    valued = {"accuracy": 0.5, "int8_accuracy": 0.5, "size_bytes": 1.0, "latency_ms": 1.0}

    def whole(values: dict[str, Any]) -> edgekit.Tuning:
        trials = tuple(
            trial.__class__(**{**vars(trial), "number": n, "values": trial.values and valued})
            for n, trial in enumerate(values["trials"])
        )
        front = tuple(trial.number for trial in trials if trial.values)
        return edgekit.Tuning(**{**values, "trials": trials, "front": front})

    return st.fixed_dictionaries(parts).map(whole)


@cache
def whole(kind: str) -> Strategy:
    """Documents of a kind. Making a strategy takes longer than drawing from it."""
    return made(class_of(kind))


@KIND
@FEW
@given(data=st.data())
def test_what_is_written_is_read(kind: str, data: st.DataObject) -> None:
    cls = class_of(kind)
    one = data.draw(whole(kind))
    content = one.to_json()
    assert cls.from_json(content) == one
    read = cls.from_json(json.loads(document.dumps(content)))
    assert read == one
    assert read.to_json() == content
    jsonschema.Draft202012Validator(document.json_schema(kind)).validate(content)


def test_every_field_of_every_class_is_drawn(objects: dict[str, Document]) -> None:
    """The strategies above leave out what is not written, and nothing else."""
    for one in objects.values():
        written = {key.attribute for key in keys_of(type(one))} - set(one.computed)
        assert written == {f.name for f in fields(one) if f.metadata.get("key", "") is not None}
        unwritten = [f for f in fields(one) if f.name not in written]
        assert all(f.default is not MISSING and not f.compare for f in unwritten)


# --- documents as edgekit writes them -------------------------------------------------------


@KIND
def test_a_file_loads_as_the_object_that_was_written(
    kind: str, objects: dict[str, Document], tmp_path: Path
) -> None:
    document.write(tmp_path / "it.json", objects[kind].to_json())
    read = document.load(tmp_path / "it.json")
    assert type(read) is class_of(kind)
    assert read == objects[kind]
    assert read.to_json() == objects[kind].to_json()


def test_infinities_come_back(objects: dict[str, Document]) -> None:
    drift = objects["drift"]
    assert isinstance(drift, edgekit.Drift)
    read = edgekit.Drift.from_json(json.loads(document.dumps(drift.to_json())))
    scores, equal, constant, broken = read.candidates[0].outputs
    assert equal.sqnr_db == float("inf")
    assert (constant.sqnr_db, constant.max_abs_rel) == (float("-inf"), float("inf"))
    assert (scores.sqnr_db, broken.sqnr_db) == (20.0, None)


def test_a_recorded_hash_outlives_the_file(objects: dict[str, Document], tmp_path: Path) -> None:
    bench = objects["bench"]
    assert isinstance(bench, edgekit.Bench)
    read = edgekit.Bench.from_json(bench.to_json())
    (tmp_path / "m.int8.tflite").unlink()
    assert read.runs[0].artifact.sha256 == bench.runs[0].artifact.sha256
    assert read.runs[0].artifact.size_bytes == 5
    assert (read.runs[0].samples_ns, bench.runs[0].samples_ns) == ((), (1000, 1200))


# --- what is wrong --------------------------------------------------------------------------


def put(content: Any, where: tuple[str | int, ...], value: Any) -> Any:
    """The content with another value at a place."""
    content = copy.deepcopy(content)
    spot = content
    for step in where[:-1]:
        spot = spot[step]
    if value is MISSING:
        del spot[where[-1]]
    else:
        spot[where[-1]] = value
    return content


def places(content: Any, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where a document holds a value."""
    steps: Any = content.items() if isinstance(content, dict) else ()
    if isinstance(content, list):
        steps = enumerate(content)
    found = [where] if where else []
    for step, inner in steps:
        found += places(inner, (*where, step))
    return found


@pytest.mark.parametrize(
    ("kind", "where", "value", "says"),
    [
        ("bench", ("runs", 0, "latency", "p50_ms"), "x", r"\$\.runs\[0\]\.latency\.p50_ms: received 'x', expected a number\."),
        ("bench", ("runs", 0, "latency", "p50_ms"), None, r"p50_ms: received null, expected a number\."),
        ("bench", ("runs", 0, "latency", "p50_ms"), True, r"p50_ms: received true, expected a number\."),
        ("bench", ("runs", 0, "latency", "p50_ms"), float("inf"), "expected a finite number"),
        ("bench", ("runs", 0, "latency", "p50_ms"), -1, r"received -1, expected at least 0\."),
        ("bench", ("runs", 0, "latency", "count"), 1.5, "received 1.5, expected a whole number"),
        ("bench", ("runs", 0, "latency", "count"), 10**400, "expected a whole number of 64 bits"),
        ("bench", ("runs", 0, "latency", "p50_ms"), 10**400, "expected a number"),
        ("bench", ("runs", 0, "artifact", "sha256"), "G" * 64, "expected of the form"),
        ("bench", ("runs", 0, "backend"), ["litert"], r"\$\.runs\[0\]\.backend: received a list, expected an object"),
        ("bench", ("runs", 0, "backend", "name"), "\ud800", "expected a text without halves"),
        ("bench", ("runs", 0, "backend", "name"), MISSING, r"\$\.runs\[0\]\.backend: has no key 'name'\."),
        ("bench", ("runs",), [], "received a list, expected it to be of 1 items or more"),
        ("bench", ("host", "userland_bits"), 16, "received 16, expected one of 32, 64"),
        ("bench", ("host", "throttled"), 1, "received 1, expected true or false or null"),
        ("bench", ("host", "interpreters"), {"a b": 1}, r"\$\.host\.interpreters\['a b'\]: received 1"),
        ("drift", ("candidates", 0, "task", "drop_ci95"), [0.1], "a list of 1, expected one of 2"),
        ("drift", ("budget", "max_accuracy_drop"), 1.5, "received 1.5"),
        ("manifest", ("files", 0, "inputs", 0, "quantization", "scale"), [0.5, 0.5], "quantisation: received 2 scales"),
        ("manifest", ("files", 0, "recipe", "prune"), {"channels_by_layer": {"a": [1, 2, 3]}}, r"\$\.files\[0\]\.recipe\.prune\.channels_by_layer\.a: received a list"),
        ("inspection", ("metadata",), {"schema": "edgekit.metadata/2"}, r"\$\.metadata: metadata: received schema"),
        ("tuning", ("front",), [1], "front: received trial 1, which has no values"),
        ("tuning", ("trials", 0, "values"), {"size_bytes": 1}, "has no value of the objective 'accuracy'"),
        ("tuning", ("trials", 0, "values"), {"speed": 1}, "expected one of accuracy"),
        ("training", ("history", 0, "epoch"), MISSING, r"\$\.history\[0\]: has no key 'epoch'\."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    kind: str,
    where: tuple[str | int, ...],
    value: Any,
    says: str,
    documents: dict[str, dict[str, Any]],
) -> None:
    with pytest.raises(DocumentError, match=says):
        class_of(kind).from_json(put(documents[kind], where, value))


def test_the_file_is_named(documents: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    document.write(path, put(documents["bench"], ("runs", 0, "latency", "p50_ms"), "x"))
    with pytest.raises(DocumentError) as caught:
        document.load(path)
    assert str(caught.value) == (
        f"{path}: $.runs[0].latency.p50_ms: received 'x', expected a number."
    )


def test_a_misspelt_key_is_told_from_one_that_was_added_later(
    documents: dict[str, dict[str, Any]], objects: dict[str, Document]
) -> None:
    content = documents["bench"]
    assert edgekit.Bench.from_json({**content, "cooling": "fan"}) == objects["bench"]
    content["nosie"] = content.pop("noise")
    with pytest.raises(DocumentError, match=r"unknown key 'nosie'\. Did you mean 'noise'\?"):
        edgekit.Bench.from_json(content)
    # Also where the right one need not be there.
    content = documents["host"]
    content["scheme"] = content.pop("schemes")
    with pytest.raises(DocumentError, match=r"unknown key 'scheme'\. Did you mean 'schemes'\?"):
        edgekit.Checkup.from_json(content)


def test_another_kind_is_refused(documents: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(DocumentError, match=r"received schema 'edgekit.bench/1', expected 'edge"):
        edgekit.Drift.from_json(documents["bench"])
    with pytest.raises(DocumentError, match="received no schema"):
        edgekit.Drift.from_json({})
    with pytest.raises(DocumentError, match=r"\$: received a list, expected an object"):
        edgekit.Drift.from_json([])


@KIND
@settings(parent=FEW, max_examples=60)
@given(data=st.data())
def test_what_the_schema_refuses_the_class_refuses(
    kind: str, data: st.DataObject, documents: dict[str, dict[str, Any]]
) -> None:
    """A value somewhere is another one: it is read, or ends in a DocumentError; never against the schema."""
    content = json.loads(document.dumps(documents[kind]))
    where = data.draw(st.sampled_from(places(content)))
    value = data.draw(JSON | st.just(MISSING) | st.floats() | st.integers())
    changed = put(content, where, value)
    validator = jsonschema.Draft202012Validator(document.json_schema(kind))
    try:
        read = class_of(kind).from_json(changed)
    except DocumentError:
        return
    assert json.loads(document.dumps(changed)) == changed
    assert validator.is_valid(changed)
    assert class_of(kind).from_json(read.to_json()) == read


def nested(levels: int, value: Callable[[Any], Any]) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = value(made)
    return made


@pytest.mark.parametrize("inside", [lambda x: [x], lambda x: {"a": x}])
def test_nesting_has_an_end(
    documents: dict[str, dict[str, Any]], tmp_path: Path, inside: Callable[[Any], Any]
) -> None:
    content = documents["training"]
    content["recipe"] = {"deep": nested(60, inside)}
    assert edgekit.Training.from_json(content).recipe == content["recipe"]
    content["recipe"] = {"deep": nested(900, inside)}
    with pytest.raises(DocumentError, match=r"\$\.recipe\.deep: is nested deeper than 64 levels"):
        edgekit.Training.from_json(content)
    path = tmp_path / "training.json"
    text = document.dumps({**documents["training"], "recipe": {"deep": "HERE"}})
    ends = ("[", "]") if inside(1) == [1] else ('{"a":', "}")
    for levels in (5_000, 100_000):
        deep = f"{levels * ends[0]}1{levels * ends[1]}"
        path.write_text(text.replace('"HERE"', deep), "utf-8")
        with pytest.raises(DocumentError, match=r"nested deeper|not a JSON document"):
            document.load(path)


def test_what_json_cannot_say_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    for text in ("", "{", "NaN", '{"schema": "edgekit.bench/1", "noise": Infinity}', "\xff"):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(DocumentError, match=r"bench\.json: not a JSON document"):
            document.load(path)
    with pytest.raises(DocumentError, match="not a JSON document"):
        document.load(tmp_path)


def test_a_document_without_end_is_refused(
    tmp_path: Path, documents: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bench.json"
    document.write(path, documents["bench"])
    size = path.stat().st_size
    monkeypatch.setattr(reading, "_MOST_BYTES", size)
    document.load(path)
    monkeypatch.setattr(reading, "_MOST_BYTES", size - 1)
    with pytest.raises(DocumentError, match=rf"has more than {size - 1:,} bytes"):
        document.load(path)
    # It says no size, and is read no further.
    with pytest.raises(DocumentError, match="which no document of edgekit's needs"):
        document.load("/dev/zero")


@pytest.mark.parametrize("text", ["[" + "[]," * 70 + "1]", '{"a": ' + "{}," * 70, "," * 70])
def test_no_more_values_are_read_than_a_document_needs(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MOST_VALUES", 69)
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(DocumentError, match=r"it has \d+ values, .* needs over 69"):
        document.load(tmp_path / "d.json")


def test_a_huge_number_of_unknown_keys_is_survived(documents: dict[str, dict[str, Any]]) -> None:
    content = documents["bench"]
    del content["noise"]
    unknown = {f"{letter}{n}": n for letter in string.ascii_letters for n in range(500)}
    with pytest.raises(DocumentError, match="has no key 'noise'"):
        edgekit.Bench.from_json({**content, **unknown})


def test_what_was_read_stays_what_it_is() -> None:
    for kind in document.KINDS:
        cls: Any = class_of(kind)
        assert is_dataclass(cls)
        assert cls.__dataclass_params__.frozen
