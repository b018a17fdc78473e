"""CRC-32C by folding and tables is that of the standard, for any length and many rows."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.data.scenes.checksums import crc32c, masked, unmasked

PUBLISHED = {  # RFC 3720, B.4
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
    b"123456789": 0xE3069283,
}


def by_bits(data: bytes) -> int:
    """The remainder, one byte after the other."""
    found = 0xFFFFFFFF
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    return found ^ 0xFFFFFFFF


@pytest.mark.parametrize("data", PUBLISHED)
def test_it_gives_the_published_values(data: bytes) -> None:
    assert crc32c(np.frombuffer(data, np.uint8)[None]).tolist() == [PUBLISHED[data]]


@pytest.mark.parametrize(
    "length",
    [0, 1, 3, 4, 255, 256, 257, 562, 563, 564, 768, 769, 5685, 5686, 10_009, 50_001, 190_001],
)
def test_it_is_the_remainder_at_any_length(length: int) -> None:
    blocks = np.random.default_rng(length).integers(0, 256, (1, length), np.uint8)
    assert crc32c(blocks).tolist() == [by_bits(blocks.tobytes())]


def test_rows_do_not_touch_one_another() -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (300, 3000), np.uint8)
    alone = [int(crc32c(row[None])[0]) for row in blocks]
    assert crc32c(blocks).tolist() == alone and len(set(alone)) == 300


def test_a_single_bit_changes_it_wherever_it_is() -> None:
    blocks = np.zeros((64, 60_000), np.uint8)
    blocks[np.arange(1, 64), np.linspace(0, 59_999, 63).astype(int)] = 1
    assert len(set(crc32c(blocks).tolist())) == 64


def test_what_is_masked_can_be_unmasked() -> None:
    values = [0, 1, 0xFFFFFFFF, 0xE3069283, 0xA282EAD8]
    stored = np.array([masked(value) for value in values], np.uint32)
    assert unmasked(stored).tolist() == values
