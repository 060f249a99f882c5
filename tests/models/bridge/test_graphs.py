"""Graphs composed at random: branches, merges, shared layers, nesting, several inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Every tensor inside is a series of four steps of three, so that everything fits everything.
SHAPE = (4, 3)
KEEPING: str = (
    "dense conv separable depthwise lstm gru bidirectional batch layer group prelu gelu hard dropout "
    "attend rms scale operate permute pad nest nest_sequential shared"
)
MERGING: str = "Add Subtract Average Maximum Concatenate plus together attend"
ENDING: str = "flat mean series operate"


def kept(kind: str, x: Any, seen: dict[str, Any]) -> Any:
    import keras

    L = keras.layers
    make: dict[str, Callable[[], Any]] = {
        "dense": lambda: L.Dense(3, activation="tanh"),
        "conv": lambda: L.Conv1D(3, 2, padding="causal", activation="relu"),
        "separable": lambda: L.SeparableConv1D(3, 2, padding="same"),
        "depthwise": lambda: L.DepthwiseConv1D(3, padding="same"),
        "lstm": lambda: L.LSTM(3, return_sequences=True, unroll=True),
        "gru": lambda: L.GRU(3, return_sequences=True),
        "bidirectional": lambda: L.Bidirectional(L.SimpleRNN(3, return_sequences=True), "ave"),
        "batch": L.BatchNormalization,
        "layer": L.LayerNormalization,
        "group": lambda: L.GroupNormalization(3),
        "prelu": L.PReLU,
        "gelu": lambda: L.Activation("gelu"),
        "hard": lambda: L.Activation("hard_silu"),
        "dropout": lambda: L.Dropout(0.3),
        "rms": L.RMSNormalization,
        "scale": lambda: L.Rescaling(0.5, 0.1),
    }
    if kind in make:
        return make[kind]()(x)
    if kind == "attend":
        return L.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True)
    if kind == "operate":
        return keras.ops.relu(x * 0.5 - 0.1) + keras.ops.flip(x, axis=1)
    if kind == "permute":
        return L.Permute((2, 1))(L.Dense(4)(L.Permute((2, 1))(x)))
    if kind == "pad":
        return L.Cropping1D((0, 2))(L.ZeroPadding1D(1)(x))
    if kind == "shared":
        # The same layer wherever it comes up.
        return seen.setdefault(kind, L.Dense(3, name="shared"))(x)
    if kind == "nest_sequential":
        make_one = lambda: keras.Sequential([L.Dense(3), L.ReLU(), L.Dense(3)])  # noqa: E731
        return seen.setdefault(kind, make_one())(x)
    inner = keras.Input(SHAPE)
    model = keras.Model(inner, L.Add()([inner, L.Dense(3)(inner) * 0.5]))
    return seen.setdefault(kind, model)(x)


def merged(kind: str, a: Any, b: Any) -> Any:
    import keras

    L = keras.layers
    if kind == "plus":
        return a + b
    if kind == "together":
        return L.Conv1D(3, 1)(keras.ops.concatenate([a, b], axis=-1))
    if kind == "attend":
        return L.Attention()([a, b])
    joined = getattr(L, kind)()([a, b])
    return L.Dense(3)(joined) if kind == "Concatenate" else joined


def ended(kind: str, x: Any) -> Any:
    import keras

    if kind == "flat":
        return keras.layers.Dense(2)(keras.layers.Flatten()(x))
    if kind == "mean":
        return keras.layers.GlobalAveragePooling1D()(x)
    return x if kind == "series" else keras.ops.mean(x, axis=(1, 2))


@st.composite
def graphs(draw: st.DrawFn) -> Callable[[], Any]:
    """A function that builds a Keras 3 model."""
    count = draw(st.integers(1, 2))
    tokens = draw(st.booleans())
    steps = draw(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(KEEPING.split()), st.integers(0, 9)),
                st.tuples(st.sampled_from(MERGING.split()), st.integers(0, 9), st.integers(0, 9)),
            ),
            min_size=2,
            max_size=6,
        )
    )
    ends = draw(st.lists(st.sampled_from(ENDING.split()), min_size=1, max_size=3))
    as_dict = draw(st.booleans())

    def build() -> Any:
        import keras

        inputs = [keras.Input(SHAPE, name=f"x{number}") for number in range(count)]
        tensors = list(inputs)
        if tokens:
            inputs.append(keras.Input(SHAPE[:1], dtype="int32", name="ids"))
            tensors.append(keras.layers.Embedding(3, 3, mask_zero=True)(inputs[-1]))
        seen: dict[str, Any] = {}
        for kind, *places in steps:
            taken = [tensors[place % len(tensors)] for place in places]
            tensors.append(kept(kind, taken[0], seen) if len(taken) == 1 else merged(kind, *taken))
        outputs = [ended(kind, tensors[-1 - number % 2]) for number, kind in enumerate(ends)]
        if as_dict:
            named = {f"y{number}": output for number, output in enumerate(outputs)}
            return keras.Model({tensor.name: tensor for tensor in inputs}, named)
        return keras.Model(inputs, outputs)

    return build


@pytest.mark.slow
@settings(max_examples=14, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(build=graphs())
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_graphs_cross_and_return(
    build: Callable[[], Any], bridged: Callable[[Any], Any], shaken: Any
) -> None:
    import keras
    import tf_keras

    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    twin = bridged(shaken(build()))
    tf_keras.models.clone_model(twin.source.model)


def test_a_saved_graph_crosses(tmp_path: Path, alike: Callable[..., None], shaken: Any) -> None:
    """Loaded files name the masks that tensors bring along, and constants as they were written."""
    import keras

    from edgekit.models import load
    from edgekit.models.bridge import to_tf_keras

    ids, x = keras.Input(SHAPE[:1], dtype="int32", name="ids"), keras.Input(SHAPE, name="x")
    seen: dict[str, Any] = {}
    y = keras.layers.Embedding(3, 3, mask_zero=True)(ids)
    for kind in ("gru", "nest", "shared", "lstm", "nest_sequential", "nest", "operate"):
        y = kept(kind, y, seen)
    model = keras.Model([ids, x], [merged("attend", y, x), kept("shared", x, seen)])
    shaken(model).save(tmp_path / "m.keras")
    source = load(tmp_path / "m.keras")
    alike(source, to_tf_keras(source).source)
