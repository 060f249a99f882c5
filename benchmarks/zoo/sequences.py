"""Recurrent layers, attention and embeddings."""

from __future__ import annotations

from typing import Any

from .entry import Entry, Input, layer

LINE, FILM = (6, 4), (4, 5, 5, 2)
TOKENS = Input((7,), "int32", 0, 12)
# Zeros stand for what is not there.
PADDED = Input((7,), "int32", 0, 3)


def _body(name: str, make: Any, **given: Input) -> Entry:
    """`make` gets keras.layers and the input tensors."""

    def body(*tensors: Any) -> Any:
        import keras

        return make(keras.layers, *tensors)

    return Entry(name, given, body)


def _masked(L: Any, ids: Any) -> Any:
    return L.LSTM(5, name="y")(L.Embedding(12, 4, mask_zero=True)(ids))


def _masking(L: Any, x: Any) -> Any:
    return L.GRU(3, name="y")(L.Masking(0.0)(x))


def _states(L: Any, x: Any) -> Any:
    sequence, hidden, cell = L.LSTM(3, return_sequences=True, return_state=True)(x)
    return {"sequence": sequence, "hidden": hidden, "cell": cell}


def _handed_over(L: Any, x: Any, start: Any) -> Any:
    return L.GRU(3, name="y")(x, initial_state=start)


ENTRIES: list[Entry] = [
    layer("embedding/plain", lambda L: L.Embedding(12, 5), TOKENS),
    layer("embedding/int64", lambda L: L.Embedding(12, 5), Input((7,), "int64", 0, 12)),
    layer("embedding/uint8", lambda L: L.Embedding(12, 5), Input((7,), "uint8", 0, 12)),
    layer("embedding/reversible", lambda L: L.ReversibleEmbedding(12, 5), TOKENS),
    layer("lstm/last", lambda L: L.LSTM(5), LINE),
    layer("lstm/sequence", lambda L: L.LSTM(5, return_sequences=True), LINE),
    layer("lstm/backwards", lambda L: L.LSTM(5, go_backwards=True), LINE),
    layer("lstm/unrolled", lambda L: L.LSTM(5, unroll=True), LINE),
    layer("lstm/hard-sigmoid", lambda L: L.LSTM(5, recurrent_activation="hard_sigmoid"), LINE),
    layer("lstm/bidirectional", lambda L: L.Bidirectional(L.LSTM(3)), LINE),
    layer(
        "lstm/bidirectional-sequence",
        lambda L: L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="sum"),
        LINE,
    ),
    layer("lstm/cell", lambda L: L.RNN(L.LSTMCell(4)), LINE),
    layer("lstm/stacked-cells", lambda L: L.RNN([L.LSTMCell(4), L.LSTMCell(3)]), LINE),
    _body("lstm/masked", _masked, ids=PADDED),
    _body("lstm/states", _states, x=Input(LINE)),
    layer("gru/last", lambda L: L.GRU(5), LINE),
    layer("gru/sequence", lambda L: L.GRU(5, return_sequences=True), LINE),
    layer("gru/reset-before", lambda L: L.GRU(5, reset_after=False), LINE),
    layer("gru/bidirectional", lambda L: L.Bidirectional(L.GRU(3)), LINE),
    layer("gru/unrolled", lambda L: L.GRU(5, unroll=True), LINE),
    _body("gru/masking", _masking, x=Input(LINE)),
    _body("gru/initial-state", _handed_over, x=Input(LINE), start=Input((3,))),
    layer("rnn/simple", lambda L: L.SimpleRNN(5), LINE),
    layer("rnn/simple-sequence", lambda L: L.SimpleRNN(5, return_sequences=True), LINE),
    layer("rnn/time-distributed-dense", lambda L: L.TimeDistributed(L.Dense(3)), LINE),
    layer("rnn/time-distributed-conv", lambda L: L.TimeDistributed(L.Conv2D(3, 3)), FILM),
    layer("rnn/conv-lstm-1d", lambda L: L.ConvLSTM1D(3, 3), (4, 7, 2)),
    layer("rnn/conv-lstm-2d", lambda L: L.ConvLSTM2D(3, 3, padding="same"), FILM),
    layer("attention/dot", lambda L: L.Attention(), LINE, (5, 4)),
    layer("attention/dot-scaled", lambda L: L.Attention(use_scale=True), LINE, (5, 4), (5, 4)),
    layer("attention/concat", lambda L: L.Attention(score_mode="concat"), LINE, (5, 4)),
    layer("attention/additive", lambda L: L.AdditiveAttention(), LINE, (5, 4)),
    _body(
        "attention/causal",
        lambda L, a, b: L.Attention(name="y")([a, b], use_causal_mask=True),
        a=Input(LINE),
        b=Input(LINE),
    ),
    _body(
        "attention/multi-head",
        lambda L, x: L.MultiHeadAttention(2, 4, name="y")(x, x),
        x=Input(LINE),
    ),
    _body(
        "attention/multi-head-cross",
        lambda L, a, b: L.MultiHeadAttention(2, 4, name="y")(a, b),
        a=Input(LINE),
        b=Input((3, 5)),
    ),
    _body(
        "attention/multi-head-causal",
        lambda L, x: L.MultiHeadAttention(2, 4, name="y")(x, x, use_causal_mask=True),
        x=Input(LINE),
    ),
    _body(
        "attention/multi-head-masked",
        lambda L, x, mask: L.MultiHeadAttention(2, 4, name="y")(x, x, attention_mask=mask),
        x=Input(LINE),
        mask=Input((6, 6), "bool"),
    ),
    _body(
        "attention/multi-head-scores",
        lambda L, x: dict(
            zip(
                ("answer", "scores"),
                L.MultiHeadAttention(2, 4)(x, x, return_attention_scores=True),
                strict=True,
            )
        ),
        x=Input(LINE),
    ),
    _body(
        "attention/grouped-query",
        lambda L, x: L.GroupQueryAttention(4, 4, 2, name="y")(x, x),
        x=Input(LINE),
    ),
]
