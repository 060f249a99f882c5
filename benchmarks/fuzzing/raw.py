"""Mutations of bytes, whatever they mean."""

from __future__ import annotations

import numpy as np

from fuzzing.draw import ABSURD, Rng


def flip(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    bits = np.frombuffer(data, np.uint8).copy()
    for _ in range(int(rng.geometric(0.25))):
        bits[rng.integers(len(bits))] ^= 1 << int(rng.integers(8))
    return bits.tobytes()


def word(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Numbers put over aligned words: offsets, lengths, indices, sizes."""
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4").copy()
    for _ in range(int(rng.geometric(0.5))):
        words[rng.integers(len(words))] = ABSURD[rng.integers(len(ABSURD))] % 2**32
    return words.tobytes() + data[len(words) * 4 :]


def truncate(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    cut = int(rng.integers(len(data)))
    return data[:cut] + bytes(len(data) - cut if rng.random() < 0.3 else 0)


def splice(data: bytes, rng: Rng, others: list[bytes]) -> bytes:
    """A piece of another file, or of this one, over or between the bytes of this one."""
    source = others[rng.integers(len(others))]
    length = int(rng.integers(1, max(2, len(source) // 4)))
    start = int(rng.integers(len(source) - length + 1))
    at = int(rng.integers(len(data)))
    gap = length if rng.random() < 0.7 else int(rng.integers(length + 1))
    return data[:at] + source[start : start + length] + data[at + gap :]
