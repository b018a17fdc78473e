"""CRC-32C of many blocks at once, in NumPy.

A CRC is the remainder of a polynomial over GF(2) modulo P(x), so a multiple of P with few terms
moves bytes instead of looking them up: as x^5685 + x^1362 + x^426 + 1 is a multiple of P, its k-th
power for k = 2^n is x^5685k + x^1362k + x^426k + 1 and a multiple too, and whatever stands 5685k
bits before the end of a stretch may be added (XOR) 1362k, 426k and 0 bits before it instead.
That is done by words with k = 256 and 64, by bytes with k = 8, and by bytes with a shorter multiple
of more terms, until some hundred bytes are left for tables.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LONG = (5685, 1362, 426, 0)
"""Exponents of a multiple of P. None has fewer terms, and below 5275 none has as few."""
_SHORT = (563, 109, 58, 53, 31, 0)
"""Exponents of another one. In both the second is small, so that much can move at once."""
_POLYNOMIAL = 0x82F63B78  # of Castagnoli, lowest bit first
_ONES = 0xFFFFFFFF
_WORD = 4
_CHUNK = 256
_CACHE = 1 << 21  # bytes: what is made of so many stays in the processor's cache


def crc32c(blocks: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """CRC-32C (RFC 3720) of each row of blocks [R, L]; returns [R]."""
    if blocks.shape[1] < _WORD:
        return _short(blocks)
    together = max(1, _CACHE // blocks.shape[1])
    found = [_few(blocks[row : row + together]) for row in range(0, len(blocks), together)]
    return np.concatenate(found)


def _few(blocks: NDArray[np.uint8]) -> NDArray[np.uint32]:
    rows, length = blocks.shape
    padded = np.empty((rows, -(-length // _CHUNK) * _CHUNK), np.uint8)
    start = padded.shape[1] - length
    padded[:, :start] = 0  # zeros in front add nothing
    padded[:, start:] = blocks
    padded[:, start : start + _WORD] ^= 0xFF  # the register begins with ones
    words = padded.view(np.uint64)
    for power in (4, 1):
        words = _folded(words, [power * exponent for exponent in _LONG])
    left = _folded(_folded(words.view(np.uint8), _LONG), _SHORT)
    return _by_tables(left) ^ np.uint32(_ONES)


def masked(crc: int) -> int:
    """A checksum as TFRecords store it: rotated by 15 bits, plus a constant."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & _ONES


def unmasked(stored: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The checksums that TFRecords store as these."""
    turned = stored - np.uint32(0xA282EAD8)
    return (turned >> np.uint32(17)) | (turned << np.uint32(15))


def _short(blocks: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Of rows that are shorter than the register, byte after byte."""
    table = _tables()[0][-1]
    found = np.full(len(blocks), _ONES, np.uint32)
    for column in blocks.T:
        found = table[(found ^ column) & 255] ^ found >> 8
    return found ^ np.uint32(_ONES)


def _folded(units: NDArray[Any], exponents: Sequence[int]) -> NDArray[Any]:
    """Moves all columns but as many of the last as the highest exponent onto those, in place."""
    highest, second = exponents[:2]
    start, end = 0, units.shape[1] - highest
    while start < end:
        size = min(highest - second, end - start)  # none of it lands on itself
        moving = units[:, start : start + size]
        for exponent in exponents[1:]:
            place = start + highest - exponent
            units[:, place : place + size] ^= moving
        start += size
    return units[:, start:]


def _by_tables(blocks: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Remainder of each row of at most 563 bytes: of its chunks, then of them together."""
    inner, outer = _tables()
    rows, length = blocks.shape
    count = -(-length // _CHUNK)
    chunks = np.zeros((rows, count * _CHUNK), np.uint8)
    chunks[:, count * _CHUNK - length :] = blocks
    found = inner.take(chunks.reshape(rows, count, _CHUNK) + _offsets(_CHUNK))
    remainders = np.bitwise_xor.reduce(found, axis=2)
    of_bytes = remainders.astype("<u4").view(np.uint8) + _offsets(4 * count)
    return np.bitwise_xor.reduce(outer[-count:].take(of_bytes), axis=1)


@functools.cache
def _offsets(count: int) -> NDArray[np.int64]:
    return np.arange(count) * 256


@functools.cache
def _tables() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Remainder of a byte k places before the end of a chunk, and of one n chunks before the end.

    The first is [256 places, 256 values]; the second [chunks, 4 bytes of a remainder, 256 values].
    """
    table: Any = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)

    def later(state: NDArray[np.uint32]) -> NDArray[np.uint32]:
        return table[state & 255] ^ state >> 8

    inner = [table]
    for _ in range(_CHUNK - 1):
        inner.append(later(inner[-1]))
    digits = np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], np.uint32)
    shift = digits
    for _ in range(_CHUNK):
        shift = later(shift)
    outer = [digits]
    for _ in range(_SHORT[0] // _CHUNK):
        parts = outer[-1][..., None] >> np.array([0, 8, 16, 24], np.uint32) & 255
        outer.append(np.bitwise_xor.reduce(shift[np.arange(4), parts], axis=-1))
    return np.stack(inner[::-1]), np.stack(outer[::-1])
